//! cpio archives of the "new ASCII" kind, as `cpio -oc` writes them on Solaris.

/// The block in which the packaging tools read.
pub const BLOCK: usize = 512;

/// One member. Owner, inode and device say nothing in a package: pkgmap has the owners.
pub struct Member<'a> {
    /// Relative, with `/`.
    pub name: String,
    /// Type and permissions.
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: u32,
    /// Nothing for a directory.
    pub data: &'a [u8],
}

/// The archive with its trailer, filled up to a whole block: the next one is looked for there.
pub fn archive<'a>(members: impl IntoIterator<Item = Member<'a>>) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, member) in members.into_iter().enumerate() {
        append(&mut out, &member, i + 1);
    }
    append(&mut out, &Member { name: "TRAILER!!!".into(), mode: 0, mtime: 0, data: &[] }, 0);
    fill(&mut out, BLOCK);
    out
}

fn append(out: &mut Vec<u8>, member: &Member<'_>, inode: usize) {
    // magic ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    let links = if member.mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
    let header = format!(
        "070701{inode:08x}{:08x}{:08x}{:08x}{links:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
        member.mode,
        0,
        0,
        member.mtime,
        member.data.len(),
        0,
        0,
        0,
        0,
        member.name.len() + 1,
        0
    );
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(member.name.as_bytes());
    out.push(0);
    fill(out, 4);
    out.extend_from_slice(member.data);
    fill(out, 4);
}

/// NULs up to a multiple. All archives begin at whole blocks, so offsets within one are those of the stream.
pub fn fill(out: &mut Vec<u8>, multiple: usize) {
    out.resize(out.len().next_multiple_of(multiple), 0);
}
