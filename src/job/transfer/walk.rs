//! Both machines against each other, through every order of events.
//!
//! The world has two images, of two parts and of one. Its threads are those of the product: one sends,
//! two copy, one listens, one receives. Faults are few but may strike anywhere: a part arrives damaged, a
//! daemon is killed (between any two actions, and a target also between removing a part and reporting
//! it), a receive breaks, a stream is wrong in itself. What must hold is in [`World::check`] and in
//! [`explore`]. A walk that finds nothing proves nothing, so each [`Mistake`] must be caught.

use std::collections::{BTreeMap, HashMap};

use super::source::{Part, Room, Send, Source, Staged, There};
use super::target::{Ended, Fed, Look, Order, Sound, Target};
use crate::job::image::Image;
use crate::job::name::{Bytes, DatasetName, Guid, SnapshotName};
use crate::job::progress::Progress;

/// Parts of each image.
const PARTS: [u32; 2] = [2, 1];

/// A known mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// Each process of the target has the same number.
    SameRun,
    /// The target does not verify what it feeds.
    Unverified,
    /// A part leaves the source's scratch once it is copied.
    EarlyRelease,
}

/// What may still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Faults {
    damaged: u8,
    source_killed: u8,
    target_killed: u8,
    broken: u8,
    refused: u8,
    all: u8,
}

/// A part in the dropbox, with its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct File {
    attempt: u32,
    good: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    source: Option<Source>,
    sending: Option<(Send, u32)>,
    copying: [Option<(Part, There, File)>; 2],
    /// On the source's scratch, by image: attempt, parts, whether the last one is there.
    scratch: BTreeMap<usize, (u32, u32, bool)>,
    released: Vec<bool>,
    dropbox: BTreeMap<Part, File>,
    /// The report on the target's disk.
    report: Progress,
    target: Option<Target>,
    runs: u64,
    /// What the running receive was fed, and what was received, by image.
    fed: Option<Vec<(u32, u32, bool)>>,
    here: Vec<Option<Vec<(u32, u32, bool)>>>,
    faults: Faults,
}

fn images() -> Vec<Image> {
    let image = |index: usize| Image {
        index,
        dataset: DatasetName::new(format!("p/{index}")).unwrap(),
        from: None,
        to: SnapshotName::new("m").unwrap(),
        guid: Some(guid(index)),
        stem: format!("{index}@m"),
    };
    (0..PARTS.len()).map(image).collect()
}

fn guid(image: usize) -> Guid {
    Guid(image as u64 + 1)
}

impl World {
    fn new(faults: Faults) -> Self {
        Self {
            source: None,
            sending: None,
            copying: [None, None],
            scratch: BTreeMap::new(),
            released: vec![false; PARTS.len()],
            dropbox: BTreeMap::new(),
            report: Progress::default(),
            target: None,
            runs: 0,
            fed: None,
            here: vec![None; PARTS.len()],
            faults,
        }
    }

    /// All worlds that the next action can lead to.
    fn next(&self, mistake: Mistake) -> Vec<World> {
        let mut worlds = Vec::new();
        let mut act = |act: &dyn Fn(&mut World)| {
            let mut world = self.clone();
            act(&mut world);
            worlds.push(world);
        };
        match &self.source {
            None => act(&World::start_source),
            Some(_) => {
                act(&World::send);
                act(&World::listen);
                for thread in 0..self.copying.len() {
                    match self.copying[thread] {
                        None => act(&|world| world.copy(thread)),
                        Some(_) => {
                            act(&|world| world.arrive(thread, true, mistake));
                            act(&|world| {
                                world.strike(
                                    |faults| &mut faults.damaged,
                                    |world| world.arrive(thread, false, mistake),
                                );
                            });
                        }
                    }
                }
                act(&|world| world.strike(|faults| &mut faults.source_killed, World::kill_source));
            }
        }
        match &self.target {
            None => act(&|world| world.start_target(mistake)),
            Some(_) => {
                act(&|world| world.receive(mistake));
                act(&|world| world.strike(|faults| &mut faults.target_killed, World::kill_target));
                act(&|world| world.strike(|faults| &mut faults.target_killed, World::kill_target_halfway));
                act(&|world| world.strike(|faults| &mut faults.broken, World::break_receive));
                act(&|world| world.strike(|faults| &mut faults.refused, World::refuse));
            }
        }
        worlds
    }

    fn strike(&mut self, of: fn(&mut Faults) -> &mut u8, act: impl Fn(&mut World)) {
        if self.faults.all > 0 && *of(&mut self.faults) > 0 {
            let before = self.clone();
            act(self);
            if *self != before {
                *of(&mut self.faults) -= 1;
                self.faults.all -= 1;
            }
        }
    }

