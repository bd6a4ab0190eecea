//! The sending thread: `zfs send` of image after image into parts on the scratch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::copying::{Copying, Part, There};
use super::{Image, News, Send};
use crate::cmd::zfs::Zfs;
use crate::host::StepError;
use crate::host::stage::Parts;
use crate::job::message::{ENTRY_VERSION, Entry};
use crate::job::name::Bytes;
use crate::process::Killer;

/// Sendings of one image in one call before its stream is taken for unreceivable.
const SENDINGS: u32 = 3;
/// Attempts of one snapshot count up from here times its generation: those of a later snapshot are higher.
const GENERATION: u32 = 1000;
/// Between two looks whether there is room, or an image wanted anew.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread's side of it.
pub(super) struct Sending<'a> {
    send: &'a Send<'a>,
    images: &'a [Image],
    copying: &'a Copying<'a>,
    stop: AtomicBool,
    running: Mutex<Killer>,
    /// Bytes on the scratch.
    staged: AtomicU64,
    held_back: AtomicBool,
}

/// How sending one image went.
enum Finish {
    Whole,
    /// The stream is another one than that of the staged entries.
    Differs,
    Stopped,
}

impl<'a> Sending<'a> {
    pub fn new(send: &'a Send<'a>, images: &'a [Image], copying: &'a Copying<'a>) -> Self {
        Self {
            send,
            images,
            copying,
            stop: AtomicBool::new(false),
            running: Mutex::new(Killer::default()),
            staged: AtomicU64::new(send.stage.used().0),
            held_back: AtomicBool::new(false),
        }
    }

    /// Ends the thread, and the `zfs send` that it waits for.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.running.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }

    /// Parts have left the scratch.
    pub fn released(&self) {
        self.staged.store(self.send.stage.used().0, Ordering::Relaxed);
    }

    /// What the sending waits for, while it does.
    pub fn held_back_by(&self) -> Option<&'static str> {
        let text = "room on the scratch: parts leave it as the target receives them";
        self.held_back.load(Ordering::Relaxed).then_some(text)
    }

    /// Sends all images, and those that are wanted anew, until it is stopped.
    pub fn run(&self, tell: &Sender<News>) {
        let mut sendings = vec![0u32; self.images.len()];
        let mut told = false;
        while !self.is_stopping() {
            for (i, image) in self.images.iter().enumerate() {
                let anew = image.restart.swap(false, Ordering::Relaxed);
                if image.received.load(Ordering::Relaxed) || (sendings[i] > 0 && !anew) {
                    continue;
                }
                sendings[i] += 1;
                told = false;
                let result = if sendings[i] > SENDINGS {
                    let text = format!(
                        "{} can't receive {}: it asked for it {SENDINGS} times",
                        self.send.job.peer, image.stem
                    );
                    Err(StepError::permanent(text))
                } else {
                    self.image(i, image, anew)
                };
                if self.is_stopping() {
                    return;
                }
                if let Err(error) = result {
                    drop(tell.send(News::Failed(error)));
                    return;
                }
            }
            if !told && tell.send(News::AllSent).is_err() {
                return;
            }
            told = true;
            // A restart may still be asked for.
            (self.send.wait)(PAUSE);
        }
    }

    fn image(&self, i: usize, image: &Image, anew: bool) -> Result<(), StepError> {
        let Send { stage, live, job, .. } = self.send;
        let known = stage.entry(&image.stem, 0).filter(|entry| entry.guid == image.guid);
        // Where the staged entries are gone, the target still knows how far the attempts had come.
        let fresh = || (job.generation * GENERATION).max(image.seen.load(Ordering::Relaxed) + 1);
        let mut attempt = known.as_ref().map_or_else(fresh, |entry| entry.attempt);
        if anew {
            attempt = attempt.max(image.seen.load(Ordering::Relaxed)) + 1;
            self.settle(i, image);
        }
        if anew || known.is_none() {
            stage.forget(&image.stem);
        } else if stage.is_whole(&image.stem, image.guid) {
            // Everything is on the scratch: what did not arrive is copied, nothing is sent again.
            image.attempt.store(attempt, Ordering::Relaxed);
            live.sending(image.index);
            for entry in stage.entries(&image.stem) {
                live.sent(image.index, Bytes(entry.digest.bytes), entry.last);
                self.copying.add(Part { image: i, number: entry.number }, There::Perhaps);
            }
            return Ok(());
        }
        if let Finish::Differs = self.stream(i, image, attempt)? {
            live.note(&format!("{} differs from what was sent before: a new attempt", image.stem));
            self.settle(i, image);
            stage.forget(&image.stem);
            self.stream(i, image, attempt + 1)?;
        }
        Ok(())
    }

    /// Nothing of the image is under way any more, and no complaint about the attempt that ends is heeded.
    fn settle(&self, i: usize, image: &Image) {
        image.attempt.store(0, Ordering::Relaxed);
        self.copying.settle(i);
    }

    /// Runs `zfs send` and stages its parts. Those that equal what was staged of this attempt before keep their
    /// place in the dropbox.
    fn stream(&self, i: usize, image: &Image, attempt: u32) -> Result<Finish, StepError> {
        let send = self.send;
        image.attempt.store(attempt, Ordering::Relaxed);
        let mut child =
            Some(Zfs::new(send.programs).send(&image.dataset, &send.job.snapshot, None, send.wire)?);
        let Some(stdout) = child.as_mut().and_then(|c| c.take_stdout()) else { return Ok(Finish::Stopped) };
        if let Some(child) = &child {
            *self.running.lock().unwrap_or_else(PoisonError::into_inner) = child.killer();
        }
        // A stop that came before killed the one before it.
        if self.is_stopping() {
            return Ok(Finish::Stopped);
        }
        send.live.sending(image.index);
        let mut parts = Parts::new(stdout, send.job.part).map_err(|e| send.stage.error(&e))?;
        for number in 0.. {
            self.hold_back();
            if self.is_stopping() {
                return Ok(Finish::Stopped);
            }
            let told = |bytes| send.live.sent(image.index, Bytes(bytes), false);
            let part = parts.next(&send.stage.part(&image.stem, number), told);
            let Some((digest, last)) = part.map_err(|e| send.stage.error(&e))? else { break };
            self.staged.fetch_add(digest.bytes, Ordering::Relaxed);
            if last && let Some(child) = child.take() {
                // A stream is whole when `zfs send` says so: a cut one may end anywhere.
                if let Err(error) = child.wait_ok() {
                    return if self.is_stopping() { Ok(Finish::Stopped) } else { Err(error.into()) };
                }
                send.live.sent(image.index, Bytes(0), true);
            }
            let entry = Entry {
                v: ENTRY_VERSION,
                dataset: image.dataset.clone(),
                snapshot: send.job.snapshot.clone(),
                from: None,
                guid: image.guid,
                attempt,
                number,
                last,
                digest,
            };
            let before = send.stage.entry(&image.stem, number);
            let there = match &before {
                Some(before) if before == &entry => There::Perhaps,
                Some(_) => return Ok(Finish::Differs),
                None => There::No,
            };
            send.stage.put_entry(&image.stem, &entry)?;
            self.copying.add(Part { image: i, number }, there);
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
            let held = staged > 0 && staged + part > self.send.share.0 && !self.is_stopping();
            self.held_back.store(held, Ordering::Relaxed);
            if !held {
                return;
            }
            (self.send.wait)(PAUSE);
        }
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
