//! Whether a device file holds together: peaks against units × clock × width, and what is missing.

use super::{
    Basis, Catalogue, CeilingType, Confidence, Device, Direction, Engine, MemoryLevel, Peak, Rival,
};
use serde::Serialize;

/// Listed and recomputed peaks differ by at most this share, or a note says why.
const TOLERANCE: f64 = 0.035;

/// What multiplying back says of a peak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "verdict", content = "reason", rename_all = "snake_case")]
pub enum Verdict {
    /// Units × clock × width gives the listed peak.
    Within,
    /// It does not, and the file says why.
    Explained(String),
    /// It does not, and nothing says why.
    Off,
    /// The clock was inferred from the peak: agreement proves nothing.
    Circular,
    /// Measured, not computed.
    Measured,
    /// A factor is not known.
    Unknown(&'static str),
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Within => write!(f, "within {:.1} %", 100.0 * TOLERANCE),
            Self::Explained(reason) => write!(f, "off: {reason}"),
            Self::Off => f.write_str("off, and no note says why"),
            Self::Circular => f.write_str("clock inferred from the peak: proves nothing"),
            Self::Measured => f.write_str("measured"),
            Self::Unknown(what) => write!(f, "not checked: no {what}"),
        }
    }
}

/// A peak beside what multiplying back gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PeakCheck {
    /// Data type.
    pub dtype: CeilingType,
    /// Unit that computes it.
    pub unit: Engine,
    /// The peak as listed, in 10^12 operations per second.
    pub listed_tflops: f64,
    /// Units × clock × width, in 10^12 operations per second; null where one of the three is not known.
    pub computed_tflops: Option<f64>,
    /// Clock of that product in MHz; null where it is not known.
    pub clock_mhz: Option<f64>,
    /// What follows from the two.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl PeakCheck {
    /// Listed over computed, less one.
    pub fn off(&self) -> Option<f64> {
        self.computed_tflops.map(|c| self.listed_tflops / c - 1.0)
    }
}

/// Two figures for one thing, both kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Disagreement {
    /// What is contested.
    pub what: String,
    /// The figures and who gives them.
    pub figures: String,
}

/// What checking a device's file finds.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceCheck {
    /// The device's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Each peak against units × clock × width.
    pub peaks: Vec<PeakCheck>,
    /// Figures that sources disagree on.
    pub disagreements: Vec<Disagreement>,
    /// What is wrong with its file, as sentences; empty where nothing is.
    pub problems: Vec<String>,
}

impl DeviceCheck {
    /// Checks a device among those of a catalogue.
    pub fn new(catalogue: &Catalogue, device: &Device) -> Self {
        Self {
            id: device.id.clone(),
            name: device.name.clone(),
            peaks: device.checks(),
            disagreements: device.disagreements(),
            problems: catalogue.problems(device),
        }
    }
}

impl Device {
    /// Every peak, multiplied back.
    pub fn checks(&self) -> Vec<PeakCheck> {
        self.peaks.iter().map(|p| self.check(p)).collect()
    }

    fn check(&self, peak: &Peak) -> PeakCheck {
        let clock = peak.clock_mhz.or(self.clock_mhz);
        let units = self.compute_units.map(f64::from);
        let product = |width: f64| Some(units? * clock? * width * 1e-6);
        let computed = peak.flop_per_unit_clock.and_then(product);
        let off = computed.map(|c| (peak.dense_tflops / c - 1.0).abs());
        let verdict = match off {
            _ if peak.kind == Basis::Measured => Verdict::Measured,
            None if peak.flop_per_unit_clock.is_none() => {
                Verdict::Unknown("width a clock is known")
            }
            None if units.is_none() => Verdict::Unknown("number of units is known"),
            None => Verdict::Unknown("clock is known"),
            Some(off) if off <= TOLERANCE => {
                let inferred = self.crosscheck_circular && peak.clock_mhz.is_none();
                if inferred { Verdict::Circular } else { Verdict::Within }
            }
            Some(_) => peak.note.clone().map_or(Verdict::Off, Verdict::Explained),
        };
        PeakCheck {
            dtype: peak.dtype.clone(),
            unit: peak.unit.clone(),
            listed_tflops: peak.dense_tflops,
            computed_tflops: computed,
            clock_mhz: clock.filter(|_| computed.is_some()),
            verdict,
        }
    }

