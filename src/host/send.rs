//! Source: `zfs send ∥ copy`. One thread sends image after image into parts on the scratch; the other copies
//! each part as soon as it is whole, and hears from the target what has arrived, what is damaged, and what
//! has been received.
//!
//! Guarantees: a part is copied before its entry; a part that reached the target whole is not copied again
//! after a break; nothing of an image is held in memory but one chunk. On failure everything stays where
//! it is, and the next call goes on from there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::StepError;
use super::live::Live;
use super::stage::{Parts, Stage};
use crate::cmd::zfs::Zfs;
use crate::cmd::{Killer, Programs};
use crate::job::layout::{entry_name, part_name, stems, travel_order};
use crate::job::message::{self, Entry, MAX_MESSAGE, Message, Progress, VERSION, Verdict};
use crate::job::name::{Bytes, DatasetName, Guid};
use crate::job::record::Job;
use crate::transport::directory::Directory;

/// How long the copying thread waits for the next part before it hears the target again.
const LOOK: Duration = Duration::from_millis(200);
/// Complaints about one part before it is the way, or a disk, that is broken and not the part.
const COMPLAINTS: u32 = 5;
/// Sendings of one image in one call before its stream is taken for unreceivable.
const SENDINGS: u32 = 3;
/// Attempts of one snapshot count up from here times its generation: those of a later snapshot are higher.
const GENERATION: u32 = 1000;

/// What sending needs to know.
pub struct Send<'a> {
    /// Where `zfs` is found.
    pub programs: &'a Programs,
    /// The job, in phase `Send`.
    pub job: &'a Job,
    /// Where parts are staged.
    pub stage: &'a Stage,
    /// So many bytes of this job may lie there.
    pub share: Bytes,
    /// The target's dropbox.
    pub dropbox: &'a Directory,
    /// Progress, for people.
    pub live: &'a Live,
    /// Waits until the target may have answered, at most so long.
    pub wait: &'a (dyn Fn(Duration) + Sync),
    /// Is the job to stop at once: an operator, a deadline, the daemon's end?
    pub interrupted: &'a (dyn Fn() -> bool + Sync),
    /// Time since this call began.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
}

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
    received: AtomicBool,
    /// The target asks for a new attempt.
    restart: AtomicBool,
}

/// What the sending thread tells the copying one.
enum News {
    /// A part is staged; `there`: it has been copied before.
    Part {
        image: usize,
        entry: Entry,
        there: bool,
    },
    /// All images have been sent (once more).
    AllSent,
    Failed(StepError),
}

