// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth exporter`: its answers while a ticket moves, its bounds, and how often it asks.

use booth_harness::{run, run_for, test_name, until, Cluster, Exporter, Setup, PORT};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn the_status_of_a_ticket_follows_it_to_another_site() {
    run_for(test_name!(), &[], LIMIT, |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual().with_key());
        let at = |cluster: &Cluster<'_>, member: usize| {
            Exporter::start(lab, &cluster.config, cluster.address(member))
        };
        let [first, second, arbitrator] = [0, 1, 2].map(|member| at(&cluster, member));
        let status = |exporter: &Exporter| exporter.get("/ticket/t1").status;
        let both = || (status(&first), status(&second));
        assert_eq!(both(), (503, 503));
        cluster.grant(0, &[0, 1, 2]);
        until(SOON, "site 0 holds t1", || (both() == (200, 503)).then_some(()));
        assert_eq!(status(&arbitrator), 503);
        let other = format!("not held here; {} has it\n", cluster.address(0));
        until(SOON, "site 1 knows who has it", || {
            (second.get("/ticket/t1").body == other).then_some(())
        });
        for method in ["HEAD", "OPTIONS"] {
            for (exporter, code) in [(&first, 200), (&second, 503)] {
                let page = exporter.ask(method, "/ticket/%741");
                assert_eq!((page.status, page.body.as_str()), (code, ""), "{method}");
                assert!(page.head.contains("\r\nAllow: GET, HEAD, OPTIONS"), "{}", page.head);
            }
        }
        assert_eq!(first.get("/ticket/t2").status, 404);
        assert_eq!(first.get("/nothing").status, 404);
        assert_eq!(first.ask("POST", "/ticket/t1").status, 405);
        let report: Value = serde_json::from_str(&first.get("/report").body).expect("JSON");
        assert_eq!(report["member"]["address"], cluster.address(0).to_string());
        let metrics = first.get("/metrics");
        assert!(metrics.head.contains("\r\nContent-Type: text/plain; version=0.0.4"));
        assert!(metrics.body.contains("\nbooth_ticket_held{ticket=\"t1\"} 1\n"));
        cluster.kill(0);
        until(SOON, "site 1 holds t1", || {
            let both = both();
            assert_ne!(both, (200, 200), "two sites hold it");
            (both == (503, 200)).then_some(())
        });
        assert!(first.get("/metrics").body.ends_with("\nbooth_up 0\n"));
        let silent = first.get("/report");
        assert_eq!(silent.status, 503);
        assert!(silent.body.contains("Connection refused"), "{}", silent.body);
        the_page_tells_of_it(&cluster, &second);
    });
}

/// After the failover from the first site to the second one.
fn the_page_tells_of_it(cluster: &Cluster<'_>, exporter: &Exporter) {
    let [before, now] = [0, 1].map(|member| cluster.address(member).to_string());
    let page = exporter.get("/");
    assert!(page.body.contains(&format!("held by <strong>{now}</strong>")), "{}", page.body);
    assert!(page.body.contains("1 thing needs attention."), "{}", page.body);
    let line = page.body.lines().find(|line| line.contains(" until now"));
    let line = line.unwrap_or_else(|| panic!("a time line in {}", page.body));
    let words = line.split("aria-label=\"").nth(1).and_then(|rest| rest.split('"').next());
    let (first, second) = words.and_then(|words| words.split_once("; ")).expect("two tenures");
    assert!(first.starts_with(&before) && first.ends_with(" ago"), "{line}");
    assert!(second.starts_with(&now) && second.ends_with(" until now"), "{line}");
    assert_eq!(line.matches("<rect").count(), 2, "{line}");
    // Nothing runs, and nothing comes from elsewhere.
    for part in ["<script", "javascript:", " onload", " onclick", "http://", "https://", " style="]
    {
        assert!(!page.body.contains(part), "{part} in {}", page.body);
    }
    let style = page.body.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next());
    let digest = digest(style.expect("a style"));
    let policy =
        format!("\r\nContent-Security-Policy: default-src 'none'; style-src 'sha256-{digest}'; ");
    assert!(page.head.contains(&policy), "not {policy} in {}", page.head);
}

/// SHA-256 in base64.
fn digest(text: &str) -> String {
    let mut command = Command::new("sha256sum");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let told = child.wait_with_output().expect("it ends").stdout;
    let hex = std::str::from_utf8(&told[..64]).expect("hexadecimal digits");
    let bit = |at: usize| {
        let digit = hex
            .as_bytes()
            .get(at / 4)
            .map_or(0, |digit| char::from(*digit).to_digit(16).expect("a digit"));
        digit >> (3 - at % 4) & 1
    };
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let six = |at: usize| (at..at + 6).fold(0, |value, at| value << 1 | bit(at));
    let text: String = (0..43).map(|at| char::from(alphabet[six(at * 6) as usize])).collect();
    text + "="
}

