//! What a page says without a script, and the places that a script fills.

use super::{About, escaped};
use crate::chart::scene::{Scene, Theme};
use crate::schema::Verdict;
use crate::study::{
    CasePart, DevicePart, RunPart, StudyFile, SubjectPart, Types, helps, named, rows, verdict,
    what_binds,
};
use crate::units::si;
use crate::views;
use std::fmt::Write;

/// Kernels that a table without a script lists.
const LISTED: usize = 40;

/// What the page is about, in a line.
pub(super) fn title(study: &StudyFile) -> String {
    let first = study.cases.first();
    let case =
        first.and_then(|c| Some((study.subjects.get(c.subject)?, study.devices.get(c.device)?)));
    let more = |n: usize| if n > 1 { format!(" and {} more", n - 1) } else { String::new() };
    match (case, study.runs.first()) {
        (Some((subject, device)), _) => {
            let at = views::sizes(subject);
            let at = if at.is_empty() { at } else { format!(" · {at}") };
            format!(
                "{}{} · {}{}{at}",
                subject.label,
                more(study.subjects.len()),
                device.name,
                more(study.devices.len())
            )
        }
        (None, Some(run)) => format!("{}{}", run.target, more(study.runs.len())),
        (None, None) => {
            study.subjects.first().map_or_else(|| "rooflens".to_owned(), |s| s.label.clone())
        }
    }
}

/// The whole body.
pub(super) fn body(study: &StudyFile, about: &About) -> String {
    let mut out = format!(
        "<header><h1>{}</h1><button type=\"button\" id=\"theme\" class=\"needs-script\">light / dark</button>\
         <button type=\"button\" id=\"print\" class=\"needs-script\">print</button></header>\n<main>\n",
        escaped(&title(study))
    );
    match study.cases.first() {
        Some(case) => counted(study, case, &mut out),
        None => without_cases(study, &mut out),
    }
    runs(study, &mut out);
    how(study, &mut out);
    reproduce(study, about, &mut out);
    out.push_str("</main>\n");
    out
}

fn heading(out: &mut String, text: &str) {
    let _ = writeln!(out, "<h2>{}</h2>", escaped(text));
}

fn paragraph(out: &mut String, class: &str, text: &str) {
    let _ = writeln!(out, "<p class=\"{class}\">{}</p>", escaped(text));
}

fn without_cases(study: &StudyFile, out: &mut String) {
    let why = if study.subjects.is_empty() {
        "No model was given: costs and bounds need its file beside the measurements."
    } else {
        "No device was named: bounds need one, as in --on t4."
    };
    paragraph(out, "grey", why);
    for id in ["controls", "tiles", "chart-kernels", "chart-devices", "chart-batch", "kernels"] {
        let _ = writeln!(out, "<div id=\"{id}\" hidden></div>");
    }
}

fn counted(study: &StudyFile, case: &CasePart, out: &mut String) {
    let (Some(subject), Some(device)) =
        (study.subjects.get(case.subject), study.devices.get(case.device))
    else {
        return;
    };
    let _ = writeln!(out, "<p class=\"verdict\">{}</p>", escaped(&verdict(subject, case)));
    said_of(subject, out);
    would_help(study, subject, device, case, out);
    out.push_str("<h2 class=\"needs-script\">At other sizes, types and devices</h2>\n");
    out.push_str("<div id=\"controls\" class=\"controls needs-script\"></div>\n");
    out.push_str("<p id=\"live\" class=\"needs-script\" aria-live=\"polite\"></p>\n<ul id=\"tiles\" class=\"tiles\"></ul>\n");
    heading(out, "The roof, and where the time goes");
    figure(
        out,
        "chart-kernels",
        views::kernels(study, case).map(|p| p.scene()),
        "a count is not known",
    );
    out.push_str("<div id=\"legend\" class=\"row needs-script\"></div>\n<p id=\"picked\" class=\"grey\" aria-live=\"polite\"></p>\n");
    out.push_str("<p class=\"grey needs-script no-print\">Arrow keys go through the kernels in the order of their time, Esc ends.</p>\n");
    heading(out, "Devices");
    figure(
        out,
        "chart-devices",
        views::devices(study, case.subject).map(|p| p.scene()),
        "no device has a case",
    );
    cases(study, out);
    heading(out, "Batch");
    let why = if subject.batch().is_none() {
        "the file fixes all sizes, or none of them can be said to be the batch"
    } else {
        subject.fixed.as_deref().unwrap_or("its formulas do not depend on the batch")
    };
    figure(out, "chart-batch", views::batch(study, case).map(|p| p.scene()), why);
    kernels(subject, device, case, out);
}

