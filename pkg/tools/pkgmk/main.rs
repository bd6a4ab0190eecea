//! Makes the package where pkgmk(1) and pkgtrans(1) are not at hand, for `pkg/build`: from a prototype and a tree of files,
//! byte for byte as they would.
//!
//! `arch PROGRAM…` tells the architecture that pkginfo names, and refuses what is no program for Solaris. `make` writes the
//! directory format and the datastream. Formats: pkginfo(5), prototype(5), pkgmap(5), and illumos's
//! `lib/libpkg/common` (`ppkgmap.c`, `verify.c`, `pkgtrans.c`, `dstream.c`). Shares nothing with `pkgchk` beside it,
//! which reads what is written here.

mod cpio;
mod elf;
mod prototype;
mod stream;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "pkgmk")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The architecture of these programs, as pkginfo names it.
    Arch {
        /// Takes programs that are not for Solaris, too.
        #[arg(long)]
        test: bool,
        /// All of one architecture.
        #[arg(required = true)]
        programs: Vec<PathBuf>,
    },
    /// Directory format and datastream.
    Make {
        /// Entries without `=source`: files are below --root, information files below --install.
        #[arg(long)]
        prototype: PathBuf,
        /// The files, where they are to be installed.
        #[arg(long)]
        root: PathBuf,
        /// pkginfo, scripts and the like.
        #[arg(long)]
        install: PathBuf,
        /// The directory into which the package's own is made.
        #[arg(long)]
        into: PathBuf,
        /// The datastream's name.
        #[arg(long)]
        stream: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pkgmk: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Arch { test, programs } => {
            println!("{}", elf::architecture(&programs, test)?);
            Ok(())
        }
        Verb::Make { prototype, root, install, into, stream } => {
            let text = fs::read_to_string(&prototype).with_context(|| prototype.display().to_string())?;
            let package = prototype::Package::read(&text, &root, &install)?;
            package.write(&into.join(package.name()))?;
            let bytes = stream::datastream(&package)?;
            fs::write(&stream, bytes).with_context(|| stream.display().to_string())
        }
    }
}
