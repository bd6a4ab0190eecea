//! What all jobs of a daemon share: configuration, spool, log, bell, and the register of who is doing what.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::bandwidth::Bandwidth;
use super::bell::Bell;
use super::loghost::Loghost;
use super::rights::Rights;
use crate::config::Config;
use crate::host::check::Reserved;
use crate::host::live::Live;
use crate::job::name::{HostName, JobId, ZoneName};
use crate::job::phase::Phase;
use crate::job::record::Job;
use crate::job::role::Role;
use crate::job::step::Round;
use crate::log::{Line, Log, Severity};
use crate::process::Programs;
use crate::spool::asks::Ask;
use crate::spool::{JobDir, Spool, SpoolError};

/// Between two alerts about the same thing.
pub const ALERT_EVERY: Duration = Duration::from_secs(3600);

/// A job that waits to send has asked for its place within this time.
const ASKS_AGAIN: Duration = Duration::from_secs(30);

/// Shared by the main loop and all job threads.
pub struct Context {
    config: RwLock<Arc<Config>>,
    /// The spool.
    pub spool: Spool,
    /// syslog, and stderr in the foreground.
    pub log: Log,
    /// What is to be told the log host.
    pub loghost: Arc<Loghost>,
    /// Rung when something may have changed.
    pub bell: Bell,
    /// The limit over all copies.
    pub bandwidth: Bandwidth,
    /// Who may submit.
    pub rights: Rights,
    stop: AtomicBool,
    register: Mutex<Register>,
    /// Held while an offer is checked and reserved: two offers must not both find the same place free.
    pub checking: Mutex<()>,
}

/// What is known of one active job outside its own thread.
#[derive(Clone)]
pub struct Entry {
    /// Its role.
    pub role: Role,
    /// Its zone.
    pub zone: ZoneName,
    /// The other host.
    pub peer: HostName,
    /// Where it stands.
    pub phase: Phase,
    /// Source: its place among those that send.
    pub turn: Turn,
    /// Target: what an accepted answer holds.
    pub reserved: Option<Reserved>,
    /// What it is doing, for people.
    pub live: Arc<Live>,
}

/// A source's place among the jobs that send at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Its phase tells.
    ByPhase,
    /// It waits for one, and last asked then.
    Wanted(Instant),
    /// It has one, and is about to begin.
    Given,
}

/// A job in `active/` that no thread works on.
#[derive(Clone)]
pub enum Idle {
    /// Its first line could not be written yet.
    Unbegun(JobDir),
    /// Its journal can't be true; a person must look.
    Aside(String),
}

#[derive(Default)]
struct Register {
    jobs: BTreeMap<JobId, Entry>,
    idle: BTreeMap<JobId, Idle>,
    asks: BTreeMap<JobId, Vec<Ask>>,
    threads: Vec<JoinHandle<()>>,
    held: BTreeMap<String, (String, Instant)>,
    /// Peers whose dropbox is not looked at, and why.
    refused: BTreeMap<HostName, String>,
    keep_looked_at: Option<Instant>,
}

impl Register {
    fn may_send(&mut self, id: &JobId, limit: usize) -> bool {
        let sends = |entry: &Entry| {
            let phase = entry.phase;
            entry.role == Role::Source && phase.touches_zone() && phase.verdict().is_none()
                || matches!(phase, Phase::Survey(Round::Second) | Phase::Offer(Round::Second))
                || entry.turn == Turn::Given
        };
        let before = |other: &JobId| (other.time(), other) < (id.time(), id);
        // One whose peer can't be reached does not ask, and keeps nobody waiting.
        let asks = |entry: &Entry| matches!(entry.turn, Turn::Wanted(at) if at.elapsed() < ASKS_AGAIN);
        let others = || self.jobs.iter().filter(|(other, _)| *other != id);
        let sending = others().filter(|(_, entry)| sends(entry)).count();
        let older = others().filter(|(other, entry)| asks(entry) && before(other)).count();
        let kept = self.jobs.get(id).is_some_and(|entry| entry.turn == Turn::Given);
        let may = kept || sending + older < limit;
        if let Some(entry) = self.jobs.get_mut(id) {
            entry.turn = if may { Turn::Given } else { Turn::Wanted(Instant::now()) };
        }
        may
    }
}

impl Context {
    /// For a daemon that has opened its spool.
    pub fn new(config: Config, spool: Spool, log: Log, loghost: Arc<Loghost>) -> Self {
        Self {
            config: RwLock::new(Arc::new(config)),
            spool,
            log,
            loghost,
            bell: Bell::default(),
            bandwidth: Bandwidth::default(),
            rights: Rights::default(),
            stop: AtomicBool::new(false),
            register: Mutex::default(),
            checking: Mutex::default(),
        }
    }

