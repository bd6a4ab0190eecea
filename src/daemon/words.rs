//! The steps that are words between the two hosts: offer and answer, handoff and receipt, result and ack,
//! withdraw and revoked. Each is put again for as long as nothing shows that it was read; a damaged or
//! misplaced file is waited out.

mod read;

use std::time::Duration;

use chrono::Utc;

use super::perform::{self, At, Memory, dropbox, inbox, nothing_accepted, place, wait_for_peer};
use crate::host::check::{Check, Judgement, ScratchRoom, gather, reservation};
use crate::host::{Done, StepError};
use crate::job::code::{Code, Reason};
use crate::job::event::{Cause, Event};
use crate::job::message::{
    self, Ack, Answer, Handoff, MAX_MESSAGE, Message, Offer, Receipt, Reply, Revoked, Verdict, Withdraw,
};
use crate::job::part::is_image_file;
use crate::job::phase::{Back, Phase};
use crate::job::record::Job;
use crate::transport::Dropbox;
use crate::transport::arrivals::JobBox;
use read::get;
pub use read::{denial, read, read_for};

/// After a `later` the peer is asked again.
const LATER: Duration = Duration::from_secs(10);

/// Source: what the peer must know; again after a `later`, not at once.
pub fn survey(at: &At<'_>) -> Result<Done, StepError> {
    if let Some(later) = at.job.later.as_ref().filter(|_| at.age < LATER) {
        return Ok(Done::wait(format!("{} said later: {later}", at.job.peer)));
    }
    perform::survey_zone(at)
}

/// Source: puts the offer, waits for its answer.
pub fn offer(at: &At<'_>, memory: &mut Memory) -> Result<Done, StepError> {
    let job = at.job;
    let dropbox = dropbox(at)?;
    if let Some(done) = target_ended(job, &dropbox)? {
        return Ok(done);
    }
    if let Some(answer) = get::<Answer>(job, &dropbox)?.filter(|answer| answer.serial == job.serial) {
        let serial = answer.serial;
        return Ok(Done::Event(match answer.verdict {
            Reply::Accepted => Event::Accepted { serial },
            Reply::Refused(reasons) => Event::Refused { serial, reasons },
            Reply::Later(reason) => Event::ToldLater { serial, reason },
        }));
    }
    if memory.put != Some(job.serial) || !dropbox.holds(Offer::NAME)? {
        let Some(survey) = job.survey.clone() else {
            return Err(StepError::permanent("nothing was surveyed"));
        };
        let offer = Offer {
            serial: job.serial,
            plan: false,
            from: job.host.clone(),
            request: job.request.clone(),
            survey,
            snapshot: job.snapshot.clone(),
            part: job.part,
        };
        dropbox.put(Offer::NAME, &message::seal(&job.id, offer))?;
        memory.put = Some(job.serial);
    }
    Ok(wait_for_peer(at, format!("{} to answer the offer", job.peer)))
}

/// A verdict before the handoff can only be that the target will not take the zone.
fn target_ended(job: &Job, dropbox: &Dropbox) -> Result<Option<Done>, StepError> {
    let verdict = get::<Verdict>(job, dropbox)?.filter(|verdict| !verdict.ok);
    Ok(verdict.map(|verdict| turned_back_by(job, &verdict)))
}

/// The event of a target that has gone back before the handoff.
pub fn turned_back_by(job: &Job, verdict: &Verdict) -> Done {
    let mut failure = verdict.error.clone().unwrap_or_default();
    failure.error = format!("{} gave up: {}", job.peer, failure.error);
    Done::Event(Event::TurnedBack { cause: Cause::Failed, failure })
}

/// Source: its time, and a free place.
pub fn await_start(at: &At<'_>) -> Result<Done, StepError> {
    if let Some(done) = target_ended(at.job, &dropbox(at)?)? {
        return Ok(done);
    }
    match at.job.request.not_before {
        Some(time) if Utc::now() < time => return Ok(Done::wait(format!("{time}, as requested"))),
        _ => {}
    }
    if !at.context.may_send(&at.job.id) {
        return Ok(Done::wait("another zone to be sent: see `parallel` in [jobs]"));
    }
    Ok(Done::Event(Event::Started))
}

