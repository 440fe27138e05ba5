// SPDX-License-Identifier: GPL-2.0-or-later
//! Prometheus from Debian: it takes our metrics and our rules, and follows a ticket to another
//! site.

use crate::tools::{Running, Tools, NEEDS};
use booth_harness::{finish, http, run_for, test_name, until, Cluster, Exporter, Lab, Setup};
use serde_json::Value;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(150);
const SOON: Duration = Duration::from_secs(60);
/// Where Prometheus listens.
const AT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/monitoring");

fn rules(lab: &Lab) -> String {
    let text = std::fs::read(format!("{MONITORING}/booth-rules.yml")).expect("our rules");
    lab.write("booth-rules.yml", text, 0o644)
}

/// The value of an expression that has exactly one; `None` if there is none.
fn value(expression: &str) -> Option<f64> {
    let mut query = String::new();
    for byte in expression.bytes() {
        query += &format!("%{byte:02x}");
    }
    let found = api(&format!("query?query={query}"));
    let results = found["data"]["result"].as_array().unwrap_or_else(|| panic!("{found}"));
    assert!(results.len() <= 1, "{expression}: {found}");
    results.first()?["value"][1].as_str()?.parse().ok()
}

fn api(what: &str) -> Value {
    let request = format!("GET /api/v1/{what} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let page = http(AT, request.as_bytes());
    serde_json::from_str(&page.body).unwrap_or_else(|error| panic!("{error}: {page:?}"))
}

#[test]
fn promtool_finds_nothing_to_say_about_metrics_and_rules() {
    run_for(test_name!(), NEEDS, LIMIT, |lab| {
        let tools = Tools::ready(lab);
        let mut check = tools.command("promtool");
        let told = finish(check.args(["check", "rules", &rules(lab)]), SOON).expect_code(0);
        assert!(told.stdout.contains("SUCCESS: "), "{told:?}");
        let mut cluster = Cluster::started(lab, &Setup::usual().with_key());
        cluster.grant(0, &[0, 1, 2]);
        let check = |text: &str| {
            let mut check = tools.command("promtool");
            check.args(["check", "metrics"]).stdin(Stdio::piped());
            let mut child = check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            let child = child.as_mut().expect("promtool starts");
            let stdin = child.stdin.take();
            stdin.expect("it is piped").write_all(text.as_bytes()).expect("it reads");
            let status = child.wait().expect("it ends");
            let mut said = String::new();
            for stream in [
                child.stdout.take().map(|s| Box::new(s) as Box<dyn std::io::Read>),
                child.stderr.take().map(|s| Box::new(s) as Box<dyn std::io::Read>),
            ] {
                let mut stream = stream.expect("it is piped");
                stream.read_to_string(&mut said).expect("text");
            }
            (status.success(), said)
        };
        for member in 0..3 {
            let text = cluster.booth(member, &["metrics"]).expect_code(0).stdout;
            assert_eq!(check(&text), (true, String::new()), "member {member}");
        }
        cluster.kill(0);
        let text = cluster.booth(0, &["metrics"]).expect_code(1).stdout;
        assert_eq!(check(&text), (true, String::new()), "of a dead member");
        let (fine, said) = check("# TYPE booth_x counter\nbooth_x 1\n");
        assert!(!fine && said.contains("booth_x"), "it sees mistakes: {said}");
    });
}

#[test]
fn prometheus_follows_a_ticket_to_another_site() {
    run_for(test_name!(), NEEDS, LIMIT, |lab| {
        let tools = Tools::ready(lab);
        let mut cluster = Cluster::started(lab, &Setup::usual().with_key());
        let exporters =
            [0, 1, 2].map(|member| Exporter::start(lab, &cluster.config, cluster.address(member)));
        let targets: Vec<String> = exporters.iter().map(|e| format!("'{}'", e.address)).collect();
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
             rule_files: ['{}']\n\
             scrape_configs:\n  - job_name: booth\n    static_configs:\n      - targets: [{}]\n",
            rules(lab),
            targets.join(", ")
        );
        let config = lab.write("prometheus.yml", config, 0o644);
        let log = std::fs::File::create(lab.dir().join("prometheus.log")).expect("a log");
        let mut command = tools.command("prometheus");
        command.arg(format!("--config.file={config}")).arg(format!("--web.listen-address={AT}"));
        command.arg(format!("--storage.tsdb.path={}", lab.dir().join("tsdb").display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let _prometheus = Running(command.spawn().expect("prometheus starts"));
        until(SOON, "prometheus listens", || std::net::TcpStream::connect(AT).ok());
        until(SOON, "prometheus is ready", || {
            let page = http(AT, b"GET /-/ready HTTP/1.0\r\nHost: localhost\r\n\r\n");
            (page.status == 200).then_some(())
        });
        let wait = |expression: &str, wanted: f64| {
            until(SOON, &format!("{expression} is {wanted}"), || {
                (value(expression) == Some(wanted)).then_some(())
            });
        };
        wait("sum(up{job=\"booth\"})", 3.0);
        wait("sum(booth_up)", 3.0);
        let held = |member: usize| {
            let instance = exporters[member].address;
            format!("booth_ticket_held{{ticket=\"t1\",instance=\"{instance}\"}}")
        };
        cluster.grant(0, &[0, 1, 2]);
        wait(&held(0), 1.0);
        wait("sum(booth_ticket_lease_left_seconds) > bool 0", 1.0);
        cluster.kill(0);
        wait("sum(booth_up)", 2.0);
        wait(&held(1), 1.0);
        wait(&format!("absent({})", held(0)), 1.0);
        // Nobody has ever seen two holders.
        wait("max_over_time(sum(booth_ticket_held)[2m:1s])", 1.0);
        // The members need longer to call the dead one unreachable.
        until(SOON, "one rule has noticed, and nothing else is wrong", || {
            let told = api("alerts");
            let alerts = told["data"]["alerts"].as_array().expect("alerts");
            let names: Vec<&Value> = alerts.iter().map(|a| &a["labels"]["alertname"]).collect();
            (names == ["BoothDown"]).then_some(())
        });
    });
}
