//! `zmigrate watch`: a job's way, live, until it ends. Looks at the job's files twice a second; the daemon
//! does not know that it is watched, and need not run.

mod bars;
mod lines;
mod meter;
mod sums;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, IsTerminal};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;

use crate::job::name::JobId;
use crate::spool::{JobDir, Place, Spool, SpoolError};

use super::context::{Context, print, warn};
use super::error::CliError;
use super::look::{Look, read_status};
use super::report::Report;
use super::shown::{about, clean, size};
use super::{clock, find};
use bars::Bars;
use lines::Lines;
use meter::Meters;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// A job whose result is certain may still owe its peer a word. That is not waited for longer than this.
const OWED: TimeDelta = TimeDelta::seconds(10);

/// What `watch` takes.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The job: its id, the beginning of it, or its zone's name [default: the newest, or the next to come]
    job: Option<String>,
}

/// Shows the job until it ends.
///
/// # Errors
/// When it ends otherwise than ok, or the spool can't be read.
pub fn run(context: &Context, args: &WatchArgs) -> Result<(), CliError> {
    let dir = match &args.job {
        Some(word) => find::job(&context.spool, word, Place::Active)?,
        None => newest_or_next(context)?,
    };
    if dir.place == Place::Active {
        context.warn_without_daemon("nothing moves until one does")?;
    }
    let mut watched = Watched { spool: &context.spool, look: None, journal: 0 };
    let mut screen =
        if io::stdout().is_terminal() { Screen::Bars(Bars::new()) } else { Screen::Lines(Lines::default()) };
    let mut meters = Meters::default();
    let mut certain_since = None;
    loop {
        let now = clock::now();
        let report = watched.report(&dir.id, now)?;
        let (come, _) = report.totals();
        meters.note(now, report.copied(), come);
        screen.show(&report, &meters, now)?;
        if is_over(&report, &mut certain_since, now) {
            screen.leave();
            return end(&report);
        }
        clock::pause(PAUSE);
    }
}

/// The newest active job, or the next one to appear.
fn newest_or_next(context: &Context) -> Result<JobDir, CliError> {
    let spool = &context.spool;
    if let Some(dir) = find::newest(&spool.jobs(Place::Active)?) {
        return Ok(dir.clone());
    }
    let before: BTreeSet<JobId> = all(spool)?.into_iter().map(|dir| dir.id).collect();
    warn("no job is active, waiting for the next");
    loop {
        // Looked for everywhere: one that is refused at once is soon in another place.
        let new: Vec<JobDir> = all(spool)?.into_iter().filter(|dir| !before.contains(&dir.id)).collect();
        if let Some(dir) = find::newest(&new) {
            return Ok(dir.clone());
        }
        clock::pause(PAUSE);
    }
}

fn all(spool: &Spool) -> Result<Vec<JobDir>, SpoolError> {
    let mut dirs = Vec::new();
    for place in Place::ALL {
        dirs.extend(spool.jobs(place)?);
    }
    Ok(dirs)
}

/// A job that is looked at again and again. Its journal may be long, so it is folded anew only when it has grown.
struct Watched<'s> {
    spool: &'s Spool,
    look: Option<Look>,
    journal: u64,
}

impl Watched<'_> {
    fn report(&mut self, id: &JobId, now: DateTime<Utc>) -> Result<Report, CliError> {
        let dir = self.spool.find(id)?;
        let dir = dir.ok_or_else(|| CliError::failed(format!("job {id} is no longer in the spool")))?;
        let length = fs::metadata(dir.journal()).map_or(0, |meta| meta.len());
        match &mut self.look {
            Some(look) if self.journal == length && look.dir == dir => look.status = read_status(&dir),
            look => *look = Some(Look::at(self.spool, &dir)?),
        }
        self.journal = length;
        Ok(self.look.as_ref().map(|look| Report::new(look, now)).unwrap_or_default())
    }
}

/// Whether there is nothing more to be seen.
fn is_over(report: &Report, certain_since: &mut Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    if report.place != Place::Active.folder() {
        return true;
    }
    if report.result.is_none() {
        return false;
    }
    now - *certain_since.get_or_insert(now) >= OWED
}

