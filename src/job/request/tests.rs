use super::*;
use crate::job::fault::Faults;

const SHIPPED: &str = include_str!("../../../pkg/request.toml");

/// Every key at once, none at its default.
const FULL: &str = r#"
zone = "dbbackup"
to = "zhost2"
mode = "cold"
snapshot = "migrate"
not_before = 2007-05-18T05:00:00.25+02:00
give_up = "8h"
max_outage = "1h30m"
ticket = "OPS-1138 \"x\""

[shutdown]
timeout = "20m"
force = true

[target]
zonepath = "/export/zones/db backup"
attach = "update-all"
boot = false

[target.datasets]
"data/zones" = "tank/zones"
"data/my zones" = "tank/a:b"

[target.properties]
"data/zones/dbbackup/pkgsrc" = { mountpoint = "legacy", "org.example:note" = "it's\\ \"é\"" }

[target.zonecfg]
commands = ["select net physical=bge0", "set physical=nge0", "end"]

[target.route]
interface = "nge0:99"
address = "192.0.2.9"
netmask = "255.255.255.0"
gateway = "192.0.2.1"

[verify]
timeout = "15m"
commands = ["/opt/mysql/bin/mysqladmin status", "test \"$(date)\" != ''; true"]
on_failure = "stay"

[source]
keep = "7d"
"#;

fn parse(text: &str) -> Result<Request, String> {
    Request::parse("r.toml", text).map_err(|faults| Faults(faults).to_string())
}

fn shortest() -> Request {
    Request::new(ZoneName::new("dbbackup").unwrap(), HostName::new("zhost2").unwrap())
}

/// The text with every commented-out key in force: prose has a blank after the '#'.
fn enabled(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with(' ') => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn two_lines_are_enough_and_the_shipped_request_is_those_two() {
    let two = "zone = \"dbbackup\"\nto = \"zhost2\"\n";
    assert_eq!(parse(two), Ok(shortest()));
    assert_eq!(parse(SHIPPED), Ok(shortest()));
    assert_eq!(shortest().to_toml(), two);
}

#[test]
fn the_shipped_request_with_every_key_in_force_says_what_its_comments_say() {
    let read = parse(&enabled(SHIPPED)).unwrap();
    let mut expected = shortest();
    expected.snapshot = Some(SnapshotName::new("migrate").unwrap());
    expected.not_before = Some("2007-05-18T03:00:00Z".parse().unwrap());
    expected.max_outage = Some(Duration::from_secs(7200));
    expected.ticket = Some("OPS-1138".to_owned());
    expected.target = read.target.clone();
    expected.verify.commands = vec!["/opt/mysql/bin/mysqladmin status".to_owned()];
    // What is commented out as the default is the default.
    assert_eq!(read, expected);
    let target = read.target;
    assert_eq!(target.zonepath.as_deref(), Some("/export/zones/dbbackup"));
    assert_eq!((target.attach, target.boot), (Attach::Strict, Some(true)));
    assert_eq!(target.datasets["data/zones"].as_str(), "tank/zones");
    assert_eq!(target.properties["data/zones/dbbackup/pkgsrc"]["mountpoint"], "legacy");
    assert_eq!(target.zonecfg.len(), 3);
    assert_eq!(target.route.unwrap().interface(), "nge0:99");
}

#[test]
fn every_key_survives_toml_and_json() {
    let request = parse(FULL).unwrap();
    let written = request.to_toml();
    assert_eq!(parse(&written).as_ref(), Ok(&request), "{written}");
    let json = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<Request>(&json).unwrap(), request, "{json}");
    // None of them is at its default, or this test would not see it get lost.
    let keys: Vec<&str> =
        FULL.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect();
    for key in keys.iter().filter(|key| **key != "mode") {
        assert!(written.contains(&format!("{key} = ")) || key.starts_with('"'), "{key} is not in {written}");
    }
}

#[test]
fn the_normalised_form_is_as_documented() {
    let json = serde_json::to_value(parse(FULL).unwrap()).unwrap();
    assert_eq!(json["give_up"], 28_800);
    assert_eq!(json["max_outage"], 5_400);
    assert_eq!(json["mode"], "cold");
    assert_eq!(json["not_before"], "2007-05-18T03:00:00.250Z");
    assert_eq!(json["target"]["attach"], "update-all");
    assert_eq!(json["verify"]["on_failure"], "stay");
    assert_eq!(json["source"]["keep"]["for"], 604_800);
    assert_eq!(serde_json::to_value(shortest()).unwrap()["source"]["keep"], "forever");
}

