//! One cpio archive of the kind "070701", read strictly.

use anyhow::{Context, Result, bail, ensure};

/// One member.
pub struct File {
    /// As in the archive.
    pub name: String,
    /// A directory has no data.
    pub is_dir: bool,
    /// The rest.
    pub data: Vec<u8>,
}

const HEADER: usize = 110;

/// The members of the archive that `bytes` begin with, and how many bytes it takes up, to a whole block.
///
/// # Errors
/// For whatever cpio would stumble over, and for what it would let pass that no packaging tool writes.
pub fn read(bytes: &[u8]) -> Result<(Vec<File>, usize)> {
    let mut files: Vec<File> = Vec::new();
    let mut at = 0;
    loop {
        let header = bytes.get(at..at + HEADER).context("the archive ends in a header")?;
        ensure!(header.starts_with(b"070701"), "not a cpio header at {at} of the archive");
        let field = |index: usize| -> Result<usize> {
            let text = std::str::from_utf8(&header[6 + 8 * index..14 + 8 * index])?;
            usize::from_str_radix(text, 16).with_context(|| format!("header at {at}: field '{text}'"))
        };
        let (mode, size, length, check) = (field(1)?, field(6)?, field(11)?, field(12)?);
        ensure!(check == 0, "header at {at}: a check of {check}, which 070701 has not");
        let name_end = at + HEADER + length;
        let name = bytes.get(at + HEADER..name_end).context("the archive ends in a name")?;
        let name = name.strip_suffix(b"\0").context("a name without its NUL")?;
        let name = String::from_utf8(name.to_vec()).context("a name that is no text")?;
        let data_at = padded(bytes, name_end, 4)?;
        let data =
            bytes.get(data_at..data_at + size).with_context(|| format!("the archive ends in {name}"))?;
        at = padded(bytes, data_at + size, 4)?;
        if name == "TRAILER!!!" {
            ensure!(size == 0, "a trailer with data");
            return Ok((files, padded(bytes, at, 512)?));
        }
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        ensure!(!name.split('/').any(odd), "a member is called '{}'", name.escape_debug());
        ensure!(!files.iter().any(|file| file.name == name), "{name} is there twice");
        let is_dir = match mode & 0o170_000 {
            0o040_000 => true,
            0o100_000 => false,
            other => bail!("{name} is of type {other:o}"),
        };
        ensure!(!is_dir || size == 0, "the directory {name} has data");
        files.push(File { name, is_dir, data: data.to_vec() });
    }
}

/// The next multiple of `unit`, and NULs on the way there.
fn padded(bytes: &[u8], at: usize, unit: usize) -> Result<usize> {
    let end = at.div_ceil(unit) * unit;
    let gap = bytes.get(at..end).with_context(|| format!("the file ends in the padding at {at}"))?;
    ensure!(gap.iter().all(|byte| *byte == 0), "the padding at {at} is not NUL");
    Ok(end)
}
