//! Target: how much may be received below a job's holder in quarantine. A peer that sends more than
//! it offered fills its holder's quota, and nothing else.

use super::StepError;
use crate::cmd::zfs::{Fault, Zfs};
use crate::job::code::Code;
use crate::job::layout::Layout;
use crate::job::name::{Bytes, DatasetName};
use crate::job::survey::Dataset;
use crate::process::Programs;

/// The property of a holder that says so.
pub const QUOTA: &str = "quota";

/// How much more than offered a holder accepts. A pool with RAID-Z and large sectors writes blocks
/// of 8 KiB three times as large as a mirror does, and no command shows that beforehand.
const FACTOR: u64 = 4;
/// More than a dataset without data uses, and more than a holder without datasets uses.
const EMPTY: u64 = 1 << 20;
const BARE: u64 = 4 << 20;

/// What may be received below a holder: a peer that sends more than it offered fills nothing but
/// this.
pub fn below(offered: &[Dataset], layout: &Layout, holder: &DatasetName) -> Bytes {
    let here = layout.datasets.iter().zip(offered).filter(|(placed, _)| placed.quarantine.is_within(holder));
    let all = here.map(|(_, dataset)| dataset.stored().0.saturating_mul(FACTOR).saturating_add(EMPTY));
    Bytes(all.fold(BARE, u64::saturating_add))
}

/// A receive that did not bring its snapshot.
pub struct Broken<'a> {
    /// Where everything goes.
    pub layout: &'a Layout,
    /// What was received.
    pub place: &'a DatasetName,
    /// Its image.
    pub stem: &'a str,
    /// Bytes of the stream that were fed.
    pub fed: u64,
}

impl Broken<'_> {
    /// What `zfs` said, and whether another try can help.
    pub fn means(&self, programs: &Programs, stderr: &str) -> StepError {
        let said = stderr.trim().replace('\n', " ");
        let said: String = said.chars().take(300).flat_map(char::escape_debug).collect();
        let text = format!("zfs receive of {}: {said}", self.stem);
        match Fault::of(stderr) {
            Fault::NoSpace => match self.excess(&Zfs::new(programs)) {
                Some(why) => StepError::permanent(format!("{text}; {why}")).coded(Code::Excess),
                None => StepError::transient(text).coded(Code::Space),
            },
            Fault::StreamUnsupported
            | Fault::Permission
            | Fault::NoSuchPool
            | Fault::BadProperty
            | Fault::Usage => StepError::permanent(text),
            _ => StepError::transient(text),
        }
    }

    /// Why the space ran out, if it was the holder's quota: what was fed could fill it, and less is
    /// left in it than around it. What this receive had written is gone when `zfs` has failed.
    fn excess(&self, zfs: &Zfs<'_>) -> Option<String> {
        let holder = self.layout.holders.iter().find(|holder| self.place.is_within(holder))?;
        let top = holder.parent()?;
        let lines = zfs.properties(&[QUOTA, "used", "available"], &[holder, &top]).ok()?;
        let value = |name: &DatasetName, property: &str| -> Option<u64> {
            let mut of_name = lines.iter().filter(|line| line.name == name.as_str());
            of_name.find(|line| line.property == property)?.value.parse().ok()
        };
        let (quota, used) = (value(holder, QUOTA)?, value(holder, "used")?);
        let could_fill = used.saturating_add(self.fed.saturating_mul(FACTOR)) >= quota;
        let is_tighter = quota.saturating_sub(used) < value(&top, "available")?;
        (quota > 0 && could_fill && is_tighter).then(|| {
            format!(
                "more arrived than the source offered: '{holder}' has a quota of {}, {FACTOR} times what was offered and some more",
                Bytes(quota)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{Case, GIB, case, local};

    fn quota(case: &Case) -> u64 {
        let layout = case.layout().unwrap();
        below(&case.offer.survey.datasets, &layout, &layout.holders[0]).0
    }

    #[test]
    fn a_holder_takes_what_was_offered_and_some_more() {
        let mut case = case();
        assert_eq!(quota(&case), 4 * 40 * GIB + 4 * EMPTY + BARE);
        // Compressed once, and written in full from now on.
        case.offer.survey.datasets[3].logical = Bytes(60 * GIB);
        assert_eq!(quota(&case), 4 * 40 * GIB + 4 * EMPTY + BARE);
        local(&mut case.offer.survey.datasets[3], "compression", "off");
        assert_eq!(quota(&case), 4 * 63 * GIB + 4 * EMPTY + BARE);
    }

    #[test]
    fn an_offer_of_next_to_nothing_gives_room_for_next_to_nothing() {
        let mut case = case();
        for dataset in &mut case.offer.survey.datasets {
            (dataset.referenced, dataset.logical) = (Bytes(9 << 10), Bytes(9 << 10));
        }
        assert!(quota(&case) < 16 << 20, "{}", quota(&case));
    }
}
