//! The answer to an offer, with its reasons.

use crate::host::effective::Effective;
use crate::job::code::{Code, Reason};
use crate::job::message::Reply;

/// More reasons than this are counted, not listed: the answer is read by a person.
pub(super) const MOST: usize = 100;

/// The answer with its reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Why the zone can't come. Empty: it can.
    pub refusals: Vec<Reason>,
    /// Why it can't come just now; it will pass by itself.
    pub later: Vec<String>,
    /// What was looked at, the good news too: for `plan`.
    pub findings: Vec<String>,
    /// The datasets' properties as they would be here, unless something is wrong with them.
    pub effective: Option<Effective>,
}

impl Judgement {
    /// Of an offer with these faults, or none.
    pub fn of_faults(faults: Vec<String>) -> Self {
        let refusals = faults.into_iter().map(|why| Reason::new(Code::Offer, why)).collect();
        Self { refusals, ..Self::default() }
    }

    /// The answer to send.
    pub fn reply(&self) -> Reply {
        if !self.refusals.is_empty() {
            return Reply::Refused(self.refusals.clone());
        }
        if self.later.is_empty() { Reply::Accepted } else { Reply::Later(self.later.join("; ")) }
    }

    pub(super) fn refuse(&mut self, code: Code, why: impl Into<String>) {
        self.refusals.push(Reason::new(code, why));
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.findings.push(what.into());
    }

    /// Bounds what is listed.
    pub(super) fn bound(&mut self) {
        bound(&mut self.refusals, |text| Reason::new(Code::Other, text));
        bound(&mut self.findings, |text| text);
    }
}

fn bound<T>(lines: &mut Vec<T>, last: impl FnOnce(String) -> T) {
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(last(format!("and {more} more")));
    }
}
