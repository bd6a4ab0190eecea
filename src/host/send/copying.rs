//! A copying thread: parts from the scratch into the dropbox. A part that does not arrive is tried again
//! until it does; meanwhile the other threads copy other parts.

use std::cell::Cell;

use super::Send;
use super::orders::Orders;
use crate::host::StepError;
use crate::job::image::Image;
use crate::job::name::Bytes;
use crate::job::part::{entry_name, part_name};
use crate::job::retry::{ErrorKind, back_off};
use crate::job::transfer::source::{Part, There};

/// A zone is down meanwhile: the pauses do not grow beyond the sixth of [`back_off`], ten seconds.
const LONGEST_PAUSE: u32 = 6;

/// How copying a part ended.
enum Arrival {
    /// It is there, or no longer wanted.
    There,
    /// This call had copied it, and it is no longer there.
    Missing,
    /// All is over.
    Over,
}

/// One thread.
pub(super) struct Copying<'a> {
    pub send: &'a Send<'a>,
    pub images: &'a [Image],
    pub orders: &'a Orders,
}

impl Copying<'_> {
    /// Copies until it is stopped.
    pub fn run(&self) {
        while let Some((part, there)) = self.orders.next_copy() {
            match self.arrives(part, there) {
                Arrival::There => self.orders.copied(part),
                Arrival::Missing => self.orders.missing(part),
                Arrival::Over => return,
            }
        }
    }

    /// Tries until the part is there, or no longer wanted.
    fn arrives(&self, part: Part, mut there: There) -> Arrival {
        let mut failures = 0;
        while self.orders.ask(|source| source.is_wanted(part)) {
            let error = match self.copy(part, &mut there) {
                Ok(true) => return Arrival::There,
                Ok(false) => return Arrival::Missing,
                Err(error) => error,
            };
            // Something that somebody called off does not hinder anything.
            if self.orders.is_over() || (self.send.interrupted)() {
                return Arrival::Over;
            }
            if error.kind == ErrorKind::Permanent {
                self.orders.fail(error);
                return Arrival::Over;
            }
            failures += 1;
            self.send.hindered(self.orders, Some(part), &error);
            self.orders.pause(back_off(failures.min(LONGEST_PAUSE)));
        }
        Arrival::There
    }

    /// Copies a part and then its entry, which says that the part is there. `there` says what need not be
    /// copied again, and after a failure what may have arrived. `false`: a part that this call had copied is
    /// missing.
    fn copy(&self, Part { image, number }: Part, there: &mut There) -> Result<bool, StepError> {
        let stem = &self.images[image].stem;
        let Send { stage, dropbox, live, pace, .. } = self.send;
        let (part, name) = (part_name(stem, number), entry_name(stem, number));
        // Gone: its image is sent again.
        let Some(entry) = stage.entry(stem, number) else { return Ok(true) };
        let whole = entry.digest.bytes;
        if *there == There::Once {
            return Ok(dropbox.holds(&name)?);
        }
        if *there != There::No && dropbox.holds(&name)? {
            live.copied(image, Bytes(whole));
            return Ok(true);
        }
        if *there == There::Nameless {
            *there = if dropbox.has_named(&part)? { There::Whole } else { There::No };
        }
        let copied = Cell::new(0);
        let told = |bytes: u64| {
            copied.set(copied.get() + bytes);
            live.copied(image, Bytes(bytes));
        };
        let may = |bytes: u64| pace(Bytes(bytes), &|| self.orders.is_over());
        let put = if *there == There::Whole {
            told(whole);
            Ok(())
        } else {
            let put = dropbox.put_part(&part, &stage.part(stem, number), &may, &told);
            *there = match &put {
                Ok(_) => There::Whole,
                // Only its name, or the answer that it has it, was lost.
                Err(error) if error.is_unreachable() && copied.get() == whole => There::Nameless,
                Err(_) => There::No,
            };
            put.map(drop)
        };
        let bytes = serde_json::to_vec(&entry).map_err(|e| StepError::permanent(e.to_string()))?;
        put.and_then(|()| dropbox.put_entry(&name, &bytes)).map(|()| true).map_err(|error| {
            live.not_copied(image, Bytes(copied.get()));
            error.into()
        })
    }
}
