//! A measurement in a few lines, verdict first.

use crate::schema::{
    BodyEncoding, MeasurementFile, MeterUnit, MetricPart, PercentilePart, PhasePart, Role,
    SloMetric, SloPart, TokensPart, percentile,
};
use crate::units::si;
use std::fmt::Write;
use std::path::Path;

/// A measurement, and the folder it was written to.
pub fn measurement(file: &MeasurementFile, folder: Option<&Path>) -> String {
    let mut out = String::new();
    head(file, &mut out);
    counted(file, &mut out);
    line(&mut out, "response", &file.response, file);
    line(&mut out, "service", &file.service, file);
    if file.plan.open {
        line(&mut out, "client lag", &file.lateness, file);
    }
    inputs(file, &mut out);
    if let Some(tokens) = &file.tokens {
        self::tokens(tokens, file, &mut out);
    }
    connections(file, &mut out);
    let headline = file.plan.headline_quantile;
    if let Some(p) = PercentilePart::find(&file.response.percentiles, headline) {
        interval(&mut out, p, file);
    }
    if let Some(m) = &file.model {
        let _ = writeln!(
            out,
            "  achieved   {} at {:.1} FLOP/B",
            si(m.achieved_flops, "FLOP/s"),
            m.intensity_flop_per_byte
        );
        m.phases.iter().for_each(|phase| self::phase(phase, &mut out));
    }
    pipeline(file, &mut out);
    meters(file, &mut out);
    failed(file, &mut out);
    if let Some(part) = &file.start_up {
        out.push_str(&super::start_up_part(part));
    }
    for note in &file.verdict.notes {
        let _ = writeln!(out, "  note       {note}");
    }
    if let Some(folder) = folder {
        let _ = writeln!(out, "\nmeasurement in {}/", folder.display());
    }
    out
}

/// What was counted, and at which rates.
fn counted(file: &MeasurementFile, out: &mut String) {
    let w = &file.window;
    let _ = writeln!(
        out,
        "\n  counted    {} requests in {:.1} s, after {:.1} s of warm-up",
        w.due, w.seconds, w.from_seconds
    );
    let _ = writeln!(
        out,
        "  rate       {:.1}/s scheduled, {:.1}/s successful{}; {:.2} in flight",
        w.offered_per_second,
        w.goodput_per_second,
        if file.target.batch > 1 {
            format!(" ({:.1} inferences/s)", w.inferences_per_second)
        } else {
            String::new()
        },
        w.in_flight_mean
    );
}

/// What opening connections took, where there were any.
fn connections(file: &MeasurementFile, out: &mut String) {
    let run = &file.run;
    if run.connections == 0 {
        return;
    }
    let each = |seconds: f64| si(seconds / run.connections as f64, "s");
    let tls = if run.handshake_seconds > 0.0 {
        format!(" and {} for TLS", each(run.handshake_seconds))
    } else {
        String::new()
    };
    let (n, connect) = (run.connections, each(run.connect_seconds));
    let _ = writeln!(out, "  connected  {n} times, {connect} each{tls}");
    if run.resent > 0 {
        let _ = writeln!(
            out,
            "  resent     {} requests that the server did not accept: it had closed or drained the connection, or had no free stream",
            run.resent
        );
    }
}

/// What was sent, where that was different inputs, and how many responses came to a request.
fn inputs(file: &MeasurementFile, out: &mut String) {
    let run = &file.run;
    if let Some(inputs) = run.inputs.filter(|inputs| inputs.sent > 0) {
        let share = 100.0 * inputs.distinct as f64 / inputs.sent as f64;
        let (distinct, sent) = (inputs.distinct, inputs.sent);
        let _ = writeln!(out, "  inputs     {distinct} different among {sent} ({share:.2} %)");
    }
    let answers = run.answers_checked + run.answers_same + run.answers_unchecked;
    if run.responses > answers {
        let each = run.responses as f64 / answers.max(1) as f64;
        let _ = writeln!(out, "  responses  {} in all, {each:.1} to a request", run.responses);
    }
    if run.read_late > 0 {
        let _ = writeln!(
            out,
            "  read late  {} requests: the data set is read more slowly than it is sent",
            run.read_late
        );
    }
}

/// What failed, and whether the run was stopped.
fn failed(file: &MeasurementFile, out: &mut String) {
    for error in &file.errors {
        let _ = writeln!(
            out,
            "  failed     {:<12} {:>7}, first at {:.1} s: {}",
            error.kind, error.count, error.first_seconds, error.message
        );
    }
    if file.run.stopped {
        let _ =
            writeln!(out, "  stopped    after {:.1} of {} s", file.run.seconds, file.plan.seconds);
    }
}

