//! Energy and carbon of an inference, from the sources of a log. Sources of which one includes another are never
//! added: each has a number of its own, and the widest that is known well is the one that counts.

use super::carbon::Grid;
use super::log::joules::{self, Amount};
use super::{Log, unmeasured};
use crate::schema::{ENERGY, MeterCovers, MeterPart, MeterUnit};
use std::ops::Range;

/// What energy is asked about.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Good inferences in the window.
    pub inferences: f64,
    /// W before the load by source, with the server ready and nothing to do.
    pub idle: Vec<(String, Amount)>,
    /// For carbon.
    pub grid: Option<Grid>,
    /// Whether other machines sent requests to the same server meanwhile.
    pub shared: bool,
}

/// A source that is wider than others is preferred if it is known to ± this share.
const WELL: f64 = 0.1;

const ACTIVE: &str = "active energy";
const IDLE: &str = "idle power";
const CARBON: &str = "carbon per inference";

/// Sources that may be added, because none includes another.
struct Account {
    /// Names of the sources.
    names: Vec<String>,
    covers: MeterCovers,
    joules: Result<Amount, String>,
}

/// Meters of energy and carbon an inference.
pub fn energy(log: &Log, window: &Range<f64>, asked: &Asked) -> Vec<MeterPart> {
    let mut accounts = accounts(log, window);
    let none = |why: &str| {
        let mut all = vec![unmeasured(ENERGY, MeterUnit::Joules, why)];
        if asked.grid.is_some() {
            all.push(unmeasured(ACTIVE, MeterUnit::Joules, why));
            all.push(unmeasured(CARBON, MeterUnit::Carbon, why));
        }
        all
    };
    if asked.shared {
        return none("this is one of several stripes: the server's energy is that of all of them");
    }
    if asked.inferences < 1.0 {
        return none("no inference was successful");
    }
    let seconds = window.end - window.start;
    let mut all = match headline(&accounts) {
        Some(first) => accounts.remove(first).counted(seconds, asked),
        None => none(&why_none(&accounts)),
    };
    all.extend(accounts.iter().map(|other| other.beside(asked)));
    all
}

/// Why no account counts.
fn why_none(accounts: &[Account]) -> String {
    let known = accounts.iter().filter(|a| a.joules.is_ok()).count();
    let why = accounts.iter().find_map(|a| a.joules.as_ref().err().cloned());
    match (known, why) {
        (0, Some(why)) => why,
        (0, None) => {
            "no source of energy could be read; see CPU energy, GPU and power sensors".into()
        }
        (n, _) => format!(
            "the board measures {n} of its rails, not its input; they are not added, as one may feed another"
        ),
    }
}

/// Every set of sources that may be added.
fn accounts(log: &Log, window: &Range<f64>) -> Vec<Account> {
    let (mut alone, mut parts) = (Vec::new(), Vec::new());
    for (i, column, covers) in log.energies() {
        let joules = joules::joules(log, i, window);
        let account = Account { names: vec![column.name.clone()], covers, joules };
        match covers {
            MeterCovers::Processor | MeterCovers::Gpu => parts.push(account),
            _ => alone.push(account),
        }
    }
    // What a package draws is in the counters of the processor, where there are any.
    let has_processor = parts.iter().any(|p| p.covers == MeterCovers::Processor);
    let packages = alone.iter().filter(|a| a.covers == MeterCovers::Package).count();
    if !has_processor && packages == 1 {
        let package = alone.iter().position(|a| a.covers == MeterCovers::Package);
        parts.extend(package.map(|i| alone.remove(i)));
    }
    let (known, failed): (Vec<_>, Vec<_>) = parts.into_iter().partition(|p| p.joules.is_ok());
    // A source that failed has its reason beside its own meter.
    let sum = known.into_iter().reduce(Account::with);
    alone.extend(sum.or_else(|| failed.into_iter().next()));
    alone.sort_by_key(|a| a.covers);
    alone
}

/// The place of the account that counts: the widest that is known well, else the one that is known best.
fn headline(accounts: &[Account]) -> Option<usize> {
    let known = accounts.iter().enumerate();
    let known: Vec<(usize, &Account, Amount)> =
        known.filter_map(|(i, a)| Some((i, a, *a.joules.as_ref().ok()?))).collect();
    // A card may not be in what the platform counts, and a rail is a part of something.
    let cards = accounts.iter().any(|a| a.covers == MeterCovers::Gpu || a.names.len() > 1);
    let whole: Vec<_> = known
        .iter()
        .filter(|(_, a, _)| a.covers != MeterCovers::Rail)
        .filter(|(_, a, _)| a.covers != MeterCovers::Platform || !cards)
        .collect();
    let well = whole.iter().find(|(.., joules)| joules.error() <= WELL);
    let best = || whole.iter().min_by(|(.., a), (.., b)| a.error().total_cmp(&b.error()));
    let found = well.or_else(best).copied();
    let only = || if known.len() == 1 { known.first() } else { None };
    found.or_else(only).map(|(i, ..)| *i)
}

impl Account {
    /// The sum of two.
    fn with(self, other: Self) -> Self {
        let names = [self.names, other.names].concat();
        let joules = self.joules.and_then(|a| Ok(a.plus(other.joules?)));
        let covers = self.covers.min(other.covers);
        Self { names, covers, joules }
    }

    fn name(&self) -> String {
        self.names.join(" + ")
    }

