//! A message in the bytes of RFC 3164 or RFC 5424, by the `syslog` crate's formatters.
//!
//! One field of theirs is replaced: the time. They write when the frame is made, which for an outcome that was
//! kept on disk is not when it happened; and in RFC 3164 they write UTC and a day `07` where it has the host's
//! local time and ` 7` (section 4.1.2). They give a numeric MSGID, so it is 1 for an outcome and 2 for any other line.
//!
//! The text is the same in both formats, and the same as in the local syslog. In RFC 5424 the fields stand in the
//! structured data as well, with the values of the text, but for its quotes.

use std::collections::BTreeMap;

use chrono::{Local, SecondsFormat};
use syslog::{Formatter3164, Formatter5424, LogFormat};

use super::{Message, Protocol};
use crate::log::{Facility, TAG};

/// RFC 3164, section 4.1: no packet is longer, all included.
pub const RFC3164_MAX: usize = 1024;

/// RFC 5424, section 6.1: what receivers should be able to take; fewer bytes (480) they must. An outcome with its
/// structured data has some 900. A receiver that takes less cuts at the end, where the text stands; the
/// structured data is before it.
pub const RFC5424_MAX: usize = 2048;

/// RFC 3164's HOSTNAME has no domain, and a label of DNS is no longer than this.
const LABEL: usize = 63;

/// A form of syslog messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// BSD syslog: what every receiver reads. No year, no zone; the outcome's text has both.
    Rfc3164,
    /// With structured data.
    Rfc5424,
}

/// How messages become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// The form.
    pub format: Format,
    /// For all messages.
    pub facility: Facility,
    /// Whose names the structured data has: a private enterprise number of IANA's (RFC 5424, 7.2.2).
    pub enterprise: u32,
}

impl Framing {
    /// The message, as a datagram holds it.
    ///
    /// # Errors
    /// None that can be thought of: it is written to memory.
    pub fn message(&self, message: &Message) -> Result<Vec<u8>, syslog::Error> {
        match self.format {
            Format::Rfc3164 => self.rfc3164(message),
            Format::Rfc5424 => self.rfc5424(message),
        }
    }

    /// The message, as it is sent over `protocol`. On a stream RFC 5424 is counted (RFC 6587, 3.4.1), since who
    /// reads the one reads the other; RFC 3164 ends in a newline (3.4.2), which is all that older receivers
    /// know. No message has a newline in it.
    ///
    /// # Errors
    /// As [`Framing::message`].
    pub fn bytes(&self, protocol: Protocol, message: &Message) -> Result<Vec<u8>, syslog::Error> {
        let mut bytes = self.message(message)?;
        match (protocol, self.format) {
            (Protocol::Udp, _) => {}
            (Protocol::Tcp, Format::Rfc3164) => bytes.push(b'\n'),
            (Protocol::Tcp, Format::Rfc5424) => {
                let count = format!("{} ", bytes.len());
                bytes.splice(0..0, count.into_bytes());
            }
        }
        Ok(bytes)
    }

    fn rfc3164(&self, message: &Message) -> Result<Vec<u8>, syslog::Error> {
        let host: String =
            message.host.as_str().split('.').next().unwrap_or_default().chars().take(LABEL).collect();
        let formatter = Formatter3164 {
            facility: self.facility.into(),
            hostname: Some(host),
            process: TAG.to_owned(),
            pid: message.pid,
        };
        let mut bytes = Vec::new();
        formatter.format(&mut bytes, message.severity.into(), &message.line)?;
        let time = message.at.with_timezone(&Local).format("%b %e %H:%M:%S").to_string();
        // `<29>` and a time of fixed length.
        replace(
            &mut bytes,
            |text| {
                let start = text.find('>')? + 1;
                Some((start, start + time.len()))
            },
            &time,
        );
        Ok(bytes)
    }

    fn rfc5424(&self, message: &Message) -> Result<Vec<u8>, syslog::Error> {
        let formatter = Formatter5424 {
            facility: self.facility.into(),
            hostname: Some(message.host.to_string()),
            process: TAG.to_owned(),
            pid: message.pid,
        };
        let id = if message.is_outcome { 1 } else { 2 };
        let time = message.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut values: BTreeMap<String, String> =
            message.line.shown().into_iter().map(|(key, text)| (key.to_owned(), bare(&text))).collect();
        loop {
            let data = match values.is_empty() {
                true => BTreeMap::new(),
                false => BTreeMap::from([(format!("{TAG_OF_DATA}@{}", self.enterprise), values.clone())]),
            };
            let mut bytes = Vec::new();
            formatter.format(&mut bytes, message.severity.into(), (id, data, &message.line))?;
            // `<29>1 `, and what is before the next blank.
            replace(
                &mut bytes,
                |text| {
                    let start = text.find(' ')? + 1;
                    Some((start, start + text[start..].find(' ')?))
                },
                &time,
            );
            // Backslashes double once more in the data, so a text full of them may not fit twice. It is in the
            // text still.
            let longest = values.iter().max_by_key(|(_, value)| value.len()).map(|(key, _)| key.clone());
            match longest {
                Some(key) if bytes.len() > RFC5424_MAX => drop(values.remove(&key)),
                _ => return Ok(bytes),
            }
        }
    }
}

