//! One job's thread: fold the journal, ask the phase what is due, have it performed, journal what happened.
//! A restarted daemon does nothing else, so recovery is this very loop.
//!
//! Guarantees: an event is on disk before anything that follows from it is done; nothing but this thread writes
//! the job's journal. A step that fails is tried again, given up or held as [`decide`] says; what is
//! held alerts, once an hour, until it works or an operator acts.

mod doubt;
mod heed;

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::context::{ALERT_EVERY, Context};
use super::perform::{self, Memory};
use super::report;
use crate::host::live::Live;
use crate::host::{Done, StepError};
use crate::job::event::{Cause, Event};
use crate::job::limits;
use crate::job::message::Failure;
use crate::job::phase::{Ended, Phase};
use crate::job::record::{Impossible, Job};
use crate::job::retry::{Decision, back_off, decide};
use crate::job::role::Role;
use crate::job::step::Step;
use crate::log::Severity;
use crate::spool::journal::Journal;
use crate::spool::{JobDir, Place, SpoolError};

/// How often people see what moves.
const STATUS_EVERY: Duration = Duration::from_millis(500);

/// So often the dropbox is tried to be tidied: for some nine seconds.
const LEAVES: u32 = 6;

/// One job being carried out.
pub struct Engine {
    context: Arc<Context>,
    dir: JobDir,
    journal: Journal<Event>,
    job: Job,
    live: Arc<Live>,
    memory: Memory,
    failures: u32,
    /// The first of them.
    failing: Option<Instant>,
    error: Option<String>,
    alerted: Option<Instant>,
    /// The outcome line is out, and, behind the journal's `reported`, released for the log host: in this process.
    told: bool,
    released: bool,
    /// What was to be journaled can't be true: nothing more is done.
    is_defective: bool,
    status: Option<crate::job::status::Status>,
}

impl Engine {
    /// Takes a job over from its journal.
    pub fn new(
        context: Arc<Context>,
        dir: JobDir,
        journal: Journal<Event>,
        job: Job,
        live: Arc<Live>,
    ) -> Self {
        let memory = Memory::new(&job);
        Self {
            context,
            dir,
            journal,
            job,
            live,
            memory,
            failures: 0,
            error: None,
            failing: None,
            alerted: None,
            told: false,
            released: false,
            is_defective: false,
            status: None,
        }
    }

    /// Carries the job on until it has ended or the daemon stops.
    pub fn run(mut self) {
        while !self.context.is_stopping() && !self.is_defective {
            let heard = self.context.bell.count();
            self.write_status();
            if let Err(error) = self.report() {
                self.wait_out(heard, &error.to_string());
                continue;
            }
            if self.heed_operators() || self.heed_limits() {
                continue;
            }
            let step = self.job.phase.next();
            if step == Step::End {
                if !self.leave(heard) {
                    continue;
                }
                match self.end() {
                    Ok(()) => return,
                    Err(error) => self.wait_out(heard, &error.to_string()),
                }
                continue;
            }
            let age = self.age();
            match self.perform(step, age) {
                Ok(Done::Event(event)) => {
                    self.live.moving();
                    self.record(event);
                }
                Ok(Done::Wait { why, within }) => {
                    self.failures = 0;
                    self.error = None;
                    self.live.waiting(&why, None);
                    self.doubt();
                    self.write_status();
                    self.context.bell.wait(heard, within);
                }
                // What it waited for may have been cut short: whoever calls comes first.
                Err(_) if self.context.is_called(&self.job.id) => {}
                Err(error) => self.failed(step, error, heard),
            }
        }
        self.write_status();
    }

