//! Severities and facilities: their names and numbers, on each system.

use std::fmt;
use std::str::FromStr;

/// How much a line matters, by who has to act: the most urgent is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A person, now: a job in doubt, an undo that failed.
    Alert,
    /// A person, in the morning: a job failed and was undone.
    Err,
    /// Nobody yet: something is deferred and tried again.
    Warning,
    /// Nobody: an outcome.
    Notice,
    /// Nobody: a step. Solaris's default syslog.conf drops these.
    Info,
    /// Who looks for a fault: a command.
    Debug,
}

impl From<Severity> for syslog::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Alert => Self::LOG_ALERT,
            Severity::Err => Self::LOG_ERR,
            Severity::Warning => Self::LOG_WARNING,
            Severity::Notice => Self::LOG_NOTICE,
            Severity::Info => Self::LOG_INFO,
            Severity::Debug => Self::LOG_DEBUG,
        }
    }
}

impl Severity {
    /// All of them, the most urgent first.
    pub const ALL: [Severity; 6] = [
        Severity::Alert,
        Severity::Err,
        Severity::Warning,
        Severity::Notice,
        Severity::Info,
        Severity::Debug,
    ];

    /// Its name, as in syslog.conf.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Alert => "alert",
            Severity::Err => "err",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
            Severity::Info => "info",
            Severity::Debug => "debug",
        }
    }

    /// Its number, the same on every system (RFC 5424, section 6.2.1).
    pub(super) fn code(self) -> libc::c_int {
        syslog::Severity::from(self) as libc::c_int
    }
}

/// Where syslogd sorts a line to. Holds one of the names that Linux, illumos and Solaris all have and that a
/// program may use: `kern` is the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(&'static str);

/// A facility's name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a facility, expected one of user, mail, daemon, auth, lpr, news, uucp, cron, local0 … local7"
)]
pub struct FacilityError(String);

const NAMES: [&str; 16] = [
    "user", "mail", "daemon", "auth", "lpr", "news", "uucp", "cron", "local0", "local1", "local2", "local3",
    "local4", "local5", "local6", "local7",
];

impl Facility {
    /// The default: what `/etc/syslog.conf` sends to /var/adm/messages from `notice` up.
    pub const DAEMON: Facility = Facility("daemon");

    /// Its number for syslog(3C), already shifted. Systems agree but for `cron`: 15 on Solaris, 9 elsewhere
    /// (illumos `sys/syslog.h`).
    pub(super) fn code(self) -> libc::c_int {
        match self.into() {
            syslog::Facility::LOG_CRON => libc::LOG_CRON,
            facility => facility as libc::c_int,
        }
    }
}

impl FromStr for Facility {
    type Err = FacilityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NAMES
            .into_iter()
            .find(|name| *name == text)
            .map(Self)
            .ok_or_else(|| FacilityError(text.escape_debug().take(40).collect()))
    }
}

impl From<Facility> for syslog::Facility {
    fn from(facility: Facility) -> Self {
        // Each of our names is one of the crate's (a test looks).
        facility.0.parse().unwrap_or(syslog::Facility::LOG_DAEMON)
    }
}

impl fmt::Display for Facility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_facility_has_the_number_of_this_system() {
        let numbers = [
            libc::LOG_USER,
            libc::LOG_MAIL,
            libc::LOG_DAEMON,
            libc::LOG_AUTH,
            libc::LOG_LPR,
            libc::LOG_NEWS,
            libc::LOG_UUCP,
            libc::LOG_CRON,
            libc::LOG_LOCAL0,
            libc::LOG_LOCAL1,
            libc::LOG_LOCAL2,
            libc::LOG_LOCAL3,
            libc::LOG_LOCAL4,
            libc::LOG_LOCAL5,
            libc::LOG_LOCAL6,
            libc::LOG_LOCAL7,
        ];
        for (name, number) in NAMES.into_iter().zip(numbers) {
            assert!(name.parse::<syslog::Facility>().is_ok(), "{name}");
            assert_eq!(name.parse::<Facility>().unwrap().code(), number, "{name}");
        }
    }

    #[test]
    fn what_is_no_facility_is_named_with_those_that_are() {
        for bad in ["kern", "Daemon", "log_daemon", "", "local8"] {
            bad.parse::<Facility>().unwrap_err();
        }
        let said = "a\nb".parse::<Facility>().unwrap_err().to_string();
        assert!(said.starts_with("'a\\nb' is not a facility, expected one of user,"), "{said}");
    }

    #[test]
    fn severities_have_the_numbers_of_syslog() {
        use Severity::*;
        let codes = [Alert, Err, Warning, Notice, Info, Debug].map(Severity::code);
        let libcs = [
            libc::LOG_ALERT,
            libc::LOG_ERR,
            libc::LOG_WARNING,
            libc::LOG_NOTICE,
            libc::LOG_INFO,
            libc::LOG_DEBUG,
        ];
        assert_eq!(codes, libcs);
        assert!(Debug > Info && Err > Alert);
    }
}
