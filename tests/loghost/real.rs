//! What rsyslogd makes of it: two hosts of the lab, a zone that moves between them, and one line for each.

use std::fs;

use crate::harness::{HOSTS, Plan, SOURCE, Scene, TARGET, VERIFY};
use crate::rsyslogd::Rsyslogd;
use crate::{WAYS, free_port, wait};

/// Both daemons speak to the log host.
fn scene(protocol: &str, port: u16, format: &str) -> Scene {
    let scene = Scene::new(&Plan::default());
    for i in [SOURCE, TARGET] {
        let path = scene.configuration(i);
        let text = fs::read_to_string(&path).unwrap();
        let remote = format!("remote = \"{protocol}://127.0.0.1:{port}\"\nformat = \"{format}\"\n");
        let text = match text.contains("[syslog]\n") {
            true => text.replacen("[syslog]\n", &format!("[syslog]\n{remote}"), 1),
            false => format!("{text}\n[syslog]\n{remote}"),
        };
        fs::write(&path, text).unwrap();
    }
    scene
}

fn unsent(scene: &Scene, i: usize) -> usize {
    fs::read_dir(scene.spool(i, "outbox"))
        .map_or(0, |entries| entries.filter(|entry| entry.as_ref().unwrap().file_name() != "held").count())
}

fn ended(scene: &Scene, i: usize) -> bool {
    fs::read_dir(scene.spool(i, "done")).is_ok_and(|jobs| jobs.count() == 1)
}

fn migrate(scene: &Scene) {
    scene.drop_request(&Scene::request(&format!(
        "ticket = \"OPS ]1138\\\"\"\n[verify]\ncommands = [\"{VERIFY}\"]\n"
    )));
    wait("end of both jobs", || match ended(scene, SOURCE) && ended(scene, TARGET) {
        true => Ok(()),
        false => Err(scene.dump()),
    });
}

#[test]
fn each_way_arrives_with_host_tag_severity_and_structured_data() {
    for (protocol, format) in WAYS {
        let Some(mut host) = Rsyslogd::new(free_port()) else { return };
        host.start();
        let mut scene = scene(protocol, host.port, format);
        [SOURCE, TARGET].into_iter().for_each(|i| scene.start_daemon(i));
        migrate(&scene);
        let lines = host.wait_lines(" result=", 2);
        for (i, role) in [(SOURCE, "source"), (TARGET, "target")] {
            let version = if format == "rfc5424" { 1 } else { 0 };
            let start = format!("daemon.notice|{version}|{}|zmigrated|", HOSTS[i]);
            let line = lines.iter().find(|line| line.starts_with(&start)).expect(&start);
            let text = &line[line.rfind("job=dbbackup-").unwrap()..];
            assert!(text.contains(&format!(" result=ok role={role} host={} ts=", HOSTS[i])), "{line}");
            assert!(text.contains(r#" ticket="OPS ]1138\"""#), "{line}");
            let data: Vec<&str> = line.split('|').skip(5).collect();
            if format == "rfc5424" {
                assert!(data[0].starts_with("[zmigrate@32473 "), "{line}");
                assert!(data[0].contains(&format!(" result=\"ok\" role=\"{role}\" ")), "{line}");
                assert!(data[0].contains(r#" ticket="OPS \]1138\"" "#), "{line}");
            } else {
                assert_eq!(data[0], "-", "{line}");
            }
            // RFC 3164 has no year and no zone; rsyslogd takes the host's local time for its own.
            let ts = text.split(" ts=").nth(1).unwrap().split(' ').next().unwrap();
            let ts: chrono::DateTime<chrono::Utc> = ts.parse().unwrap();
            assert_eq!(data[1].parse::<i64>().unwrap(), ts.timestamp(), "{line}");
        }
        for i in [SOURCE, TARGET] {
            scene.stop(i);
        }
        assert_eq!(host.lines(" result=").len(), 2, "{lines:#?}");
    }
}

#[test]
fn a_log_host_that_was_down_when_the_zone_moved_has_one_line_for_each_host_in_the_end() {
    for (protocol, format) in [("udp", "rfc5424"), ("tcp", "rfc3164")] {
        let Some(mut host) = Rsyslogd::new(free_port()) else { return };
        host.start();
        host.kill();
        let mut scene = scene(protocol, host.port, format);
        [SOURCE, TARGET].into_iter().for_each(|i| scene.start_daemon(i));
        migrate(&scene);
        for i in [SOURCE, TARGET] {
            assert_eq!(unsent(&scene, i), 1, "{}", scene.dump());
        }
        // One is killed, one is stopped; both come back before the log host does.
        scene.kill(SOURCE);
        scene.stop(TARGET);
        [SOURCE, TARGET].into_iter().for_each(|i| scene.start_daemon(i));
        host.start();
        let lines = host.wait_lines(" result=", 2);
        for i in [SOURCE, TARGET] {
            wait("empty outbox", || match unsent(&scene, i) {
                0 => Ok(()),
                n => Err(format!("{n}")),
            });
            assert_eq!(
                host.lines(&format!("host={} ts=", HOSTS[i]))
                    .iter()
                    .filter(|l| l.contains(" result=ok "))
                    .count(),
                1,
                "{lines:#?}"
            );
            scene.stop(i);
        }
        assert_eq!(host.lines(" result=").len(), 2, "{:#?}", host.lines(" result="));
    }
}

#[test]
fn what_solaris_forwards_still_says_who_when_and_what() {
    let Some(mut host) = Rsyslogd::new(free_port()) else { return };
    host.start();
    // As long as a line gets: the text is the product's own.
    use zmigrate::job::name::{HostName, JobId};
    use zmigrate::log::{Ending, Outcome};
    let outcome = Outcome {
        job: Some(JobId::new("dbbackup-20070518T033600Z-7f3a").unwrap()),
        error: Some("zoneadm: \"no\"\n\u{e9} ".repeat(200)),
        ..Outcome::new(
            Ending::Failed { undone: true },
            HostName::new("zhost1").unwrap(),
            "2007-05-18T05:40:01Z".parse().unwrap(),
        )
    };
    let text = outcome.line().to_string();
    assert!(text.len() > 750 && text.len() < 800, "{}", text.len());
    // illumos syslogd.c, writemsg, F_FORW: priority and time are put before the record, and what is then
    // beyond 1024 bytes goes in a second datagram without a tag.
    let forwarded = format!("<27>May 18 05:40:01 zmigrated[123]: [ID 702911 daemon.error] {text}");
    assert!(forwarded.len() <= 1024, "it is not split");
    host.feed(&forwarded);
    let line = host.wait_lines("job=dbbackup", 1).remove(0);
    // The host is the sender's address, for the message has none.
    assert!(line.starts_with("daemon.err|0|127.0.0.1|zmigrated|123|-|"), "{line}");
    assert!(line.ends_with(&format!("| [ID 702911 daemon.error] {text}")), "{line}");
    assert!(text.starts_with(
        "job=dbbackup-20070518T033600Z-7f3a result=failed host=zhost1 ts=2007-05-18T05:40:01Z undone=yes error=\""
    ));
    // Were it longer, this is what would come of it: two lines, of which the second says nothing of that.
    let long =
        format!("<27>May 18 05:40:01 zmigrated[123]: [ID 702911 daemon.error] job=long {}", "x".repeat(1100));
    host.feed(&long[..1024]);
    host.feed(&format!("<27>May 18 05:40:01 {}", &long[1024..]));
    let pieces = host.wait_lines("xxxx", 2);
    assert!(pieces[0].contains("job=long") && !pieces[1].contains("zmigrated"), "{pieces:#?}");
}
