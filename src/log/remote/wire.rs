//! The socket to a log host: one for each burst of messages, and at its end what is known of their arrival.
//!
//! A burst is opened, sent and confirmed. Nothing is left open between two bursts, so no connection is found dead
//! by losing what is written into it.
//!
//! - **TCP**: what is written may lie in this host's buffers when the other side is gone, and be lost without an
//!   error. So the end of the burst is said (a half-close), and the other side must say its own: it does so
//!   when it has read everything. That is the most that one can know; whether it was filed is the log host's word alone.
//! - **UDP**: the system hears at most that nobody listens on the port (ICMP port unreachable, an error on a connected
//!   socket), and that is waited for. A datagram that is lost on the way, or sent to a host that is switched off, is not known to
//!   be lost, however long one waits: that a host is unreachable counts as transient, and a UDP socket is not told (illumos
//!   `udp_icmp_input`; Linux's `icmp_err_convert`, and seen there: nothing within 8 s, where TCP heard it after 3 s).

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use super::{Address, PATIENCE, Protocol};

/// How long a refusal may take to come back: some round trips across a continent.
const REFUSAL: Duration = Duration::from_millis(300);
/// Reads in which a peer's end must be found.
const READS: u32 = 50;

/// Why a burst did not arrive, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum Unsent {
    /// Its name has no address, for now.
    #[error("{address}: the name can't be looked up: {source}")]
    Name {
        /// The log host.
        address: Address,
        /// The system's word.
        source: io::Error,
    },
    /// Nobody takes connections or datagrams there, or the connection broke.
    #[error("{address}: {source}")]
    Refused {
        /// The log host.
        address: Address,
        /// The system's word.
        source: io::Error,
    },
    /// All was written, and the log host did not say that it has read it. It may have.
    #[error("{address}: it took the connection and did not close it within {} s", PATIENCE.as_secs())]
    Unconfirmed {
        /// The log host.
        address: Address,
    },
}

enum Socket {
    Tcp(TcpStream),
    /// Connected; the addresses are those not tried yet.
    Udp(UdpSocket, std::vec::IntoIter<SocketAddr>),
}

/// An open way to a log host, for one burst.
pub struct Wire {
    address: Address,
    socket: Socket,
    sent: Vec<Vec<u8>>,
}

impl Wire {
    /// Looks the name up and, for TCP, connects.
    ///
    /// # Errors
    /// When there is no address, or none of them answers.
    pub fn open(address: &Address) -> Result<Self, Unsent> {
        let refused = |source| Unsent::Refused { address: address.clone(), source };
        let found = look_up(address).map_err(|source| Unsent::Name { address: address.clone(), source })?;
        let mut found = found.into_iter();
        let socket = match address.protocol {
            Protocol::Tcp => Socket::Tcp(connect(found).map_err(refused)?),
            Protocol::Udp => {
                let socket = next_datagrams(&mut found).map_err(refused)?;
                Socket::Udp(socket, found)
            }
        };
        Ok(Self { address: address.clone(), socket, sent: Vec::new() })
    }