impl Send<'_> {
    /// Sends, copies, and waits until all is received.
    ///
    /// # Errors
    /// Transient when the dropbox, the scratch or `zfs` failed in a way that may pass.
    pub fn run(&self) -> Result<Sent, StepError> {
        self.stage.make()?;
        let images = self.images()?;
        // What the target has received already needs no second sending.
        let progress = self.progress()?;
        for image in &images {
            image.received.store(image.is_received(&progress), Ordering::Relaxed);
        }
        let sending = Sending {
            send: self,
            images: &images,
            stop: AtomicBool::new(false),
            running: Mutex::new(Killer::default()),
            staged: AtomicU64::new(self.stage.used().0),
        };
        let (tell, heard) = mpsc::sync_channel(2);
        std::thread::scope(|scope| {
            let sending = &sending;
            scope.spawn(move || sending.run(&tell));
            let result = self.copy(sending, &heard);
            // Whatever ended the copying ends the sending: by the flag, the child's end, the channel's.
            sending.stop.store(true, Ordering::Relaxed);
            sending.running.lock().unwrap_or_else(PoisonError::into_inner).kill();
            drop(heard);
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
            let (received, restart) = (AtomicBool::new(false), AtomicBool::new(false));
            Ok(Image { index, dataset, stem: stems[index].clone(), guid, received, restart })
        };
        travel_order(datasets).into_iter().map(image).collect()
    }

    fn copy(&self, sending: &Sending<'_>, heard: &Receiver<News>) -> Result<Sent, StepError> {
        let images = sending.images;
        let mut copied: Vec<Copied> = images.iter().map(|_| Copied::default()).collect();
        let mut sent_at = None;
        let mut copied_at = Duration::ZERO;
        while !(self.interrupted)() {
            match heard.recv_timeout(LOOK) {
                Ok(News::Part { image, entry, there }) => {
                    self.put(&images[image], &entry, there)?;
                    copied_at = (self.elapsed)();
                    copied[image].take(entry);
                }
                Ok(News::AllSent) => sent_at = Some((self.elapsed)()),
                Ok(News::Failed(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => (self.wait)(Duration::from_secs(1)),
            }
            if let Some(verdict) = self.verdict()? {
                return Ok(Sent::TargetFailed(Box::new(verdict)));
            }
            let progress = self.progress()?;
            self.live.waiting(progress.waiting.as_deref());
            for (image, copied) in images.iter().zip(&mut copied) {
                self.heed(sending, image, copied, &progress)?;
            }
            if images.iter().all(|image| image.received.load(Ordering::Relaxed)) {
                let now = (self.elapsed)();
                let seconds = |d: Duration| d.as_secs_f64().round() as u64;
                let took = [("send", sent_at.unwrap_or(now)), ("copy", copied_at), ("receive", now)];
                let took = took.map(|(what, d)| (what.to_owned(), seconds(d))).into();
                let (bytes, entries) = self.account(images);
                return Ok(Sent::Delivered { bytes, entries, took });
            }
        }
        Ok(Sent::Interrupted)
    }

    /// Copies a part and then its entry: the entry says that the part is there.
    fn put(&self, image: &Image, entry: &Entry, there: bool) -> Result<(), StepError> {
        if !there {
            let part = part_name(&image.stem, entry.number);
            self.dropbox.put_part(&part, &self.stage.part(&image.stem, entry.number))?;
            let bytes = serde_json::to_vec(entry).map_err(|e| StepError::permanent(e.to_string()))?;
            self.dropbox.put_entry(&entry_name(&image.stem, entry.number), &bytes)?;
        }
        self.live.copied(image.index, Bytes(entry.digest.bytes));
        Ok(())
    }

    /// What the target says about an image: received, damaged, or to be sent anew.
    fn heed(
        &self,
        sending: &Sending<'_>,
        image: &Image,
        copied: &mut Copied,
        progress: &Progress,
    ) -> Result<(), StepError> {
        let Some(told) = progress.images.get(image.dataset.as_str()) else { return Ok(()) };
        if image.is_received(progress) {
            if !copied.released {
                copied.released = true;
                self.stage.release(&image.stem);
                sending.staged.store(self.stage.used().0, Ordering::Relaxed);
                self.live.received(image.index, told.bytes, true);
            }
            image.received.store(true, Ordering::Relaxed);
            return Ok(());
        }
        self.live.received(image.index, told.bytes, false);
        // 0: the target could read no entry of the image yet, and complains of just that.
        let known = told.attempt != 0;
        if copied.entries.first().is_none_or(|first| known && first.attempt != told.attempt) {
            return Ok(());
        }
        // A target that was started anew counts from the beginning.
        copied.complaints.retain(|number, _| told.again.contains_key(number));
        if told.restart && !copied.restarted {
            copied.restarted = true;
            image.restart.store(true, Ordering::Relaxed);
        }
        for (&number, &count) in &told.again {
            if count <= copied.complaints.get(&number).copied().unwrap_or(0) {
                continue;
            }
            copied.complaints.insert(number, count);
            let part = part_name(&image.stem, number);
            if count >= COMPLAINTS {
                return Err(StepError::permanent(format!("part {part} arrived damaged {count} times")));
            }
            if let Some(entry) = copied.entries.get(number as usize) {
                self.live.note(&format!("part {part} arrived damaged, copying it again"));
                self.put(image, entry, false)?;
            }
        }
        Ok(())
    }

    fn verdict(&self) -> Result<Option<Verdict>, StepError> {
        let Some(bytes) = self.dropbox.get(Verdict::NAME, MAX_MESSAGE)? else { return Ok(None) };
        Ok(message::open::<Verdict>(&self.job.id, &bytes).ok().filter(|verdict| !verdict.ok))
    }

    fn progress(&self) -> Result<Progress, StepError> {
        let bytes = self.dropbox.get(Progress::NAME, MAX_MESSAGE)?;
        // A damaged progress is put again soon.
        Ok(bytes.and_then(|b| message::open(&self.job.id, &b).ok()).unwrap_or_default())
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
        progress.images.get(self.dataset.as_str()).is_some_and(|told| told.guid == Some(self.guid))
    }
}

/// What has been copied of an image in this call.
#[derive(Default)]
struct Copied {
    entries: Vec<Entry>,
    complaints: BTreeMap<u32, u32>,
    released: bool,
    restarted: bool,
}

impl Copied {
    fn take(&mut self, entry: Entry) {
        if self.entries.first().is_some_and(|first| first.attempt != entry.attempt) {
            *self = Copied::default();
        }
        self.entries.push(entry);
    }
}

/// The sending thread's side.
struct Sending<'a> {
    send: &'a Send<'a>,
    images: &'a [Image],
    stop: AtomicBool,
    running: Mutex<Killer>,
    /// Bytes on the scratch.
    staged: AtomicU64,
}

/// How sending one image went.
enum Finish {
    Whole,
    /// The stream is another one than that of the staged entries.
    Differs,
    Stopped,
}

impl Sending<'_> {
    fn run(&self, tell: &SyncSender<News>) {
        let mut sendings = vec![0u32; self.images.len()];
        loop {
            for (i, image) in self.images.iter().enumerate() {
                let anew = image.restart.swap(false, Ordering::Relaxed);
                if image.received.load(Ordering::Relaxed) || (sendings[i] > 0 && !anew) {
                    continue;
                }
                sendings[i] += 1;
                let result = if sendings[i] > SENDINGS {
                    let text = format!(
                        "{} can't receive {}: it asked for it {SENDINGS} times",
                        self.send.job.peer, image.stem
                    );
                    Err(StepError::permanent(text))
                } else {
                    self.image(i, image, anew, tell)
                };
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                if let Err(error) = result {
                    drop(tell.send(News::Failed(error)));
                    return;
                }
            }
            if self.stop.load(Ordering::Relaxed) || tell.send(News::AllSent).is_err() {
                return;
            }
            // A restart may still be asked for.
            (self.send.wait)(Duration::from_secs(1));
        }
    }

    fn image(&self, i: usize, image: &Image, anew: bool, tell: &SyncSender<News>) -> Result<(), StepError> {
        let stage = self.send.stage;
        let first = self.send.job.generation * GENERATION;
        let mut old = stage.entries(&image.stem);
        old.retain(|entry| entry.guid == image.guid);
        let mut attempt = old.first().map_or(first, |entry| entry.attempt);
        if anew {
            attempt += 1;
            old.clear();
            stage.forget(&image.stem);
        } else if stage.is_whole(&image.stem, &old) {
            // Everything is on the scratch: what did not arrive is copied, nothing is sent again.
            self.send.live.sending(image.index);
            for entry in old {
                let there = self.send.dropbox.holds(&entry_name(&image.stem, entry.number))?;
                self.send.live.sent(image.index, Bytes(entry.digest.bytes), entry.last);
                if tell.send(News::Part { image: i, entry, there }).is_err() {
                    break;
                }
            }
            return Ok(());
        }
        if let Finish::Differs = self.stream(i, image, attempt, &old, tell)? {
            self.send.live.note(&format!("{} differs from what was sent before: a new attempt", image.stem));
            stage.forget(&image.stem);
            self.stream(i, image, attempt + 1, &[], tell)?;
        }
        Ok(())
    }

    /// Runs `zfs send` and stages its parts. Those that equal `old` keep their place in the dropbox.
    fn stream(
        &self,
        i: usize,
        image: &Image,
        attempt: u32,
        old: &[Entry],
        tell: &SyncSender<News>,
    ) -> Result<Finish, StepError> {
        let send = self.send;
        let mut child = Some(Zfs::new(send.programs).send(&image.dataset, &send.job.snapshot, None)?);
        let Some(stdout) = child.as_mut().and_then(|c| c.take_stdout()) else { return Ok(Finish::Stopped) };
        if let Some(child) = &child {
            *self.running.lock().unwrap_or_else(PoisonError::into_inner) = child.killer();
        }
        send.live.sending(image.index);
        let mut parts = Parts::new(stdout, send.job.part).map_err(|e| send.stage.error(&e))?;
        for number in 0.. {
            self.hold_back();
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Finish::Stopped);
            }
            let told = |bytes| send.live.sent(image.index, Bytes(bytes), false);
            let part = parts.next(&send.stage.part(&image.stem, number), told);
            let Some((digest, last)) = part.map_err(|e| send.stage.error(&e))? else { break };
            self.staged.fetch_add(digest.bytes, Ordering::Relaxed);
            if last && let Some(child) = child.take() {
                // A stream is whole when `zfs send` says so: a cut one may end anywhere.
                if let Err(error) = child.wait_ok() {
                    return if self.stop.load(Ordering::Relaxed) {
                        Ok(Finish::Stopped)
                    } else {
                        Err(error.into())
                    };
                }
                send.live.sent(image.index, Bytes(0), true);
            }
            let entry = Entry {
                v: VERSION,
                dataset: image.dataset.clone(),
                snapshot: send.job.snapshot.clone(),
                from: None,
                guid: image.guid,
                attempt,
                number,
                last,
                digest,
            };
            let mut there = false;
            if let Some(before) = old.get(number as usize) {
                if *before != entry {
                    return Ok(Finish::Differs);
                }
                there = send.dropbox.holds(&entry_name(&image.stem, number))?;
            }
            send.stage.put_entry(&image.stem, &entry)?;
            if tell.send(News::Part { image: i, entry, there }).is_err() {
                return Ok(Finish::Stopped);
            }
        }
        match child {
            None => Ok(Finish::Whole),
            Some(child) => {
                child.wait_ok()?;
                Err(StepError::transient(format!("zfs send of {} gave no stream", image.stem)))
            }
        }
    }

    /// Waits while the scratch holds as much as this job may have: the target's receiving frees it.
    fn hold_back(&self) {
        let part = self.send.job.part.0;
        loop {
            let staged = self.staged.load(Ordering::Relaxed);
            if staged == 0 || staged + part <= self.send.share.0 || self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.send.live.waiting(Some("room on the scratch: parts leave it as the target receives them"));
            (self.send.wait)(Duration::from_secs(1));
        }
    }
}
