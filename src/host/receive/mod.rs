//! Target: arriving parts into `zfs receive`, image after image, into quarantine.
//!
//! Nothing that a peer sent reaches `zfs receive` unread: each chunk is compared with its digest and then run
//! through the stream checker, in memory, and only then fed; what was checked is what is fed. A damaged part
//! is asked for again while the receive waits; a stream that is wrong in itself ends it. Complete means: the
//! snapshot's guid is the stream's, whatever `zfs receive` said.
//!
//! Owns the datasets below the job's holders, each made by this job and marked `zmigrate:job`. Parts stay
//! until their image is verified, so a broken receive begins again from them. On failure everything stays;
//! the next call looks what is there.

mod feed;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use super::live::Live;
use super::{StepError, quarantine, writing};
use crate::job::layout::{Layout, Placed, entry_name, part_name, stems, travel_order};
use crate::job::message::{Entry, ImageProgress, Progress};
use crate::job::name::{Bytes, DatasetName, Guid};
use crate::job::record::Job;
use crate::job::survey::Dataset;
use crate::process::Programs;
use crate::stream::FeatureSet;
use crate::transport::arrivals::JobBox;

/// An entry is no larger: a part of 4 GiB has 4096 chunks of 67 bytes.
const MAX_ENTRY: u64 = 1 << 20;
/// Broken receives of one image from good parts before it is given up.
const TRIES: u32 = 3;

/// What receiving needs to know.
pub struct Receive<'a> {
    /// Where `zfs` is found.
    pub programs: &'a Programs,
    /// The job, in phase `Receive`.
    pub job: &'a Job,
    /// Where everything goes.
    pub layout: &'a Layout,
    /// What has arrived.
    pub inbox: &'a JobBox,
    /// Stream features that this host's ZFS takes.
    pub features: FeatureSet,
    /// Progress, for people.
    pub live: &'a Live,
    /// Puts the progress file; `true`: at once, else when one is due.
    pub report: &'a dyn Fn(&Progress, bool),
    /// Waits until something may have arrived, at most so long.
    pub wait: &'a dyn Fn(Duration),
    /// Is something else to be looked at first: an operator, the daemon's end, a withdraw?
    pub interrupted: &'a (dyn Fn() -> bool + Sync),
}

/// How far it came.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// Every image is here and verified: the snapshots' guids by dataset name on the source.
    All(BTreeMap<DatasetName, Guid>),
    /// Something else is to be looked at first.
    Interrupted,
}

/// One image on its way in.
struct Image<'a> {
    index: usize,
    placed: &'a Placed,
    stem: String,
    dataset: &'a Dataset,
    writing: &'a RefCell<writing::Writing>,
}

/// What is found where a part's entry should be.
enum Look {
    Absent,
    Damaged,
    Sound(Box<Entry>),
}

/// How one try at an image ended.
enum Try {
    Complete(Guid),
    Interrupted,
    /// The receive broke; its parts are still here.
    Broken(StepError),
    /// The sender began a new attempt.
    Superseded,
}

