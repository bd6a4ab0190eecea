//! The table, or JSON: medians and their ratios.

use anyhow::Result;

use super::{Measured, Options};

const MIB: f64 = (1 << 20) as f64;

/// All runs.
pub fn report(options: &Options, runs: &[Measured]) -> Result<()> {
    let of = |way: &str, what: fn(&Measured) -> Option<f64>| {
        median(runs.iter().filter(|run| run.way == way).filter_map(what).collect())
    };
    let total = |way| of(way, |run| Some(run.total));
    let ratio = |way| Some(total("zmigrate")? / total(way)?);
    let (by_hand, pipe) = (ratio("by_hand"), ratio("pipe"));
    let source = of("zmigrate", |run| run.peak_rss_mib.map(|peak| peak.source));
    let target = of("zmigrate", |run| run.peak_rss_mib.map(|peak| peak.target));
    let beyond = of("zmigrate", |run| run.beyond_zfs);
    let mut ratios = serde_json::json!({ "by_hand": by_hand, "pipe": pipe });
    if options.real {
        ratios["syncoid"] = ratio("syncoid").into();
        ratios["pipe_gcm"] = ratio("pipe_gcm").into();
    }
    if options.json {
        let value = serde_json::json!({
            "ratios": ratios,
            "peak_rss_mib": { "source": source, "target": target },
            "beyond_zfs": beyond,
            "runs": runs,
        });
        out!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    let ways = ["by_hand", "pipe", "pipe_gcm", "syncoid", "zmigrate"];
    let over_ssh = if options.real { format!("{:>12} {:>9}", "on the wire", "CPU") } else { String::new() };
    out!();
    out!("{:<10} {:>9} {:>9} {:>12} {over_ssh}", "median of", "total", "outage", "on scratch");
    for way in ways {
        let Some(total) = total(way) else { continue };
        let outage = of(way, |run| run.outage).map_or("-".to_owned(), |s| format!("{s:.2} s"));
        let scratch = of(way, |run| Some(run.scratch as f64 / MIB)).unwrap_or_default();
        let wire = of(way, |run| Some(run.cost.as_ref()?.wire as f64 / MIB));
        let cpu = of(way, |run| Some(run.cost.as_ref()?.cpu_seconds));
        let cost = wire.zip(cpu).map_or(String::new(), |(wire, cpu)| format!("{wire:>8.0} MiB {cpu:>7.2} s"));
        out!("{way:<10} {total:>7.2} s {outage:>9} {scratch:>8.0} MiB {cost}");
    }
    if options.profile {
        show_profile(&ways, runs);
    }
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    out!("zmigrate / by hand {}, zmigrate / pipe {}", shown(by_hand), shown(pipe));
    if options.real {
        let (syncoid, gcm) = (ratio("syncoid"), ratio("pipe_gcm"));
        out!("zmigrate / syncoid {}, zmigrate / pipe with aes128-gcm {}", shown(syncoid), shown(gcm));
    }
    out!("peak memory: source {} MiB, target {} MiB", shown(source), shown(target));
    out!("while no zfs command ran: {} s", shown(beyond));
    Ok(())
}

/// Where the CPU seconds go: medians by host and program, for each way.
fn show_profile(ways: &[&str], runs: &[Measured]) {
    for way in ways {
        let costs: Vec<_> =
            runs.iter().filter(|run| run.way == *way).filter_map(|run| run.cost.as_ref()).collect();
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
    let mut text = format!("{:<10} {:.2} s", run.way, run.total);
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
