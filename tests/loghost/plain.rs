//! On any machine: the log host is a socket of the test.

use std::io::Read;
use std::net::TcpListener;

use chrono::{DateTime, Local, Utc};

use crate::daemon::Daemon;
use crate::receiver::Receiver;
use crate::{WAYS, free_port, wait};

const NO_REQUEST: &str = "zone = \"web\"\nto = \"nowhere\"\n";

fn remote(protocol: &str, port: u16, format: &str) -> String {
    format!("remote = \"{protocol}://127.0.0.1:{port}\"\nformat = \"{format}\"\n")
}

/// The time in an outcome's text.
fn ts(text: &str) -> DateTime<Utc> {
    text.split(' ').find_map(|field| field.strip_prefix("ts=")).unwrap().parse().unwrap()
}

#[test]
fn an_outcome_arrives_in_the_bytes_of_its_format() {
    for (protocol, format) in WAYS {
        let port = free_port();
        let host = Receiver::start(protocol, port);
        let daemon = Daemon::with(&remote(protocol, port, format));
        let text = daemon.reject("web.toml", NO_REQUEST);
        let got = host.wait_outcomes(1).remove(0);
        let pid = daemon.pid();
        if format == "rfc3164" {
            let time = ts(&text).with_timezone(&Local).format("%b %e %H:%M:%S");
            assert_eq!(got, format!("<27>{time} zhost1 zmigrated[{pid}]: {text}"), "{protocol}");
        } else {
            let (head, rest) = got.split_once(" [").unwrap();
            let (time, head) = head.strip_prefix("<27>1 ").unwrap().split_once(' ').unwrap();
            assert_eq!(head, format!("zhost1 zmigrated {pid} 1"), "{protocol}");
            let time: DateTime<Utc> = time.parse().unwrap();
            assert_eq!(time.timestamp(), ts(&text).timestamp());
            assert!(rest.starts_with("zmigrate@32473 error=\""), "{got}");
            assert!(
                rest.contains(" host=\"zhost1\" request=\"web.toml\" result=\"rejected\" ts=\""),
                "{got}"
            );
            assert!(rest.ends_with(&format!("\"] {text}")), "{got}");
        }
        daemon.wait_outbox(0);
        // What is no outcome arrives as well, in the order in which it was said.
        let all = host.all().join("\n");
        let ready = all.find("event=ready host=zhost1").expect("the first line");
        assert!(ready < all.find("result=").unwrap(), "{all}");
    }
}

#[test]
fn outcomes_of_the_time_when_the_log_host_was_down_arrive_later_in_order_and_once() {
    for (protocol, format) in WAYS {
        let port = free_port();
        let mut daemon = Daemon::with(&remote(protocol, port, format));
        let mut texts = vec![daemon.reject("1.toml", NO_REQUEST), daemon.reject("2.toml", NO_REQUEST)];
        daemon.wait_outbox(2);
        let status = daemon.says(&["status"]);
        assert!(
            status.ends_with(&format!("2 outcomes wait to be sent to {protocol}://127.0.0.1:{port}\n")),
            "{status}"
        );
        assert!(daemon.says(&["status", "--json"]).contains("\"unsent\": 2"));
        // Neither the end of the daemon nor of its host changes that.
        daemon.stop();
        daemon.start();
        texts.push(daemon.reject("3.toml", NO_REQUEST));
        daemon.kill();
        daemon.start();
        texts.push(daemon.reject("4.toml", NO_REQUEST));
        daemon.wait_outbox(4);
        let host = Receiver::start(protocol, port);
        texts.push(daemon.reject("5.toml", NO_REQUEST));
        let got = host.wait_outcomes(5);
        for (message, text) in got.iter().zip(&texts) {
            assert!(message.ends_with(text), "{message}\n{text}");
        }
        daemon.wait_outbox(0);
        daemon.stop();
        assert_eq!(host.outcomes().len(), 5, "{:#?}", host.all());
        assert!(!daemon.says(&["status"]).contains("wait to be sent"));
        assert_eq!(daemon.outcomes(), texts, "here each was told once, and did not wait");
    }
}

#[test]
fn hostile_text_arrives_escaped_and_within_its_size() {
    let name = format!("]\"\\\u{1b}[2J\u{e9}\n<29>1 - - - - {}.toml", "\u{e9}".repeat(40));
    for (protocol, format) in WAYS {
        let port = free_port();
        let host = Receiver::start(protocol, port);
        let daemon = Daemon::with(&remote(protocol, port, format));
        let text = daemon.reject(&name, &format!("\"]\\\\\" = {}", "\"\u{e9}\\\\]\" \n ".repeat(300)));
        assert!(text.len() > 700 && text.len() < 800, "{}", text.len());
        let got = host.wait_outcomes(1).remove(0);
        assert!(got.ends_with(&text), "{got}\n{text}");
        assert!(got.bytes().all(|b| (b' '..=b'~').contains(&b)), "{got}");
        assert!(got.len() <= if format == "rfc3164" { 1024 } else { 2048 }, "{}", got.len());
        if format == "rfc5424" {
            let data = &got[got.find(" [").unwrap() + 2..got.len() - text.len() - 2];
            assert_eq!(parameters(data)["request"], text_value(&text, "request"), "{got}");
        }
    }
}

