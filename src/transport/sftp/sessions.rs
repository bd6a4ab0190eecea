//! The logins of one job: sessions that wait for the next question, and when a new one may be made.
//!
//! Whoever asks something gets his session here, those who copy and those who look for answers alike. So a peer that is away,
//! or does not let us in, is tried by one of them at a time and with growing pauses; in between, everybody is told at once
//! what the last try was told. The log hears of each login and of each new reason why there is none, not of each try.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::session::{Fault, IsOver, Session};
use crate::cmd::ssh::Destination;
use crate::job::retry::back_off;
use crate::process::Programs;

/// Tells the time that passes: the daemon's clock, or the command line's.
pub type Clock = fn() -> Instant;

/// A zone may be down meanwhile: the pauses do not grow beyond the sixth of [`back_off`], ten seconds.
const LONGEST: u32 = 6;
/// The pause where somebody has to do something first; over there each try may count as an attack.
const UNTRUSTED: Duration = Duration::from_secs(60);

/// All sessions of a job.
pub(super) struct Sessions {
    /// Each ssh tells nobody of its start and end.
    programs: Programs,
    log: Programs,
    to: Destination,
    is_over: IsOver,
    clock: Clock,
    /// Held while somebody logs in.
    turn: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Session>,
    gate: Gate,
}

impl Sessions {
    pub fn new(programs: Programs, to: Destination, clock: Clock, is_over: IsOver) -> Self {
        let (turn, state) = Default::default();
        Self { programs: programs.with_trace(|_| {}), log: programs, to, is_over, clock, turn, state }
    }

    /// Where they lead.
    pub fn to(&self) -> &Destination {
        &self.to
    }

