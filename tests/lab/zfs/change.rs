//! What happens to mounts when a property or a name changes: libzfs's changelist (illumos
//! `libzfs_changelist.c`). The affected datasets are unmounted, the change is made, and those that
//! were mounted are mounted again, at their present mountpoints.

use std::io;

use super::mounts::{self, Refusal};
use super::state::State;
use super::store::Store;
use super::view::{Source, is_zoned, setting, value};

/// The datasets that a change reaches, as they are before it.
pub struct Reach {
    members: Vec<Member>,
    /// The top had no mountpoint of its own: with canmount=on they get mounted even if they were not.
    was_legacy: bool,
}

struct Member {
    name: String,
    mounted: bool,
    zoned: bool,
}

impl Reach {
    /// Of a change of an inheritable property: the dataset, and those below that inherit it. Below one with
    /// a value of its own nobody is reached.
    pub fn of_property(state: &State, top: &str, property: &str) -> Self {
        let mut names = vec![top.to_owned()];
        let mut at = 0;
        while let Some(name) = names.get(at).cloned() {
            let inherits = |child: &&String| setting(state, child, property).1 != Source::Local;
            names.extend(state.children(&name).filter(inherits).cloned());
            at += 1;
        }
        Self::of(state, top, names)
    }

    /// Of a change of the name: all below, for all must be unmounted.
    pub fn of_name(state: &State, top: &str) -> Self {
        Self::of(state, top, state.tree(top))
    }

    /// Of the end of these: each is reached, and nobody else.
    pub fn of_names(state: &State, names: &[String]) -> Self {
        Self::of(state, names.first().map_or("", String::as_str), names.to_vec())
    }

    fn of(state: &State, top: &str, mut names: Vec<String>) -> Self {
        names.sort();
        let member = |name: String| Member {
            mounted: state.dataset(&name).is_some_and(|dataset| dataset.mounted.is_some()),
            zoned: is_zoned(state, &name),
            name,
        };
        let was_legacy = !value(state, top, "mountpoint").starts_with('/');
        Self { members: names.into_iter().map(member).collect(), was_legacy }
    }

    /// Whether one of those below the top is delegated to a zone.
    pub fn has_zoned_child(&self) -> bool {
        self.members.iter().skip(1).any(|member| member.zoned)
    }

    /// Unmounts all that are mounted; if one is busy, those unmounted come back.
    pub fn unmount(&self, store: &Store, state: &mut State) -> io::Result<Result<(), Refusal>> {
        let names: Vec<String> = self.members.iter().map(|member| member.name.clone()).collect();
        for name in mounts::deepest_first(state, &names) {
            if let Err(refusal) = mounts::unmount(store, state, &name)? {
                for member in self.members.iter().filter(|member| member.mounted) {
                    let _ = mounts::mount(store, state, &member.name)?;
                }
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(()))
    }

    /// Follows a rename of the top.
    pub fn rename(&mut self, from: &str, to: &str) {
        for member in &mut self.members {
            member.name = format!("{to}{}", &member.name[from.len()..]);
        }
    }

    /// Mounts again what was mounted, and what has got a mountpoint. Those delegated to a zone, before or
    /// after the change, are left alone.
    pub fn remount(&self, store: &Store, state: &mut State) -> io::Result<Vec<Refusal>> {
        let mut refusals = Vec::new();
        for member in &self.members {
            let name = &member.name;
            let wanted = member.mounted || self.was_legacy && value(state, name, "canmount") == "on";
            let able =
                value(state, name, "mountpoint").starts_with('/') && value(state, name, "canmount") != "off";
            let still_there = state.dataset(name).is_some_and(|dataset| dataset.mounted.is_some());
            if wanted && able && !still_there && !member.zoned && !is_zoned(state, name) {
                refusals.extend(mounts::mount(store, state, name)?.err());
            }
        }
        Ok(refusals)
    }
}
