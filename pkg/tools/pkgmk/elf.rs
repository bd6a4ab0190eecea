//! For which system a program was linked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// The one architecture of all programs, as `uname -p` names it. Programs for another system only with `test`.
///
/// # Errors
/// With the program that is of another kind.
pub fn architecture(programs: &[PathBuf], test: bool) -> Result<&'static str> {
    let mut found = None;
    for path in programs {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let elf = Elf::read(&bytes).with_context(|| format!("{} is no program", path.display()))?;
        if !test {
            ensure!(
                elf.is_solaris(),
                "{} is not linked for Solaris or illumos (interpreter '{}'); --test packs it all the same",
                path.display(),
                elf.interpreter
            );
        }
        let arch = elf.architecture(path)?;
        ensure!(found.is_none_or(|other| other == arch), "{} is of another architecture", path.display());
        found = Some(arch);
    }
    found.context("no programs")
}

/// What tells one program from another, of an ELF file of 64 bits.
struct Elf {
    machine: u16,
    os: u8,
    interpreter: String,
}

impl Elf {
    fn read(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(b"\x7fELF") || bytes.get(4) != Some(&2) {
            return None;
        }
        let little = bytes.get(5) == Some(&1);
        let number = |at: usize, size: usize| -> Option<u64> {
            let field = bytes.get(at..at.checked_add(size)?)?;
            let most_first = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
            Some(if little {
                field.iter().rev().fold(0, most_first)
            } else {
                field.iter().fold(0, most_first)
            })
        };
        let place = |at: usize| number(at, 8).and_then(|value| usize::try_from(value).ok());
        // Elf64_Ehdr: e_machine at 18, e_phoff at 32, e_phentsize at 54, e_phnum at 56.
        let (table, size, count) = (place(32)?, number(54, 2)? as usize, number(56, 2)? as usize);
        let mut interpreter = String::new();
        for i in 0..count {
            let header = table.checked_add(i * size)?;
            // Elf64_Phdr: p_type, PT_INTERP is 3; p_offset at 8, p_filesz at 32.
            if number(header, 4)? == 3 {
                let (from, length) = (place(header + 8)?, place(header + 32)?);
                let text = bytes.get(from..from.checked_add(length)?)?;
                interpreter = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
            }
        }
        Some(Self { machine: u16::try_from(number(18, 2)?).ok()?, os: *bytes.get(7)?, interpreter })
    }

    /// By EI_OSABI, ELFOSABI_SOLARIS is 6; or, since Solaris's linker sets that only where it must (unverified for each
    /// release), by the run-time linker: `/lib/64/ld.so.1`, `/usr/lib/amd64/ld.so.1` and the like. Linux's are
    /// `ld-linux*` on the architectures taken here.
    fn is_solaris(&self) -> bool {
        let interpreter = Path::new(&self.interpreter);
        self.os == 6
            || interpreter.file_name().is_some_and(|name| name == "ld.so.1")
                && (interpreter.starts_with("/lib") || interpreter.starts_with("/usr/lib"))
    }

    fn architecture(&self, path: &Path) -> Result<&'static str> {
        match self.machine {
            // EM_X86_64: uname -p says i386 for 64 bits as well.
            62 => Ok("i386"),
            // EM_SPARCV9
            43 => Ok("sparc"),
            // EM_AARCH64
            183 => Ok("aarch64"),
            other => bail!("{}: machine {other} is not known here", path.display()),
        }
    }
}
