//! Whether the log host answers: by telling it one line.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::config::Config;
use crate::log::remote::{Framing, Message, Protocol, Unsent, Wire};
use crate::log::{Line, Severity};

use super::finding::Finding;

/// Nothing when none is configured. A log host that is down is a warning: outcomes wait for it.
pub fn loghost(config: &Config, now: DateTime<Utc>) -> Option<Finding> {
    let address = config.syslog.remote.as_ref()?;
    let line = Line::new()
        .field("event", "check")
        .field("host", &config.host)
        .field("ts", now.to_rfc3339_opts(SecondsFormat::Secs, true));
    let framing = Framing::from(&config.syslog);
    let message = Message::new(now, Severity::Info, config.host.clone(), line);
    let sent = Wire::open(address).and_then(|mut wire| {
        // It is written to memory, and can't fail.
        let bytes = framing.bytes(address.protocol, &message).unwrap_or_default();
        wire.send(&bytes)?;
        wire.confirm()
    });
    let what = "log host";
    Some(match (sent, address.protocol) {
        (Ok(()), Protocol::Tcp) => Finding::ok(what, format!("{address} has read a line of event=check")),
        (Ok(()), Protocol::Udp) => Finding::ok(
            what,
            format!(
                "{address} did not refuse a line of event=check; over UDP nobody tells when it is off, and outcomes are lost then"
            ),
        ),
        (Err(error @ Unsent::Name { .. }), _) => Finding::warn(
            what,
            error.to_string(),
            "mend [syslog] remote or the name service; until then outcomes wait in the spool",
        ),
        (Err(error), _) => Finding::warn(
            what,
            error.to_string(),
            "see that its syslog daemon listens there; until then outcomes wait in the spool",
        ),
    })
}
