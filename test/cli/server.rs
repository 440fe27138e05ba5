// SPDX-License-Identifier: GPL-2.0-or-later
//! A daemon that follows a script, whatever it is asked.

use booth::wire::HEADER_LEN;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// One step of a connection, after the request has been read. At the end it is closed.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends what this makes of the request.
    Answer(fn(&[u8]) -> Vec<u8>),
    /// Lets this time pass.
    Pause(Duration),
    /// Waits until the client closes its end.
    Hold,
}

/// The steps of one connection.
pub type Script = Vec<Step>;

/// A running script. It ends with its last connection, or with the test.
pub struct Server {
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    /// Follows one script for each connection; then nobody listens any more.
    pub fn start(listener: TcpListener, scripts: Vec<Script>) -> Server {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for script in scripts {
                let Ok((stream, _)) = listener.accept() else { return };
                let seen = Arc::clone(&seen);
                thread::spawn(move || serve(stream, &script, &seen));
            }
        });
        Server { requests }
    }

    /// The requests so far, in their order.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.requests.lock().expect("no panic while it was held").clone()
    }
}

fn serve(mut stream: TcpStream, script: &[Step], seen: &Mutex<Vec<Vec<u8>>>) {
    let request = read_request(&mut stream);
    seen.lock().expect("no panic while it was held").push(request.clone());
    for step in script {
        match step {
            // A client that left early is the subject of some tests.
            Step::Send(bytes) => {
                let _ = stream.write_all(bytes);
            }
            Step::Answer(make) => {
                let _ = stream.write_all(&make(&request));
            }
            Step::Pause(time) => {
                let end = Instant::now() + *time;
                while let Some(left) = end.checked_duration_since(Instant::now()) {
                    thread::sleep(left);
                }
            }
            Step::Hold => {
                let _ = stream.read(&mut [0u8; 1]);
            }
        }
    }
}

/// A whole request; the length stands in its header.
fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = vec![0u8; HEADER_LEN];
    stream.read_exact(&mut request).expect("a client sends a header");
    let length = request[24..28].iter().fold(0usize, |sum, byte| sum * 256 + usize::from(*byte));
    let mut rest = vec![0u8; length - HEADER_LEN];
    stream.read_exact(&mut rest).expect("a client sends what it announces");
    request.extend(rest);
    request
}
