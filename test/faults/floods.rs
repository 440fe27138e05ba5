// SPDX-License-Identifier: GPL-2.0-or-later
//! Too much of everything: datagrams, connections, log lines that nobody reads.

use crate::watch::{grant, holding, keeps, list_time, never_two, NEEDS};
use booth_harness::{pass, run, test_name, under_test, until, Cluster, Packet, Setup, PORT};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(2);
/// Clients that say nothing, at one member.
const IDLE_CLIENTS: usize = 300;

/// Sends datagrams to a member as fast as it goes, until told to stop; returns how many.
fn flood(
    from: Ipv4Addr,
    to: Ipv4Addr,
    stop: Arc<AtomicBool>,
    make: impl Fn(u64) -> Vec<u8> + Send + 'static,
) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || {
        let socket = UdpSocket::bind((from, 0)).expect("a socket");
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            // A full buffer is what a flood means.
            let _ = socket.send_to(&make(count), (to, PORT));
            count += 1;
            if count % 50 == 0 {
                pass(Duration::from_millis(1));
            }
        }
        count
    })
}

/// Something that goes on in a thread until it is dropped.
pub struct Nuisance {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<u64>>,
}

impl Drop for Nuisance {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // How much it was does not matter here.
            let _ = thread.join();
        }
    }
}

/// Garbage datagrams to a member.
pub fn noise(from: Ipv4Addr, to: Ipv4Addr) -> Nuisance {
    let stop = Arc::new(AtomicBool::new(false));
    let thread = flood(from, to, Arc::clone(&stop), |count| {
        let length = usize::try_from(count * 7919 % 300).unwrap_or(0);
        (0..length).map(|at| u8::try_from((at * 31 + length * 17) % 256).unwrap_or(0)).collect()
    });
    Nuisance { stop, thread: Some(thread) }
}

/// Clients that connect to a member and say nothing.
pub fn idle(to: Ipv4Addr) -> Nuisance {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let mut open = Vec::new();
        let mut count = 0;
        while !told.load(Ordering::Relaxed) {
            let limit = Duration::from_millis(100);
            if open.len() < IDLE_CLIENTS {
                open.extend(TcpStream::connect_timeout(&SocketAddrV4::new(to, PORT).into(), limit));
                count += 1;
            }
            if open.len() == IDLE_CLIENTS || count % 20 == 0 {
                pass(limit);
            }
        }
        count
    });
    Nuisance { stop, thread: Some(thread) }
}

/// Floods the holder and a follower for some time and checks that nothing changes.
fn nothing_changes(cluster: &Cluster, from: Ipv4Addr, make: fn(&Cluster, u64) -> Vec<u8>) {
    let stop = Arc::new(AtomicBool::new(false));
    // Made beforehand: a thread cannot borrow the cluster.
    let samples: Vec<Vec<u8>> = (0..997).map(|number| make(cluster, number)).collect();
    let floods: Vec<_> = [0, 1]
        .into_iter()
        .map(|member| {
            let samples = samples.clone();
            let pick = move |count: u64| samples[usize::try_from(count % 997).unwrap_or(0)].clone();
            flood(from, cluster.address(member), Arc::clone(&stop), pick)
        })
        .collect();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        keeps(cluster, 0, Duration::from_millis(300));
        assert!(list_time(cluster, 0) < SOON);
    }
    stop.store(true, Ordering::Relaxed);
    for thread in floods {
        let count = thread.join().expect("the flood ends");
        assert!(count > 10_000, "only {count} datagrams");
    }
    cluster.wait_leader(&[0, 1, 2], 0, Duration::from_secs(8));
    never_two(cluster);
}

#[test]
fn garbage() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = holding(lab, &Setup::usual());
        nothing_changes(&cluster, lab.address(200), |_, number| {
            let length = usize::try_from(number * 7919 % 300).unwrap_or(0);
            (0..length).map(|at| u8::try_from((at * 31 + length * 17) % 256).unwrap_or(0)).collect()
        });
    });
}

#[test]
fn well_formed_lies_of_somebody_who_has_no_key() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = holding(lab, &Setup::usual().with_key());
        nothing_changes(&cluster, lab.address(200), |cluster, number| {
            let term = u32::try_from(number).unwrap_or(0);
            let id = cluster.id(1);
            let kinds = ["HrtB", "UpdE", "RVot", "Revk", "VtFr", "Ack.", "MIdx", "Stat", "RJC!"];
            let kind = kinds[usize::try_from(number % 9).unwrap_or(0)];
            let packet = Packet::new(id, kind).ticket("t1", id, term, 10);
            packet.seal((number % 2 == 0).then_some(&b"not the key of these tests"[..]))
        });
    });
}

#[test]
fn silent_connections() {
    run(test_name!(), NEEDS, |lab| {
        let cluster = holding(lab, &Setup::usual());
        let address = SocketAddrV4::new(cluster.address(0), PORT);
        let mut open = Vec::new();
        for number in 0..400 {
            let limit = Duration::from_millis(200);
            let Ok(mut stream) = TcpStream::connect_timeout(&address.into(), limit) else {
                continue;
            };
            if number % 2 == 0 {
                // Half a request; the other half never comes.
                let _ = stream.write_all(&[0; 20]);
            }
            open.push(stream);
        }
        assert!(open.len() > 100, "only {} connections", open.len());
        // They are closed after two seconds; then there is room again.
        until(Duration::from_secs(6), "a client is served", || {
            let answers = cluster.ask(0, &cluster.request(0, "CLst", ""), SOON);
            (answers.packets.len() == 1).then_some(())
        });
        keeps(&cluster, 0, Duration::from_secs(6));
    });
}

#[test]
fn a_log_that_nobody_reads() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        cluster.start(1);
        cluster.start(2);
        // Site 0 by hand: its standard error is a pipe that is never read.
        let mut command = under_test().command(lab, "boothd", Some(&cluster.crm(0).bin()));
        command.args(["daemon", "-D", "-D", "-S", "-c", &cluster.config, "-l"]);
        command.arg(cluster.members[0].lock_file());
        command.args(["-s", &cluster.address(0).to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = child.spawn().expect("the daemon can be started");
        until(Duration::from_secs(10), "it is up", || {
            let text = std::fs::read_to_string(cluster.members[0].lock_file()).unwrap_or_default();
            text.contains("booth_state=started").then_some(())
        });
        grant(&cluster, 0);
        let stop = Arc::new(AtomicBool::new(false));
        let noise = flood(lab.address(200), cluster.address(0), Arc::clone(&stop), |count| {
            vec![0x5F; usize::try_from(count % 200).unwrap_or(0)]
        });
        keeps(&cluster, 0, Duration::from_secs(8));
        assert!(list_time(&cluster, 0) < SOON);
        stop.store(true, Ordering::Relaxed);
        noise.join().expect("the flood ends");
        child.kill().expect("it runs");
        child.wait().expect("it was killed");
    });
}
