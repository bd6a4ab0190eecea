//! Target: one `zfs receive`, fed part after part with what was checked in memory.

use std::io::{self, Read, Write};

use super::{Image, Receive, Try};
use crate::cmd::zfs::Zfs;
use crate::host::{StepError, allowance, grace};
use crate::job::layout::part_name;
use crate::job::message::{Entry, Progress};
use crate::process::Streaming;
use crate::stream::{Accepts, CHUNK, Checker, StreamErrorKind};

/// What goes into one receive.
struct Feed {
    checker: Checker,
    buffer: Vec<u8>,
    fed: u64,
}

/// How feeding one part ended.
enum Fed {
    Part,
    Last,
    Interrupted,
    Superseded,
    /// The stream is wrong in itself.
    Refused(String),
    /// `zfs receive` no longer reads.
    Closed,
}

impl Receive<'_> {
    /// One receive, from the first part to the verified snapshot.
    pub(super) fn attempt(
        &self,
        image: &Image<'_>,
        first: &Entry,
        progress: &mut Progress,
    ) -> Result<Try, StepError> {
        let commands = image.writing.borrow_mut().commands(&image.placed.quarantine, image.dataset);
        for command in commands {
            self.programs.ok(&command)?;
        }
        let child = Zfs::new(self.programs).receive(&image.placed.quarantine, &self.job.snapshot)?;
        grace::given(&child.killer(), self.interrupted, || self.fed(child, image, first, progress))
    }

    fn fed(
        &self,
        mut child: Streaming,
        image: &Image<'_>,
        first: &Entry,
        progress: &mut Progress,
    ) -> Result<Try, StepError> {
        let Some(mut stdin) = child.take_stdin() else {
            return Err(StepError::transient("zfs receive has no stdin"));
        };
        let mut feed = Feed {
            checker: Checker::new(Accepts { features: self.features }),
            buffer: vec![0; CHUNK],
            fed: 0,
        };
        for number in 0.. {
            match self.feed_part(image, first, number, &mut feed, &mut stdin, progress)? {
                Fed::Part => {}
                Fed::Last => break,
                Fed::Interrupted => return Ok(Try::Interrupted),
                Fed::Superseded => return Ok(Try::Superseded),
                Fed::Refused(why) => {
                    // The receive ends by a stream that is cut short, and takes back what it made.
                    drop(stdin);
                    drop(child.wait());
                    return self.refused(image, why, progress);
                }
                Fed::Closed => {
                    drop(stdin);
                    let said = child.wait()?.stderr;
                    if (self.interrupted)() {
                        return Ok(Try::Interrupted);
                    }
                    return Ok(Try::Broken(self.broken(image, feed.fed, &said)));
                }
            }
        }
        drop(stdin);
        let output = child.wait()?;
        if !output.status.is_ok() && (self.interrupted)() {
            return Ok(Try::Interrupted);
        }
        let fed = feed.fed;
        let summary = match feed.checker.finish() {
            Ok(summary) => summary,
            Err(why) => return self.refused(image, why.to_string(), progress),
        };
        let snapshot = image.placed.quarantine.at(&self.job.snapshot);
        let guid = Zfs::new(self.programs).guid(&snapshot)?;
        if guid == Some(first.guid) && summary.begin.toguid == first.guid {
            return Ok(Try::Complete(first.guid));
        }
        if summary.begin.toguid != first.guid {
            return self.refused(image, "its guid is not the one that was announced".to_owned(), progress);
        }
        Ok(Try::Broken(self.broken(image, fed, &output.stderr)))
    }

    fn broken(&self, image: &Image<'_>, fed: u64, stderr: &str) -> StepError {
        let place = &image.placed.quarantine;
        let received = allowance::Broken { layout: self.layout, place, stem: &image.stem, fed };
        received.means(self.programs, stderr)
    }

    /// Feeds one part, waiting for it, and for good copies of it.
    fn feed_part(
        &self,
        image: &Image<'_>,
        first: &Entry,
        number: u32,
        feed: &mut Feed,
        stdin: &mut impl Write,
        progress: &mut Progress,
    ) -> Result<Fed, StepError> {
        let mut chunk = 0;
        loop {
            let Some(entry) = self.wait_for(image, number, progress)? else { return Ok(Fed::Interrupted) };
            if entry.attempt != first.attempt || entry.guid != first.guid {
                return Ok(Fed::Superseded);
            }
            let file = self.inbox.open_part(&part_name(&image.stem, number))?;
            let Some(mut file) = file else {
                self.complain(image, number, progress);
                continue;
            };
            // After a damaged copy: go on behind the chunks that were good.
            let skip = (chunk * CHUNK) as u64;
            if io::Seek::seek(&mut file, io::SeekFrom::Start(skip)).is_err() {
                self.complain(image, number, progress);
                continue;
            }
            while let Some(length) = entry.digest.chunk_len(chunk) {
                let bytes = &mut feed.buffer[..length];
                if file.read_exact(bytes).is_err() || !entry.digest.verify_chunk(chunk, bytes) {
                    break;
                }
                if let Err(why) = feed.checker.feed(bytes) {
                    return Ok(match why.kind() {
                        StreamErrorKind::Unsupported => {
                            let text = format!("image {}: {why}", image.stem);
                            return Err(StepError::permanent(text));
                        }
                        _ => Fed::Refused(why.to_string()),
                    });
                }
                if stdin.write_all(bytes).is_err() {
                    return Ok(Fed::Closed);
                }
                feed.fed += length as u64;
                chunk += 1;
                self.told(image, feed.fed, progress);
                if (self.interrupted)() {
                    return Ok(Fed::Interrupted);
                }
            }
            if entry.digest.chunk_len(chunk).is_none() {
                return Ok(if entry.last { Fed::Last } else { Fed::Part });
            }
            self.complain(image, number, progress);
        }
    }
}