/// Source: the handoff stands; puts it until the target has spoken.
pub fn await_result(at: &At<'_>) -> Result<Done, StepError> {
    let job = at.job;
    let Some(handoff) = &job.handoff else {
        return Err(StepError::permanent("the handoff is not in the journal"));
    };
    let dropbox = dropbox(at)?;
    if let Some(verdict) = get::<Verdict>(job, &dropbox)? {
        let verdict = Box::new(verdict);
        // An ok must be about this very handoff. A failure may be older than it.
        if verdict.ok && verdict.handoff == Some(handoff.digest()) {
            return Ok(Done::Event(Event::ResultOk { verdict }));
        }
        if !verdict.ok {
            return Ok(Done::Event(Event::ResultFailed { verdict }));
        }
        at.live.note("a result names another handoff; waiting for the right one");
    }
    if !dropbox.holds(Handoff::NAME)? {
        dropbox.put(Handoff::NAME, &message::seal(&job.id, handoff.clone()))?;
    }
    let receipt = get::<Receipt>(job, &dropbox)?.is_some_and(|receipt| receipt.handoff == handoff.digest());
    let what = if receipt { "to install the zone" } else { "to take the handoff" };
    Ok(wait_for_peer(at, format!("{} {what}", job.peer)))
}

/// Source: the zone is the target's; it must know that we know.
pub fn put_ack(at: &At<'_>) -> Result<Done, StepError> {
    let dropbox = dropbox(at)?;
    if acked(at.job, &dropbox)? {
        return Ok(Done::Event(Event::AckConfirmed));
    }
    put_once(at.job, &dropbox, Ack {})?;
    Ok(wait_for_peer(at, format!("{} to read the ack", at.job.peer)))
}

fn acked(job: &Job, dropbox: &Dropbox) -> Result<bool, StepError> {
    Ok(get::<Verdict>(job, dropbox)?.is_some_and(|verdict| verdict.acked))
}

fn put_once<T: Message>(job: &Job, dropbox: &Dropbox, body: T) -> Result<(), StepError> {
    if !dropbox.holds(T::NAME)? {
        dropbox.put(T::NAME, &message::seal(&job.id, body))?;
    }
    Ok(())
}

/// Source: `revoked` before the zone is put back. A target that is off can't be told yet; then `release` does.
pub fn put_revoked(at: &At<'_>) -> Result<Done, StepError> {
    let delivered = leave_revoked(at).is_ok();
    Ok(Done::Event(Event::RevokedLeft { delivered }))
}

fn leave_revoked(at: &At<'_>) -> Result<(), StepError> {
    let by = at.job.declared_gone_by.clone().unwrap_or_default();
    let dropbox = dropbox(at)?;
    // The handoff goes first: a target that comes back must not find it beside the revocation.
    dropbox.remove(Handoff::NAME)?;
    put_once(at.job, &dropbox, Revoked { by })
}

/// Source: the zone is as it was found; the target is told until it has heard.
pub fn release(at: &At<'_>) -> Result<Done, StepError> {
    let job = at.job;
    let over = Ok(Done::Event(Event::Released));
    if job.survey.is_none() {
        // Nothing was ever offered.
        return over;
    }
    match job.back() {
        Some(Back::Refused) | None => over,
        Some(Back::Revoked) => {
            leave_revoked(at)?;
            over
        }
        Some(back) => {
            let dropbox = dropbox(at)?;
            if acked(job, &dropbox)? {
                return over;
            }
            if back == Back::Returned {
                put_once(job, &dropbox, Ack {})?;
            } else {
                let reason = job.failure.as_ref().map(|f| f.error.clone()).unwrap_or_default();
                put_once(job, &dropbox, Withdraw { reason })?;
            }
            Ok(wait_for_peer(at, format!("{} to hear that it is over", job.peer)))
        }
    }
}