    /// Has the step performed; meanwhile `status.json` follows what moves, which only the long steps do.
    fn perform(&mut self, step: Step, age: Duration) -> Result<Done, StepError> {
        let Self { context, dir, job, live, memory, .. } = self;
        let (failures, error) = (self.failures, self.error.clone());
        if !matches!(step, Step::Send | Step::Receive) {
            return perform::perform(context, job, live, dir, memory, step, age);
        }
        let (job, dir, shown) = (&*job, &*dir, Arc::clone(live));
        let (over, is_over) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut last = None;
                while is_over.recv_timeout(STATUS_EVERY) == Err(RecvTimeoutError::Timeout) {
                    let status = report::status(job, &shown, failures, error.clone(), None, Utc::now());
                    if last.as_ref().is_none_or(|last| !report::same(last, &status)) {
                        report::write(dir, &status);
                        last = Some(status);
                    }
                }
            });
            let done = perform::perform(context, job, live, dir, memory, step, age);
            drop(over);
            done
        })
    }

    /// Journals an event and lets it count; `false` when it does not, because the daemon ends or the event is a defect.
    /// What can't be journaled has not happened; it is tried again.
    fn record(&mut self, event: Event) -> bool {
        let mut tries = 0u32;
        loop {
            match self.append(&event) {
                Ok(counts) => return counts,
                Err(error) => {
                    tries += 1;
                    self.error = Some(error.to_string());
                    if tries == 1 || self.is_alert_due() {
                        self.alert("spool", &format!("{error}; the job waits until it can be written"));
                    }
                    if self.context.is_stopping() {
                        return false;
                    }
                    let heard = self.context.bell.count();
                    self.write_status();
                    self.context.bell.wait(heard, Duration::from_secs(1));
                }
            }
        }
    }

    /// As [`Self::record`], tried once.
    fn append(&mut self, event: &Event) -> Result<bool, SpoolError> {
        let now = Utc::now();
        let before = self.job.phase;
        // perform and apply disagree? Nothing is done on the strength of a defect, and no line tells of it: the journal stays
        // one that can be true.
        if let Err(impossible) = self.job.after(event) {
            return Ok(self.rest(&impossible));
        }
        self.journal.append(now, event)?;
        if let Err(impossible) = self.job.apply(now, event) {
            return Ok(self.rest(&impossible));
        }
        if self.job.phase != before {
            self.failures = 0;
            self.error = None;
            self.alerted = None;
            self.memory.next_step();
            self.context.tell(Severity::Info, &self.job, |line| {
                line.field("event", "step")
                    .field("done", before.next().word())
                    .field("next", self.job.phase.next().word())
            });
            self.live.note(&format!("{:?} -> {:?}", event.kind(), self.job.phase));
        }
        self.context.update(&self.job);
        Ok(true)
    }

    fn rest(&mut self, impossible: &Impossible) -> bool {
        self.alert("defect", &format!("{impossible}; the job rests until zmigrated is started anew"));
        self.is_defective = true;
        false
    }

    /// How long the step has been due, by the journal: a restart does not begin the time anew.
    fn age(&self) -> Duration {
        since(self.job.times.phase)
    }

    /// The verdict is known: one line for syslog and one for the log host, once.
    fn report(&mut self) -> Result<(), SpoolError> {
        // An ok of the target is certain only with the ack: until then `revoked` may still come.
        if self.job.phase.verdict().is_none() {
            return Ok(());
        }
        if !self.job.reported {
            // By the verdict's time: told again after a crash, it is the same line.
            let ended = self.job.times.verdict.unwrap_or_else(Utc::now);
            let outcome = report::outcome(&self.job, ended);
            if !self.told {
                self.context.log.outcome(&outcome);
                self.told = true;
            }
            // Kept before the journal says that it was told, sent after: a crash in between keeps it once more, under
            // the same name. syslog(3C) may hear it twice, which is better than never.
            self.context.loghost.hold(
                &self.context.config().syslog,
                &self.job.id,
                self.job.role,
                &outcome,
            )?;
            self.append(&Event::Reported)?;
        }
        if !self.released {
            self.context.loghost.release(&self.job.id, self.job.role)?;
            self.released = true;
        }
        Ok(())
    }

    fn failed(&mut self, step: Step, error: StepError, heard: u64) {
        self.failures += 1;
        if self.failures == 1 {
            self.failing = Some(Instant::now());
        }
        let text = error.text.clone();
        if self.error.as_deref() != Some(&text) {
            self.live.note(&format!("{}: {text}", step.word()));
            self.context.tell(Severity::Warning, &self.job, |line| {
                line.field("event", "deferred").field("step", step.word()).field("error", &text)
            });
        }
        self.error = Some(text.clone());
        match decide(self.job.phase, error.kind, self.failures) {
            Decision::TurnBack => {
                let failure = Failure::new(step.word(), error.code, text);
                self.record(Event::TurnedBack { cause: Cause::Failed, failure });
            }
            Decision::Again(pause) => {
                self.live.waiting(&format!("{} to succeed", step.word()), None);
                self.doubt();
                self.write_status();
                self.pause(heard, pause);
            }
            Decision::Hold(pause) => {
                self.live.waiting(&format!("{} to succeed", step.word()), None);
                if self.is_alert_due() {
                    let what =
                        if matches!(self.job.phase, Phase::PutBack(_) | Phase::Tidy(_) | Phase::Undo(..)) {
                            "undo-failed"
                        } else {
                            "held"
                        };
                    self.alert(what, &format!("{}: {text}; it is tried again until it works", step.word()));
                }
                self.write_status();
                self.pause(heard, pause);
            }
        }
    }

    /// Waits the back-off out, unless an operator, a limit of the request or the daemon's end comes first.
    fn pause(&self, mut heard: u64, mut pause: Duration) {
        if let Some((at, _)) = limits::next_limit(&self.job) {
            // A limit has passed behind its moment, not in it.
            let left = (at - Utc::now()).to_std().unwrap_or_default();
            pause = pause.min(left + Duration::from_millis(1));
        }
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.context.is_called(&self.job.id) {
                return;
            }
            self.context.bell.wait(heard, left);
            heard = self.context.bell.count();
        }
    }

    fn wait_out(&mut self, heard: u64, error: &str) {
        self.error = Some(error.to_owned());
        if self.is_alert_due() {
            self.alert("spool", error);
        }
        self.context.bell.wait(heard, Duration::from_secs(1));
    }

    fn is_alert_due(&self) -> bool {
        self.alerted.is_none_or(|at| at.elapsed() >= ALERT_EVERY)
    }

    fn alert(&mut self, event: &str, text: &str) {
        self.alerted = Some(Instant::now());
        self.memory.alert = Some(text.to_owned());
        self.live.note(&format!("ALERT {event}: {text}"));
        let undone = (event == "undo-failed").then_some("no");
        self.context.tell(Severity::Alert, &self.job, |line| {
            line.field("event", event).maybe("undone", undone).field("error", text)
        });
    }

    /// Takes our side of the dropbox away; `false`: to be tried again. A link is seldom down for just this moment, and a peer that is
    /// gone must not keep the job.
    fn leave(&mut self, heard: u64) -> bool {
        let left = perform::leave(&self.context, &self.job, &self.live, &mut self.memory);
        let Err(error) = left else { return true };
        self.failures += 1;
        self.live.note(&format!("the dropbox is not tidied: {error}"));
        if self.failures >= LEAVES {
            return true;
        }
        self.live.waiting("the dropbox to be tidied", None);
        self.error = Some(error.text);
        self.write_status();
        self.pause(heard, back_off(self.failures));
        false
    }

    /// The job is over and everybody has been told: out of `active/` by one rename.
    fn end(&mut self) -> Result<(), SpoolError> {
        self.live.moving();
        self.error = None;
        self.write_status();
        let ok = self.job.phase == Phase::Ended(Ended::Ok);
        self.context.spool.end(&self.job.id, if ok { Place::Done } else { Place::Failed })?;
        self.context.forget(&self.job.id);
        if self.job.role == Role::Target || ok {
            self.context.bell.ring();
        }
        Ok(())
    }

    fn write_status(&mut self) {
        let alert = self.memory.alert.clone().filter(|_| self.alerted.is_some());
        let status =
            report::status(&self.job, &self.live, self.failures, self.error.clone(), alert, Utc::now());
        if self.status.as_ref().is_some_and(|old| report::same(old, &status)) {
            return;
        }
        report::write(&self.dir, &status);
        self.status = Some(status);
    }
}

