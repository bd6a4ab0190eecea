//! What a job is doing right now, shared between the threads that do it and the one that writes it down for
//! people. Nothing here decides anything.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::job::image::Image;
use crate::job::name::Bytes;
use crate::job::status::ImageStatus;
use crate::job::survey::Dataset;

/// Where notes go.
type Notes = Box<dyn Fn(&str) + Send + Sync>;

/// The wall clock, which is the daemon's to read.
type Clock = fn() -> DateTime<Utc>;

/// One job's liveliness.
#[derive(Default)]
pub struct Live {
    state: Mutex<State>,
    log: Option<Notes>,
    clock: Option<Clock>,
}

/// What there is to show.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// What is waited for.
    pub waiting: Option<Waiting>,
    /// In the order in which they travel.
    pub images: Vec<ImageStatus>,
}

/// What a job waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// In words: `zhost2 to answer the offer`.
    pub what: String,
    /// What is known of why, which may change while it waits for the same.
    pub why: Option<String>,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.why {
            Some(why) => write!(f, "{}: {why}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl Live {
    /// Notes go to the job's log by `log`.
    pub fn new(log: impl Fn(&str) + Send + Sync + 'static, clock: Clock) -> Self {
        Self { state: Mutex::default(), log: Some(Box::new(log)), clock: Some(clock) }
    }

    /// What there is to show now.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// The images that will travel. Numbers that are already known stay.
    pub fn plan(&self, images: &[Image], datasets: &[Dataset]) {
        let mut state = self.lock();
        let same = |(a, b): (&ImageStatus, &Image)| a.dataset == b.dataset.as_str();
        if state.images.len() == images.len() && state.images.iter().zip(images).all(same) {
            return;
        }
        let status = |image: &Image| {
            let size = datasets.get(image.index).map_or(Bytes(0), Dataset::estimate);
            ImageStatus { dataset: image.dataset.to_string(), size, ..ImageStatus::default() }
        };
        state.images = images.iter().map(status).collect();
    }

    /// The job waits for this; as long as it is the same, since the first time that it was said.
    pub fn waiting(&self, what: &str, why: Option<&str>) {
        let mut state = self.lock();
        let before = state.waiting.take().filter(|before| before.what == what);
        let since = before.map_or_else(|| self.clock.map(|clock| clock()), |before| before.since);
        state.waiting = Some(Waiting { what: what.to_owned(), why: why.map(str::to_owned), since });
    }

    /// The job no longer waits.
    pub fn moving(&self) {
        self.lock().waiting = None;
    }

    /// An image is sent from its beginning.
    pub fn sending(&self, image: usize) {
        self.image(image, |image| (image.sent, image.copied) = (Bytes(0), Bytes(0)));
    }

    /// So many more bytes came out of `zfs send`.
    pub fn sent(&self, image: usize, more: Bytes, whole: bool) {
        self.image(image, |image| {
            image.sent.0 += more.0;
            image.size.0 = if whole { image.sent.0 } else { image.size.0.max(image.sent.0) };
        });
    }

    /// So many more bytes are in the dropbox.
    pub fn copied(&self, image: usize, more: Bytes) {
        self.image(image, |image| image.copied.0 = (image.copied.0 + more.0).min(image.size.0));
    }

    /// So many of them are not, after all: the part did not arrive.
    pub fn not_copied(&self, image: usize, less: Bytes) {
        self.image(image, |image| image.copied.0 = image.copied.0.saturating_sub(less.0));
    }

    /// So many bytes of an image have been received in all.
    pub fn received(&self, image: usize, all: Bytes, done: bool) {
        self.image(image, |image| {
            image.done |= done;
            image.received = if image.done { image.size } else { all };
            if image.done {
                (image.sent, image.copied) = (image.size, image.size);
            }
        });
    }

    /// A line for the job's log.
    pub fn note(&self, line: &str) {
        if let Some(log) = &self.log {
            log(line);
        }
    }

    fn image(&self, image: usize, change: impl FnOnce(&mut ImageStatus)) {
        if let Some(image) = self.lock().images.get_mut(image) {
            change(image);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_waited_for_since_it_was_first_said() {
        use std::sync::atomic::{AtomicI64, Ordering};
        static SECONDS: AtomicI64 = AtomicI64::new(0);
        let clock =
            || DateTime::from_timestamp(SECONDS.fetch_add(10, Ordering::Relaxed), 0).unwrap_or_default();
        let live = Live::new(|_| {}, clock);
        let said = || live.state().waiting.map(|w| (w.to_string(), w.since.unwrap().timestamp()));
        live.waiting("the way to zhost2", Some("refused"));
        live.waiting("the way to zhost2", Some("timed out"));
        assert_eq!(said(), Some(("the way to zhost2: timed out".to_owned(), 0)));
        live.waiting("room", None);
        assert_eq!(said(), Some(("room".to_owned(), 10)));
        live.moving();
        assert_eq!(said(), None);
        live.waiting("room", None);
        assert_eq!(said(), Some(("room".to_owned(), 20)));
    }
}
