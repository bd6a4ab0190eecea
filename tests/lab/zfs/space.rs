//! How much of a pool each dataset uses.
//!
//! Sizes are counted from the files themselves: contents rounded up to 512 bytes, 512 bytes for
//! each object, and a fixed amount for an empty filesystem. A snapshot holds what the next snapshot
//! (or the live filesystem) no longer has; real ZFS knows the same from the birth times of blocks.
//! Nothing is compressed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use super::files::{self, Tree};
use super::state::{Dataset, Snapshot, State, parent_of, pool_of};
use super::store::Store;
use super::view::{Item, bytes};

/// What an empty filesystem references.
pub const EMPTY: u64 = 24 << 10;

/// Answers questions about space for one state; walks each directory at most once.
pub struct Space<'a> {
    store: &'a Store,
    /// The state that the questions are about.
    pub state: &'a State,
    live: RefCell<HashMap<u64, u64>>,
    held: RefCell<HashMap<u64, u64>>,
    used: RefCell<HashMap<String, u64>>,
}

impl<'a> Space<'a> {
    /// For one state.
    pub fn new(store: &'a Store, state: &'a State) -> Self {
        Self { store, state, live: RefCell::default(), held: RefCell::default(), used: RefCell::default() }
    }

    /// What the item refers to.
    pub fn referenced(&self, item: Item) -> u64 {
        item.snapshot.map_or_else(|| self.live(item.dataset), |snapshot| snapshot.referenced)
    }

    fn live(&self, dataset: &Dataset) -> u64 {
        if let Some(&known) = self.live.borrow().get(&dataset.id) {
            return known;
        }
        let size = size(&self.store.live(dataset));
        self.live.borrow_mut().insert(dataset.id, size);
        size
    }

    /// What is freed when this snapshot goes.
    pub fn held_by(&self, dataset: &Dataset, snapshot: &Snapshot) -> u64 {
        if let Some(&known) = self.held.borrow().get(&snapshot.id) {
            return known;
        }
        let next = dataset.snapshots.iter().skip_while(|other| other.id != snapshot.id).nth(1);
        let after = next.map_or_else(|| self.store.live(dataset), |next| self.store.frozen(dataset, next));
        let held = only_in(&self.store.frozen(dataset, snapshot), &after);
        self.held.borrow_mut().insert(snapshot.id, held);
        held
    }

    /// All snapshots together.
    pub fn used_by_snapshots(&self, dataset: &Dataset) -> u64 {
        dataset.snapshots.iter().map(|snapshot| self.held_by(dataset, snapshot)).sum()
    }

    /// Children with their reservations.
    pub fn used_by_children(&self, name: &str) -> u64 {
        self.state
            .children(name)
            .map(|child| self.used(child).max(bytes(self.state, child, "reservation")))
            .sum()
    }

    /// What the live filesystem holds itself; a clone shares the rest with its origin.
    fn own(&self, dataset: &Dataset) -> u64 {
        match self.state.origin(dataset) {
            Some((_, of, origin)) => {
                EMPTY + only_in(&self.store.live(dataset), &self.store.frozen(of, origin))
            }
            None => self.live(dataset),
        }
    }

    /// What the refreservation adds to the data.
    pub fn used_by_refreservation(&self, name: &str) -> u64 {
        let Some(dataset) = self.state.dataset(name) else { return 0 };
        bytes(self.state, name, "refreservation").saturating_sub(self.live(dataset))
    }

    /// The dataset with all that hangs on it.
    pub fn used(&self, name: &str) -> u64 {
        if let Some(&known) = self.used.borrow().get(name) {
            return known;
        }
        let Some(dataset) = self.state.dataset(name) else { return 0 };
        let own = self.own(dataset) + self.used_by_snapshots(dataset) + self.used_by_refreservation(name);
        let used = own + self.used_by_children(name);
        self.used.borrow_mut().insert(name.to_owned(), used);
        used
    }

    /// What can still be written to a dataset: what its parent has, and the unused rest of its own
    /// reservations; never more than its quotas leave.
    pub fn available(&self, name: &str) -> u64 {
        let Some(dataset) = self.state.dataset(name) else { return 0 };
        let free = self.unbounded(name) + self.used_by_refreservation(name);
        match bytes(self.state, name, "refquota") {
            0 => free,
            refquota => free.min(refquota.saturating_sub(self.live(dataset))),
        }
    }

    /// As [`Self::available`], without the dataset's refquota and refreservation, which are no matter of
    /// its children.
    fn unbounded(&self, name: &str) -> u64 {
        let used = self.used(name);
        let above = match parent_of(name) {
            Some(parent) => {
                self.unbounded(parent) + bytes(self.state, name, "reservation").saturating_sub(used)
            }
            None => self.usable(name).saturating_sub(used),
        };
        match bytes(self.state, name, "quota") {
            0 => above,
            quota => above.min(quota.saturating_sub(used)),
        }
    }

    /// The pool's size without what ZFS keeps for itself (1/64, illumos `dsl_pool.c` of before 2015).
    pub fn usable(&self, pool: &str) -> u64 {
        self.state.pools.get(pool_of(pool)).map_or(0, |pool| pool.size - pool.size / 64)
    }

    /// The snapshot that came before the item.
    pub fn before<'b>(&self, item: Item<'b>) -> Option<&'b Snapshot> {
        match item.snapshot {
            Some(snapshot) => {
                item.dataset.snapshots.iter().take_while(|other| other.id != snapshot.id).last()
            }
            None => item.dataset.snapshots.last(),
        }
    }

    /// What was written since a snapshot; everything if there is none.
    pub fn written_since(&self, item: Item, base: Option<&Snapshot>) -> u64 {
        let Some(base) = base else { return self.referenced(item) };
        let now = match item.snapshot {
            Some(snapshot) => self.store.frozen(item.dataset, snapshot),
            None => self.store.live(item.dataset),
        };
        only_in(&now, &self.store.frozen(item.dataset, base))
    }
}

/// Bytes that a filesystem with this tree refers to. A file that vanishes while we look counts nothing.
pub fn size(dir: &Path) -> u64 {
    EMPTY + Tree::walk(dir).map_or(0, |tree| tree.entries.iter().skip(1).map(|entry| entry.charge()).sum())
}

/// Bytes of what is in one tree and not, or not the same, in another.
fn only_in(one: &Path, other: &Path) -> u64 {
    let (Ok(one), Ok(other)) = (Tree::walk(one), Tree::walk(other)) else { return 0 };
    let theirs: HashMap<&Path, &files::Entry> =
        other.entries.iter().map(|entry| (&*entry.path, entry)).collect();
    one.entries
        .iter()
        .filter(|entry| theirs.get(&*entry.path).is_none_or(|their| !entry.same_as(their)))
        .map(files::Entry::charge)
        .sum()
}
