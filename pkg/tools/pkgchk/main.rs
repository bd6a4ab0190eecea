//! Takes a datastream apart and compares it with the prototype, for `pkg/check`.
//!
//! Shares nothing with `pkgmk` beside it: what it knows of the format it has from pkgmap(5), pkginfo(5), cpio's header and
//! illumos's `lib/libpkg/common`. It believes nothing of what it reads, and tells every fault at once.

mod archive;
mod compare;
mod map;
mod stream;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;

/// Reads a package's datastream and compares it with the prototype and the files that it names.
#[derive(Parser)]
#[command(name = "pkgchk")]
struct Args {
    /// The prototype with its sources.
    #[arg(long)]
    prototype: PathBuf,
    /// What the sources are relative to.
    #[arg(long)]
    sources: PathBuf,
    /// Lays the package out in directory format in this directory, which must not exist.
    #[arg(long)]
    extract: Option<PathBuf>,
    /// The datastream.
    stream: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("pkgchk: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<String> {
    let bytes = fs::read(&args.stream).with_context(|| args.stream.display().to_string())?;
    let package = stream::Package::read(&bytes).with_context(|| args.stream.display().to_string())?;
    let prototype =
        fs::read_to_string(&args.prototype).with_context(|| args.prototype.display().to_string())?;
    let faults = compare::faults(&package, &prototype, &args.sources);
    if !faults.is_empty() {
        bail!(
            "{} is not what the prototype says, {} faults:\n  {}",
            args.stream.display(),
            faults.len(),
            faults.join("\n  ")
        );
    }
    if let Some(dir) = &args.extract {
        extract(&package, dir)?;
    }
    let (files, size) = (package.files.len(), bytes.len());
    Ok(format!(
        "{}: {} entries, {files} members, {size} bytes: as the prototype says",
        package.name,
        package.map.len()
    ))
}

/// As `pkgtrans` would.
fn extract(package: &stream::Package, dir: &Path) -> Result<()> {
    fs::create_dir(dir).with_context(|| dir.display().to_string())?;
    for file in &package.files {
        // Checked when it was read: relative, no `..`, nothing twice.
        let path = dir.join(&file.name);
        let above = if file.is_dir { path.as_path() } else { path.parent().unwrap_or(dir) };
        fs::create_dir_all(above).with_context(|| above.display().to_string())?;
        if !file.is_dir {
            fs::write(&path, &file.data).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}
