//! The target's half: which part to feed next, which to ask for again, and when an image is complete.
//!
//! - Images are received one after another in travel order, and each from its first part.
//! - An image is complete when its snapshot has the announced guid; only then do its parts leave.
//! - Parts of a lower attempt than the highest one seen are not fed: the source is about to replace them.

use super::super::image::Image;
use super::super::name::{Bytes, Guid, SnapshotName};
use super::super::part::Entry;
use super::super::progress::{ImageProgress, Progress};

/// Broken receives of one image from good parts before it is given up.
const TRIES: u32 = 3;

/// What is found where a part's entry should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Look {
    /// Nothing.
    Absent,
    /// Something that is no entry of this part.
    Damaged,
    /// The entry.
    Sound(Sound),
}

/// What decides about a part, of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sound {
    /// See [`Entry::attempt`].
    pub attempt: u32,
    /// See [`Entry::guid`].
    pub guid: Guid,
    /// See [`Entry::last`].
    pub last: bool,
}

impl From<&Entry> for Sound {
    fn from(entry: &Entry) -> Self {
        Self { attempt: entry.attempt, guid: entry.guid, last: entry.last }
    }
}

/// What the target does next. Each order has the event that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Look for this part's entry: [`Target::looked`].
    Look(u32),
    /// Nothing to do before something arrives: [`Target::waited`].
    Wait,
    /// Destroy what is in quarantine under the image's name: [`Target::discarded`].
    Discard,
    /// Start `zfs receive`: [`Target::begun`].
    Begin,
    /// Feed this part: [`Target::fed`].
    Feed(u32),
    /// Close the stream, wait for the end, read the snapshot's guid: [`Target::ended`].
    End,
    /// End the receive with a stream that is cut short: [`Target::stopped`].
    Stop,
    /// Remove this part and its entry and report at once: [`Target::asked`].
    Ask(u32),
    /// Remove all parts and entries of the image and report at once: [`Target::dropped`].
    Drop,
    /// Report at once, then remove all parts and entries of the image: [`Target::released`].
    Release,
    /// Every image is received.
    Done,
}

/// How feeding one part ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fed {
    /// All of it is fed.
    Whole,
    /// It is damaged or missing.
    Damaged,
    /// The stream is wrong in itself.
    Refused,
}

/// How a receive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The snapshot is there with the announced guid.
    Received,
    /// The stream is wrong in itself.
    Refused,
    /// `zfs receive` failed; its parts are still here.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// The image's first entry is looked for.
    First,
    Discard(Sound),
    Begin(Sound),
    /// A part's entry is looked for.
    Next(Sound, u32),
    /// A part is fed; `true`: it is the last one.
    Feed(Sound, u32, bool),
    End(Sound),
    /// The receive is ended; `true`: because the stream is wrong.
    Stop(bool),
    /// A part is asked for, and then looked for in the state of before.
    Ask(Option<Sound>, u32),
    Drop,
    Complete,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Incoming {
    name: String,
    from: Option<SnapshotName>,
    /// The guid of what is in quarantine under its name.
    here: Option<Guid>,
}

/// The target's decisions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    images: Vec<Incoming>,
    /// The image that is being received.
    at: usize,
    state: State,
    waits: bool,
    /// Entries of a lower attempt are out of date.
    lowest: u32,
    broken: u32,
    progress: Progress,
}

impl Target {
    /// The images of a job, in travel order, with what is in quarantine, by the image's name; `progress` is
    /// what this process reported last.
    pub fn new(images: &[Image], here: impl Fn(usize) -> Option<Guid>, progress: Progress) -> Self {
        let incoming = |(i, image): (usize, &Image)| Incoming {
            name: image.name(),
            from: image.from.clone(),
            here: here(i),
        };
        let images = images.iter().enumerate().map(incoming).collect();
        let mut target =
            Self { images, at: 0, state: State::First, waits: false, lowest: 0, broken: 0, progress };
        // A snapshot exists only after its receive was complete. The source knows whether the guid is right.
        for at in 0..target.images.len() {
            if let Some(guid) = target.images[at].here {
                target.at = at;
                target.told().guid = Some(guid);
            }
        }
        target.at = 0;
        target.begin();
        target
    }

    /// The image that the orders are about, in travel order.
    pub fn image(&self) -> usize {
        self.at
    }

    /// What to report.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What was reported last, for the next call in this process.
    pub fn into_progress(self) -> Progress {
        self.progress
    }

    /// What is received, in travel order.
    pub fn guids(&self) -> impl Iterator<Item = Option<Guid>> {
        self.images.iter().map(|image| image.here)
    }

    /// What to do next.
    pub fn next(&self) -> Order {
        if self.at == self.images.len() {
            return Order::Done;
        }
        if self.waits {
            return Order::Wait;
        }
        match self.state {
            State::First => Order::Look(0),
            State::Discard(_) => Order::Discard,
            State::Begin(_) => Order::Begin,
            State::Next(_, number) => Order::Look(number),
            State::Feed(_, number, _) => Order::Feed(number),
            State::End(_) => Order::End,
            State::Stop(_) => Order::Stop,
            State::Ask(_, number) => Order::Ask(number),
            State::Drop => Order::Drop,
            State::Complete => Order::Release,
        }
    }

