//! Which compute ceiling of a device holds for a data type.
//!
//! A type may have several: sums in f16 or f32, tensor cores or vector units, and accelerators beside the
//! GPU. Without a choice the ceiling is the one that frameworks reach by default: sums in f32, on the
//! device's main engine.

use super::{Basis, CeilingType, Device, Engine, Peak};
use rooflens_ground::units::FlopsPerSecond;

/// In place of a unit: all engines at once.
pub const ALL_UNITS: &str = "all";

/// What is asked of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice<'a> {
    /// Data type, as a device file or an element type of a model names it.
    pub dtype: &'a str,
    /// Type that sums are kept in; f32 or wider where not given.
    pub accumulate: Option<&'a str>,
    /// `vector`, `tensor`, `matrix`, `dla`, or [`ALL_UNITS`]; the main engine's fastest where not given.
    pub unit: Option<&'a str>,
}

impl<'a> From<&'a str> for Choice<'a> {
    fn from(dtype: &'a str) -> Self {
        Self { dtype, ..Self::default() }
    }
}

/// A compute ceiling that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    /// Data type.
    pub dtype: CeilingType,
    /// Type that sums are kept in, where the device has several or names it.
    pub accumulate: Option<CeilingType>,
    /// The unit, or several joined by ` + `.
    pub unit: String,
    /// Operations per second at the highest clock of the device.
    pub rate: FlopsPerSecond,
    /// What a real matrix product reaches, where measured.
    pub attainable: Option<FlopsPerSecond>,
    /// Whether it was measured; from datasheets otherwise.
    pub measured: bool,
}

/// Why a device has no ceiling or no roof for a data type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CeilingError {
    /// No ceiling of the type.
    #[error("{device} has no known {dtype} roof")]
    Dtype {
        /// The device's name.
        device: String,
        /// The type asked for.
        dtype: CeilingType,
        /// The types it has.
        known: Vec<String>,
    },
    /// None with sums in this type.
    #[error("{device} has no known {dtype} roof with sums in {accumulate}")]
    Accumulate {
        /// The device's name.
        device: String,
        /// The type asked for.
        dtype: CeilingType,
        /// The type of sums asked for.
        accumulate: CeilingType,
        /// The types of sums it has.
        known: Vec<String>,
    },
    /// None of this unit.
    #[error("{device} has no known {dtype} roof of the unit `{unit}`")]
    Unit {
        /// The device's name.
        device: String,
        /// The type asked for.
        dtype: CeilingType,
        /// The unit asked for.
        unit: String,
        /// The units it has for the type.
        known: Vec<String>,
    },
    /// The memory ceiling is not known.
    #[error("the memory bandwidth of {device} is not known, and without it there is no roof")]
    Bandwidth {
        /// The device's name.
        device: String,
    },
}

impl CeilingError {
    /// What there is instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Dtype { known, .. } => format!("its types are: {}", known.join(", ")),
            Self::Accumulate { known, .. } => format!("it has sums in: {}", known.join(", ")),
            Self::Unit { known, .. } => format!("its units are: {}", known.join(", ")),
            Self::Bandwidth { .. } => {
                "a device file of your own with --hwdb can give it".to_owned()
            }
        }
    }
}

/// A type as device files spell it: `f8e4m3fn` is `f8`, `u8` computes as `i8`, `fp16` is `f16`.
pub fn ceiling_type(name: &str) -> CeilingType {
    let lower = name.to_lowercase();
    let short = [("float", "f"), ("fp", "f"), ("uint", "i"), ("int", "i"), ("u", "i")];
    let plain = short.iter().find_map(|(long, short)| {
        let bits = lower.strip_prefix(long).filter(|b| b.starts_with(|c: char| c.is_ascii_digit()));
        bits.map(|bits| format!("{short}{bits}"))
    });
    let plain = plain.unwrap_or(lower);
    let wide = ["f8", "f6", "f4"]
        .into_iter()
        .find(|w| plain.strip_prefix(w).is_some_and(|rest| rest.starts_with('e')));
    CeilingType::from(wide.unwrap_or(&plain))
}

impl Peak {
    /// The type of sums as device files spell it.
    pub(super) fn sums(&self) -> Option<CeilingType> {
        self.accumulate.as_ref().map(|t| ceiling_type(t.name()))
    }

    /// Whether sums are kept in 16 bits or fewer.
    fn sums_are_narrow(&self) -> bool {
        matches!(
            self.sums(),
            Some(CeilingType::F16 | CeilingType::Bf16 | CeilingType::F8 | CeilingType::I16)
        )
    }
}

impl Device {
    /// The ceiling of this type that frameworks reach by default: the fastest of the main engine with sums
    /// in 32 bits.
    pub fn peak(&self, dtype: &str) -> Option<&Peak> {
        self.fastest(&self.of_type(dtype))
    }

