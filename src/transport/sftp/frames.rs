//! Bounds what a peer may say at once. The library believes the length at the head of each packet and makes room for it; a peer's
//! word must not take the daemon's memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// The most that OpenSSH sends; what is read at once is asked for in smaller pieces.
const LARGEST: u32 = 256 << 10;
/// A kind, an id and one number: no answer is shorter, save the first packet, which has no id.
const SMALLEST: u32 = 9;
const FIRST: u32 = 5;

/// A stream of SFTP packets, each of a lawful length.
pub(super) struct Frames<R> {
    inner: R,
    lengths: Lengths,
}

impl<R> Frames<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, lengths: Lengths { left: 0, head: [0; 4], have: 0, smallest: FIRST } }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Frames<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        Poll::Ready(self.lengths.pass(&buf.filled()[before..]))
    }
}

/// Where in which packet the stream is.
struct Lengths {
    /// Of the packet's body.
    left: usize,
    head: [u8; 4],
    have: usize,
    smallest: u32,
}

impl Lengths {
    fn pass(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let passed = self.left.min(bytes.len());
                self.left -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            self.head[self.have] = first;
            self.have += 1;
            bytes = rest;
            if self.have == self.head.len() {
                let length = u32::from_be_bytes(self.head);
                if !(self.smallest..=LARGEST).contains(&length) {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "what came is not SFTP: does a shell's start-up file over there print something?",
                    ));
                }
                (self.left, self.have, self.smallest) = (length as usize, 0, SMALLEST);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(stream: &[u8], piece: usize) -> bool {
        let mut lengths = Frames::new(()).lengths;
        stream.chunks(piece).all(|bytes| lengths.pass(bytes).is_ok())
    }

    #[test]
    fn lawful_packets_pass_however_they_are_cut_and_others_do_not() {
        let packet = |length: u32| [&length.to_be_bytes()[..], &vec![7; length as usize]].concat();
        let lawful = [packet(5), packet(9), packet(LARGEST), packet(100)].concat();
        for piece in [1, 2, 3, 5, 4096, lawful.len()] {
            assert!(passes(&lawful, piece), "{piece}");
        }
        for bad in [packet(4), [packet(5), packet(8)].concat(), b"Last login: never".to_vec()] {
            assert!(!passes(&bad, 1) && !passes(&bad, bad.len()));
        }
        assert!(!passes(&[packet(5), (LARGEST + 1).to_be_bytes().to_vec()].concat(), 4));
    }
}
