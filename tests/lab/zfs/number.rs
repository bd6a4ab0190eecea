//! Numbers and times as `zfs` prints and reads them.

use chrono::{Local, TimeZone};

/// Three digits and a power of 1024 (illumos `libzfs_util.c` zfs_nicenum): `1.12M`, `983M`, `0`.
pub fn nice(number: u64) -> String {
    let mut index: usize = 0;
    let mut whole = number;
    while whole >= 1024 {
        whole /= 1024;
        index += 1;
    }
    let Some(unit) = index.checked_sub(1).and_then(|i| "KMGTPE".chars().nth(i)) else {
        return number.to_string();
    };
    let power = 1_u64 << (10 * index);
    if number.is_multiple_of(power) {
        return format!("{whole}{unit}");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = number as f64 / power as f64;
    (0..=2)
        .rev()
        .map(|digits| format!("{value:.digits$}{unit}"))
        .find(|text| text.len() <= 5)
        .unwrap_or_else(|| format!("{value:.0}{unit}"))
}

/// Reads a size: `10m`, `1.5G`, `209715200` (libzfs `zfs_nicestrtonum`). The error is its reason.
pub fn parse(text: &str) -> Result<u64, String> {
    let bad = || format!("bad numeric value '{}'", text.escape_debug());
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, suffix) = text.split_at(split);
    let power = match suffix.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" => 1,
        "M" | "MB" => 2,
        "G" | "GB" => 3,
        "T" | "TB" => 4,
        "P" | "PB" => 5,
        "E" | "EB" => 6,
        "Z" | "ZB" => return Err("numeric value is too large".into()),
        _ => return Err(bad()),
    };
    let factor = 1_u64 << (10 * power);
    if digits.contains('.') {
        let value: f64 = digits.parse().map_err(|_| bad())?;
        #[expect(clippy::cast_precision_loss, reason = "as libzfs computes it")]
        let value = value * factor as f64;
        if value >= 18_446_744_073_709_551_615.0 {
            return Err("numeric value is too large".into());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
        return Ok(value as u64);
    }
    if digits.is_empty() {
        return Err(bad());
    }
    let too_large = || "numeric value is too large".to_owned();
    digits.parse::<u64>().map_err(|_| too_large())?.checked_mul(factor).ok_or_else(too_large)
}

/// `Mon Nov 23 13:23 2026`, in local time.
pub fn date(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Local.timestamp_opt(seconds, 0).single())
        .map_or_else(|| seconds.to_string(), |time| time.format("%a %b %e %k:%M %Y").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_with_three_digits() {
        let table = [
            (0, "0"),
            (1023, "1023"),
            (114_688, "112K"),
            (1_174_405, "1.12M"),
            (1 << 20, "1M"),
            (1_060_864, "1.01M"),
        ];
        for (number, text) in table {
            assert_eq!(nice(number), text);
        }
        assert_eq!(nice(9_528_165_858_433_217_939), "8.26E");
    }

    #[test]
    fn sizes_are_read_with_their_suffix() {
        assert_eq!(parse("10m"), Ok(10 << 20));
        assert_eq!(parse("1.5G"), Ok(3 << 29));
        assert_eq!(parse("10z"), Err("numeric value is too large".into()));
        assert_eq!(parse("abc"), Err("bad numeric value 'abc'".into()));
        assert_eq!(parse("99999999999999999999"), Err("numeric value is too large".into()));
    }
}
