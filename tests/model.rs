//! The protocol, walked through state by state: the product's own `Phase::next` and `Phase::apply` for both
//! roles, against a modelled world of two hosts, one zone and the files between them.
//!
//! Every interleaving is visited, with: a crash after any effect and before its journal line; steps that
//! fail for good; operators who cancel, roll back, or start the detached zone by hand; reboots of either
//! host with autoboot honoured; messages lost after they were put, late, or read twice; a target that is
//! declared gone and comes back; a source that dies for good. What must hold is in `World::check` and in `explore`.
//!
//! A checker that finds nothing proves nothing, so known mistakes are seeded one by one (`Mistake`), and
//! each must be caught.

use std::collections::{HashMap, HashSet, VecDeque};

use zmigrate::job::event::{Cause, Kind};
use zmigrate::job::phase::{Back, Ended, Phase};
use zmigrate::job::step::{Install, Round, Step, Undo};

/// What zoneadm would say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
enum Zone {
    Absent,
    Configured,
    Installed,
    Running,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Host {
    job: Option<Phase>,
    zone: Zone,
    autoboot: bool,
}

/// A file's content, as far as the protocol depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Files {
    /// The source's side, `in/<job>`, was removed: its job is over.
    removed: bool,
    offer: Option<Round>,
    answer: Option<(Round, bool)>,
    parts: bool,
    withdraw: bool,
    handoff: bool,
    ack: bool,
    revoked: bool,
    receipt: bool,
    /// ok, acked
    result: Option<(bool, bool)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct World {
    source: Host,
    target: Host,
    files: Files,
    /// The offer that the target checked last: its journal knows it.
    checked: Option<Round>,
    /// Everything is received on the target.
    received: bool,
    /// The target host is off; an operator may say so.
    gone: bool,
    /// The target's daemon was started anew behind the handoff: it took the handoff out of its dropbox and
    /// does nothing until the source, which may have been told that it is gone, has put it again.
    must_hear: bool,
    /// An operator declared it gone.
    declared: bool,
    losses: u8,
    by_hand: bool,
    /// The source host died for good. Only the target's operator can know that.
    source_died: bool,
}

/// What could be wrong with an implementation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mistake {
    None,
    HandoffPutBeforeItsLine,
    ResultPutBeforeItsLine,
    VerdictBeforeUndo,
    AwaitTurnsBack,
    TargetAttachesWithAutoboot,
    EndedIdsForgotten,
    SettledBootsWithoutAck,
    RevokedIgnored,
    HandoffWithoutLook,
    LostHandoffNotPutAgain,
    AckConfirmedBeforeItsLine,
    GoesOnWithoutHearing,
    DeclaredGoneUnseen,
    SourceGoneIgnored,
}

/// A successor: what happened, in words, and the world after it.
type Next = (String, World);

impl World {
    fn start() -> World {
        World {
            source: Host { job: Some(Phase::Survey(Round::First)), zone: Zone::Running, autoboot: true },
            target: Host { job: None, zone: Zone::Absent, autoboot: false },
            files: Files::default(),
            checked: None,
            received: false,
            gone: false,
            must_hear: false,
            declared: false,
            losses: 0,
            by_hand: false,
            source_died: false,
        }
    }

    /// Rule 1 and 2 of the design.
    fn check(&self) -> Result<(), &'static str> {
        let attached = |z: Zone| z >= Zone::Installed;
        if self.source.zone == Zone::Running && self.target.zone == Zone::Running {
            return Err("the zone runs on both hosts");
        }
        if attached(self.source.zone) && attached(self.target.zone) && !self.gone {
            // A target that has come back does nothing before it hears from the source, finds `revoked`, and
            // then detaches before anything else.
            let on_its_way_out = self.declared && self.target.zone == Zone::Installed;
            if !on_its_way_out {
                return Err("the zone is attached on both hosts");
            }
        }
        Ok(())
    }

    /// Both jobs are over: the end must be one of the two that were promised.
    fn check_end(&self) -> Result<(), String> {
        let as_found = self.source.zone == Zone::Running
            && self.source.autoboot
            && self.target.zone == Zone::Absent
            && !self.received;
        let migrated = self.source.zone == Zone::Configured
            && self.target.zone == Zone::Running
            && self.target.autoboot
            && self.received;
        // With the source its copy died. The target either has the zone, or turned back and kept what it received.
        let alone = self.source_died
            && match self.target.zone {
                Zone::Running => self.target.autoboot,
                zone => zone == Zone::Absent,
            };
        if as_found || migrated || alone { Ok(()) } else { Err("neither migrated nor as found".into()) }
    }

    fn is_migrated(&self) -> bool {
        self.target.zone == Zone::Running
    }

    fn quiet(&self) -> bool {
        let over = |job: Option<Phase>| matches!(job, None | Some(Phase::Ended(_)));
        (self.source_died || over(self.source.job)) && over(self.target.job)
    }
}

