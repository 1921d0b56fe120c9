//! What a joule from the grid stands for, in CO2 equivalent.

use serde::Deserialize;
use std::collections::BTreeMap;

const TABLE: &str = include_str!("../../../../../carbon/intensity.toml");

/// A region of the table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// ISO 3166 code of three letters, or `WORLD`.
    pub code: String,
    /// In English.
    pub name: String,
    /// Grams of CO2 equivalent a kilowatt-hour.
    pub g_per_kwh: f64,
    /// Of the data.
    pub year: String,
    /// Where it comes from.
    pub source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    sources: BTreeMap<String, String>,
    region: Vec<Region>,
}

/// The shipped regions, with their sources in words.
pub fn regions() -> Vec<Region> {
    let Ok(Table { sources, region }) = toml::from_str::<Table>(TABLE) else { return Vec::new() };
    let named =
        |r: Region| Region { source: sources.get(&r.source).cloned().unwrap_or(r.source), ..r };
    region.into_iter().map(named).collect()
}

/// What electricity stands for, and how much of it is spent around the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Grams of CO2 equivalent a kilowatt-hour.
    pub g_per_kwh: f64,
    /// Power of the building over power of the machine, 1 or more.
    pub pue: f64,
    /// Where the number comes from.
    pub origin: String,
}

impl Grid {
    /// Milligrams of CO2 equivalent.
    pub fn milligrams(&self, joules: f64) -> f64 {
        // 3.6 MJ are a kilowatt-hour; a thousand milligrams are a gram.
        joules * self.g_per_kwh * self.pue / 3600.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_a_number_a_year_and_a_source() {
        let all = regions();
        assert!(all.len() >= 7);
        for region in &all {
            assert!((1.0..2000.0).contains(&region.g_per_kwh), "{region:?}");
            assert!(region.source.len() > 8 && !region.year.is_empty(), "{region:?}");
        }
        let codes: Vec<&str> = all.iter().map(|r| r.code.as_str()).collect();
        assert!(codes.is_sorted() && codes.contains(&"FRA"));
    }

    /// Half a joule at the world's 480 g/kWh are 0.067 mg.
    #[test]
    fn a_joule_in_milligrams() {
        let grid = Grid { g_per_kwh: 480.0, pue: 1.0, origin: String::new() };
        assert!((grid.milligrams(0.5) - 0.066_67).abs() < 1e-4);
    }
}
