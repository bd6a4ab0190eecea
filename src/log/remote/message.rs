//! What a log host is told: a line, and when, by whom and how urgently it was said. Everything that its frame
//! needs is in it, so that a message that was kept on disk goes out in the very bytes in which it
//! would have gone at once, and one that arrives twice is seen to be the same.
//!
//! On disk it is one JSON object, version 1:
//! `{"v":1,"at":"2007-05-18T05:40:01Z","severity":"notice","host":"zhost1","pid":123,"fields":[["job","…"],…]}`

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::job::name::HostName;
use crate::log::{Line, Outcome, Severity};

const VERSION: u32 = 1;

/// No value is kept longer, in bytes: a line has room for less than half of it.
const LONGEST: usize = 2000;

/// The longest name of a structured data parameter (RFC 5424, section 6).
const LONGEST_KEY: usize = 32;

/// One message for a log host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it was said.
    pub at: DateTime<Utc>,
    /// How urgent it is.
    pub severity: Severity,
    /// This host.
    pub host: HostName,
    /// The process that said it.
    pub pid: u32,
    /// What it says.
    pub line: Line,
    /// Whether it is an outcome.
    pub is_outcome: bool,
}

/// A file that holds no message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Not the JSON of one.
    #[error("it is no message: {0}")]
    Json(#[from] serde_json::Error),
    /// Of another zmigrate.
    #[error("it is of version {0}, this zmigrate reads {VERSION}")]
    Version(u32),
    /// A key that no line has.
    #[error("'{0}' is no key of a line")]
    Key(String),
    /// A severity that there is not.
    #[error("'{0}' is no severity")]
    Severity(String),
}

#[derive(Serialize, Deserialize)]
struct Text {
    v: u32,
    at: DateTime<Utc>,
    severity: String,
    host: HostName,
    pid: u32,
    fields: Vec<(String, String)>,
}

impl Message {
    /// A line that is said now.
    pub fn new(at: DateTime<Utc>, severity: Severity, host: HostName, line: Line) -> Self {
        let fields = line.fields().map(|(key, value)| (key.to_owned(), bounded(value))).collect();
        let line = Line::from_fields(fields);
        Self { at, severity, host, pid: std::process::id(), line, is_outcome: false }
    }

    /// An outcome; it was said when it came out.
    pub fn outcome(outcome: &Outcome) -> Self {
        let said = Self::new(outcome.ts, outcome.ending.severity(), outcome.host.clone(), outcome.line());
        Self { is_outcome: true, ..said }
    }

    /// An outcome as it is kept on disk.
    pub fn to_json(&self) -> Vec<u8> {
        let text = Text {
            v: VERSION,
            at: self.at,
            severity: self.severity.name().to_owned(),
            host: self.host.clone(),
            pid: self.pid,
            fields: self.line.fields().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        };
        // Strings and numbers in memory: nothing of it can fail.
        serde_json::to_vec(&text).unwrap_or_default()
    }

    /// An outcome that was kept.
    ///
    /// # Errors
    /// When it can't have been written by [`Message::to_json`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, MessageError> {
        let text: Text = serde_json::from_slice(bytes)?;
        if text.v != VERSION {
            return Err(MessageError::Version(text.v));
        }
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        let is_key = |key: &str| !key.is_empty() && key.len() <= LONGEST_KEY && key.bytes().all(legal);
        if let Some((key, _)) = text.fields.iter().find(|(key, _)| !is_key(key)) {
            return Err(MessageError::Key(key.escape_debug().take(40).collect()));
        }
        let Some(severity) = Severity::ALL.into_iter().find(|severity| severity.name() == text.severity)
        else {
            return Err(MessageError::Severity(text.severity.escape_debug().take(40).collect()));
        };
        let line = Line::from_fields(text.fields);
        Ok(Self { at: text.at, severity, host: text.host, pid: text.pid, line, is_outcome: true })
    }
}

fn bounded(value: &str) -> String {
    let mut end = value.len().min(LONGEST);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let line = Line::new().field("job", "web-20070518T033600Z-7f3a").field("error", "a \"b\"\n\u{e9}");
        let at = "2007-05-18T05:40:01.5Z".parse().unwrap();
        let said = Message::new(at, Severity::Err, HostName::new("zhost1").unwrap(), line);
        Message { pid: 123, is_outcome: true, ..said }
    }

    #[test]
    fn what_is_kept_is_what_is_read() {
        let json = message().to_json();
        assert_eq!(
            String::from_utf8(json.clone()).unwrap(),
            r#"{"v":1,"at":"2007-05-18T05:40:01.500Z","severity":"err","host":"zhost1","pid":123,"fields":[["job","web-20070518T033600Z-7f3a"],["error","a \"b\"\n"#.to_owned() + "\u{e9}\"]]}"
        );
        assert_eq!(Message::from_json(&json).unwrap(), message());
    }

    #[test]
    fn a_file_that_holds_no_message_is_told_why() {
        let json = String::from_utf8(message().to_json()).unwrap();
        for (from, to, why) in [
            ("\"v\":1", "\"v\":2", "of version 2"),
            ("\"err\"", "\"panic\"", "'panic' is no severity"),
            ("zhost1", "z host", "is not a host's name"),
            ("\"job\"", "\"job]\"", "'job]' is no key"),
            ("\"job\"", "\"\"", "'' is no key"),
            ("]]}", "]]", "EOF"),
        ] {
            let bad = json.replacen(from, to, 1);
            let said = Message::from_json(bad.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(why), "{bad}: {said}");
        }
        Message::from_json(b"").unwrap_err();
    }

    #[test]
    fn no_value_is_kept_beyond_its_bound() {
        let line = Line::new().field("error", "\u{e9}".repeat(50_000));
        let said = Message::new(message().at, Severity::Err, message().host, line);
        assert_eq!(said.line.fields().map(|(_, value)| value.len()).max(), Some(LONGEST));
        let odd = bounded(&format!("x{}", "\u{e9}".repeat(LONGEST)));
        assert_eq!(odd.len(), LONGEST - 1);
    }
}