/// One way on for a job: the effect, and the line that would be journaled behind it.
struct Way {
    world: World,
    event: Option<Kind>,
}

fn ways(mistake: Mistake, world: World, of_source: bool) -> Vec<Way> {
    let phase = if of_source { world.source.job } else { world.target.job };
    let Some(phase) = phase else { return Vec::new() };
    let mut out = Vec::new();
    let mut way = |world: World, event: Option<Kind>| out.push(Way { world, event });
    let mut w = world;
    let files = world.files;
    if !of_source && phase.heeds_revoked() && files.revoked && mistake != Mistake::RevokedIgnored {
        way(w, Some(Kind::RevokedSeen));
        return out;
    }
    if !of_source && world.must_hear && phase.must_hear_anew() {
        if files.handoff {
            w.must_hear = false;
            way(w, None);
        }
        return out;
    }
    match phase.next() {
        Step::Survey => way(w, Some(Kind::Surveyed)),
        Step::Offer(round) => {
            w.files.offer = Some(round);
            match files.answer {
                Some((r, true)) if r == round => way(w, Some(Kind::Accepted)),
                Some((r, false)) if r == round => way(w, Some(Kind::Refused)),
                _ => way(w, None),
            }
        }
        Step::AwaitStart => way(w, Some(Kind::Started)),
        Step::ClearAutoboot => {
            w.source.autoboot = false;
            way(w, Some(Kind::AutobootCleared));
        }
        Step::Shutdown => {
            if w.source.zone == Zone::Running {
                w.source.zone = Zone::Installed;
            }
            way(w, Some(Kind::ShutDown));
        }
        Step::Detach => match w.source.zone {
            Zone::Running => way(w, Some(Kind::ZoneRuns)),
            _ => {
                w.source.zone = Zone::Configured;
                way(w, Some(Kind::Detached));
            }
        },
        Step::Recapture => way(w, Some(Kind::Recaptured)),
        Step::Snapshot => match w.source.zone {
            Zone::Configured => way(w, Some(Kind::Snapshotted)),
            _ => way(w, Some(Kind::ZoneRuns)),
        },
        Step::Send => {
            w.files.parts = true;
            if let Some((false, _)) = files.result {
                way(w, Some(Kind::TurnedBack(Cause::Failed)));
            } else {
                way(w, world.received.then_some(Kind::Delivered));
            }
        }
        Step::LookBeforeHandoff => match w.source.zone {
            Zone::Configured => {
                if mistake == Mistake::HandoffPutBeforeItsLine {
                    w.files.handoff = true;
                }
                way(w, Some(Kind::HandedOff));
            }
            _ if mistake == Mistake::HandoffWithoutLook => way(w, Some(Kind::HandedOff)),
            _ => way(w, Some(Kind::ZoneRuns)),
        },
        Step::AwaitResult => match files.result {
            Some((true, _)) => way(w, Some(Kind::ResultOk)),
            Some((false, _)) => way(w, Some(Kind::ResultFailed)),
            None => {
                let again = mistake != Mistake::LostHandoffNotPutAgain || world.losses == 0;
                if again {
                    w.files.handoff = true;
                }
                way(w, None);
            }
        },
        Step::PutAck => match files.result {
            Some((_, true)) => way(w, Some(Kind::AckConfirmed)),
            _ => {
                w.files.ack = true;
                way(w, None);
            }
        },
        Step::PutRevoked => {
            // A host that is off takes no files.
            w.files.revoked = !world.gone;
            way(w, Some(Kind::RevokedLeft));
        }
        Step::PutBack => {
            // Half-way crashes first: attached only; autoboot restored, not yet booted.
            if w.source.zone == Zone::Configured {
                w.source.zone = Zone::Installed;
            }
            way(w, None);
            w.source.autoboot = true;
            way(w, None);
            w.source.zone = Zone::Running;
            way(w, Some(Kind::PutBack));
        }
        Step::Tidy => way(w, Some(Kind::Tidied)),
        Step::Release => match phase {
            Phase::Release(Back::Refused) => way(w, Some(Kind::Released)),
            Phase::Release(Back::Revoked) => {
                w.files.revoked = !world.gone;
                way(w, w.files.revoked.then_some(Kind::Released));
            }
            Phase::Release(Back::Returned) => match files.result {
                Some((_, true)) => way(w, Some(Kind::Released)),
                _ => {
                    w.files.ack = true;
                    way(w, None);
                }
            },
            _ => {
                // Not before the target has read the withdraw: a result alone may be older than it.
                w.files.withdraw = true;
                way(w, matches!(files.result, Some((_, true))).then_some(Kind::Released));
            }
        },

        Step::Check => {
            w.checked = files.offer.or(world.checked);
            way(w, Some(Kind::Accepted));
            way(w, Some(Kind::Refused));
        }
        Step::PutRefusal => {
            w.files.answer = world.checked.map(|round| (round, false));
            way(w, Some(Kind::RefusalPut));
        }
        Step::Receive => {
            if files.withdraw || files.removed {
                way(w, Some(Kind::TurnedBack(Cause::Withdrawn)));
            } else if files.handoff {
                let fits = if world.received { Kind::HandoffTaken } else { Kind::TurnedBack(Cause::Failed) };
                way(w, Some(fits));
            } else if files.offer.is_some_and(|offer| Some(offer) != world.checked) {
                // What has come under one offer would not be found by another one's names.
                let anew = if world.received { Kind::TurnedBack(Cause::Failed) } else { Kind::Reoffered };
                way(w, Some(anew));
            } else {
                w.files.answer = world.checked.map(|round| (round, true));
                way(w, None);
                if files.parts {
                    w.received = true;
                    way(w, None);
                }
            }
        }
        Step::PutReceipt => {
            w.files.receipt = true;
            way(w, Some(Kind::ReceiptPut));
        }
        Step::Install(step) => {
            match step {
                Install::Configure => {
                    w.target.zone = Zone::Configured;
                    w.target.autoboot = mistake == Mistake::TargetAttachesWithAutoboot;
                }
                Install::Attach => w.target.zone = w.target.zone.max(Zone::Installed),
                Install::Boot | Install::Verify => w.target.zone = Zone::Running,
                _ => {}
            }
            let event = if step == Install::Verify { Kind::ResultOk } else { Kind::Installed(step) };
            if step == Install::Verify && mistake == Mistake::ResultPutBeforeItsLine {
                w.files.result = Some((true, false));
            }
            way(w, Some(event));
        }
        Step::AwaitAck => {
            let ok = phase == Phase::Settled;
            if mistake == Mistake::SettledBootsWithoutAck && ok {
                w.target.zone = Zone::Running;
            }
            if files.result.is_none() {
                w.files.result = Some((ok, false));
                way(w, None);
            } else if files.ack || (!ok && (files.withdraw || files.revoked || files.removed)) {
                if mistake == Mistake::AckConfirmedBeforeItsLine {
                    w.files.result = Some((ok, true));
                }
                way(w, Some(Kind::Acked));
            } else {
                way(w, None);
            }
        }
        Step::SetAutoboot => {
            w.files.result = Some((true, true));
            w.target.autoboot = true;
            way(w, None);
            w.target.zone = Zone::Running;
            way(w, Some(Kind::AutobootSet));
        }
        Step::Undo(step) => {
            match step {
                Undo::Halt => w.target.zone = w.target.zone.min(Zone::Installed),
                Undo::Detach => w.target.zone = w.target.zone.min(Zone::Configured),
                Undo::Unconfigure => (w.target.zone, w.target.autoboot) = (Zone::Absent, false),
                Undo::Discard => w.received = false,
                _ => {}
            }
            if mistake == Mistake::VerdictBeforeUndo {
                w.files.result = Some((false, false));
            }
            let event = if step == Undo::Discard { Kind::ResultFailed } else { Kind::Undone(step) };
            way(w, Some(event));
        }
        Step::Clean => {
            w.files.result = Some((phase == Phase::Clean, true));
            way(w, Some(Kind::Cleaned));
        }
        Step::End | Step::FinishCheck | Step::FinishUnconfigure | Step::FinishDestroy => {}
    }
    // Any step may fail for good; what that means is the phase's business.
    if phase.may_turn_back() {
        way(world, Some(Kind::TurnedBack(Cause::Failed)));
        way(world, Some(Kind::TurnedBack(Cause::Cancelled)));
    }
    out
}

