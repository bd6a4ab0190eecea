//! A prototype and its files, made into pkgmap and the package's directory.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};

use crate::cpio::BLOCK;

/// Everything that goes into the package.
pub struct Package {
    /// Information files: pkginfo, scripts, by name.
    pub information: Vec<Object>,
    /// What is installed, by path.
    pub objects: Vec<Object>,
}

/// One entry.
pub struct Object {
    /// Relative to the root; an information file's name.
    pub path: String,
    /// The prototype's type: `d f e v i`.
    ftype: char,
    /// `class mode owner group`, where the type has them.
    class: String,
    attributes: String,
    /// A file's bytes.
    pub data: Vec<u8>,
    /// Seconds since 1970.
    pub mtime: u32,
}

impl Package {
    /// Reads a prototype whose entries name no source.
    ///
    /// # Errors
    /// With the line that can't be taken, or the file that can't be read.
    pub fn read(text: &str, root: &Path, install: &Path) -> Result<Self> {
        let mut package = Self { information: Vec::new(), objects: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["i", path] => package.information.push(Object::new('i', path, "", "", install)?),
                ["d", class, path, mode, owner, group] => {
                    package.objects.push(Object::new(
                        'd',
                        path,
                        class,
                        &attributes(mode, owner, group)?,
                        root,
                    )?);
                }
                [ftype @ ("f" | "e" | "v"), class, path, mode, owner, group] => {
                    let ftype = ftype.chars().next().unwrap_or('f');
                    package.objects.push(Object::new(
                        ftype,
                        path,
                        class,
                        &attributes(mode, owner, group)?,
                        root,
                    )?);
                }
                _ => bail!("prototype: '{line}' is not of a kind known here"),
            }
        }
        package.information.sort_by(|a, b| a.path.cmp(&b.path));
        package.objects.sort_by(|a, b| a.path.cmp(&b.path));
        ensure!(package.pkginfo().is_some(), "prototype: no pkginfo");
        Ok(package)
    }

    /// The file of parameters.
    pub fn pkginfo(&self) -> Option<&Object> {
        self.information.iter().find(|object| object.path == "pkginfo")
    }

    /// Its name, by `PKG=`.
    pub fn name(&self) -> String {
        let text = self.pkginfo().map(|object| String::from_utf8_lossy(&object.data).into_owned());
        let text = text.unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("PKG=")).unwrap_or_default().to_owned()
    }

    /// The size of all files in blocks, as pkgmap's first line and the stream's header have it.
    pub fn blocks(&self) -> usize {
        let files = self.information.iter().chain(&self.objects);
        files.map(|object| object.data.len().div_ceil(BLOCK)).sum()
    }

    /// pkgmap: one part, each entry as pkgmk prints it.
    pub fn pkgmap(&self) -> String {
        let mut map = format!(": 1 {}\n", self.blocks());
        let mut entries: Vec<&Object> = self.objects.iter().chain(&self.information).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries.into_iter().for_each(|object| map.push_str(&object.line()));
        map
    }

    /// The package in directory format.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        if dir.exists() {
            fs::remove_dir_all(dir).with_context(|| dir.display().to_string())?;
        }
        fs::create_dir_all(dir.join("install")).with_context(|| dir.display().to_string())?;
        fs::write(dir.join("pkgmap"), self.pkgmap())?;
        for object in &self.information {
            object.write(&dir.join(object.directory()).join(&object.path))?;
        }
        for object in &self.objects {
            object.write(&dir.join(object.directory()).join(&object.path))?;
        }
        Ok(())
    }
}

impl Object {
    fn new(ftype: char, path: &str, class: &str, attributes: &str, below: &Path) -> Result<Self> {
        let file = below.join(path);
        let meta = fs::metadata(&file).with_context(|| file.display().to_string())?;
        ensure!(meta.is_dir() == (ftype == 'd'), "{} is not what the prototype says", file.display());
        let data = if ftype == 'd' { Vec::new() } else { fs::read(&file)? };
        let mtime = meta.modified()?.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        Ok(Self {
            path: path.to_owned(),
            ftype,
            class: class.to_owned(),
            attributes: attributes.to_owned(),
            data,
            mtime: u32::try_from(mtime)?,
        })
    }

    /// Is it a directory?
    pub fn is_dir(&self) -> bool {
        self.ftype == 'd'
    }

    /// Where it lies in the package.
    pub fn directory(&self) -> &'static str {
        match (self.ftype, self.path.as_str()) {
            ('i', "pkginfo") => "",
            ('i', _) => "install",
            _ => "reloc",
        }
    }

    fn line(&self) -> String {
        let contents = format!("{} {} {}", self.data.len(), checksum(&self.data), self.mtime);
        match self.ftype {
            'i' => format!("1 i {} {contents}\n", self.path),
            'd' => format!("1 d {} {} {}\n", self.class, self.path, self.attributes),
            other => format!("1 {other} {} {} {} {contents}\n", self.class, self.path, self.attributes),
        }
    }

    fn write(&self, path: &Path) -> Result<()> {
        if self.is_dir() {
            return fs::create_dir_all(path).with_context(|| path.display().to_string());
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, &self.data).with_context(|| path.display().to_string())?;
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(self.mtime.into());
        fs::File::options().write(true).open(path)?.set_modified(time)?;
        Ok(())
    }
}

/// `mode owner group`, the mode in the four digits that pkgmk prints.
fn attributes(mode: &str, owner: &str, group: &str) -> Result<String> {
    let mode = u32::from_str_radix(mode, 8).with_context(|| format!("prototype: mode '{mode}'"))?;
    Ok(format!("{mode:04o} {owner} {group}"))
}

/// System V's `sum`, not cksum(1): illumos `lib/libpkg/common/verify.c`, `compute_checksum`.
fn checksum(data: &[u8]) -> u32 {
    let sum = data.iter().fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    let folded = (sum & 0xffff) + (sum >> 16);
    (folded & 0xffff) + (folded >> 16)
}
