//! A zone's data on one host in a form that can be compared with another host's: every file with
//! its type, mode, owner, size, links and digest, every dataset with its properties and their
//! sources.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::inner;
use crate::world::Host;

/// Everything that must be the same on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// By dataset and path.
    pub files: BTreeMap<String, String>,
    /// By dataset and property: the value and its source.
    pub properties: BTreeMap<String, String>,
}

/// Properties that belong to a dataset's life on one host.
const ITS_OWN: [&str; 20] = [
    "available",
    "used",
    "usedbydataset",
    "usedbychildren",
    "usedbysnapshots",
    "usedbyrefreservation",
    "referenced",
    "creation",
    "createtxg",
    "guid",
    "compressratio",
    "refcompressratio",
    "mounted",
    "written",
    "logicalused",
    "logicalreferenced",
    "objsetid",
    "unique",
    "name",
    "version",
];

/// Takes the picture of everything below a dataset. Each filesystem is looked at through a snapshot of its own,
/// received nowhere and destroyed again: what is mounted, or zoned, stays as it is.
pub fn take(host: &Host, top: &str) -> Result<Picture> {
    let mut picture = Picture::default();
    let listed = inner::ask(host, "zfs", &["get", "-rHp", "-o", "name,property,value,source", "all", top])?;
    if listed.status != 0 {
        bail!("zfs get on {}: {}", host.name(), listed.stderr);
    }
    let mut datasets = Vec::new();
    for line in listed.stdout.lines() {
        let mut columns = line.split('\t');
        let (Some(name), Some(property), Some(value), Some(source)) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            bail!("zfs get said '{line}'");
        };
        if name.contains('@') {
            continue;
        }
        if property == "type" {
            datasets.push(name.to_owned());
        }
        // The boot environment that a zone belongs to is the host's.
        if ITS_OWN.contains(&property) || property.ends_with(":parentbe") || property.starts_with("zmigrate:")
        {
            continue;
        }
        picture.properties.insert(format!("{name} {property}"), format!("{value} ({source})"));
    }
    for dataset in &datasets {
        with_files(host, dataset, |dir| walk(dataset, dir, dir, &mut picture.files))
            .with_context(|| format!("the files of {dataset} on {}", host.name()))?;
    }
    Ok(picture)
}

/// Shows a dataset's files somewhere: where it is mounted, else by a clone-like detour through its stream.
fn with_files(host: &Host, dataset: &str, look: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if let Some(dir) = crate::zfs::files(host, dataset)? {
        return look(&dir);
    }
    // A zone mounts its own below its root, whatever their mountpoints say.
    if let Some((_, path)) = crate::zones::zfs::mounts(host)?.iter().rev().find(|(name, _)| name == dataset) {
        return look(Path::new(path));
    }
    let (snapshot, copy) = (format!("{dataset}@lab-look"), "data/lab-look");
    let run = |args: &[&str]| crate::scene::zfs(host, args);
    run(&["snapshot", &snapshot])?;
    let dir = host.file("look");
    fs::create_dir_all(&dir)?;
    let clone = (|| {
        run(&["clone", "-o", &format!("mountpoint={}", dir.display()), &snapshot, copy])?;
        look(&dir)
    })();
    for args in [["destroy", copy], ["destroy", &snapshot]] {
        let mut done = run(&args);
        for _ in 0..100 {
            if done.is_ok() {
                break;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(100));
            done = run(&args);
        }
        done?;
    }
    clone
}

fn walk(dataset: &str, top: &Path, dir: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(dir)?.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let meta = fs::metadata(dir)?;
    let name = |path: &Path| format!("{dataset}:/{}", path.strip_prefix(top).unwrap_or(path).display());
    files.insert(name(dir), format!("directory {:o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid()));
    for entry in entries {
        let path = entry.path();
        let meta = fs::symlink_metadata(&path)?;
        let kind = meta.file_type();
        let owner = format!("{:o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid());
        let text = if kind.is_dir() {
            // What is mounted on it is another dataset's.
            if meta.dev() == fs::metadata(top)?.dev() {
                walk(dataset, top, &path, files)?;
            } else {
                files.insert(name(&path), "mountpoint".into());
            }
            continue;
        } else if kind.is_symlink() {
            format!("link to {}", fs::read_link(&path)?.display())
        } else if kind.is_file() {
            let digest = blake3::hash(&fs::read(&path)?).to_hex();
            format!(
                "file {owner} {} bytes, {} links, mtime {}, {digest}",
                meta.len(),
                meta.nlink(),
                meta.mtime()
            )
        } else if kind.is_fifo() {
            format!("fifo {owner}")
        } else {
            format!("special {owner}")
        };
        files.insert(name(&path), text);
    }
    Ok(())
}

/// Lines that tell how two pictures differ; none when they don't. Mountpoint directories are told apart from
/// mounted ones only where both sides have the dataset in the same state.
pub fn differences(before: &Picture, after: &Picture) -> Vec<String> {
    let mut lines = Vec::new();
    for (what, a, b) in
        [("file", &before.files, &after.files), ("property", &before.properties, &after.properties)]
    {
        for (key, value) in a {
            match b.get(key) {
                Some(other) if other == value => {}
                Some(other) => lines.push(format!("{what} {key}: {value} became {other}")),
                None => lines.push(format!("{what} {key}: is missing")),
            }
        }
        lines.extend(
            b.keys().filter(|key| !a.contains_key(*key)).map(|key| format!("{what} {key}: has come")),
        );
    }
    lines
}
