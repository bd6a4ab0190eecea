//! syslog(3C), the C library's: the one local way that exists on Linux, illumos and Solaris alike.

use std::ffi::{CStr, CString};

/// The library keeps the pointer (illumos and glibc copy nothing), hence a constant. The same as
/// [`super::TAG`].
const IDENT: &CStr = c"zmigrated";

/// Names this process for syslog. May be repeated. No `LOG_CONS`: it may fork on Solaris.
pub(super) fn open() {
    // SAFETY: IDENT is 'static and ends in NUL, so the pointer that the library keeps stays good.
    unsafe { libc::openlog(IDENT.as_ptr(), libc::LOG_PID, libc::LOG_DAEMON) }
}

/// Sends one text with `priority`, facility and severity together. Best effort, as syslog(3C) is.
pub(super) fn send(priority: libc::c_int, text: &str) {
    // A line has no NUL in it, its form sees to that; should it, the part before it is worth more than
    // nothing.
    let text = CString::new(text).unwrap_or_else(|e| {
        let end = e.nul_position();
        let mut bytes = e.into_vec();
        bytes.truncate(end);
        CString::new(bytes).unwrap_or_default()
    });
    // SAFETY: the format is a literal that takes exactly one C string, and both end in NUL and live over the
    // call. What others wrote is an argument, never the format.
    unsafe { libc::syslog(priority, c"%s".as_ptr(), text.as_ptr()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_the_documented_one() {
        assert_eq!(IDENT.to_str(), Ok(super::super::TAG));
    }
}
