//! zmigrate moves Solaris and illumos zones between hosts.

pub mod cli;
pub mod cmd;
pub mod config;
pub mod daemon;
pub mod host;
pub mod job;
pub mod log;
pub mod spool;
pub mod stream;
pub mod transport;