    /// Figures that disagree: clock bases within the file, and other sources.
    pub fn disagreements(&self) -> Vec<Disagreement> {
        let mut found: Vec<Disagreement> = self.clock_bases().into_iter().collect();
        for p in &self.peaks {
            let what = format!("{} {}", p.dtype, p.unit);
            let source = p.source.as_deref().or(p.note.as_deref());
            found.extend(contested(what, p.dense_tflops, source, &p.rivals, "T"));
        }
        for m in &self.memory {
            let what = format!("{} bandwidth", m.level);
            let rate = m.bandwidth_gb_s.unwrap_or_default();
            found.extend(contested(what, rate, m.source.as_deref(), &m.rivals, "GB/s"));
        }
        found
    }

    /// Peaks that only two different clocks explain.
    fn clock_bases(&self) -> Option<Disagreement> {
        let checks = self.checks();
        let clocked = || checks.iter().filter_map(|c| c.clock_mhz.map(|m| (m, c)));
        let (slow, fast) = clocked().fold((f64::INFINITY, 0.0f64), |(low, high), (clock, _)| {
            (low.min(clock), high.max(clock))
        });
        if fast <= slow * 1.001 {
            return None;
        }
        let at = |wanted: f64| {
            let names = clocked().filter(|(m, _)| (m - wanted).abs() < 0.5);
            let names: Vec<String> =
                names.map(|(_, c)| format!("{} {}", c.dtype, c.unit)).collect();
            format!("{} at {wanted:.0} MHz", names.join(", "))
        };
        Some(Disagreement {
            what: "clock basis".into(),
            figures: format!(
                "{}; {}: {:.1} % apart",
                at(fast),
                at(slow),
                100.0 * (fast / slow - 1.0)
            ),
        })
    }

    /// What is wrong with this file; empty when nothing is.
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.id.is_empty() || self.id != self.id.to_lowercase() {
            found.push("the id is not a lower-case name".to_owned());
        }
        if self.confidence == Confidence::default() {
            found.push("no confidence is given".to_owned());
        }
        if self.peaks.is_empty() {
            found.push("no peak is given".to_owned());
        }
        for (peak, check) in self.peaks.iter().zip(self.checks()) {
            let name = format!("{} {}", peak.dtype, peak.unit);
            found.extend(peak_problems(peak).into_iter().map(|p| format!("{name}: {p}")));
            found.extend(self.unsourced(&name, peak.source.as_deref(), &peak.kind));
            if let (Verdict::Off, Some(off)) = (&check.verdict, check.off()) {
                found.push(format!("{name}: {:.1} % off units × clock × width", 100.0 * off));
            }
        }
        for level in &self.memory {
            let name = level.level.name();
            found.extend(level_problems(level).into_iter().map(|p| format!("{name}: {p}")));
            found.extend(self.unsourced(name, level.source.as_deref(), &level.kind));
        }
        for link in &self.links {
            let name = &link.name;
            if !positive(link.bandwidth_gb_s) {
                found.push(format!("{name}: the bandwidth is not positive"));
            }
            if let Direction::Other(word) = &link.direction {
                found.push(format!("{name}: `{word}` is no direction"));
            }
            found.extend(self.unsourced(name, link.source.as_deref(), &link.kind));
        }
        if self.boost_mhz.zip(self.clock_mhz).is_some_and(|(boost, clock)| boost < clock) {
            found.push("the highest clock is below that of the peaks".to_owned());
        }
        if self.boost_mhz.is_some() && self.boost_source.is_none() {
            found.push("no source is given for the highest clock".to_owned());
        }
        let watts = self.power_modes.iter().map(|m| m.limit_w).chain(self.tdp_w);
        if watts.into_iter().any(|w| !positive(w)) {
            found.push("a power is not positive".to_owned());
        }
        for price in self.prices.iter().filter(|p| !is_day(&p.date)) {
            found.push(format!("price of {}: `{}` is no day", price.provider, price.date));
        }
        found
    }

    fn unsourced(&self, name: &str, source: Option<&str>, kind: &Basis) -> Vec<String> {
        let mut found = Vec::new();
        if self.sources.is_empty() && source.is_none() {
            found.push(format!("{name}: no source is given"));
        }
        if let Basis::Other(word) = kind {
            found.push(format!("{name}: `{word}` is neither theoretical nor measured"));
        }
        found
    }
}