    /// Sends a message's bytes, as [`Framing::bytes`](super::Framing::bytes) makes them.
    ///
    /// # Errors
    /// When the system knows that they, or some before them, can't arrive.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Unsent> {
        let done = match &mut self.socket {
            Socket::Tcp(stream) => stream.write_all(bytes),
            Socket::Udp(..) => {
                self.sent.push(bytes.to_vec());
                self.send_datagrams(self.sent.len() - 1)
            }
        };
        done.map_err(|source| self.refused(source))
    }

    /// Ends the burst, and finds out what there is to know.
    ///
    /// # Errors
    /// When some of it is known not to have arrived, or, over TCP, when it is not known that all has.
    pub fn confirm(mut self) -> Result<(), Unsent> {
        match &mut self.socket {
            Socket::Tcp(stream) => {
                let end = stream.shutdown(Shutdown::Write).and_then(|()| read_to_end(stream, PATIENCE));
                match end {
                    Ok(()) => Ok(()),
                    Err(e) if is_timeout(&e) => Err(Unsent::Unconfirmed { address: self.address }),
                    Err(source) => Err(self.refused(source)),
                }
            }
            Socket::Udp(..) => self.await_refusal().map_err(|source| self.refused(source)),
        }
    }

    fn refused(&self, source: io::Error) -> Unsent {
        Unsent::Refused { address: self.address.clone(), source }
    }

    /// Sends the datagrams from the `from`th on. Where one address of the host refuses, the next one gets all of
    /// them: the first took none.
    fn send_datagrams(&mut self, mut from: usize) -> io::Result<()> {
        let Socket::Udp(socket, more) = &mut self.socket else { return Ok(()) };
        while let Some(bytes) = self.sent.get(from) {
            match socket.send(bytes) {
                Ok(_) => from += 1,
                Err(refusal) => {
                    *socket = next_datagrams(more).map_err(|_| refusal)?;
                    from = 0;
                }
            }
        }
        Ok(())
    }

    fn await_refusal(&mut self) -> io::Result<()> {
        loop {
            let Socket::Udp(socket, more) = &mut self.socket else { return Ok(()) };
            // Nobody answers a syslog message; what is received is nothing, or the refusal.
            match socket.recv(&mut [0; 1]) {
                Ok(_) => return Ok(()),
                Err(e) if is_timeout(&e) => return Ok(()),
                Err(refusal) => {
                    *socket = next_datagrams(more).map_err(|_| refusal)?;
                    self.send_datagrams(0)?;
                }
            }
        }
    }
}

/// The host's addresses. The C library looks names up for as long as resolv.conf tells it to, so another thread
/// does; one that is not waited for any longer ends when the resolver gives up.
fn look_up(address: &Address) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port)]);
    }
    let (answer, answered) = mpsc::channel();
    let (host, port) = (address.host.clone(), address.port);
    std::thread::Builder::new().name("resolver".into()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Vec::from_iter);
        // Nobody may wait for it any more.
        let _ = answer.send(found);
    })?;
    let found = answered.recv_timeout(PATIENCE).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if found.is_empty() { Err(io::Error::from(io::ErrorKind::NotFound)) } else { Ok(found) }
}

