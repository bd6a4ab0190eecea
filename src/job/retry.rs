//! What to do after a failed step: a table, no clock.

use std::time::Duration;

use super::phase::Phase;

/// What sort of failure a step met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It may be gone at the next try: network, peer down, busy, full.
    Transient,
    /// It will be the same at the next try: refused, mismatch, missing.
    Permanent,
    /// It may have happened: a deadline passed, a process was killed. Looking again tells.
    Unknown,
    /// The peer shows another host key, or does not let us in: an operator must look. Final while nothing has been touched;
    /// a zone that is on its way waits.
    Untrusted,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Do the step again after this time.
    Again(Duration),
    /// Go back; the peer and the zone are as found in the end.
    TurnBack,
    /// There is no way back from here: alert, and do the step again after this time, until it succeeds or
    /// an operator acts.
    Hold(Duration),
}

const STEPS: [u64; 8] = [200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// The pause before try number `attempts` + 1.
pub fn back_off(attempts: u32) -> Duration {
    Duration::from_millis(STEPS[(attempts.saturating_sub(1) as usize).min(STEPS.len() - 1)])
}

/// The target gives up what may still be turned back after this many tries: the zone is down meanwhile.
const TARGET_TRIES: u32 = 6;
/// What may have happened is looked at this often before the source goes back.
const UNKNOWN_TRIES: u32 = 5;
/// A step without a way back alerts from this try on.
const HOLD_TRIES: u32 = 4;

/// Decides after the `attempts`-th failure in a row (1 = the first) of the step due in `phase`.
///
/// Before its one-way door the source tries what is passing until the request's own limits (`give_up`,
/// `max_outage`) say stop, which is the engine's business, not this table's. Behind a door the answer is
/// only ever *again* or *hold*.
pub fn decide(phase: Phase, kind: ErrorKind, attempts: u32) -> Decision {
    let pause = back_off(attempts);
    if !phase.may_turn_back() {
        return if attempts >= HOLD_TRIES { Decision::Hold(pause) } else { Decision::Again(pause) };
    }
    match kind {
        ErrorKind::Permanent => Decision::TurnBack,
        ErrorKind::Untrusted if !phase.touches_zone() => Decision::TurnBack,
        ErrorKind::Unknown if attempts >= UNKNOWN_TRIES => Decision::TurnBack,
        // Receiving waits for the source, whose limits count; installing keeps a zone down.
        ErrorKind::Transient if matches!(phase, Phase::Install(_)) && attempts >= TARGET_TRIES => {
            Decision::TurnBack
        }
        ErrorKind::Transient | ErrorKind::Unknown | ErrorKind::Untrusted => Decision::Again(pause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::step::{Install, Round, Undo};

    #[test]
    fn behind_a_one_way_door_nothing_turns_back() {
        use crate::job::event::Cause;
        use crate::job::phase::Back;
        for phase in [
            Phase::Await,
            Phase::Ack,
            Phase::PutBack(Back::Failed),
            Phase::Settled,
            Phase::Undo(Undo::Halt, Cause::Failed),
        ] {
            for kind in [ErrorKind::Transient, ErrorKind::Permanent, ErrorKind::Unknown, ErrorKind::Untrusted]
            {
                for attempts in 1..20 {
                    assert_ne!(decide(phase, kind, attempts), Decision::TurnBack, "{phase:?} {kind:?}");
                }
            }
        }
    }

    #[test]
    fn before_the_handoff_a_final_failure_turns_back_at_once_and_a_passing_one_does_not() {
        assert_eq!(decide(Phase::Detach, ErrorKind::Permanent, 1), Decision::TurnBack);
        assert_eq!(decide(Phase::Send, ErrorKind::Transient, 50), Decision::Again(Duration::from_secs(60)));
        assert_eq!(decide(Phase::Send, ErrorKind::Unknown, 5), Decision::TurnBack);
        assert_eq!(decide(Phase::Survey(Round::First), ErrorKind::Untrusted, 1), Decision::TurnBack);
        assert_eq!(decide(Phase::Send, ErrorKind::Untrusted, 9), Decision::Again(Duration::from_secs(60)));
        assert_eq!(decide(Phase::Install(Install::Mount), ErrorKind::Transient, 6), Decision::TurnBack);
    }
}
