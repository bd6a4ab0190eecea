//! Lengths of time and sizes as an operator writes them: `4h`, `1h30m`, `128M`.
//!
//! Both directions live here, so that what is shown can be typed back. Pure; a text that is not understood is
//! refused with the forms that are, never guessed at.

use std::time::Duration;

use super::name::Bytes;

/// The longest time that a key may hold, ten years of 365 days: far beyond any use, and small enough that
/// adding it to a time of day can't overflow.
pub const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

const TIMES: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
const SIZES: [(char, u64); 4] = [('T', 1 << 40), ('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)];

/// Why a text is no length of time or no size: a lower-case fragment that quotes the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' {why}", text.escape_debug())]
pub struct UnitError {
    text: String,
    /// What is wrong with it.
    pub why: NoUnit,
}

/// What can be wrong with a length of time or a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoUnit {
    /// Not of the form `1h30m`.
    #[error(
        "is not a length of time: write whole numbers with d, h, m or s, the larger first, such as \"1h30m\""
    )]
    NotATime,
    /// Nothing would ever be waited for.
    #[error("is no time at all: it must be at least 1s")]
    ZeroTime,
    /// More than [`LONGEST`].
    #[error("is longer than ten years")]
    TooLong,
    /// Not of the form `128M`.
    #[error("is not a size: write a whole number of bytes, or one with K, M, G or T, such as \"128M\"")]
    NotASize,
    /// Does not fit into 64 bits.
    #[error("is larger than any disk")]
    TooLarge,
}

/// Reads a length of time: numbers with `d`, `h`, `m`, `s`, each unit at most once, the larger first; from one
/// second to [`LONGEST`].
///
/// # Errors
/// When the text has another form or is out of those bounds.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    read_duration(text).map_err(|why| UnitError { text: text.to_owned(), why })
}

fn read_duration(text: &str) -> Result<Duration, NoUnit> {
    let mut seconds = 0u64;
    let mut units = TIMES.iter();
    let mut rest = text;
    while !rest.is_empty() {
        let (number, unit, after) = number_and_unit(rest).ok_or(NoUnit::NotATime)?;
        // The iterator only goes forward: a unit that comes twice, or after a smaller one, is not found.
        let (_, factor) = units.find(|(letter, _)| unit == *letter).ok_or(NoUnit::NotATime)?;
        let part = number.and_then(|n| n.checked_mul(*factor)).ok_or(NoUnit::TooLong)?;
        seconds = seconds.checked_add(part).ok_or(NoUnit::TooLong)?;
        rest = after;
    }
    match Duration::from_secs(seconds) {
        _ if text.is_empty() => Err(NoUnit::NotATime),
        Duration::ZERO => Err(NoUnit::ZeroTime),
        length if length > LONGEST => Err(NoUnit::TooLong),
        length => Ok(length),
    }
}

/// Splits `30m5s` into 30, `m` and `5s`. The number is `None` when it does not fit into 64 bits.
fn number_and_unit(text: &str) -> Option<(Option<u64>, char, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0)?;
    let (number, rest) = text.split_at(digits);
    let unit = rest.chars().next()?;
    Some((number.parse().ok(), unit, &rest[unit.len_utf8()..]))
}

