//! A plan as a table and as Markdown.

use super::figure::{Figure, Limit, Unit};
use super::plan::{DeviceFigures, ServePlan};
use rooflens_ground::units::si;
use std::fmt::Write;

/// For a terminal; with the formulas where asked for.
pub fn table(plan: &ServePlan, formulas: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", plan.model);
    let _ = writeln!(out, "  {}", setting(plan));
    for device in &plan.devices {
        let _ = writeln!(out, "\n{}", head(device));
        for group in &device.groups {
            let _ = writeln!(out, "  {}", group.title);
            for figure in &group.figures {
                let _ = writeln!(
                    out,
                    "    {:<22} {:<8} {:>24}{}{}",
                    figure.name.name(),
                    figure.says.name(),
                    value(figure),
                    figure.binds.map_or(String::new(), |limit| format!("  by {limit}")),
                    if figure.note.is_empty() {
                        String::new()
                    } else {
                        format!("  ({})", figure.note)
                    }
                );
                if formulas {
                    let _ = writeln!(out, "    {:<22} = {}", "", figure.formula);
                }
            }
        }
    }
    if formulas {
        out += "\nformulas of the model, in sequences, new tokens and kept tokens\n";
        for (name, text) in named(plan) {
            let _ = writeln!(out, "  {name} = {text}");
        }
    }
    out.push('\n');
    for note in notes(plan) {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

/// The same as Markdown.
pub fn markdown(plan: &ServePlan, formulas: bool) -> String {
    let mut out = format!("# {}\n\n{}\n", escaped(&plan.model), setting(plan));
    for device in &plan.devices {
        let _ = writeln!(out, "\n## {}", escaped(&head(device)));
        for group in &device.groups {
            let _ = writeln!(out, "\n### {}\n", group.title);
            let more = if formulas { " formula |" } else { "" };
            let line = if formulas { " --- |" } else { "" };
            let _ = writeln!(out, "| figure | | value | bound by | note |{more}");
            let _ = writeln!(out, "| --- | --- | ---: | --- | --- |{line}");
            for figure in &group.figures {
                let formula = if formulas {
                    format!(" {} |", escaped(&figure.formula))
                } else {
                    String::new()
                };
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} | {} |{formula}",
                    figure.name.name(),
                    figure.says.name(),
                    value(figure),
                    figure.binds.map_or("", Limit::name),
                    escaped(&figure.note)
                );
            }
        }
    }
    if formulas {
        out += "\n## Formulas of the model\n\n";
        for (name, text) in named(plan) {
            let _ = writeln!(out, "- {name} = `{text}`");
        }
    }
    out.push('\n');
    for note in notes(plan) {
        let _ = writeln!(out, "- {}", escaped(&note));
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

fn head(device: &DeviceFigures) -> String {
    let memory = device.memory_bytes.map_or("memory not known".into(), |bytes| both(bytes as f64));
    format!(
        "{}, {}: π = {}, β = {}, M = {memory}",
        device.device,
        device.dtype,
        si(device.peak_flops, "FLOP/s"),
        si(device.bandwidth_bytes_per_second, "B/s")
    )
}

fn setting(plan: &ServePlan) -> String {
    let s = &plan.setting;
    let mut parts = vec![
        format!(
            "{} tokens of context C, {} of them prompt and {} answer",
            s.context, s.prompt, s.output
        ),
        format!("B = {} together", s.concurrency),
        format!("chunks of {}", s.chunk),
        format!("pages of {}", s.page),
        format!("{:.0} % of the memory used", 100.0 * s.utilization),
    ];
    parts.extend(s.dtype.as_ref().map(|dtype| format!("counted as {dtype}")));
    parts.extend(s.kv_bits.map(|bits| format!("cache in {bits} bits")));
    parts.extend(s.prefix.map(|n| format!("{n} tokens cached")));
    parts.extend(s.lora.map(|[rank, n]| format!("{n} adapters of rank {rank}")));
    parts.extend(s.draft.map(|(a, n)| format!("{n} tokens drafted, {:.0} % accepted", 100.0 * a)));
    parts.join(", ")
}

fn notes(plan: &ServePlan) -> Vec<String> {
    let set = (!plan.assumed.is_empty())
        .then(|| format!("set to 1, as nothing was said: {}", plan.assumed.join(", ")));
    set.into_iter().chain(plan.notes.iter().cloned()).collect()
}

fn named(plan: &ServePlan) -> [(&'static str, &str); 3] {
    let f = &plan.formulas;
    [("F", &f.operations), ("Q", &f.bytes), ("K", &f.cache)]
}

/// Bytes in decimal and binary units, which are not the same.
fn both(bytes: f64) -> String {
    let binary = [(40.0, "TiB"), (30.0, "GiB"), (20.0, "MiB"), (10.0, "KiB")];
    let found = binary.iter().find(|(power, _)| bytes >= 2f64.powf(*power));
    let other = found.map(|(power, unit)| format!(" ({:.2} {unit})", bytes / 2f64.powf(*power)));
    si(bytes, "B") + &other.unwrap_or_default()
}

fn value(figure: &Figure) -> String {
    let Some(value) = figure.value else { return "–".into() };
    match figure.unit {
        Unit::Bytes => both(value),
        Unit::Seconds => si(value, "s"),
        Unit::Sequences | Unit::Tokens => format!("{value:.0} {}", figure.unit),
        Unit::TokensPerSecond => {
            if value < 1000.0 {
                format!("{value:.1} tokens/s")
            } else {
                si(value, "tokens/s")
            }
        }
        Unit::Share => format!("{:.1} %", 100.0 * value),
    }
}
