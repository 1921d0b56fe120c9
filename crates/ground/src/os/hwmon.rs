//! Sensors of power on boards and in supplies, as the kernel's hardware monitoring (hwmon) shows them, and the INA3221
//! of Jetson boards with older systems, which the industrial I/O subsystem (iio) shows.
//!
//! Units and names of files: <https://docs.kernel.org/hwmon/sysfs-interface.html>.

use super::power::{Covers, How, Quantity, Sensor};
use super::tree::Tree;
use std::path::Path;

/// Rails through which all of a Jetson module flows, as NVIDIA's device trees name them; `VDD_MUX` is the input of a
/// TX2's carrier, with the module in it. An AGX Xavier or AGX Orin has no such rail.
/// <https://docs.nvidia.com/jetson/archives/r35.2.1/DeveloperGuide/text/SD/PlatformPowerAndPerformance.html>
const INPUTS: [&str; 3] = ["VDD_IN", "POM_5V_IN", "VDD_MUX"];

/// Channels of an INA3221. <https://docs.kernel.org/hwmon/ina3221.html>
const CHANNELS: std::ops::RangeInclusive<u32> = 1..=3;
/// An INA3221 measures the drop over a shunt in steps of this, V, and the voltage of a rail in steps of 8 mV
/// (data sheet SBOS576B, table 1).
const SHUNT_STEP: f64 = 40e-6;

/// Drivers whose sensors include what is known; what others measure is a part of the board.
const DRIVERS: [(&str, Covers); 7] = [
    // The supply of a server, as its firmware measures it: <https://docs.kernel.org/hwmon/acpi_power_meter.html>.
    ("power_meter", Covers::Machine),
    ("fam15h_power", Covers::Package),
    ("zenpower", Covers::Package),
    ("amd_energy", Covers::Package),
    ("nouveau", Covers::Gpu),
    ("i915", Covers::Gpu),
    ("xe", Covers::Gpu),
];

/// Labels of optical transceivers (SFP), whose power is light on a fibre.
/// <https://docs.kernel.org/networking/sfp-phylink.html>
const LIGHT: [&str; 2] = ["TX_power", "RX_power"];

/// Drivers that another reader knows better.
const ELSEWHERE: [&str; 1] = ["amdgpu"];

/// All sensors of power and counters of energy, in the order of their numbers.
pub fn sensors(tree: &Tree) -> Vec<Sensor> {
    let mut all = Vec::new();
    for chip in Tree::entries(&tree.path("class/hwmon"), "hwmon") {
        let Some(driver) = tree.label(&chip.join("name")) else { continue };
        if ELSEWHERE.contains(&driver.as_str()) || is_supply(tree, &chip) {
            continue;
        }
        let before = all.len();
        all.extend(channels(tree, &chip, &driver));
        if all.len() == before && driver == "ina3221" {
            all.extend(CHANNELS.filter_map(|n| rail(tree, &chip, n)));
        }
    }
    part_meters(tree, &mut all);
    for bus in Tree::entries(&tree.path("bus/i2c/drivers/ina3221x"), "") {
        for chip in Tree::entries(&bus, "iio:device") {
            all.extend((0..3).filter_map(|n| iio_rail(tree, &chip, n)));
        }
    }
    all
}

/// A firmware with several meters, or one that names what it measures (as of NVIDIA's Grace: module, processor, input and
/// output of a socket), does not measure the machine's supply with each.
fn part_meters(tree: &Tree, all: &mut [Sensor]) {
    let several = all.iter().filter(|s| s.covers == Covers::Machine).count() > 1;
    for sensor in all.iter_mut().filter(|s| s.covers == Covers::Machine) {
        let How::One(path, _) = &sensor.how else { continue };
        let info = path.parent().and_then(|chip| {
            let places = ["power1_oem_info", "device/power1_oem_info"];
            places.iter().find_map(|place| tree.label(&chip.join(place)))
        });
        if several || info.is_some() {
            sensor.covers = Covers::Rail;
        }
        if let Some(info) = info {
            sensor.name = info;
        }
    }
}

