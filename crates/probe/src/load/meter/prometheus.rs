//! The text format of Prometheus: series read, and what changed between two scrapes.
//!
//! Names may begin with `:`, as those of TensorFlow Serving do. Lines that are not understood are
//! counted and skipped; the number of series is bounded.

use std::collections::BTreeMap;

/// Series of one scrape that are kept.
const SERIES: usize = 20_000;

/// Labels of a series, sorted.
pub type Labels = Vec<(String, String)>;

/// One scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition {
    /// Values by name and labels.
    pub series: BTreeMap<(String, Labels), f64>,
    /// Types by name of the family.
    pub kinds: BTreeMap<String, String>,
    /// Lines that were not understood, or beyond the bound.
    pub skipped: u64,
}

/// Reads a scrape.
pub fn parse(text: &str) -> Exposition {
    let mut all = Exposition::default();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.split_whitespace();
            if let (Some("TYPE"), Some(name), Some(kind)) =
                (words.next(), words.next(), words.next())
            {
                if all.kinds.len() < SERIES {
                    all.kinds.insert(name.into(), kind.into());
                }
            }
            continue;
        }
        match sample(line) {
            Some((name, labels, value)) if all.series.len() < SERIES => {
                all.series.insert((name, labels), value);
            }
            _ => all.skipped += 1,
        }
    }
    all
}

/// `name{label="value"} 1.5 timestamp`.
fn sample(line: &str) -> Option<(String, Labels, f64)> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = line.find(|c| !legal(c))?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (mut labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    labels.sort();
    let value = rest.split_whitespace().next()?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        other => other.parse().ok()?,
    };
    Some((name.into(), labels, value))
}

/// Labels up to the closing brace, and what follows it.
fn labels(text: &str) -> Option<(Labels, &str)> {
    let (mut found, mut rest) = (Labels::new(), text.trim_start());
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (name, after) = rest.split_once('=')?;
        let quoted = after.trim_start().strip_prefix('"')?;
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (i, c) in quoted.char_indices() {
            match (escaped, c) {
                (true, 'n') => value.push('\n'),
                (false, '\\') => {}
                (false, '"') => {
                    end = Some(i);
                    break;
                }
                (_, c) => value.push(c),
            }
            escaped = !escaped && c == '\\';
        }
        found.push((name.trim().into(), value));
        rest = quoted[end? + 1..].trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

/// What a series did between two scrapes.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A counter's increase.
    Counter(f64),
    /// A gauge at the end.
    Gauge(f64),
    /// A distribution's increase.
    Histogram(Spread),
}

/// Values that were observed between two scrapes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// How many.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// How many were at most each bound, bounds rising.
    buckets: Vec<(f64, f64)>,
}

impl Spread {
    /// Mean of the values.
    pub fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// A quantile, spread evenly within its bucket; `None` in the last bucket, which has no end.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let wanted = q * self.count;
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, at_most) in &self.buckets {
            if *at_most >= wanted && *at_most > below {
                if !bound.is_finite() {
                    return None;
                }
                return Some(low + (bound - low) * (wanted - below) / (at_most - below));
            }
            if bound.is_finite() {
                low = *bound;
            }
            below = *at_most;
        }
        None
    }
}

