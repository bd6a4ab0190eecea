//! How much a pipe to or from a stream holds.
//!
//! `zfs send` comes in bursts, stops while it walks metadata, and its reader stops at each sync: a pipe of 1 MiB, the most
//! that an ordinary user of Linux may have, keeps both busy. illumos and Solaris have no call for it: a pipe there holds what
//! the system gives it.

use std::os::fd::AsFd;

#[cfg(target_os = "linux")]
const BYTES: i32 = 1 << 20;

/// Makes a pipe as large as it may be. A smaller one is only slower, so nothing is said of a failure.
#[cfg(target_os = "linux")]
pub(super) fn enlarge(pipe: &impl AsFd) {
    use nix::fcntl::{FcntlArg, fcntl};
    let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(BYTES));
}

/// Nothing can be done here.
#[cfg(not(target_os = "linux"))]
pub(super) fn enlarge(_pipe: &impl AsFd) {}
