//! Source: `zfs send ∥ copy`. One thread sends image after image into parts on the scratch (`sending`); some
//! more copy each part as soon as it is whole (`copying`); the one here hears from the target what has arrived,
//! what is damaged, and what has been received.
//!
//! Guarantees: a part is copied before its entry; a part that reached the target whole is not copied again
//! after a break; nothing of an image is held in memory but a chunk for each thread. While the target can't be
//! reached, or is full, the sending goes on as long as the scratch has room, and the copying goes on with the
//! part that did not arrive. On failure everything stays where it is, and the next call goes on from there.

mod copying;
mod sending;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use super::StepError;
use super::live::Live;
use super::stage::Stage;
use crate::cmd::zfs::Wire;
use crate::job::layout::{part_name, stems, travel_order};
use crate::job::message::{self, ImageProgress, MAX_MESSAGE, Message, Progress, Verdict};
use crate::job::name::{Bytes, DatasetName, Guid};
use crate::job::record::Job;
use crate::job::retry::ErrorKind;
use crate::process::Programs;
use crate::transport::Dropbox;
use copying::{Copying, Part, There};
use sending::Sending;

/// Between two looks at what the target says, which says something twice a second.
const LOOK: Duration = Duration::from_millis(500);
/// The same when all is copied: the zone is down until it says that it has all.
const LAST_LOOK: Duration = Duration::from_millis(100);
/// The same while it can't be reached. How often that is tried is the dropbox's business.
const LOOK_IN_VAIN: Duration = Duration::from_secs(1);
/// Complaints about one part before it is the way, or a disk, that is broken and not the part.
const COMPLAINTS: u32 = 5;

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
    /// So many bytes of this job may lie there.
    pub share: Bytes,
    /// The target's dropbox.
    pub dropbox: &'a Dropbox,
    /// Parts that are copied at once.
    pub connections: u32,
    /// So many bytes are to be copied: waits until they may be, unless it is over; `false` when it is.
    pub pace: &'a Pace<'a>,
    /// Progress, for people.
    pub live: &'a Live,
    /// Tells the log host of a hindrance that may pass.
    pub deferred: &'a (dyn Fn(&str) + Sync),
    /// Waits, at most so long, until something may have changed.
    pub wait: &'a (dyn Fn(Duration) + Sync),
    /// Is the job to stop at once: an operator, a deadline, the daemon's end?
    pub interrupted: &'a (dyn Fn() -> bool + Sync),
    /// Time since this call began.
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

/// One image, in travel order.
struct Image {
    /// Index into the survey's datasets.
    index: usize,
    dataset: DatasetName,
    stem: String,
    guid: Guid,
    /// The attempt that is being staged; 0 before the first.
    attempt: AtomicU32,
    /// The attempt that the target has told of; 0 when none.
    seen: AtomicU32,
    received: AtomicBool,
    /// The target asks for a new attempt.
    restart: AtomicBool,
}

/// What the other threads tell the one that hears the target.
enum News {
    /// A part is in the dropbox.
    Copied,
    /// All images have been sent (once more).
    AllSent,
    Failed(StepError),
}

