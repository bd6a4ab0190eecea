//! Target: one `zfs receive`, fed part after part with what was checked in memory.

use std::io::{self, Read, Write};

use super::{Receive, Work};
use crate::cmd::zfs::Zfs;
use crate::host::{StepError, allowance};
use crate::job::image::Image;
use crate::job::name::Bytes;
use crate::job::part::{Entry, part_name};
use crate::job::transfer::target::{Ended, Fed, Order};
use crate::process::Streaming;
use crate::stream::{Accepts, CHUNK, Checker, FeatureSet, StreamErrorKind};

/// A running receive.
pub(super) struct Feed {
    child: Streaming,
    checker: Checker,
    buffer: Vec<u8>,
    /// Bytes fed in all.
    fed: u64,
    /// The part that is fed, and how many of its chunks were good: after a damaged copy the next copy goes on
    /// after them.
    chunks: (u32, usize),
}

/// How feeding one part ended.
enum Outcome {
    Fed(Fed),
    Interrupted,
    /// `zfs receive` no longer reads.
    Closed,
}

impl Feed {
    pub fn new(child: Streaming, features: FeatureSet) -> Self {
        let checker = Checker::new(Accepts { features });
        Self { child, checker, buffer: vec![0; CHUNK], fed: 0, chunks: (0, 0) }
    }
}

impl Receive<'_> {
    /// Carries out orders until this receive has ended; `false` when something else is to be looked at first.
    pub(super) fn feed(&self, work: &mut Work, mut feed: Feed) -> Result<bool, StepError> {
        let Some(mut stdin) = feed.child.take_stdin() else {
            return Err(StepError::transient("zfs receive has no stdin"));
        };
        loop {
            match work.machine.next() {
                Order::Feed(number) => {
                    let Some(entry) = work.entry.take() else {
                        work.machine.fed(Fed::Damaged);
                        continue;
                    };
                    match self.part(work, &entry, number, &mut feed, &mut stdin)? {
                        Outcome::Fed(fed) => work.machine.fed(fed),
                        Outcome::Interrupted => return Ok(false),
                        Outcome::Closed => {
                            drop(stdin);
                            let said = feed.child.wait()?.stderr;
                            if (self.interrupted)() {
                                return Ok(false);
                            }
                            let error = self.means(work.image(), feed.fed, &said);
                            self.broken(&mut work.machine, error)?;
                            return Ok(true);
                        }
                    }
                }
                Order::End => {
                    drop(stdin);
                    return self.end(work, feed);
                }
                Order::Stop => {
                    // The receive ends by a stream that is cut short, and removes what it made.
                    drop(stdin);
                    drop(feed.child.wait());
                    work.machine.stopped();
                    return Ok(true);
                }
                order => {
                    if !self.between(work, order)? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// The stream is over: what came of it? Its stdin is closed.
    fn end(&self, work: &mut Work, feed: Feed) -> Result<bool, StepError> {
        let output = feed.child.wait()?;
        if !output.status.is_ok() && (self.interrupted)() {
            return Ok(false);
        }
        let image = work.image();
        let announced = work.machine.announced();
        let wrong = match feed.checker.finish() {
            Ok(summary) if Some(summary.begin.toguid) == announced => None,
            Ok(_) => Some("its guid is not the announced one".to_owned()),
            Err(why) => Some(why.to_string()),
        };
        if let Some(why) = wrong {
            self.live.note(&format!("image {}: {why}", image.stem));
            work.machine.ended(Ended::Refused);
            return Ok(true);
        }
        let snapshot = self.place(image).quarantine.at(&image.to);
        if announced.is_some() && Zfs::new(self.programs).guid(&snapshot)? == announced {
            work.machine.ended(Ended::Received);
            return Ok(true);
        }
        let error = self.means(image, feed.fed, &output.stderr);
        self.broken(&mut work.machine, error)?;
        Ok(true)
    }

    /// Feeds one part.
    fn part(
        &self,
        work: &mut Work,
        entry: &Entry,
        number: u32,
        feed: &mut Feed,
        stdin: &mut impl Write,
    ) -> Result<Outcome, StepError> {
        let (place, stem) = (work.machine.image(), work.image().stem.clone());
        if feed.chunks.0 != number {
            feed.chunks = (number, 0);
        }
        let Some(mut file) = self.inbox.open_part(&part_name(&stem, number))? else {
            return Ok(Outcome::Fed(Fed::Damaged));
        };
        let good = (feed.chunks.1 * CHUNK) as u64;
        if io::Seek::seek(&mut file, io::SeekFrom::Start(good)).is_err() {
            return Ok(Outcome::Fed(Fed::Damaged));
        }
        while let Some(length) = entry.digest.chunk_len(feed.chunks.1) {
            let bytes = &mut feed.buffer[..length];
            if file.read_exact(bytes).is_err() || !entry.digest.verify_chunk(feed.chunks.1, bytes) {
                return Ok(Outcome::Fed(Fed::Damaged));
            }
            if let Err(why) = feed.checker.feed(bytes) {
                let text = format!("image {stem}: {why}");
                if why.kind() == StreamErrorKind::Unsupported {
                    return Err(StepError::permanent(text));
                }
                self.live.note(&text);
                return Ok(Outcome::Fed(Fed::Refused));
            }
            if stdin.write_all(bytes).is_err() {
                return Ok(Outcome::Closed);
            }
            feed.fed += length as u64;
            feed.chunks.1 += 1;
            work.machine.bytes(feed.fed);
            self.live.received(place, Bytes(feed.fed), false);
            (self.report)(work.machine.progress(), false);
            if (self.interrupted)() {
                return Ok(Outcome::Interrupted);
            }
        }
        Ok(Outcome::Fed(Fed::Whole))
    }

    fn means(&self, image: &Image, fed: u64, stderr: &str) -> StepError {
        let place = &self.place(image).quarantine;
        let received = allowance::Broken { layout: self.layout, place, stem: &image.stem, fed };
        received.means(self.programs, stderr)
    }
}
