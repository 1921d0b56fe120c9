//! Whether processors run slower because they are hot or poorly supplied: counters of Intel's processors, cooling
//! devices of the kernel, and the firmware of a Raspberry Pi.

use super::tree::{ReadError, Tree};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A source that says whether processors are slowed.
#[derive(Clone, Debug)]
pub struct Heat {
    tree: Tree,
    source: Source,
    /// An alarm of the supply's voltage.
    alarm: Option<PathBuf>,
}

#[derive(Clone, Debug)]
enum Source {
    /// Counters of events, and of the time in them where the kernel has it: with the folder of each processor.
    Counters(Vec<Counter>),
    /// States above zero slow a processor down.
    Cooling(Vec<PathBuf>),
    /// Bits of what the firmware of a Raspberry Pi found.
    Firmware(PathBuf),
}

/// A counter of throttling, of a core or of a package.
#[derive(Clone, Debug)]
struct Counter {
    events: PathBuf,
    milliseconds: PathBuf,
    last: Option<(i64, Option<i64>)>,
}

/// What was found since the last reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slowed {
    /// Share of the time, 0 to 1, in which the slowest processor was slowed; `None` at the first reading of counters.
    pub share: Option<f64>,
    /// Whether the supply's voltage is too low; `None` where nothing says so.
    pub low_voltage: Option<bool>,
}

/// Bits of `get_throttled`: too little voltage, clock capped, throttled, soft limit of temperature.
/// <https://www.raspberrypi.com/documentation/computers/os.html#get_throttled>
const LOW_VOLTAGE: u64 = 1;
const SLOWED: u64 = 0b1110;
/// The alarm of the same voltage that the mainline kernel shows. <https://docs.kernel.org/hwmon/raspberrypi-hwmon.html>
const ALARM: (&str, &str) = ("rpi_volt", "in0_lcrit_alarm");

/// Types of cooling devices that lower the clock of processors or keep them idle; fans and lights do not.
/// <https://docs.kernel.org/driver-api/thermal/sysfs-api.html>
const COOLING: [&str; 5] = ["cpufreq-", "thermal-cpufreq-", "idle-", "thermal-idle-", "Processor"];

impl Heat {
    /// The first source that there is; `None` where nothing says whether processors are slowed.
    pub fn open(tree: &Tree) -> Option<Self> {
        let source = counters(tree).or_else(|| firmware(tree)).or_else(|| cooling(tree))?;
        let chips = Tree::entries(&tree.path("class/hwmon"), "hwmon");
        let chip = chips.iter().find(|c| tree.text(&c.join("name")).is_ok_and(|n| n == ALARM.0));
        let alarm = chip.map(|c| c.join(ALARM.1)).filter(|alarm| tree.is_readable(alarm));
        Some(Self { tree: tree.clone(), source, alarm })
    }

    /// Where it is read.
    pub fn path(&self) -> String {
        let all = |first: Option<String>, n: usize| {
            let first = first.unwrap_or_default();
            if n > 1 { format!("{first} and {} more", n - 1) } else { first }
        };
        match &self.source {
            Source::Counters(list) => {
                all(list.first().map(|c| c.events.display().to_string()), list.len())
            }
            Source::Cooling(list) => all(list.first().map(|p| p.display().to_string()), list.len()),
            Source::Firmware(path) => path.display().to_string(),
        }
    }

    /// Whether it says too that the supply's voltage is low.
    pub fn knows_voltage(&self) -> bool {
        matches!(self.source, Source::Firmware(_)) || self.alarm.is_some()
    }