fn connect(found: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in found {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).and_then(|stream| {
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        match stream {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A socket that is connected to the next address, so that the system tells what that one refuses.
fn next_datagrams(found: &mut impl Iterator<Item = SocketAddr>) -> io::Result<UdpSocket> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in found {
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).and_then(|socket| {
            socket.connect(address)?;
            socket.set_read_timeout(Some(REFUSAL))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        });
        match socket {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Waits for the other side's end. What it says before that is passed over; each read has its share of the time, so that
/// saying a little now and then gives it no more.
fn read_to_end(stream: &mut TcpStream, within: Duration) -> io::Result<()> {
    let mut buffer = [0; 4096];
    stream.set_read_timeout(Some(within / READS))?;
    for _ in 0..READS {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(e) if is_timeout(&e) => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::from(io::ErrorKind::TimedOut))
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn address(protocol: Protocol, port: u16) -> Address {
        Address { protocol, host: "127.0.0.1".to_owned(), port }
    }

    /// A port on which nobody listens.
    fn free(protocol: Protocol) -> u16 {
        match protocol {
            Protocol::Udp => UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
            Protocol::Tcp => TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
        }
    }

    fn burst(address: &Address, messages: &[&str]) -> Result<(), Unsent> {
        let mut wire = Wire::open(address)?;
        for message in messages {
            wire.send(message.as_bytes())?;
        }
        wire.confirm()
    }

    #[test]
    fn datagrams_arrive_one_for_each_message() {
        let host = UdpSocket::bind("127.0.0.1:0").unwrap();
        burst(&address(Protocol::Udp, host.local_addr().unwrap().port()), &["one", "two"]).unwrap();
        let mut buffer = [0; 16];
        for want in ["one", "two"] {
            let n = host.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..n], want.as_bytes());
        }
    }

    #[test]
    fn a_port_without_a_listener_is_known_over_both_protocols() {
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            let address = address(protocol, free(protocol));
            let said = burst(&address, &["one", "two"]).unwrap_err();
            assert!(matches!(said, Unsent::Refused { .. }), "{said}");
            assert!(said.to_string().starts_with(&format!("{address}: Connection refused")), "{said}");
        }
    }

    #[test]
    fn where_the_first_address_refuses_the_next_one_gets_all_of_it_once() {
        let host = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = host.local_addr().unwrap().port();
        // 127.0.0.2 is this machine as well, and nobody listens there.
        let mut found =
            vec![SocketAddr::from(([127, 0, 0, 2], port)), SocketAddr::from(([127, 0, 0, 1], port))]
                .into_iter();
        let socket = next_datagrams(&mut found).unwrap();
        let mut wire = Wire {
            address: address(Protocol::Udp, port),
            socket: Socket::Udp(socket, found),
            sent: Vec::new(),
        };
        wire.send(b"one").unwrap();
        wire.send(b"two").unwrap();
        wire.confirm().unwrap();
        let mut buffer = [0; 16];
        for want in ["one", "two"] {
            let n = host.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..n], want.as_bytes());
        }
        host.set_nonblocking(true).unwrap();
        host.recv(&mut buffer).unwrap_err();
    }

    #[test]
    fn a_stream_is_confirmed_by_the_end_that_its_reader_says() {
        let host = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = address(Protocol::Tcp, host.local_addr().unwrap().port());
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            host.accept().unwrap().0.read_to_string(&mut text).unwrap();
            text
        });
        burst(&address, &["one\n", "two\n"]).unwrap();
        assert_eq!(reader.join().unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_reader_that_goes_away_without_reading_has_confirmed_nothing() {
        let host = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = address(Protocol::Tcp, host.local_addr().unwrap().port());
        let mut wire = Wire::open(&address).unwrap();
        let (stream, _) = host.accept().unwrap();
        wire.send(b"one\n").unwrap();
        // Wait for the bytes to be there: closing over unread bytes is a reset.
        stream.peek(&mut [0; 1]).unwrap();
        drop(stream);
        let said = wire.confirm().unwrap_err();
        assert!(matches!(said, Unsent::Refused { .. }), "{said}");
    }

    #[test]
    fn a_reader_that_says_something_now_and_then_is_not_waited_for_any_longer() {
        let host = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(host.local_addr().unwrap()).unwrap();
        let (mut peer, _) = host.accept().unwrap();
        let (over, until) = mpsc::channel::<()>();
        let pace = Duration::from_millis(100);
        let talker = std::thread::spawn(move || {
            while until.recv_timeout(pace).is_err_and(|e| e == mpsc::RecvTimeoutError::Timeout) {
                peer.write_all(b".").unwrap();
            }
        });
        let begun = std::time::Instant::now();
        let said = read_to_end(&mut stream, 5 * pace).unwrap_err();
        assert!(is_timeout(&said), "{said}");
        // At its pace all the reads would take more than five seconds.
        assert!(begun.elapsed() < 30 * pace, "{:?}", begun.elapsed());
        drop(over);
        talker.join().unwrap();
    }

    #[test]
    fn a_name_that_is_none_is_told_as_that() {
        let address = Address { host: "no-such-host.invalid".to_owned(), ..address(Protocol::Udp, 514) };
        let said = Wire::open(&address).map(drop).unwrap_err().to_string();
        assert!(said.starts_with("udp://no-such-host.invalid:514: the name can't be looked up: "), "{said}");
    }
}