    /// The rate of a ceiling at the highest clock that the device runs: what no run exceeds.
    pub fn rate(&self, peak: &Peak) -> FlopsPerSecond {
        let listed = peak.rate();
        let Some(boost) = self.boost_mhz else { return listed };
        let units = self.compute_units.map(f64::from);
        let product = |width: f64| Some(units? * boost * width * 1e6);
        let scaled = || Some(listed.get() * boost / peak.clock_mhz.or(self.clock_mhz)?);
        let boosted = peak.flop_per_unit_clock.and_then(product).or_else(scaled);
        FlopsPerSecond(boosted.map_or(listed.get(), |b| b.max(listed.get())))
    }

    /// The listed ceilings of a type that name the sums and the unit asked for, in the order of the file.
    pub fn peaks_of<'a>(&self, choice: impl Into<Choice<'a>>) -> Vec<&Peak> {
        let choice = choice.into();
        let sums = |p: &&Peak| match choice.accumulate {
            Some(wanted) => p.sums() == Some(ceiling_type(wanted)),
            None => true,
        };
        let unit = |p: &&Peak| choice.unit.is_none_or(|u| u == p.unit.name());
        self.of_type(choice.dtype).into_iter().filter(sums).filter(unit).collect()
    }

    /// The types that the device has a ceiling for, in the order of its file.
    pub fn types(&self) -> Vec<CeilingType> {
        distinct(self.peaks.iter().map(|p| p.dtype.clone()))
    }

    /// The ceiling that is asked for.
    pub fn ceiling<'a>(&self, choice: impl Into<Choice<'a>>) -> Result<Ceiling, CeilingError> {
        let choice = choice.into();
        let (device, dtype) = (self.name.clone(), ceiling_type(choice.dtype));
        let typed = self.of(&dtype);
        if typed.is_empty() {
            let known = self.types().iter().map(CeilingType::to_string).collect();
            return Err(CeilingError::Dtype { device, dtype, known });
        }
        let summed = self.summed(&typed, choice.accumulate, &dtype)?;
        let together = choice.unit == Some(ALL_UNITS);
        let (beside, main): (Vec<&Peak>, Vec<&Peak>) =
            summed.iter().partition(|p| p.unit == Engine::Dla);
        let parts: Vec<&Peak> = match choice.unit {
            None => self.fastest(&summed).into_iter().collect(),
            Some(ALL_UNITS) => {
                [main, beside].iter().filter_map(|engine| self.fastest(engine)).collect()
            }
            Some(unit) => {
                let same: Vec<&Peak> =
                    summed.iter().copied().filter(|p| p.unit.name() == unit).collect();
                self.fastest(&same).into_iter().collect()
            }
        };
        let Some(first) = parts.first() else {
            let known = distinct(typed.iter().map(|p| p.unit.to_string()));
            let unit = choice.unit.unwrap_or_default().to_owned();
            return Err(CeilingError::Unit { device, dtype, unit, known });
        };
        let units: Vec<&str> = parts.iter().map(|p| p.unit.name()).collect();
        let attainable = first.attainable_tflops.filter(|_| !together);
        Ok(Ceiling {
            dtype,
            accumulate: first.sums(),
            unit: units.join(" + "),
            rate: FlopsPerSecond(parts.iter().map(|p| self.rate(p).get()).sum()),
            attainable: attainable.map(|t| FlopsPerSecond(t * 1e12)),
            measured: parts.iter().all(|p| p.kind == Basis::Measured),
        })
    }

    /// Those whose sums are in the type asked for; one that names none sums in 32 bits.
    fn summed<'p>(
        &self,
        typed: &[&'p Peak],
        accumulate: Option<&str>,
        dtype: &CeilingType,
    ) -> Result<Vec<&'p Peak>, CeilingError> {
        let Some(wanted) = accumulate.map(ceiling_type) else { return Ok(typed.to_vec()) };
        let usual =
            |p: &Peak| if p.dtype.is_integer() { CeilingType::I32 } else { CeilingType::F32 };
        let sums = |p: &Peak| p.sums().unwrap_or_else(|| usual(p));
        let same: Vec<&Peak> = typed.iter().copied().filter(|p| sums(p) == wanted).collect();
        if same.is_empty() {
            return Err(CeilingError::Accumulate {
                device: self.name.clone(),
                dtype: dtype.clone(),
                accumulate: wanted,
                known: distinct(typed.iter().map(|p| sums(p).to_string())),
            });
        }
        Ok(same)
    }

    fn of_type(&self, dtype: &str) -> Vec<&Peak> {
        self.of(&ceiling_type(dtype))
    }

    fn of(&self, dtype: &CeilingType) -> Vec<&Peak> {
        self.peaks.iter().filter(|p| p.dtype == *dtype).collect()
    }

    /// The fastest with wide sums on the main engine; of the others where there is none such.
    fn fastest<'p>(&self, peaks: &[&'p Peak]) -> Option<&'p Peak> {
        let order = |p: &&&Peak| (p.unit != Engine::Dla, !p.sums_are_narrow());
        let rate = |p: &Peak| self.rate(p).get();
        let best =
            |a: &&&Peak, b: &&&Peak| order(a).cmp(&order(b)).then(rate(a).total_cmp(&rate(b)));
        peaks.iter().max_by(best).copied()
    }
}

