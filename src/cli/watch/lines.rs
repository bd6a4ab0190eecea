//! A job's way as plain lines, for a file or a pipe: one whenever something changes, and one now and then while
//! bytes move.

use chrono::{DateTime, TimeDelta, Utc};

use super::meter::Meters;
use super::sums::sums;
use crate::cli::report::Report;
use crate::cli::shown::{clean, moment};

/// Between two lines about bytes alone.
const EVERY: TimeDelta = TimeDelta::seconds(10);

/// What has been said.
#[derive(Debug, Default)]
pub struct Lines {
    state: Option<String>,
    sums: Option<String>,
    at: Option<DateTime<Utc>>,
}

impl Lines {
    /// What is to be said now, if anything: lines with their ends.
    pub fn next(&mut self, report: &Report, meters: &Meters, now: DateTime<Utc>) -> String {
        let mut text = String::new();
        let state = state(report);
        if self.state.as_ref() != Some(&state) {
            text.push_str(&format!("{} {state}\n", moment(now)));
            self.state = Some(state);
        }
        let due = self.at.is_none_or(|at| now - at >= EVERY || now < at);
        if due && let Some(sums) = sums(report, meters) {
            let said = format!("{}: {sums}", report.step);
            if self.sums.as_ref() != Some(&said) {
                text.push_str(&format!("{} {said}\n", moment(now)));
                self.sums = Some(said);
                self.at = Some(now);
            }
        }
        text
    }
}

/// The step and what hinders it.
fn state(report: &Report) -> String {
    let mut text = format!("{}: {}", report.job, report.step);
    for (what, said) in [
        ("alert", &report.alert),
        ("set aside", &report.fault),
        ("waiting", &report.waiting),
        ("error", &report.error),
    ] {
        if let Some(said) = said {
            text.push_str(&format!(", {what}: {}", clean(said)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::name::Bytes;
    use crate::job::status::ImageStatus;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_179_459_360 + second, 0).unwrap()
    }

    fn report(received: u64) -> Report {
        let image = ImageStatus { size: Bytes(1000), received: Bytes(received), ..ImageStatus::default() };
        Report { job: "j".into(), step: "send", images: vec![image], ..Report::default() }
    }

    #[test]
    fn a_line_is_said_when_something_changes_and_not_again() {
        let (mut lines, meter) = (Lines::default(), Meters::default());
        let none = Report { images: Vec::new(), ..report(0) };
        assert_eq!(lines.next(&none, &meter, at(0)), "2007-05-18T03:36:00Z j: send\n");
        assert_eq!(lines.next(&none, &meter, at(60)), "");
        let held = Report { waiting: Some("full\n".into()), ..none };
        assert_eq!(lines.next(&held, &meter, at(61)), "2007-05-18T03:37:01Z j: send, waiting: full\\n\n");
    }

    #[test]
    fn bytes_are_told_every_ten_seconds_and_only_when_they_moved() {
        let (mut lines, meter) = (Lines::default(), Meters::default());
        assert!(lines.next(&report(1), &meter, at(0)).contains("send: 1 B of 1000 B"));
        assert_eq!(lines.next(&report(2), &meter, at(9)), "");
        assert!(lines.next(&report(2), &meter, at(10)).contains("2 B of 1000 B"));
        assert_eq!(lines.next(&report(2), &meter, at(30)), "");
    }
}
