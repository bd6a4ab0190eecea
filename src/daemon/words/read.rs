//! Reading what the peer put. A damaged or misplaced message is waited out; one of another version fails the step, whose error
//! tells it to people, and is left where it lies: the zmigrate that can read it may come.

use crate::daemon::perform::At;
use crate::host::StepError;
use crate::job::message::{self, Handoff, MAX_MESSAGE, Message, MessageError, Verdict};
use crate::job::name::JobId;
use crate::job::record::Job;
use crate::transport::Dropbox;
use crate::transport::arrivals::JobBox;

/// A message of the peer, from the source's side; a damaged one is as good as none.
pub fn get<T: Message>(job: &Job, dropbox: &Dropbox) -> Result<Option<T>, StepError> {
    let Some(bytes) = dropbox.get(T::NAME, MAX_MESSAGE)? else { return Ok(None) };
    message::heard(&job.id, &bytes).map_err(|error| StepError::transient(error.to_string()))
}

/// A message of the peer, from the target's side.
pub fn read<T: Message>(at: &At<'_>, inbox: &JobBox) -> Result<Option<T>, StepError> {
    let damaged = |error: &MessageError| at.live.note(&format!("{error}; it is taken away, to be put again"));
    read_for(&at.job.id, inbox, damaged)
}

/// As [`read`], also for a job that is not there: who wants to know hears that it was `damaged`.
pub fn read_for<T: Message>(
    job: &JobId,
    inbox: &JobBox,
    damaged: impl FnOnce(&MessageError),
) -> Result<Option<T>, StepError> {
    let Some(bytes) = inbox.read(T::NAME, MAX_MESSAGE)? else { return Ok(None) };
    match message::open(job, &bytes) {
        Ok(body) => Ok(Some(body)),
        Err(error @ MessageError::Version { .. }) => Err(StepError::transient(error.to_string())),
        Err(error) => {
            // Where it lies, the source would believe that its word stands.
            damaged(&error);
            inbox.remove(T::NAME);
            Ok(None)
        }
    }
}

/// Source, past the handoff: what in the dropbox denies that the target is gone. Where it can't be read, nothing does.
pub fn denial(job: &Job, dropbox: &Dropbox) -> Option<String> {
    let bytes = dropbox.get(Verdict::NAME, MAX_MESSAGE).ok()??;
    let handoff = job.handoff.as_ref().map(Handoff::digest);
    let peer = &job.peer;
    match message::heard::<Verdict>(&job.id, &bytes) {
        Ok(Some(verdict)) if verdict.ok && verdict.handoff == handoff => {
            Some(format!("its result is ok: zone '{}' runs on {peer}", job.zone()))
        }
        Ok(_) => None,
        Err(error) => Some(format!("what {peer} has decided can't be read: {error}")),
    }
}
