// SPDX-License-Identifier: GPL-2.0-or-later
//! Checks JSON against `scripts/report.schema.json`, as far as that uses JSON Schema, and notes
//! which fields it has seen.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The schema, and the fields that were seen with a value: `Definition.field`.
pub struct Schema {
    root: Value,
    pub seen: BTreeSet<String>,
}

impl Schema {
    pub fn read() -> Schema {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/report.schema.json");
        let text = std::fs::read_to_string(path).expect("the schema is there");
        let root = serde_json::from_str(&text).expect("the schema is JSON");
        Schema { root, seen: BTreeSet::new() }
    }

    /// Every field of every definition.
    pub fn fields(&self) -> BTreeSet<String> {
        let definitions = self.root["$defs"].as_object().expect("definitions");
        let fields = definitions.iter().flat_map(|(name, definition)| {
            let fields = definition["properties"].as_object();
            fields.into_iter().flatten().map(move |(field, _)| format!("{name}.{field}"))
        });
        fields.collect()
    }

    /// Checks a text against a definition; panics with the place of the first difference.
    #[track_caller]
    pub fn check(&mut self, definition: &str, text: &str) -> Value {
        let value: Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        if let Err(why) = self.fits(&value, definition) {
            panic!("{definition}: {why}\n{text}");
        }
        value
    }

    /// Whether a value is what a definition says; if not, where and why.
    pub fn fits(&mut self, value: &Value, definition: &str) -> Result<(), String> {
        let rule = self.root["$defs"][definition].clone();
        assert!(rule.is_object(), "there is no definition {definition}");
        self.look(value, &rule, definition, definition)
    }

    fn look(&mut self, value: &Value, rule: &Value, within: &str, at: &str) -> Result<(), String> {
        if let Some(path) = rule["$ref"].as_str() {
            let name = path.rsplit('/').next().unwrap_or_default();
            let definition = self.root["$defs"][name].clone();
            return self.look(value, &definition, name, at);
        }
        if let Some(choices) = rule["anyOf"].as_array() {
            let outcomes: Vec<_> =
                choices.iter().map(|choice| self.look(value, choice, within, at)).collect();
            if outcomes.iter().any(Result::is_ok) {
                return Ok(());
            }
            return outcomes.into_iter().next().unwrap_or(Ok(()));
        }
        if !rule["const"].is_null() && *value != rule["const"] {
            return Err(format!("{at} is {value}, not {}", rule["const"]));
        }
        if rule["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            return Err(format!("{at} is {value}, which is none of {}", rule["enum"]));
        }
        is_of_type(value, &rule["type"]).map_err(|wanted| format!("{at} is {value}: {wanted}"))?;
        let least = rule["minimum"].as_f64();
        if least.zip(value.as_f64()).is_some_and(|(least, number)| number < least) {
            return Err(format!("{at} is {value}, below {}", rule["minimum"]));
        }
        if rule["format"] == "date-time" && value.as_str().is_some_and(|text| !is_time(text)) {
            return Err(format!("{at} is {value}, which is no time of RFC 3339"));
        }
        if let Some(list) = value.as_array() {
            for (index, item) in list.iter().enumerate() {
                self.look(item, &rule["items"], within, &format!("{at}[{index}]"))?;
            }
        }
        match value.as_object() {
            Some(fields) => self.look_at_fields(fields, rule, within, at),
            None => Ok(()),
        }
    }

