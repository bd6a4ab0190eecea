//! The machine that decides, shared by the threads that carry out its orders.
//!
//! Each thread waits here until the machine has an order for it, and wakes the others when it has told
//! the machine something new. Nothing is decided here.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::host::StepError;
use crate::job::transfer::source::{Fault, Part, Room, Send, Source, There};
use crate::process::Killer;

/// What the threads share.
pub(super) struct Orders {
    shared: Mutex<Shared>,
    changed: Condvar,
}

struct Shared {
    source: Source,
    over: bool,
    /// The `zfs send` that runs.
    running: Killer,
    /// The sending waits for room on the scratch.
    waits_for_room: bool,
    /// Parts that did not arrive at the last try, and why; `None`: the target's report could not be read.
    hindrances: BTreeMap<Option<Part>, StepError>,
    /// Why a thread has ended.
    failed: Option<StepError>,
    /// A part arrived since the last [`Orders::news`].
    has_copied: bool,
}

/// What happened since it was last asked.
pub(super) struct News {
    /// Why a thread has ended.
    pub failed: Option<StepError>,
    /// A part was copied.
    pub copied: bool,
    /// Every image is sent.
    pub sent: bool,
    /// Every staged part is copied.
    pub idle: bool,
}

impl Orders {
    pub fn new(source: Source) -> Self {
        let shared = Shared {
            source,
            over: false,
            running: Killer::default(),
            waits_for_room: false,
            hindrances: BTreeMap::new(),
            failed: None,
            has_copied: false,
        };
        Self { shared: Mutex::new(shared), changed: Condvar::new() }
    }

    /// Tells the machine something, and wakes the threads.
    pub fn tell<T>(&self, event: impl FnOnce(&mut Source) -> T) -> T {
        let result = event(&mut self.lock().source);
        self.changed.notify_all();
        result
    }

    /// Asks the machine something.
    pub fn ask<T>(&self, question: impl FnOnce(&Source) -> T) -> T {
        question(&self.lock().source)
    }

    /// The next image to send; `None` when all is over.
    pub fn next_send(&self) -> Result<Option<Send>, Fault> {
        self.wait(|shared| shared.source.send().transpose()).transpose()
    }

    /// The next part to copy; `None` when all is over.
    pub fn next_copy(&self) -> Option<(Part, There)> {
        self.wait(|shared| shared.source.copy())
    }

    /// Waits for room for the next part of the image; `false` if nobody wants it.
    pub fn has_room(&self, image: usize) -> bool {
        let room = self.wait(|shared| {
            let room = shared.source.room(image);
            shared.waits_for_room = room == Room::Full;
            (room != Room::Full).then_some(room)
        });
        room == Some(Room::Go)
    }

    /// Waits until `order` gives one; `None` when all is over.
    fn wait<T>(&self, mut order: impl FnMut(&mut Shared) -> Option<T>) -> Option<T> {
        let mut shared = self.lock();
        while !shared.over {
            if let Some(order) = order(&mut shared) {
                return Some(order);
            }
            shared = self.changed.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// The `zfs send` that is to be ended with the threads.
    pub fn running(&self, child: Killer) {
        let mut shared = self.lock();
        if shared.over {
            child.kill();
        }
        shared.running = child;
    }

    /// Ends all threads, and the `zfs send` that one of them waits for.
    pub fn stop(&self) {
        let mut shared = self.lock();
        shared.over = true;
        shared.running.kill();
        self.changed.notify_all();
    }

    pub fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Whether the sending waits for room on the scratch.
    pub fn waits_for_room(&self) -> bool {
        self.lock().waits_for_room
    }

    /// A part is in the dropbox, or no longer wanted there.
    pub fn copied(&self, part: Part) {
        let mut shared = self.lock();
        shared.hindrances.remove(&Some(part));
        shared.source.copied(part);
        shared.has_copied = true;
        self.changed.notify_all();
    }

    /// A part that was copied is no longer in the dropbox.
    pub fn missing(&self, part: Part) {
        let mut shared = self.lock();
        shared.hindrances.remove(&Some(part));
        shared.source.missing(part);
        self.changed.notify_all();
    }

    /// Something did not get through; `true` if everything had got through before.
    pub fn hinder(&self, what: Option<Part>, error: &StepError) -> bool {
        let hindrances = &mut self.lock().hindrances;
        let is_first = hindrances.is_empty();
        hindrances.insert(what, error.clone());
        is_first
    }

    /// The target's report could be read.
    pub fn unhinder(&self) {
        self.lock().hindrances.remove(&None);
    }

    /// Why something does not get through, while that is so.
    pub fn hindrance(&self) -> Option<StepError> {
        self.lock().hindrances.values().next_back().cloned()
    }

    /// A thread has ended because of this.
    pub fn fail(&self, error: StepError) {
        self.lock().failed.get_or_insert(error);
        self.changed.notify_all();
    }

    /// Waits at most this long, unless all is over.
    pub fn pause(&self, at_most: Duration) {
        drop(self.changed.wait_timeout_while(self.lock(), at_most, |shared| !shared.over));
    }

    /// Waits at most this long for news: a thread failed, a part was copied, or it changed whether all
    /// is sent.
    pub fn news(&self, sent: bool, at_most: Duration) -> News {
        let none = |shared: &mut Shared| {
            shared.failed.is_none() && !shared.has_copied && shared.source.is_sent() == sent
        };
        let waited = self.changed.wait_timeout_while(self.lock(), at_most, none);
        let mut shared = waited.unwrap_or_else(PoisonError::into_inner).0;
        News {
            failed: shared.failed.take(),
            copied: std::mem::take(&mut shared.has_copied),
            sent: shared.source.is_sent(),
            idle: shared.source.is_idle(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
