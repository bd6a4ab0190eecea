//! The line's form: `key=value`, separated by blanks (logfmt), for people and for `grep`.
//!
//! A value stands bare when it is made of printable ASCII without blank, `"`, `\` and `=`, and is not empty;
//! else it stands in double quotes, in which `"` and `\` get a backslash before them and every character
//! that is not printable ASCII is written as `\n`, `\r`, `\t` or `\u{hex}`.
//!
//! Guarantees: one line of printable ASCII, at most [`MAX`] bytes. Solaris's syslogd cuts a record at 1024
//! bytes with its own part in it, splits one that got longer while being forwarded into two, of which the
//! second has no tag, and makes several of one with a newline (illumos `syslogd.c`). What gets cut is `error`
//! first, then the longest values; a value that was cut ends in `...`, a field that found no room at all is
//! left out.

use std::borrow::Cow;
use std::fmt;

/// The most bytes a line's text has.
pub const MAX: usize = 799;

/// No value is cut to less: it would say nothing.
const LEAST: usize = 24;

/// A line in the making. Its [`Display`](fmt::Display) is the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    fields: Vec<(Cow<'static, str>, String)>,
}

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field at the end. The key is ours: lower-case letters, digits, `-`, `_`.
    #[must_use]
    pub fn field(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.fields.push((Cow::Borrowed(key), value.to_string()));
        self
    }

    /// Adds a field if there is a value.
    #[must_use]
    pub fn maybe(self, key: &'static str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.field(key, value),
            None => self,
        }
    }

    /// Fields that were kept on disk, which only [`Message`](super::remote::Message) does.
    pub(super) fn from_fields(fields: Vec<(String, String)>) -> Self {
        Self { fields: fields.into_iter().map(|(key, value)| (Cow::Owned(key), value)).collect() }
    }

    /// The fields as they were added, neither escaped nor cut.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(key, value)| (key.as_ref(), value.as_str()))
    }

    /// The fields that have room, each with its value as it stands in the text.
    pub(super) fn shown(&self) -> Vec<(&str, String)> {
        let mut texts: Vec<String> = self.fields.iter().map(|(_, value)| written(value, MAX)).collect();
        let mut total: usize =
            self.fields.iter().zip(&texts).map(|((key, _), text)| key.len() + text.len() + 2).sum();
        // No blank before the first field.
        total = total.saturating_sub(1);

        let mut victims: Vec<usize> = (0..texts.len()).collect();
        victims.sort_by_key(|i| (self.fields[*i].0 != "error", std::cmp::Reverse(texts[*i].len())));
        for i in victims {
            let over = total.saturating_sub(MAX);
            if over == 0 {
                break;
            }
            let old = texts[i].len();
            texts[i] = written(&self.fields[i].1, old.saturating_sub(over).max(LEAST.min(old)));
            total = total - old + texts[i].len();
        }

        let mut len = 0;
        let mut shown = Vec::new();
        for ((key, _), text) in self.fields.iter().zip(texts) {
            let more = usize::from(len > 0) + key.len() + 1 + text.len();
            if len + more <= MAX {
                len += more;
                shown.push((key.as_ref(), text));
            }
        }
        shown
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (key, text)) in self.shown().into_iter().enumerate() {
            write!(f, "{}{key}={text}", if n > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

/// A value as it stands in the line, in at most `most` bytes (but never less than `"..."`).
fn written(value: &str, most: usize) -> String {
    let bare = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '=');
    if !value.is_empty() && value.len() <= most && value.chars().all(bare) {
        return value.to_owned();
    }
    // Where the text is cut if it does not fit: before the last character that leaves room for `..."`.
    let mut out = String::from("\"");
    let mut cut = out.len();
    for c in value.chars() {
        if out.len() + "...\"".len() <= most {
            cut = out.len();
        }
        match c {
            '\'' => out.push(c),
            c => out.extend(c.escape_default()),
        }
        if out.len() + 1 > most {
            out.truncate(cut);
            out.push_str("...");
            break;
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str) -> String {
        Line::new().field("k", value).to_string()
    }

    #[test]
    fn values_are_quoted_and_escaped_as_documented() {
        for (value, want) in [
            ("data/zones@x:1", "k=data/zones@x:1"),
            ("it's", "k=it's"),
            ("", "k=\"\""),
            ("a b", "k=\"a b\""),
            ("it's so", "k=\"it's so\""),
            ("a=b", "k=\"a=b\""),
            ("a\"b\\", "k=\"a\\\"b\\\\\""),
            ("a\nb\tc\r", "k=\"a\\nb\\tc\\r\""),
            ("\u{1b}[2J\0é\u{202e}", "k=\"\\u{1b}[2J\\u{0}\\u{e9}\\u{202e}\""),
        ] {
            assert_eq!(one(value), want);
        }
    }

    #[test]
    fn fields_keep_their_order_and_missing_ones_leave_no_trace() {
        let line = Line::new().field("a", 1).maybe("b", None::<u8>).maybe("c", Some("x y"));
        assert_eq!(line.to_string(), "a=1 c=\"x y\"");
        assert_eq!(Line::new().to_string(), "");
    }

    #[test]
    fn a_long_error_is_cut_and_nothing_else() {
        let job = "dbbackup-20070518T033600Z-7f3a";
        for n in [700, 738, 740, 742, 744, 746, 5000] {
            let line =
                Line::new().field("job", job).field("error", "x ".repeat(n / 2)).field("ticket", "OPS-1138");
            let text = line.to_string();
            assert!(text.len() <= MAX, "{}", text.len());
            assert!(text.starts_with(&format!("job={job} error=\"x x")), "{text}");
            let cut = text.ends_with("...\" ticket=OPS-1138");
            assert_eq!(cut, n > 740, "{n}: {text}");
            assert!(!cut || text.len() > MAX - 10, "as much as fits: {}", text.len());
        }
    }

    #[test]
    fn an_escape_is_never_cut_in_the_middle() {
        for n in 0..12 {
            let text = one(&format!("{}{}", "x".repeat(n), "\u{1f600}".repeat(200)));
            assert!(text.len() <= MAX && text.is_ascii());
            assert!(text.ends_with("}...\""), "{text}");
        }
        assert_eq!(written("\u{1f600}\u{1f600}", 17), "\"\\u{1f600}...\"");
        assert_eq!(written("\u{1f600}\u{1f600}", 20), "\"\\u{1f600}\\u{1f600}\"");
        assert_eq!(written("\u{1f600}\u{1f600}", 19), "\"\\u{1f600}...\"");
    }

    #[test]
    fn whatever_is_too_long_the_line_is_not() {
        let long = "y".repeat(2000);
        let text = Line::new().field("error", &long).field("ticket", &long).field("zone", "web").to_string();
        assert!(text.len() <= MAX, "{}", text.len());
        assert!(text.starts_with("error=\"yyyyyyyyyyyyyyyyyyy...\" ticket=\"yyy"), "{text}");
        assert!(text.ends_with("...\" zone=web"), "{text}");

        let crowd = (0..100).fold(Line::new(), |line, _| line.field("key", &long)).to_string();
        assert!(crowd.len() <= MAX && crowd.ends_with("...\""), "{crowd}");
    }
}