    fn start_source(&mut self) {
        let staged = |image: &Image, _| {
            let (attempt, parts, whole) = *self.scratch.get(&image.index)?;
            let bytes = if self.released[image.index] { 0 } else { u64::from(parts) };
            let whole = whole && !self.released[image.index];
            (parts > 0).then_some(Staged { attempt, parts, bytes, whole })
        };
        // Room for two parts of the three.
        self.source = Source::new(&images(), 0, staged, &self.report, Bytes(2), Bytes(1));
        self.listen();
    }

    fn send(&mut self) {
        let Some(source) = &mut self.source else { return };
        let Some((send, number)) = self.sending else {
            let Some(send) = source.send().unwrap() else { return };
            if send.afresh {
                self.scratch.insert(send.image, (send.attempt, 0, false));
            }
            self.sending = Some((send, 0));
            return;
        };
        let parts = PARTS[send.image];
        match source.room(send.image) {
            Room::Full => {}
            Room::Unwanted => {
                source.stopped(send.image);
                self.sending = None;
            }
            Room::Go => {
                let scratch = self.scratch.entry(send.image).or_insert((send.attempt, 0, false));
                let there = if number < scratch.1 { There::Perhaps } else { There::No };
                *scratch = (send.attempt, scratch.1.max(number + 1), scratch.2 || number + 1 == parts);
                self.released[send.image] = false;
                source.staged(Part { image: send.image, number }, 1, there);
                if number + 1 == parts {
                    source.sent(send.image);
                    self.sending = None;
                } else {
                    self.sending = Some((send, number + 1));
                }
            }
        }
    }

    fn copy(&mut self, thread: usize) {
        let Some(source) = &mut self.source else { return };
        let Some((part, there)) = source.copy() else { return };
        assert!(!self.released[part.image], "{part:?} was released before it was copied");
        let attempt = self.scratch[&part.image].0;
        self.copying[thread] = Some((part, there, File { attempt, good: true }));
    }

    fn arrive(&mut self, thread: usize, good: bool, mistake: Mistake) {
        let Some((part, there, file)) = self.copying[thread].take() else { return };
        let is_there =
            there != There::No && self.dropbox.get(&part).is_some_and(|f| f.attempt == file.attempt);
        let Some(source) = &mut self.source else { return };
        if !is_there && there == There::Once {
            return source.missing(part);
        }
        if !is_there {
            self.dropbox.insert(part, File { good, ..file });
        }
        source.copied(part);
        if mistake == Mistake::EarlyRelease {
            self.released[part.image] = true;
        }
    }

    fn listen(&mut self) {
        let Some(source) = &mut self.source else { return };
        for image in source.heard(&self.report).unwrap().release {
            self.released[image] = true;
        }
    }

    fn kill_source(&mut self) {
        self.source = None;
        self.sending = None;
        self.copying = [None, None];
    }

    fn start_target(&mut self, mistake: Mistake) {
        self.runs += u64::from(mistake != Mistake::SameRun || self.runs == 0);
        let here = |image: usize| self.here[image].as_ref().map(|_| guid(image));
        let progress = Progress { run: self.runs, ..Progress::default() };
        self.target = Some(Target::new(&images(), here, progress));
    }

    fn receive(&mut self, mistake: Mistake) {
        let Some(mut target) = self.target.take() else { return };
        let image = target.image();
        match target.next() {
            Order::Look(number) => target.looked(match self.dropbox.get(&Part { image, number }) {
                None => Look::Absent,
                Some(file) => Look::Sound(Sound {
                    attempt: file.attempt,
                    guid: guid(image),
                    last: number + 1 == PARTS[image],
                }),
            }),
            Order::Wait => {
                self.report = target.progress().clone();
                target.waited();
            }
            Order::Discard => {
                self.here[image] = None;
                target.discarded();
            }
            Order::Begin => {
                self.fed = Some(Vec::new());
                target.begun();
            }
            Order::Feed(number) => match self.dropbox.get(&Part { image, number }) {
                Some(file) if file.good || mistake == Mistake::Unverified => {
                    self.fed.as_mut().unwrap().push((file.attempt, number, file.good));
                    target.fed(Fed::Whole);
                }
                _ => target.fed(Fed::Damaged),
            },
            Order::End => {
                self.here[image] = self.fed.take();
                assert!(target.ended(Ended::Received));
            }
            Order::Stop => {
                self.fed = None;
                target.stopped();
            }
            Order::Ask(number) => {
                self.dropbox.remove(&Part { image, number });
                self.report = target.progress().clone();
                target.asked();
            }
            Order::Drop => {
                self.dropbox.retain(|part, _| part.image != image);
                self.report = target.progress().clone();
                target.dropped();
            }
            Order::Release => {
                self.report = target.progress().clone();
                self.dropbox.retain(|part, _| part.image != image);
                target.released();
            }
            Order::Done => self.report = target.progress().clone(),
        }
        self.target = Some(target);
    }

