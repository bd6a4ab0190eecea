//! `zmigrate status`: jobs and their steps, from the journals; the daemon need not run.

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use crate::log::remote::Address;
use crate::spool::Place;

use super::context::{Context, print, print_json};
use super::error::CliError;
use super::look::Look;
use super::report::{self, Report};
use super::shown::{clean, columns, moment, size};
use super::{clock, find};

/// What `status` takes.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// One job in detail: its id, the beginning of it, or its zone's name
    job: Option<String>,
    /// List jobs that have ended, too
    #[arg(long, conflicts_with = "job")]
    all: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// The JSON. `v` changes when a field changes its meaning or goes away.
#[derive(Serialize)]
struct Answer<'r> {
    v: u32,
    /// The daemon's pid, or null.
    daemon: Option<i32>,
    /// Outcomes that the log host has still to be told.
    unsent: usize,
    jobs: &'r [Report],
}

/// Shows the jobs.
///
/// # Errors
/// When the spool can't be read or the job isn't there.
pub fn run(context: &Context, args: &StatusArgs) -> Result<(), CliError> {
    let now = clock::now();
    let reports = match &args.job {
        Some(word) => {
            let look = Look::at(&context.spool, &find::job(&context.spool, word, Place::Active)?)?;
            vec![Report::new(&look, now).with_timeline(&look)]
        }
        None => all(context, args.all, now)?,
    };
    let unsent = context.spool.outbox().waiting()?.len();
    if args.json {
        return print_json(&Answer { v: 1, daemon: context.spool.daemon()?, unsent, jobs: &reports });
    }
    context.warn_without_daemon("this is how things were left")?;
    match (&args.job, &reports[..]) {
        (Some(_), [report]) => print(&detail(report)),
        (_, []) => print(if args.all { "no jobs\n" } else { "no active jobs\n" }),
        _ => print(&list(&reports, now)),
    }?;
    match unsent_text(unsent, context.config.syslog.remote.as_ref()) {
        Some(text) if args.job.is_none() => print(&text),
        _ => Ok(()),
    }
}

/// What the log host has still to be told.
fn unsent_text(unsent: usize, remote: Option<&Address>) -> Option<String> {
    let outcomes = match unsent {
        0 => return None,
        1 => "1 outcome waits".to_owned(),
        n => format!("{n} outcomes wait"),
    };
    Some(match remote {
        Some(remote) => format!("{outcomes} to be sent to {remote}\n"),
        None => format!("{outcomes} for a log host, and no [syslog] remote is configured\n"),
    })
}

fn all(context: &Context, ended: bool, now: DateTime<Utc>) -> Result<Vec<Report>, CliError> {
    let places: &[Place] = if ended { &Place::ALL } else { &[Place::Active] };
    let mut reports = Vec::new();
    for place in places {
        for dir in context.spool.jobs(*place)? {
            reports.push(Report::new(&Look::at(&context.spool, &dir)?, now));
        }
    }
    // One that ended between the two listings is in both.
    reports.sort_by(|a, b| (a.begun, &a.job).cmp(&(b.begun, &b.job)));
    reports.dedup_by(|a, b| a.job == b.job);
    Ok(reports)
}

/// A line for each job, and below it what is worth knowing at once.
fn list(reports: &[Report], now: DateTime<Utc>) -> String {
    let head = ["JOB", "ROLE", "FROM", "TO", "STEP", "SINCE", "OUTAGE"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    rows.extend(reports.iter().map(row));
    let table = columns(&rows);
    let mut lines = table.lines();
    let mut text = format!("{}\n", lines.next().unwrap_or_default());
    for (line, report) in lines.zip(reports) {
        text.push_str(&format!("{line}\n"));
        for note in notes(report, now) {
            text.push_str(&format!("    {note}\n"));
        }
    }
    text
}

fn row(report: &Report) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        report.job.clone(),
        report.role.unwrap_or("-").to_owned(),
        or_dash(report.from.clone()),
        or_dash(report.to.clone()),
        report.result.filter(|_| report.step == "end").unwrap_or(report.step).to_owned(),
        or_dash(report.since.map(moment)),
        or_dash(outage(report)),
    ]
}

fn outage(report: &Report) -> Option<String> {
    let seconds = report.outage_seconds?;
    Some(crate::job::units::duration_text(std::time::Duration::from_secs(seconds)))
}

/// What an operator would ask next.
fn notes(report: &Report, now: DateTime<Utc>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(alert) = &report.alert {
        notes.push(format!("alert: {}", clean(alert)));
    }
    if let Some(fault) = &report.fault {
        notes.push(format!("set aside: {}", clean(fault)));
    }
    if let Some(waiting) = &report.waiting {
        let since = report
            .waiting_since
            .or(report.since)
            .map(|since| format!(", for {} now", super::shown::between(since, now)));
        notes.push(format!("waiting: {}{}", clean(waiting), since.unwrap_or_default()));
    }
    if let Some(error) = &report.error {
        notes.push(format!("error, {} in a row: {}", times(report.failures), clean(error)));
    }
    if let Some(wrong) = &report.failure {
        notes.push(format!("failed at {}: {}", clean(&wrong.step), clean(&wrong.error)));
    }
    for refusal in &report.refusals {
        notes.push(format!("refused: {}", clean(&refusal.text)));
    }
    notes
}