impl Catalogue {
    /// What is wrong with this device among the others; empty when nothing is.
    pub fn problems(&self, device: &Device) -> Vec<String> {
        let mut found = device.problems();
        if let Some(parent) = &device.variant_of {
            if !self.iter().any(|d| d.id == *parent) {
                found.push(format!("variant of `{parent}`, which is not there"));
            }
        }
        let keys = device.sources.iter().chain(device.prices.iter().map(|p| &p.source));
        let keys = keys.chain(&device.boost_source);
        let unknown = keys.filter(|s| self.source(s).is_none());
        found.extend(unknown.map(|s| format!("source `{s}` is not in sources.toml")));
        found
    }
}

/// `2026-11-25`.
fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let within = |part: &str, digits: usize, range: std::ops::RangeInclusive<u16>| {
        part.len() == digits && part.parse().is_ok_and(|n| range.contains(&n))
    };
    within(year, 4, 1990..=9999) && within(month, 2, 1..=12) && within(day, 2, 1..=31)
}

fn positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

fn peak_problems(peak: &Peak) -> Vec<&'static str> {
    let mut found = Vec::new();
    if !positive(peak.dense_tflops) {
        found.push("the peak is not positive");
    }
    if peak.sparse_tflops.is_some_and(|s| s <= peak.dense_tflops) {
        found.push("the sparse peak does not exceed the dense one");
    }
    if peak.attainable_tflops.is_some_and(|a| !positive(a)) {
        found.push("the attainable rate is not positive");
    }
    if peak.attainable_tflops.is_some() && peak.attainable_note.is_none() {
        found.push("nobody is named who measured the attainable rate");
    }
    if !matches!(
        peak.sums(),
        None | Some(
            CeilingType::F16
                | CeilingType::Bf16
                | CeilingType::F32
                | CeilingType::F64
                | CeilingType::I16
                | CeilingType::I32
        )
    ) {
        found.push("sums are kept in none of f16, bf16, f32, f64, i16, i32");
    }
    if peak.flop_per_unit_clock.is_some_and(|w| !positive(w)) {
        found.push("the width a clock is not positive");
    }
    found
}

fn level_problems(level: &MemoryLevel) -> Vec<&'static str> {
    let rates = [level.bandwidth_gb_s, level.read_gb_s, level.copy_gb_s, level.triad_gb_s];
    let mut found = Vec::new();
    if rates.into_iter().flatten().any(|b| !positive(b)) {
        found.push("the bandwidth is not positive");
    }
    if level.capacity_bytes == Some(0) {
        found.push("the capacity is not positive");
    }
    if level.capacity_bytes.is_none() && level.bandwidth_gb_s.is_none() {
        found.push("neither capacity nor bandwidth is given");
    }
    found
}