/// How long ago, by this host's clock; nothing where that is not known.
fn since(at: Option<DateTime<Utc>>) -> Duration {
    at.and_then(|at| (Utc::now() - at).to_std().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Config;
    use crate::daemon::loghost::Loghost;
    use crate::job::name::{Bytes, HostName, JobId, SnapshotName, ZoneName};
    use crate::job::request::Request;
    use crate::log::Log;
    use crate::spool::Spool;
    use crate::spool::journal::tests::fill;

    /// A source's job that was admitted a moment ago.
    fn engine(tmp: &std::path::Path) -> Engine {
        let file = tmp.join("zmigrate.toml");
        let [spool, scratch] = ["spool", "scratch"].map(|name| tmp.join(name));
        let text = format!("[spool]\ndir = {spool:?}\n[scratch]\ndir = {scratch:?}\n");
        fs::write(&file, text).unwrap();
        let config = Config::load(&file, "zhost1").unwrap();
        let spool = Spool::open(&spool).unwrap();
        let loghost = Arc::new(Loghost::new(config.host.clone(), spool.outbox()));
        let log = Log::open(config.syslog.facility);
        let id = JobId::new("db-20070518T033600Z-7f3a").unwrap();
        let dir = spool.create_job(&id, &[]).unwrap();
        let host = HostName::new("zhost2").unwrap();
        let first = Event::Admitted {
            job: id,
            host: config.host.clone(),
            request: Box::new(Request::new(ZoneName::new("db").unwrap(), host)),
            snapshot: SnapshotName::new("migrate").unwrap(),
            part: Bytes(1 << 20),
        };
        let now = Utc::now();
        let mut journal = Journal::open(&dir.journal(), |_| {}).unwrap();
        journal.append(now, &first).unwrap();
        let job = Job::begin(now, &first).unwrap();
        let context = Arc::new(Context::new(config, spool, log, loghost));
        Engine::new(context, dir, journal, job, Arc::default())
    }

    #[test]
    fn what_can_not_be_true_is_not_journaled_and_the_job_rests() {
        let tmp = tempfile::tempdir().unwrap();
        let mut engine = engine(tmp.path());
        let (journal, phase) = (engine.dir.journal(), engine.job.phase);
        let before = fs::read_to_string(&journal).unwrap();
        assert!(!engine.record(Event::Acked));
        assert_eq!(engine.job.phase, phase);
        assert!(engine.memory.alert.as_ref().is_some_and(|text| text.contains("can't follow")));
        // Else it would never end.
        engine.run();
        assert_eq!(fs::read_to_string(&journal).unwrap(), before);
    }

    #[test]
    fn what_the_daemons_end_keeps_out_of_the_journal_stays_asked() {
        let tmp = tempfile::tempdir().unwrap();
        let mut engine = engine(tmp.path());
        let context = Arc::clone(&engine.context);
        let (id, status) = (engine.job.id.clone(), engine.dir.status());
        fill(&mut engine.journal);
        context.spool.ask("cancel", &id, Utc::now(), Default::default()).unwrap();
        context.set_asks(context.spool.asks().unwrap().0);
        let asked = std::thread::spawn(move || engine.heed_operators());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string(&status).is_ok_and(|text| text.contains("append to")) {
            assert!(Instant::now() < deadline, "the journal took it");
            std::thread::yield_now();
        }
        context.stop();
        assert!(!asked.join().unwrap());
        assert_eq!(context.spool.asks().unwrap().0.len(), 1, "the cancel is lost");
    }
}