/// Coverage, assumptions and warnings, before any other number.
fn said_of(subject: &SubjectPart, out: &mut String) {
    let share =
        if subject.nodes > 0 { 100.0 * subject.known as f64 / subject.nodes as f64 } else { 100.0 };
    let mut text = format!("Coverage {share:.1} % of {} nodes.", subject.nodes);
    for assumed in &subject.assumptions {
        let _ = write!(text, " Assumed: {assumed}.");
    }
    paragraph(out, "grey", &text);
    let unknown: Vec<String> =
        subject.unknown.iter().map(|(op, n)| format!("{op} × {n}")).collect();
    if !unknown.is_empty() {
        paragraph(out, "warn", &format!("Unknown, and in no number: {}.", unknown.join(", ")));
    }
    for remark in subject
        .diagnostics
        .iter()
        .filter(|d| d.severity == crate::ir::Severity::Warning.to_string())
    {
        paragraph(out, "warn", &format!("{}: {}", remark.place, remark.message));
    }
}

fn would_help(
    study: &StudyFile,
    subject: &SubjectPart,
    device: &DevicePart,
    case: &CasePart,
    out: &mut String,
) {
    let others: Vec<&DevicePart> = study.devices.iter().collect();
    let all = helps(subject, device, case, &others);
    if all.is_empty() {
        return;
    }
    heading(out, "What would help");
    out.push_str("<ul class=\"help\">\n");
    for help in &all {
        let (factor, word) = if help.factor >= 1.0 {
            (help.factor, "faster")
        } else {
            (1.0 / help.factor, "slower")
        };
        let _ = writeln!(out, "<li><b>×{factor:.2}</b> {word} {}</li>", escaped(&help.what));
    }
    out.push_str("</ul>\n");
    paragraph(
        out,
        "grey",
        "Least times of fused kernels per inference, evaluated from the formulas: bounds, and no advice.",
    );
}

fn figure(out: &mut String, id: &str, scene: Option<Scene>, why: &str) {
    let svg = scene.map(|scene| scene.svg(Theme::Page));
    match svg {
        Some(svg) => {
            let _ = writeln!(out, "<figure id=\"{id}\" class=\"fixed\">{svg}</figure>");
        }
        None => {
            let _ = writeln!(
                out,
                "<div id=\"{id}\"><p class=\"grey\">No picture: {}.</p></div>",
                escaped(why)
            );
        }
    }
}

/// A table: heads, and rows of cells.
fn table(out: &mut String, heads: &[&str], rows: &[Vec<String>]) {
    let head: String = heads
        .iter()
        .map(|h| format!("<th scope=\"col\">{}</th>", escaped(h)))
        .collect::<Vec<_>>()
        .concat();
    let _ = writeln!(
        out,
        "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>{head}</tr></thead><tbody>"
    );
    for row in rows {
        let cells: String =
            row.iter().map(|c| format!("<td>{}</td>", escaped(c))).collect::<Vec<_>>().concat();
        let _ = writeln!(out, "<tr>{cells}</tr>");
    }
    out.push_str("</tbody></table></div>\n");
}

/// Every model on every device, as counted.
fn cases(study: &StudyFile, out: &mut String) {
    let row = |case: &CasePart| {
        let (subject, device) =
            (study.subjects.get(case.subject)?, study.devices.get(case.device)?);
        let fits = match case.fits {
            Some(true) => "fits",
            Some(false) => "does not fit",
            None => "–",
        };
        Some(vec![
            format!("{} on {}, {}", subject.label, device.name, case.dtype),
            si(case.at_best.seconds, "s"),
            si(case.fused.seconds, "s"),
            si(case.unfused.seconds, "s"),
            what_binds(&case.fused),
            format!("{}, {fits}", si(case.needed_bytes as f64, "B")),
        ])
    };
    let rows: Vec<Vec<String>> = study.cases.iter().filter_map(row).collect();
    out.push_str("<details open><summary>as counted</summary>\n");
    table(
        out,
        &["case", "at best", "fused", "unfused", "what takes the fused time", "memory to hold"],
        &rows,
    );
    out.push_str("</details>\n");
}

