//! What a job is doing right now, shared between the threads that do it and the one that writes it down for
//! people. Nothing here decides anything.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::job::layout::travel_order;
use crate::job::name::Bytes;
use crate::job::status::ImageStatus;
use crate::job::survey::Dataset;

/// Where notes go.
type Notes = Box<dyn Fn(&str) + Send + Sync>;

/// One job's liveliness.
#[derive(Default)]
pub struct Live {
    state: Mutex<State>,
    log: Option<Notes>,
}

/// What there is to show.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// What is waited for.
    pub waiting: Option<String>,
    /// In the order in which they travel.
    pub images: Vec<ImageStatus>,
    /// For each dataset of the survey its place in `images`.
    place: Vec<usize>,
}

impl Live {
    /// Notes go to the job's log by `log`.
    pub fn new(log: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), log: Some(Box::new(log)) }
    }

    /// What there is to show now.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// The images that will travel. Numbers that are already known stay.
    pub fn plan(&self, datasets: &[Dataset]) {
        let mut state = self.lock();
        let order = travel_order(datasets);
        let same = |image: &ImageStatus, &i: &usize| image.dataset == datasets[i].name.as_str();
        if state.images.len() == order.len() && state.images.iter().zip(&order).all(|(a, b)| same(a, b)) {
            return;
        }
        state.place = vec![0; datasets.len()];
        state.images = Vec::with_capacity(datasets.len());
        for (place, &i) in order.iter().enumerate() {
            state.place[i] = place;
            let (dataset, size) = (datasets[i].name.to_string(), datasets[i].estimate());
            state.images.push(ImageStatus { dataset, size, ..ImageStatus::default() });
        }
    }

    /// The job waits, or no longer does.
    pub fn waiting(&self, why: Option<&str>) {
        self.lock().waiting = why.map(str::to_owned);
    }

    /// An image is sent from its beginning.
    pub fn sending(&self, dataset: usize) {
        self.image(dataset, |image| (image.sent, image.copied) = (Bytes(0), Bytes(0)));
    }

    /// So many more bytes came out of `zfs send`.
    pub fn sent(&self, dataset: usize, more: Bytes, whole: bool) {
        self.image(dataset, |image| {
            image.sent.0 += more.0;
            image.size.0 = if whole { image.sent.0 } else { image.size.0.max(image.sent.0) };
        });
    }

    /// So many more bytes are in the dropbox.
    pub fn copied(&self, dataset: usize, more: Bytes) {
        self.image(dataset, |image| image.copied.0 = (image.copied.0 + more.0).min(image.size.0));
    }

    /// So many of them are not, after all: the part did not arrive.
    pub fn not_copied(&self, dataset: usize, less: Bytes) {
        self.image(dataset, |image| image.copied.0 = image.copied.0.saturating_sub(less.0));
    }

    /// So many bytes of an image have been received in all.
    pub fn received(&self, dataset: usize, all: Bytes, done: bool) {
        self.image(dataset, |image| {
            image.done |= done;
            image.received = if image.done { image.size } else { all };
            if image.done {
                (image.sent, image.copied) = (image.size, image.size);
            }
        });
    }

    /// The size is known exactly.
    pub fn size(&self, dataset: usize, size: Bytes) {
        self.image(dataset, |image| image.size = size);
    }

    /// A line for the job's log.
    pub fn note(&self, line: &str) {
        if let Some(log) = &self.log {
            log(line);
        }
    }

    fn image(&self, dataset: usize, change: impl FnOnce(&mut ImageStatus)) {
        let mut state = self.lock();
        if let Some(&place) = state.place.get(dataset)
            && let Some(image) = state.images.get_mut(place)
        {
            change(image);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
