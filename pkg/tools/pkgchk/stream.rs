//! A datastream of one package in one part.

use anyhow::{Context, Result, bail, ensure};

use crate::archive::{self, File};
use crate::map::{self, Entry};

/// What a datastream holds.
pub struct Package {
    /// By its header.
    pub name: String,
    /// pkginfo's parameters.
    pub parameters: Vec<(String, String)>,
    /// pkgmap's entries.
    pub map: Vec<Entry>,
    /// The members of the package's own archive.
    pub files: Vec<File>,
}

impl Package {
    /// Reads all of it, to the last byte.
    ///
    /// # Errors
    /// With what is not as pkgadd needs it.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let head = bytes.get(..512).context("shorter than a header")?;
        let end = head.iter().position(|byte| *byte == 0).unwrap_or(head.len());
        ensure!(head[end..].iter().all(|byte| *byte == 0), "the header is not filled with NUL");
        let text = std::str::from_utf8(&head[..end])?;
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        let ["# PaCkAgE DaTaStReAm", line, "# end of header"] = lines[..] else {
            bail!("not the header of one package: {:?}", text);
        };
        ensure!(text.ends_with('\n') && line.len() <= 128, "the header's lines are cut or too long");
        let words: Vec<&str> = line.split(' ').collect();
        let [name, "1", size] = words[..] else { bail!("the header says '{line}', expected NAME 1 SIZE") };
        let blocks: u64 = size.parse().context("the header's size")?;

        let mut at = 512;
        let (first, used) = archive::read(&bytes[at..]).context("the first archive")?;
        at += used;
        let (files, used) = archive::read(&bytes[at..]).context("the package's archive")?;
        at += used;
        ensure!(at == bytes.len(), "{} bytes follow the package", bytes.len() - at);

        let own = |wanted: &str| -> Result<&[u8]> {
            let file = files.iter().find(|file| file.name == wanted);
            Ok(&file.with_context(|| format!("the package has no {wanted}"))?.data)
        };
        let (pkginfo, pkgmap) = (own("pkginfo")?, own("pkgmap")?);
        let said: Vec<(&str, &[u8])> = first.iter().map(|f| (f.name.as_str(), f.data.as_slice())).collect();
        let (info, map) = (format!("{name}/pkginfo"), format!("{name}/pkgmap"));
        ensure!(
            said == [(info.as_str(), pkginfo), (map.as_str(), pkgmap)],
            "the first archive is not the package's pkginfo and pkgmap"
        );

        let (size, map) = map::read(std::str::from_utf8(pkgmap)?)?;
        ensure!(size == blocks, "the header says {blocks} blocks, pkgmap {size}");
        let wanted: u64 = map.iter().filter_map(|e| e.contents).map(|c| c.size.div_ceil(512)).sum();
        ensure!(size >= wanted, "{size} blocks, and the files need {wanted}");
        let parameters = parameters(std::str::from_utf8(pkginfo)?)?;
        Ok(Self { name: name.to_owned(), parameters, map, files })
    }

    /// One of pkginfo's parameters.
    pub fn parameter(&self, key: &str) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// pkginfo(5): `PARAM=value` or `PARAM="value"`, each once.
fn parameters(text: &str) -> Result<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let (key, value) = line.split_once('=').with_context(|| format!("pkginfo: '{line}'"))?;
        ensure!(!found.iter().any(|(other, _)| other == key), "pkginfo: {key} twice");
        ensure!(value.len() <= 256 && value.is_ascii(), "pkginfo: {key} is too long or not ASCII");
        found.push((key.to_owned(), value.trim_matches('"').to_owned()));
    }
    Ok(found)
}
