//! The table, or JSON: medians and their ratios.

use anyhow::Result;

use super::{Measured, Options};

/// In the table's order.
const WAYS: [&str; 6] = ["by_hand", "pipe", "pipe_gcm", "syncoid", "zmigrate", "zmigrate_gcm"];
const MIB: f64 = (1 << 20) as f64;

/// All runs.
pub fn report(options: &Options, runs: &[Measured]) -> Result<()> {
    let total = |way| of(runs, way, |run| Some(run.total));
    let ratio = |one, other| Some(total(one)? / total(other)?);
    let [by_hand, pipe, syncoid] = ["by_hand", "pipe", "syncoid"].map(|way| ratio("zmigrate", way));
    let with_gcm = ratio("zmigrate_gcm", "pipe_gcm");
    let source = of(runs, "zmigrate", |run| run.peak_rss_mib.map(|peak| peak.source));
    let target = of(runs, "zmigrate", |run| run.peak_rss_mib.map(|peak| peak.target));
    let beyond = of(runs, "zmigrate", |run| run.beyond_zfs);
    if options.json {
        let mut ratios = serde_json::json!({ "by_hand": by_hand, "pipe": pipe });
        if options.real {
            ratios["syncoid"] = syncoid.into();
        }
        let mut value = serde_json::json!({
            "ratios": ratios,
            "peak_rss_mib": { "source": source, "target": target },
            "beyond_zfs": beyond,
            "runs": runs,
        });
        if options.real {
            value["pipe_with_gcm"] = with_gcm.into();
        }
        out!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    show_table(options, runs);
    if options.profile {
        show_profile(runs);
    }
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    out!();
    out!("zmigrate / by hand {}, zmigrate / pipe {}", shown(by_hand), shown(pipe));
    if options.real {
        out!(
            "zmigrate / syncoid {}, both with aes128-gcm: zmigrate / pipe {}",
            shown(syncoid),
            shown(with_gcm)
        );
    }
    out!("peak memory: source {} MiB, target {} MiB", shown(source), shown(target));
    out!("while no zfs command ran: {} s", shown(beyond));
    Ok(())
}

/// The median of what the runs of a way say.
fn of(runs: &[Measured], way: &str, what: fn(&Measured) -> Option<f64>) -> Option<f64> {
    median(runs.iter().filter(|run| run.way == way).filter_map(what).collect())
}

fn show_table(options: &Options, runs: &[Measured]) {
    let over_ssh = if options.real { format!("{:>12} {:>9}", "on the wire", "CPU") } else { String::new() };
    out!();
    out!("{:<12} {:>9} {:>9} {:>12} {over_ssh}", "median of", "total", "outage", "on scratch");
    for way in WAYS {
        let Some(total) = of(runs, way, |run| Some(run.total)) else { continue };
        let outage = of(runs, way, |run| run.outage).map_or("-".to_owned(), |s| format!("{s:.2} s"));
        let scratch = of(runs, way, |run| Some(run.scratch as f64 / MIB)).unwrap_or_default();
        let wire = of(runs, way, |run| Some(run.cost.as_ref()?.wire as f64 / MIB));
        let cpu = of(runs, way, |run| Some(run.cost.as_ref()?.cpu_seconds));
        let cost = wire.zip(cpu).map_or(String::new(), |(wire, cpu)| format!("{wire:>8.0} MiB {cpu:>7.2} s"));
        out!("{way:<12} {total:>7.2} s {outage:>9} {scratch:>8.0} MiB {cost}");
    }
}

/// Where the CPU seconds go: medians by host and program, for each way.
fn show_profile(runs: &[Measured]) {
    for way in WAYS {
        let costs: Vec<_> =
            runs.iter().filter(|run| run.way == way).filter_map(|run| run.cost.as_ref()).collect();
        let mut names: Vec<&String> = costs.iter().flat_map(|cost| cost.profile.keys()).collect();
        names.sort();
        names.dedup();
        let of = |name: &String| {
            median(costs.iter().map(|cost| cost.profile.get(name).copied().unwrap_or_default()).collect())
        };
        let mut rows: Vec<(f64, &String)> = names
            .into_iter()
            .filter_map(|name| Some((of(name)?, name)))
            .filter(|row| row.0 >= 0.02)
            .collect();
        rows.sort_by(|one, other| other.0.total_cmp(&one.0));
        if !rows.is_empty() {
            out!();
            out!("CPU seconds of {way}");
            rows.iter().for_each(|(seconds, name)| out!("  {seconds:>7.2}  {name}"));
        }
    }
}

/// One run.
pub fn line(run: &Measured) -> String {
    let mut text = format!("{:<12} {:.2} s", run.way, run.total);
    if let Some(outage) = run.outage {
        text.push_str(&format!(", outage {outage:.2} s"));
    }
    if let Some(cost) = &run.cost {
        text.push_str(&format!(
            ", {:.0} MiB on the wire, {:.2} CPU s",
            cost.wire as f64 / MIB,
            cost.cpu_seconds
        ));
    }
    if let Some(peak) = run.peak_rss_mib {
        text.push_str(&format!(", peak {:.1} and {:.1} MiB", peak.source, peak.target));
    }
    if let Some(beyond) = run.beyond_zfs {
        text.push_str(&format!(", {beyond:.2} s without zfs"));
    }
    text
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    Some(match values.len() {
        0 => return None,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    })
}
