//! A job's bytes, rate and time left, in one line.

use super::meter::Meters;
use crate::cli::report::Report;
use crate::cli::shown::{about, size};

/// Bytes, rate and time left over all images; `None` before there is one.
pub(super) fn sums(report: &Report, meters: &Meters) -> Option<String> {
    let (come, of) = report.totals();
    if report.images.is_empty() {
        return None;
    }
    let mut text = format!("{} of {}", size(come), size(of));
    if come.0 < of.0 {
        match meters.slowest(report.copied(), come, of) {
            Some((rate, left)) => text.push_str(&format!(", {}/s, {} left", size(rate), about(left))),
            None => text.push_str(", time left unknown"),
        }
    }
    Some(text)
}
