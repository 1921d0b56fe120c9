//! A recommendation as text, Markdown and CSV.

use super::table::{Side, Table};
use crate::schema::percentile;
use crate::study::recommend::{ChoicePart, RecommendationFile};
use crate::units::si;
use std::fmt::Write;

const HEADS: [(&str, Side); 9] = [
    ("", Side::Left),
    ("rank", Side::Right),
    ("device", Side::Left),
    ("type", Side::Left),
    ("copies", Side::Right),
    ("ms", Side::Right),
    ("$/M", Side::Right),
    ("J/request", Side::Right),
    ("why", Side::Left),
];

/// What is not known is a dash.
fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

fn cells(c: &ChoicePart) -> [String; 9] {
    let ms = |s: f64| format!("{:.3}", s * 1e3);
    let (low, high) = (c.low_response_seconds, c.high_response_seconds);
    let likely = low.zip(high).map(|(low, high)| format!("{}–{}", ms(low), ms(high)));
    let least = || format!("≥ {}", ms(c.proved_seconds));
    let place = c.first.zip(c.last).map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{first}–{last}") }
    });
    let joules = c.low_joules.zip(c.high_joules);
    [
        c.verdict.to_string(),
        or_dash(place),
        c.name.clone(),
        c.dtype.clone(),
        or_dash(c.copies.map(|n| n.to_string())),
        likely.unwrap_or_else(least),
        or_dash(c.dollars_per_million.map(|d| format!("{d:.2}"))),
        or_dash(joules.map(|(low, high)| format!("{low:.2}–{high:.2}"))),
        c.reason.clone(),
    ]
}

fn title(file: &RecommendationFile) -> String {
    format!(
        "{}: {} requests/s (Poisson), {} ≤ {}, a copy at most {:.0} % busy, batch 1",
        crate::study::label(&file.model),
        file.rate,
        percentile(file.quantile),
        si(file.limit_seconds, "s"),
        100.0 * file.busy
    )
}

fn notes(file: &RecommendationFile) -> Vec<String> {
    let mut notes = vec![
        format!("ms: the likely {}; ≥ a bound that no run goes below.", percentile(file.quantile)),
        "YES: the slow end holds. NO: proved. MAYBE: neither.".to_owned(),
        "Queues by formula, service times varying by 30 %; J/request at 30 to 100 % of the design power.".to_owned(),
    ];
    if file.choices.iter().any(|c| c.rows.is_some()) {
        notes.push(
            "Likely times: 10th to 90th percentile of published ones (hwdb/evidence.toml)."
                .to_owned(),
        );
    }
    notes
}

/// A recommendation for a terminal.
pub fn text(file: &RecommendationFile) -> String {
    let mut text = title(file) + "\n";
    for warning in &file.warnings {
        let _ = writeln!(text, "{warning}");
    }
    let mut table = Table::new(HEADS);
    file.choices.iter().for_each(|choice| table.row(cells(choice)));
    table.write("", &mut text);
    text + &notes(file).join("\n") + "\n"
}

/// A recommendation for a pull request.
pub fn markdown(file: &RecommendationFile) -> String {
    let cell = crate::text::markdown;
    let mut text = cell(&title(file)) + "\n\n";
    for warning in &file.warnings {
        let _ = writeln!(text, "- {}", cell(warning));
    }
    let _ = writeln!(
        text,
        "\n| {} |\n|{}",
        HEADS.map(|(head, _)| head).join(" | "),
        " --- |".repeat(HEADS.len())
    );
    for choice in &file.choices {
        let _ = writeln!(text, "| {} |", cells(choice).map(|c| cell(&c)).join(" | "));
    }
    let notes: Vec<String> = notes(file).iter().map(|n| cell(n)).collect();
    text + "\n" + &notes.join(" ") + "\n"
}

/// A recommendation for other programs, a line a device and type.
pub fn csv(file: &RecommendationFile) -> String {
    let field = crate::text::csv;
    let number = |n: Option<f64>| n.map_or_else(String::new, |n| n.to_string());
    let whole = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
    let mut text = "verdict,device,name,dtype,copies,proved_seconds,low_seconds,high_seconds,low_response_seconds,\
                    high_response_seconds,dollars_per_million,low_joules,high_joules,reason\n"
        .to_owned();
    for c in &file.choices {
        let row = [
            field(c.verdict.name()),
            field(&c.device),
            field(&c.name),
            field(&c.dtype),
            whole(c.copies),
            c.proved_seconds.to_string(),
            number(c.low_seconds),
            number(c.high_seconds),
            number(c.low_response_seconds),
            number(c.high_response_seconds),
            number(c.dollars_per_million),
            number(c.low_joules),
            number(c.high_joules),
            field(&c.reason),
        ];
        let _ = writeln!(text, "{}", row.join(","));
    }
    text
}