fn successors(mistake: Mistake, world: World) -> Vec<Next> {
    let mut next: Vec<Next> = Vec::new();
    for of_source in [true, false] {
        if !of_source && world.gone || of_source && world.source_died {
            continue;
        }
        let who = if of_source { "source" } else { "target" };
        for Way { world: after, event } in ways(mistake, world, of_source) {
            // The effect, and then a crash before the line (or a step that only waits).
            next.push((format!("{who}: effect without its line"), after));
            let Some(event) = event else { continue };
            let job = |w: &mut World, phase| {
                if of_source { w.source.job = Some(phase) } else { w.target.job = Some(phase) }
            };
            let phase = if of_source { world.source.job } else { world.target.job }.unwrap();
            let to = phase.apply(event).unwrap_or_else(|| panic!("{who}: {event:?} refused in {phase:?}"));
            let mut after = after;
            job(&mut after, to);
            next.push((format!("{who}: {phase:?} -> {event:?}"), after));
        }
    }
    if world.source_died {
        declare_source_gone(mistake, world, &mut next);
        take_up(mistake, world, &mut next);
        return next;
    }
    if matches!(world.source.job, Some(Phase::Ended(_))) && !world.files.removed && !world.files.revoked {
        let Files { answer, receipt, result, .. } = world.files;
        let mut w = world;
        w.files = Files { removed: true, answer, receipt, result, ..Files::default() };
        next.push(("source: removes its side of the dropbox".into(), w));
    }
    if let Some(Phase::Await) = world.source.job {
        if mistake == Mistake::AwaitTurnsBack {
            let mut w = world;
            w.source.job = Some(Phase::PutBack(Back::Cancelled));
            next.push(("source: turns back while it awaits".into(), w));
        }
        // Its ok in the dropbox denies it, and an operator who thinks so is refused.
        let denied = matches!(world.files.result, Some((true, _))) && mistake != Mistake::DeclaredGoneUnseen;
        if world.gone || is_thought_gone(&world) && !denied {
            let mut w = world;
            w.declared = true;
            w.source.job = Phase::Await.apply(Kind::PeerDeclaredGone);
            next.push(("operator: the target is gone".into(), w));
        }
    }
    take_up(mistake, world, &mut next);
    environment(mistake, world, &mut next);
    next
}

