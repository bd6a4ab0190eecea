//! What `plan` prints for the target is what the target's daemon then runs: both come from the same lists.

use serde_json::json;

use crate::lab::{Lab, Request, wait};
use crate::routes::with_route;

/// Whether a command changes a host; the others only look at it.
fn changes(command: &str) -> bool {
    let looks = ["zfs get", "zfs list", "zfs upgrade", "zfs send", "zoneadm list", "ifconfig -a"];
    let programs = ["zfs ", "zoneadm ", "zonecfg ", "ifconfig ", "route "];
    programs.iter().any(|program| command.starts_with(program))
        && !looks.iter().any(|look| command.starts_with(look))
        && ![" list -p", " list -v", " export"].iter().any(|look| command.ends_with(look))
}

/// A command without what differs between the plan and the job.
fn plain(command: &str, job: &str) -> String {
    let command = command.rsplit_once(" | ").map_or(command, |(_, receive)| receive);
    let command = command.split_once(" -f ").map_or(command, |(zonecfg, _)| zonecfg);
    command.replace(job, "JOB")
}

#[track_caller]
fn runs_what_was_planned(request: &Request, prepare: impl FnOnce(&Lab)) {
    // A detach changes boot environments, and plan can't know how: this brand has none.
    let lab = Lab::with(json!({"brand": "native"}));
    prepare(&lab);
    lab.start();
    wait("the dropbox", || lab.target.told().contains("event=ready").then_some(()));
    let file = lab.dir().join("plan.toml");
    std::fs::write(&file, request.text()).expect("a request");
    let plan = lab.source.ask(&["plan", &file.to_string_lossy()]);
    let (_, plan) = plan.split_once("commands on zhost2, in this order\n").expect("commands");
    let id = plan.split_once("zmigrate:job=").and_then(|(_, rest)| rest.split(' ').next()).expect("an id");
    let lines = || plan.lines().map_while(|line| line.strip_prefix("  "));
    let planned: Vec<_> = lines().map(|line| plain(line, id)).filter(|line| changes(line)).collect();
    let script: Vec<_> = lines().filter_map(|line| line.strip_prefix("  ")).collect();

    let job = lab.submit(request);
    lab.outcomes();
    let log = lab.target.of_job(&job, "log");
    let command = |line: &'_ str| {
        [" run ", " start "].iter().find_map(|word| Some(line.split_once(word)?.1.to_owned()))
    };
    let run = log.lines().filter_map(command);
    let ran: Vec<_> = run.map(|command| plain(&command, &job)).filter(|line| changes(line)).collect();
    for (planned, ran) in planned.iter().zip(&ran) {
        assert_eq!(planned, ran, "plan and job differ");
    }
    assert_eq!(planned, ran);
    let written = lab.target.of_job(&job, "zonecfg");
    assert_eq!(script, written.lines().collect::<Vec<_>>());
}

#[test]
fn the_target_runs_what_plan_printed() {
    let pkgsrc = "\"data/zones/dbbackup/pkgsrc\"";
    let request = with_route(Request::new())
        .set("target.properties", pkgsrc, "{ atime = \"off\", quota = \"1G\" }")
        .set("target.datasets", "\"data/zones/dbbackup/tank\"", "\"data/zones/other/tank\"");
    runs_what_was_planned(&request, |lab| {
        let mountpoint = "mountpoint=/export/zones/other";
        lab.target.run("zfs", &["create", "-o", mountpoint, "-o", "readonly=on", "data/zones/other"]);
        lab.target.run("zfs", &["set", "compression=gzip", "data/zones"]);
    });
}

#[test]
fn the_target_runs_what_plan_printed_beside_a_route() {
    runs_what_was_planned(&with_route(Request::new()), |lab| {
        lab.target.run("zfs", &["create", "-o", "mountpoint=none", "data/zones/zmigrate"]);
        lab.target.run("ifconfig", &["nge0:98", "plumb"]);
        lab.target.run("ifconfig", &["nge0:98", "192.0.2.8", "netmask", "255.255.255.0", "up"]);
    });
}