    fn kill_target(&mut self) {
        self.target = None;
        self.fed = None;
    }

    /// Killed after an effect and before its report.
    fn kill_target_halfway(&mut self) {
        let Some(target) = &self.target else { return };
        let image = target.image();
        match target.next() {
            Order::Ask(number) => drop(self.dropbox.remove(&Part { image, number })),
            Order::Drop => self.dropbox.retain(|part, _| part.image != image),
            Order::Release => self.report = target.progress().clone(),
            Order::End => self.here[image] = self.fed.take(),
            _ => return,
        }
        self.kill_target();
    }

    fn break_receive(&mut self) {
        let Some(target) = &mut self.target else { return };
        if matches!(target.next(), Order::Feed(_) | Order::End) {
            self.fed = None;
            assert!(target.ended(Ended::Broken));
        }
    }

    fn refuse(&mut self) {
        let Some(target) = &mut self.target else { return };
        if matches!(target.next(), Order::Feed(_)) {
            target.fed(Fed::Refused);
        }
    }

    fn is_final(&self) -> bool {
        self.source.as_ref().is_some_and(Source::is_complete)
            && self.target.as_ref().is_some_and(|target| target.next() == Order::Done)
    }

    /// What must hold in every state.
    fn check(&self) -> Result<(), String> {
        for (image, here) in self.here.iter().enumerate() {
            if self.released[image] && here.is_none() {
                return Err(format!("image {image} left the scratch and was not received"));
            }
            let Some(fed) = here else { continue };
            let whole = fed.iter().map(|(_, number, _)| *number).eq(0..PARTS[image]);
            if !whole || fed.iter().any(|(attempt, _, good)| *attempt != fed[0].0 || !good) {
                return Err(format!("image {image} was received from {fed:?}"));
            }
        }
        Ok(())
    }
}

/// Visits every state. Everything must lead to the end, wherever it is.
fn explore(faults: Faults, mistake: Mistake) -> Result<usize, String> {
    let start = World::new(faults);
    let mut index = HashMap::from([(start.clone(), 0usize)]);
    let mut worlds = vec![start];
    let mut before: Vec<Vec<usize>> = vec![Vec::new()];
    let mut at = 0;
    while at < worlds.len() {
        worlds[at].check()?;
        for next in worlds[at].next(mistake) {
            let to = *index.entry(next).or_insert_with_key(|next| {
                worlds.push(next.clone());
                before.push(Vec::new());
                worlds.len() - 1
            });
            if to != at {
                before[to].push(at);
            }
        }
        at += 1;
    }
    let mut open: Vec<usize> = (0..worlds.len()).filter(|&i| worlds[i].is_final()).collect();
    let mut ends = vec![false; worlds.len()];
    while let Some(i) = open.pop() {
        if !std::mem::replace(&mut ends[i], true) {
            open.extend(&before[i]);
        }
    }
    match ends.iter().position(|ends| !ends) {
        None => Ok(worlds.len()),
        Some(stuck) => Err(format!("no way to the end from {:#?}", worlds[stuck])),
    }
}

const ALL: Faults = Faults { damaged: 1, source_killed: 1, target_killed: 1, broken: 1, refused: 1, all: 1 };

#[test]
fn one_fault_anywhere_stops_no_transfer() {
    let states = explore(ALL, Mistake::None).unwrap_or_else(|why| panic!("{why}"));
    eprintln!("{states} states");
    assert!(states > 10_000, "{states}");
}

#[test]
fn a_damaged_part_and_a_killed_target_stop_no_transfer() {
    let faults = Faults { source_killed: 0, broken: 0, refused: 0, all: 2, ..ALL };
    let states = explore(faults, Mistake::None).unwrap_or_else(|why| panic!("{why}"));
    eprintln!("{states} states");
}

#[test]
fn a_refused_stream_and_a_killed_source_stop_no_transfer() {
    let faults = Faults { target_killed: 0, broken: 0, damaged: 0, all: 2, ..ALL };
    let states = explore(faults, Mistake::None).unwrap_or_else(|why| panic!("{why}"));
    eprintln!("{states} states");
}

#[test]
fn the_walk_catches_every_seeded_mistake() {
    let one = |mistake, faults| explore(faults, mistake).unwrap_err();
    let two = Faults { all: 2, ..ALL };
    assert!(one(Mistake::Unverified, ALL).contains("was received from"));
    assert!(one(Mistake::EarlyRelease, ALL).contains("left the scratch"));
    let twice = Faults { source_killed: 0, broken: 0, refused: 0, ..two };
    assert!(one(Mistake::SameRun, twice).contains("no way to the end"));
}