/// The target has done all and said so, but the source has not heard: an operator may think that it is gone. One who
/// declares it gone before is believed, right or wrong.
fn is_thought_gone(world: &World) -> bool {
    world.target.job == Some(Phase::Settled) && world.files.result.is_some()
}

/// The target's operator says that the source is gone. Without that the target could only wait, so this counts as a step
/// that the target makes by itself.
fn declare_source_gone(mistake: Mistake, world: World, next: &mut Vec<Next>) {
    let Some(phase) = world.target.job.filter(|phase| phase.waits_for_source()) else { return };
    if mistake == Mistake::SourceGoneIgnored && phase == Phase::Settled {
        return;
    }
    let mut w = world;
    w.must_hear = false;
    w.target.job = phase.apply(Kind::PeerDeclaredGone);
    next.push(("target: its operator declares the source gone".into(), w));
}

/// The target takes up an offer, or answers for a job that is over or never began.
fn take_up(mistake: Mistake, world: World, next: &mut Vec<Next>) {
    if world.gone {
        return;
    }
    let mut w = world;
    match world.target.job {
        None if world.files.withdraw && world.files.result.is_none() => {
            w.files.result = Some((false, true));
            next.push(("target: answers a withdraw of what it never took".into(), w));
        }
        None if world.files.offer.is_some() && !world.files.withdraw => {
            w.target.job = Some(Phase::Check);
            next.push(("target: takes the offer up".into(), w));
        }
        Some(Phase::Ended(ended)) => {
            if mistake == Mistake::EndedIdsForgotten && world.files.offer.is_some() {
                w.target.job = Some(Phase::Check);
                next.push(("target: takes an ended job up again".into(), w));
            }
            // It ended, so it was acked.
            let wanted = Some((ended == Ended::Ok, true));
            if world.files.result != wanted && ended != Ended::Refused {
                w.files.result = wanted;
                next.push(("target: puts the result of an ended job again".into(), w));
            }
            if ended == Ended::Refused && world.files.withdraw && world.files.result.is_none() {
                w.files.result = Some((false, true));
                next.push(("target: confirms a withdraw of what it refused".into(), w));
            }
            if ended == Ended::Refused && world.files.answer.is_none() {
                w.files.answer = world.checked.map(|round| (round, false));
                next.push(("target: puts a refusal again".into(), w));
            }
        }
        _ => {}
    }
}

