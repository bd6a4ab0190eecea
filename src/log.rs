//! What the daemon says: one line for each piece of news, by syslog(3C) and, in the foreground, on stderr.
//!
//! Owns the line's form ([`mod@line`]), the outcome's fields ([`outcome`]) and the way out (`local`).
//! Guarantees: what goes out is printable ASCII, one line, under 800 bytes; what others wrote is escaped in
//! it. Never does: fail. Syslog is best effort by its nature (no daemon there, its queue full), so nothing
//! may depend on a line having arrived; the journal has the truth, the job's log has the rest.
//!
//! By syslog(3C), as it is the only local way on Solaris and illumos, where `/dev/log` is no socket; it is
//! also how `/etc/syslog.conf` forwards to `@loghost`. The `syslog` crate gives the names and numbers of
//! facilities and severities, and the RFC 3164 frame that stderr shows; its own local transport speaks to
//! sockets only.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use syslog::{Formatter3164, LogFormat};

use crate::job::name::HostName;

mod level;
pub mod line;
mod local;
pub mod outcome;
pub mod remote;

pub use level::{Facility, FacilityError, Severity};
pub use line::Line;
pub use outcome::{Ending, Outcome};

/// The tag of every line, and the name by which a log host sorts them.
pub const TAG: &str = "zmigrated";

/// The way out for lines. Cheap to clone, may be used by several threads at once.
#[derive(Clone)]
pub struct Log {
    facility: Arc<Mutex<Facility>>,
    least: Severity,
    stderr: Option<HostName>,
    also: Option<Arc<Listener>>,
}

/// Hears each line, outcomes apart.
type Listener = dyn Fn(Severity, &Line) + Send + Sync;

impl Log {
    /// Opens syslog, for lines from `info` up. After the daemon has detached: Solaris drops every line,
    /// without a word, when the descriptor behind an opened log was closed.
    pub fn open(facility: Facility) -> Self {
        local::open();
        Self { facility: Arc::new(Mutex::new(facility)), least: Severity::Info, stderr: None, also: None }
    }

    /// From which severity on lines are let out.
    #[must_use]
    pub fn least(self, least: Severity) -> Self {
        Self { least, ..self }
    }

    /// Shows each line on stderr as well, in the frame in which a log host would get it: for the foreground.
    #[must_use]
    pub fn on_stderr(self, host: &HostName) -> Self {
        Self { stderr: Some(host.clone()), ..self }
    }

    /// Lets somebody hear each line that is let out, but for outcomes: those must not get lost, and are handed
    /// over by who keeps them. It must not wait.
    #[must_use]
    pub fn also(self, listener: impl Fn(Severity, &Line) + Send + Sync + 'static) -> Self {
        Self { also: Some(Arc::new(listener)), ..self }
    }

    /// From now on lines go out under this facility.
    pub fn set_facility(&self, facility: Facility) {
        *self.facility.lock().unwrap_or_else(PoisonError::into_inner) = facility;
    }

    /// Lets a line out.
    pub fn write(&self, severity: Severity, line: &Line) {
        if severity > self.least {
            return;
        }
        self.write_here(severity, line);
        if let Some(listener) = &self.also {
            listener(severity, line);
        }
    }

    fn write_here(&self, severity: Severity, line: &Line) {
        let text = line.to_string();
        let facility = *self.facility.lock().unwrap_or_else(PoisonError::into_inner);
        local::send(facility.code() | severity.code(), &text);
        if let Some(host) = &self.stderr {
            let frame = Formatter3164 {
                facility: facility.into(),
                hostname: Some(host.to_string()),
                process: TAG.to_owned(),
                pid: std::process::id(),
            };
            // Whole in one write, so that two daemons on one terminal don't mix. Nobody there to read it: not
            // our fault.
            let mut out = Vec::new();
            if frame.format(&mut out, severity.into(), &text).is_ok() {
                out.push(b'\n');
                let _ = std::io::stderr().lock().write_all(&out);
            }
        }
    }

    /// Lets an outcome out here, at its severity.
    pub fn outcome(&self, outcome: &Outcome) {
        self.write_here(outcome.ending.severity(), &outcome.line());
    }
}