/// Target: `revoked` comes before everything; and after a restart nothing is done on the strength of a handoff
/// that was put before it.
pub fn heed_source(at: &At<'_>, memory: &mut Memory) -> Result<Option<Done>, StepError> {
    let job = at.job;
    let inbox = inbox(at.config, job)?;
    if job.phase.heeds_revoked()
        && let Some(revoked) = read::<Revoked>(at, &inbox)?
    {
        let by: String = revoked.by.chars().take(80).flat_map(char::escape_debug).collect();
        return Ok(Some(Done::Event(Event::RevokedSeen { by })));
    }
    if !memory.took_handoff_out {
        inbox.remove(Handoff::NAME);
        memory.took_handoff_out = true;
    }
    if !memory.must_hear
        || job.declared_gone_by.is_some()
        || !job.phase.must_hear_anew()
        || job.phase == Phase::Receive
    {
        return Ok(None);
    }
    let handoff = read::<Handoff>(at, &inbox)?;
    if handoff.is_some_and(|handoff| Some(handoff.digest()) == job.handoff.as_ref().map(Handoff::digest)) {
        memory.must_hear = false;
        return Ok(None);
    }
    let text = format!("{} to put the handoff again, since this daemon was started anew", job.peer);
    Ok(Some(Done::wait(text)))
}

/// Target: every refusal at once; what is accepted is reserved before it is said.
pub fn check(at: &At<'_>, memory: &mut Memory) -> Result<Done, StepError> {
    let job = at.job;
    let inbox = inbox(at.config, job)?;
    if let Some(reason) = withdrawal(at, &inbox)? {
        return Ok(withdrawn(&reason));
    }
    if let Some(done) = reoffered(at, &inbox)? {
        return Ok(done);
    }
    let Some(offer) = &job.offer else { return Err(StepError::permanent("the offer is not in the journal")) };
    let serial = offer.serial;
    let guard = at.context.checking.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let judgement = judge(at, offer)?;
    match judgement.reply() {
        Reply::Accepted => {
            if let Ok(layout) = place(at.config, job) {
                at.context.reserve(&job.id, Some(reservation(&job.id, offer, &layout)));
            }
            drop(guard);
            Ok(Done::Event(Event::Accepted { serial }))
        }
        Reply::Refused(reasons) => Ok(Done::Event(Event::Refused { serial, reasons })),
        Reply::Later(why) => {
            if memory.put != Some(serial) {
                put_answer(&inbox, job, Reply::Later(why.clone()))?;
                memory.put = Some(serial);
            }
            Ok(Done::wait(why))
        }
    }
}

/// Judges an offer on this host.
pub fn judge(at: &At<'_>, offer: &Offer) -> Result<Judgement, StepError> {
    let job = at.job;
    let accept = at.config.accept.get(&job.peer).ok_or_else(|| nothing_accepted(at))?;
    let faults = crate::host::check::faults(&job.id, offer);
    if !faults.is_empty() {
        return Ok(Judgement::of_faults(faults));
    }
    let layout = place(at.config, job);
    let reserved = at.context.reserved_by_others(&job.id);
    let world = gather(at.programs, &job.id, offer, accept, layout.as_ref().ok(), &reserved)?;
    let scratch = ScratchRoom::of(&at.config.scratch);
    let check = Check {
        job: &job.id,
        offer,
        accept,
        layout: layout.as_ref().map_err(Vec::as_slice),
        world: &world,
        reserved: &reserved,
        scratch: &scratch,
    };
    let mut judgement = crate::host::check::judge(&check);
    let zone = job.zone();
    if let Some(holder) = at.context.holder_of(zone).filter(|holder| *holder != job.id) {
        let text = format!("zone '{zone}' is in job {holder} on the target already");
        judgement.refusals.push(Reason::new(Code::Zone, text));
    }
    Ok(judgement)
}

/// Target: a later offer for the same job.
pub fn reoffered(at: &At<'_>, inbox: &JobBox) -> Result<Option<Done>, StepError> {
    let offer = read::<Offer>(at, inbox)?;
    // Once it is answered it is done with. Where an old one came again, in the place of a new one, the source would
    // believe that its new one lies there.
    let answered = at.job.phase == Phase::Receive;
    if offer.as_ref().is_some_and(|o| o.serial < at.job.serial || answered && o.serial == at.job.serial) {
        inbox.remove(Offer::NAME);
    }
    // Another zone under the same id would be another job.
    let newer = offer.filter(|o| o.serial > at.job.serial && o.request.zone == *at.job.zone() && !o.plan);
    Ok(newer.map(|offer| Done::Event(Event::Reoffered { offer: Box::new(offer) })))
}

