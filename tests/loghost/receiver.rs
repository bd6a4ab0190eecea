//! A log host of the test's own: it keeps what arrives, byte for byte.

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wait;

/// Listens until it is dropped.
pub struct Receiver {
    messages: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// On a port of the loopback, by `udp` or `tcp`.
    pub fn start(protocol: &str, port: u16) -> Self {
        let messages = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (all, end) = (Arc::clone(&messages), Arc::clone(&stop));
        let thread = match protocol {
            "udp" => {
                let socket = wait("port", || UdpSocket::bind(("127.0.0.1", port)).map_err(|e| e.to_string()));
                socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                std::thread::spawn(move || {
                    let mut buffer = vec![0; 65536];
                    while !end.load(Ordering::Relaxed) {
                        if let Ok(n) = socket.recv(&mut buffer) {
                            all.lock().unwrap().push(String::from_utf8(buffer[..n].to_vec()).unwrap());
                        }
                    }
                })
            }
            _ => {
                let host = wait("port", || TcpListener::bind(("127.0.0.1", port)).map_err(|e| e.to_string()));
                host.set_nonblocking(true).unwrap();
                std::thread::spawn(move || {
                    while !end.load(Ordering::Relaxed) {
                        let Ok((mut stream, _)) = host.accept() else {
                            std::thread::park_timeout(Duration::from_millis(5));
                            continue;
                        };
                        stream.set_nonblocking(false).unwrap();
                        stream.set_read_timeout(Some(crate::PATIENCE)).unwrap();
                        let mut text = String::new();
                        stream.read_to_string(&mut text).unwrap();
                        all.lock().unwrap().extend(split(&text));
                    }
                })
            }
        };
        Self { messages, stop, thread: Some(thread) }
    }

    /// The outcomes among what arrived.
    pub fn outcomes(&self) -> Vec<String> {
        let all = self.messages.lock().unwrap();
        all.iter().filter(|message| message.contains("result=")).cloned().collect()
    }

    /// All that arrived.
    pub fn all(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    /// Waits for so many outcomes, and returns them.
    #[track_caller]
    pub fn wait_outcomes(&self, count: usize) -> Vec<String> {
        wait(&format!("{count} outcomes"), || {
            let outcomes = self.outcomes();
            if outcomes.len() >= count { Ok(outcomes) } else { Err(format!("{:#?}", self.all())) }
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The messages of a stream: each begins with its length, or ends in a newline (RFC 6587).
fn split(mut stream: &str) -> Vec<String> {
    let mut messages = Vec::new();
    while !stream.is_empty() {
        let (message, rest) = match stream.split_once(' ') {
            Some((count, rest)) if count.bytes().all(|b| b.is_ascii_digit()) => {
                rest.split_at(count.parse().unwrap())
            }
            _ => stream.split_once('\n').expect("a message that ends"),
        };
        messages.push(message.to_owned());
        stream = rest;
    }
    messages
}
