//! What a peer, or the root of a zone that it sends, may not do to a host.

mod places;
mod properties;
