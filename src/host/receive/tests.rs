//! Receiving with a `zfs` that compares what it is fed. The source is played where [`Receive::wait`] is
//! called: the receive then has nothing to do.

use std::cell::{Cell, RefCell};
use std::fs;

use super::*;
use crate::host::fixture::Fixture;
use crate::job::name::Bytes;

const FULL: &[u8] = include_bytes!("../../../tests/samples/streams/full");

/// The size of a part: the stream has three.
const PART: usize = 20_000;

/// The guid in the stream's first record.
fn guid() -> Guid {
    let mut checker = crate::stream::Checker::new(crate::stream::Accepts { features: FeatureSet::OPENZFS });
    checker.feed(FULL).unwrap();
    checker.finish().unwrap().begin.toguid
}

fn fixture() -> Fixture {
    let fixture = Fixture::new(guid(), PART as u64);
    fixture.stream(FULL);
    fixture
}

fn put(fixture: &Fixture, attempt: u32, number: u32, stream: &[u8]) {
    let parts: Vec<&[u8]> = stream.chunks(PART).collect();
    fixture.put(attempt, number, number as usize + 1 == parts.len(), parts[number as usize]);
}

/// Receives. At the n-th wait, `source` is played; it ends the call by `false`.
fn receive(
    fixture: &Fixture,
    mut source: impl FnMut(usize, &Progress) -> bool,
) -> (Result<Received, StepError>, Progress) {
    let (inbox, live) = (fixture.inbox(), Live::default());
    let (waits, reported) = (Cell::new(0), RefCell::new(Progress::default()));
    let over = std::sync::atomic::AtomicBool::new(false);
    let source = RefCell::new(&mut source);
    let receive = Receive {
        programs: &fixture.programs,
        job: &fixture.job,
        layout: &fixture.layout,
        inbox: &inbox,
        features: FeatureSet::OPENZFS,
        live: &live,
        report: &|progress, _| *reported.borrow_mut() = progress.clone(),
        wait: &|_| {
            let is_on = source.borrow_mut()(waits.get(), &reported.borrow());
            waits.set(waits.get() + 1);
            over.store(!is_on || waits.get() > 20, std::sync::atomic::Ordering::Relaxed);
        },
        interrupted: &|| over.load(std::sync::atomic::Ordering::Relaxed),
    };
    let mut progress = Progress { run: 1, ..Progress::default() };
    (receive.run(&mut progress), progress)
}

fn assert_received(fixture: &Fixture, result: Result<Received, StepError>) {
    let all = [(fixture.image.dataset.clone(), guid())].into();
    assert_eq!(result.unwrap(), Received::All(all));
    assert_eq!(fs::read(fixture.path("bin/fed")).unwrap(), FULL);
    let left: Vec<_> = fs::read_dir(fixture.arrived("")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn parts_are_received_as_they_arrive() {
    let fixture = fixture();
    let (result, progress) = receive(&fixture, |wait, _| {
        put(&fixture, 1, wait as u32, FULL);
        true
    });
    assert_received(&fixture, result);
    let told = &progress.images[&fixture.image.name()];
    assert_eq!((told.attempt, told.guid, told.bytes), (1, Some(guid()), Bytes(FULL.len() as u64)));
    assert_eq!(fixture.runs("receive"), 1);
}

#[test]
fn a_damaged_part_is_asked_for_again() {
    let fixture = fixture();
    (0..3).for_each(|number| put(&fixture, 1, number, FULL));
    let part = fixture.arrived(&part_name(&fixture.image.stem, 1));
    let mut bytes = fs::read(&part).unwrap();
    bytes[77] ^= 1;
    fs::write(&part, bytes).unwrap();
    let (result, _) = receive(&fixture, |_, progress| {
        assert_eq!(progress.images[&fixture.image.name()].again, [(1, 1)].into());
        assert!(!part.exists());
        put(&fixture, 1, 1, FULL);
        true
    });
    assert_received(&fixture, result);
    assert_eq!(fixture.runs("receive"), 1, "the receive waits meanwhile");
}

#[test]
fn a_torn_entry_is_asked_for_again() {
    let fixture = fixture();
    (0..3).for_each(|number| put(&fixture, 1, number, FULL));
    fs::write(fixture.arrived(&entry_name(&fixture.image.stem, 0)), "{\"v\":").unwrap();
    let (result, _) = receive(&fixture, |_, progress| {
        let told = &progress.images[&fixture.image.name()];
        assert_eq!((told.attempt, &told.again), (0, &[(0, 1)].into()));
        put(&fixture, 1, 0, FULL);
        true
    });
    assert_received(&fixture, result);
}

#[test]
fn a_wrong_stream_is_wanted_with_a_higher_attempt() {
    let fixture = fixture();
    let mut wrong = FULL.to_vec();
    wrong[30_000] ^= 1;
    (0..3).for_each(|number| put(&fixture, 4, number, &wrong));
    let (result, _) = receive(&fixture, |wait, progress| {
        let told = &progress.images[&fixture.image.name()];
        assert!(told.restart && told.attempt == 4, "{told:?}");
        // A part of the refused attempt that was on its way is not received.
        let attempt = if wait == 0 { 4 } else { 5 };
        (0..3).for_each(|number| put(&fixture, attempt, number, if wait == 0 { &wrong } else { FULL }));
        true
    });
    assert_received(&fixture, result);
    assert_eq!(fixture.runs("receive"), 2);
}

#[test]
fn a_broken_receive_begins_again_from_its_parts() {
    let fixture = fixture();
    fixture.break_receive();
    (0..3).for_each(|number| put(&fixture, 1, number, FULL));
    let (result, _) = receive(&fixture, |_, _| false);
    assert_received(&fixture, result);
    assert_eq!(fixture.runs("receive"), 2);
}

#[test]
fn a_higher_attempt_replaces_the_running_receive() {
    let fixture = fixture();
    put(&fixture, 1, 0, FULL);
    let (result, _) = receive(&fixture, |wait, _| {
        // Parts may overtake each other.
        match wait {
            0 => put(&fixture, 2, 1, FULL),
            1 => put(&fixture, 2, 0, FULL),
            _ => put(&fixture, 2, 2, FULL),
        }
        true
    });
    assert_received(&fixture, result);
    assert_eq!(fixture.runs("receive"), 2);
}

#[test]
fn an_image_of_an_earlier_call_is_not_received_again() {
    let fixture = fixture();
    (0..3).for_each(|number| put(&fixture, 1, number, FULL));
    let (result, _) = receive(&fixture, |_, _| false);
    assert_received(&fixture, result);
    let (result, progress) = receive(&fixture, |_, _| false);
    assert_received(&fixture, result);
    assert_eq!(progress.images[&fixture.image.name()].guid, Some(guid()));
    assert_eq!(fixture.runs("receive"), 1);
}
