//! Sending with a `zfs` that prints a given stream. The target is played where [`Send::interrupted`] is
//! asked, which the listening thread does again and again.

use std::fs;
use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::host::fixture::Fixture;
use crate::job::name::Guid;
use crate::job::part::{entry_name, part_name};
use crate::job::progress::ImageProgress;
use crate::stream::CHUNK;
use crate::transport::directory::Directory;

const GUID: Guid = Guid(7);

/// A stream of two parts and a half.
fn stream() -> Vec<u8> {
    (0..2 * CHUNK + CHUNK / 2).map(|i| (i % 251) as u8).collect()
}

fn fixture() -> Fixture {
    let fixture = Fixture::new(GUID, CHUNK as u64);
    fixture.stream(&stream());
    fixture
}

/// Sends; `target` is played until it says that the call is to be interrupted.
fn send(fixture: &Fixture, target: impl FnMut() -> bool + std::marker::Send) -> Result<Sent, StepError> {
    let (stage, live) = (Stage::new(&fixture.path("scratch"), &fixture.job.id), Live::default());
    let dropbox = Dropbox::Directory(Directory::new(&fixture.path("dropbox"), &fixture.job.id));
    let (target, begun) = (Mutex::new(target), Instant::now());
    let send = Send {
        programs: &fixture.programs,
        job: &fixture.job,
        wire: Wire::Usual,
        stage: &stage,
        share: Bytes(1 << 30),
        dropbox: &dropbox,
        connections: 2,
        pace: &|_, _| true,
        live: &live,
        deferred: &|why| panic!("{why}"),
        interrupted: &|| {
            assert!(begun.elapsed() < Duration::from_secs(60), "the sending does not end");
            target.try_lock().is_ok_and(|mut target| target())
        },
        elapsed: &|| begun.elapsed(),
    };
    send.run()
}

/// What the target reports.
fn report(fixture: &Fixture, run: u64, image: ImageProgress) {
    let images = [(fixture.image.name(), image)].into();
    fixture.report(&Progress { run, images, waiting: None });
}

fn received() -> ImageProgress {
    ImageProgress { attempt: 1000, guid: Some(GUID), ..ImageProgress::default() }
}

fn part(fixture: &Fixture, number: u32) -> std::path::PathBuf {
    fixture.arrived(&part_name(&fixture.image.stem, number))
}

fn has_all(fixture: &Fixture, attempt: u32) -> bool {
    (0..3).all(|number| fixture.entry(number).is_some_and(|entry| entry.attempt == attempt))
}

#[test]
fn an_image_is_delivered_when_its_guid_is_reported() {
    let fixture = fixture();
    let sent = send(&fixture, || {
        if has_all(&fixture, 1000) {
            report(&fixture, 1, received());
        }
        false
    });
    let Ok(Sent::Delivered { bytes, .. }) = sent else { panic!("{sent:?}") };
    assert_eq!(bytes, Bytes(stream().len() as u64));
    let arrived: Vec<u8> = (0..3).flat_map(|number| fs::read(part(&fixture, number)).unwrap()).collect();
    assert_eq!(arrived, stream());
    let scratch = fixture.path("scratch/out").join(fixture.job.id.as_str());
    for number in 0..3 {
        assert!(!scratch.join(part_name(&fixture.image.stem, number)).exists());
        assert!(scratch.join(entry_name(&fixture.image.stem, number)).exists());
    }
}

#[test]
fn a_part_that_arrived_damaged_is_copied_again() {
    let fixture = fixture();
    let mut complained = false;
    let sent = send(&fixture, || {
        if has_all(&fixture, 1000) {
            if !complained {
                fs::remove_file(part(&fixture, 1)).unwrap();
                fs::remove_file(fixture.arrived(&entry_name(&fixture.image.stem, 1))).unwrap();
                report(&fixture, 1, ImageProgress { again: [(1, 1)].into(), guid: None, ..received() });
                complained = true;
            } else {
                report(&fixture, 1, received());
            }
        }
        false
    });
    assert!(matches!(sent, Ok(Sent::Delivered { .. })), "{sent:?}");
    assert!(part(&fixture, 1).exists());
    assert_eq!(fixture.runs("send"), 1);
}

#[test]
fn a_part_that_keeps_arriving_damaged_fails_the_step() {
    let fixture = fixture();
    let sent = send(&fixture, || {
        if has_all(&fixture, 1000) {
            report(&fixture, 1, ImageProgress { again: [(1, 5)].into(), guid: None, ..received() });
        }
        false
    });
    let error = sent.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permanent);
    assert!(error.text.ends_with("000001 arrived damaged 5 times"), "{error}");
}

#[test]
fn a_refused_image_is_sent_with_a_higher_attempt() {
    let fixture = fixture();
    let sent = send(&fixture, || {
        if has_all(&fixture, 1001) {
            report(&fixture, 1, ImageProgress { attempt: 1001, ..received() });
        } else if has_all(&fixture, 1000) {
            report(&fixture, 1, ImageProgress { restart: true, guid: None, ..received() });
        }
        false
    });
    assert!(matches!(sent, Ok(Sent::Delivered { .. })), "{sent:?}");
    assert_eq!(fixture.runs("send"), 2);
}

#[test]
fn the_next_call_copies_only_parts_that_are_missing() {
    let fixture = fixture();
    let sent = send(&fixture, || has_all(&fixture, 1000));
    assert!(matches!(sent, Ok(Sent::Interrupted)), "{sent:?}");
    fs::write(part(&fixture, 0), "kept").unwrap();
    fs::remove_file(fixture.arrived(&entry_name(&fixture.image.stem, 2))).unwrap();
    fs::remove_file(part(&fixture, 2)).unwrap();
    let sent = send(&fixture, || {
        if has_all(&fixture, 1000) {
            report(&fixture, 1, received());
        }
        false
    });
    assert!(matches!(sent, Ok(Sent::Delivered { .. })), "{sent:?}");
    assert_eq!(fs::read(part(&fixture, 0)).unwrap(), b"kept");
    assert_eq!(fs::read(part(&fixture, 2)).unwrap(), stream()[2 * CHUNK..]);
    assert_eq!(fixture.runs("send"), 1);
}

#[test]
fn a_stream_that_changed_is_sent_with_a_higher_attempt() {
    let fixture = fixture();
    drop(send(&fixture, || has_all(&fixture, 1000)));
    let scratch = fixture.path("scratch/out").join(fixture.job.id.as_str());
    fs::remove_file(scratch.join(part_name(&fixture.image.stem, 2))).unwrap();
    let other: Vec<u8> = stream().iter().map(|byte| !byte).collect();
    fixture.stream(&other);
    let sent = send(&fixture, || {
        if has_all(&fixture, 1001) {
            report(&fixture, 1, ImageProgress { attempt: 1001, ..received() });
        }
        false
    });
    assert!(matches!(sent, Ok(Sent::Delivered { .. })), "{sent:?}");
    assert_eq!(fs::read(part(&fixture, 0)).unwrap(), other[..CHUNK]);
}
