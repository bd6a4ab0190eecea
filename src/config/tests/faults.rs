//! Faults of a configuration's text.

use super::*;

#[test]
fn all_faults_come_at_once_each_with_its_place_and_advice() {
    let text = r#"[host]
nmae = "zhost1"
[spool]
dir = "var/spool"
[scratch]
max = "128M"
part = "1000K"
[syslog]
facility = "kern"
format = "json"
remote = "loghost:514"
enterprise = 0
[commands]
path = []
timeout = 10
[jobs]
parallel = 0
offers = 65
bandwidth = "fast"
[peer.zhost1]
transport = "directory"
dropbox = "/x"
[peer."a/b"]
transport = "nfs"
dropbox = "/x"
[peer.zhost4]
transport = "directory"
user = "joe"
[peer.zhost6]
transport = "sftp"
address = "-oProxyCommand=x"
ssh_options = ["StrictHostKeyChecking=no", "-oBatchMode no", ""]
connections = 17
[accept.zhost2]
datasets = ["data/zones"]
quarantine = "data/zones2/q"
lofs = ["opt"]
devices = "no"
limitpriv = "all privileges"
[accept.zhost3]
datasets = []
zonepaths = []
[accept.zhost5]
datasets = ["data/zones"]
quarantine = "data/zones"
zonepaths = ["/z/"]
[lab]
"#;
    let expected = r#"z.toml:2:1: unknown key `host.nmae`, expected `name`
z.toml:4:7: `spool.dir`: 'var/spool' is not an absolute path
z.toml:6:7: `scratch.max`: 128M is less than two parts of 128M
z.toml:7:8: `scratch.part`: '1000K' is not a whole number of MiB from 1M to 4G
z.toml:9:12: `syslog.facility`: 'kern' is not a facility, expected one of user, mail, daemon, auth, lpr, news, uucp, cron, local0 … local7
z.toml:10:10: `syslog.format`: 'json' is unknown, expected one of `rfc3164`, `rfc5424`
z.toml:11:10: `syslog.remote`: 'loghost:514' begins with neither udp:// nor tcp://, expected such as "udp://loghost:514" or "tcp://loghost"
z.toml:12:14: `syslog.enterprise`: must be from 1 to 4294967295
z.toml:14:8: `commands.path`: is empty: no command could be found
z.toml:15:11: `commands.timeout`: expected a string, found a whole number
z.toml:17:12: `jobs.parallel`: must be from 1 to 64
z.toml:18:10: `jobs.offers`: must be from 1 to 64
z.toml:19:13: `jobs.bandwidth`: 'fast' is not a size: write a whole number of bytes, or one with K, M, G or T, such as "128M"
z.toml:20:7: `peer.zhost1`: is this host itself
z.toml:23:7: `peer."a/b"`: 'a/b' is not a host's name: letters, digits, '-', '_' and '.', the first a letter or digit
z.toml:24:13: `peer."a/b".transport`: 'nfs' is unknown, expected `directory` or `sftp`
z.toml:26:1: `peer.zhost4.dropbox` is missing
z.toml:28:8: `peer.zhost4.user`: belongs to the transport "sftp", and this one is "directory"
z.toml:29:1: `peer.zhost6.user` is missing
z.toml:31:11: `peer.zhost6.address`: '-oProxyCommand=x' is not a host's name or address
z.toml:32:16: `peer.zhost6.ssh_options[0]`: 'StrictHostKeyChecking=no' is always `yes` here: leave it out
z.toml:32:44: `peer.zhost6.ssh_options[1]`: '-oBatchMode no' is always `yes` here: leave it out
z.toml:32:62: `peer.zhost6.ssh_options[2]`: '' is empty or has a control character in it
z.toml:33:15: `peer.zhost6.connections`: must be from 1 to 16
z.toml:34:1: `accept.zhost2.zonepaths` is missing
z.toml:36:14: `accept.zhost2.quarantine`: 'data/zones2/q' does not lie below one of `datasets`
z.toml:37:9: `accept.zhost2.lofs[0]`: 'opt' is not an absolute path
z.toml:38:11: `accept.zhost2.devices`: expected `true` or `false`, found a string
z.toml:39:13: `accept.zhost2.limitpriv`: 'all privileges' is not a set of privileges such as "default,dtrace_user"
z.toml:41:12: `accept.zhost3.datasets`: is empty: no zone could land here
z.toml:42:13: `accept.zhost3.zonepaths`: is empty: no zone could land here
z.toml:45:14: `accept.zhost5.quarantine`: 'data/zones' is one of `datasets` itself: name one below it
z.toml:46:14: `accept.zhost5.zonepaths[0]`: '/z/' ends with '/': leave that out
z.toml:47:2: unknown key `lab`, expected one of `host`, `spool`, `scratch`, `syslog`, `commands`, `jobs`, `peer`, `accept`"#;
    let said = parse(text).unwrap_err();
    assert_eq!(said, expected, "{said}");
}

#[test]
fn a_peer_that_is_no_section_is_one_fault() {
    let said = parse("peer.a = \"/x\"\naccept.b = 1\n").unwrap_err();
    assert_eq!(
        said,
        "z.toml:1:10: `peer.a`: expected a section, found a string\n\
         z.toml:2:12: `accept.b`: expected a section, found a whole number"
    );
}

#[test]
fn this_hosts_own_name_must_be_legal_when_it_is_needed() {
    let faults = Config::parse("z.toml", "", "zhost1!").unwrap_err();
    let said = Faults(faults).to_string();
    assert!(
        said.starts_with("z.toml:1:1: `host.name`: is not given, and this host's own name 'zhost1!' is not"),
        "{said}"
    );
    assert!(Config::parse("z.toml", "host.name = \"zhost1\"", "").is_ok());
}

#[test]
fn a_default_quarantine_may_be_too_long_a_name() {
    let text = format!("[accept.a]\ndatasets = [\"d/{}\"]\nzonepaths = [\"/z\"]\n", "x".repeat(250));
    let said = parse(&text).unwrap_err();
    assert!(
        said.contains("`accept.a.quarantine`: is not given, and the default") && said.ends_with("255 bytes"),
        "{said}"
    );
}

#[test]
fn no_text_makes_it_panic() {
    let samples = [enabled(SHIPPED), SHIPPED.to_owned()];
    let mut state = 0x2007_0518_u64;
    // xorshift64: the same texts on every run.
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let (mut taken, mut refused) = (0, 0);
    for round in 0..3_000 {
        let mut bytes = samples[round % samples.len()].clone().into_bytes();
        for _ in 0..=random(4) {
            if bytes.is_empty() {
                break;
            }
            let at = random(bytes.len());
            match random(5) {
                0 => bytes[at] = random(256) as u8,
                1 => bytes.insert(at, b"\"'[]{}=.,#\n\\\0\x7f\xc3"[random(15)]),
                2 => drop(bytes.drain(at..(at + random(20)).min(bytes.len()))),
                3 => bytes.truncate(at),
                _ => bytes[at] ^= 1 << random(8),
            }
        }
        match Config::parse("z.toml", &String::from_utf8_lossy(&bytes), "zhost1") {
            Ok(_) => taken += 1,
            Err(faults) => {
                refused += 1;
                assert!(!faults.is_empty() && faults.len() <= Faults::MOST + 1);
                let shown = Faults(faults).to_string();
                assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
            }
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}