/// Says how it ended.
fn end(report: &Report) -> Result<(), CliError> {
    print(&format!("{}\n", outcome(report)))?;
    if report.result == Some("ok") { Ok(()) } else { Err(CliError::quiet()) }
}

fn outcome(report: &Report) -> String {
    let mut text =
        format!("{}: {}", report.job, report.result.unwrap_or("ended, and its journal does not say how"));
    if let Some(seconds) = report.outage_seconds {
        text.push_str(&format!(", outage {}", about(Duration::from_secs(seconds))));
    }
    let (_, bytes) = report.totals();
    if bytes.0 > 0 {
        text.push_str(&format!(", {}", size(bytes)));
    }
    if let Some(wrong) = &report.failure {
        text.push_str(&format!(", at {}: {}", clean(&wrong.step), clean(&wrong.error)));
    }
    for refusal in &report.refusals {
        text.push_str(&format!("\n  {}", clean(&refusal.text)));
    }
    let peer = if report.role == Some("target") { &report.from } else { &report.to };
    if report.place == Place::Active.folder()
        && let Some(peer) = peer
    {
        text.push_str(&format!(" ({peer} has yet to take note of it)"));
    }
    text
}

enum Screen {
    Bars(Bars),
    Lines(Lines),
}

impl Screen {
    fn show(&mut self, report: &Report, meters: &Meters, now: DateTime<Utc>) -> Result<(), CliError> {
        match self {
            Screen::Bars(bars) => bars.draw(report, meters),
            Screen::Lines(lines) => {
                let text = lines.next(report, meters, now);
                if !text.is_empty() {
                    print(&text)?;
                }
            }
        }
        Ok(())
    }

    fn leave(&self) {
        if let Screen::Bars(bars) = self {
            bars.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::code::Code;
    use crate::job::message::Failure;
    use crate::job::name::Bytes;
    use crate::job::status::ImageStatus;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn report(place: &'static str, result: Option<&'static str>) -> Report {
        Report {
            job: "j".into(),
            place,
            result,
            role: Some("source"),
            to: Some("zhost2".into()),
            ..Report::default()
        }
    }

    #[test]
    fn it_is_over_when_the_folder_has_moved_or_only_words_are_owed_for_long() {
        let mut since = None;
        assert!(is_over(&report("failed", None), &mut since, at(0)));
        assert!(!is_over(&report("active", None), &mut since, at(0)));
        assert!(!is_over(&report("active", Some("ok")), &mut since, at(5)));
        assert!(!is_over(&report("active", Some("ok")), &mut since, at(14)));
        assert!(is_over(&report("active", Some("ok")), &mut since, at(15)));
    }

    #[test]
    fn the_outcome_says_what_counts() {
        let failed = Report {
            outage_seconds: Some(90),
            failure: Some(Failure::new("attach", Code::Command, "no\n")),
            ..report("failed", Some("failed"))
        };
        assert_eq!(outcome(&failed), "j: failed, outage 1m30s, at attach: no\\n");
        assert_eq!(outcome(&report("active", Some("ok"))), "j: ok (zhost2 has yet to take note of it)");
    }

    #[test]
    fn the_time_left_is_unknown_while_nothing_moves() {
        let image = ImageStatus { size: Bytes(1000), received: Bytes(0), ..ImageStatus::default() };
        let mut report = Report { images: vec![image], ..Report::default() };
        let mut meter = Meters::default();
        meter.note(at(0), None, Bytes(0));
        meter.note(at(10), None, Bytes(0));
        assert_eq!(sums::sums(&report, &meter).unwrap(), "0 B of 1000 B, time left unknown");
        meter.note(at(20), None, Bytes(200));
        report.images[0].received = Bytes(200);
        assert_eq!(sums::sums(&report, &meter).unwrap(), "200 B of 1000 B, 10 B/s, 1m20s left");
        report.images[0].done = true;
        assert_eq!(sums::sums(&report, &meter).unwrap(), "1000 B of 1000 B");
    }
}