/// Target: has the source called it off, or taken its side away? Its reason, if it gave one.
pub fn withdrawal(at: &At<'_>, inbox: &JobBox) -> Result<Option<String>, StepError> {
    if !inbox.is_there() {
        // What we said is gone as well: that was not the source, which can't reach it.
        if at.job.phase == Phase::Receive && !inbox.has_put(Answer::NAME) {
            let text = "the job's folders in the dropbox are gone, its answer too: is [scratch] dir still the one that it \
                        began with, and mounted?";
            return Err(StepError::transient(text));
        }
        return Ok(Some(String::new()));
    }
    // The peer's word: bounded and escaped.
    let shown = |reason: &str| reason.chars().take(300).flat_map(char::escape_debug).collect();
    Ok(read::<Withdraw>(at, inbox)?.map(|withdraw| shown(&withdraw.reason)))
}

/// The event of a withdrawn job.
pub fn withdrawn(reason: &str) -> Done {
    let error = match reason {
        "" => "the source withdrew".to_owned(),
        reason => format!("the source withdrew: {reason}"),
    };
    let failure = message::Failure::new("receive", Code::Other, error);
    Done::Event(Event::TurnedBack { cause: Cause::Withdrawn, failure })
}

/// Target: puts an answer to the offer of the journal.
pub fn put_answer(inbox: &JobBox, job: &Job, verdict: Reply) -> Result<(), StepError> {
    let answer = Answer { serial: job.serial, verdict, findings: Vec::new(), commands: Vec::new() };
    put_where_missing::<Answer>(inbox, &message::seal(&job.id, answer))
}

/// It is looked at again and again, and written only where it is not so; a damaged or an old one is not so.
pub fn put_where_missing<T: Message>(inbox: &JobBox, bytes: &[u8]) -> Result<(), StepError> {
    if inbox.read_put(T::NAME, MAX_MESSAGE).as_deref() != Some(bytes) {
        inbox.put(T::NAME, bytes)?;
    }
    Ok(())
}

/// Target: the refusal.
pub fn put_refusal(at: &At<'_>) -> Result<Done, StepError> {
    put_answer(&inbox(at.config, at.job)?, at.job, Reply::Refused(at.job.refusals.clone()))?;
    Ok(Done::Event(Event::RefusalPut))
}

/// Target: the receipt.
pub fn put_receipt(at: &At<'_>) -> Result<Done, StepError> {
    let handoff = at.job.handoff.as_ref().map(Handoff::digest).unwrap_or_default();
    inbox(at.config, at.job)?.put(Receipt::NAME, &message::seal(&at.job.id, Receipt { handoff }))?;
    Ok(Done::Event(Event::ReceiptPut))
}

/// Target: puts the result, a copy of the journal's.
pub fn put_result(at: &At<'_>, acked: bool) -> Result<(), StepError> {
    let inbox = inbox(at.config, at.job)?;
    let verdict = Verdict { acked, ..at.job.verdict.clone().unwrap_or_default() };
    put_where_missing::<Verdict>(&inbox, &message::seal(&at.job.id, verdict))
}

/// Target: the result stands; waits until the source has taken it.
pub fn await_ack(at: &At<'_>) -> Result<Done, StepError> {
    let inbox = inbox(at.config, at.job)?;
    put_result(at, false)?;
    let returned = at.job.cause().is_some();
    if returned {
        // The room on our scratch is not for the source to give back: it may be gone.
        inbox.remove_all(is_image_file);
    }
    let acked = read::<Ack>(at, &inbox)?.is_some()
        || returned
            && (!inbox.is_there()
                || read::<Withdraw>(at, &inbox)?.is_some()
                || read::<Revoked>(at, &inbox)?.is_some());
    if acked {
        return Ok(Done::Event(Event::Acked));
    }
    Ok(Done::wait(format!("{} to take the result", at.job.peer)))
}

/// Target: what only the engine knows goes into a verdict.
pub fn fill(job: &Job, done: Done) -> Done {
    let complete = |verdict: Box<Verdict>| {
        let took = job.times.took.iter().map(|(word, ms)| (word.clone(), (ms + 500) / 1000)).collect();
        let handoff = job.handoff.as_ref().map(Handoff::digest);
        Box::new(Verdict { took, handoff, ..*verdict })
    };
    match done {
        Done::Event(Event::ResultOk { verdict }) => {
            Done::Event(Event::ResultOk { verdict: complete(verdict) })
        }
        Done::Event(Event::ResultFailed { verdict }) => {
            Done::Event(Event::ResultFailed { verdict: complete(verdict) })
        }
        other => other,
    }
}