    /// One that waits for a question, or a new one.
    pub fn take(&self) -> Result<Session, Fault> {
        let waiting = self.lock().idle.pop();
        if let Some(session) = waiting {
            return Ok(session);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        {
            // Whoever came before may be done with his.
            let mut state = self.lock();
            if let Some(session) = state.idle.pop() {
                return Ok(session);
            }
            state.gate.pass((self.clock)())?;
        }
        let session = Session::open(&self.programs, &self.to, &self.is_over);
        match &session {
            Ok(_) => self.log.note(&format!("logged in: {}", self.to.sftp())),
            Err(fault) => self.failed(fault),
        }
        session
    }

    /// It was answered, and waits for the next question.
    pub fn keep(&self, session: Session) {
        let mut state = self.lock();
        state.gate = Gate::default();
        state.idle.push(session);
    }

    /// It is of no use any more, nor are those that wait, as they share its way. Why, in the peer's or ssh's own words.
    pub fn end(&self, session: Session, fault: Fault) -> Fault {
        let others = std::mem::take(&mut self.lock().idle);
        drop(others);
        let fault = session.end(fault, &self.to);
        self.failed(&fault);
        fault
    }

    fn failed(&self, fault: &Fault) {
        let Some(why) = fault.no_session() else { return };
        if self.lock().gate.failed((self.clock)(), fault) {
            self.log.note(&format!("no login: {why}"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a login may be tried.
#[derive(Default)]
struct Gate {
    /// In a row.
    failures: u32,
    /// Until when not, and why.
    closed: Option<(Instant, Fault)>,
}

impl Gate {
    fn pass(&self, now: Instant) -> Result<(), Fault> {
        match &self.closed {
            Some((until, why)) if now < *until => Err(why.clone()),
            _ => Ok(()),
        }
    }

    /// There was no login, or it came to nothing. Returns whether the reason is news.
    fn failed(&mut self, now: Instant, why: &Fault) -> bool {
        // Sessions beside each other break together.
        if self.pass(now).is_err() {
            return false;
        }
        self.failures += 1;
        let pause = match why {
            Fault::Untrusted(_) => UNTRUSTED,
            _ => back_off(self.failures.min(LONGEST)),
        };
        let before = self.closed.replace((now + pause, why.clone()));
        before.is_none_or(|(_, before)| before.no_session() != why.no_session())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, LazyLock};

    use super::*;

    /// An ssh that counts its calls, says something, and gives no session.
    fn ssh(dir: &Path, says: &str) {
        let script = format!("#!/bin/sh\necho >> {0}/calls\ncat {0}/says >&2\nexit 255\n", dir.display());
        fs::write(dir.join("says"), says).unwrap();
        fs::write(dir.join("ssh"), script).unwrap();
        fs::set_permissions(dir.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn calls(dir: &Path) -> usize {
        fs::read_to_string(dir.join("calls")).unwrap_or_default().lines().count()
    }

    fn sessions(dir: &Path, clock: Clock, log: &Arc<Mutex<Vec<String>>>) -> Sessions {
        let path = vec![dir.to_owned(), "/usr/bin".into(), "/bin".into()];
        let log = Arc::clone(log);
        let programs = Programs::new(path, Duration::from_secs(60))
            .with_trace(move |line| log.lock().unwrap().push(line.to_owned()));
        let to = Destination { address: "zhost2".into(), user: "zmigrate-zhost1".into(), options: vec![] };
        Sessions::new(programs, to, clock, Arc::new(|| false))
    }

    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

    #[test]
    fn a_peer_that_is_away_is_tried_by_one_at_a_time_with_growing_pauses() {
        static MS: AtomicU64 = AtomicU64::new(0);
        let clock = || *BEGUN + Duration::from_millis(MS.load(Ordering::Relaxed));
        let (dir, log) = (tempfile::tempdir().unwrap(), Arc::default());
        ssh(dir.path(), "ssh: connect to host zhost2 port 22: No route to host\n");
        let sessions = sessions(dir.path(), clock, &log);
        let ask = || match sessions.take() {
            Err(Fault::Broken(why)) => assert!(why.contains("No route to host"), "{why}"),
            other => panic!("{:?}", other.err()),
        };
        for (ms, logins) in [(0, 1), (199, 1), (200, 2), (699, 2), (700, 3), (1_699, 3), (1_700, 4)] {
            MS.store(ms, Ordering::Relaxed);
            std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(ask))));
            assert_eq!(calls(dir.path()), logins, "after {ms} ms");
        }
        // For an hour, asked each second.
        for second in 2..3_602 {
            MS.store(second * 1_000, Ordering::Relaxed);
            ask();
        }
        let logins = calls(dir.path());
        assert!((350..=370).contains(&logins), "{logins} logins in an hour");
        assert_eq!(log.lock().unwrap().len(), 1, "{:?}", log.lock());
        // Another reason is news.
        ssh(dir.path(), "ssh: connect to host zhost2 port 22: Connection refused\n");
        MS.store(4_000_000, Ordering::Relaxed);
        sessions.take().map(drop).unwrap_err();
        assert!(log.lock().unwrap()[1].contains("Connection refused"));
    }

    #[test]
    fn who_does_not_let_us_in_is_asked_once_a_minute() {
        static MS: AtomicU64 = AtomicU64::new(0);
        let clock = || *BEGUN + Duration::from_millis(MS.load(Ordering::Relaxed));
        let (dir, log) = (tempfile::tempdir().unwrap(), Arc::default());
        ssh(dir.path(), "zmigrate-zhost1@zhost2: Permission denied (publickey).\n");
        let sessions = sessions(dir.path(), clock, &log);
        for (ms, logins) in [(0, 1), (59_999, 1), (60_000, 2), (119_999, 2), (120_000, 3)] {
            MS.store(ms, Ordering::Relaxed);
            assert!(matches!(sessions.take(), Err(Fault::Untrusted(_))));
            assert_eq!(calls(dir.path()), logins, "after {ms} ms");
        }
    }

    #[test]
    fn what_a_peer_says_at_length_is_no_refusal_of_ssh() {
        let (dir, log) = (tempfile::tempdir().unwrap(), Arc::default());
        let denied = "zmigrate-zhost1@zhost2: Permission denied (publickey).\n";
        let noise = "debug1: as -v says it\n".repeat(1_000);
        ssh(dir.path(), &format!("Authenticated to zhost2.\n{noise}{denied}"));
        let sessions = sessions(dir.path(), || *BEGUN, &log);
        assert!(matches!(sessions.take(), Err(Fault::Broken(why)) if why.contains("Permission denied")));
    }

    #[test]
    fn sessions_that_break_together_are_one_failure_and_an_answer_ends_the_pauses() {
        let (now, why) = (*BEGUN, Fault::Broken("the connection ended".into()));
        let mut gate = Gate::default();
        assert!(gate.failed(now, &why));
        for _ in 0..8 {
            assert!(!gate.failed(now, &why));
        }
        assert!(gate.pass(now + back_off(1)).is_ok());
        assert!(!gate.failed(now + back_off(1), &why), "the same reason is no news");
        assert!(gate.pass(now + back_off(1) + back_off(2)).is_ok());
        gate = Gate::default();
        assert!(gate.pass(now).is_ok());
    }
}
