//! Target: arriving parts into `zfs receive`, image after image, into quarantine. One thread carries out
//! the orders of one machine, [`Target`].
//!
//! Nothing that a peer sent reaches `zfs receive` unread: each chunk is compared with its digest and then run
//! through the stream checker, in memory, and only then fed; the bytes that were checked are the bytes that
//! are fed. A damaged part is asked for again while the receive waits; a stream that is wrong in itself ends
//! it. Complete means: the snapshot's guid is the stream's, whatever `zfs receive` said.
//!
//! Owns the datasets below the job's holders, each made by this job and marked `zmigrate:job`. Parts stay
//! until their image is verified, so a broken receive begins again from them. On failure everything stays;
//! the next call looks at what there is.

mod feed;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::live::Live;
use super::writing::Writing;
use super::{StepError, grace, quarantine};
use crate::cmd::zfs::Zfs;
use crate::job::image::{Image, images};
use crate::job::layout::{Layout, Placed};
use crate::job::name::{DatasetName, Guid};
use crate::job::part::{Entry, entry_name, part_name};
use crate::job::progress::Progress;
use crate::job::record::Job;
use crate::job::retry::ErrorKind;
use crate::job::transfer::target::{Ended, Look, Order, Sound, Target};
use crate::process::Programs;
use crate::stream::FeatureSet;
use crate::transport::arrivals::JobBox;
use feed::Feed;

/// An entry is no larger: a part of 4 GiB has 4096 chunks of 67 bytes.
const MAX_ENTRY: u64 = 1 << 20;
/// Between two looks for a part. The bell of the daemon ends a wait earlier.
const LOOK: Duration = Duration::from_secs(1);

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
    /// Stream features that this host's ZFS accepts.
    pub features: FeatureSet,
    /// Progress, for people.
    pub live: &'a Live,
    /// Puts the progress file; `true`: at once, else when one is due.
    pub report: &'a dyn Fn(&Progress, bool),
    /// Waits at most this long until something may have arrived.
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

/// The images, and where each goes.
struct Work {
    images: Vec<Image>,
    machine: Target,
    writing: Writing,
    /// The entry that was found last.
    entry: Option<Entry>,
}