/// Each once, in the order of first mention.
fn distinct<T: PartialEq>(names: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_all_their_names() {
        for (name, plain) in [
            ("f16", "f16"),
            ("fp16", "f16"),
            ("float32", "f32"),
            ("bf16", "bf16"),
            ("tf32", "tf32"),
            ("f8e4m3fn", "f8"),
            ("f8e5m2", "f8"),
            ("f4e2m1", "f4"),
            ("u8", "i8"),
            ("INT8", "i8"),
            ("uint4", "i4"),
        ] {
            assert_eq!(ceiling_type(name).name(), plain, "{name}");
        }
    }

    fn peak(dtype: &str, unit: &str, tflops: f64, accumulate: Option<&str>) -> Peak {
        Peak {
            dtype: dtype.into(),
            unit: unit.into(),
            dense_tflops: tflops,
            accumulate: accumulate.map(CeilingType::from),
            kind: "theoretical".into(),
            ..Peak::default()
        }
    }

    fn device() -> Device {
        Device {
            name: "d".into(),
            peaks: vec![
                peak("f16", "tensor", 4.0, Some("f16")),
                peak("f16", "tensor", 2.0, Some("fp32")),
                peak("f16", "vector", 1.0, None),
                peak("i8", "tensor", 8.0, None),
                peak("i8", "dla", 5.0, None),
            ],
            ..Device::default()
        }
    }

    #[test]
    fn sums_in_f32_on_the_main_engine_unless_asked() {
        let d = device();
        let rate = |choice: Choice<'_>| d.ceiling(choice).map(|c| c.rate.get() / 1e12);
        let f16 = Choice::from("f16");
        assert_eq!(rate(f16), Ok(2.0));
        assert_eq!(d.ceiling(f16).unwrap().accumulate, Some(CeilingType::F32));
        assert_eq!(rate(Choice { accumulate: Some("f16"), ..f16 }), Ok(4.0));
        assert_eq!(rate(Choice { unit: Some("vector"), ..f16 }), Ok(1.0));
        let i8 = Choice::from("u8");
        assert_eq!(rate(i8), Ok(8.0));
        assert_eq!(rate(Choice { unit: Some("dla"), ..i8 }), Ok(5.0));
        assert_eq!(rate(Choice { unit: Some(ALL_UNITS), ..i8 }), Ok(13.0));
        assert_eq!(d.ceiling(Choice { unit: Some(ALL_UNITS), ..i8 }).unwrap().unit, "tensor + dla");
    }

    #[test]
    fn what_a_device_lacks_is_an_error_that_names_what_it_has() {
        let d = device();
        let error = d.ceiling("f64").unwrap_err();
        assert_eq!(error.to_string(), "d has no known f64 roof");
        assert_eq!(error.hint(), "its types are: f16, i8");
        let sums = Choice { accumulate: Some("f16"), ..Choice::from("i8") };
        assert_eq!(d.ceiling(sums).unwrap_err().hint(), "it has sums in: i32");
        let unit = Choice { unit: Some("matrix"), ..Choice::from("i8") };
        assert_eq!(d.ceiling(unit).unwrap_err().hint(), "its units are: tensor, dla");
    }

    /// 82 × 1024 × 2.1 GHz, and 35.6 from 1.7 to 2.1 GHz.
    #[test]
    fn the_highest_clock_is_what_bounds() {
        let mut d = Device {
            compute_units: Some(82),
            clock_mhz: Some(1700.0),
            boost_mhz: Some(2100.0),
            ..device()
        };
        assert!((d.rate(&d.peaks[1]).get() - 2e12 * 2100.0 / 1700.0).abs() < 1.0);
        d.peaks[1].flop_per_unit_clock = Some(1024.0);
        assert!((d.rate(&d.peaks[1]).get() - 82.0 * 1024.0 * 2.1e9).abs() < 1.0);
        d.peaks[1].flop_per_unit_clock = Some(1.0);
        assert!((d.rate(&d.peaks[1]).get() - 2e12).abs() < 1.0, "never below the listed figure");
    }
}
