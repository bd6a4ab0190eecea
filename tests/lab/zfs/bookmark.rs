//! `zfs bookmark`, and `zfs destroy` of a bookmark (illumos `zfs_main.c` zfs_do_bookmark and
//! zfs_do_destroy).
//!
//! A bookmark keeps the guid and the age of a snapshot, for streams that begin there. It holds no data,
//! does not stop its filesystem from being destroyed, and travels in no stream.

use super::command::{Fail, Outcome, Session};
use super::name::{self, Kind};
use super::state::Bookmark;
use super::{feature, options};

/// `zfs bookmark snapshot bookmark`
pub fn run(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "")?;
    let (snapshot, mark) = match parsed.operands {
        [] => return Err(Fail::Usage("missing snapshot argument".into())),
        [_] => return Err(Fail::Usage("missing bookmark argument".into())),
        [snapshot, mark, ..] => (snapshot, mark),
    };
    let Some((of, snapshot)) = snapshot.split_once('@') else {
        return Err(Fail::Usage(format!("invalid snapshot name '{snapshot}': must contain a '@'")));
    };
    let Some((dataset, short)) = mark.split_once('#') else {
        return Err(Fail::Usage(format!("invalid bookmark name '{mark}': must contain a '#'")));
    };
    // `@snapshot` alone is of the bookmark's filesystem.
    let of = if of.is_empty() { dataset } else { of };
    let refuse = |reason: &str| Err(Fail::Text(format!("cannot create bookmark '{mark}': {reason}")));
    if of != dataset || name::check(&format!("{dataset}@{short}"), Kind::Snapshot).is_err() {
        return refuse("invalid argument");
    }
    session.store.change(|state| {
        if !feature::is_enabled(state, dataset, "bookmarks") {
            return refuse("bookmark feature not enabled");
        }
        let Some(dataset) = state.datasets.get_mut(dataset) else { return refuse("unknown error") };
        let Some(snapshot) = dataset.snapshot(snapshot) else { return refuse("unknown error") };
        let bookmark =
            Bookmark { guid: snapshot.guid, createtxg: snapshot.createtxg, creation: snapshot.creation };
        if dataset.bookmarks.contains_key(short) {
            return refuse("bookmark exists");
        }
        dataset.bookmarks.insert(short.to_owned(), bookmark);
        Ok(0)
    })?
}

/// `zfs destroy bookmark`
pub fn destroy(session: &Session, full: &str, recursive: bool, deferred: bool) -> Outcome {
    if deferred {
        return Err(Fail::Text("defer destroy is not supported with bookmark".into()));
    }
    if recursive {
        return Err(Fail::Text("recursive is not supported with bookmark".into()));
    }
    let (dataset, short) = full.split_once('#').unwrap_or((full, ""));
    session.store.change(|state| {
        let removed = state.datasets.get_mut(dataset).and_then(|dataset| dataset.bookmarks.remove(short));
        match removed {
            Some(_) => Ok(0),
            None => Err(Fail::Text(format!("bookmark '{full}' does not exist."))),
        }
    })?
}

#[cfg(test)]
mod tests {
    use super::super::tests::Bench;

    #[test]
    fn a_bookmark_outlives_its_snapshot_and_blocks_nothing() {
        let bench = Bench::new();
        for line in ["create data/web", "snapshot data/web@s", "bookmark data/web@s data/web#m"] {
            assert_eq!(bench.zfs(line), 0, "{line}");
        }
        assert_eq!(bench.zfs("bookmark data/web@s data/web#m"), 1, "it exists");
        assert_eq!(bench.zfs("bookmark data/web@s data#m"), 1, "another filesystem's");
        assert_eq!(bench.zfs("bookmark data/web data/web#n"), 2);
        let guid = bench.get("data/web@s", "guid");
        assert_eq!(bench.zfs("destroy data/web@s"), 0);
        assert_eq!(bench.get("data/web#m", "guid"), guid);
        assert_eq!(bench.get("data/web#m", "type"), "bookmark");
        assert_eq!(bench.get("data/web#m", "mountpoint"), "-");
        assert_eq!(bench.zfs("rename data/web data/w"), 0);
        assert_eq!(bench.zfs("set a:b=c data/w#m"), 1, "it takes no property");
        assert_eq!(bench.zfs("destroy -r data/w#m"), 1);
        assert_eq!(bench.zfs("destroy data/w"), 0);
    }

    #[test]
    fn get_and_list_all_show_a_bookmark_after_the_snapshots() {
        let bench = Bench::new();
        for line in ["create -p data/web/child", "snapshot data/web@s", "bookmark data/web@s data/web#m"] {
            assert_eq!(bench.zfs(line), 0, "{line}");
        }
        let names = ["data/web", "data/web@s", "data/web#m", "data/web/child"];
        assert_eq!(bench.names("data/web", true), names);
        assert_eq!(bench.names("data/web", false), [names[0], names[1], names[3]]);
    }
}