impl Receive<'_> {
    /// Receives until all is here or something else is to be looked at.
    ///
    /// # Errors
    /// Transient for full or busy; permanent when an image can't be received on this host.
    pub fn run(&self, progress: &mut Progress) -> Result<Received, StepError> {
        let images = images(self.job);
        if images.len() != self.layout.datasets.len() {
            return Err(StepError::permanent("the offer's datasets are not those of the plan"));
        }
        let found = quarantine::found(self.programs, self.layout)?;
        let here = |i: usize| found.get(&self.place(&images[i]).quarantine.at(&images[i].to)).copied();
        let machine = Target::new(&images, here, std::mem::take(progress));
        let writing = Writing::begin(self.programs, self.job, self.layout);
        let mut work = match writing {
            Ok(writing) => Work { images, machine, writing, entry: None },
            Err(error) => {
                *progress = machine.into_progress();
                return Err(error);
            }
        };
        let result = self.orders(&mut work);
        let guids = work.images.iter().zip(work.machine.guids());
        let guids = guids.filter_map(|(image, guid)| Some((image.dataset.clone(), guid?))).collect();
        *progress = work.machine.into_progress();
        Ok(if result? { Received::All(guids) } else { Received::Interrupted })
    }

    /// Carries out orders; `false` when something else is to be looked at first.
    fn orders(&self, work: &mut Work) -> Result<bool, StepError> {
        loop {
            match work.machine.next() {
                Order::Done => return Ok(true),
                Order::Discard => {
                    // What a broken receive, a crash or an older attempt left. While an orphaned `zfs receive`
                    // still holds it, it is busy: transient, and looked at again.
                    let place = &self.place(work.image()).quarantine;
                    quarantine::discard(self.programs, self.job, self.layout, place)?;
                    work.machine.discarded();
                }
                Order::Begin => {
                    let image = &work.images[work.machine.image()];
                    let place = &self.place(image).quarantine;
                    let Some(dataset) = self.dataset(image) else { return Ok(false) };
                    for command in work.writing.commands(place, dataset) {
                        self.programs.ok(&command)?;
                    }
                    let child = Zfs::new(self.programs).receive(place, &image.to)?;
                    work.machine.begun();
                    let killer = child.killer();
                    let features = self.features;
                    let feed = Feed::new(child, features);
                    if !grace::given(&killer, self.interrupted, || self.feed(work, feed))? {
                        return Ok(false);
                    }
                }
                order => {
                    if !self.between(work, order)? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Orders that need no `zfs receive`; `false` when something else is to be looked at first.
    fn between(&self, work: &mut Work, order: Order) -> Result<bool, StepError> {
        let image = work.machine.image();
        let stem = &work.images[image].stem;
        match order {
            Order::Look(number) => {
                work.entry = None;
                let look = self.look(&work.images[image], number, &mut work.entry)?;
                work.machine.looked(look);
            }
            Order::Wait => {
                if (self.interrupted)() {
                    return Ok(false);
                }
                (self.report)(work.machine.progress(), false);
                (self.wait)(LOOK);
                work.machine.waited();
            }
            Order::Ask(number) => {
                let part = part_name(stem, number);
                self.live.note(&format!("part {part} is damaged, asking for it again"));
                // Both go, so that nobody mistakes the damaged one for the good one.
                self.inbox.remove(&entry_name(stem, number));
                self.inbox.remove(&part);
                (self.report)(work.machine.progress(), true);
                work.machine.asked();
            }
            Order::Drop => {
                self.clear(stem);
                (self.report)(work.machine.progress(), true);
                work.machine.dropped();
            }
            Order::Release => {
                let told = work.machine.progress().images.get(&work.images[image].name());
                self.live.received(image, told.map(|told| told.bytes).unwrap_or_default(), true);
                (self.report)(work.machine.progress(), true);
                self.clear(stem);
                work.machine.released();
            }
            // These are given only while a receive runs, or are carried out by the caller.
            Order::Feed(_) | Order::End | Order::Stop | Order::Discard | Order::Begin | Order::Done => {
                return Err(StepError::transient(format!("{order:?} was due without a receive of {stem}")));
            }
        }
        Ok(true)
    }

    /// A part's entry, if it is there and can be true. One that can't is removed.
    fn look(&self, image: &Image, number: u32, found: &mut Option<Entry>) -> Result<Look, StepError> {
        let name = entry_name(&image.stem, number);
        let Some(bytes) = self.inbox.read(&name, MAX_ENTRY)? else { return Ok(Look::Absent) };
        let entry: Option<Entry> = serde_json::from_slice(&bytes).ok();
        match entry.filter(|entry| entry.is_part(image, number, self.job.part)) {
            Some(entry) => {
                let look = Look::Sound(Sound::from(&entry));
                *found = Some(entry);
                Ok(look)
            }
            // Torn by a crash on its way, or not ours to understand.
            None => {
                self.live.note(&format!("{name} is not an entry of this image"));
                Ok(Look::Damaged)
            }
        }
    }

    /// Removes all parts and entries of an image.
    fn clear(&self, stem: &str) {
        for number in 0.. {
            let (entry, part) = (entry_name(stem, number), part_name(stem, number));
            if !self.inbox.has(&entry) && !self.inbox.has(&part) {
                break;
            }
            self.inbox.remove(&part);
            self.inbox.remove(&entry);
        }
    }

    /// Ends the machine's receive as broken; an error if it broke too often, or another try can't help.
    fn broken(&self, machine: &mut Target, error: StepError) -> Result<(), StepError> {
        if !machine.ended(Ended::Broken) || error.kind == ErrorKind::Permanent {
            return Err(error);
        }
        self.live.note(&format!("{error}; beginning again from the parts that are here"));
        Ok(())
    }

    fn place(&self, image: &Image) -> &Placed {
        &self.layout.datasets[image.index]
    }

    fn dataset(&self, image: &Image) -> Option<&crate::job::survey::Dataset> {
        self.job.survey.as_ref()?.datasets.get(image.index)
    }
}

impl Work {
    fn image(&self) -> &Image {
        &self.images[self.machine.image()]
    }
}
