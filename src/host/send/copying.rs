//! The copying threads: parts from the scratch into the dropbox, in the order in which they were staged, several at
//! once. A part that does not arrive is tried again until it does; meanwhile the others wait for their turn.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Image, News, Send};
use crate::host::StepError;
use crate::job::layout::{entry_name, part_name};
use crate::job::name::Bytes;
use crate::job::retry::{ErrorKind, back_off};

/// A zone is down meanwhile: the pauses do not grow beyond the sixth of [`back_off`], ten seconds.
const LONGEST_PAUSE: u32 = 6;

/// A staged part that is to be copied. The one that the target waits for first is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    /// In travel order.
    pub image: usize,
    /// Its number in the image.
    pub number: u32,
}

/// What is known of a part in the dropbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
    /// It is not there.
    No,
    /// It may be there, with its entry, from before a break.
    Perhaps,
    /// All its bytes are; whether it got its name is not known.
    Nameless,
    /// It is; its entry may be.
    Whole,
}

/// What is to be copied and what is being copied.
pub(super) struct Copying<'a> {
    send: &'a Send<'a>,
    images: &'a [Image],
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    parts: BTreeMap<Part, There>,
    under_way: BTreeSet<Part>,
    over: bool,
    /// Parts that did not arrive at the last try, and why; `None` is the target's word, which did not come.
    hindered: BTreeMap<Option<Part>, StepError>,
}

impl Queue {
    /// The first part that is not under way already: each has one writer.
    fn due(&self) -> Option<Part> {
        self.parts.keys().find(|part| !self.under_way.contains(part)).copied()
    }
}

impl<'a> Copying<'a> {
    pub fn new(send: &'a Send<'a>, images: &'a [Image]) -> Self {
        Self { send, images, queue: Mutex::default(), changed: Condvar::new() }
    }

    /// A part has been staged, or is wanted again.
    pub fn add(&self, part: Part, there: There) {
        self.lock().parts.insert(part, there);
        self.changed.notify_all();
    }

    /// Lets nothing of an image be under way any more: its parts are about to be staged anew under the same names.
    pub fn settle(&self, image: usize) {
        let mut queue = self.lock();
        queue.parts.retain(|part, _| part.image != image);
        let moves = |queue: &mut Queue| !queue.over && queue.under_way.iter().any(|part| part.image == image);
        drop(self.changed.wait_while(queue, moves));
    }

    /// Every thread is to come to its end.
    pub fn stop(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Whether everything that was staged has been copied.
    pub fn is_idle(&self) -> bool {
        let queue = self.lock();
        queue.parts.is_empty() && queue.under_way.is_empty()
    }

    /// Why something does not go through, while that is so.
    pub fn hindered_by(&self) -> Option<StepError> {
        self.lock().hindered.values().next_back().cloned()
    }

    /// A part did not arrive, or the target's word did not come: told once, until all goes through again.
    pub fn hinder(&self, what: Option<Part>, error: StepError) {
        let mut queue = self.lock();
        let is_first = queue.hindered.is_empty();
        queue.hindered.insert(what, error.clone());
        drop(queue);
        if is_first {
            self.send.hindered(&error);
        }
    }

    /// It came.
    pub fn unhinder(&self, what: Option<Part>) {
        self.lock().hindered.remove(&what);
    }

    /// One thread: copies until it is stopped.
    pub fn run(&self, tell: &Sender<News>) {
        while let Some((part, mut there)) = self.next() {
            let mut failures = 0;
            while let Err(error) = self.copy(part, &mut there) {
                // What is cut short because somebody calls is no hindrance.
                if self.is_over() || (self.send.interrupted)() {
                    return;
                }
                if error.kind == ErrorKind::Permanent {
                    drop(tell.send(News::Failed(error)));
                    return;
                }
                failures += 1;
                self.hinder(Some(part), error);
                self.pause(failures);
            }
            let mut queue = self.lock();
            queue.hindered.remove(&Some(part));
            queue.under_way.remove(&part);
            drop(queue);
            self.changed.notify_all();
            drop(tell.send(News::Copied));
        }
    }

    /// The pause after so many failures in a row, or until it is over.
    fn pause(&self, failures: u32) {
        let pause = back_off(failures.min(LONGEST_PAUSE));
        drop(self.changed.wait_timeout_while(self.lock(), pause, |queue| !queue.over));
    }

    fn next(&self) -> Option<(Part, There)> {
        let none = |queue: &mut Queue| !queue.over && queue.due().is_none();
        let waited = self.changed.wait_while(self.lock(), none);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        if queue.over {
            return None;
        }
        let next = queue.due().and_then(|part| queue.parts.remove_entry(&part))?;
        queue.under_way.insert(next.0);
        Some(next)
    }

    /// Copies a part and then its entry, which says that the part is there. What is there already, by `there`, is looked for and
    /// not copied again; on failure `there` says what may be.
    fn copy(&self, Part { image, number }: Part, there: &mut There) -> Result<(), StepError> {
        let image = &self.images[image];
        let Send { stage, dropbox, live, pace, .. } = self.send;
        let (part, name) = (part_name(&image.stem, number), entry_name(&image.stem, number));
        // Gone: its image is complete over there, or staged anew.
        let Some(entry) = stage.entry(&image.stem, number) else { return Ok(()) };
        if image.received.load(Ordering::Relaxed) {
            return Ok(());
        }
        let whole = entry.digest.bytes;
        if *there != There::No && dropbox.holds(&name)? {
            live.copied(image.index, Bytes(whole));
            return Ok(());
        }
        if *there == There::Nameless {
            *there = if dropbox.has_named(&part)? { There::Whole } else { There::No };
        }
        let copied = Cell::new(0);
        let told = |bytes: u64| {
            copied.set(copied.get() + bytes);
            live.copied(image.index, Bytes(bytes));
        };
        let may = |bytes: u64| pace(Bytes(bytes), &|| self.is_over());
        let put = if *there == There::Whole {
            told(whole);
            Ok(())
        } else {
            let put = dropbox.put_part(&part, &stage.part(&image.stem, number), &may, &told);
            *there = match &put {
                Ok(_) => There::Whole,
                // Only its name, or the word that it has it, was lost.
                Err(error) if error.is_unreachable() && copied.get() == whole => There::Nameless,
                Err(_) => There::No,
            };
            put.map(drop)
        };
        let bytes = serde_json::to_vec(&entry).map_err(|e| StepError::permanent(e.to_string()))?;
        put.and_then(|()| dropbox.put_entry(&name, &bytes)).map_err(|error| {
            live.not_copied(image.index, Bytes(copied.get()));
            error.into()
        })
    }

    fn is_over(&self) -> bool {
        self.lock().over
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