/// Takes a file away.
type Lose = fn(&mut Files);

/// The target's daemon is started anew.
fn come_back(mistake: Mistake, world: &mut World) {
    let may_act_on_it = world.target.job.is_some_and(Phase::must_hear_anew);
    if may_act_on_it && mistake != Mistake::GoesOnWithoutHearing {
        world.must_hear = world.target.job != Some(Phase::Receive);
        world.files.handoff = false;
    }
}

/// Reboots, lost files, people.
fn environment(mistake: Mistake, world: World, next: &mut Vec<Next>) {
    let boot = |host: &mut Host| {
        if host.zone == Zone::Running {
            host.zone = Zone::Installed;
        }
        if host.zone == Zone::Installed && host.autoboot {
            host.zone = Zone::Running;
        }
    };
    let is_over = |job: Option<Phase>| matches!(job, Some(Phase::Ended(_)));
    if !is_over(world.source.job) {
        let mut w = world;
        boot(&mut w.source);
        next.push(("source: host reboots".into(), w));
    }
    if world.target.job.is_some() && !is_over(world.target.job) && !world.gone {
        let mut w = world;
        come_back(mistake, &mut w);
        boot(&mut w.target);
        next.push(("target: host reboots".into(), w));
    }
    // The source's host dies for good, with the zone's copy there.
    let mid_way = matches!(world.source.job, Some(Phase::Send | Phase::Handoff | Phase::Await | Phase::Ack));
    if mid_way && !world.gone && !world.declared && world.losses == 0 && !world.by_hand {
        let mut w = world;
        w.source_died = true;
        (w.source.zone, w.source.autoboot) = (Zone::Absent, false);
        next.push(("the source's host dies for good".into(), w));
    }
    // The target's host goes off while the source waits for it, and comes back once `revoked` is there.
    if world.source.job == Some(Phase::Await) && !world.gone && world.target.job.is_some() {
        let mut w = world;
        w.gone = true;
        w.target.zone = w.target.zone.min(Zone::Installed);
        next.push(("target: host goes off".into(), w));
    }
    if world.gone {
        let mut w = world;
        w.gone = false;
        come_back(mistake, &mut w);
        boot(&mut w.target);
        next.push(("target: host comes back".into(), w));
    }
    // A person starts the detached zone by hand, once, while that is still theirs to do.
    if !world.by_hand
        && world.source.zone == Zone::Configured
        && world.source.job.is_some_and(|p| p.source_may_turn_back())
    {
        let mut w = world;
        w.by_hand = true;
        w.source.zone = Zone::Running;
        next.push(("somebody attaches and boots the zone on the source".into(), w));
    }
    if world.losses < 2 {
        let lose: [(&str, Lose); 7] = [
            ("offer", |f| f.offer = None),
            ("answer", |f| f.answer = None),
            ("withdraw", |f| f.withdraw = false),
            ("handoff", |f| f.handoff = false),
            ("receipt", |f| f.receipt = false),
            ("result", |f| f.result = None),
            ("ack", |f| f.ack = false),
        ];
        for (name, lose) in lose {
            let mut w = world;
            lose(&mut w.files);
            if w != world {
                w.losses += 1;
                next.push((format!("the file '{name}' is lost"), w));
            }
        }
    }
}

