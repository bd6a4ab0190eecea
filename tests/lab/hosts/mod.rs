//! The lab on real parts: two zone hosts and a log host that share nothing but a network, on one machine.
//!
//! ```text
//!   zhost1                      switch                       zhost2
//!   zfs-fuse, sshd, rsyslogd    a bridge; each of its        zfs-fuse, sshd, rsyslogd
//!   zone commands, zmigrated    ports can be cut, slowed,    zone commands, zmigrated
//!        198.51.100.5 ───────── made lossy or dumb ───────── 198.51.100.6
//!                                   │
//!                                loghost  rsyslogd, UDP and TCP   198.51.100.7
//! ```
//!
//! Everything of it, the lab's own program included, lives in one PID and mount namespace ([`alone`]): when that
//! ends, however it ends, no process, mount, interface or account is left, and the machine has seen none of
//! them. A host is a [`place::Place`]: network, mount and UTS namespaces, with an /etc, a /dev, a /run and an
//! /export of its own.

pub mod alone;
pub mod breaks;
pub mod database;
pub mod demo;
pub mod link;
pub mod loghost;
pub mod machine;
pub mod network;
pub mod parts;
pub mod place;
pub mod power;
pub mod refusals;
mod sabotage;
pub mod silence;
pub mod sshd;

pub use network::Network;
