// SPDX-License-Identifier: GPL-2.0-or-later
//! The page in Chromium, at the width of a telephone and of a desk: nothing is cut off, and the
//! page's policy lets its style through. The pictures are kept to be looked at.

use crate::tools::{Tools, NEEDS};
use booth_harness::{finish, run_for, test_name, until, Cluster, Exporter, Lab, Setup};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(200);
const SOON: Duration = Duration::from_secs(60);
const WIDTHS: [u32; 2] = [360, 1280];

/// Appended to the page, it writes into its document how wide it is, and how tall.
const MEASURE: &str = "<script>document.body.append('measured=' + \
                       document.documentElement.scrollWidth + '/' + innerWidth + '/' + \
                       getComputedStyle(document.querySelector('.card')).borderTopStyle + ';')\
                       </script>";

/// Runs the browser for a page; returns what it prints, and what its console says.
fn browse(tools: &Tools, width: u32, more: &[String], url: &str) -> (String, String) {
    let mut command = tools.command("chromium-headless-shell");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    command.args(["--disable-dev-shm-usage", "--no-first-run", "--user-data-dir=/tmp/profile"]);
    command.args(["--disable-background-networking", "--disable-component-update"]);
    command.args(["--enable-logging=stderr", "--virtual-time-budget=2000"]);
    command.arg(format!("--window-size={width},1700")).args(more).arg(url);
    let told = finish(&mut command, SOON).expect_code(0);
    (told.stdout, told.stderr)
}

/// Serves one document to everybody, with or without a policy.
fn serve(document: String, policy: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let head = format!(
                "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n{policy}Content-Length: {}\r\n\r\n",
                document.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(document.as_bytes());
        }
    });
    address
}

/// A cluster with a past and a trouble, and names as long as they come.
fn eventful(lab: &Lab) -> (Cluster<'_>, Exporter) {
    let long = "ticket-with-a-name-of-sixty-three-bytes-which-is-the-most-there";
    let tickets = ["t1", "web-and-mail", long].map(|name| booth_harness::setup_ticket(name, ""));
    let setup = Setup::usual().with_key().tickets(tickets.concat());
    let mut cluster = Cluster::started(lab, &setup);
    cluster.grant(0, &[0, 1, 2]);
    cluster.booth(1, &["grant", "web-and-mail"]).expect_code(0);
    cluster.booth(0, &["revoke", "-w", "t1"]).expect_code(0);
    cluster.grant(1, &[0, 1, 2]);
    cluster.kill(2);
    let exporter = Exporter::start(lab, &cluster.config, cluster.address(0));
    (cluster, exporter)
}

#[test]
fn the_page_fits_on_a_telephone_and_on_a_desk() {
    run_for(test_name!(), NEEDS, LIMIT, |lab| {
        let tools = Tools::ready(lab);
        let (_cluster, exporter) = eventful(lab);
        let page = until(SOON, "all of the past is there", || {
            let page = exporter.get("/").body;
            (page.matches("<rect").count() >= 6).then_some(page)
        });
        let url = format!("http://{}/", exporter.address);
        let keep = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        for width in WIDTHS {
            let picture = lab.dir().join(format!("see-{width}.png"));
            let more = [format!("--screenshot={}", picture.display())];
            let (_, console) = browse(&tools, width, &more, &url);
            let refused = "Content Security Policy";
            assert!(!console.contains(refused), "{width}: {console}");
            let bytes = std::fs::read(&picture).expect("a picture");
            assert_eq!(bytes[16..20], width.to_be_bytes(), "its width");
            let kept = keep.join(format!("see-{width}.png"));
            std::fs::copy(&picture, &kept).expect("kept");
            booth_harness::report(&format!("look at {}", kept.display()));
            let at = serve(page.clone() + MEASURE, "");
            let more = ["--dump-dom".to_owned()];
            let (dom, _) = browse(&tools, width, &more, &format!("http://{at}/"));
            let wanted = format!("measured={width}/{width}/solid;");
            let found = dom.split("measured=").last().and_then(|rest| rest.split(';').next());
            assert!(dom.contains(&wanted), "{wanted} but {found:?}");
        }
        // The same with another policy: the console would say it.
        let policy = "Content-Security-Policy: default-src 'none'\r\n";
        let at = serve(page, policy);
        let (_, console) =
            browse(&tools, 360, &["--dump-dom".to_owned()], &format!("http://{at}/"));
        assert!(console.contains("Content Security Policy"), "{console}");
    });
}
