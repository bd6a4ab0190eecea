//! Single decisions of both machines.

use std::collections::BTreeMap;

use super::source::{Fault, Heard, Part, Room, Send, Source, Staged, There};
use super::target::{Ended, Fed, Look, Order, Sound, Target};
use crate::job::image::Image;
use crate::job::name::{Bytes, DatasetName, Guid, SnapshotName};
use crate::job::progress::{ImageProgress, Progress};

fn image(name: &str, from: Option<&str>, to: &str, guid: u64) -> Image {
    let snapshot = |name: &str| SnapshotName::new(name).unwrap();
    Image {
        index: 0,
        dataset: DatasetName::new(name).unwrap(),
        from: from.map(snapshot),
        to: snapshot(to),
        guid: Some(Guid(guid)),
        stem: format!("{name}@{to}"),
    }
}

/// Two images of one dataset: a full one, and the difference to it.
fn images() -> Vec<Image> {
    vec![image("p/z", None, "a", 1), image("p/z", Some("a"), "b", 2)]
}

fn progress(run: u64, name: &str, told: ImageProgress) -> Progress {
    Progress { run, images: BTreeMap::from([(name.to_owned(), told)]), waiting: None }
}

fn source(staged: impl FnMut(&Image, Guid) -> Option<Staged>, progress: &Progress) -> Source {
    Source::new(&images(), 2, staged, progress, Bytes(10), Bytes(4)).unwrap()
}

fn part(image: usize, number: u32) -> Part {
    Part { image, number }
}

#[test]
fn attempts_count_up_from_the_generation_and_from_what_the_target_saw() {
    let fresh = source(|_, _| None, &Progress::default()).send();
    assert_eq!(fresh, Ok(Some(Send { image: 0, attempt: 2000, afresh: true })));
    let seen = progress(1, "p/z@a", ImageProgress { attempt: 2004, ..Default::default() });
    let after = source(|_, _| None, &seen).send();
    assert_eq!(after, Ok(Some(Send { image: 0, attempt: 2005, afresh: true })));
    let kept = |image: &Image, _| {
        let staged = Staged { attempt: 2003, parts: 1, bytes: 4, whole: false };
        (image.name() == "p/z@a").then_some(staged)
    };
    let same = source(kept, &seen).send();
    assert_eq!(same, Ok(Some(Send { image: 0, attempt: 2003, afresh: false })));
}

#[test]
fn staged_parts_are_copied_in_the_order_in_which_they_are_needed() {
    let whole = |_: &Image, _| Some(Staged { attempt: 2000, parts: 2, bytes: 8, whole: true });
    let mut source = source(whole, &Progress::default());
    assert_eq!(source.send(), Ok(None));
    let order: Vec<_> = std::iter::from_fn(|| source.copy()).collect();
    let all = [part(0, 0), part(0, 1), part(1, 0), part(1, 1)].map(|part| (part, There::Perhaps));
    assert_eq!(order, all);
    assert!(!source.is_idle(), "they are under way");
    all.iter().for_each(|(part, _)| source.copied(*part));
    assert!(source.is_idle() && source.is_sent() && !source.is_complete());
}

#[test]
fn sending_waits_for_room_until_an_image_is_released() {
    let mut source = source(|_, _| None, &Progress::default());
    source.send().unwrap();
    assert_eq!(source.room(0), Room::Go);
    source.staged(part(0, 0), 4, There::No);
    assert_eq!(source.room(0), Room::Go);
    source.staged(part(0, 1), 4, There::No);
    source.sent(0);
    source.send().unwrap();
    assert_eq!(source.room(1), Room::Full);
    let other = progress(0, "p/z@a", ImageProgress { guid: Some(Guid(9)), ..Default::default() });
    assert_eq!(source.heard(&other).unwrap(), Heard::default(), "another snapshot's guid releases nothing");
    let done = progress(0, "p/z@a", ImageProgress { guid: Some(Guid(1)), ..Default::default() });
    assert_eq!(source.heard(&done).unwrap().release, [0]);
    assert_eq!(source.heard(&done).unwrap().release, [0usize; 0], "once");
    assert_eq!(source.room(1), Room::Go);
}

#[test]
fn a_restart_waits_for_the_parts_under_way() {
    let mut source = source(|_, _| None, &Progress::default());
    source.send().unwrap();
    source.staged(part(0, 0), 1, There::No);
    source.staged(part(0, 1), 1, There::No);
    assert_eq!(source.copy(), Some((part(0, 0), There::No)));
    let wanted = progress(0, "p/z@a", ImageProgress { attempt: 2000, restart: true, ..Default::default() });
    assert_eq!(source.heard(&wanted).unwrap().restart, [0]);
    assert_eq!(source.heard(&wanted).unwrap(), Heard::default(), "once");
    assert_eq!((source.room(0), source.is_wanted(part(0, 0))), (Room::Unwanted, false));
    source.stopped(0);
    assert_eq!(source.copy(), None, "nothing of the old attempt is copied");
    assert_eq!(source.send().unwrap().map(|send| send.image), Some(1), "meanwhile the next image");
    source.copied(part(0, 0));
    assert_eq!(source.send(), Ok(Some(Send { image: 0, attempt: 2001, afresh: true })));
}