impl Receive<'_> {
    /// Receives until all is here or something else is to be looked at.
    ///
    /// # Errors
    /// Transient for full or busy; permanent when an image can't be received on this host.
    pub fn run(&self, progress: &mut Progress) -> Result<Received, StepError> {
        let datasets = self.job.survey.as_ref().map(|s| s.datasets.as_slice()).unwrap_or_default();
        let names: Vec<DatasetName> = datasets.iter().map(|d| d.name.clone()).collect();
        let stems = stems(&names, &self.job.snapshot);
        let mut here = quarantine::found(self.programs, self.layout)?;
        let writing = RefCell::new(writing::Writing::begin(self.programs, self.job, self.layout)?);
        let mut guids = BTreeMap::new();
        for index in travel_order(datasets) {
            let Some(placed) = self.layout.datasets.get(index) else {
                return Err(StepError::permanent("the offer's datasets are not those of the plan"));
            };
            let image = Image {
                index,
                placed,
                stem: stems[index].clone(),
                dataset: &datasets[index],
                writing: &writing,
            };
            let Some(guid) = self.image(&image, &mut here, progress)? else {
                return Ok(Received::Interrupted);
            };
            guids.insert(placed.source.clone(), guid);
        }
        Ok(Received::All(guids))
    }

    /// Receives one image; `None` when something else is to be looked at first.
    fn image(
        &self,
        image: &Image<'_>,
        here: &mut BTreeMap<String, Guid>,
        progress: &mut Progress,
    ) -> Result<Option<Guid>, StepError> {
        let snapshot = image.placed.quarantine.at(&self.job.snapshot);
        let mut tries = 0;
        loop {
            let Some(first) = self.first_entry(image, here.get(&snapshot).copied(), progress)? else {
                return Ok(None);
            };
            let told = progress.images.entry(image.placed.source.to_string()).or_default();
            if told.attempt != first.attempt {
                // What was complained of before any attempt was known stays complained of.
                let again = if told.attempt == 0 { std::mem::take(&mut told.again) } else { BTreeMap::new() };
                *told = ImageProgress { attempt: first.attempt, again, ..ImageProgress::default() };
            }
            if here.get(&snapshot) == Some(&first.guid) {
                self.complete(image, first.guid, progress);
                return Ok(Some(first.guid));
            }
            // Anything else under this name is what a broken receive, a crash or an older attempt left. While an
            // orphaned `zfs receive` still holds it, it is busy: transient, and looked at again.
            quarantine::discard(self.programs, self.job, self.layout, &image.placed.quarantine)?;
            here.remove(&snapshot);
            match self.attempt(image, &first, progress)? {
                Try::Complete(guid) => {
                    here.insert(snapshot.clone(), guid);
                    self.complete(image, guid, progress);
                    return Ok(Some(guid));
                }
                Try::Interrupted => return Ok(None),
                Try::Superseded => {}
                Try::Broken(error) => {
                    tries += 1;
                    if tries >= TRIES || error.kind == crate::job::retry::ErrorKind::Permanent {
                        return Err(error);
                    }
                    self.live.note(&format!("{error}; beginning again from the parts that are here"));
                }
            }
        }
    }

    /// Waits for an image's first entry. What was received before a restart of this daemon may need none.
    fn first_entry(
        &self,
        image: &Image<'_>,
        here: Option<Guid>,
        progress: &mut Progress,
    ) -> Result<Option<Entry>, StepError> {
        loop {
            match self.entry(image, 0)? {
                Look::Sound(entry) => return Ok(Some(*entry)),
                Look::Damaged => {
                    // Whose attempt it was can't be told: 0 stands for any.
                    progress.images.entry(image.placed.source.to_string()).or_default().attempt = 0;
                    self.complain(image, 0, progress);
                }
                Look::Absent => {}
            }
            if let Some(guid) = here {
                // Its parts are gone because it was complete: say so again, the source knows whether the guid fits.
                let told = progress.images.entry(image.placed.source.to_string()).or_default();
                if told.guid != Some(guid) {
                    told.guid = Some(guid);
                    (self.report)(progress, true);
                }
                let attempt =
                    progress.images.get(image.placed.source.as_str()).map_or(0, |told| told.attempt);
                return Ok(Some(placeholder(self.job, image, guid, attempt)));
            }
            if (self.interrupted)() {
                return Ok(None);
            }
            (self.report)(progress, false);
            (self.wait)(Duration::from_secs(1));
        }
    }

    fn wait_for(
        &self,
        image: &Image<'_>,
        number: u32,
        progress: &mut Progress,
    ) -> Result<Option<Entry>, StepError> {
        loop {
            match self.entry(image, number)? {
                Look::Sound(entry) => return Ok(Some(*entry)),
                Look::Damaged => self.complain(image, number, progress),
                Look::Absent => {}
            }
            if (self.interrupted)() {
                return Ok(None);
            }
            (self.report)(progress, false);
            (self.wait)(Duration::from_secs(1));
        }
    }

    /// A part's entry, if it is there and can be true. One that can't is taken away.
    fn entry(&self, image: &Image<'_>, number: u32) -> Result<Look, StepError> {
        let name = entry_name(&image.stem, number);
        let Some(bytes) = self.inbox.read(&name, MAX_ENTRY)? else { return Ok(Look::Absent) };
        let entry: Option<Entry> = serde_json::from_slice(&bytes).ok();
        let sound = entry.filter(|entry| {
            entry.is_sound(self.job.part)
                && entry.dataset == image.placed.source
                && entry.snapshot == self.job.snapshot
                && entry.from.is_none()
                && entry.number == number
        });
        let Some(entry) = sound else {
            // Torn by a crash on its way, or not ours to understand.
            self.live.note(&format!("{name} is no entry of this image"));
            self.inbox.remove(&name);
            return Ok(Look::Damaged);
        };
        Ok(Look::Sound(Box::new(entry)))
    }

    /// Asks for a part again: the damaged one is taken away, so that nobody mistakes it for the good one.
    fn complain(&self, image: &Image<'_>, number: u32, progress: &mut Progress) {
        let part = part_name(&image.stem, number);
        self.live.note(&format!("part {part} is damaged, asking for it again"));
        self.inbox.remove(&entry_name(&image.stem, number));
        self.inbox.remove(&part);
        let told = progress.images.entry(image.placed.source.to_string()).or_default();
        *told.again.entry(number).or_default() += 1;
        (self.report)(progress, true);
    }

    /// The stream itself is wrong: this attempt is dropped, another one is asked for.
    fn refused(&self, image: &Image<'_>, why: String, progress: &mut Progress) -> Result<Try, StepError> {
        let told = progress.images.entry(image.placed.source.to_string()).or_default();
        let text = format!("image {}: {why}", image.stem);
        self.live.note(&text);
        told.restart = true;
        let attempt = told.attempt;
        for number in 0.. {
            let entry = entry_name(&image.stem, number);
            if !self.inbox.has(&entry) {
                break;
            }
            self.inbox.remove(&entry);
            self.inbox.remove(&part_name(&image.stem, number));
        }
        (self.report)(progress, true);
        // The source answers with a higher attempt, or gives up.
        loop {
            match self.entry(image, 0)? {
                Look::Sound(entry) if entry.attempt > attempt => return Ok(Try::Superseded),
                _ if (self.interrupted)() => return Ok(Try::Interrupted),
                _ => (self.wait)(Duration::from_secs(1)),
            }
        }
    }

    fn told(&self, image: &Image<'_>, fed: u64, progress: &mut Progress) {
        let told = progress.images.entry(image.placed.source.to_string()).or_default();
        told.bytes = Bytes(fed);
        self.live.received(image.index, Bytes(fed), false);
        (self.report)(progress, false);
    }

    /// An image is here: say so, and let its parts go.
    fn complete(&self, image: &Image<'_>, guid: Guid, progress: &mut Progress) {
        let told = progress.images.entry(image.placed.source.to_string()).or_default();
        told.guid = Some(guid);
        self.live.received(image.index, told.bytes, true);
        (self.report)(progress, true);
        for number in 0.. {
            let entry = entry_name(&image.stem, number);
            let part = part_name(&image.stem, number);
            if !self.inbox.has(&entry) && !self.inbox.has(&part) {
                break;
            }
            self.inbox.remove(&part);
            self.inbox.remove(&entry);
        }
    }
}

/// Stands for the entry of an image that was complete before this daemon started.
fn placeholder(job: &Job, image: &Image<'_>, guid: Guid, attempt: u32) -> Entry {
    let digest = crate::stream::PartHasher::new().finish();
    Entry {
        v: crate::job::message::ENTRY_VERSION,
        dataset: image.placed.source.clone(),
        snapshot: job.snapshot.clone(),
        from: None,
        guid,
        attempt,
        number: 0,
        last: true,
        digest,
    }
}
