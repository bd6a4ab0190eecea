//! The one place where processes are started, fed, read, timed and ended.
//!
//! [`Programs`] is the door: it takes an [`Argv`] and gives an [`Output`] or a [`Streaming`] command. This layer knows
//! nothing about any single command; [`cmd`](crate::cmd) does.

pub mod argv;
mod child;
pub mod contract;
mod drain;
pub mod output;
mod pipe;
mod run;
mod streaming;
mod thread;

pub use argv::Argv;
pub use child::Killer;
pub use output::{Output, RunError, Status};
pub use run::Programs;
pub use streaming::Streaming;
