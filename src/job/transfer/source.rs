//! The source's half: which image to send, which part to copy, and what to do about the target's report.
//!
//! - A part leaves the scratch only after the target has reported its image complete, by guid.
//! - No two copies of one part run at the same time, and a new attempt is not staged while a part of
//!   the old attempt is still being copied: it would be written under the same name.
//! - Of the parts that may be copied, the one that the target needs first goes first.

use std::collections::{BTreeMap, BTreeSet};

use super::super::image::Image;
use super::super::name::{Bytes, Guid};
use super::super::part::part_name;
use super::super::progress::{ImageProgress, Progress};

/// Sendings of one image in one call before its stream counts as unreceivable.
const SENDINGS: u32 = 3;
/// Attempts of one snapshot count up from here times its generation: those of a later snapshot are higher.
const GENERATION: u32 = 1000;
/// Complaints about one part before the connection or a disk is broken, and not the part.
const COMPLAINTS: u32 = 5;

/// One part of one image. The part that the target needs first is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// In travel order.
    pub image: usize,
    /// Its number in the image.
    pub number: u32,
}

impl Part {
    /// The name of its file.
    pub fn name(self, images: &[Image]) -> String {
        part_name(&images[self.image].stem, self.number)
    }
}

/// What is known of a part in the dropbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum There {
    /// It is not there.
    No,
    /// It may be there with its entry, from before this call.
    Perhaps,
    /// This call copied it, but the target may have removed it.
    Once,
    /// All its bytes are there; whether it got its name is not known.
    Nameless,
    /// The part is there; its entry may be missing.
    Whole,
}

/// What the scratch holds of an image: entries from the first one on, up to a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Staged {
    /// The attempt that they belong to.
    pub attempt: u32,
    /// How many entries there are.
    pub parts: u32,
    /// Bytes of their parts.
    pub bytes: u64,
    /// Whether the last one is there, and every part.
    pub whole: bool,
}

/// Run `zfs send` of an image and stage its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Send {
    /// In travel order.
    pub image: usize,
    /// The attempt that its entries are to name.
    pub attempt: u32,
    /// Remove what is staged of the image first. Otherwise equal parts keep their place in the dropbox.
    pub afresh: bool,
}

/// Whether the next part of an image may be staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Go,
    /// Not before parts have left the scratch.
    Full,
    /// Nobody wants the rest of this stream: end it.
    Unwanted,
}

/// Why sending cannot succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The target asked for one image again and again.
    Unreceivable {
        /// In travel order.
        image: usize,
        /// How often it was sent.
        sendings: u32,
    },
    /// One part arrived damaged again and again.
    Damaged {
        /// The part.
        part: Part,
        /// How often.
        times: u32,
    },
}

/// What the target's report leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Images that are complete there by now: their parts leave the scratch.
    pub release: Vec<usize>,
    /// Parts that arrived damaged and are copied again.
    pub again: Vec<Part>,
    /// Images that are sent again with a higher attempt.
    pub restart: Vec<usize>,
}

/// How far one image's `zfs send` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stream {
    Due { afresh: bool },
    Running { unwanted: bool },
    Whole,
    Received,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Outgoing {
    name: String,
    guid: Guid,
    stream: Stream,
    /// Of what is staged or being staged.
    attempt: u32,
    /// The highest attempt that the target has named.
    seen: u32,
    sendings: u32,
    staged: u32,
    bytes: u64,
    /// Complaints about parts of this attempt that were acted on.
    complaints: BTreeMap<u32, u32>,
}

/// The source's decisions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    images: Vec<Outgoing>,
    queue: BTreeMap<Part, There>,
    under_way: BTreeSet<Part>,
    /// Parts that are no longer in the dropbox, and after how many reports they are copied again.
    missing: BTreeMap<Part, u8>,
    /// The target's process, by its number.
    run: u64,
    /// Bytes that may be on the scratch, and the size of a part.
    share: u64,
    part: u64,
}

