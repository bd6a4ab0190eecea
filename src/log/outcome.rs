//! The outcome: the one line by which a host says how a job ended. Its fields and their order are fixed.
//!
//! Host and time are in the text because Solaris's forwarding adds neither.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Line, Severity};
use crate::job::name::{Bytes, HostName, JobId, ZoneName};

/// How a job, or a request that did not become one, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The zone runs, or lies, on the target.
    Ok,
    /// It did not work, and the zone is as it was found, or, if the undo failed too, is not.
    Failed {
        /// Whether the undo is complete.
        undone: bool,
    },
    /// The peer refused the offer; nothing was touched.
    Refused,
    /// Somebody asked for it, and the zone is as it was found.
    Cancelled,
    /// The request could not be taken up.
    Rejected,
}

impl Ending {
    /// The word behind `result=`.
    pub fn result(self) -> &'static str {
        match self {
            Ending::Ok => "ok",
            Ending::Failed { .. } => "failed",
            Ending::Refused => "refused",
            Ending::Cancelled => "cancelled",
            Ending::Rejected => "rejected",
        }
    }

    /// By who must act.
    pub fn severity(self) -> Severity {
        match self {
            Ending::Ok | Ending::Cancelled => Severity::Notice,
            Ending::Failed { undone: true } | Ending::Refused | Ending::Rejected => Severity::Err,
            Ending::Failed { undone: false } => Severity::Alert,
        }
    }
}

/// What an outcome line says, in its order. What is not known is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The job; a rejected request has none.
    pub job: Option<JobId>,
    /// How it ended.
    pub ending: Ending,
    /// `source` or `target`.
    pub role: Option<&'static str>,
    /// This host.
    pub host: HostName,
    /// When it ended, by this host's clock.
    pub ts: DateTime<Utc>,
    /// The zone.
    pub zone: Option<ZoneName>,
    /// The source.
    pub from: Option<HostName>,
    /// The target.
    pub to: Option<HostName>,
    /// Of all images.
    pub bytes: Option<Bytes>,
    /// How long the zone was down.
    pub downtime: Option<Duration>,
    /// From admission to the end.
    pub total: Option<Duration>,
    /// How long each step took, in the order of the job: `shutdown`, `detach`, `send` …
    pub steps: Vec<(&'static str, Duration)>,
    /// The request's.
    pub ticket: Option<String>,
    /// A rejected request's file name.
    pub request: Option<String>,
    /// The step that failed.
    pub step: Option<String>,
    /// Why. The last field, and the first to be cut.
    pub error: Option<String>,
}

impl Outcome {
    /// An outcome of which only the end, the host and the time are known.
    pub fn new(ending: Ending, host: HostName, ts: DateTime<Utc>) -> Self {
        Self {
            job: None,
            ending,
            role: None,
            host,
            ts,
            zone: None,
            from: None,
            to: None,
            bytes: None,
            downtime: None,
            total: None,
            steps: Vec::new(),
            ticket: None,
            request: None,
            step: None,
            error: None,
        }
    }

    /// The line.
    pub fn line(&self) -> Line {
        let mut line = Line::new()
            .maybe("job", self.job.as_ref())
            .field("result", self.ending.result())
            .maybe("role", self.role)
            .field("host", &self.host)
            .field("ts", self.ts.to_rfc3339_opts(SecondsFormat::Secs, true))
            .maybe("zone", self.zone.as_ref())
            .maybe("from", self.from.as_ref())
            .maybe("to", self.to.as_ref())
            .maybe("bytes", self.bytes.map(|bytes| bytes.0))
            .maybe("downtime", self.downtime.map(seconds))
            .maybe("total", self.total.map(seconds));
        for (step, took) in &self.steps {
            line = line.field(step, seconds(*took));
        }
        let undone = match self.ending {
            Ending::Failed { undone } => Some(if undone { "yes" } else { "no" }),
            _ => None,
        };
        line.maybe("ticket", self.ticket.as_ref())
            .maybe("request", self.request.as_ref())
            .maybe("step", self.step.as_ref())
            .maybe("undone", undone)
            .maybe("error", self.error.as_ref())
    }
}

/// Whole seconds, rounded: `7421s`.
fn seconds(time: Duration) -> String {
    format!("{}s", time.as_millis().saturating_add(500) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(ending: Ending) -> Outcome {
        let host = |name| Some(HostName::new(name).unwrap());
        Outcome {
            job: Some(JobId::new("dbbackup-20070518T033600Z-7f3a").unwrap()),
            role: Some("source"),
            zone: Some(ZoneName::new("dbbackup").unwrap()),
            from: host("zhost1"),
            to: host("zhost2"),
            ..Outcome::new(ending, HostName::new("zhost1").unwrap(), "2007-05-18T05:40:01Z".parse().unwrap())
        }
    }

    #[test]
    fn an_ok_reads_as_the_design_has_it() {
        let secs = Duration::from_secs;
        let ok = Outcome {
            bytes: Some(Bytes(43_378_540_544)),
            downtime: Some(secs(7421)),
            total: Some(Duration::from_millis(7_420_500)),
            steps: [
                ("shutdown", 9),
                ("detach", 1),
                ("send", 2100),
                ("copy", 7300),
                ("receive", 6900),
                ("attach", 21),
                ("boot", 14),
                ("verify", 30),
            ]
            .map(|(step, took)| (step, secs(took)))
            .into(),
            ticket: Some("OPS-1138".to_owned()),
            ..outcome(Ending::Ok)
        };
        assert_eq!(
            ok.line().to_string(),
            "job=dbbackup-20070518T033600Z-7f3a result=ok role=source host=zhost1 ts=2007-05-18T05:40:01Z \
             zone=dbbackup from=zhost1 to=zhost2 bytes=43378540544 downtime=7421s total=7421s shutdown=9s \
             detach=1s send=2100s copy=7300s receive=6900s attach=21s boot=14s verify=30s ticket=OPS-1138"
        );
    }

    #[test]
    fn a_failure_ends_with_the_step_the_undo_and_the_error() {
        let failed = Outcome {
            role: Some("target"),
            step: Some("attach".to_owned()),
            error: Some("zoneadm: zone 'x': failed".to_owned()),
            ..outcome(Ending::Failed { undone: true })
        };
        let text = failed.line().to_string();
        assert!(
            text.ends_with("to=zhost2 step=attach undone=yes error=\"zoneadm: zone 'x': failed\""),
            "{text}"
        );
    }

    #[test]
    fn the_severity_follows_who_must_act() {
        for (ending, severity) in [
            (Ending::Ok, Severity::Notice),
            (Ending::Cancelled, Severity::Notice),
            (Ending::Failed { undone: true }, Severity::Err),
            (Ending::Failed { undone: false }, Severity::Alert),
            (Ending::Refused, Severity::Err),
            (Ending::Rejected, Severity::Err),
        ] {
            assert_eq!(ending.severity(), severity, "{ending:?}");
        }
    }
}
