//! What a log host gets from the shipped daemon, over UDP and TCP, in RFC 3164 and RFC 5424.
//!
//! [`plain`] runs everywhere: the log host is a socket of the test, and bytes are compared. [`real`] asks
//! rsyslogd what it makes of them; where it is missing a test says so and passes, but fails with
//! `ZMIGRATE_REAL` or `CI` set. All traffic stays on the loopback.

#![cfg(target_os = "linux")]

mod daemon;
#[path = "../harness/mod.rs"]
mod harness;
mod plain;
mod real;
mod receiver;
mod rsyslogd;

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Every way to speak.
const WAYS: [(&str, &str); 4] =
    [("udp", "rfc3164"), ("udp", "rfc5424"), ("tcp", "rfc3164"), ("tcp", "rfc5424")];

/// Waits for something to be there.
#[track_caller]
fn wait<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) => assert!(start.elapsed() < PATIENCE, "no {what}, but:\n{instead}"),
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A port of the loopback on which nobody listens, by neither protocol: below those that the system gives to clients, and
/// not given to another test.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = std::process::id() * 37 + NEXT.fetch_add(1, Ordering::Relaxed);
        let address = ("127.0.0.1", 20_000 + (n % 12_000) as u16);
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return address.1;
        }
    }
}
