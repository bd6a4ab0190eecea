//! Room on the target's scratch for the parts of images.

use super::input::Check;
use super::judgement::Judgement;
use super::room::scratch_need;
use crate::job::code::Code;
use crate::job::name::Bytes;

/// Judges the room for parts.
pub(super) fn judge(check: &Check<'_>, judgement: &mut Judgement) {
    let room = check.scratch;
    let need = scratch_need(&check.offer.survey.datasets, check.offer.part);
    let held = Bytes(check.reserved.iter().map(|other| other.scratch.0).fold(0, u64::saturating_add));
    let dir = &room.dir;
    for (all, what) in [
        (room.free_on_disk, format!("{dir} on the target has")),
        (room.share, format!("the share of all jobs in {dir} on the target ([scratch] max) has")),
    ] {
        let free = Bytes(all.0.saturating_sub(held.0));
        if need > all {
            judgement.refuse(Code::Space, format!("{what} {all} free, the images need {need}"));
        } else if need > free {
            // It will be free again when the others have ended.
            judgement
                .later
                .push(format!("{what} {free} free beside {held} for other jobs, the images need {need}"));
        } else {
            judgement.note(format!("{what} {free} free, the images need {need}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{Case, GIB, case, reserved};
    use crate::host::check::reserved::Reserved;
    use crate::job::message::Reply;

    fn with(spoil: impl Fn(&mut Case)) -> String {
        let mut case = case();
        spoil(&mut case);
        case.refusals()
    }

    #[test]
    fn scratch_must_hold_the_largest_image_and_two_parts() {
        let narrow = with(|c| c.scratch.free_on_disk = Bytes(38 * GIB));
        assert!(
            narrow.contains(
                "/export/scratch/zmigrate on the target has 38.0 GiB free, the images need 38.7 GiB"
            ),
            "{narrow}"
        );
        assert!(with(|c| c.scratch.share = Bytes(GIB)).contains("[scratch] max"));
        assert_eq!(with(|c| c.scratch.free_on_disk = Bytes(39 * GIB)), "");
    }

    #[test]
    fn scratch_that_others_hold_is_a_matter_of_time() {
        let mut case = case();
        case.reserved.push(Reserved { scratch: Bytes(180 * GIB), ..reserved() });
        let Reply::Later(why) = case.judge().reply() else { panic!("{:?}", case.judge()) };
        assert!(why.contains("has 20.0 GiB free beside 180.0 GiB for other jobs"), "{why}");
    }
}
