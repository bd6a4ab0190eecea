//! Source: `zfs send ∥ copy`. One thread sends image after image into parts on the scratch (`sending`);
//! some more copy each part as soon as it is whole (`copying`); the thread here listens to what the target
//! reports. All of them carry out the orders of one machine, [`Source`].
//!
//! Guarantees: a part is copied before its entry; a part that reached the target whole is not copied again
//! after a break; nothing of an image is held in memory but a chunk for each thread. While the target
//! can't be reached, or is full, the sending goes on as long as the scratch has room, and the copying goes
//! on with the part that did not arrive. On failure everything stays where it is, and the next call goes
//! on from there.

mod copying;
mod orders;
mod sending;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::StepError;
use super::live::Live;
use super::stage::Stage;
use crate::cmd::zfs::Wire;
use crate::job::image::{Image, images};
use crate::job::message::{self, MAX_MESSAGE, Message, Verdict};
use crate::job::name::Bytes;
use crate::job::progress::Progress;
use crate::job::record::Job;
use crate::job::retry::ErrorKind;
use crate::job::transfer::source::{Heard, Part, Source};
use crate::process::Programs;
use crate::transport::Dropbox;
use copying::Copying;
use orders::Orders;
use sending::Sending;

/// Between two looks at the target's report, which changes twice a second.
const LOOK: Duration = Duration::from_millis(500);
/// The same when all is copied: the zone is down until the target reports that it has everything.
const LAST_LOOK: Duration = Duration::from_millis(100);
/// The same while the target can't be reached. How often that is tried is the dropbox's business.
const LOOK_IN_VAIN: Duration = Duration::from_secs(1);

/// What sending needs to know.
pub struct Send<'a> {
    /// Where `zfs` is found.
    pub programs: &'a Programs,
    /// The job, in phase `Send`.
    pub job: &'a Job,
    /// How `zfs send` is to write.
    pub wire: Wire,
    /// Where parts are staged.
    pub stage: &'a Stage,
    /// The number of bytes of this job that may be staged.
    pub share: Bytes,
    /// The target's dropbox.
    pub dropbox: &'a Dropbox,
    /// Parts that are copied at once.
    pub connections: u32,
    /// Waits until the bandwidth limit admits this many bytes; returns `false` if copying was stopped.
    pub pace: &'a Pace<'a>,
    /// Progress, for people.
    pub live: &'a Live,
    /// Tells the log host of a hindrance that may pass.
    pub deferred: &'a (dyn Fn(&str) + Sync),
    /// Is the job to stop at once: an operator, a deadline, the daemon's end?
    pub interrupted: &'a (dyn Fn() -> bool + Sync),
    /// Time since the step began.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
}

/// Holds copying to the bandwidth: see [`Send::pace`].
pub type Pace<'a> = dyn Fn(Bytes, &dyn Fn() -> bool) -> bool + Sync + 'a;

/// How sending ended.
#[derive(Debug)]
pub enum Sent {
    /// Every image is received on the target, by its guid.
    Delivered {
        /// Bytes of all images.
        bytes: Bytes,
        /// Digest over all parts' digests.
        entries: String,
        /// Seconds of `send`, `copy`, `receive`.
        took: BTreeMap<String, u64>,
    },
    /// The job is to stop; everything stays as it is.
    Interrupted,
    /// The target's verdict came instead.
    TargetFailed(Box<Verdict>),
}

