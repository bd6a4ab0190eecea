//! The thread that speaks to the log host, so that nobody else waits for it.
//!
//! It is told every line that syslog is told. Lines wait in memory, a bounded number of them; the oldest go first
//! when there are more, and how many went is told. Outcomes wait on disk ([`Outbox`]), so neither a
//! crash nor a log host that is down for a month loses one; each is removed when it is known to have arrived.
//!
//! Order: as told. An outcome is the last message of its burst and is confirmed before the next one is
//! sent, so those behind it wait, and at most one is sent again when it isn't known whether it arrived. It is then the
//! same in every byte. What is known is said in [`remote`](crate::log::remote): over TCP that the log host has
//! read it, over UDP that nobody refused it.

mod queue;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;

use super::bell::Bell;
use super::context::Context;
use super::pauses;
use crate::config::Syslog;
use crate::job::name::{HostName, JobId};
use crate::job::role::Role;
use crate::log::remote::{Address, Framing, Message, PATIENCE, Unsent, Wire};
use crate::log::{Line, Outcome, Severity};
use crate::spool::SpoolError;
use crate::spool::outbox::Outbox;
use crate::spool::read::ReadError;
use queue::{Burst, Queue};

/// How often an outcome is sent to a log host that takes it and never closes the connection, which is how it would say
/// that it has read it. More would fill its disk with the same line.
const UNCONFIRMED: u32 = 3;
/// How long the daemon's end may wait for the last lines: longer than what is on its way then takes to be confirmed, or the
/// next daemon would send it once more.
const FAREWELL: Duration = PATIENCE.saturating_add(Duration::from_secs(1));
/// When nothing is to be said. News ring the bell.
const IDLE: Duration = Duration::from_secs(3600);

/// What is to be told the log host.
pub struct Loghost {
    host: HostName,
    outbox: Outbox,
    queue: Mutex<Queue>,
    /// Rung by all news.
    news: Bell,
    /// Rung by news that are worth a try at once: an outcome, a refresh, the end.
    urgent: Bell,
    closing: AtomicBool,
    ended: AtomicBool,
}

/// What became of a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// All of it, as far as is known.
    Sent,
    /// There was nothing in it, but behind it there may be.
    Empty,
    /// There is nothing to say.
    Nothing,
}