/// What changed: series by name and labels. Counters that fell were started anew and are left out.
pub fn changes(before: &Exposition, after: &Exposition) -> BTreeMap<(String, Labels), Change> {
    let mut all: BTreeMap<(String, Labels), Change> = BTreeMap::new();
    let mut restarted = Vec::new();
    for ((name, labels), value) in &after.series {
        let was = before.series.get(&(name.clone(), labels.clone())).copied().unwrap_or(0.0);
        let kind = |name: &str| after.kinds.get(name).map(String::as_str);
        let part = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| {
            let family = name.strip_suffix(suffix)?;
            matches!(kind(family), Some("histogram" | "summary")).then_some((family, suffix))
        });
        let Some((family, suffix)) = part else {
            let counter = match kind(name).or_else(|| kind(name.strip_suffix("_total")?)) {
                Some("counter") => true,
                Some(_) => false,
                None => name.ends_with("_total"),
            };
            let change = match (counter, value - was) {
                (true, increase) if increase >= 0.0 => Change::Counter(increase),
                (true, _) => continue,
                (false, _) if kind(name) == Some("summary") => continue,
                (false, _) => Change::Gauge(*value),
            };
            all.insert((name.clone(), labels.clone()), change);
            continue;
        };
        let bound = labels.iter().find(|l| l.0 == "le").map(|l| l.1.clone());
        let plain: Labels = labels.iter().filter(|l| l.0 != "le").cloned().collect();
        let key = (family.to_owned(), plain);
        let increase = value - was;
        if increase < 0.0 {
            restarted.push(key.clone());
        }
        let entry = all.entry(key).or_insert_with(|| Change::Histogram(Spread::default()));
        let Change::Histogram(spread) = entry else { continue };
        match (suffix, bound.as_deref()) {
            ("_sum", _) => spread.sum = increase,
            ("_count", _) => spread.count = increase,
            (_, Some("+Inf")) => spread.buckets.push((f64::INFINITY, increase)),
            (_, Some(bound)) => {
                spread.buckets.extend(bound.parse::<f64>().ok().map(|b| (b, increase)));
            }
            _ => {}
        }
    }
    for key in restarted {
        all.remove(&key);
    }
    for change in all.values_mut() {
        if let Change::Histogram(spread) = change {
            spread.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"
# HELP :tensorflow:serving:request_latency time
# TYPE :tensorflow:serving:request_latency histogram
:tensorflow:serving:request_latency_bucket{model_name="m",le="10"} 5
:tensorflow:serving:request_latency_bucket{model_name="m",le="20"} 5
:tensorflow:serving:request_latency_bucket{model_name="m",le="+Inf"} 5
:tensorflow:serving:request_latency_sum{model_name="m"} 25
:tensorflow:serving:request_latency_count{model_name="m"} 5
# TYPE nv_inference_count counter
nv_inference_count{model="m",version="1"} 100
# TYPE queue gauge
queue 3 1700000000000
odd{a="x\"y\\z\n",b="}"} 1
"#;

    fn after() -> String {
        BEFORE
            .replace("le=\"10\"} 5", "le=\"10\"} 15")
            .replace("le=\"20\"} 5", "le=\"20\"} 105")
            .replace("le=\"+Inf\"} 5", "le=\"+Inf\"} 107")
            .replace("_sum{model_name=\"m\"} 25", "_sum{model_name=\"m\"} 1555")
            .replace("_count{model_name=\"m\"} 5", "_count{model_name=\"m\"} 107")
            .replace("} 100", "} 350")
    }

    #[test]
    fn counters_gauges_and_histograms() {
        let all = changes(&parse(BEFORE), &parse(&after()));
        let find = |name: &str| all.iter().find(|((n, _), _)| n == name).unwrap().1.clone();
        assert_eq!(find("nv_inference_count"), Change::Counter(250.0));
        assert_eq!(find("queue"), Change::Gauge(3.0));
        let Change::Histogram(spread) = find(":tensorflow:serving:request_latency") else {
            panic!("{all:?}")
        };
        assert!((spread.mean() - 15.0).abs() < 1e-9 && (spread.count - 102.0).abs() < 1e-9);
        // 51 of 102: ten lie below 10, and 41 of the 90 up to 20.
        assert!((spread.quantile(0.5).unwrap() - (10.0 + 410.0 / 90.0)).abs() < 1e-9);
        assert_eq!(spread.quantile(0.999), None);
    }

    #[test]
    fn labels_with_everything_in_them() {
        let all = parse(BEFORE);
        let labels = &all.series.keys().find(|(n, _)| n == "odd").unwrap().1;
        assert_eq!(labels[0].1, "x\"y\\z\n");
        assert_eq!(labels[1].1, "}");
        assert_eq!(all.skipped, 0);
    }

    #[test]
    fn a_server_that_started_anew_says_nothing() {
        let all = changes(&parse(&after()), &parse(BEFORE));
        assert!(all.values().all(|c| matches!(c, Change::Gauge(_))), "{all:?}");
    }

    #[test]
    fn hostile_text() {
        let text =
            "{} 1\n1x 2\nx{a=\"\nx{a=\"\\\nx{a} 1\nx{=\"\"}\nx\n\u{1F600} 1\nx 1e999\nx NaN\n";
        let all = parse(text);
        assert!(all.skipped >= 8, "{all:?}");
        let many =
            (0..2 * SERIES).map(|i| format!("x{{i=\"{i}\"}} 1\n")).collect::<Vec<_>>().concat();
        assert_eq!(parse(&many).series.len(), SERIES);
    }
}