impl Source {
    /// The images of a job, in travel order. `None` if the guid of a snapshot is not known.
    ///
    /// `staged` says what the scratch holds of an image of this guid, `progress` what the target last
    /// said. Complaints in `progress` need no answer: parts that are not there are found to be missing.
    pub fn new(
        images: &[Image],
        generation: u32,
        mut staged: impl FnMut(&Image, Guid) -> Option<Staged>,
        progress: &Progress,
        share: Bytes,
        part: Bytes,
    ) -> Option<Self> {
        let mut source = Self {
            images: Vec::with_capacity(images.len()),
            queue: BTreeMap::new(),
            under_way: BTreeSet::new(),
            missing: BTreeMap::new(),
            run: progress.run,
            share: share.0,
            part: part.0,
        };
        for (index, image) in images.iter().enumerate() {
            let guid = image.guid?;
            let (name, found) = (image.name(), staged(image, guid));
            let news = progress.images.get(&name);
            let seen = news.map_or(0, |news| news.attempt);
            // Without staged entries, only the target knows how high the attempts had come.
            let attempt =
                found.map_or_else(|| (generation * GENERATION).max(seen + 1), |found| found.attempt);
            let is_whole = found.is_some_and(|found| found.whole);
            let complaints = news.filter(|news| news.attempt == attempt).map(|news| news.again.clone());
            source.images.push(Outgoing {
                name,
                guid,
                stream: if is_whole { Stream::Whole } else { Stream::Due { afresh: found.is_none() } },
                attempt,
                seen,
                sendings: u32::from(is_whole),
                staged: found.map_or(0, |found| found.parts),
                bytes: found.map_or(0, |found| found.bytes),
                complaints: complaints.unwrap_or_default(),
            });
            if let Some(found) = found.filter(|found| found.whole) {
                let parts = (0..found.parts).map(|number| (Part { image: index, number }, There::Perhaps));
                source.queue.extend(parts);
            }
        }
        Some(source)
    }

    /// The next image to send, if one is due. It then runs until [`Self::sent`] or [`Self::stopped`].
    ///
    /// # Errors
    /// When the image was sent too often.
    pub fn send(&mut self) -> Result<Option<Send>, Fault> {
        let Some((image, afresh)) = self.due() else { return Ok(None) };
        let outgoing = &mut self.images[image];
        if outgoing.sendings == SENDINGS {
            return Err(Fault::Unreceivable { image, sendings: SENDINGS });
        }
        outgoing.sendings += 1;
        outgoing.stream = Stream::Running { unwanted: false };
        if afresh {
            (outgoing.staged, outgoing.bytes) = (0, 0);
        }
        Ok(Some(Send { image, attempt: outgoing.attempt, afresh }))
    }

    /// The first image that may be sent now, and whether from its beginning.
    fn due(&self) -> Option<(usize, bool)> {
        (0..self.images.len()).find_map(|image| match self.images[image].stream {
            Stream::Due { afresh } if !afresh || !self.is_under_way(image) => Some((image, afresh)),
            _ => None,
        })
    }

    /// Whether the next part of the image that is being sent may be staged.
    pub fn room(&self, image: usize) -> Room {
        if self.images[image].stream != (Stream::Running { unwanted: false }) {
            return Room::Unwanted;
        }
        // Parts of later images do not count: they cannot leave before this image is received.
        let staged: u64 = self.images[..=image].iter().map(|image| image.bytes).sum();
        if staged == 0 || staged + self.part <= self.share {
            return Room::Go;
        }
        // An image before this one is to be sent again. Nothing leaves the scratch before it is received.
        if self.due().is_some_and(|(other, _)| other < image) { Room::Unwanted } else { Room::Full }
    }

    /// A part and its entry are on the scratch. `there` is [`There::Perhaps`] if an equal part was staged
    /// before this call.
    pub fn staged(&mut self, part: Part, bytes: u64, there: There) {
        let outgoing = &mut self.images[part.image];
        if part.number >= outgoing.staged {
            outgoing.staged = part.number + 1;
            outgoing.bytes += bytes;
        }
        if outgoing.stream == (Stream::Running { unwanted: false }) {
            self.queue.insert(part, there);
        }
    }

    /// The stream differs from what was staged of it before: the image needs a higher attempt.
    pub fn differs(&mut self, image: usize) {
        self.images[image].sendings = self.images[image].sendings.saturating_sub(1);
        self.restart(image);
    }

    /// All parts of the image are staged.
    pub fn sent(&mut self, image: usize) {
        self.over(image, Stream::Whole);
    }

    /// The sending of the image ended before its end.
    pub fn stopped(&mut self, image: usize) {
        if self.images[image].stream == (Stream::Running { unwanted: false }) {
            self.images[image].sendings -= 1;
        }
        self.over(image, Stream::Due { afresh: false });
    }

    fn over(&mut self, image: usize, otherwise: Stream) {
        let stream = &mut self.images[image].stream;
        *stream = match *stream {
            Stream::Running { unwanted: false } => otherwise,
            Stream::Running { unwanted: true } => Stream::Due { afresh: true },
            other => other,
        };
    }

    /// The next part to copy, if there is one. It is under way until [`Self::copied`].
    pub fn copy(&mut self) -> Option<(Part, There)> {
        let part = *self.queue.keys().find(|part| !self.under_way.contains(part))?;
        let there = self.queue.remove(&part)?;
        self.under_way.insert(part);
        Some((part, there))
    }

