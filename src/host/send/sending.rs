//! The sending thread: `zfs send` of image after image into parts on the scratch.

use super::Send;
use super::orders::Orders;
use crate::cmd::zfs::Zfs;
use crate::host::StepError;
use crate::host::stage::Parts;
use crate::job::image::Image;
use crate::job::name::Bytes;
use crate::job::part::{ENTRY_VERSION, Entry};
use crate::job::transfer::source::{self, Fault, Part, There};

/// The thread.
pub(super) struct Sending<'a> {
    pub send: &'a Send<'a>,
    pub images: &'a [Image],
    pub orders: &'a Orders,
}

impl Sending<'_> {
    /// Sends every image that is due, until it is stopped or fails.
    pub fn run(&self) {
        loop {
            let result = match self.orders.next_send() {
                Ok(Some(send)) => self.image(send),
                Ok(None) => return,
                Err(fault) => Err(self.send.means(self.images, &fault)),
            };
            if self.orders.is_over() {
                return;
            }
            if let Err(error) = result {
                return self.orders.fail(error);
            }
        }
    }

    fn image(&self, send: source::Send) -> Result<(), StepError> {
        if send.afresh {
            self.send.stage.forget(&self.images[send.image].stem);
        }
        if self.stream(send)? {
            self.orders.tell(|source| source.sent(send.image));
        } else {
            self.orders.tell(|source| source.stopped(send.image));
        }
        Ok(())
    }

    /// Runs `zfs send` and stages its parts; `false` if it was ended early. Parts that equal those that were
    /// staged of this attempt before keep their place in the dropbox.
    fn stream(&self, source::Send { image: i, attempt, .. }: source::Send) -> Result<bool, StepError> {
        let (send, image) = (self.send, &self.images[i]);
        let Some(guid) = image.guid else { return Ok(false) };
        let zfs = Zfs::new(send.programs);
        let mut child = Some(zfs.send(&image.dataset, &image.to, image.from.as_ref(), send.wire)?);
        let Some(stdout) = child.as_mut().and_then(|c| c.take_stdout()) else { return Ok(false) };
        if let Some(child) = &child {
            self.orders.running(child.killer());
        }
        send.live.sending(i);
        let mut parts = Parts::new(stdout, send.job.part).map_err(|e| send.stage.error(&e))?;
        for number in 0.. {
            if !self.orders.has_room(i) {
                return Ok(false);
            }
            let told = |bytes| send.live.sent(i, Bytes(bytes), false);
            let part = parts.next(&send.stage.part(&image.stem, number), told);
            let Some((digest, last)) = part.map_err(|e| send.stage.error(&e))? else { break };
            if last && let Some(child) = child.take() {
                // A stream is whole when `zfs send` says so: a cut one may end anywhere.
                child.wait_ok()?;
                send.live.sent(i, Bytes(0), true);
            }
            let entry = Entry {
                v: ENTRY_VERSION,
                dataset: image.dataset.clone(),
                from: image.from.clone(),
                to: image.to.clone(),
                guid,
                attempt,
                number,
                last,
                digest,
            };
            let there = match send.stage.entry(&image.stem, number) {
                Some(before) if before == entry => There::Perhaps,
                Some(_) => {
                    send.live
                        .note(&format!("{} differs from what was sent before: a new attempt", image.stem));
                    self.orders.tell(|source| source.differs(i));
                    return Ok(false);
                }
                None => There::No,
            };
            send.stage.put_entry(&image.stem, &entry)?;
            let bytes = entry.digest.bytes;
            self.orders.tell(|source| source.staged(Part { image: i, number }, bytes, there));
        }
        match child {
            None => Ok(true),
            Some(child) => {
                child.wait_ok()?;
                Err(StepError::transient(format!("zfs send of {} gave no stream", image.stem)))
            }
        }
    }
}

impl Send<'_> {
    /// A fault of the machine, in words.
    pub(super) fn means(&self, images: &[Image], fault: &Fault) -> StepError {
        let text = match *fault {
            Fault::Unreceivable { image, sendings } => format!(
                "{} can't receive {}: it asked for it {sendings} times",
                self.job.peer, images[image].stem
            ),
            Fault::Damaged { part, times } => {
                format!("part {} arrived damaged {times} times", part.name(images))
            }
        };
        StepError::permanent(text)
    }
}
