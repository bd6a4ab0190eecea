//! The target's answer to an offer: may this zone come here?
//!
//! [`gather`] looks at this host, a handful of processes however many datasets there are;
//! [`judge`] is pure and names every reason at once. Nothing is changed by either. The same
//! check is made before the zone is stopped and again before the rename, so what belongs to this
//! very job (the holders in quarantine that carry its mark) is never in its own way.
//!
//! All that an offer says is a peer's word. What can't be true refuses the offer before anything is
//! derived from it, and every limit of `[accept.PEER]` is judged on names and paths by their
//! components. Not judged here, because only the received data can tell: whether a path inside the
//! zone leads out of it by a symbolic link.
//!
//! One piece is used again later: [`judge_config`] judges the configured zone before the attach.
//!
//! Texts say "the target", because the source prints them.

mod config;
mod datasets;
mod edits;
#[cfg(test)]
pub(in crate::host) mod fixture;
mod input;
mod judgement;
mod landing;
mod level;
mod name;
mod network;
mod offer;
mod places;
mod privilege;
mod properties;
mod reserved;
mod resource;
mod room;
mod scratch;
mod space;
pub mod text;
mod world;
mod zonepath;

pub use config::judge_config;
pub use datasets::encrypted;
pub use input::Check;
pub use judgement::Judgement;
pub use offer::faults;
pub use reserved::Reserved;
pub use room::{ScratchRoom, staged};
pub use space::reservation;
pub use world::{World, gather};

/// Judges the offer: every reason at once. An offer that contradicts itself is refused for that
/// alone.
pub fn judge(check: &Check<'_>) -> Judgement {
    let mut judgement = Judgement::of_faults(faults(check.job, check.offer));
    if judgement.refusals.is_empty() {
        level::judge(check, &mut judgement);
        name::judge(check, &mut judgement);
        landing::judge(check, &mut judgement);
        datasets::judge(check, &mut judgement);
        places::judge(check, &mut judgement);
        config::judge(check, &mut judgement);
        properties::judge(check, &mut judgement);
        space::judge(check, &mut judgement);
        scratch::judge(check, &mut judgement);
    }
    judgement.bound();
    judgement
}

#[cfg(test)]
mod tests {
    use super::fixture::case;
    use super::judgement::MOST;
    use crate::job::message::Reply;
    use crate::job::name::Bytes;

    #[test]
    fn the_zone_of_2007_may_come_and_the_findings_say_what_was_looked_at() {
        let judgement = case().judge();
        assert_eq!(judgement.refusals, []);
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
        assert_eq!(refusals[MOST].text, "and 200 more");
    }
}
