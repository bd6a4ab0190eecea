//! The datastream: a header, an archive of what every package says of itself, and the package.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::cpio::{BLOCK, Member, archive, fill};
use crate::prototype::{Object, Package};

/// S_IFREG, 0644; S_IFDIR, 0755. pkgadd takes modes from pkgmap.
const FILE: u32 = 0o100_644;
const DIRECTORY: u32 = 0o040_755;

/// All of one package in one part, for `pkgadd -d FILE`.
///
/// # Errors
/// When the package has no name or is larger than the header can say.
pub fn datastream(package: &Package) -> Result<Vec<u8>> {
    let name = package.name();
    let pkginfo = package.pkginfo().context("no pkginfo")?;
    ensure!(!name.is_empty(), "pkginfo has no PKG");
    let pkgmap = package.pkgmap();
    let entry = |name: String, data| Member { name, mode: FILE, mtime: pkginfo.mtime, data };

    let mut out =
        format!("# PaCkAgE DaTaStReAm\n{name} 1 {}\n# end of header\n", package.blocks()).into_bytes();
    ensure!(out.len() <= BLOCK, "the header is longer than its block");
    fill(&mut out, BLOCK);
    out.extend(archive([
        entry(format!("{name}/pkginfo"), &pkginfo.data),
        entry(format!("{name}/pkgmap"), pkgmap.as_bytes()),
    ]));

    let mut members = vec![entry("pkginfo".into(), &pkginfo.data), entry("pkgmap".into(), pkgmap.as_bytes())];
    let mut made = BTreeSet::new();
    for object in package.information.iter().chain(&package.objects) {
        if object.directory().is_empty() {
            continue;
        }
        let path = format!("{}/{}", object.directory(), object.path);
        parents(&path, &mut made, pkginfo.mtime, &mut members);
        members.push(member(object, &path));
        if object.is_dir() {
            made.insert(path);
        }
    }
    out.extend(archive(members));
    Ok(out)
}

fn member<'a>(object: &'a Object, path: &str) -> Member<'a> {
    let mode = if object.is_dir() { DIRECTORY } else { FILE };
    Member { name: path.to_owned(), mode, mtime: object.mtime, data: &object.data }
}

/// The directories above a path that have not been told yet: cpio makes none by itself without -d.
fn parents<'a>(path: &str, made: &mut BTreeSet<String>, mtime: u32, members: &mut Vec<Member<'a>>) {
    for (at, _) in path.match_indices('/') {
        let above = &path[..at];
        if made.insert(above.to_owned()) {
            members.push(Member { name: above.to_owned(), mode: DIRECTORY, mtime, data: &[] });
        }
    }
}
