//! Readers of `zfs`'s `-H` output: columns are parted by one TAB, and names may hold blanks.
//!
//! A user property's value is any text, so it may hold a TAB and even a line end. So may a mountpoint. The root user of a
//! zone with a delegated dataset can set both. TABs are part of the value. An output with a line end is refused as a
//! whole, because it could hold a line that looks like another dataset's.
//!
//! Newer releases list bookmarks (`dataset#mark`) where older ones list only snapshots (illumos 7386, OpenZFS 0.7). A
//! bookmark holds no data, so these lines are skipped. (`-t` could leave them out, but Solaris 10's `zfs get` has no `-t`.)

use std::collections::BTreeSet;
use std::fmt;

use crate::cmd::ParseError;
use crate::job::name::{DatasetName, Guid};

/// Where a property's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Set on this dataset.
    Local,
    /// Nobody set it. What the default is differs between releases.
    Default,
    /// Came with a `send -p` or `-R` stream. Pool version 22 and later.
    Received,
    /// A mount option, gone with the mount.
    Temporary,
    /// Set on this dataset above.
    Inherited(DatasetName),
    /// Not a setting: read-only, or a user property that was never set (value `-`).
    None,
}

/// One line of `zfs get -o name,property,value,source`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyLine {
    /// The dataset's or snapshot's (`dataset@snapshot`) name.
    pub name: String,
    /// The property's name.
    pub property: String,
    /// Its value; numbers in full because of `-p`, `0` for a quota of `none`.
    pub value: String,
    /// Where it comes from.
    pub source: Source,
}

impl PropertyLine {
    /// The dataset, or `None` for a line about a snapshot.
    pub fn dataset(&self) -> Option<DatasetName> {
        DatasetName::new(self.name.as_str()).ok()
    }
}

impl Source {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "local" => Source::Local,
            "default" => Source::Default,
            "received" => Source::Received,
            "temporary" => Source::Temporary,
            "-" => Source::None,
            _ => Source::Inherited(DatasetName::new(text.strip_prefix("inherited from ")?).ok()?),
        })
    }

    /// Whether this very dataset carries the setting.
    pub fn is_own(&self) -> bool {
        matches!(self, Source::Local | Source::Received)
    }
}

impl fmt::Display for Source {
    /// As `zfs get` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Local => f.write_str("local"),
            Source::Default => f.write_str("default"),
            Source::Received => f.write_str("received"),
            Source::Temporary => f.write_str("temporary"),
            Source::Inherited(from) => write!(f, "inherited from {from}"),
            Source::None => f.write_str("-"),
        }
    }
}

/// Reads `zfs list -H -o name,…` with this number of columns after the name. Only the last column may be free text, such
/// as a mountpoint with a TAB in it.
///
/// # Errors
/// On a line with fewer columns, and on a name that is not legal or is there twice.
pub fn list(text: &str, columns: usize) -> Result<Vec<(DatasetName, Vec<String>)>, ParseError> {
    let mut seen = BTreeSet::new();
    let lines = text.lines().filter(|line| !is_nothing(line)).enumerate();
    let read = lines.map(|(index, line)| {
        let mut cells = line.splitn(columns + 1, '\t').map(str::to_owned);
        let name = cells.next().unwrap_or_default();
        let name = DatasetName::new(name).map_err(|why| ParseError::at(index, line, why.to_string()))?;
        let rest: Vec<_> = cells.collect();
        if rest.len() != columns {
            return Err(ParseError::at(index, line, format!("does not have {} columns", columns + 1)));
        }
        if !seen.insert(name.clone()) {
            return Err(ParseError::at(index, line, "repeats a dataset"));
        }
        Ok((name, rest))
    });
    read.collect()
}

/// Reads `zfs list -H -o name,… NAME`: all of it is about this dataset, so the last column may hold line ends, too.
///
/// # Errors
/// When it begins with another name or has fewer columns.
pub fn one(text: &str, name: &DatasetName, columns: usize) -> Result<(DatasetName, Vec<String>), ParseError> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut cells = text.splitn(columns + 1, '\t').map(str::to_owned);
    let is_named = cells.next().as_deref() == Some(name.as_str());
    let rest: Vec<_> = cells.collect();
    if !is_named || rest.len() != columns {
        return Err(ParseError::at(0, text, format!("is not dataset '{name}' with {columns} columns")));
    }
    Ok((name.clone(), rest))
}

/// Reads `zfs get -Hp -o name,property,value,source`.
///
/// # Errors
/// On a line without its four columns, with a source that isn't known, that repeats a property of a dataset,
/// or that comes back to a dataset after another one: `zfs` prints each dataset in one block.
pub fn properties(text: &str) -> Result<Vec<PropertyLine>, ParseError> {
    let mut lines = Vec::new();
    each_property(text, |line| lines.push(line))?;
    Ok(lines)
}