/// Why a burst failed.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error(transparent)]
    Unsent(#[from] Unsent),
    #[error("{0}")]
    Frame(#[from] syslog::Error),
}

impl Loghost {
    /// What an earlier daemon left is to be sent first.
    pub fn new(host: HostName, outbox: Outbox) -> Self {
        Self {
            host,
            outbox,
            queue: Mutex::new(Queue::new()),
            news: Bell::default(),
            urgent: Bell::default(),
            closing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    /// Is told a line. Never waits.
    pub fn hear(&self, severity: Severity, line: &Line) {
        let message = Message::new(Utc::now(), severity, self.host.clone(), line.clone());
        self.lock().line(message);
        self.news.ring();
    }

    /// Keeps a job's outcome on disk, if there is a log host to be told it. May be repeated.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn hold(
        &self,
        syslog: &Syslog,
        job: &JobId,
        role: Role,
        outcome: &Outcome,
    ) -> Result<(), SpoolError> {
        match syslog.remote {
            Some(_) => self.outbox.hold(&key(job, role), &kept(outcome)),
            None => Ok(()),
        }
    }

    /// The job's journal has its outcome: it may be sent. May be repeated.
    ///
    /// # Errors
    /// When it is still held.
    pub fn release(&self, job: &JobId, role: Role) -> Result<(), SpoolError> {
        self.outbox.release(&key(job, role))?;
        self.outcome_waits();
        Ok(())
    }

    /// Keeps the outcome of what did not become a job, and has it sent.
    ///
    /// # Errors
    /// When it is not on disk: the log host will not be told.
    pub fn keep_rejection(&self, syslog: &Syslog, outcome: &Outcome) -> Result<(), SpoolError> {
        if syslog.remote.is_some() {
            self.outbox.keep("rejected", &kept(outcome))?;
            self.outcome_waits();
        }
        Ok(())
    }

    /// The configuration may have changed.
    pub fn refresh(&self) {
        self.urgent.ring();
        self.news.ring();
    }

    /// The daemon ends: what can be said within six seconds is said. Outcomes that are not stay on disk.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.refresh();
        // Counted before the look, so that the thread's ring at its end is not missed.
        let heard = self.urgent.count();
        if !self.ended.load(Ordering::Relaxed) {
            self.urgent.wait(heard, FAREWELL);
        }
    }

    /// The thread: speaks until the daemon ends.
    pub fn run(&self, context: &Context) {
        let mut speaker = Speaker { loghost: self, context, failures: 0, unconfirmed: 0 };
        while speaker.step() {}
        self.ended.store(true, Ordering::Relaxed);
        self.urgent.ring();
    }

    fn outcome_waits(&self) {
        self.lock().outcome();
        self.refresh();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's own.
struct Speaker<'c> {
    loghost: &'c Loghost,
    context: &'c Context,
    /// Bursts that failed in a row.
    failures: u32,
    /// Bursts with an outcome that were not confirmed in a row.
    unconfirmed: u32,
}

impl Speaker<'_> {
    /// Sends what there is, then waits for more. `false`: the daemon ends.
    fn step(&mut self) -> bool {
        let (heard, urgent) = (self.loghost.news.count(), self.loghost.urgent.count());
        let closing = self.loghost.closing.load(Ordering::Relaxed);
        let config = self.context.config();
        let Some(address) = &config.syslog.remote else {
            // Outcomes of the time when there was one stay, for when there is one again.
            *self.loghost.lock() = Queue::new();
            self.failures = 0;
            self.loghost.news.wait(heard, if closing { Duration::ZERO } else { IDLE });
            return !closing;
        };
        match self.burst(address, &Framing::from(&config.syslog)) {
            Ok(Told::Empty) => true,
            Ok(Told::Sent) => {
                if self.failures > 0 {
                    self.tell(Severity::Notice, address, "loghost-answers", None);
                }
                (self.failures, self.unconfirmed) = (0, 0);
                true
            }
            Ok(Told::Nothing) => {
                self.loghost.news.wait(heard, if closing { Duration::ZERO } else { IDLE });
                !closing
            }
            Err(error) => {
                if self.failures == 0 {
                    self.tell(Severity::Warning, address, "loghost-deferred", Some(&error));
                }
                self.failures += 1;
                // News of an outcome or a refresh end it.
                let pause = pauses::behind(self.failures);
                self.loghost.urgent.wait(urgent, if closing { Duration::ZERO } else { pause });
                !closing
            }
        }
    }

    /// Sends one burst.
    fn burst(&mut self, address: &Address, framing: &Framing) -> Result<Told, Failed> {
        let mut burst = self.loghost.lock().take();
        let done = self.look(&mut burst).and_then(|()| self.send(&burst, address, framing));
        match done {
            Ok(_) => self.loghost.lock().sent(&burst),
            Err(_) => self.loghost.lock().put_back(burst),
        }
        done
    }

    /// Takes the oldest outcome into the burst, if it is the outbox's turn.
    fn look(&self, burst: &mut Burst) -> Result<(), Failed> {
        if !burst.looked {
            return Ok(());
        }
        let outbox = &self.loghost.outbox;
        for waiting in outbox.waiting()? {
            let why = match outbox.read(&waiting) {
                Ok(None) => continue,
                Ok(Some(bytes)) => match Message::from_json(&bytes) {
                    Ok(message) => {
                        burst.outcome = Some((waiting, message));
                        return Ok(());
                    }
                    Err(why) => why.to_string(),
                },
                // The disk's fault, not the file's: it is read again.
                Err(error @ ReadError::Io(_)) => return Err(error.into()),
                Err(why) => why.to_string(),
            };
            let path = outbox.put_aside(&waiting)?;
            let line = Line::new()
                .field("event", "outcome-unreadable")
                .field("host", &self.loghost.host)
                .field("file", path.display())
                .field("error", why);
            self.context.log.write(Severity::Alert, &line);
        }
        Ok(())
    }

    fn send(&mut self, burst: &Burst, address: &Address, framing: &Framing) -> Result<Told, Failed> {
        let dropped = (burst.dropped > 0).then(|| {
            let line = Line::new()
                .field("event", "lines-dropped")
                .field("host", &self.loghost.host)
                .field("lines", burst.dropped);
            Message::new(Utc::now(), Severity::Warning, self.loghost.host.clone(), line)
        });
        let lines = burst.lines.iter();
        let outcome = burst.outcome.as_ref().map(|(_, message)| message);
        let messages: Vec<&Message> = dropped.iter().chain(lines).chain(outcome).collect();
        if messages.is_empty() {
            return Ok(if burst.looked { Told::Empty } else { Told::Nothing });
        }
        let mut wire = Wire::open(address)?;
        for message in messages {
            wire.send(&framing.bytes(address.protocol, message)?)?;
        }
        match wire.confirm() {
            Err(Unsent::Unconfirmed { .. }) if self.unconfirmed + 1 >= UNCONFIRMED => {}
            Err(error @ Unsent::Unconfirmed { .. }) => {
                self.unconfirmed += 1;
                return Err(error.into());
            }
            done => done?,
        }
        if let Some((waiting, _)) = &burst.outcome {
            // A crash before this sends it once more, in the same bytes.
            self.loghost.outbox.sent(waiting)?;
        }
        Ok(Told::Sent)
    }

    fn tell(&self, severity: Severity, address: &Address, event: &'static str, error: Option<&Failed>) {
        let line = Line::new()
            .field("event", event)
            .field("host", &self.loghost.host)
            .field("remote", address)
            .maybe("error", error);
        self.context.log.write(severity, &line);
    }
}

fn key(job: &JobId, role: Role) -> String {
    format!("{job}.{}", role.word())
}

fn kept(outcome: &Outcome) -> Vec<u8> {
    Message::outcome(outcome).to_json()
}