    /// What is included, in words.
    fn includes(&self) -> &'static str {
        if self.names.len() > 1 {
            return "the rest of the machine not included";
        }
        match self.covers {
            MeterCovers::Machine => "all that the machine draws",
            MeterCovers::Platform => {
                "processor, memory and what else the board feeds; a graphics card may not be in it"
            }
            MeterCovers::Board => "the board at its input",
            MeterCovers::Processor => {
                "packages and memory that are counted; the rest of the machine not included"
            }
            MeterCovers::Package => {
                "processor and GPU in one package; the rest of the machine not included"
            }
            MeterCovers::Gpu => "the card alone",
            MeterCovers::Rail => "a part of the board",
        }
    }

    /// W without load of all its sources; `None` where one of them was not measured.
    fn idle(&self, asked: &Asked) -> Option<Amount> {
        let of =
            |name: &String| asked.idle.iter().find(|(n, _)| n == name).map(|(_, watts)| *watts);
        self.names.iter().map(of).collect::<Option<Vec<_>>>()?.into_iter().reduce(Amount::plus)
    }

    /// The meters of the account that counts, of a window of so many seconds.
    fn counted(&self, seconds: f64, asked: &Asked) -> Vec<MeterPart> {
        let Ok(joules) = self.joules else { return Vec::new() };
        let each = joules.times(1.0 / asked.inferences);
        let scope = format!("{}: {}; including this client", self.name(), self.includes());
        let mut all = vec![part(ENERGY, MeterUnit::Joules, each, scope.clone())];
        if let Some(idle) = self.idle(asked) {
            let active = joules.minus(idle.times(seconds)).times(1.0 / asked.inferences);
            all.push(part(
                IDLE,
                MeterUnit::Watts,
                idle,
                format!("{}, the server ready", self.name()),
            ));
            let note = format!("above {:.1} W idle power", idle.value);
            all.push(part(ACTIVE, MeterUnit::Joules, active, note));
        } else {
            let why = format!("idle power of {} was not measured: --idle-seconds 30", self.name());
            all.push(unmeasured(ACTIVE, MeterUnit::Joules, &why));
        }
        all.push(match &asked.grid {
            Some(grid) => {
                let note = format!(
                    "{} g/kWh ({}), PUE {}; average mix; {scope}",
                    grid.g_per_kwh, grid.origin, grid.pue
                );
                part(CARBON, MeterUnit::Carbon, each.times(grid.milligrams(1.0)), note)
            }
            None => unmeasured(
                CARBON,
                MeterUnit::Carbon,
                "unknown electricity grid: pass --region, as in --region FRA, or --carbon-intensity",
            ),
        });
        all
    }

    /// The energy an inference of an account beside the one that counts.
    fn beside(&self, asked: &Asked) -> MeterPart {
        let name = format!("{ENERGY}, {}", self.name());
        match &self.joules {
            Ok(joules) => {
                let each = joules.times(1.0 / asked.inferences);
                let note = format!("{}; not added to the others", self.includes());
                part(&name, MeterUnit::Joules, each, note)
            }
            Err(why) => unmeasured(&name, MeterUnit::Joules, why),
        }
    }
}

fn part(name: &str, unit: MeterUnit, amount: Amount, note: String) -> MeterPart {
    let none = if amount.bounds.is_some() { "" } else { "; too few values for an interval" };
    MeterPart {
        name: name.into(),
        unit,
        value: Some(amount.value),
        low: amount.bounds.map(|b| b.0),
        high: amount.bounds.map(|b| b.1),
        note: Some(note + none),
        ..MeterPart::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::{Column, Role, Show};
    use super::*;
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    /// 100 W for ten seconds, 40 W of them without load.
    fn log(joules: bool) -> Log {
        let (show, role) = (Show::Total, Role::Energy(MeterCovers::Processor));
        let counter = Column { show, role, ..Column::new("CPU energy", MeterUnit::Joules) };
        Log {
            began: SystemTime::UNIX_EPOCH,
            columns: if joules { vec![counter] } else { Vec::new() },
            absent: Vec::new(),
            rows: (0..=20)
                .map(|i| {
                    (f64::from(i), if joules { vec![100.0 * f64::from(i)] } else { Vec::new() })
                })
                .collect(),
            failures: BTreeMap::new(),
            answers: Vec::new(),
            cpu: 0.0,
            every: 1.0,
        }
    }

    #[test]
    fn total_active_and_carbon() {
        let grid = Grid { g_per_kwh: 475.0, pue: 1.2, origin: "world".into() };
        let idle = Amount { value: 40.0, bounds: Some((39.0, 41.0)) };
        let idle = vec![("CPU energy".into(), idle)];
        let asked = Asked { inferences: 500.0, idle, grid: Some(grid), shared: false };
        let all = energy(&log(true), &(5.5..15.5), &asked);
        let values: Vec<f64> = all.iter().map(|m| m.value.unwrap()).collect();
        for (value, truth) in values.iter().zip([2.0, 40.0, 1.2, 2.0 * 475.0 * 1.2 / 3600.0]) {
            assert!((value - truth).abs() < 1e-9, "{values:?}");
        }
        // Readings at 6 and 15 s are within, those at 5 and 16 s around: 900 to 1,100 J.
        assert_eq!((all[0].low, all[0].high), (Some(1.8), Some(2.2)));
        // Of them 390 to 410 J are not the load's.
        assert_eq!((all[2].low, all[2].high), (Some(0.98), Some(1.42)));
    }

    #[test]
    fn what_is_not_known_says_so() {
        let asked = Asked { inferences: 500.0, ..Asked::default() };
        let all = energy(&log(true), &(5.0..15.0), &asked);
        assert!(all[0].value.is_some() && all[1].value.is_none() && all[2].value.is_none());
        assert!(all[2].unmeasured.as_ref().unwrap().contains("--region"));
        let shared = Asked { shared: true, ..asked.clone() };
        assert!(energy(&log(true), &(5.0..15.0), &shared).iter().all(|m| m.value.is_none()));
        assert!(energy(&log(false), &(5.0..15.0), &asked)[0].unmeasured.is_some());
    }
}