/// As [`properties`], line by line: those of some hundred datasets are many megabytes.
///
/// # Errors
/// As [`properties`]; some lines have been taken then.
pub fn each_property(text: &str, mut take: impl FnMut(PropertyLine)) -> Result<(), ParseError> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut block: (&str, BTreeSet<&str>) = ("", BTreeSet::new());
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !is_skipped(line)) {
        let fault = |why: &str| ParseError::at(index, line, why);
        let columns = "does not have its four columns (a value that holds a line end can't be read back)";
        let (name, rest) = line.split_once('\t').ok_or_else(|| fault(columns))?;
        let (property, rest) = rest.split_once('\t').ok_or_else(|| fault(columns))?;
        let (value, source) = rest.rsplit_once('\t').ok_or_else(|| fault(columns))?;
        let source = Source::read(source).ok_or_else(|| fault("has a source that is not known"))?;
        check_name(name).map_err(|why| fault(&why))?;
        if block.0 != name {
            if !names.insert(name) {
                return Err(fault("comes back to a dataset that was done"));
            }
            block = (name, BTreeSet::new());
        }
        if !block.1.insert(property) {
            return Err(fault("repeats a property"));
        }
        take(PropertyLine {
            name: name.to_owned(),
            property: property.to_owned(),
            value: value.to_owned(),
            source,
        });
    }
    Ok(())
}

/// Reads `zfs get -Hp -o name,value guid`.
///
/// # Errors
/// On a line that isn't a name and a decimal number, or that repeats a name.
pub fn guids(text: &str) -> Result<Vec<(String, Guid)>, ParseError> {
    let mut seen = BTreeSet::new();
    let lines = text.lines().enumerate().filter(|(_, line)| !is_skipped(line));
    let read = lines.map(|(index, line)| {
        let fault = |why: &str| ParseError::at(index, line, why);
        let (name, value) = line.split_once('\t').ok_or_else(|| fault("does not have two columns"))?;
        check_name(name).map_err(|why| fault(&why))?;
        let guid = value.parse().map_err(|_| fault("has no guid"))?;
        if !seen.insert(name) {
            return Err(fault("repeats a name"));
        }
        Ok((name.to_owned(), Guid(guid)))
    });
    read.collect()
}

/// Reads the newest version out of `zfs upgrade -v`.
///
/// # Errors
/// When there is no table in it.
pub fn newest_version(text: &str) -> Result<u64, ParseError> {
    // ` 4   userquota, groupquota properties`, below a rule of dashes
    let rows = text.lines().skip_while(|line| !line.starts_with("---")).skip(1);
    let versions = rows.map_while(|line| line.split_whitespace().next()?.parse().ok());
    versions.max().ok_or_else(|| ParseError::at(0, text, "begins no table of filesystem versions"))
}

/// Reads the complaint about an option without its operand: whether the option is known.
///
/// # Errors
/// On any other complaint.
pub fn probe(stderr: &str) -> Result<bool, ParseError> {
    let line = stderr.lines().next().unwrap_or_default();
    if line == "missing snapshot argument" || line.starts_with("missing argument for '") {
        Ok(true)
    } else if line.starts_with("invalid option '") {
        Ok(false)
    } else {
        Err(ParseError::at(0, line, "says neither that the option is known nor that it isn't"))
    }
}

/// zfs-fuse and illumos say so on stdout, with exit code 0, where there is nothing to list (not with -H since
/// 2007).
fn is_nothing(line: &str) -> bool {
    line == "no datasets available"
}

/// A line about a bookmark, or about nothing. A forged bookmark line says nothing about any dataset.
fn is_skipped(line: &str) -> bool {
    let name = line.split('\t').next().unwrap_or_default();
    let is_bookmark = name.split_once('#').is_some_and(|(dataset, _)| check_name(dataset).is_ok());
    is_bookmark || is_nothing(line)
}