struct Found {
    states: usize,
    migrated: bool,
    as_found: bool,
}

/// Visits every state. A violation comes with its story, shortest first.
fn explore(mistake: Mistake) -> Result<Found, String> {
    let start = World::start();
    let mut from: HashMap<World, (World, String)> = HashMap::new();
    let mut seen: HashSet<World> = HashSet::from([start]);
    let mut back: HashMap<World, Vec<World>> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    let mut found = Found { states: 0, migrated: false, as_found: false };
    let mut ends = Vec::new();
    let story = |from: &HashMap<World, (World, String)>, mut at: World, why: &str| {
        let mut lines = vec![format!("  => {why}")];
        while let Some((before, what)) = from.get(&at) {
            lines.push(format!("  {what}"));
            at = *before;
        }
        lines.reverse();
        lines.join("\n")
    };
    while let Some(world) = queue.pop_front() {
        found.states += 1;
        world.check().map_err(|why| story(&from, world, why))?;
        if world.quiet() {
            world.check_end().map_err(|why| story(&from, world, &why))?;
            found.migrated |= world.is_migrated();
            found.as_found |= !world.is_migrated();
            ends.push(world);
        }
        for (what, after) in successors(mistake, world) {
            if after == world {
                continue;
            }
            // Nobody may have to wait for an accident or an operator.
            let by_itself = what.starts_with("source:") || what.starts_with("target:");
            if by_itself && !what.ends_with("reboots") && !what.ends_with("goes off") {
                back.entry(after).or_default().push(world);
            }
            if seen.insert(after) {
                from.insert(after, (world, what));
                queue.push_back(after);
            }
        }
    }
    // From everywhere there must be a way to a good end, else something waits for ever.
    let mut reaches: HashSet<World> = ends.iter().copied().collect();
    let mut queue: VecDeque<World> = ends.into();
    while let Some(world) = queue.pop_front() {
        for before in back.get(&world).into_iter().flatten() {
            if reaches.insert(*before) {
                queue.push_back(*before);
            }
        }
    }
    match seen.iter().find(|w| !reaches.contains(w)) {
        Some(stuck) => Err(story(&from, *stuck, &format!("from here no end can be reached: {stuck:?}"))),
        None => Ok(found),
    }
}

#[test]
fn no_interleaving_runs_the_zone_twice_or_nowhere_and_both_ends_are_reachable() {
    let found = explore(Mistake::None).unwrap_or_else(|story| panic!("the protocol has a hole:\n{story}"));
    println!("{} states", found.states);
    assert!(found.migrated && found.as_found, "the model is vacuous");
    assert!(found.states > 1000, "{} states: the model is too small to mean anything", found.states);
}

#[test]
fn every_seeded_mistake_is_caught() {
    use Mistake::*;
    for mistake in [
        HandoffPutBeforeItsLine,
        ResultPutBeforeItsLine,
        VerdictBeforeUndo,
        AwaitTurnsBack,
        TargetAttachesWithAutoboot,
        EndedIdsForgotten,
        SettledBootsWithoutAck,
        RevokedIgnored,
        HandoffWithoutLook,
        LostHandoffNotPutAgain,
        AckConfirmedBeforeItsLine,
        GoesOnWithoutHearing,
        DeclaredGoneUnseen,
        SourceGoneIgnored,
    ] {
        match explore(mistake) {
            Err(story) => println!("{mistake:?} is caught:\n{story}\n"),
            Ok(found) => panic!("{mistake:?} went unnoticed in {} states", found.states),
        }
    }
}