/// A length of time in the form that [`duration`] reads, `1h30m`; a fraction of a second is left out.
pub fn duration_text(length: Duration) -> String {
    let mut seconds = length.as_secs();
    let mut text = String::new();
    for (letter, factor) in TIMES {
        if seconds >= factor {
            text.push_str(&format!("{}{letter}", seconds / factor));
            seconds %= factor;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads a size: a whole number of bytes, or of `K`, `M`, `G`, `T` (powers of 1024, either case).
///
/// # Errors
/// When the text has another form or does not fit into 64 bits.
pub fn size(text: &str) -> Result<Bytes, UnitError> {
    read_size(text).map_err(|why| UnitError { text: text.to_owned(), why })
}

fn read_size(text: &str) -> Result<Bytes, NoUnit> {
    let (digits, factor) = match text.chars().last().filter(|c| !c.is_ascii_digit()) {
        None => (text, 1),
        Some(last) => {
            let unit = SIZES.iter().find(|(letter, _)| last.eq_ignore_ascii_case(letter));
            (text.trim_end_matches(last), unit.ok_or(NoUnit::NotASize)?.1)
        }
    };
    // `parse` alone would take a sign.
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // "1KK": only one letter may follow the number.
    if !plain || text.len() - digits.len() > 1 {
        return Err(NoUnit::NotASize);
    }
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).map(Bytes).ok_or(NoUnit::TooLarge)
}

/// A size in the form that [`size`] reads, in the largest unit that holds it without a rest: `128M`.
pub fn size_text(size: Bytes) -> String {
    let unit = SIZES.iter().find(|(_, factor)| size.0 > 0 && size.0.is_multiple_of(*factor));
    unit.map_or_else(|| size.0.to_string(), |(letter, factor)| format!("{}{letter}", size.0 / factor))
}

/// A [`Duration`] as whole seconds in JSON, from one second to [`LONGEST`]: `#[serde(with = "units::seconds")]`.
pub mod seconds {
    use super::{Duration, LONGEST, NoUnit};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the seconds.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(length: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(length.as_secs())
    }

    /// Reads the seconds.
    ///
    /// # Errors
    /// When there is no number, or one that a key could not hold.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        match Duration::from_secs(u64::deserialize(from)?) {
            Duration::ZERO => Err(D::Error::custom(NoUnit::ZeroTime)),
            length if length > LONGEST => Err(D::Error::custom(NoUnit::TooLong)),
            length => Ok(length),
        }
    }
}

/// As [`seconds`], for a time that may be absent (`null`, or with `#[serde(default)]` left out).
pub mod seconds_or_none {
    use super::Duration;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Seconds(#[serde(with = "super::seconds")] Duration);

    /// Writes the seconds or nothing.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(length: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        length.map(Seconds).serialize(to)
    }

    /// Reads the seconds or nothing.
    ///
    /// # Errors
    /// As [`super::seconds::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Seconds>::deserialize(from)?.map(|seconds| seconds.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_shown_as_it_was_written() {
        for (text, seconds) in [
            ("4h", 14_400),
            ("10m", 600),
            ("7d", 604_800),
            ("1h30m", 5_400),
            ("1d1s", 86_401),
            ("3650d", 315_360_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
            assert_eq!(duration_text(Duration::from_secs(seconds)), text);
        }
        assert_eq!(duration("90s").map(duration_text), Ok("1m30s".to_owned()));
        assert_eq!(duration_text(Duration::from_millis(999)), "0s");
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_reason() {
        use NoUnit::{NotATime, TooLong, ZeroTime};
        for text in
            ["", "4", "h", "4 h", "-4h", "+4h", "1.5h", "4H", "30m1h", "1h1h", "1h30", "4w", "٤h", "4é"]
        {
            assert_eq!(duration(text).map_err(|error| error.why), Err(NotATime), "{text}");
        }
        for text in ["0s", "0d0h"] {
            assert_eq!(duration(text).map_err(|error| error.why), Err(ZeroTime), "{text}");
        }
        for text in ["3650d1s", "99999999999999999999d", "213503982334602d", "18446744073709551615s"] {
            assert_eq!(duration(text).map_err(|error| error.why), Err(TooLong), "{text}");
        }
    }

    #[test]
    fn a_size_is_read_and_shown_as_it_was_written() {
        for (text, bytes) in [
            ("0", 0),
            ("1023", 1023),
            ("1K", 1024),
            ("128M", 128 << 20),
            ("200G", 200 << 30),
            ("3T", 3 << 40),
        ] {
            assert_eq!(size(text), Ok(Bytes(bytes)), "{text}");
            assert_eq!(size_text(Bytes(bytes)), text);
        }
        assert_eq!(size("1024m").map(size_text), Ok("1G".to_owned()));
    }

    #[test]
    fn what_is_no_size_is_refused_with_the_reason() {
        for text in ["", "G", "1.5T", "-1", "+1", "1 G", "1GB", "1GiB", "1KK", "0x10", "1é", "٤"] {
            assert_eq!(size(text).map_err(|error| error.why), Err(NoUnit::NotASize), "{text}");
        }
        for text in ["18446744073709551616", "16777216T"] {
            assert_eq!(size(text).map_err(|error| error.why), Err(NoUnit::TooLarge), "{text}");
        }
        assert_eq!(size("16777215T"), Ok(Bytes(16_777_215 << 40)));
    }
}