fn contested(
    what: String,
    listed: f64,
    source: Option<&str>,
    rivals: &[Rival],
    unit: &str,
) -> Option<Disagreement> {
    if rivals.is_empty() {
        return None;
    }
    let mut figures = vec![format!("{listed} {unit} ({})", source.unwrap_or("listed"))];
    figures.extend(rivals.iter().map(|r| {
        let note = r.note.as_ref().map_or(String::new(), |n| format!(", {n}"));
        format!("{} {unit} ({}{note})", r.value, r.source)
    }));
    Some(Disagreement { what, figures: figures.join(" against ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        let text = include_str!("../../../../hwdb/nvidia-t4.toml");
        toml::from_str(text).unwrap()
    }

    fn width(device: &mut Device, width: f64) -> Verdict {
        device.peaks[0].flop_per_unit_clock = Some(width);
        device.checks().remove(0).verdict
    }

    fn price(date: &str, source: &str) -> crate::hwdb::Price {
        crate::hwdb::Price {
            provider: "somebody".into(),
            usd_per_hour: 0.5,
            date: date.into(),
            source: source.into(),
        }
    }

    #[test]
    fn a_peak_that_does_not_multiply_back_wants_a_reason() {
        let mut d = device();
        d.peaks[0].note = None;
        assert_eq!(width(&mut d, 1.0), Verdict::Off);
        assert!(d.problems()[0].contains("off units × clock × width"), "{:?}", d.problems());
        d.peaks[0].note = Some("capped".into());
        assert_eq!(width(&mut d, 1.0), Verdict::Explained("capped".into()));
        assert_eq!(d.problems(), Vec::<String>::new());
    }

    #[test]
    fn a_clock_inferred_from_the_peak_proves_nothing() {
        let mut d = device();
        d.crosscheck_circular = true;
        let (units, clock) = (f64::from(d.compute_units.unwrap()), d.clock_mhz.unwrap());
        let exact = d.peaks[0].dense_tflops * 1e6 / units / clock;
        assert_eq!(width(&mut d, exact), Verdict::Circular);
        d.peaks[0].clock_mhz = Some(clock);
        assert_eq!(width(&mut d, exact), Verdict::Within);
    }

    #[test]
    fn broken_files_are_told_what_is_broken() {
        type Break = fn(&mut Device);
        let broken: &[(Break, &str)] = &[
            (|d| d.peaks[0].dense_tflops = 0.0, "the peak is not positive"),
            (|d| d.peaks[0].sparse_tflops = Some(1.0), "does not exceed the dense one"),
            (|d| d.peaks[0].kind = "guessed".into(), "neither theoretical nor measured"),
            (|d| d.sources.clear(), "no source is given"),
            (|d| d.confidence = Confidence::default(), "no confidence"),
            (|d| d.memory[0].bandwidth_gb_s = Some(f64::NAN), "the bandwidth is not positive"),
            (|d| d.memory[0].capacity_bytes = Some(0), "the capacity is not positive"),
            (|d| d.id = "T4".into(), "lower-case"),
            (|d| d.peaks[0].accumulate = Some("f17".into()), "sums are kept in none of"),
            (|d| d.boost_mhz = Some(1.0), "the highest clock is below"),
            (|d| d.boost_mhz = Some(9e9), "no source is given for the highest clock"),
        ];
        for (breaks, said) in broken {
            let mut d = device();
            breaks(&mut d);
            assert!(d.problems().iter().any(|p| p.contains(said)), "{said}: {:?}", d.problems());
        }
    }

    #[test]
    fn variants_and_sources_are_looked_up() {
        let catalogue = Catalogue::builtin().unwrap();
        let mut d = device();
        d.variant_of = Some("nobody".into());
        d.sources.push("HEARSAY".into());
        d.prices = vec![price("2026-11-25", "RUMOUR"), price("yesterday", "XPROF")];
        let problems = catalogue.problems(&d);
        assert!(problems.iter().any(|p| p.contains("variant of `nobody`")), "{problems:?}");
        assert!(problems.iter().any(|p| p.contains("source `HEARSAY`")), "{problems:?}");
        assert!(problems.iter().any(|p| p.contains("source `RUMOUR`")), "{problems:?}");
        assert!(problems.iter().any(|p| p.contains("`yesterday` is no day")), "{problems:?}");
    }
}