    /// The configuration as it is now.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A refreshed configuration: from the next look on it counts.
    pub fn set_config(&self, config: Config) {
        self.log.set_facility(config.syslog.facility);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.bell.ring();
        self.loghost.refresh();
    }

    /// The commands, by the configuration as it is now. Their streams are kept in the spool.
    pub fn programs(&self) -> Programs {
        let config = self.config();
        Programs::new(config.commands.path.clone(), config.commands.timeout)
            .keeping(&self.spool.streams_dir())
    }

    /// Every thread is to come to its end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.bell.ring();
    }

    /// Is the daemon ending?
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A line of the log about a job.
    pub fn tell(&self, severity: Severity, job: &Job, line: impl FnOnce(Line) -> Line) {
        let (from, to) = job.from_to();
        let head = Line::new()
            .field("job", &job.id)
            .field("role", job.role.word())
            .field("host", &job.host)
            .field("zone", job.zone())
            .field("from", from)
            .field("to", to)
            .maybe("ticket", job.request.ticket.as_ref());
        self.log.write(severity, &line(head));
    }

    /// Writes down where a job stands.
    pub fn register(&self, id: &JobId, entry: Entry) {
        self.lock().jobs.insert(id.clone(), entry);
        self.bell.ring();
    }

    /// A job has come into another phase.
    pub fn update(&self, job: &Job) {
        if let Some(entry) = self.lock().jobs.get_mut(&job.id) {
            entry.phase = job.phase;
            if job.phase != Phase::AwaitStart {
                entry.turn = Turn::ByPhase;
            }
            if job.phase.verdict().is_some() && !job.phase.holds_zone() {
                entry.reserved = None;
            }
        }
        self.bell.ring();
    }

    /// A job reserves names and space here.
    pub fn reserve(&self, id: &JobId, reserved: Option<Reserved>) {
        if let Some(entry) = self.lock().jobs.get_mut(id) {
            entry.reserved = reserved;
        }
    }

    /// A job has left `active/`.
    pub fn forget(&self, id: &JobId) {
        let mut register = self.lock();
        register.jobs.remove(id);
        drop(register);
        self.bell.ring();
    }

    /// All active jobs.
    pub fn jobs(&self) -> BTreeMap<JobId, Entry> {
        self.lock().jobs.clone()
    }

    /// Nobody works on this job for now; its zone is kept from others all the same.
    pub fn lay_idle(&self, id: &JobId, idle: Idle) {
        self.lock().idle.insert(id.clone(), idle);
    }

    /// Its folder has been taken away.
    pub fn is_gone(&self, id: &JobId) {
        self.lock().idle.remove(id);
    }

    /// It has been begun, or there was nothing to begin.
    pub fn is_begun(&self, id: &JobId) {
        self.lock().idle.retain(|idle, why| idle != id || matches!(why, Idle::Aside(_)));
    }

    /// All jobs that nobody works on.
    pub fn idle(&self) -> BTreeMap<JobId, Idle> {
        self.lock().idle.clone()
    }

    /// The job that keeps others from this zone, if there is one.
    pub fn holder_of(&self, zone: &ZoneName) -> Option<JobId> {
        let register = self.lock();
        let holds = |entry: &Entry| entry.zone == *zone && entry.phase.holds_zone();
        let active = register.jobs.iter().find(|(_, entry)| holds(entry)).map(|(id, _)| id);
        active.or_else(|| register.idle.keys().find(|id| id.zone() == *zone)).cloned()
    }

    /// What all accepted jobs but `id` reserve.
    pub fn reserved_by_others(&self, id: &JobId) -> Vec<Reserved> {
        let register = self.lock();
        let others = register.jobs.iter().filter(|(other, _)| *other != id);
        others.filter_map(|(_, entry)| entry.reserved.clone()).collect()
    }

    /// A place among the jobs that send at once, for one whose time has come. One that has it keeps it until its verdict;
    /// others get theirs in the order of their ids' times.
    pub fn may_send(&self, id: &JobId) -> bool {
        let limit = self.config().jobs.parallel as usize;
        self.lock().may_send(id, limit)
    }

    /// How many jobs this host takes.
    pub fn takes(&self) -> usize {
        let takes = |e: &&Entry| e.role == Role::Target && e.phase.holds_zone();
        self.lock().jobs.values().filter(takes).count()
    }

    /// What operators ask, as the last look at the spool found it.
    pub fn set_asks(&self, asks: Vec<Ask>) {
        let mut by_job: BTreeMap<JobId, Vec<Ask>> = BTreeMap::new();
        for ask in asks {
            by_job.entry(ask.job.clone()).or_default().push(ask);
        }
        let mut register = self.lock();
        let news = register.asks != by_job;
        register.asks = by_job;
        drop(register);
        if news {
            self.bell.ring();
        }
    }

    /// What is asked of one job.
    pub fn asks(&self, id: &JobId) -> Vec<Ask> {
        self.lock().asks.get(id).cloned().unwrap_or_default()
    }

    /// Is a job's thread to leave what it waits for: an operator, the daemon's end?
    pub fn is_called(&self, id: &JobId) -> bool {
        self.is_stopping() || self.lock().asks.get(id).is_some_and(|asks| !asks.is_empty())
    }

    /// An ask has been dealt with: it is gone from the spool and from here.
    pub fn answered(&self, ask: &Ask) {
        self.dealt_with(ask, self.spool.answered(ask));
    }

    /// An ask can't be done: the asker finds the reason in the spool.
    pub fn refused(&self, ask: &Ask, why: &str) {
        self.dealt_with(ask, self.spool.refuse_ask(ask, why));
    }

    fn dealt_with(&self, ask: &Ask, gone: Result<(), SpoolError>) {
        if let Err(error) = gone {
            let line = Line::new().field("event", "ask-stays").field("job", &ask.job).field("error", error);
            self.log.write(Severity::Warning, &line);
        }
        if let Some(asks) = self.lock().asks.get_mut(&ask.job) {
            asks.retain(|other| other != ask);
        }
    }

    /// What is asked of all jobs.
    pub fn all_asks(&self) -> Vec<Ask> {
        self.lock().asks.values().flatten().cloned().collect()
    }

    /// A job's thread, to be waited for at the end. Those that are over are let go.
    pub fn keep(&self, thread: JoinHandle<()>) {
        let mut register = self.lock();
        register.threads.retain(|thread| !thread.is_finished());
        register.threads.push(thread);
    }

    /// All job threads.
    pub fn threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.lock().threads)
    }

    /// Something outside any job can't be done for now: alerts for each new reason, and once an hour.
    pub fn hold(&self, what: &str, error: &dyn std::fmt::Display) {
        let line = Line::new().field("event", "held").field("what", what);
        self.tell_again(Severity::Alert, what, line, error);
    }

    /// What is found again and again: told when its reason is new, and once an hour. `about` tells it from others.
    pub fn tell_again(&self, severity: Severity, about: &str, line: Line, error: &dyn std::fmt::Display) {
        let text = error.to_string();
        let mut register = self.lock();
        let held = register.held.get(about);
        if held.is_some_and(|(known, told)| *known == text && told.elapsed() < ALERT_EVERY) {
            return;
        }
        register.held.insert(about.to_owned(), (text.clone(), Instant::now()));
        drop(register);
        self.log.write(severity, &line.field("error", text));
    }

    /// Writes down why a peer's dropbox is refused, or that it is not. Returns whether that is news.
    pub fn dropbox_is(&self, peer: &HostName, refused: Option<String>) -> bool {
        let mut register = self.lock();
        let before = match &refused {
            Some(why) => register.refused.insert(peer.clone(), why.clone()),
            None => register.refused.remove(peer),
        };
        before != refused
    }

    /// Once a minute: is anything kept long enough?
    pub fn is_keep_due(&self) -> bool {
        let mut register = self.lock();
        let due = register.keep_looked_at.is_none_or(|at| at.elapsed().as_secs() >= 60);
        if due {
            register.keep_looked_at = Some(Instant::now());
        }
        due
    }

    fn lock(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(id: &str) -> (JobId, Entry) {
        let id = JobId::new(id).unwrap();
        let entry = Entry {
            role: Role::Source,
            zone: id.zone(),
            peer: HostName::new("zhost2").unwrap(),
            phase: Phase::AwaitStart,
            turn: Turn::ByPhase,
            reserved: None,
            live: Arc::default(),
        };
        (id, entry)
    }

    #[test]
    fn of_jobs_that_wake_at_once_as_many_begin_as_may_and_the_oldest_of_the_others_comes_next() {
        let all = ["a-20260101T000003Z-0001", "z-20260101T000001Z-0001", "m-20260101T000002Z-0001"];
        let mut register = Register { jobs: all.map(waits).into(), ..Register::default() };
        let [a, z, m] = all.map(|id| JobId::new(id).unwrap());
        assert!(register.may_send(&a, 1), "nobody else has asked");
        assert!(
            !register.may_send(&m, 1) && !register.may_send(&z, 1),
            "the place is given before it is begun"
        );
        assert!(register.may_send(&a, 1), "and kept");
        register.jobs.remove(&a);
        assert!(!register.may_send(&m, 1), "z is older");
        assert!(register.may_send(&z, 1));
        // The older one has got a place and does not count as one that waits.
        for (phase, turn) in [(Phase::AwaitStart, Turn::Given), (Phase::Survey(Round::Second), Turn::ByPhase)]
        {
            let z = register.jobs.get_mut(&z).unwrap();
            (z.phase, z.turn) = (phase, turn);
            assert!(!register.may_send(&m, 1), "{phase:?}");
        }
        assert!(register.may_send(&m, 2));
    }
}
