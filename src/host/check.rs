//! The target's answer to an offer: may this zone come here?
//!
//! [`gather`] looks at this host, a handful of processes however many datasets there are; [`Check::judge`] is pure
//! and names every reason at once. Nothing is changed by either. The same check is made before the zone is stopped
//! and again before the rename, so what belongs to this very job (the holders in quarantine that carry its mark) is never in
//! its own way.
//!
//! All that an offer says is a peer's word. What can't be true refuses the offer before anything is derived from it,
//! and every limit of `[accept.PEER]` is judged on names and paths by their components. Not judged here, because only the received
//! data can tell: whether a path inside the zone leads out of it by a symbolic link.
//!
//! Two pieces are used again later, on what the data itself says: [`judge_config`] on the configured zone before
//! the attach, [`judge_properties`] on the properties that come with the handoff.
//!
//! Texts say "the target", because the source prints them.

pub mod brand;
mod config;
mod datasets;
mod edits;
#[cfg(test)]
pub(in crate::host) mod fixture;
mod landing;
mod level;
mod offer;
mod properties;
mod space;
mod world;

use std::collections::BTreeMap;

use crate::config::Accept;
use crate::job::layout::Layout;
use crate::job::message::{Offer, Reply};
use crate::job::name::{Bytes, DatasetName, JobId, ZoneName};
use crate::process::argv::cut;

pub use config::judge_config;
pub use offer::faults;
pub use properties::judge_properties;
pub use space::{reservation, staged};
pub use world::{World, ZonepathState, gather};

/// More reasons than this are counted, not listed: the answer is read by a person.
const MOST: usize = 100;
/// The longest piece of a peer's text in one of our lines, in bytes.
const SHOWN: usize = 200;

/// What an accepted job holds until it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// The job.
    pub job: JobId,
    /// The zone's name.
    pub zone: ZoneName,
    /// Its zonepath on the target.
    pub zonepath: String,
    /// Its datasets' names on the target, in the end.
    pub datasets: Vec<DatasetName>,
    /// Its holders in quarantine.
    pub holders: Vec<DatasetName>,
    /// What its datasets will take up, by pool.
    pub pools: BTreeMap<String, Bytes>,
    /// What its parts will take up on scratch.
    pub scratch: Bytes,
}

/// Room for parts on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchRoom {
    /// The directory.
    pub dir: String,
    /// Free on its file system, and what the parts of the jobs in `reserved` take up there already.
    pub free_on_disk: Bytes,
    /// The configured share of all jobs together.
    pub share: Bytes,
}

impl ScratchRoom {
    /// Of this host, as it is now. A directory that can't be asked has no room.
    pub fn of(scratch: &crate::config::Scratch) -> Self {
        let free = nix::sys::statvfs::statvfs(scratch.dir.as_path())
            .map_or(0, |stat| stat.blocks_available() * stat.fragment_size());
        Self { dir: scratch.dir.display().to_string(), free_on_disk: Bytes(free), share: scratch.max }
    }
}

/// Everything that an offer is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// The job's id, as the offer's envelope has it.
    pub job: &'a JobId,
    /// The offer.
    pub offer: &'a Offer,
    /// What its sender may bring here.
    pub accept: &'a Accept,
    /// Where everything would go, or why it can't.
    pub layout: Result<&'a Layout, &'a [String]>,
    /// This host.
    pub world: &'a World,
    /// What **other** accepted jobs hold, of all peers.
    pub reserved: &'a [Reserved],
    /// Room for parts.
    pub scratch: &'a ScratchRoom,
}

/// The answer with its reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Why the zone can't come. Empty: it can.
    pub refusals: Vec<String>,
    /// Why it can't come just now; it will pass by itself.
    pub later: Vec<String>,
    /// What was looked at, the good news too: for `plan`.
    pub findings: Vec<String>,
}

