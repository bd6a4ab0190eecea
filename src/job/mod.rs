//! What a migration is, without I/O: names, requests, facts, phases, steps, events and messages.
//!
//! Nothing in this folder opens a file, starts a process or reads a clock. A job is a journal: its
//! [`Event`](event::Event)s, folded, give the [`Phase`](phase::Phase), and the phase alone says which
//! [`Step`](step::Step) is due. That makes the protocol between two hosts something that a test can
//! walk through state by state (`tests/model.rs`).

pub mod code;
pub mod event;
pub mod fault;
pub mod handoff;
pub mod image;
pub mod layout;
pub mod limits;
pub mod message;
pub mod name;
pub mod part;
pub mod path;
pub mod phase;
pub mod progress;
pub mod record;
pub mod request;
pub mod retry;
pub mod role;
pub mod sheet;
pub mod status;
pub mod step;
pub mod survey;
pub mod times;
pub mod transfer;
pub mod units;