impl Send<'_> {
    /// Sends, copies, and waits until all is received.
    ///
    /// # Errors
    /// Transient when the scratch or `zfs` failed in a way that may pass; what hinders the way to the target
    /// is waited out here.
    pub fn run(&self) -> Result<Sent, StepError> {
        self.stage.make()?;
        let images = images(self.job);
        if let Some(image) = images.iter().find(|image| image.guid.is_none()) {
            let text = format!("dataset '{}' has no snapshot of this job", image.dataset);
            return Err(StepError::permanent(text));
        }
        let progress = self.progress()?;
        let source = self.source(&images, &progress)?;
        let orders = Orders::new(source);
        std::thread::scope(|scope| {
            for _ in 0..self.connections.max(1) {
                let copying = Copying { send: self, images: &images, orders: &orders };
                scope.spawn(move || copying.run());
            }
            let sending = Sending { send: self, images: &images, orders: &orders };
            scope.spawn(move || sending.run());
            // What the target has received already needs no second sending.
            let result = self.act(&images, &orders, &progress).and_then(|()| self.listen(&images, &orders));
            // Whatever ended the listening ends the others.
            orders.stop();
            result
        })
    }

    /// The machine, with what is on the scratch.
    fn source(&self, images: &[Image], progress: &Progress) -> Result<Source, StepError> {
        let mut place = 0;
        let staged = |image: &Image, guid| {
            let staged = self.stage.found(&image.stem, guid);
            if let Some(staged) = staged.filter(|staged| staged.whole) {
                self.live.sending(place);
                self.live.sent(place, Bytes(staged.bytes), true);
            }
            place += 1;
            staged
        };
        let source = Source::new(images, self.job.generation, staged, progress, self.share, self.job.part);
        source.ok_or_else(|| StepError::permanent("a dataset has no snapshot of this job"))
    }

    fn listen(&self, images: &[Image], orders: &Orders) -> Result<Sent, StepError> {
        let (mut sent_at, mut copied_at) = (None, Duration::ZERO);
        let (mut is_away, mut looked_at, mut before) = (false, (self.elapsed)(), None);
        let mut is_last = false;
        while !(self.interrupted)() {
            let pause = if is_away { LOOK_IN_VAIN } else { [LOOK, LAST_LOOK][usize::from(is_last)] };
            let pause = (looked_at + pause).saturating_sub((self.elapsed)());
            let news = orders.news(sent_at.is_some(), pause);
            if let Some(error) = news.failed {
                return Err(error);
            }
            sent_at = if news.sent { sent_at.or_else(|| Some((self.elapsed)())) } else { None };
            is_last = news.sent && news.idle;
            if news.copied {
                copied_at = (self.elapsed)();
                // The target sees it by itself, and reports in a moment.
                continue;
            }
            let reported = self.reported(before.as_ref());
            looked_at = (self.elapsed)();
            let (progress, verdict) = match reported {
                Ok(reported) => reported,
                // Something that somebody called off does not hinder anything.
                Err(_) if (self.interrupted)() => break,
                Err(error) if error.kind == ErrorKind::Permanent => return Err(error),
                Err(error) => {
                    self.live.waiting(&self.way(), Some(&error.text));
                    self.hindered(orders, None, &error);
                    is_away = true;
                    continue;
                }
            };
            orders.unhinder();
            is_away = false;
            if let Some(verdict) = verdict {
                return Ok(Sent::TargetFailed(Box::new(verdict)));
            }
            self.show(orders, &progress);
            self.act(images, orders, &progress)?;
            if orders.ask(Source::is_complete) {
                let now = (self.elapsed)();
                let seconds = |d: Duration| d.as_secs_f64().round() as u64;
                let took = [("send", sent_at.unwrap_or(now)), ("copy", copied_at), ("receive", now)];
                let took = took.map(|(what, d)| (what.to_owned(), seconds(d))).into();
                let (bytes, entries) = self.account(images);
                return Ok(Sent::Delivered { bytes, entries, took });
            }
            before = Some(progress);
        }
        Ok(Sent::Interrupted)
    }

    /// For people: what the job waits for.
    fn show(&self, orders: &Orders, progress: &Progress) {
        if let Some(error) = orders.hindrance() {
            self.live.waiting(&self.way(), Some(&error.text));
        } else if orders.waits_for_room() {
            self.live.waiting("room on the scratch: parts leave it as the target receives them", None);
        } else if let Some(why) = &progress.waiting {
            self.live.waiting(&format!("{} to receive", self.job.peer), Some(why));
        } else {
            self.live.moving();
        }
    }

    /// Carries out what the target's report leads to.
    fn act(&self, images: &[Image], orders: &Orders, progress: &Progress) -> Result<(), StepError> {
        for (i, image) in images.iter().enumerate() {
            if let Some(news) = progress.images.get(&image.name()) {
                self.live.received(i, news.bytes, news.guid.is_some() && news.guid == image.guid);
            }
        }
        let heard = orders.tell(|source| source.heard(progress));
        let Heard { release, again, restart } = heard.map_err(|fault| self.means(images, &fault))?;
        for image in release {
            self.stage.release(&images[image].stem);
        }
        for part in again {
            self.live.note(&format!("part {} arrived damaged, copying it again", part.name(images)));
        }
        for image in restart {
            let (peer, stem) = (&self.job.peer, &images[image].stem);
            self.live.note(&format!("{peer} could not receive {stem}: a new attempt"));
        }
        Ok(())
    }

    /// The target's report, and its verdict. A target that still makes progress has given none.
    fn reported(&self, before: Option<&Progress>) -> Result<(Progress, Option<Verdict>), StepError> {
        let progress = self.progress()?;
        let verdict = if before == Some(&progress) { self.get::<Verdict>()? } else { None };
        Ok((progress, verdict.filter(|verdict| !verdict.ok)))
    }

    fn progress(&self) -> Result<Progress, StepError> {
        // A damaged progress is put again soon.
        Ok(self.get()?.unwrap_or_default())
    }

    fn get<T: Message>(&self) -> Result<Option<T>, StepError> {
        let Some(bytes) = self.dropbox.get(T::NAME, MAX_MESSAGE)? else { return Ok(None) };
        message::heard(&self.job.id, &bytes).map_err(|error| StepError::transient(error.to_string()))
    }

    /// Something is in the way to the target: reported once, until it works again.
    fn hindered(&self, orders: &Orders, what: Option<Part>, error: &StepError) {
        if orders.hinder(what, error) {
            let text = format!("{}: {error}; tried again until it works", self.way());
            self.live.note(&text);
            (self.deferred)(&text);
        }
    }

    fn way(&self) -> String {
        format!("the way to {}", self.job.peer)
    }

    /// Bytes of all images, and one digest over all parts' digests.
    fn account(&self, images: &[Image]) -> (Bytes, String) {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = 0;
        for entry in images.iter().flat_map(|image| self.stage.entries(&image.stem)) {
            bytes += entry.digest.bytes;
            hasher.update(entry.digest.digest.as_bytes());
        }
        (Bytes(bytes), hasher.finalize().to_hex().to_string())
    }
}