#[test]
fn a_peers_offer_is_held_to_the_same_rules() {
    let good = serde_json::to_value(parse(FULL).unwrap()).unwrap();
    for (place, bad) in [
        ("/zone", serde_json::json!("../x")),
        ("/mode", serde_json::json!("warm")),
        ("/give_up", serde_json::json!(0)),
        ("/max_outage", serde_json::json!(u64::MAX)),
        ("/ticket", serde_json::json!("a\nb")),
        ("/shutdown/timeout", serde_json::json!(-1)),
        ("/target/zonepath", serde_json::json!("/export/../etc")),
        ("/target/datasets", serde_json::json!({"a": "../b"})),
        ("/target/properties", serde_json::json!({"data": {"zoned": "off"}})),
        ("/target/properties", serde_json::json!({"data": {"mountpoint": "x"}})),
        ("/target/zonecfg", serde_json::json!(["set pool=a; delete -F"])),
        ("/target/zonecfg", serde_json::json!(["add net"])),
        ("/target/route/gateway", serde_json::json!("198.51.100.1")),
        ("/verify/commands", serde_json::json!(["a\nb"])),
        ("/source/keep", serde_json::json!({"for": 0})),
        ("/source", serde_json::json!({"keep": "forever", "more": 1})),
    ] {
        let mut offer = good.clone();
        *offer.pointer_mut(place).unwrap() = bad.clone();
        assert!(serde_json::from_value::<Request>(offer).is_err(), "{place}: {bad}");
    }
    assert!(serde_json::from_value::<Request>(good).is_ok());
}

#[test]
fn all_faults_come_at_once_each_with_its_place_and_advice() {
    let text = r#"zone = "global"
to = ["zhost2"]
mode = "warm"
traget = 1
snapshot = "a/b"
not_before = 2007-05-18T03:00:00
give_up = "soon"
max_outage = 7200
ticket = "a\nb"

[shutdown]
tiemout = "10m"
force = "yes"

[target]
zonepath = "/export/zones/../../etc"
attach = "updat"
boot = true

[target.datasets]
"data//zones" = "tank/zones"
"data/other" = "tank@x"

[target.properties]
"data/zones/dbbackup" = { guid = "1", mountpoint = "usr", zoned = "off" }

[target.zonecfg]
commands = ["set autoboot=true",
  "set pool=a; commit", "add net"]

[target.route]
interface = "nge0"
address = "192.0.2.9"
gateway = "192.0.2"

[verify]
commands = [""]
on_failure = "panic"

[source]
keep = "0s"

[sauce]
"#;
    let expected = r#"r.toml:1:8: `zone`: 'global' is the global zone, which can't be migrated
r.toml:2:6: `to`: expected a string, found an array
r.toml:3:8: `mode`: "warm" is not in this version: use "cold"
r.toml:4:1: unknown key `traget`, expected one of `zone`, `to`, `mode`, …; did you mean `target`?
r.toml:5:12: `snapshot`: 'a/b' has a character that ZFS does not allow (letters, digits, '-', '_', '.', ':' and blank)
r.toml:6:14: `not_before`: a local time means another moment on each host: put Z (UTC) or +02:00 behind it
r.toml:7:11: `give_up`: 'soon' is not a length of time: write whole numbers with d, h, m or s, the larger first, such as "1h30m"
r.toml:8:14: `max_outage`: expected a string, found a whole number
r.toml:9:10: `ticket`: 'a\nb' is not a ticket: 1 to 64 printable ASCII characters
r.toml:12:1: unknown key `shutdown.tiemout`, expected one of `timeout`, `force`; did you mean `timeout`?
r.toml:13:9: `shutdown.force`: expected `true` or `false`, found a string
r.toml:16:12: `target.zonepath`: '/export/zones/../../etc' has '.' or '..' in it: write the path without
r.toml:17:10: `target.attach`: 'updat' is unknown, expected one of `strict`, `update`, `update-all`, `force`
r.toml:21:1: `target.datasets."data//zones"`: 'data//zones' has an empty component
r.toml:22:16: `target.datasets."data/other"`: 'tank@x' has a character that ZFS does not allow (letters, digits, '-', '_', '.', ':' and blank)
r.toml:25:27: `target.properties."data/zones/dbbackup".guid`: 'guid' is read-only
r.toml:25:52: `target.properties."data/zones/dbbackup".mountpoint`: 'usr' is not an absolute path (nor `legacy` nor `none`)
r.toml:25:59: `target.properties."data/zones/dbbackup".zoned`: 'zoned' is set by zmigrate itself
r.toml:28:12: `target.zonecfg.commands`: the last `add` or `select` has no `end`
r.toml:28:13: `target.zonecfg.commands[0]`: 'set autoboot=true': zmigrate sets autoboot itself
r.toml:29:3: `target.zonecfg.commands[1]`: 'set pool=a; commit' has ';' in it: write one command a line
r.toml:31:1: `target.route.netmask` is missing
r.toml:32:13: `target.route.interface`: 'nge0' is not a logical interface such as nge0:99
r.toml:34:11: `target.route.gateway`: '192.0.2' is not an IPv4 address
r.toml:37:13: `verify.commands[0]`: '' is empty
r.toml:38:14: `verify.on_failure`: 'panic' is unknown, expected one of `return`, `stay`
r.toml:41:8: `source.keep`: '0s' is no time at all: it must be at least 1s, or "forever"
r.toml:43:2: unknown key `sauce`, expected one of `zone`, `to`, `mode`, …; did you mean `source`?"#;
    let said = parse(text).unwrap_err();
    assert_eq!(said, expected, "{said}");
}

