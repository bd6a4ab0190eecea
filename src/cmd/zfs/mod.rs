//! `zfs`: datasets, snapshots, properties, streams.
//!
//! Only what every release takes is used (Solaris 10 to OpenZFS and zfs-fuse): `get -p` but never `list -p`,
//! one property in a `set`, options before operands, `-t` always given. What a command did is judged by
//! looking, mostly at guids: `zfs receive` gives 1 for complete and 0 for doubtful data.

pub mod argv;
pub mod fault;
pub mod parse;
pub mod property;

use std::collections::BTreeMap;

use super::CmdError;
use crate::job::name::{DatasetName, Guid, SnapshotName};
use crate::process::{Output, Programs, RunError, Streaming};
pub use argv::Wire;
pub use fault::Fault;
pub use parse::{PropertyLine, Source};

/// The `zfs` command of this host.
#[derive(Debug, Clone, Copy)]
pub struct Zfs<'p> {
    programs: &'p Programs,
}

impl<'p> Zfs<'p> {
    /// By these programs.
    pub fn new(programs: &'p Programs) -> Self {
        Self { programs }
    }

    /// Every filesystem and volume of the host, with these properties as people read them (`-` where one does
    /// not apply). Only the last one may be free text. Numbers come mangled: ask [`Zfs::properties`] for them.
    ///
    /// A mountpoint with a line end, which the root user of any zone can set, makes the list ambiguous. The names alone
    /// never are, so each dataset is then asked for by name.
    ///
    /// # Errors
    /// When the command fails or its output isn't understood.
    pub fn all_datasets(&self, columns: &[&str]) -> Result<Vec<(DatasetName, Vec<String>)>, CmdError> {
        let names = self.listed(&[], &[])?;
        let argv = argv::list(columns, &[]);
        if let Ok(rows) = parse::list(&self.programs.ok(&argv)?.stdout, columns.len())
            && rows.iter().map(|(name, _)| name).eq(names.iter().map(|(name, _)| name))
        {
            return Ok(rows);
        }
        let mut rows = Vec::with_capacity(names.len());
        for (name, _) in names {
            let argv = argv::list_one(columns, &name);
            let output = self.programs.ok(&argv)?;
            rows.push(parse::one(&output.stdout, &name, columns.len()).map_err(CmdError::unreadable(&argv))?);
        }
        Ok(rows)
    }

    fn listed(
        &self,
        columns: &[&str],
        roots: &[DatasetName],
    ) -> Result<Vec<(DatasetName, Vec<String>)>, CmdError> {
        let argv = argv::list(columns, roots);
        parse::list(&self.programs.ok(&argv)?.stdout, columns.len()).map_err(CmdError::unreadable(&argv))
    }