/// Whether a chip shows again what is under `power_supply`.
fn is_supply(tree: &Tree, chip: &Path) -> bool {
    let kind = tree.text(&chip.join("device/type"));
    kind.is_ok_and(|kind| ["Battery", "Mains", "USB", "UPS", "Wireless"].contains(&kind.as_str()))
}

/// Sensors that give power or energy itself, in µW and µJ.
fn channels(tree: &Tree, chip: &Path, driver: &str) -> Vec<Sensor> {
    let mut all: Vec<Sensor> = Vec::new();
    for (kind, quantity) in [("power", Quantity::Watts), ("energy", Quantity::Joules)] {
        let mut seen = Vec::new();
        for path in Tree::entries(chip, kind) {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some((channel, what)) = file.split_once('_') else { continue };
            // The mean of a sensor comes first: nothing between two readings escapes it.
            if !["average", "input"].contains(&what) || seen.contains(&channel.to_owned()) {
                continue;
            }
            seen.push(channel.to_owned());
            let label = tree.label(&chip.join(format!("{channel}_label")));
            if label.as_deref().is_some_and(|l| LIGHT.contains(&l)) {
                continue;
            }
            let interval = tree.scaled(&chip.join(format!("{channel}_average_interval")), 1e3);
            all.push(Sensor {
                covers: covers(driver, label.as_deref()),
                name: label.unwrap_or_else(|| format!("{driver} {channel}")),
                quantity,
                resolution: None,
                refreshed: interval.ok().filter(|_| what == "average").or(update(tree, chip)),
                how: How::One(path, 1e6),
                last: None,
            });
        }
    }
    all
}

/// Seconds between two values of a chip.
fn update(tree: &Tree, chip: &Path) -> Option<f64> {
    tree.scaled(&chip.join("update_interval"), 1e3).ok().filter(|s| *s > 0.0)
}

fn covers(driver: &str, label: Option<&str>) -> Covers {
    if label.is_some_and(|l| INPUTS.contains(&l)) {
        return Covers::Board;
    }
    // The chip of an Intel card is counted again, within the card.
    if driver == "xe" && label == Some("pkg") {
        return Covers::Rail;
    }
    DRIVERS.iter().find(|(name, _)| *name == driver).map_or(Covers::Rail, |(_, covers)| *covers)
}

/// A rail of an INA3221, which gives volts and amperes.
fn rail(tree: &Tree, chip: &Path, n: u32) -> Option<Sensor> {
    let file = |name: String| chip.join(name);
    // What is not connected has no label, or one that says so.
    let label = tree.label(&file(format!("in{n}_label"))).filter(|l| l != "NC")?;
    if tree.integer(&file(format!("in{n}_enable"))) == Ok(0) {
        return None;
    }
    let (volts, amperes) = (file(format!("in{n}_input")), file(format!("curr{n}_input")));
    let ohms = tree.scaled(&file(format!("shunt{n}_resistor")), 1e6).ok().filter(|r| *r > 0.0);
    let at = tree.scaled(&volts, 1e3).ok();
    Some(Sensor {
        covers: covers("ina3221", Some(&label)),
        name: label,
        quantity: Quantity::Watts,
        resolution: ohms.zip(at).map(|(ohms, volts)| SHUNT_STEP / ohms * volts),
        refreshed: update(tree, chip),
        how: How::Product(volts, amperes),
        last: None,
    })
}

/// A rail of an INA3221 under a system before `JetPack` 5, in mW.
fn iio_rail(tree: &Tree, chip: &Path, n: u32) -> Option<Sensor> {
    let label = tree.label(&chip.join(format!("rail_name_{n}"))).filter(|l| l != "NC")?;
    let path = chip.join(format!("in_power{n}_input"));
    path.exists().then(|| Sensor {
        covers: covers("ina3221", Some(&label)),
        name: label,
        quantity: Quantity::Watts,
        resolution: Some(1e-3),
        refreshed: None,
        how: How::One(path, 1e3),
        last: None,
    })
}
