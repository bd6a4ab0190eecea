//! The answer to an offer, with its reasons.

use crate::job::message::Reply;

/// More reasons than this are counted, not listed: the answer is read by a person.
pub(super) const MOST: usize = 100;

/// The answer with its reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Why the zone can't come. Empty: it can.
    pub refusals: Vec<String>,
    /// Why it can't come just now; it will pass by itself.
    pub later: Vec<String>,
    /// What was looked at, the good news too: for `plan`.
    pub findings: Vec<String>,
}

impl Judgement {
    /// The answer to send.
    pub fn reply(&self) -> Reply {
        if !self.refusals.is_empty() {
            return Reply::Refused(self.refusals.clone());
        }
        if self.later.is_empty() { Reply::Accepted } else { Reply::Later(self.later.join("; ")) }
    }

    pub(super) fn refuse(&mut self, why: impl Into<String>) {
        self.refusals.push(why.into());
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.findings.push(what.into());
    }

    /// Bounds what is listed.
    pub(super) fn bound(&mut self) {
        bound(&mut self.refusals);
        bound(&mut self.findings);
    }
}

fn bound(lines: &mut Vec<String>) {
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(format!("and {more} more"));
    }
}