fn head(file: &MeasurementFile, out: &mut String) {
    let _ = writeln!(out, "{}  {}", file.target.url, file.plan.load);
    let platform =
        if file.target.platform.is_empty() { "unknown platform" } else { &file.target.platform };
    let inputs: Vec<String> = file
        .target
        .inputs
        .iter()
        .map(|i| {
            format!(
                "{} {} {}",
                i.name,
                i.dtype,
                i.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
            )
        })
        .collect();
    let inputs = if inputs.is_empty() { String::new() } else { format!("; {}", inputs.join(", ")) };
    // What stays in this process, or has no body, is not encoded.
    let encoding = match file.target.encoding {
        BodyEncoding::None => String::new(),
        other => format!(", {other} encoding"),
    };
    let _ = writeln!(out, "  {platform}{encoding}, batch {}{inputs}", file.target.batch);
    let loop_ = if file.plan.open {
        "open loop: response times count from the scheduled time"
    } else {
        "closed loop: response times count from sending; requests never wait in the client"
    };
    let _ = writeln!(out, "  {loop_}");
    if file.target.addresses.len() > 1 {
        let all = file.target.addresses.join(", ");
        let _ = writeln!(out, "  {} addresses in turn: {all}", file.target.addresses.len());
    }
    let _ = writeln!(out, "\n{}", file.verdict.verdict);
    for finding in &file.verdict.findings {
        let other = if finding.verdict == file.verdict.verdict {
            String::new()
        } else {
            format!("{}: ", finding.verdict)
        };
        let _ = writeln!(out, "  because    {other}{}", finding.evidence);
    }
    let one = file.slo.iter().filter(|_| file.objectives.is_empty());
    for slo in one.chain(&file.objectives) {
        objective(slo, out);
    }
}

fn objective(slo: &SloPart, out: &mut String) {
    let metric = match slo.metric {
        SloMetric::Response => String::new(),
        other => format!("{other} "),
    };
    let _ = writeln!(
        out,
        "  SLO        {metric}{} ≤ {}: {}",
        percentile(slo.quantile),
        si(slo.seconds, "s"),
        slo.outcome.name().to_uppercase()
    );
}

