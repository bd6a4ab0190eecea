//! Privileges of a zone, as zonecfg's `limitpriv` spells them.

use std::collections::BTreeSet;

use super::text::{shown, words};

/// Why a zone with this limitpriv has wider privileges than accepted, as a fragment that follows
/// `zone 'x'`. A zone without limitpriv has `default`.
pub(super) fn refusal(value: &str, accepted: &str) -> Option<String> {
    let wanted = if value.is_empty() { "default" } else { value };
    (!no_wider(wanted, accepted)).then(|| {
        format!(
            "has limitpriv={}, the target accepts {accepted}; set limitpriv to that in [target.zonecfg]",
            shown(wanted)
        )
    })
}

/// Whether the privileges `wanted` are within `accepted`, both as zonecfg's limitpriv spells them:
/// names and sets, `!x` or `-x` takes one away (priv_str_to_set(3C); unverified). Read from left to
/// right there, so a list that grants after it takes away is only known when it is the very same.
fn no_wider(wanted: &str, accepted: &str) -> bool {
    let read = |list: &str| {
        let list = list.to_ascii_lowercase();
        let (taken, granted): (Vec<_>, Vec<_>) =
            words(&list).map(str::to_owned).partition(|word| word.starts_with(['!', '-']));
        let in_order = words(&list).skip_while(|word| !word.starts_with(['!', '-'])).count() == taken.len();
        let taken: BTreeSet<_> = taken.iter().map(|word| word[1..].to_owned()).collect();
        in_order.then(|| (granted.into_iter().collect::<BTreeSet<_>>(), taken))
    };
    wanted.eq_ignore_ascii_case(accepted)
        || read(wanted).zip(read(accepted)).is_some_and(|((granted, taken), (may, must_not))| {
            granted.is_subset(&may) && must_not.is_subset(&taken)
        })
}

#[cfg(test)]
mod tests {
    use crate::host::check::fixture::case;

    #[test]
    fn privileges_are_within_the_accepted_ones() {
        for (wanted, accepted, fine) in [
            ("", "default", true),
            ("default", "default", true),
            ("DEFAULT", "default", true),
            ("default,!net_rawaccess", "default", true),
            ("default,dtrace_user", "default,dtrace_user,dtrace_proc", true),
            ("default,dtrace_user", "default", false),
            ("all", "default", false),
            ("", "basic", false),
            ("default", "default,!sys_time", false),
            ("default,!sys_time", "default,-sys_time", true),
            // Taken away, then granted with all others.
            ("!sys_time,default", "default,!sys_time", false),
            ("default,!sys_time,sys_time", "default,!sys_time", false),
            ("!sys_time,default", "!sys_time,default", true),
        ] {
            let mut case = case();
            case.accept.limitpriv = accepted.to_owned();
            case.offer.survey.zone.config =
                case.offer.survey.zone.config.replace("limitpriv=default", &format!("limitpriv={wanted}"));
            assert_eq!(case.refusals().is_empty(), fine, "{wanted} of {accepted}: {}", case.refusals());
        }
    }
}