fn times(failures: u32) -> String {
    if failures == 1 { "1 try".to_owned() } else { format!("{failures} tries") }
}

/// Everything about one job.
fn detail(report: &Report) -> String {
    let mut rows = Vec::new();
    let mut say = |what: &str, text: Option<String>| {
        if let Some(text) = text {
            rows.push(vec![format!("{what}:"), clean(&text)]);
        }
    };
    say("job", Some(report.job.clone()));
    say("zone", Some(report.zone.clone()));
    say("role", report.role.map(str::to_owned));
    say("from", report.from.clone());
    say("to", report.to.clone());
    say("ticket", report.ticket.clone());
    say("begun", report.begun.map(moment));
    say("folder", Some(report.place.to_owned()));
    say("step", Some(report.step.to_owned()));
    say("since", report.since.map(moment));
    say("result", report.result.map(str::to_owned));
    say("down since", report.down_since.map(moment));
    say("outage", outage(report));
    let since = report.waiting_since.map(|since| format!(", since {}", moment(since))).unwrap_or_default();
    say("waiting", report.waiting.as_ref().map(|waiting| format!("{waiting}{since}")));
    say("error", report.error.as_ref().map(|e| format!("{e} ({} in a row)", times(report.failures))));
    say("alert", report.alert.clone());
    say("set aside", report.fault.clone());
    say("failure", report.failure.as_ref().map(|w| format!("at {}: {}", w.step, w.error)));
    for refusal in &report.refusals {
        say("refused", Some(refusal.text.clone()));
    }
    for kept in &report.kept {
        say("kept", Some(kept.clone()));
    }
    let mut text = columns(&rows);
    if !report.images.is_empty() {
        text.push_str(&format!("\n{}", images(report)));
    }
    if !report.timeline.is_empty() {
        text.push_str(&format!("\n{}", timeline(report)));
    }
    text
}

fn images(report: &Report) -> String {
    let mut rows = vec![["IMAGE OF", "SIZE", "SENT", "COPIED", "RECEIVED", ""].map(str::to_owned).to_vec()];
    for image in &report.images {
        rows.push(vec![
            clean(&image.dataset),
            size(report::whole(image)),
            size(image.sent),
            size(image.copied),
            size(image.received),
            if image.done { "verified".to_owned() } else { String::new() },
        ]);
    }
    columns(&rows)
}

fn timeline(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .timeline
        .iter()
        .map(|line| {
            vec![
                moment(line.at),
                line.event.to_owned(),
                line.detail.as_deref().map(clean).unwrap_or_default(),
            ]
        })
        .collect();
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::name::Bytes;
    use crate::job::status::ImageStatus;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_179_459_360 + second, 0).unwrap()
    }

    fn report() -> Report {
        Report {
            job: "db-20070518T033600Z-7f3a".into(),
            place: "active",
            role: Some("source"),
            zone: "db".into(),
            from: Some("zhost1".into()),
            to: Some("zhost2".into()),
            step: "send",
            since: Some(at(60)),
            begun: Some(at(0)),
            outage_seconds: Some(75),
            ..Report::default()
        }
    }

    #[test]
    fn a_job_is_one_line_and_what_hinders_it_stands_below() {
        let waits = Report {
            waiting: Some("scratch is full\u{1b}[2J".into()),
            error: Some("cp: no".into()),
            failures: 3,
            ..report()
        };
        let want = "\
JOB                       ROLE    FROM    TO      STEP  SINCE                 OUTAGE
db-20070518T033600Z-7f3a  source  zhost1  zhost2  send  2007-05-18T03:37:00Z  1m15s
    waiting: scratch is full\\u{1b}[2J, for 2m now
    error, 3 tries in a row: cp: no
";
        assert_eq!(list(&[waits], at(180)), want);
    }

    #[test]
    fn outcomes_that_wait_for_the_log_host_are_counted() {
        let remote: Address = "tcp://loghost".parse().unwrap();
        let said = |n, remote| unsent_text(n, remote).unwrap_or_default();
        assert_eq!(said(0, Some(&remote)), "");
        assert_eq!(said(1, Some(&remote)), "1 outcome waits to be sent to tcp://loghost:514\n");
        assert_eq!(said(2, None), "2 outcomes wait for a log host, and no [syslog] remote is configured\n");
    }

    #[test]
    fn an_ended_job_shows_its_result_in_place_of_the_step() {
        let ended = Report { step: "end", result: Some("refused"), ..report() };
        assert!(list(&[ended], at(0)).contains("  refused  "));
        // The verdict is certain, but the peer is still to be told: the step is worth more.
        let telling = Report { step: "ack", result: Some("ok"), ..report() };
        assert!(list(&[telling], at(0)).contains("  ack  "));
    }

    #[test]
    fn the_detail_names_each_image_and_each_line_of_the_journal() {
        let image = ImageStatus {
            dataset: "data/db".into(),
            size: Bytes(2048),
            sent: Bytes(1024),
            ..ImageStatus::default()
        };
        let timeline = vec![super::super::timeline::Moment { at: at(1), event: "shut-down", detail: None }];
        let text = detail(&Report { images: vec![image], timeline, ..report() });
        assert!(text.contains("data/db   2.0 KiB  1.0 KiB  0 B     0 B"), "{text}");
        assert!(text.contains("2007-05-18T03:36:01Z  shut-down\n"), "{text}");
    }
}
