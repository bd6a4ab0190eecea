//! `zfs mount` and `zfs unmount`.

use super::change::Reach;
use super::command::{Fail, Outcome, Session, cannot_open, print, status};
use super::view::value;
use super::{mounts, options};

/// `zfs mount` · `zfs mount [-vO] [-o options] -a | filesystem`
pub fn mount(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "avO o:")?;
    match (parsed.operands, parsed.has('a')) {
        ([], true) => {
            let refusals = session.store.change(|state| mounts::mount_all(&session.store, state))??;
            Ok(status(&refusals))
        }
        ([], false) if args.is_empty() => {
            let state = session.read()?;
            let mut mounted: Vec<(&str, &String)> = state
                .datasets
                .iter()
                .filter_map(|(name, dataset)| Some((dataset.mounted.as_deref()?, name)))
                .collect();
            mounted.sort_unstable();
            let lines = mounted.iter().map(|(path, name)| format!("{name:<30}  {path}\n"));
            print(&lines.collect::<String>());
            Ok(0)
        }
        ([], false) => Err(Fail::Usage("missing dataset argument".into())),
        ([name], false) => {
            let refusal = session.store.change(|state| match state.dataset(name) {
                Some(_) => Ok(mounts::mount(&session.store, state, name)?),
                None => Err(cannot_open(name)),
            })??;
            refusal.map_err(Fail::Text).map(|()| 0)
        }
        _ => Err(Fail::Usage("too many arguments".into())),
    }
}

/// `zfs unmount [-f] -a | filesystem | mountpoint`
pub fn unmount(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "af")?;
    if parsed.has('a') {
        if !parsed.operands.is_empty() {
            return Err(Fail::Usage("too many arguments".into()));
        }
        session.store.change(|state| mounts::drop_all(&session.store, state))??;
        return Ok(0);
    }
    let operand = match parsed.operands {
        [] => return Err(Fail::Usage("missing filesystem argument".into())),
        [operand] => operand.as_str(),
        _ => return Err(Fail::Usage("too many arguments".into())),
    };
    session.store.change(|state| {
        let name = if operand.starts_with('/') {
            let at = state.datasets.iter().find(|(_, dataset)| dataset.mounted.as_deref() == Some(operand));
            let not_ours = || Fail::Text(format!("cannot unmount '{operand}': not a ZFS filesystem"));
            at.map(|(name, _)| name.clone()).ok_or_else(not_ours)?
        } else {
            operand.to_owned()
        };
        let Some(dataset) = state.dataset(&name) else { return Err(cannot_open(&name)) };
        if value(state, &name, "mountpoint") == "legacy" {
            let hint = "use umount(1M) to unmount this filesystem";
            return Err(Fail::Text(format!("cannot unmount '{operand}': legacy mountpoint\n{hint}")));
        }
        if dataset.mounted.is_none() {
            return Err(Fail::Text(format!("cannot unmount '{operand}': not currently mounted")));
        }
        // It takes those along that inherit its mountpoint (libzfs zfs_unmountall).
        Reach::of_property(state, &name, "mountpoint").unmount(&session.store, state)?.map_err(Fail::Text)
    })??;
    Ok(0)
}
