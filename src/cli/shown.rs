//! How things look on a terminal: text from outside made harmless, sizes, lengths of time, columns. Pure.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::job::name::Bytes;
use crate::job::units::duration_text;

/// The longest text of one value that is shown, in characters.
const LONGEST: usize = 1000;

/// Text that others chose, for one line of a terminal: what is not printable is escaped, so that it can neither
/// move the cursor nor begin a line; bounded. Quotes and backslashes stay, since most texts have been
/// escaped once by whoever composed them.
pub fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (n, c) in text.chars().enumerate() {
        if n == LONGEST {
            shown.push('…');
            break;
        }
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// A moment in UTC, to the second.
pub fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The time from one moment to another, `2h3m4s`; none at all when a clock was set back in between.
pub fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    duration_text((to - from).to_std().unwrap_or(Duration::ZERO))
}

/// A length of time of which only the order matters: its two largest units.
pub fn about(length: Duration) -> String {
    let seconds = length.as_secs();
    let grain = match seconds {
        0..3_600 => 1,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    duration_text(Duration::from_secs(seconds / grain * grain))
}

/// A size with one decimal: `12.4 GiB`.
pub fn size(bytes: Bytes) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes.0 < 1024 {
        return format!("{} B", bytes.0);
    }
    // Tenths in whole numbers: a float would round 1023.96 KiB up to 1024.0.
    let mut tenths = u128::from(bytes.0) * 10;
    let mut unit = 0;
    tenths /= 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Rows in columns, each as wide as its widest cell; two blanks between, none at a line's end.
pub fn columns(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (n, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(n) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_can_not_drive_the_terminal() {
        assert_eq!(clean("zone 'a\\b' é"), "zone 'a\\b' é");
        assert_eq!(clean("\u{1b}[2J\r\nok\u{9b}\u{202e}"), "\\u{1b}[2J\\r\\nok\\u{9b}\\u{202e}");
        assert_eq!(clean(&"x".repeat(2_000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn sizes_have_one_decimal_and_never_claim_more_than_there_is() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (13_314_398_617, "12.3 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(Bytes(bytes)), text);
        }
    }

    #[test]
    fn a_rough_time_has_no_seconds_beside_its_hours() {
        for (seconds, text) in [(59, "59s"), (3_599, "59m59s"), (3_661, "1h1m"), (90_061, "1d1h")] {
            assert_eq!(about(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_clock_that_was_set_back_shows_no_time_at_all() {
        let at = |s| DateTime::from_timestamp(s, 0).unwrap();
        assert_eq!(between(at(0), at(3_723)), "1h2m3s");
        assert_eq!(between(at(9), at(0)), "0s");
    }

    #[test]
    fn columns_line_up_and_lines_have_no_blanks_at_their_end() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(columns(&[row(["A", "BB"]), row(["ccc", ""])]), "A    BB\nccc\n");
    }
}
