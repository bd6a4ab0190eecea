//! The check of a stream as it passes, in slices of any length.
//!
//! Guarantees: when [`Checker::feed`] returns `Ok`, every header that was complete by then has been
//! decoded and its lengths bounded, and no receiver acts on a header that it has not read to its end;
//! so who feeds a slice **before** forwarding it never forwards an unbounded length. After an error no
//! byte is accepted any more. [`Checker::finish`] returns `Ok` only for a stream that is whole: its
//! checksum right, nothing behind its END. A payload's bytes may have been forwarded before the stream's
//! checksum shows that they were damaged: part digests catch that earlier, and `zfs receive`
//! ends with an error too when the input stops before END; END itself is never forwarded then.
//!
//! Only simple streams pass (`zfs send`, `zfs send -i`); packages are refused by name.

use super::error::{Fault, StreamError};
use super::feature::FeatureSet;
use super::fletcher::Fletcher4;
use super::kind::RecordKind;
use super::record::{Begin, CHECKSUM_AT, HEADER_LEN, Header, Record};
use crate::job::name::Guid;

/// What a target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts {
    /// The features that its ZFS knows, one of [`FeatureSet`]'s masks or less.
    pub features: FeatureSet,
}

/// A stream that was read to its end and is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What the stream is of.
    pub begin: Begin,
    /// Its length in bytes.
    pub bytes: u64,
    /// The number of its records, BEGIN and END included.
    pub records: u64,
}

/// Checks one stream.
#[derive(Debug)]
pub struct Checker {
    accepts: Accepts,
    /// Bytes taken so far.
    bytes: u64,
    /// The number of the record at hand.
    record: u64,
    /// Where it begins.
    record_at: u64,
    header: Box<[u8; HEADER_LEN]>,
    state: State,
    /// The stream at hand and the sums over it; `None` until BEGIN has been read.
    stream: Option<(Begin, Fletcher4)>,
    failed: Option<StreamError>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// This many bytes of a header are there, less than all.
    Header(usize),
    /// This many bytes of a payload are missing, at least one.
    Payload(u64),
    /// END has been read.
    Ended,
}

impl Checker {
    /// Waits for a stream's first byte.
    pub fn new(accepts: Accepts) -> Self {
        Self {
            accepts,
            bytes: 0,
            record: 0,
            record_at: 0,
            header: Box::new([0; HEADER_LEN]),
            state: State::Header(0),
            stream: None,
            failed: None,
        }
    }

    /// What the stream is of; `None` until its first 312 bytes have been fed and found good.
    pub fn begin(&self) -> Option<&Begin> {
        self.stream.as_ref().map(|(begin, _)| begin)
    }

    /// Takes the next bytes of the stream. Call it before passing them on.
    ///
    /// # Errors
    /// By kind, see [`StreamErrorKind`](super::StreamErrorKind). The slice must not be forwarded then,
    /// nor anything after it; every further call returns the same error.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        while !bytes.is_empty() {
            match self.take(bytes) {
                Ok(taken) => bytes = &bytes[taken..],
                Err(fault) => {
                    let error = StreamError { offset: self.record_at, record: self.record, fault };
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Ends the input.
    ///
    /// # Errors
    /// The error that feeding ended with, or `Truncated` when the stream has not come to its end.
    pub fn finish(self) -> Result<Summary, StreamError> {
        match (self.failed, self.state, self.stream) {
            (Some(error), ..) => Err(error),
            (None, State::Ended, Some((begin, _))) => {
                Ok(Summary { begin, bytes: self.bytes, records: self.record })
            }
            _ => Err(StreamError { offset: self.bytes, record: self.record, fault: Fault::Cut }),
        }
    }

    /// Takes bytes up to the end of what is at hand and returns how many: a header is put together,
    /// a payload is summed up where it lies.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        match self.state {
            State::Header(have) => {
                let taken = bytes.len().min(HEADER_LEN - have);
                self.header[have..have + taken].copy_from_slice(&bytes[..taken]);
                self.bytes += taken as u64;
                self.state = State::Header(have + taken);
                if have + taken == HEADER_LEN {
                    self.state = self.read_header()?;
                    self.pass_record();
                }
                Ok(taken)
            }
            State::Payload(left) => {
                let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                if let Some((_, sums)) = &mut self.stream {
                    sums.update(&bytes[..taken]);
                }
                self.bytes += taken as u64;
                self.state = State::Payload(left - taken as u64);
                self.pass_record();
                Ok(taken)
            }
            State::Ended => Err(Fault::Trailing),
        }
    }

    /// Goes on to the next record if the one at hand is complete.
    fn pass_record(&mut self) {
        if let State::Payload(0) = self.state {
            self.state = State::Header(0);
        }
        if let State::Header(0) | State::Ended = self.state {
            self.record += 1;
            self.record_at = self.bytes;
        }
    }

    /// Reads a header that is complete; its payload is next, or nothing more behind END.
    fn read_header(&mut self) -> Result<State, Fault> {
        let Some((begin, sums)) = &mut self.stream else {
            let (begin, payload) = Begin::decode(&self.header, self.accepts.features)?;
            let mut sums = Fletcher4::new(begin.order);
            sums.update(&self.header[..]);
            self.stream = Some((begin, sums));
            return Ok(State::Payload(payload));
        };
        let header = Header { bytes: &self.header, order: begin.order };
        let before = sums.sums();
        sums.update(&self.header[..CHECKSUM_AT]);
        // The record's own checksum first: with it a damaged header is known as such, whatever it says.
        let own = header.record_checksum();
        if own != [0; 4] && own != sums.sums() {
            return Err(Fault::RecordChecksum);
        }
        sums.update(&self.header[CHECKSUM_AT..]);

        let Record { kind, toguid, payload } = Record::decode(&header, begin.features)?;
        if toguid != Guid(0) && toguid != begin.toguid {
            return Err(Fault::Guid { record: kind, found: toguid, wanted: begin.toguid });
        }
        if kind != RecordKind::End {
            return Ok(State::Payload(payload));
        }
        if header.end_checksum() != before {
            return Err(Fault::StreamChecksum);
        }
        if header.end_padding_is_zero() { Ok(State::Ended) } else { Err(Fault::EndPadding) }
    }
}