    /// The names of `roots` and everything below them, parents before children.
    ///
    /// # Errors
    /// As above, also when one of `roots` does not exist.
    pub fn names_below(&self, roots: &[DatasetName]) -> Result<Vec<DatasetName>, CmdError> {
        if roots.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.listed(&[], roots)?.into_iter().map(|(name, _)| name).collect())
    }

    /// All properties of `roots`, everything below them, and their snapshots, in one process. `take` gets them line by
    /// line, those of one dataset in one block.
    ///
    /// # Errors
    /// As above; some lines have been taken then.
    pub fn properties_below(
        &self,
        roots: &[DatasetName],
        take: impl FnMut(PropertyLine),
    ) -> Result<(), CmdError> {
        if roots.is_empty() {
            return Ok(());
        }
        let argv = argv::get_all(roots);
        parse::each_property(&self.programs.ok(&argv)?.stdout, take).map_err(CmdError::unreadable(&argv))
    }

    /// Some properties of some datasets or snapshots, all of which must exist; never-set user properties come
    /// with the value `-` and [`Source::None`].
    ///
    /// # Errors
    /// As above.
    pub fn properties<N: AsRef<str>>(
        &self,
        properties: &[&str],
        names: &[N],
    ) -> Result<Vec<PropertyLine>, CmdError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let argv = argv::get(properties, names);
        parse::properties(&self.programs.ok(&argv)?.stdout).map_err(CmdError::unreadable(&argv))
    }

    /// All properties of one dataset. A user property whose value holds a line end can't be read back: it and
    /// those after it are left out. Native properties come before all of them (`zprop_expand_list`, `zfs_do_get`).
    ///
    /// # Errors
    /// When the command fails, or its very first line isn't understood.
    pub fn settings(&self, dataset: &DatasetName) -> Result<Vec<PropertyLine>, CmdError> {
        let argv = argv::get(&["all"], std::slice::from_ref(dataset));
        let mut lines = Vec::new();
        match parse::each_property(&self.programs.ok(&argv)?.stdout, |line| lines.push(line)) {
            Err(error) if lines.is_empty() => Err(CmdError::unreadable(&argv)(error)),
            _ => Ok(lines),
        }
    }

    /// The guids of those of these datasets and snapshots that exist: what isn't in the map does not exist.
    ///
    /// # Errors
    /// When `zfs` says anything about one of them but that it does not exist.
    pub fn guids<N: AsRef<str>>(&self, names: &[N]) -> Result<BTreeMap<String, Guid>, CmdError> {
        let mut found = BTreeMap::new();
        // A missing name costs a line of stderr, of which 8 KiB are kept and all must be read.
        for names in names.chunks(20) {
            let argv = argv::guids(names);
            let output = self.programs.run(&argv)?;
            let guids = parse::guids(&output.stdout).map_err(CmdError::unreadable(&argv))?;
            // Each name must be accounted for: what is taken for missing may be made anew.
            if missing(&output).is_none_or(|missing| guids.len() + missing != names.len()) {
                return Err(RunError::Failed { argv, output: Box::new(output) }.into());
            }
            found.extend(guids);
        }
        Ok(found)
    }

    /// The guid of one dataset or snapshot, `None` if there is none of this name.
    ///
    /// # Errors
    /// As [`Zfs::guids`].
    pub fn guid(&self, name: &str) -> Result<Option<Guid>, CmdError> {
        Ok(self.guids(&[name])?.remove(name))
    }

    /// The guids of `roots`, of everything below them and of all their snapshots, in one process.
    ///
    /// # Errors
    /// As [`Zfs::names_below`].
    pub fn guids_below(&self, roots: &[DatasetName]) -> Result<BTreeMap<String, Guid>, CmdError> {
        if roots.is_empty() {
            return Ok(BTreeMap::new());
        }
        let argv = argv::guids_below(roots);
        let output = self.programs.ok(&argv)?;
        Ok(parse::guids(&output.stdout).map_err(CmdError::unreadable(&argv))?.into_iter().collect())
    }

    /// The newest filesystem version that this host's software takes.
    ///
    /// # Errors
    /// As above.
    pub fn newest_version(&self) -> Result<u64, CmdError> {
        let argv = argv::versions();
        let output = self.programs.ok(&argv)?;
        parse::newest_version(&output.stdout).map_err(CmdError::unreadable(&argv))
    }

    /// Whether `zfs send` or `zfs receive` takes an option letter; it touches nothing.
    ///
    /// # Errors
    /// When the command can't be run or gives an answer that is not known.
    pub fn takes_option(&self, subcommand: &'static str, letter: char) -> Result<bool, CmdError> {
        let argv = argv::probe(subcommand, letter);
        let output = self.programs.run(&argv)?;
        parse::probe(&output.stderr).map_err(CmdError::unreadable(&argv))
    }

    /// Runs one of the commands of [`argv`] that change something and print nothing.
    ///
    /// # Errors
    /// When it fails; [`Fault::of`] reads the reason.
    pub fn run(&self, argv: &super::Argv) -> Result<Output, RunError> {
        self.programs.ok(argv)
    }

    /// Starts `zfs send` of one snapshot, full or from an earlier one of the same dataset.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn send(
        &self,
        dataset: &DatasetName,
        snapshot: &SnapshotName,
        from: Option<&SnapshotName>,
        wire: Wire,
    ) -> Result<Streaming, RunError> {
        self.programs.spawn_reader(&argv::send(dataset, snapshot, from, wire))
    }

    /// Starts `zfs receive -u` into a dataset: never mounted, never forced.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn receive(&self, dataset: &DatasetName, snapshot: &SnapshotName) -> Result<Streaming, RunError> {
        self.programs.spawn_writer(&argv::receive(dataset, snapshot))
    }
}

/// How many names the command says are missing; `None` if it says anything else, or more than was kept.
fn missing(output: &Output) -> Option<usize> {
    if output.stderr_cut { None } else { fault::missing_names(&output.stderr) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Status;

    #[test]
    fn a_name_counts_as_missing_only_when_zfs_says_so_and_all_it_says_was_kept() {
        let text = "cannot open 'data/nope': dataset does not exist\n";
        let output = |stderr: &str, stderr_cut| Output {
            status: Status::Exit(1),
            stdout: String::new(),
            stderr: stderr.to_owned(),
            stderr_cut,
        };
        assert_eq!(missing(&output(text, false)), Some(1));
        assert_eq!(missing(&output(text, true)), None);
        assert_eq!(missing(&output("cannot open 'data/nope': I/O error\n", false)), None);
    }
}