/// The parameters of one element of structured data, read as RFC 5424 tells receivers to.
fn parameters(data: &str) -> std::collections::BTreeMap<String, String> {
    let (id, mut rest) = data.split_once(' ').unwrap();
    assert_eq!(id, "zmigrate@32473");
    let mut all = std::collections::BTreeMap::new();
    loop {
        let (name, more) = rest.split_once("=\"").unwrap();
        let (mut value, mut chars) = (String::new(), more.char_indices());
        let end = loop {
            match chars.next().unwrap() {
                (_, '\\') => value.push(chars.next().unwrap().1),
                (at, '"') => break at,
                (_, ']') => panic!("an unescaped bracket in {data}"),
                (_, c) => value.push(c),
            }
        };
        all.insert(name.to_owned(), value);
        match more[end + 1..].strip_prefix(' ') {
            Some(next) => rest = next,
            None => return all,
        }
    }
}

/// A quoted value of a line's text, but for the escapes of its quotes.
fn text_value(text: &str, key: &str) -> String {
    let start = text.find(&format!("{key}=\"")).unwrap() + key.len() + 2;
    let mut end = start;
    while text.as_bytes()[end] != b'"' {
        end += if text.as_bytes()[end] == b'\\' { 2 } else { 1 };
    }
    text[start..end].replace("\\\"", "\"")
}

#[test]
fn a_refresh_brings_another_log_host_and_takes_it_away() {
    let (first, second) = (free_port(), free_port());
    let daemon = Daemon::with("");
    let silent = daemon.reject("0.toml", NO_REQUEST);
    let old = Receiver::start("udp", first);
    daemon.configure(&format!("facility = \"local3\"\n{}", remote("udp", first, "rfc3164")));
    daemon.refresh();
    daemon.reject("1.toml", NO_REQUEST);
    let got = old.wait_outcomes(1).remove(0);
    assert!(got.starts_with("<155>") && !got.contains(&silent), "{got}");

    daemon.configure(&remote("tcp", second, "rfc5424"));
    daemon.refresh();
    daemon.reject("2.toml", NO_REQUEST);
    daemon.wait_outbox(1);
    daemon.configure("");
    daemon.refresh();
    daemon.reject("3.toml", NO_REQUEST);
    assert!(daemon.says(&["status"]).contains("1 outcome waits for a log host, and no [syslog] remote"));
    let new = Receiver::start("tcp", second);
    daemon.configure(&remote("tcp", second, "rfc5424"));
    daemon.refresh();
    let got = new.wait_outcomes(1);
    assert!(got[0].starts_with("<27>1 ") && got[0].contains("request=2.toml"), "{got:?}");
    assert_eq!(old.outcomes().len(), 1);
}

#[test]
fn a_log_host_that_drops_the_connection_unread_gets_the_same_bytes_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let daemon = Daemon::with(&remote("tcp", port, "rfc3164"));
    let text = daemon.reject("web.toml", NO_REQUEST);
    let dropped = loop {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while !seen.ends_with(text.as_bytes()) && stream.read(&mut byte).unwrap() == 1 {
            seen.push(byte[0]);
        }
        if seen.ends_with(text.as_bytes()) {
            // Its newline is unread: closing over that is a reset, as of a syslog daemon that is killed.
            stream.peek(&mut byte).unwrap();
            break String::from_utf8(seen).unwrap();
        }
    };
    let outcome = |text: &str| text.lines().find(|line| line.contains("result=")).map(str::to_owned);
    let again = loop {
        let mut seen = String::new();
        listener.accept().unwrap().0.read_to_string(&mut seen).unwrap();
        if let Some(line) = outcome(&seen) {
            break line;
        }
    };
    assert_eq!(outcome(&dropped), Some(again));
    daemon.wait_outbox(0);
}

#[test]
fn a_log_host_that_never_says_that_it_has_read_is_not_told_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let daemon = Daemon::with(&remote("tcp", listener.local_addr().unwrap().port(), "rfc3164"));
    let (held, holds) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Kept open, never closed.
            if held.send(stream.unwrap()).is_err() {
                return;
            }
        }
    });
    daemon.reject("web.toml", NO_REQUEST);
    daemon.wait_outbox(0);
    assert!(daemon.told().contains("did not close it within 5 s"), "{}", daemon.told());
    assert!(holds.try_iter().count() >= 3);
}

#[test]
fn what_is_no_outcome_in_the_outbox_is_put_aside_and_told() {
    let port = free_port();
    let daemon = Daemon::with("");
    daemon.plant("0000000001.web.source", "{}");
    let host = Receiver::start("tcp", port);
    daemon.configure(&remote("tcp", port, "rfc3164"));
    daemon.refresh();
    daemon.reject("web.toml", NO_REQUEST);
    host.wait_outcomes(1);
    wait("outbox without the other", || {
        let outbox = daemon.outbox();
        if outbox == ["0000000001.web.source.unreadable"] { Ok(()) } else { Err(format!("{outbox:?}")) }
    });
    assert!(daemon.told().contains("event=outcome-unreadable host=zhost1 file="), "{}", daemon.told());
}

#[test]
fn check_tells_whether_the_log_host_answers() {
    for protocol in ["udp", "tcp"] {
        let port = free_port();
        let daemon = Daemon::with("");
        assert!(!daemon.says(&["check"]).contains("log host"));
        daemon.configure(&remote(protocol, port, "rfc5424"));
        let said = daemon.says(&["check"]);
        let address = format!("log host: {protocol}://127.0.0.1:{port}");
        assert!(said.contains(&format!("warn  {address}: Connection refused")), "{said}");
        let host = Receiver::start(protocol, port);
        let said = daemon.says(&["check"]);
        assert!(said.contains(&format!("ok    {address} ")), "{said}");
        wait("the line", || match host.all() {
            all if all.iter().any(|line| line.contains("event=check host=zhost1 ts=")) => Ok(()),
            all => Err(format!("{all:?}")),
        });
    }
}
