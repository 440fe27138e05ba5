// SPDX-License-Identifier: GPL-2.0-or-later
//! A small reader of JSON, enough for the captures. Panics on anything that is not JSON: the
//! files are ours.

/// Containers inside each other; the captures need six.
const DEPTH_MAX: usize = 16;

/// A value. Numbers stay text, because the captures have 32-bit integers and times.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(text: &str) -> Json {
        let mut parser = Parser { bytes: text.as_bytes(), at: 0 };
        let value = parser.value(0);
        parser.skip_space();
        assert_eq!(parser.at, parser.bytes.len(), "text after the JSON value");
        value
    }

    /// The member of an object, if it is there and not null.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => {
                let found = members.iter().find(|(name, _)| name == key).map(|(_, value)| value);
                found.filter(|value| **value != Json::Null)
            }
            other => panic!("{key} of {other:?}"),
        }
    }

    pub fn at(&self, key: &str) -> &Json {
        self.get(key).unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }

    pub fn text(&self) -> &str {
        match self {
            Json::Text(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    pub fn list(&self) -> &[Json] {
        match self {
            Json::List(values) => values,
            other => panic!("{other:?} is no list"),
        }
    }

    pub fn members(&self) -> &[(String, Json)] {
        match self {
            Json::Object(members) => members,
            other => panic!("{other:?} is no object"),
        }
    }

    pub fn u32(&self) -> u32 {
        match self {
            Json::Number(digits) => digits.parse().expect("a 32-bit number"),
            other => panic!("{other:?} is no number"),
        }
    }

    pub fn bool(&self) -> bool {
        match self {
            Json::Bool(value) => *value,
            other => panic!("{other:?} is no truth value"),
        }
    }

    /// Bytes written as hexadecimal digits.
    pub fn hex(&self) -> Vec<u8> {
        let digits = self.text().as_bytes();
        assert_eq!(digits.len() % 2, 0, "hexadecimal digits come in pairs");
        let value = |digit: u8| char::from(digit).to_digit(16).expect("a hexadecimal digit");
        let pairs = digits.chunks(2).map(|pair| value(pair[0]) * 16 + value(pair[1]));
        pairs.map(|byte| u8::try_from(byte).expect("two digits make a byte")).collect()
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn skip_space(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> u8 {
        self.skip_space();
        *self.bytes.get(self.at).expect("the JSON text goes on")
    }

    fn take(&mut self, wanted: u8) {
        let found = self.peek();
        assert_eq!(char::from(found), char::from(wanted), "at byte {}", self.at);
        self.at += 1;
    }

    fn word(&mut self, word: &str, value: Json) -> Json {
        assert!(self.bytes[self.at..].starts_with(word.as_bytes()), "at byte {}", self.at);
        self.at += word.len();
        value
    }

    fn value(&mut self, depth: usize) -> Json {
        assert!(depth < DEPTH_MAX, "nested too deeply at byte {}", self.at);
        match self.peek() {
            b'n' => self.word("null", Json::Null),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'"' => Json::Text(self.string()),
            b'[' => self.list(depth),
            b'{' => self.object(depth),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: usize) -> Json {
        let mut values = Vec::new();
        self.take(b'[');
        while self.peek() != b']' {
            if !values.is_empty() {
                self.take(b',');
            }
            values.push(self.value(depth + 1));
        }
        self.take(b']');
        Json::List(values)
    }

    fn object(&mut self, depth: usize) -> Json {
        let mut members = Vec::new();
        self.take(b'{');
        while self.peek() != b'}' {
            if !members.is_empty() {
                self.take(b',');
            }
            self.skip_space();
            let name = self.string();
            self.take(b':');
            members.push((name, self.value(depth + 1)));
        }
        self.take(b'}');
        Json::Object(members)
    }

    fn number(&mut self) -> Json {
        let start = self.at;
        let belongs = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
        while self.bytes.get(self.at).is_some_and(belongs) {
            self.at += 1;
        }
        assert!(self.at > start, "no JSON value at byte {start}");
        Json::Number(String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned())
    }

    fn string(&mut self) -> String {
        self.take(b'"');
        let mut text = Vec::new();
        loop {
            match self.bytes[self.at] {
                b'"' => break,
                b'\\' => self.escape(&mut text),
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        String::from_utf8(text).expect("JSON is UTF-8")
    }

    fn escape(&mut self, text: &mut Vec<u8>) {
        let letter = self.bytes[self.at + 1];
        self.at += 2;
        match letter {
            b'n' => text.push(b'\n'),
            b't' => text.push(b'\t'),
            b'r' => text.push(b'\r'),
            b'u' => {
                let digits = std::str::from_utf8(&self.bytes[self.at..self.at + 4]).expect("ASCII");
                let code = u32::from_str_radix(digits, 16).expect("four hexadecimal digits");
                let letter = char::from_u32(code).expect("the captures have no surrogates");
                text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                self.at += 4;
            }
            b'"' | b'\\' | b'/' => text.push(letter),
            other => panic!("escape {:?} at byte {}", char::from(other), self.at),
        }
    }
}

#[test]
fn reads_what_the_captures_are_made_of() {
    let json =
        Json::parse(r#"{"a": [1, -2.5e1, null, true], "b": {"c": "x\n\t\"\u00e9\\"}, "d": []}"#);
    assert_eq!(json.at("a").list()[0].u32(), 1);
    assert_eq!(json.at("a").list()[1], Json::Number("-2.5e1".to_owned()));
    assert_eq!(json.at("a").list()[2], Json::Null);
    assert!(json.at("a").list()[3].bool());
    assert_eq!(json.at("b").at("c").text(), "x\n\t\"é\\");
    assert_eq!(json.at("d").list(), &[]);
    assert_eq!(json.get("e"), None);
    assert_eq!(Json::Text("00fF".to_owned()).hex(), [0, 255]);
}