/// A number of things.
fn number(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A phase of a language model as a point under a roof.
fn phase(p: &PhasePart, out: &mut String) {
    let least = p.least.as_ref().map_or(String::new(), |least| {
        let (at, device) = (si(least.seconds, "s"), &least.device);
        format!("; at least {at} by {} on {device}: ×{:.2}", least.bound, least.gap)
    });
    let _ = writeln!(
        out,
        "  {:<10} {} of {} with {} kept in {}{}: {} at {:.1} FLOP/B{least}",
        p.name.name(),
        number(p.new_tokens, "token"),
        number(p.sequences, "sequence"),
        p.kept_tokens,
        si(p.seconds, "s"),
        if p.timed_by_server { " by the server" } else { "" },
        si(p.achieved_flops, "FLOP/s"),
        p.intensity_flop_per_byte
    );
}

/// When tokens arrived, and how many.
fn tokens(part: &TokensPart, file: &MeasurementFile, out: &mut String) {
    if part.pieces > 0 {
        line(out, "ttft", &part.ttft, file);
        line(out, "itl", &part.itl, file);
        if part.output.is_some() {
            line(out, "tpot", &part.tpot, file);
        }
    }
    let good = file.window.good.max(1) as f64;
    let each = part.reported.max(1) as f64;
    let mut shown = Vec::new();
    if let Some((per_second, all)) = part.output_per_second.zip(part.output) {
        shown.push(format!("{per_second:.1}/s of answers, {:.1} each", all as f64 / each));
    }
    if part.pieces > 0 {
        shown.push(format!("in {:.1} pieces each", part.pieces as f64 / good));
    }
    if let Some((per_second, all)) = part.input_per_second.zip(part.input) {
        let cached = part.cached.filter(|n| *n > 0);
        let cached = cached.map_or(String::new(), |n| {
            format!(", {:.0} % of them from a cache", 100.0 * n as f64 / all.max(1) as f64)
        });
        let each = all as f64 / each;
        shown.push(format!("{per_second:.1}/s of prompts, {each:.1} each{cached}"));
    }
    let _ = writeln!(out, "  tokens     {}", shown.join("; "));
    if part.reported < file.window.good {
        let _ = writeln!(
            out,
            "  tokens     those of {} of {} answers are unknown: the server did not report them",
            file.window.good - part.reported,
            file.window.good
        );
    }
    if let Some(per_second) = part.goodput_per_second {
        let _ = writeln!(
            out,
            "  goodput    {per_second:.2}/s of requests within every SLO, whatever its percentile"
        );
    }
}

fn value(p: &PercentilePart, file: &MeasurementFile) -> String {
    match p.seconds {
        Some(seconds) => si(seconds, "s"),
        None => format!("> {}", si(file.plan.timeout_seconds, "s")),
    }
}

fn line(out: &mut String, label: &str, metric: &MetricPart, file: &MeasurementFile) {
    let shown = metric
        .percentiles
        .iter()
        .filter(|p| p.supported)
        .map(|p| format!("{} {}", percentile(p.quantile), value(p, file)));
    let _ = writeln!(
        out,
        "  {label:<10} {}  max {}",
        shown.collect::<Vec<_>>().join("  "),
        si(metric.max_seconds, "s")
    );
}

fn interval(out: &mut String, p: &PercentilePart, file: &MeasurementFile) {
    let Some(low) = p.low_seconds.filter(|_| p.supported) else { return };
    let high =
        p.high_seconds.map_or(format!("> {}", si(file.plan.timeout_seconds, "s")), |h| si(h, "s"));
    let _ = writeln!(
        out,
        "  {:<10} {} to {high} (approx. 95 %; effective sample size {:.0})",
        percentile(p.quantile),
        si(low, "s"),
        p.effective_samples
    );
}

fn pipeline(file: &MeasurementFile, out: &mut String) {
    for part in &file.pipeline.parts {
        let Some(seconds) = part.seconds else { continue };
        let name = match part.stage.as_deref() {
            Some(stage) if stage != part.role.name() => format!("{} ({stage})", part.role),
            _ => part.role.to_string(),
        };
        let share =
            part.share_of_response.map_or("     ".into(), |s| format!("{:>3.0} %", 100.0 * s));
        let busy = part.utilisation.map_or(String::new(), |u| {
            let n = part.servers.unwrap_or(1);
            let of = match (part.servers_known, n) {
                (true, 1) => "its server".into(),
                (true, n) => format!("its {n} servers"),
                (false, 1) => "one server".into(),
                (false, n) => format!("at least {n} servers"),
            };
            format!("  busy {:.0} % of {of}", 100.0 * u)
        });
        let _ = writeln!(out, "  stage      {name:<24} {share} {:>8}{busy}", si(seconds, "s"));
    }
    let silent = file.pipeline.parts.iter();
    let silent = silent.filter(|p| p.not_reported.is_some() && p.role != Role::Encode);
    let silent: Vec<&str> = silent.map(|p| p.role.name()).collect();
    if !silent.is_empty() {
        let _ = writeln!(out, "  stage      not reported by the server: {}", silent.join(", "));
    }
    if let Some(b) = &file.pipeline.bottleneck {
        for (i, evidence) in b.evidence.iter().enumerate() {
            let head = if i == 0 { format!("{}: ", b.role) } else { String::new() };
            let label = if i == 0 { "bottleneck" } else { "" };
            let _ = writeln!(out, "  {label:<10} {head}{evidence}");
        }
        if let Some(gain) = b.gain_if_doubled {
            let then = b.then.map_or(String::new(), |t| format!(", then {t} saturates"));
            let _ = writeln!(out, "             doubling it: up to ×{gain:.2} throughput{then}");
        }
        if let Some(gain) = b.gain_if_shared {
            let _ = writeln!(
                out,
                "             if the stages share workers, halving its time: up to ×{gain:.2} throughput"
            );
        }
    }
    for note in &file.pipeline.notes {
        let _ = writeln!(out, "  pipeline   {note}");
    }
}

fn meters(file: &MeasurementFile, out: &mut String) {
    for meter in &file.meters {
        let note = meter.note.as_deref().map_or(String::new(), |n| format!("  ({n})"));
        let of = meter.of.filter(|_| meter.unit != MeterUnit::Share);
        let of = of.map_or(String::new(), |of| format!(" of {}", shown(of, meter.unit)));
        let text = match (meter.value, &meter.unmeasured) {
            (Some(value), _) => {
                let ends = meter.low.zip(meter.high).map_or(String::new(), |(low, high)| {
                    format!(", {} to {}", shown(low, meter.unit), shown(high, meter.unit))
                });
                format!("{}{of}{ends}{note}", shown(value, meter.unit))
            }
            (None, why) => format!("UNMEASURED: {}", why.as_deref().unwrap_or("not read")),
        };
        let _ = writeln!(out, "  meter      {:<20} {text}", meter.name);
    }
}

/// A reading with its unit; shares and numbers of things take no prefix.
fn shown(value: f64, unit: MeterUnit) -> String {
    match unit {
        MeterUnit::Share => format!("{:.1} %", 100.0 * value),
        MeterUnit::Cores if value < 0.1 => format!("{value:.4} cores"),
        MeterUnit::Cores => format!("{value:.2} cores"),
        MeterUnit::Carbon => si(value * 1e-3, "g CO2e"),
        _ => si(value, unit.name()),
    }
}