impl Check<'_> {
    /// Judges the offer: every reason at once. An offer that contradicts itself is refused for that alone.
    pub fn judge(&self) -> Judgement {
        let mut judgement = Judgement { refusals: faults(self.job, self.offer), ..Judgement::default() };
        if judgement.refusals.is_empty() {
            level::judge(self, &mut judgement);
            landing::judge(self, &mut judgement);
            datasets::judge(self, &mut judgement);
            config::judge(self, &mut judgement);
            properties::judge(self, &mut judgement);
            space::judge(self, &mut judgement);
        }
        bound(&mut judgement.refusals);
        bound(&mut judgement.findings);
        judgement
    }
}

impl Judgement {
    /// The answer to send.
    pub fn reply(&self) -> Reply {
        if !self.refusals.is_empty() {
            return Reply::Refused(self.refusals.clone());
        }
        if self.later.is_empty() { Reply::Accepted } else { Reply::Later(self.later.join("; ")) }
    }

    fn refuse(&mut self, why: impl Into<String>) {
        self.refusals.push(why.into());
    }

    fn note(&mut self, what: impl Into<String>) {
        self.findings.push(what.into());
    }
}

/// Where the zone would live on the target.
pub fn zonepath(offer: &Offer) -> &str {
    offer.request.target.zonepath.as_deref().unwrap_or(&offer.survey.zone.zonepath)
}

/// A peer's text as it may stand in a line.
pub(super) fn shown(text: &str) -> String {
    // Cut before it is escaped too: it may be megabytes long.
    let head: String = text.chars().take(SHOWN).collect();
    let whole = head.len() == text.len();
    let escaped = cut(&head.escape_debug().to_string(), SHOWN);
    if whole || escaped.ends_with('…') { escaped } else { format!("{escaped}…") }
}

/// A list for people: `a, b, c`, at most eight of them.
fn listed<T: AsRef<str>>(items: &[T]) -> String {
    const FIRST: usize = 8;
    let shown: Vec<String> = items.iter().take(FIRST).map(|item| shown(item.as_ref())).collect();
    match items.len() {
        0 => "nothing".to_owned(),
        n if n > FIRST => format!("{} and {} more", shown.join(", "), n - FIRST),
        _ => shown.join(", "),
    }
}

fn bound(lines: &mut Vec<String>) {
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(format!("and {more} more"));
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::case;
    use super::*;

    #[test]
    fn the_zone_of_2007_may_come_and_the_findings_say_what_was_looked_at() {
        let judgement = case().judge();
        assert_eq!(judgement.refusals, [""; 0]);
        assert_eq!(judgement.reply(), Reply::Accepted);
        let all = judgement.findings.join("\n");
        for said in ["zonepath", "SunOS 5.11", "filesystem version", "has 100.0 GiB", "nge0"] {
            assert!(all.contains(said), "{said}: {all}");
        }
    }

    #[test]
    fn all_reasons_are_said_at_once() {
        let mut case = case();
        case.offer.survey.zone.brand = "bhyve".to_owned();
        case.world.zpl_version = 1;
        case.accept.zonepaths = vec!["/zones".to_owned()];
        case.scratch.free_on_disk = Bytes(0);
        let said = case.refusals();
        for why in ["brand 'bhyve'", "filesystem version", "/zones", "/export/scratch"] {
            assert!(said.contains(why), "{why}: {said}");
        }
    }

    #[test]
    fn a_flood_of_reasons_is_counted() {
        let mut case = case();
        for n in 0..300 {
            case.offer.survey.zone.config += &format!("add device\nset match=/dev/d{n}\nend\n");
        }
        let refusals = case.judge().refusals;
        assert_eq!(refusals.len(), MOST + 1);
        assert_eq!(refusals[MOST], "and 200 more");
    }

    #[test]
    fn a_peers_text_is_escaped_and_bounded() {
        let long = shown(&"é\n".repeat(1000));
        assert!(long.len() <= SHOWN + 3 && !long.contains('\n'), "{long}");
        assert_eq!(shown("plain"), "plain");
        assert_eq!(listed(&["a"; 10]), "a, a, a, a, a, a, a, a and 2 more");
    }
}