#[test]
fn absent_keys_are_named_and_a_section_must_be_one() {
    assert_eq!(parse("").unwrap_err(), "r.toml:1:1: `zone` is missing\nr.toml:1:1: `to` is missing");
    let said = parse("zone = \"a\"\nto = \"b\"\nshutdown = \"10m\"\n[target]\nroute = {}\n").unwrap_err();
    assert_eq!(
        said,
        "r.toml:3:12: `shutdown`: expected a section, found a string\n\
         r.toml:5:9: `target.route.interface` is missing\n\
         r.toml:5:9: `target.route.address` is missing\n\
         r.toml:5:9: `target.route.netmask` is missing\n\
         r.toml:5:9: `target.route.gateway` is missing"
    );
}

#[test]
fn no_text_makes_it_panic_and_what_it_takes_it_can_write() {
    let samples = [FULL.to_owned(), enabled(SHIPPED)];
    let mut state = 0x2007_0518_u64;
    // xorshift64: the same texts on every run.
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let (mut taken, mut refused) = (0, 0);
    for round in 0..4_000 {
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
        let text = String::from_utf8_lossy(&bytes);
        match Request::parse("r.toml", &text) {
            Err(faults) => {
                refused += 1;
                assert!(!faults.is_empty() && faults.len() <= Faults::MOST + 1, "{text}");
                let shown = Faults(faults).to_string();
                assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
            }
            Ok(request) => {
                taken += 1;
                let written = request.to_toml();
                assert_eq!(parse(&written).as_ref(), Ok(&request), "{written}");
            }
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}

#[test]
fn a_text_that_nests_without_end_is_refused_like_any_other() {
    // As long as the spool lets a request be.
    let long = |piece: &str| piece.repeat((64 << 10) / piece.len());
    for text in [
        format!("{}a = 1", long("a.")),
        format!("[{}a]", long("a.")),
        format!("[[{}a]]", long("a.")),
        format!("a = {}", long("[")),
        format!("a = {}", long("{a=")),
        format!("a = {{{}a = 1}}", long("a.")),
        long("[["),
        long("[a]\n"),
        long("=\n"),
        long("a=[\n"),
        format!("zone = \"{}\"", long("a")),
    ] {
        let faults = Request::parse("r.toml", &text).unwrap_err();
        assert!(faults.len() <= Faults::MOST + 1);
        assert!(faults.iter().all(|fault| fault.to_string().len() < 2_000), "{faults:?}");
    }
}