/// A member that counts who asks it, and answers nobody.
struct Counting {
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Counting {
    fn serve(&self, listener: &TcpListener) {
        std::thread::scope(|scope| {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                scope.spawn(move || {
                    self.asked.fetch_add(1, Ordering::SeqCst);
                    let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
                    self.most_at_once.fetch_max(now, Ordering::SeqCst);
                    let mut request = [0; 2048];
                    let _ = stream.read(&mut request);
                    std::thread::sleep(Duration::from_millis(100));
                    self.at_once.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    }
}

#[test]
fn however_many_ask_it_asks_once_a_second_and_one_at_a_time() {
    run(test_name!(), &[], |lab| {
        let cluster = Cluster::new(lab, &Setup::usual());
        let member = cluster.address(0);
        let listener = TcpListener::bind((member, PORT)).expect("the member's port");
        let counting: &Counting = Box::leak(Box::new(Counting {
            asked: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        }));
        std::thread::spawn(move || counting.serve(&listener));
        let exporter = Exporter::start(lab, &cluster.config, member);
        assert_eq!(counting.asked.load(Ordering::SeqCst), 0, "nobody has asked yet");
        let begun = Instant::now();
        let answered = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for number in 0..12 {
                let (exporter, answered) = (&exporter, &answered);
                scope.spawn(move || {
                    let path = ["/metrics", "/ticket/t1", "/report", "/"][number % 4];
                    while begun.elapsed() < Duration::from_secs(4) {
                        exporter.get(path);
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let seconds = usize::try_from(begun.elapsed().as_secs()).expect("few") + 2;
        let asked = counting.asked.load(Ordering::SeqCst);
        // A connection without an answer is tried once more with `list`.
        assert!((4..=2 * seconds).contains(&asked), "asked {asked} times in {seconds} s");
        assert_eq!(counting.most_at_once.load(Ordering::SeqCst), 1);
        let answered = answered.load(Ordering::SeqCst);
        assert!(answered > 50, "only {answered} answers");
    });
}

#[test]
fn silent_and_endless_clients_are_bounded() {
    run(test_name!(), &[], |lab| {
        let cluster = Cluster::new(lab, &Setup::usual());
        let exporter = Exporter::start(lab, &cluster.config, cluster.address(0));
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000));
        assert_eq!(exporter.send(endless.as_bytes()).status, 431);
        assert_eq!(exporter.send(b"nonsense\r\n\r\n").status, 400);
        let silent: Vec<TcpStream> =
            (0..8).map(|_| TcpStream::connect(exporter.address).expect("it listens")).collect();
        for mut stream in silent {
            let mut answer = Vec::new();
            let _ = stream.set_read_timeout(Some(SOON));
            let end = stream.read_to_end(&mut answer);
            assert!(answer.is_empty() && !matches!(end, Ok(1..)), "{answer:?} {end:?}");
        }
        // Those who go away in the middle leave nothing behind.
        for _ in 0..20 {
            let mut stream = TcpStream::connect(exporter.address).expect("it listens");
            stream.write_all(b"GET / HT").expect("sent");
        }
        assert_eq!(exporter.get("/ticket/none").status, 404);
    });
}

/// The status of the ticket, which has to come within a second.
#[track_caller]
fn ticket_soon(exporter: &Exporter) -> u16 {
    let begun = Instant::now();
    let status = exporter.get("/ticket/t1").status;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "answered after {took:?}");
    status
}

/// One that has said only this, and reads nothing; the kernel takes little for it.
fn slow(at: SocketAddr, said: &str) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(2048).expect("a small buffer");
    // With the large segments of loopback, the other end would have a large one.
    socket.set_mss(536).expect("small segments");
    socket.connect(&at.into()).expect("it listens");
    (&socket).write_all(said.as_bytes()).expect("sent");
    socket
}

#[test]
fn slow_clients_keep_nobody_from_the_status_of_a_ticket() {
    run(test_name!(), &[], |lab| {
        let many = (0..400).map(|number| format!("ticket = \"t{number:060}\"\n"));
        let tickets = format!("ticket = \"t1\"\n{}", many.collect::<String>());
        let cluster = Cluster::new(lab, &Setup::usual().tickets(tickets));
        let exporter = Exporter::start(lab, &cluster.config, cluster.address(0));
        assert!(exporter.get("/").body.len() > 100_000, "more than the kernel takes");
        // More than have a place as well.
        for count in [40, 100] {
            let open = |said: &str| -> Vec<Socket> {
                (0..count).map(|_| slow(exporter.address, said)).collect()
            };
            let asking = open("GET");
            assert_eq!(ticket_soon(&exporter), 503);
            drop(asking);
            let reading = open("GET / HTTP/1.1\r\n\r\n");
            assert_eq!(ticket_soon(&exporter), 503);
            // Until the answers come.
            let has_come = |socket: &&Socket| {
                let _ = socket.set_read_timeout(Some(SOON));
                matches!((&mut &**socket).read(&mut [0; 4]), Ok(4))
            };
            assert!(reading.iter().filter(has_come).count() >= 32, "{count} wanted the page");
            assert_eq!(ticket_soon(&exporter), 503);
            drop(reading);
            let leaving = open("GET /ticket/t1 HTTP/1.1\r\n\r\n");
            assert_eq!(ticket_soon(&exporter), 503);
            drop(leaving);
        }
    });
}

#[test]
fn pages_that_wait_for_a_silent_member_keep_nobody_from_the_status_of_a_ticket() {
    run(test_name!(), &[], |lab| {
        let cluster = Cluster::started(lab, &Setup::usual().with_key());
        cluster.grant(0, &[0, 1, 2]);
        let exporter = Exporter::start(lab, &cluster.config, cluster.address(0));
        cluster.members[1].signal("STOP");
        std::thread::scope(|scope| {
            let begun = Instant::now();
            let pages: Vec<_> = (0..12).map(|_| scope.spawn(|| exporter.get("/"))).collect();
            while begun.elapsed() < Duration::from_secs(2) {
                for path in ["/ticket/t1", "/metrics", "/report"] {
                    let asked = Instant::now();
                    assert_eq!(exporter.get(path).status, 200, "{path}");
                    let took = asked.elapsed();
                    assert!(took < Duration::from_secs(1), "{path} after {took:?}");
                }
            }
            for page in pages {
                let page = page.join().expect("an answer");
                assert_eq!(page.status, 200);
                assert!(page.body.contains("silent"), "{}", page.body);
            }
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(8), "all pages after {took:?}");
        });
        cluster.members[1].signal("CONT");
    });
}

/// A page from elsewhere whose name its owner points here must not read what is served here.
#[test]
fn on_a_loopback_address_names_of_others_are_refused() {
    run(test_name!(), &[], |lab| {
        let cluster = Cluster::new(lab, &Setup::usual());
        let member = cluster.address(0);
        let status = |exporter: &Exporter, header: &str| {
            let page = exporter.send(format!("GET /metrics HTTP/1.1\r\n{header}\r\n").as_bytes());
            assert!(page.head.contains("\r\nX-Frame-Options: DENY"), "{}", page.head);
            (page.status, page.body)
        };
        let local = Exporter::start(lab, &cluster.config, member);
        let everywhere = Exporter::start_at(lab, &cluster.config, member, Ipv4Addr::UNSPECIFIED);
        let port = local.address.port();
        for header in ["", "Host: localhost\r\n", "Host: [::1]\r\n"] {
            assert_eq!(status(&local, header).0, 200, "{header}");
        }
        assert_eq!(status(&local, &format!("Host: 127.0.0.1:{port}\r\n")).0, 200);
        assert_eq!(local.send(b"OPTIONS * HTTP/1.0\r\n\r\n").status, 200);
        let named = format!("Host: evil.example.com:{port}\r\n");
        let (refused, why) = status(&local, &named);
        assert_eq!(refused, 403);
        assert!(why.contains("use localhost or an address"), "{why}");
        assert_eq!(status(&everywhere, &named).0, 200);
    });
}

#[test]
fn an_exporter_that_cannot_start_says_why() {
    run(test_name!(), &[], |lab| {
        let cluster = Cluster::new(lab, &Setup::usual());
        let holder = TcpListener::bind((cluster.address(0), 0)).expect("a port");
        let taken = holder.local_addr().expect("an address").to_string();
        let told = cluster.booth(0, &["exporter", "-L", &taken]).expect_code(1);
        drop(holder);
        assert!(told.stderr.contains(&format!("cannot listen on {taken}: ")), "{told:?}");
        let told = cluster.booth(0, &["exporter", "-L", "9930"]).expect_code(1);
        assert!(told.stderr.contains("\"9930\" is no address with a port"), "{told:?}");
        let told = cluster.booth(0, &["list", "-L", "127.0.0.1:1"]).expect_code(1);
        assert!(told.stderr.contains("use \"-L\" only for exporter"), "{told:?}");
    });
}
