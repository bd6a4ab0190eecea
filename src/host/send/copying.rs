//! The copying threads: parts from the scratch into the dropbox, in the order in which they were staged, several at
//! once. A part that does not arrive is tried again until it does; meanwhile the others wait for their turn.

use std::cell::Cell;
use std::collections::VecDeque;
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

/// A staged part that is to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// In travel order.
    pub image: usize,
    /// Its number in the image.
    pub number: u32,
    /// It may be there already, from before a break: look first.
    pub look: bool,
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
    parts: VecDeque<Part>,
    under_way: Vec<Part>,
    over: bool,
    /// Parts that did not arrive at the last try, and why.
    hindered: Vec<(Part, StepError)>,
}

impl Part {
    fn is_same(self, other: Part) -> bool {
        (self.image, self.number) == (other.image, other.number)
    }
}

impl Queue {
    /// The first part that is not under way already: each has one writer.
    fn due(&self) -> Option<usize> {
        self.parts.iter().position(|part| !self.under_way.iter().any(|other| other.is_same(*part)))
    }
}

impl<'a> Copying<'a> {
    pub fn new(send: &'a Send<'a>, images: &'a [Image]) -> Self {
        Self { send, images, queue: Mutex::default(), changed: Condvar::new() }
    }

    /// A part has been staged.
    pub fn add(&self, part: Part) {
        let mut queue = self.lock();
        queue.parts.retain(|other| !other.is_same(part));
        queue.parts.push_back(part);
        drop(queue);
        self.changed.notify_all();
    }

    /// A part is wanted again: the target waits for it, so it comes first.
    pub fn again(&self, part: Part) {
        let mut queue = self.lock();
        queue.parts.retain(|other| !other.is_same(part));
        queue.parts.push_front(part);
        drop(queue);
        self.changed.notify_all();
    }

    /// Lets nothing of an image be under way any more: its parts are about to be staged anew under the same names.
    pub fn settle(&self, image: usize) {
        let mut queue = self.lock();
        queue.parts.retain(|part| part.image != image);
        let moves = |queue: &mut Queue| !queue.over && queue.under_way.iter().any(|part| part.image == image);
        drop(self.changed.wait_while(queue, moves));
    }

    /// Every thread is to come to its end.
    pub fn stop(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Why a part does not arrive, while that is so.
    pub fn hindered_by(&self) -> Option<StepError> {
        self.lock().hindered.last().map(|(_, error)| error.clone())
    }

    /// A part did not arrive; `true` when until now all did.
    fn hinder(&self, part: Part, error: StepError) -> bool {
        let mut queue = self.lock();
        let first = queue.hindered.is_empty();
        queue.hindered.retain(|(other, _)| !other.is_same(part));
        queue.hindered.push((part, error));
        first
    }

    /// One thread: copies until it is stopped.
    pub fn run(&self, tell: &Sender<News>) {
        while let Some(part) = self.next() {
            let mut failures = 0;
            while let Err(error) = self.copy(part) {
                if self.is_over() {
                    return;
                }
                if error.kind == ErrorKind::Permanent {
                    drop(tell.send(News::Failed(error)));
                    return;
                }
                failures += 1;
                if self.hinder(part, error.clone()) {
                    self.send.hindered(&error);
                }
                self.pause(failures);
            }
            let mut queue = self.lock();
            queue.hindered.retain(|(other, _)| !other.is_same(part));
            queue.under_way.retain(|other| !other.is_same(part));
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

    fn next(&self) -> Option<Part> {
        let none = |queue: &mut Queue| !queue.over && queue.due().is_none();
        let waited = self.changed.wait_while(self.lock(), none);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        if queue.over {
            return None;
        }
        let part = queue.due().and_then(|at| queue.parts.remove(at))?;
        queue.under_way.push(part);
        Some(part)
    }

    /// Copies a part and then its entry: the entry says that the part is there.
    fn copy(&self, Part { image, number, look }: Part) -> Result<(), StepError> {
        let image = &self.images[image];
        let Send { stage, dropbox, live, pace, .. } = self.send;
        let name = entry_name(&image.stem, number);
        // Gone: its image is complete over there, or staged anew.
        let Some(entry) = stage.entry(&image.stem, number) else { return Ok(()) };
        if image.received.load(Ordering::Relaxed) {
            return Ok(());
        }
        if look && dropbox.holds(&name)? {
            live.copied(image.index, Bytes(entry.digest.bytes));
            return Ok(());
        }
        let copied = Cell::new(0);
        let told = |bytes: u64| {
            copied.set(copied.get() + bytes);
            live.copied(image.index, Bytes(bytes));
            pace(Bytes(bytes), &|| self.is_over())
        };
        let bytes = serde_json::to_vec(&entry).map_err(|e| StepError::permanent(e.to_string()))?;
        let part = part_name(&image.stem, number);
        let put = dropbox.put_part(&part, &stage.part(&image.stem, number), &told);
        put.and_then(|_| dropbox.put_entry(&name, &bytes)).map_err(|error| {
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