    fn look_at_fields(
        &mut self,
        fields: &serde_json::Map<String, Value>,
        rule: &Value,
        within: &str,
        at: &str,
    ) -> Result<(), String> {
        for name in rule["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !fields.contains_key(name) {
                return Err(format!("{at} lacks {name}"));
            }
        }
        for (name, value) in fields {
            let place = format!("{at}.{name}");
            match (&rule["properties"][name], &rule["additionalProperties"]) {
                (Value::Null, Value::Bool(false)) => {
                    return Err(format!("{place} is not in the schema"));
                }
                (Value::Null, other) => self.look(value, other, within, &place)?,
                (known, _) => {
                    let known = known.clone();
                    self.look(value, &known, within, &place)?;
                    let empty = value.as_array().is_some_and(Vec::is_empty);
                    if !value.is_null() && !empty {
                        self.seen.insert(format!("{within}.{name}"));
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_of_type(value: &Value, rule: &Value) -> Result<(), String> {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the schema has a type {other}"),
    };
    let fits = match rule {
        Value::Null => true,
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        other => panic!("the schema has a type {other}"),
    };
    fits.then_some(()).ok_or_else(|| format!("{rule} is wanted"))
}

/// Whether it has the form `2026-11-03T07:48:56.250+01:00`.
fn is_time(text: &str) -> bool {
    let form = "dddd-dd-ddTdd:dd:dd.dddsdd:dd";
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, wanted)| match wanted {
            b'd' => byte.is_ascii_digit(),
            b's' => byte == b'+' || byte == b'-',
            other => byte == other,
        })
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    let mut schema = Schema::read();
    let good = r#"{"at":"2026-11-03T07:48:56.250+01:00","seconds_left":0.5}"#;
    schema.check("Future", good);
    assert!(schema.seen.contains("Future.at"));
    for (bad, why) in [
        (good.replace("seconds_left", "seconds"), "Future lacks seconds_left"),
        (good.replace("0.5", "0.5,\"more\":1"), "Future.more is not in the schema"),
        (good.replace("0.5", "\"x\""), "Future.seconds_left is \"x\": \"number\" is wanted"),
        (good.replace("T07", " 07"), "no time of RFC 3339"),
    ] {
        let value = serde_json::from_str(&bad).expect("JSON");
        let error = schema.fits(&value, "Future").expect_err("it does not fit");
        assert!(error.contains(why), "{error}");
    }
    let holder = r#"{"state":"lent","member":null,"here":false,
        "since":{"at":"2026-11-03T07:48:56.250+01:00","seconds_ago":1}}"#;
    let value = serde_json::from_str(holder).expect("JSON");
    let error = schema.fits(&value, "Holder").expect_err("there is no such state");
    assert!(error.contains("Holder.state is \"lent\""), "{error}");
    let value = serde_json::json!({"seconds": 1.0, "count": -1});
    let error = schema.fits(&value, "Bucket").expect_err("below 0");
    assert!(error.contains("below 0"), "{error}");
}

/// The words of a rule, and of those within it, that are not names of fields.
fn words_of(rule: &Value, words: &mut BTreeSet<String>) {
    for (word, inner) in rule.as_object().into_iter().flatten() {
        words.insert(word.clone());
        match (word.as_str(), inner) {
            ("properties" | "$defs", Value::Object(named)) => {
                named.values().for_each(|inner| words_of(inner, words));
            }
            (_, Value::Array(inner)) => inner.iter().for_each(|inner| words_of(inner, words)),
            (_, inner) => words_of(inner, words),
        }
    }
}

/// A word that is not looked at would be a check that always passes.
#[test]
fn every_word_of_the_schema_is_one_that_is_looked_at() {
    let mut words = BTreeSet::new();
    words_of(&Schema::read().root, &mut words);
    let looked_at = [
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "enum",
        "format",
        "items",
        "minimum",
        "properties",
        "required",
        "type",
    ];
    let for_people = ["$schema", "description", "title"];
    let known = looked_at.into_iter().chain(for_people).map(str::to_owned).collect();
    assert_eq!(words, known);
}

#[test]
fn each_word_refuses_something() {
    let root = serde_json::json!({"$defs": {
        "Text": { "type": "string" },
        "Const": { "const": 1 },
        "Any": { "anyOf": [{ "$ref": "#/$defs/Text" }, { "type": "null" }] },
        "One": { "enum": ["a", "b"] },
        "Least": { "type": "number", "minimum": 2 },
        "List": { "type": "array", "items": { "$ref": "#/$defs/Text" } },
        "Map": { "type": "object", "additionalProperties": { "$ref": "#/$defs/Text" } },
    }});
    let mut schema = Schema { root, seen: BTreeSet::new() };
    for (definition, good, bad, why) in [
        ("Text", r#""x""#, "1", "Text is 1: \"string\" is wanted"),
        ("Const", "1", "2", "Const is 2, not 1"),
        ("Any", "null", "1", "Any is 1: \"string\" is wanted"),
        ("One", r#""b""#, r#""c""#, "One is \"c\", which is none of [\"a\",\"b\"]"),
        ("Least", "2", "1.5", "Least is 1.5, below 2"),
        ("List", r#"["x"]"#, r#"["x", 1]"#, "List[1] is 1: \"string\" is wanted"),
        ("Map", r#"{"y": "x"}"#, r#"{"y": 1}"#, "Map.y is 1: \"string\" is wanted"),
    ] {
        let value = |text: &str| serde_json::from_str(text).expect("JSON");
        assert_eq!(schema.fits(&value(good), definition), Ok(()), "{definition}");
        assert_eq!(schema.fits(&value(bad), definition), Err(why.to_owned()));
    }
}

/// The fields that booth-report(5) describes, by definition.
fn manual() -> Vec<(String, Vec<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/booth-report.5");
    let text = std::fs::read_to_string(path).expect("the manual is there");
    let mut sections = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(".Ss ") {
            sections.push((name.to_owned(), Vec::new()));
        } else if line.starts_with(".Sh ") {
            sections.push((String::new(), Vec::new()));
        } else if let Some(field) = line.strip_prefix(".It Cm ") {
            if let Some((_, fields)) = sections.last_mut() {
                fields.push(field.to_owned());
            }
        }
    }
    sections
}

#[test]
fn the_manual_describes_every_field_and_no_other() {
    let manual = manual();
    for (name, definition) in Schema::read().root["$defs"].as_object().expect("definitions") {
        let Some(properties) = definition["properties"].as_object() else { continue };
        let described = manual.iter().find(|(section, _)| section == name);
        let (_, described) = described.unwrap_or_else(|| panic!("no section {name}"));
        let fields: BTreeSet<&String> = properties.keys().collect();
        assert_eq!(described.iter().collect::<BTreeSet<_>>(), fields, "{name}");
    }
}