#[test]
fn a_complaint_is_acted_on_once() {
    let again = |run, times| {
        let again = BTreeMap::from([(0, times), (7, 1)]);
        progress(run, "p/z@a", ImageProgress { attempt: 2000, again, ..Default::default() })
    };
    let mut source = source(|_, _| None, &Progress::default());
    source.send().unwrap();
    source.staged(part(0, 0), 1, There::No);
    source.copy().unwrap();
    source.copied(part(0, 0));
    assert_eq!(source.heard(&again(0, 1)).unwrap().again, [part(0, 0)], "7 was never staged");
    assert_eq!(source.copy(), Some((part(0, 0), There::No)));
    source.copied(part(0, 0));
    assert_eq!(source.heard(&again(0, 1)).unwrap(), Heard::default());
    // Another process counts from the beginning.
    assert_eq!(source.heard(&again(1, 1)).unwrap().again, [part(0, 0)]);
    let fault = source.heard(&again(1, 5)).unwrap_err();
    assert_eq!(fault, Fault::Damaged { part: part(0, 0), times: 5 });
}

#[test]
fn a_new_process_of_the_target_makes_the_source_look_again() {
    let mut source = source(|_, _| None, &Progress::default());
    source.send().unwrap();
    source.staged(part(0, 0), 1, There::No);
    source.copy().unwrap();
    source.copied(part(0, 0));
    source.heard(&Progress::default()).unwrap();
    assert_eq!(source.copy(), None);
    source.heard(&Progress { run: 1, ..Progress::default() }).unwrap();
    assert_eq!(source.copy(), Some((part(0, 0), There::Once)));
}

#[test]
fn an_image_that_is_refused_again_and_again_is_given_up() {
    let mut source = source(|_, _| None, &Progress::default());
    for attempt in 2000..2003 {
        assert_eq!(source.send(), Ok(Some(Send { image: 0, attempt, afresh: true })));
        source.sent(0);
        let restart = ImageProgress { attempt, restart: true, ..Default::default() };
        source.heard(&progress(0, "p/z@a", restart)).unwrap();
    }
    assert_eq!(source.send(), Err(Fault::Unreceivable { image: 0, sendings: 3 }));
}

fn sound(attempt: u32, guid: u64, last: bool) -> Look {
    Look::Sound(Sound { attempt, guid: Guid(guid), last })
}

/// Plays a receive of one part.
fn receive(target: &mut Target, attempt: u32, guid: u64) {
    assert_eq!(target.next(), Order::Look(0));
    target.looked(sound(attempt, guid, true));
    assert_eq!(target.next(), Order::Discard);
    target.discarded();
    assert_eq!(target.next(), Order::Begin);
    target.begun();
    target.looked(sound(attempt, guid, true));
    assert_eq!(target.next(), Order::Feed(0));
    target.fed(Fed::Whole);
    assert_eq!(target.next(), Order::End);
}

#[test]
fn a_chain_of_images_is_received_in_its_order() {
    let mut target = Target::new(&images(), |_| None, Progress::default());
    for (at, guid) in [(0, 1), (1, 2)] {
        assert_eq!(target.image(), at);
        receive(&mut target, 5, guid);
        assert!(target.ended(Ended::Received));
        assert_eq!(target.next(), Order::Release);
        target.released();
    }
    assert_eq!(target.next(), Order::Done);
    assert!(target.guids().eq([Some(Guid(1)), Some(Guid(2))]));
    let told = &target.progress().images;
    assert_eq!((told["p/z@a"].guid, &told["p/z@a"].from), (Some(Guid(1)), &None));
    assert_eq!((told["p/z@b"].guid, &told["p/z@b"].from), (Some(Guid(2)), &images()[1].from));
}

#[test]
fn what_is_here_is_reported_before_anything_else() {
    let target = Target::new(&images(), |i| (i == 1).then_some(Guid(2)), Progress::default());
    assert_eq!(target.progress().images["p/z@b"].guid, Some(Guid(2)));
    assert_eq!((target.image(), target.next()), (0, Order::Look(0)));
}

#[test]
fn a_receive_that_breaks_three_times_is_given_up() {
    let mut target = Target::new(&images(), |_| None, Progress::default());
    for is_tried_again in [true, true, false] {
        receive(&mut target, 5, 1);
        assert_eq!(target.ended(Ended::Broken), is_tried_again);
    }
}

#[test]
fn a_lower_attempt_is_waited_out() {
    let mut target = Target::new(&images(), |_| None, Progress::default());
    target.looked(sound(5, 1, false));
    target.discarded();
    target.begun();
    target.looked(sound(5, 1, false));
    target.fed(Fed::Whole);
    target.looked(sound(4, 1, false));
    assert_eq!(target.next(), Order::Wait, "of an older attempt");
    target.waited();
    target.looked(sound(6, 1, false));
    assert_eq!(target.next(), Order::Stop, "of a newer one");
    target.stopped();
    target.looked(sound(5, 1, false));
    assert_eq!(target.next(), Order::Wait, "the newer first part is still to come");
    target.waited();
    target.looked(sound(6, 1, false));
    assert_eq!(target.next(), Order::Discard);
}

#[test]
fn a_refused_attempt_is_not_received_in_a_later_call() {
    let mut target = Target::new(&images(), |_| None, Progress::default());
    receive(&mut target, 5, 1);
    target.ended(Ended::Refused);
    assert_eq!(target.next(), Order::Drop);
    target.dropped();
    assert!(target.progress().images["p/z@a"].restart);
    let mut later = Target::new(&images(), |_| None, target.into_progress());
    later.looked(sound(5, 1, true));
    assert_eq!(later.next(), Order::Wait);
    later.waited();
    later.looked(sound(6, 1, true));
    assert_eq!(later.next(), Order::Discard);
    assert!(!later.progress().images["p/z@a"].restart);
}