/// Checks `dataset` or `dataset@snapshot`. The snapshot may have a name that we would not give.
fn check_name(text: &str) -> Result<(), String> {
    let (dataset, snapshot) = text.split_once('@').unwrap_or((text, "s"));
    if snapshot.is_empty() || snapshot.contains(['/', '@', '\t']) {
        return Err("has a snapshot's name that is not legal".to_owned());
    }
    DatasetName::new(dataset).map(drop).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn a_list_is_read_with_blanks_in_names() {
        let rows = list(sample!("zfs/list.txt"), 3).unwrap();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[3].0.as_str(), "data/zones/dbbackup/web db");
        assert_eq!(rows[3].1, ["/export/zones/dbbackup/web db", "on", "off"]);
        assert_eq!(list("no datasets available\n", 0), Ok(Vec::new()));
        assert!(list("data\n", 1).is_err());
        assert!(list("data\ndata\n", 0).is_err());
        assert!(list("cannot open 'x'\n", 0).is_err());
    }

    #[test]
    fn all_properties_are_read_with_their_sources() {
        let lines = properties(sample!("zfs/get-all.txt")).unwrap();
        let found = |name: &str, property: &str| {
            let line = lines.iter().find(|line| line.name == name && line.property == property).unwrap();
            (line.value.as_str(), line.source.to_string())
        };
        let db = "data/zones/dbbackup/web db";
        assert_eq!(found(db, "quota"), ("104857600", "local".to_owned()));
        assert_eq!(found(db, "atime"), ("on", "default".to_owned()));
        assert_eq!(found(db, "used").1, "-");
        assert_eq!(found(db, "mountpoint").1, "inherited from data/zones/dbbackup");
        assert_eq!(found("data/zones/dbbackup@migrate", "zmigrate:job"), ("j", "local".to_owned()));
        assert_eq!(lines.iter().filter_map(PropertyLine::dataset).collect::<BTreeSet<_>>().len(), 3);
    }

    #[test]
    fn a_tab_in_a_value_is_kept_and_a_line_end_is_refused() {
        let lines = properties(sample!("zfs/get-user-properties.txt")).unwrap();
        assert_eq!((lines[1].value.as_str(), &lines[1].source), ("two\ttabs", &Source::Local));
        assert_eq!((lines[0].value.as_str(), &lines[0].source), ("-", &Source::None));
        let refused = properties(sample!("zfs/get-value-with-line-end.txt")).unwrap_err();
        assert_eq!(refused.line, 2);
    }

    #[test]
    fn a_line_forged_by_a_value_is_seen() {
        let real = "d/a\tmy:x\tv\tlocal\n";
        for (forged, why) in [
            ("d/b\tquota\t0\tlocal\nd/a\tquota\t1\tlocal\n", "comes back"),
            ("d/a\tmy:x\tv\tlocal\n", "repeats"),
            ("d/a\tmy:y\tv\tmine\n", "source"),
            ("d/../a\tmy:y\tv\tlocal\n", "is no name"),
        ] {
            let error = properties(&format!("{real}{forged}")).unwrap_err();
            assert!(error.why.contains(why), "{error}");
        }
    }

    #[test]
    fn bookmarks_are_skipped_among_snapshots() {
        let text = "d/w\ttype\tfilesystem\t-\nd/w@s\tguid\t77\t-\nd/w#zrepl_CURSOR\ttype\tbookmark\t-\n\
                    d/w#zrepl_CURSOR\tguid\t77\t-\n";
        let names: Vec<_> = properties(text).unwrap().into_iter().map(|line| line.name).collect();
        assert_eq!(names, ["d/w", "d/w@s"]);
        assert_eq!(guids("d/w\t1\nd/w@s\t77\nd/w#m\t77\n").unwrap().len(), 2);
        assert!(guids("d/../w#m\t77\n").is_err());
    }

    #[test]
    fn a_tab_in_the_last_column_belongs_to_the_value() {
        let rows = list("d/w\tyes\t/a\tb\nd/x\tno\t/x\n", 2).unwrap();
        assert_eq!(rows[0].1, ["yes", "/a\tb"]);
        assert_eq!(rows[1].1, ["no", "/x"]);
        let name = DatasetName::new("d/w").unwrap();
        assert_eq!(one("d/w\tyes\t/a\nd/x\tno\t/x\n", &name, 2).unwrap().1, ["yes", "/a\nd/x\tno\t/x"]);
        assert!(one("d/v\tyes\t/a\n", &name, 2).is_err() && one("d/w\tyes\n", &name, 2).is_err());
    }

    #[test]
    fn guids_are_read_whole() {
        let guids = guids(sample!("zfs/get-guid-some-missing.txt")).unwrap();
        assert_eq!(guids[0].0, "data/zones");
        assert_eq!(guids[1], ("data/zones/dbbackup@migrate".to_owned(), Guid(9_724_430_486_100_204_223)));
        for bad in ["data\t7.03E\n", "data\n", "data\t1\ndata\t1\n", "data@\t1\n", "\t1\n"] {
            assert!(super::guids(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_newest_version_stands_last_in_the_table() {
        assert_eq!(newest_version(sample!("zfs/upgrade-v.txt")), Ok(4));
        assert!(newest_version("invalid option 'v'\n").is_err());
    }

    #[test]
    fn an_options_absence_is_told_from_its_lack_of_an_operand() {
        assert_eq!(probe(sample!("zfs/probe-known.txt")), Ok(true));
        assert_eq!(probe(sample!("zfs/probe-unknown.txt")), Ok(false));
        assert_eq!(probe("missing argument for 't' option\nusage:\n"), Ok(true));
        assert!(probe("connect: Connection refused\n").is_err());
    }
}
