//! The table of native properties. Order and defaults are illumos's (`zfs_prop.c`).

use super::property::{Native, Since, UNLIMITED, Values};

const CIPHERS: &str =
    "on | off | aes-128-ccm | aes-192-ccm | aes-256-ccm | aes-128-gcm | aes-192-gcm | aes-256-gcm";

const ON_OFF: &str = "on | off";

const fn row(name: &'static str, values: Values, inherits: bool, default: &'static str) -> Native {
    Native {
        name,
        values,
        inherits,
        default,
        filesystems: true,
        snapshots: false,
        since: Since::Always,
        shown: true,
    }
}
const fn index(name: &'static str, values: &'static str, default: &'static str) -> Native {
    row(name, Values::Index(values), true, default)
}
const fn fact(name: &'static str, values: Values) -> Native {
    Native { snapshots: true, ..row(name, values, false, "-") }
}
const fn both(native: Native) -> Native {
    Native { snapshots: true, ..native }
}
const fn own(native: Native) -> Native {
    Native { snapshots: false, ..native }
}
const fn modern(native: Native) -> Native {
    Native { since: Since::On2010, ..native }
}
const fn illumos(native: Native) -> Native {
    Native { since: Since::Illumos, ..native }
}
const fn solaris11(native: Native) -> Native {
    Native { since: Since::Solaris11, ..native }
}
const fn hidden(native: Native) -> Native {
    Native { shown: false, ..native }
}
const fn of_snapshots(native: Native) -> Native {
    Native { filesystems: false, snapshots: true, ..native }
}

/// All of them, in the order of `get all`.
pub const NATIVE: &[Native] = &[
    hidden(fact("name", Values::Fact)),
    fact("type", Values::Fact),
    fact("creation", Values::Fact),
    fact("used", Values::Bytes),
    own(fact("available", Values::Bytes)),
    fact("referenced", Values::Bytes),
    fact("compressratio", Values::Fact),
    own(fact("mounted", Values::Fact)),
    hidden(own(fact("origin", Values::Fact))),
    row("quota", Values::Size, false, "0"),
    row("reservation", Values::Size, false, "0"),
    row("recordsize", Values::Block, true, "131072"),
    row("mountpoint", Values::Mountpoint, true, ""),
    row("sharenfs", Values::Text, true, "off"),
    index("checksum", "on | off | fletcher2 | fletcher4 | sha256 | noparity | sha512 | skein | edonr", "on"),
    index("compression", "on | off | lzjb | gzip | gzip-[1-9] | zle | lz4", "off"),
    index("atime", ON_OFF, "on"),
    both(index("devices", ON_OFF, "on")),
    both(index("exec", ON_OFF, "on")),
    both(index("setuid", ON_OFF, "on")),
    index("readonly", ON_OFF, "off"),
    index("zoned", ON_OFF, "off"),
    index("snapdir", "hidden | visible", "hidden"),
    index("aclmode", "discard | groupmask | passthrough | restricted", "discard"),
    index("aclinherit", "discard | noallow | restricted | passthrough | passthrough-x", "restricted"),
    fact("createtxg", Values::Number),
    row("canmount", Values::Index("on | off | noauto"), false, "on"),
    both(index("xattr", ON_OFF, "on")),
    index("copies", "1 | 2 | 3", "1"),
    both(row("version", Values::Version, false, "")),
    both(row("utf8only", Values::Once(ON_OFF), false, "off")),
    both(row("normalization", Values::Once("none | formC | formD | formKC | formKD"), false, "none")),
    both(row("casesensitivity", Values::Once("sensitive | insensitive | mixed"), false, "sensitive")),
    index("vscan", ON_OFF, "off"),
    both(index("nbmand", ON_OFF, "off")),
    row("sharesmb", Values::Text, true, "off"),
    row("refquota", Values::Size, false, "0"),
    row("refreservation", Values::Size, false, "0"),
    fact("guid", Values::Number),
    both(index("primarycache", "all | none | metadata", "all")),
    both(index("secondarycache", "all | none | metadata", "all")),
    own(fact("usedbysnapshots", Values::Bytes)),
    own(fact("usedbydataset", Values::Bytes)),
    own(fact("usedbychildren", Values::Bytes)),
    own(fact("usedbyrefreservation", Values::Bytes)),
    index("logbias", "latency | throughput", "latency"),
    modern(index("dedup", "on | off | verify | sha256[,verify]", "off")),
    both(row("mlslabel", Values::Text, true, "none")),
    modern(index("sync", "standard | always | disabled", "standard")),
    modern(of_snapshots(fact("defer_destroy", Values::Fact))),
    modern(of_snapshots(fact("userrefs", Values::Number))),
    illumos(fact("refcompressratio", Values::Fact)),
    illumos(fact("written", Values::Bytes)),
    illumos(of_snapshots(fact("clones", Values::Fact))),
    illumos(fact("logicalused", Values::Bytes)),
    illumos(fact("logicalreferenced", Values::Bytes)),
    illumos(row("filesystem_limit", Values::Limit, false, UNLIMITED)),
    illumos(row("snapshot_limit", Values::Limit, false, UNLIMITED)),
    illumos(own(fact("filesystem_count", Values::Limit))),
    illumos(own(fact("snapshot_count", Values::Limit))),
    illumos(index("redundant_metadata", "all | most", "all")),
    illumos(hidden(own(fact("receive_resume_token", Values::Fact)))),
    // illumos since 2019. Those of Solaris 11 are others, which the lab does not have.
    illumos(both(row("encryption", Values::Once(CIPHERS), false, "off"))),
    illumos(row("keylocation", Values::Text, false, "none")),
    illumos(row("keyformat", Values::Once("raw | hex | passphrase"), false, "none")),
    illumos(row("pbkdf2iters", Values::Fact, false, "0")),
    illumos(hidden(fact("encryptionroot", Values::Fact))),
    illumos(hidden(fact("keystatus", Values::Fact))),
    // zfs_share(1M) of 11.1; that 11.4 has sharenfs and sharesmb as well is unverified.
    solaris11(index("share.nfs", ON_OFF, "off")),
    solaris11(index("share.smb", ON_OFF, "off")),
];
