//! The usage texts after `invalid option 'x'` and similar lines. All go to stderr, with exit status
//! 2.

use super::command::complain;

const VERBS: &[(&str, &str)] = &[
    ("create", "\tcreate [-p] [-o property=value] ... <filesystem>"),
    ("destroy", "\tdestroy [-rRf] <filesystem|volume>\n\tdestroy [-rRd] <snapshot>"),
    ("snapshot", "\tsnapshot [-r] [-o property=value] ... <filesystem@snapname|volume@snapname>"),
    (
        "rename",
        "\trename <filesystem|volume|snapshot> <filesystem|volume|snapshot>\n\
         \trename -p <filesystem|volume> <filesystem|volume>\n\trename -r <snapshot> <snapshot>",
    ),
    (
        "list",
        "\tlist [-rH][-d max] [-o property[,...]] [-t type[,...]] [-s property] ...\n\
         \t    [-S property] ... [filesystem|volume|snapshot] ...",
    ),
    ("clone", "\tclone [-p] [-o property=value] ... <snapshot> <filesystem|volume>"),
    ("load-key", "\tload-key [-rn] [-L <keylocation>] <-a | filesystem|volume>"),
    ("unload-key", "\tunload-key [-r] <-a | filesystem|volume>"),
    ("bookmark", "\tbookmark <snapshot> <bookmark>"),
    ("set", "\tset <property=value> <filesystem|volume|snapshot> ..."),
    (
        "get",
        "\tget [-rHp] [-d max] [-o \"all\" | field[,...]] [-s source[,...]]\n\
         \t    <\"all\" | property[,...]> [filesystem|volume|snapshot] ...",
    ),
    ("inherit", "\tinherit [-rS] <property> <filesystem|volume|snapshot> ..."),
    ("upgrade", "\tupgrade [-v]\n\tupgrade [-r] [-V version] <-a | filesystem ...>"),
    ("mount", "\tmount\n\tmount [-vO] [-o opts] <-a | filesystem>"),
    ("unmount", "\tunmount [-f] <-a | filesystem|mountpoint>"),
    ("send", "\tsend [-RDp] [-[iI] snapshot] <snapshot>"),
    ("receive", "\treceive [-vnFu] <filesystem|volume|snapshot>\n\treceive [-vnFu] -d <filesystem>"),
    ("hold", "\thold [-r] <tag> <snapshot> ..."),
    ("holds", "\tholds [-r] <snapshot> ..."),
    ("release", "\trelease [-r] <tag> <snapshot> ..."),
];

const POOL_VERBS: &[(&str, &str)] = &[
    (
        "create",
        "\tcreate [-fn] [-o property=value] ... \n\t    [-O file-system-property=value] ... \n\
         \t    [-m mountpoint] [-R root] <pool> <vdev> ...",
    ),
    ("list", "\tlist [-H] [-o property[,...]] [pool] ..."),
    ("get", "\tget <\"all\" | property[,...]> <pool> ..."),
    ("set", "\tset <property=value> <pool>"),
    ("status", "\tstatus [-vx] [pool] ..."),
];

const HINTS: &str =
    "\nFor the property list, run: zfs set|get\n\nFor the delegated permission list, run: zfs allow|unallow";

/// The usage of one verb, without the property table that real ZFS prints after some of them.
pub fn of(program: &str, verb: &str) -> String {
    let verb = match verb {
        "recv" => "receive",
        "snap" => "snapshot",
        "umount" => "unmount",
        verb => verb,
    };
    let (verbs, hints) = if program == "zpool" { (POOL_VERBS, "") } else { (VERBS, HINTS) };
    let text = verbs.iter().find(|(name, _)| *name == verb).map_or("", |(_, text)| text);
    format!("usage:\n{text}\n{hints}").trim_end().to_owned()
}

/// No verb, or an unknown one. Answers the exit status.
pub fn general(fault: &str) -> i32 {
    complain(fault);
    complain("usage: zfs command args ...\nwhere 'command' is one of the following:\n");
    for (_, text) in VERBS {
        complain(text);
    }
    complain("\nEach dataset is of the form: pool/[dataset/]*dataset[@name]");
    complain(HINTS);
    2
}

/// The same for `zpool`.
pub fn general_pool(fault: &str) -> i32 {
    complain(fault);
    complain("usage: zpool command args ...\nwhere 'command' is one of the following:\n");
    for (_, text) in POOL_VERBS {
        complain(text);
    }
    2
}