fn kernels(subject: &SubjectPart, device: &DevicePart, case: &CasePart, out: &mut String) {
    heading(out, "Kernels");
    out.push_str("<div class=\"row needs-script no-print\"><label>search <input type=\"search\" id=\"search\"></label>\
        <label>bound by <select id=\"bound\"><option value=\"\">all</option><option>arithmetic</option><option>memory</option><option>launches</option></select></label>\
        <button type=\"button\" id=\"csv\">CSV</button></div>\n<div id=\"classes\" class=\"row needs-script no-print\"></div>\n\
        <p id=\"kernel-count\" class=\"grey needs-script\" aria-live=\"polite\"></p>\n");
    let types = Types { ceiling: case.dtype.clone(), ..Types::own(subject) };
    let mut all = rows(subject, device, &types, &subject.values()).unwrap_or_default();
    all.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let total: f64 = all.iter().map(|r| r.seconds).sum();
    let heads =
        ["kernel", "class", "alike", "FLOP each", "bytes each", "bound by", "time", "share"];
    let head: String =
        heads.iter().map(|h| format!("<th scope=\"col\">{h}</th>")).collect::<Vec<_>>().concat();
    let _ = writeln!(
        out,
        "<div class=\"scroll\" tabindex=\"0\"><table id=\"kernels\"><thead><tr id=\"kernel-head\">{head}</tr></thead><tbody id=\"kernel-rows\">"
    );
    for row in all.iter().take(LISTED) {
        let share = if total > 0.0 { 100.0 * row.seconds / total } else { 0.0 };
        let cells = [
            format!("{} · {}", row.operators, row.name),
            row.class.clone(),
            row.count.to_string(),
            si(row.operations, "").trim_end().to_owned(),
            si(row.bytes, "B"),
            row.binds.to_string(),
            si(row.seconds, "s"),
            format!("{share:.1} %"),
        ];
        let cells: String =
            cells.iter().map(|c| format!("<td>{}</td>", escaped(c))).collect::<Vec<_>>().concat();
        let _ = writeln!(out, "<tr>{cells}</tr>");
    }
    out.push_str("</tbody></table></div>\n<div class=\"row needs-script no-print\"><button type=\"button\" id=\"more\">more rows</button></div>\n");
    if all.len() > LISTED {
        let text = format!("The {LISTED} longest of {} kinds.", all.len());
        let _ = writeln!(out, "<p class=\"grey static\">{text}</p>");
    }
}