    /// What was found at the place of the entry.
    pub fn looked(&mut self, look: Look) {
        match (self.state, look) {
            (State::First, Look::Sound(entry)) => self.first(entry),
            (State::First, Look::Damaged) => {
                // Whose attempt it was cannot be said: 0 stands for any.
                self.told().attempt = 0;
                self.ask(None, 0);
            }
            // Its parts are gone because it was complete, which is reported already.
            (State::First, Look::Absent) if self.images[self.at].here.is_some() => self.released(),
            (State::Next(first, number), Look::Sound(entry)) if entry.attempt == first.attempt => {
                self.state = State::Feed(first, number, entry.last);
            }
            (State::Next(first, _), Look::Sound(entry)) if entry.attempt > first.attempt => {
                self.lowest = entry.attempt;
                self.state = State::Stop(false);
            }
            (State::Next(first, number), Look::Damaged) => self.ask(Some(first), number),
            _ => self.waits = true,
        }
    }

    fn first(&mut self, entry: Sound) {
        if entry.attempt < self.lowest {
            self.waits = true;
            return;
        }
        self.lowest = entry.attempt;
        let told = self.told();
        if told.attempt != entry.attempt {
            // Complaints from before any attempt was known stay.
            let again = if told.attempt == 0 { std::mem::take(&mut told.again) } else { Default::default() };
            *told =
                ImageProgress { attempt: entry.attempt, again, from: told.from.take(), ..Default::default() };
        }
        if self.images[self.at].here == Some(entry.guid) {
            self.complete();
        } else {
            self.state = State::Discard(entry);
        }
    }

    /// The wait is over.
    pub fn waited(&mut self) {
        self.waits = false;
    }

    /// Nothing is in quarantine under the image's name any more.
    pub fn discarded(&mut self) {
        if let State::Discard(first) = self.state {
            self.images[self.at].here = None;
            self.told().guid = None;
            self.state = State::Begin(first);
        }
    }

    /// `zfs receive` runs.
    pub fn begun(&mut self) {
        if let State::Begin(first) = self.state {
            self.state = State::Next(first, 0);
        }
    }

    /// Bytes fed into this receive so far.
    pub fn bytes(&mut self, bytes: u64) {
        self.told().bytes = Bytes(bytes);
    }

    /// How feeding the part ended.
    pub fn fed(&mut self, fed: Fed) {
        let State::Feed(first, number, last) = self.state else { return };
        match fed {
            Fed::Whole if last => self.state = State::End(first),
            Fed::Whole => self.state = State::Next(first, number + 1),
            Fed::Damaged => self.ask(Some(first), number),
            Fed::Refused => self.state = State::Stop(true),
        }
    }

    /// The guid that the image's entries announce, while it is received.
    pub fn announced(&self) -> Option<Guid> {
        match self.state {
            State::Discard(first)
            | State::Begin(first)
            | State::Next(first, _)
            | State::Feed(first, _, _)
            | State::End(first)
            | State::Ask(Some(first), _) => Some(first.guid),
            _ => None,
        }
    }

    /// How the receive ended: after its end, or when it read no more. `false` if it broke too often.
    pub fn ended(&mut self, ended: Ended) -> bool {
        match ended {
            Ended::Received => {
                self.images[self.at].here = self.announced();
                self.complete();
            }
            Ended::Refused => self.refuse(),
            Ended::Broken => {
                self.broken += 1;
                self.state = State::First;
            }
        }
        self.broken < TRIES
    }

    /// The receive was ended with a stream cut short.
    pub fn stopped(&mut self) {
        match self.state {
            State::Stop(true) => self.refuse(),
            _ => self.state = State::First,
        }
    }

    /// The damaged part is gone, and reported.
    pub fn asked(&mut self) {
        if let State::Ask(first, number) = self.state {
            self.state = first.map_or(State::First, |first| State::Next(first, number));
        }
    }

    /// The refused attempt is gone, and reported.
    pub fn dropped(&mut self) {
        self.state = State::First;
    }

    /// The image's parts are gone.
    pub fn released(&mut self) {
        self.at += 1;
        self.begin();
    }

    fn begin(&mut self) {
        (self.state, self.waits, self.broken, self.lowest) = (State::First, false, 0, 0);
        let told = self.images.get(self.at).and_then(|image| self.progress.images.get(&image.name));
        if let Some(told) = told {
            // An attempt that was refused is not received again.
            self.lowest = told.attempt + u32::from(told.restart);
        }
    }

    fn ask(&mut self, first: Option<Sound>, number: u32) {
        *self.told().again.entry(number).or_default() += 1;
        self.state = State::Ask(first, number);
    }

    /// The stream of this attempt is wrong in itself: another one is wanted.
    fn refuse(&mut self) {
        let told = self.told();
        told.restart = true;
        self.lowest = told.attempt + 1;
        self.state = State::Drop;
    }

    fn complete(&mut self) {
        let here = self.images[self.at].here;
        self.told().guid = here;
        self.state = State::Complete;
    }

    fn told(&mut self) -> &mut ImageProgress {
        let image = &self.images[self.at];
        let fresh = || ImageProgress { from: image.from.clone(), ..ImageProgress::default() };
        self.progress.images.entry(image.name.clone()).or_insert_with(fresh)
    }
}