    /// Whether a part that did not arrive is to be tried again.
    pub fn is_wanted(&self, part: Part) -> bool {
        matches!(
            self.images[part.image].stream,
            Stream::Running { unwanted: false } | Stream::Due { afresh: false } | Stream::Whole
        )
    }

    /// A part is in the dropbox, or no longer wanted there.
    pub fn copied(&mut self, part: Part) {
        self.under_way.remove(&part);
    }

    /// A part that this call copied is no longer in the dropbox. The target removes the parts of an image after
    /// it has reported the image complete, so the report decides: the next one may have been read before
    /// the part was missed, the one after it was not.
    pub fn missing(&mut self, part: Part) {
        self.under_way.remove(&part);
        if self.is_wanted(part) {
            self.missing.insert(part, 2);
        }
    }

    /// The target has reported.
    ///
    /// # Errors
    /// When a part arrived damaged too often.
    pub fn heard(&mut self, progress: &Progress) -> Result<Heard, Fault> {
        let mut heard = Heard::default();
        if progress.run != self.run {
            self.run = progress.run;
            self.look_again();
        }
        for image in 0..self.images.len() {
            let outgoing = &mut self.images[image];
            let Some(news) = progress.images.get(&outgoing.name) else { continue };
            outgoing.seen = outgoing.seen.max(news.attempt);
            if outgoing.stream == Stream::Received {
                continue;
            }
            if news.guid == Some(outgoing.guid) {
                outgoing.stream = Stream::Received;
                outgoing.bytes = 0;
                self.queue.retain(|part, _| part.image != image);
                heard.release.push(image);
            } else if self.is_current(image, news) {
                if news.restart {
                    self.restart(image);
                    heard.restart.push(image);
                } else {
                    self.complaints(image, news, &mut heard)?;
                }
            }
        }
        self.copy_missing();
        Ok(heard)
    }

    fn copy_missing(&mut self) {
        for (part, mut reports) in std::mem::take(&mut self.missing) {
            reports -= 1;
            if !self.is_wanted(part) {
                continue;
            }
            if reports == 0 {
                self.queue.insert(part, There::No);
            } else {
                self.missing.insert(part, reports);
            }
        }
    }

    /// Whether the target speaks of the attempt that is staged here. 0 stands for any: it could read no
    /// entry of the image yet, and complains of just that.
    fn is_current(&self, image: usize, news: &ImageProgress) -> bool {
        let outgoing = &self.images[image];
        self.is_wanted(Part { image, number: 0 }) && (news.attempt == 0 || news.attempt == outgoing.attempt)
    }

    fn complaints(&mut self, image: usize, news: &ImageProgress, heard: &mut Heard) -> Result<(), Fault> {
        let outgoing = &mut self.images[image];
        outgoing.complaints.retain(|number, _| news.again.contains_key(number));
        for (&number, &times) in &news.again {
            if times <= outgoing.complaints.get(&number).copied().unwrap_or(0) {
                continue;
            }
            let part = Part { image, number };
            if times >= COMPLAINTS {
                return Err(Fault::Damaged { part, times });
            }
            outgoing.complaints.insert(number, times);
            // A number that was never staged is the peer's mistake.
            if number < outgoing.staged {
                self.queue.insert(part, There::No);
                heard.again.push(part);
            }
        }
        Ok(())
    }

    /// Another process receives there: its complaints count from the beginning, and what its predecessor
    /// removed without reporting it is missing.
    fn look_again(&mut self) {
        for image in 0..self.images.len() {
            if self.is_wanted(Part { image, number: 0 }) {
                let outgoing = &mut self.images[image];
                outgoing.complaints.clear();
                for number in 0..outgoing.staged {
                    self.queue.entry(Part { image, number }).or_insert(There::Once);
                }
            }
        }
    }

    /// The image is sent again from its beginning, with a higher attempt.
    fn restart(&mut self, image: usize) {
        let outgoing = &mut self.images[image];
        outgoing.stream = match outgoing.stream {
            Stream::Running { .. } => Stream::Running { unwanted: true },
            _ => Stream::Due { afresh: true },
        };
        outgoing.attempt = outgoing.attempt.max(outgoing.seen) + 1;
        outgoing.complaints.clear();
        self.queue.retain(|part, _| part.image != image);
        self.missing.retain(|part, _| part.image != image);
    }

    fn is_under_way(&self, image: usize) -> bool {
        self.under_way.iter().any(|part| part.image == image)
    }

    /// Whether every image is received.
    pub fn is_complete(&self) -> bool {
        self.images.iter().all(|image| image.stream == Stream::Received)
    }

    /// Whether every image is sent.
    pub fn is_sent(&self) -> bool {
        self.images.iter().all(|image| matches!(image.stream, Stream::Whole | Stream::Received))
    }

    /// Whether every part that was staged has been copied.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.under_way.is_empty()
    }
}