    /// What was found since the last reading, `seconds` ago.
    pub fn read(&mut self, seconds: f64) -> Result<Slowed, ReadError> {
        let tree = &self.tree;
        let alarm = self.alarm.as_ref().map(|alarm| Ok(tree.integer(alarm)? != 0)).transpose()?;
        match &mut self.source {
            Source::Counters(list) => {
                let mut share: Option<f64> = None;
                for counter in list {
                    let own = counter.advance(tree, seconds)?;
                    share = own.map_or(share, |s| Some(share.unwrap_or(0.0).max(s)));
                }
                Ok(Slowed { share, low_voltage: alarm })
            }
            Source::Cooling(list) => {
                let mut slowed = false;
                for state in list {
                    slowed |= tree.integer(state)? > 0;
                }
                Ok(Slowed { share: Some(f64::from(u8::from(slowed))), low_voltage: alarm })
            }
            Source::Firmware(path) => {
                let text = tree.text(path)?;
                let digits = text.trim_start_matches("0x");
                let bits = u64::from_str_radix(digits, 16)
                    .map_err(|_| ReadError::NoNumber(path.display().to_string()))?;
                let slowed = f64::from(u8::from(bits & SLOWED != 0));
                Ok(Slowed { share: Some(slowed), low_voltage: Some(bits & LOW_VOLTAGE != 0) })
            }
        }
    }
}

impl Counter {
    fn advance(&mut self, tree: &Tree, seconds: f64) -> Result<Option<f64>, ReadError> {
        let now = (tree.integer(&self.events)?, tree.integer(&self.milliseconds).ok());
        let Some((events, milliseconds)) = self.last.replace(now) else { return Ok(None) };
        // A counter that was reset says nothing.
        if now.0 < events || seconds <= 0.0 {
            return Ok(None);
        }
        Ok(Some(match (milliseconds, now.1) {
            (Some(before), Some(now)) if now >= before => {
                ((now - before) as f64 * 1e-3 / seconds).min(1.0)
            }
            _ => f64::from(u8::from(now.0 > events)),
        }))
    }
}

/// Counters of every core and package; hyper-threads of a core and cores of a package show the same again.
/// `Documentation/ABI/testing/sysfs-devices-system-cpu` of the kernel names them.
fn counters(tree: &Tree) -> Option<Source> {
    let (mut all, mut packages) = (Vec::new(), BTreeSet::new());
    for cpu in Tree::entries(&tree.path("devices/system/cpu"), "cpu") {
        let topology = cpu.join("topology");
        let first = tree.text(&topology.join("thread_siblings_list")).unwrap_or_default();
        let first = first.split(['-', ',']).next().unwrap_or_default().to_owned();
        let package = tree.text(&topology.join("physical_package_id")).ok();
        let is_first = first.is_empty() || cpu.ends_with(format!("cpu{first}"));
        let new_package = package.is_none_or(|package| packages.insert(package));
        let folder = cpu.join("thermal_throttle");
        for (what, wanted) in [("core", is_first), ("package", new_package)] {
            let events = folder.join(format!("{what}_throttle_count"));
            let milliseconds = folder.join(format!("{what}_throttle_total_time_ms"));
            if wanted && tree.is_readable(&events) {
                all.push(Counter { events, milliseconds, last: None });
            }
        }
    }
    (!all.is_empty()).then_some(Source::Counters(all))
}

/// The folder's name depends on the board: `soc/soc:firmware`, or with an address.
fn firmware(tree: &Tree) -> Option<Source> {
    let buses = Tree::entries(&tree.path("devices/platform"), "soc");
    let all = buses.iter().flat_map(|bus| Tree::entries(bus, "soc"));
    let paths = all.filter(|p| p.to_string_lossy().ends_with(":firmware"));
    let path = paths.map(|p| p.join("get_throttled")).find(|path| tree.is_readable(path))?;
    Some(Source::Firmware(path))
}

fn cooling(tree: &Tree) -> Option<Source> {
    let devices = Tree::entries(&tree.path("class/thermal"), "cooling_device");
    let slows = |kind: &str| COOLING.iter().any(|c| kind.starts_with(c));
    let all: Vec<PathBuf> = devices
        .into_iter()
        .filter(|d| tree.text(&d.join("type")).is_ok_and(|kind| slows(&kind)))
        .map(|d| d.join("cur_state"))
        .filter(|state| tree.is_readable(state))
        .collect();
    (!all.is_empty()).then_some(Source::Cooling(all))
}