fn runs(study: &StudyFile, out: &mut String) {
    heading(out, "Runs");
    if study.runs.is_empty() {
        paragraph(
            out,
            "grey",
            "No measurement was given: name folders of `rooflens probe` beside the model.",
        );
        return;
    }
    let at = |run: &RunPart, q: f64| {
        let found = run.percentile(q).filter(|p| p.supported || q <= 0.5).and_then(|p| p.seconds);
        found.map_or_else(|| "–".to_owned(), |s| si(s, "s"))
    };
    let row = |run: &RunPart| {
        vec![
            run.label.clone(),
            run.load.clone(),
            run.batch.to_string(),
            format!("{:.1}/s", run.rate.per_second),
            at(run, 0.5),
            at(run, 0.99),
            run.energy_joules.map_or_else(|| "–".to_owned(), |e| si(e, "J")),
            run.verdict.verdict.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = study.runs.iter().map(row).collect();
    table(
        out,
        &["run", "load", "batch", "inferences", "p50", "p99", "energy each", "verdict"],
        &rows,
    );
    for run in &study.runs {
        why(run, out);
    }
    let too_short = "no run has percentiles that its samples bear; longer runs have";
    figure(out, "chart-latency", views::latency(&study.runs).map(|p| p.scene()), too_short);
    if study.runs.len() > 1 {
        let none = "the runs have no two rates of open loads";
        figure(out, "chart-load", views::load(&study.runs).map(|p| p.scene()), none);
    }
}

/// What speaks against a run, its parts, and what was read beside it.
fn why(run: &RunPart, out: &mut String) {
    if run.verdict.verdict != Verdict::Valid || !run.verdict.notes.is_empty() {
        let findings =
            run.verdict.findings.iter().map(|f| format!("{}: {}", f.verdict, f.evidence));
        for line in findings.chain(run.verdict.notes.iter().cloned()) {
            paragraph(out, "grey", &format!("{}: {line}", run.label));
        }
    }
    let q = run.headline_quantile;
    let supported = run.percentile(q).is_some_and(|p| p.supported);
    if !supported {
        let wanted = 10.0 / (1.0 - q) / run.rate.per_second.max(1e-9) * run.batch.max(1) as f64;
        let text = format!(
            "{}: {} of load bear no {}; about {} would.",
            run.label,
            si(run.seconds, "s"),
            named(q),
            si(wanted, "s")
        );
        paragraph(out, "warn", &text);
    }
    if run.stages.is_empty() && run.meters.is_empty() {
        return;
    }
    let _ = writeln!(out, "<details><summary>{}: stages and meters</summary>", escaped(&run.label));
    let mut rows: Vec<Vec<String>> = run
        .stages
        .iter()
        .map(|s| {
            let name = s
                .stage
                .as_ref()
                .map_or_else(|| s.role.to_string(), |stage| format!("{}: {stage}", s.role));
            let busy =
                s.utilisation.map_or_else(String::new, |u| format!("{:.0} % busy", 100.0 * u));
            vec![name, si(s.seconds, "s"), busy]
        })
        .collect();
    rows.extend(run.meters.iter().filter_map(|m| {
        let value = m.value?;
        Some(vec![m.name.clone(), si(value, m.unit.name()), m.note.clone().unwrap_or_default()])
    }));
    table(out, &["what", "value", ""], &rows);
    out.push_str("</details>\n");
}

fn how(study: &StudyFile, out: &mut String) {
    heading(out, "How it was counted");
    paragraph(
        out,
        "",
        "One multiply–accumulate is two FLOPs. The fused time is the sum over kernels of max(operations / peak, bytes / bandwidth), and the time from one launch to the next where that is known; kernels take their epilogues, element-wise chains, norms and attention along. At best, inputs, weights and outputs move once, and what caches keep does not. Real runs are slower than all of these.",
    );
    study.subjects.iter().for_each(|subject| subject_details(subject, out));
    study.devices.iter().for_each(|device| device_details(device, out));
}

/// A model: its file, its counts, and what was remarked.
fn subject_details(subject: &SubjectPart, out: &mut String) {
    let _ = writeln!(out, "<details><summary>{}</summary>", escaped(&subject.label));
    paragraph(
        out,
        "",
        &format!(
            "{}, {}; {} parameters; counted in {}; fingerprint of the counts {}.",
            subject.file,
            subject.format,
            crate::report::count(subject.parameters),
            subject.precision.as_deref().unwrap_or(&subject.dtype),
            subject.fingerprint
        ),
    );
    for (what, why) in
        [("Sizes are fixed", &subject.fixed), ("Other types are not known", &subject.one_type)]
    {
        if let Some(why) = why {
            paragraph(out, "", &format!("{what}: {why}."));
        }
    }
    for remark in &subject.diagnostics {
        let hint = remark.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
        paragraph(
            out,
            "grey",
            &format!("{}: {}: {}{hint}", remark.severity, remark.place, remark.message),
        );
    }
    out.push_str("</details>\n");
}

/// A device: its ceilings and where they come from.
fn device_details(device: &DevicePart, out: &mut String) {
    let _ = writeln!(out, "<details><summary>{}</summary>", escaped(&device.name));
    let peaks: Vec<String> = device
        .peaks
        .iter()
        .map(|p| {
            format!(
                "{} {}",
                p.dtype,
                si(p.rate, if p.dtype.starts_with('i') { "OP/s" } else { "FLOP/s" })
            )
        })
        .collect();
    let basis = if device.measured { "measured" } else { "from datasheets" };
    paragraph(
        out,
        "",
        &format!(
            "{}; memory {}; {basis}; confidence {}; sources: {}.",
            peaks.join(", "),
            si(device.bandwidth, "B/s"),
            device.confidence,
            if device.sources.is_empty() {
                "none named".to_owned()
            } else {
                device.sources.join(", ")
            }
        ),
    );
    out.push_str("</details>\n");
}

fn reproduce(study: &StudyFile, about: &About, out: &mut String) {
    heading(out, "Reproduce");
    let _ = writeln!(out, "<pre>{}</pre>", escaped(&about.command));
    let parts = [study.tool.as_str(), about.machine.as_str(), about.date.as_str()];
    let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
    paragraph(out, "grey", &parts.join(" · "));
    out.push_str("<div class=\"row needs-script no-print\"><button type=\"button\" id=\"download\">download the study (JSON)</button></div>\n");
}