impl Send<'_> {
    /// Sends, copies, and waits until all is received.
    ///
    /// # Errors
    /// Transient when the scratch or `zfs` failed in a way that may pass; what hinders the way to the target
    /// is waited out here.
    pub fn run(&self) -> Result<Sent, StepError> {
        self.stage.make()?;
        let images = self.images()?;
        // What the target has received already needs no second sending.
        let progress = self.progress()?;
        for image in &images {
            image.received.store(image.is_received(&progress), Ordering::Relaxed);
            image.seen.store(image.told_by(&progress).map_or(0, |news| news.attempt), Ordering::Relaxed);
        }
        let (tell, heard) = mpsc::channel();
        let before = images.iter().map(|image| Told::before(image.told_by(&progress))).collect();
        let copying = Copying::new(self, &images);
        let sending = Sending::new(self, &images, &copying);
        std::thread::scope(|scope| {
            for _ in 0..self.connections.max(1) {
                let (copying, tell) = (&copying, tell.clone());
                scope.spawn(move || copying.run(&tell));
            }
            let sending = &sending;
            scope.spawn(move || sending.run(&tell));
            let result = self.hear(&images, before, sending, &copying, &heard);
            // Whatever ended the hearing ends the others.
            sending.stop();
            copying.stop();
            result
        })
    }

    fn images(&self) -> Result<Vec<Image>, StepError> {
        let datasets = self.job.survey.as_ref().map(|s| s.datasets.as_slice()).unwrap_or_default();
        let names: Vec<DatasetName> = datasets.iter().map(|d| d.name.clone()).collect();
        let stems = stems(&names, &self.job.snapshot);
        let image = |index: usize| {
            let dataset = names[index].clone();
            let guid = self.job.guids.get(&dataset).copied();
            let guid = guid.ok_or_else(|| {
                StepError::permanent(format!("dataset '{dataset}' has no snapshot of this job"))
            })?;
            Ok(Image {
                index,
                dataset,
                stem: stems[index].clone(),
                guid,
                attempt: AtomicU32::new(0),
                seen: AtomicU32::new(0),
                received: AtomicBool::new(false),
                restart: AtomicBool::new(false),
            })
        };
        travel_order(datasets).into_iter().map(image).collect()
    }

    fn hear(
        &self,
        images: &[Image],
        mut told: Vec<Told>,
        sending: &Sending<'_>,
        copying: &Copying<'_>,
        heard: &Receiver<News>,
    ) -> Result<Sent, StepError> {
        let mut sent_at = None;
        let mut copied_at = Duration::ZERO;
        let (mut is_away, mut looked_at, mut before) = (false, (self.elapsed)(), None);
        while !(self.interrupted)() {
            let is_last = sent_at.is_some() && copying.is_idle();
            let pause = if is_away { LOOK_IN_VAIN } else { [LOOK, LAST_LOOK][usize::from(is_last)] };
            match heard.recv_timeout((looked_at + pause).saturating_sub((self.elapsed)())) {
                // The target hears of it by itself, and says so in a moment.
                Ok(News::Copied) => {
                    copied_at = (self.elapsed)();
                    continue;
                }
                Ok(News::AllSent) => sent_at = Some((self.elapsed)()),
                Ok(News::Failed(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => (self.wait)(LOOK_IN_VAIN),
            }
            let said = self.said(before.as_ref());
            looked_at = (self.elapsed)();
            let (progress, verdict) = match said {
                Ok(said) => said,
                // What is cut short because somebody calls is no hindrance.
                Err(_) if (self.interrupted)() => break,
                Err(error) if error.kind == ErrorKind::Permanent => return Err(error),
                Err(error) => {
                    self.live.waiting(&self.way(), Some(&error.text));
                    copying.hinder(None, error);
                    is_away = true;
                    continue;
                }
            };
            copying.unhinder(None);
            is_away = false;
            if let Some(verdict) = verdict {
                return Ok(Sent::TargetFailed(Box::new(verdict)));
            }
            if let Some(error) = copying.hindered_by() {
                self.live.waiting(&self.way(), Some(&error.text));
            } else if let Some(what) = sending.held_back_by() {
                self.live.waiting(what, None);
            } else if let Some(why) = &progress.waiting {
                self.live.waiting(&format!("{} to receive", self.job.peer), Some(why));
            } else {
                self.live.moving();
            }
            for (i, (image, told)) in images.iter().zip(&mut told).enumerate() {
                if let Some(news) = image.told_by(&progress) {
                    image.seen.store(news.attempt, Ordering::Relaxed);
                    if image.is_received(&progress) {
                        self.received(image, told, sending, news.bytes);
                    } else {
                        self.heed(i, image, told, news, copying)?;
                    }
                }
            }
            if images.iter().all(|image| image.received.load(Ordering::Relaxed)) {
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

    /// An image is complete over there, by its guid.
    fn received(&self, image: &Image, told: &mut Told, sending: &Sending<'_>, bytes: Bytes) {
        // First: a part that is about to be copied is not missed then.
        image.received.store(true, Ordering::Relaxed);
        if !told.released {
            told.released = true;
            self.stage.release(&image.stem);
            sending.released();
            self.live.received(image.index, bytes, true);
        }
    }

    /// What the target says about an image that it has not yet: bytes, damaged parts, a new attempt that it
    /// wants.
    fn heed(
        &self,
        i: usize,
        image: &Image,
        told: &mut Told,
        news: &ImageProgress,
        copying: &Copying<'_>,
    ) -> Result<(), StepError> {
        self.live.received(image.index, news.bytes, false);
        let attempt = image.attempt.load(Ordering::Relaxed);
        // 0: the target could read no entry of the image yet, and complains of just that.
        if attempt == 0 || (news.attempt != 0 && news.attempt != attempt) {
            return Ok(());
        }
        if told.attempt != attempt {
            // What was complained of before this call is copied by it anyhow, where it is the same attempt.
            let complaints = std::mem::take(&mut told.before).filter(|before| before.attempt == attempt);
            *told = Told { attempt, complaints: complaints.unwrap_or_default().again, ..Told::default() };
        }
        // A target that was started anew counts from the beginning.
        told.complaints.retain(|number, _| news.again.contains_key(number));
        if news.restart && !told.restarted {
            told.restarted = true;
            image.restart.store(true, Ordering::Relaxed);
        }
        for (&number, &count) in &news.again {
            if count <= told.complaints.get(&number).copied().unwrap_or(0) {
                continue;
            }
            told.complaints.insert(number, count);
            let part = part_name(&image.stem, number);
            if count >= COMPLAINTS {
                return Err(StepError::permanent(format!("part {part} arrived damaged {count} times")));
            }
            // A number that was never staged is the peer's mistake.
            if self.stage.entry(&image.stem, number).is_some_and(|entry| entry.attempt == attempt) {
                self.live.note(&format!("part {part} arrived damaged, copying it again"));
                copying.add(Part { image: i, number }, There::No);
            }
        }
        Ok(())
    }

    /// The target's progress, and its verdict. One that still makes progress has given none.
    fn said(&self, before: Option<&Progress>) -> Result<(Progress, Option<Verdict>), StepError> {
        let progress = self.progress()?;
        let verdict = if before == Some(&progress) { self.verdict()? } else { None };
        Ok((progress, verdict))
    }

    fn verdict(&self) -> Result<Option<Verdict>, StepError> {
        Ok(self.get::<Verdict>()?.filter(|verdict| !verdict.ok))
    }

    fn progress(&self) -> Result<Progress, StepError> {
        // A damaged progress is put again soon.
        Ok(self.get()?.unwrap_or_default())
    }

    fn get<T: Message>(&self) -> Result<Option<T>, StepError> {
        let Some(bytes) = self.dropbox.get(T::NAME, MAX_MESSAGE)? else { return Ok(None) };
        message::heard(&self.job.id, &bytes).map_err(|error| StepError::transient(error.to_string()))
    }

    /// Something is in the way to the target: said once, until it works again.
    fn hindered(&self, error: &StepError) {
        let text = format!("{}: {error}; tried again until it works", self.way());
        self.live.note(&text);
        (self.deferred)(&text);
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

impl Image {
    fn is_received(&self, progress: &Progress) -> bool {
        self.told_by(progress).is_some_and(|told| told.guid == Some(self.guid))
    }

    fn told_by<'p>(&self, progress: &'p Progress) -> Option<&'p ImageProgress> {
        progress.images.get(self.dataset.as_str())
    }
}

/// What the target has said about an image in this call, and was heeded.
#[derive(Default)]
struct Told {
    /// The attempt that the rest is about.
    attempt: u32,
    complaints: BTreeMap<u32, u32>,
    restarted: bool,
    released: bool,
    /// What it had said when the call began.
    before: Option<ImageProgress>,
}

impl Told {
    fn before(news: Option<&ImageProgress>) -> Self {
        Self { before: news.cloned(), ..Self::default() }
    }
}
