//! `zmigrate plan`: what a migration would find and do on both hosts. Touches nothing; the looking is done in
//! [`preflight`], here it is shown.

use std::time::Duration;

use clap::Args;

use crate::job::name::Bytes;
use crate::job::units;

use super::context::{Context, print, print_json};
use super::error::CliError;
use super::preflight::{self, Plan};
use super::request::RequestArgs;
use super::shown::{clean, columns, size};

/// What `plan` takes.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    request: RequestArgs,
    /// How long the peer may take to answer
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    wait: Duration,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// Reads the request, makes the plan and shows it.
///
/// # Errors
/// A bad request; a zone that can't be looked at; and when the plan has refusals, after it was shown.
pub fn run(context: &Context, args: &PlanArgs) -> Result<(), CliError> {
    let wanted = args.request.read(context)?;
    show(&preflight::make(context, &wanted.request, args.wait)?, args.json)
}

/// Shows a plan.
///
/// # Errors
/// When it can't be written; and, after it was shown, when it has refusals.
fn show(plan: &Plan, json: bool) -> Result<(), CliError> {
    if json {
        print_json(plan)?;
    } else {
        print(&text(plan))?;
    }
    if plan.refusals.is_empty() { Ok(()) } else { Err(CliError::quiet()) }
}

fn text(plan: &Plan) -> String {
    let (zone, source, target) = (&plan.zone, &plan.source, &plan.target);
    let mut text = format!("zone '{}' from {} to {}\n", clean(zone), source.host, target.host);
    for side in [source, target] {
        section(&mut text, &format!("found on {}", side.host), &side.findings);
    }
    if !plan.datasets.is_empty() {
        let total = Bytes(plan.datasets.iter().map(|dataset| dataset.bytes.0).sum());
        let head = format!("{} datasets, about {}", plan.datasets.len(), size(total));
        let mut rows = Vec::new();
        for dataset in &plan.datasets {
            let to = if dataset.to == dataset.name { String::new() } else { format!("as {}", dataset.to) };
            rows.push(vec![dataset.name.to_string(), size(dataset.bytes), to]);
        }
        let table = columns(&rows);
        section(&mut text, &head, &table.lines().map(str::to_owned).collect::<Vec<_>>());
    }
    for side in [source, target] {
        section(&mut text, &format!("commands on {}, in this order", side.host), &side.commands);
    }
    if plan.refusals.is_empty() {
        text.push_str("\nnothing stands in the way; nothing has been touched\n");
    } else {
        let count = match plan.refusals.len() {
            1 => "1 reason".to_owned(),
            n => format!("{n} reasons"),
        };
        let head = format!("cannot migrate zone '{}' to {}: {count}", clean(zone), target.host);
        let texts: Vec<_> = plan.refusals.iter().map(|reason| reason.text.clone()).collect();
        section(&mut text, &head, &texts);
    }
    text
}

/// A heading and its lines, indented; nothing at all without lines.
fn section(text: &mut String, head: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("\n{head}\n"));
    for line in lines {
        text.push_str(&format!("  {}\n", clean(line)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::preflight::{Side, Travel};
    use crate::job::code::Code;
    use crate::job::code::Reason;
    use crate::job::name::{DatasetName, HostName};

    fn name(text: &str) -> DatasetName {
        DatasetName::new(text).unwrap()
    }

    fn side(host: &str, findings: &[&str], commands: &[&str]) -> Side {
        let lines = |all: &[&str]| all.iter().map(|line| (*line).to_owned()).collect();
        Side { host: HostName::new(host).unwrap(), findings: lines(findings), commands: lines(commands) }
    }

    fn plan() -> Plan {
        Plan {
            zone: "db".into(),
            source: side(
                "zhost1",
                &["zone is running"],
                &["zlogin db shutdown -y -i0", "zoneadm -z db detach"],
            ),
            target: side("zhost2", &["pool data has 80.0 GiB free"], &["zoneadm -z db attach"]),
            refusals: Vec::new(),
            datasets: vec![
                Travel { name: name("data/db"), to: name("tank/db"), bytes: Bytes(1 << 20) },
                Travel { name: name("data/db/tank"), to: name("data/db/tank"), bytes: Bytes(3 << 30) },
            ],
        }
    }

    #[test]
    fn a_plan_shows_both_hosts_sizes_and_commands_in_order() {
        let want = "\
zone 'db' from zhost1 to zhost2

found on zhost1
  zone is running

found on zhost2
  pool data has 80.0 GiB free

2 datasets, about 3.0 GiB
  data/db       1.0 MiB  as tank/db
  data/db/tank  3.0 GiB

commands on zhost1, in this order
  zlogin db shutdown -y -i0
  zoneadm -z db detach

commands on zhost2, in this order
  zoneadm -z db attach

nothing stands in the way; nothing has been touched
";
        assert_eq!(text(&plan()), want);
    }

    #[test]
    fn every_refusal_is_told_and_none_can_forge_a_line() {
        let refused = Plan {
            refusals: ["no room", "name\ntaken\u{1b}"].map(|text| Reason::new(Code::Space, text)).into(),
            ..plan()
        };
        let text = text(&refused);
        assert!(
            text.ends_with(
                "\ncannot migrate zone 'db' to zhost2: 2 reasons\n  no room\n  name\\ntaken\\u{1b}\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn the_json_has_whole_bytes() {
        let json = serde_json::to_value(plan()).unwrap();
        assert_eq!(json["datasets"][0]["bytes"], 1 << 20);
        assert_eq!(json["source"]["commands"][1], "zoneadm -z db detach");
    }
}
