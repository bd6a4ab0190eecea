//! What both sides of a transfer decide, without I/O.
//!
//! Two state machines, [`Source`](source::Source) and [`Target`](target::Target). Threads in `host/send`
//! and `host/receive` ask a machine for its next order, carry the order out, and tell the machine what
//! came of it. A machine reads no clock and no file, and starts nothing; so `walk` can play both against
//! each other through every order of events, with lost parts, damaged parts, killed daemons and broken
//! receives.
//!
//! ```text
//! source                                        target
//! Send     image by image, into parts           Look     for the next part's entry
//! Copy     part after part, as it is staged ──▶ Feed     the part into zfs receive
//!          ◀────────────── progress ─────────── Ask      for a damaged part again
//! Copy     it again                             Drop     an attempt whose stream is wrong
//! Send     it with a higher attempt             Release  the parts of a verified image
//! Release  the parts of a verified image
//! ```
//!
//! # Warm passes
//!
//! A machine knows images, not datasets: a list in travel order, each with its name `DATASET@SNAPSHOT`.
//! The target receives in exactly this order, so an image is always received after the image that it
//! builds on. A warm pass is one more run of both machines over the images of that pass, each with its
//! `from`; the chain of a dataset is the order of its images over all passes. An image that is complete
//! by its guid needs no second sending, so a pass may list what earlier passes brought.

pub mod source;
pub mod target;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