/// The SD-ID's name, before the `@`.
const TAG_OF_DATA: &str = "zmigrate";

/// Replaces the time that the formatter wrote.
fn replace(frame: &mut Vec<u8>, place: impl Fn(&str) -> Option<(usize, usize)>, time: &str) {
    let found = std::str::from_utf8(frame).ok().and_then(place);
    if let Some((start, end)) = found.filter(|(start, end)| start <= end && *end <= frame.len()) {
        frame.splice(start..end, time.bytes());
    }
}

/// A value of the text without its quotes. The backslashes of its escapes stay, so that `\n` is still told from a
/// newline; the formatter puts RFC 5424's own before `"`, `\` and `]`.
fn bare(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\""),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::name::HostName;
    use crate::log::{Line, Severity};

    fn framing(format: Format) -> Framing {
        Framing { format, facility: Facility::DAEMON, enterprise: 32473 }
    }

    fn message(line: Line) -> Message {
        let at = "2007-05-07T05:40:01.25Z".parse().unwrap();
        let said = Message::new(at, Severity::Notice, HostName::new("zhost1.example.com").unwrap(), line);
        Message { pid: 4711, ..said }
    }

    fn text(format: Format, message: &Message) -> String {
        String::from_utf8(framing(format).message(message).unwrap()).unwrap()
    }

    fn local(message: &Message) -> String {
        message.at.with_timezone(&Local).format("%b %e %H:%M:%S").to_string()
    }

    #[test]
    fn a_3164_message_has_the_local_time_of_the_event_and_the_host_without_its_domain() {
        let said = message(Line::new().field("event", "step").field("done", "send it"));
        let want = format!("<29>{} zhost1 zmigrated[4711]: event=step done=\"send it\"", local(&said));
        assert_eq!(text(Format::Rfc3164, &said), want);
        assert_eq!(local(&said).as_bytes()[4], b' ', "a day has no zero before it");
    }

    #[test]
    fn a_5424_message_has_the_fields_in_its_structured_data() {
        let said =
            Message { is_outcome: true, ..message(Line::new().field("result", "ok").field("error", "")) };
        assert_eq!(
            text(Format::Rfc5424, &said),
            "<29>1 2007-05-07T05:40:01.250Z zhost1.example.com zmigrated 4711 1 \
             [zmigrate@32473 error=\"\" result=\"ok\"] result=ok error=\"\""
        );
        let said = message(Line::new());
        assert_eq!(
            text(Format::Rfc5424, &said),
            "<29>1 2007-05-07T05:40:01.250Z zhost1.example.com zmigrated 4711 2 - "
        );
    }

    #[test]
    fn what_others_wrote_is_escaped_for_the_text_and_once_more_for_the_data() {
        let said = message(Line::new().field("error", "a]\"b\\\n\u{e9}[x@1 y=\"z\"]"));
        let text = text(Format::Rfc5424, &said);
        assert!(
            text.ends_with(
                r#" 2 [zmigrate@32473 error="a\]\"b\\\\\\n\\u{e9}[x@1 y=\"z\"\]"] error="a]\"b\\\n\u{e9}[x@1 y=\"z\"]""#
            ),
            "{text}"
        );
    }

    #[test]
    fn a_stream_counts_5424_and_ends_3164_in_a_newline() {
        let said = message(Line::new().field("event", "step"));
        for format in [Format::Rfc3164, Format::Rfc5424] {
            let datagram = framing(format).bytes(Protocol::Udp, &said).unwrap();
            let stream = framing(format).bytes(Protocol::Tcp, &said).unwrap();
            let want = match format {
                Format::Rfc3164 => [&datagram[..], b"\n"].concat(),
                Format::Rfc5424 => [format!("{} ", datagram.len()).as_bytes(), &datagram[..]].concat(),
            };
            assert_eq!(stream, want);
            assert_eq!(framing(format).message(&said).unwrap(), datagram);
        }
    }

    #[test]
    fn whatever_it_says_a_message_is_printable_and_within_its_formats_size() {
        let host = HostName::new("z".repeat(253)).unwrap();
        for hostile in ["\\", "\"", "]", "\n", "\u{1f600}", "x", "\0", "é] \"\\", "<29>1 - - - - - - "] {
            let long = hostile.repeat(2000 / hostile.len() + 1);
            let line = Line::new().field("job", "j").field("ticket", &long).field("error", &long);
            let said = Message { host: host.clone(), ..message(line) };
            for (format, most) in [(Format::Rfc3164, RFC3164_MAX), (Format::Rfc5424, RFC5424_MAX)] {
                let bytes = framing(format).message(&said).unwrap();
                assert!(bytes.len() <= most, "{hostile:?}: {}", bytes.len());
                assert!(bytes.iter().all(|b| (b' '..=b'~').contains(b)), "{hostile:?}");
                assert!(text(format, &said).contains("job=j"), "{hostile:?}");
            }
        }
    }

    #[test]
    fn the_same_message_is_the_same_bytes_whenever_it_is_sent() {
        let said = message(Line::new().field("error", "no"));
        let kept = Message::from_json(&Message { is_outcome: true, ..said.clone() }.to_json()).unwrap();
        assert_eq!(text(Format::Rfc3164, &kept), text(Format::Rfc3164, &said));
    }
}
