//! Speaking to a log host itself, beside the local syslog: messages, their frames, and the way over the network.
//!
//! Owns what a log host is called ([`Address`]), what it is told ([`Message`]), in which bytes ([`Framing`]) and
//! by which socket ([`Wire`]). Guarantees: nothing here waits longer than [`PATIENCE`] for a name, a
//! connection, or a peer that does not read; a message is printable ASCII and within its format's size. Never
//! does: keep, repeat or give up on a message. Whoever calls knows from the result whether it arrived, as far as
//! the protocol lets one know.
//!
//! The `syslog` crate makes the frames: priority, host, tag, process id, structured data and its escapes. Its
//! connections are not used. It looks names up and connects without a deadline, its TCP has no framing
//! (RFC 6587), so that messages run together, and its UDP socket is not connected, so that a refusal is never
//! heard.

use std::time::Duration;

mod address;
mod frame;
mod message;
mod wire;

pub use address::{Address, AddressError, Protocol};
pub use frame::{Format, Framing, RFC3164_MAX, RFC5424_MAX};
pub use message::{Message, MessageError};
pub use wire::{Unsent, Wire};

/// The longest wait for the log host at each step: looking its name up, connecting, writing, its last word. Five
/// seconds are what a resolver gives its first server.
pub const PATIENCE: Duration = Duration::from_secs(5);
