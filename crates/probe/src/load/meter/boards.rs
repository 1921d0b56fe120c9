//! The files of real boards, laid out as the sources in `tests/fixtures/boards` say, under loads of known power.

use super::log::Log;
use super::*;
use crate::schema::MeterCovers;
use std::io;

/// The files of a board under a folder of its own.
struct Board(tempfile::TempDir);

macro_rules! board {
    ($name:literal) => {
        Board::new(include_str!(concat!("../../../../../tests/fixtures/boards/", $name, ".txt")))
    };
}

/// Between two readings, seconds.
const EVERY: f64 = 0.25;

impl Board {
    /// Writes the files of a list, a line for each: its path, and what it holds.
    fn new(list: &str) -> Self {
        let board = Self(tempfile::tempdir().unwrap());
        for line in list.lines().filter(|l| !l.starts_with('#')) {
            let (path, text) = line.split_once(" = ").unwrap();
            board.set(path, &text.replace("\\n", "\n"));
        }
        board
    }

    fn set(&self, path: &str, text: &(impl ToString + ?Sized)) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.to_string() + "\n").unwrap();
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.0.path().join(path)).unwrap();
    }

    fn sampler_of(sys: Tree) -> Sampler {
        let setup = Setup { sys, place: Place::Within, ..Setup::default() };
        let (meters, absent) = open(&setup);
        let mut sampler = Sampler::of(meters);
        (sampler.log.absent, sampler.log.every) = (absent, EVERY);
        sampler
    }

    /// What is read in twelve seconds, while `at` changes the files.
    fn log(&self, at: impl FnMut(&Self, f64)) -> Log {
        self.log_by(Self::sampler_of(Tree::at(self.0.path())), at)
    }

    fn log_by(&self, mut sampler: Sampler, mut at: impl FnMut(&Self, f64)) -> Log {
        for step in 0..=48 {
            let now = f64::from(step) * EVERY;
            at(self, now);
            sampler.read(now);
        }
        sampler.log
    }
}

/// The ten seconds that count.
const WINDOW: std::ops::Range<f64> = 1.0..11.0;

fn find<'a>(all: &'a [MeterPart], name: &str) -> &'a MeterPart {
    let names: Vec<&str> = all.iter().map(|m| m.name.as_str()).collect();
    all.iter().find(|m| m.name == name).unwrap_or_else(|| panic!("no `{name}` in {names:?}"))
}

fn close(found: Option<f64>, truth: f64, share: f64) {
    let found = found.unwrap();
    assert!((found - truth).abs() <= share * truth, "{found} is not {truth}");
}

/// The meters of energy of 100 inferences, with the power without load of another log.
fn of_hundred(log: &Log, idle: &Log) -> Vec<MeterPart> {
    energy(log, &WINDOW, &Asked { inferences: 100.0, idle: idle.watts(), ..Asked::default() })
}

/// A value with its interval, which contains the truth and is narrower than this share.
fn within(part: &MeterPart, truth: f64, share: f64) {
    let (low, high) = (part.low.unwrap(), part.high.unwrap());
    assert!(low <= truth && truth <= high, "{truth} is not within {part:?}");
    assert!(low > truth * (1.0 - share) && high < truth * (1.0 + share), "too wide: {part:?}");
}

const CHIP: &str = "class/hwmon/hwmon1";

/// 7 W and 8 W in turn, second by second.
fn orin_load(board: &Board, now: f64) {
    let milliamperes = if now % 2.0 < 1.0 { 1400 } else { 1600 };
    board.set(&format!("{CHIP}/curr1_input"), &milliamperes);
    board.set(&format!("{CHIP}/curr2_input"), &(600 + milliamperes % 400));
}

#[test]
fn an_orin_is_measured_at_its_input_and_its_rails_are_not_added() {
    let board = board!("orin_nano");
    let idle = board.log(|_, _| {});
    let log = board.log(orin_load);
    let all = log.readings(&WINDOW);
    let input = find(&all, "VDD_IN power");
    close(input.value, 7.5, 0.01);
    let source = input.source.as_ref().unwrap();
    assert_eq!(source.covers, MeterCovers::Board);
    assert!(source.path.ends_with("hwmon1/in1_input × curr1_input"), "{source:?}");
    // 40 µV over 5 mΩ are 8 mA, at 5 V.
    close(source.resolution, 0.04, 1e-9);
    assert_eq!(source.refreshed_seconds, Some(0.002));
    assert_eq!(find(&all, "VDD_SOC power").source.as_ref().unwrap().covers, MeterCovers::Rail);

    let all = of_hundred(&log, &idle);
    let each = find(&all, "energy per inference");
    within(each, 0.75, 0.06);
    assert!(each.note.as_ref().unwrap().contains("VDD_IN power: the board at its input"));
    within(find(&all, "active energy"), 0.25, 0.25);
    close(find(&all, "idle power").value, 5.0, 1e-9);
    let rail = find(&all, "energy per inference, VDD_SOC power");
    close(rail.value, 5.0 * 0.28 / 10.0, 1e-6);
    assert!(rail.note.as_ref().unwrap().contains("not added"));
}

#[test]
fn heat_slows_an_orin_and_its_fan_does_not() {
    let board = board!("orin_nano");
    assert_eq!(board.log(|_, _| {}).throttled(&WINDOW), None);
    let state = "class/thermal/cooling_device1/cur_state";
    let log = board.log(|b, now| b.set(state, &u8::from(now >= 6.0)));
    close(find(&log.readings(&WINDOW), "CPU slowed").value, 0.5, 0.05);
    assert!(log.throttled(&WINDOW).unwrap().contains("the processor ran with clocks lowered"));
}

#[test]
fn rails_without_an_input_stand_alone() {
    let log = board!("agx_xavier").log(|_, _| {});
    let all = of_hundred(&log, &log);
    let none = find(&all, "energy per inference").unmeasured.as_ref().unwrap();
    assert!(none.contains("5 of its rails, not its input"), "{none}");
    close(find(&all, "energy per inference, GPU power").value, 19.0 * 0.1 / 10.0, 1e-6);
    // What is switched off is no rail.
    assert!(!all.iter().any(|m| m.name.contains("CV")));
}

#[test]
fn a_nano_with_an_older_system_gives_milliwatts() {
    let board = board!("nano_jetpack4");
    let chip = "bus/i2c/drivers/ina3221x/6-0040/iio:device0";
    let log = board.log(|b, now| {
        b.set(&format!("{chip}/in_power0_input"), if now % 0.5 < 0.25 { "4000" } else { "6000" });
    });
    let all = of_hundred(&log, &log);
    within(find(&all, "energy per inference"), 0.5, 0.05);
    close(find(&all, "energy per inference, POM_5V_CPU power").value, 0.04, 1e-6);
}

#[test]
fn a_raspberry_pi_has_no_sensor_of_power_and_says_when_it_is_slowed() {
    let board = board!("raspberry_pi_4");
    // Bits that were set since its start say nothing of now.
    let log = board.log(|_, _| {});
    let all = log.readings(&WINDOW);
    let none = find(&all, "power sensors").unmeasured.as_ref().unwrap();
    assert!(none.contains("Raspberry Pi") && none.contains("plug"), "{none}");
    assert_eq!(find(&all, "CPU slowed").value, Some(0.0));
    assert_eq!(log.throttled(&WINDOW), None);
    let each = energy(&log, &WINDOW, &Asked { inferences: 9.0, ..Asked::default() });
    assert!(find(&each, "energy per inference").unmeasured.is_some());
    // Too little voltage and throttled.
    let firmware = "devices/platform/soc/soc:firmware/get_throttled";
    let log = board.log(|b, now| b.set(firmware, if now > 8.5 { "50005" } else { "50000" }));
    let all = log.readings(&WINDOW);
    close(find(&all, "CPU slowed").value, 0.25, 0.1);
    close(find(&all, "supply voltage low").value, 0.25, 0.1);
    assert!(log.throttled(&WINDOW).is_some());
}

/// A counter that rises by so many W.
fn counter(board: &Board, zone: &str, watts: f64, now: f64) {
    let path = format!("class/powercap/{zone}/energy_uj");
    board.set(&path, &format!("{:.0}", 1e6 + watts * now * 1e6));
}

#[test]
fn an_amd_card_is_added_to_the_package() {
    let board = board!("amd_desktop");
    let monitor = "class/drm/card0/device/hwmon/hwmon4/power1_average";
    let log = board.log(|b, now| {
        counter(b, "intel-rapl:0", 60.0, now);
        b.set(monitor, if now % 0.5 < 0.25 { "190000000" } else { "210000000" });
    });
    let all = log.readings(&WINDOW);
    close(find(&all, "AMD GPU 0 busy").value, 0.4, 1e-9);
    let memory = find(&all, "AMD GPU 0 memory");
    assert_eq!((memory.value, memory.of), (Some(4e9), Some(25_753_026_560.0)));
    assert_eq!(find(&all, "AMD GPU 0 clock").value, Some(2.3e9));
    let power = find(&all, "AMD GPU 0 power");
    close(power.value, 200.0, 0.01);
    let source = power.source.as_ref().unwrap();
    assert_eq!((source.covers, source.resolution), (MeterCovers::Gpu, Some(20.0)));
    // The same sensor under `class/hwmon` is none of its own.
    assert_eq!(all.iter().filter(|m| m.unit == MeterUnit::Watts && m.value.is_some()).count(), 1);

    let all = of_hundred(&log, &log);
    let each = find(&all, "energy per inference");
    close(each.value, 26.0, 0.01);
    assert!(each.note.as_ref().unwrap().starts_with("AMD GPU 0 power + CPU energy"), "{each:?}");
}

#[test]
fn an_apu_is_not_added_to_the_package_that_it_includes() {
    let board = board!("amd_apu");
    let log = board.log(|b, now| counter(b, "intel-rapl:0", 15.0, now));
    let all = log.readings(&WINDOW);
    assert_eq!(find(&all, "AMD GPU 0 clock").value, Some(1.1e9));
    assert_eq!(find(&all, "AMD GPU 0 memory").value, Some(2e9));
    let source = find(&all, "AMD GPU 0 power").source.clone().unwrap();
    assert_eq!(source.covers, MeterCovers::Package);
    let all = of_hundred(&log, &log);
    close(find(&all, "energy per inference").value, 1.5, 1e-6);
    close(find(&all, "energy per inference, AMD GPU 0 power").value, 2.0, 1e-6);

    // Without counters it is what there is.
    for file in ["name", "energy_uj"] {
        board.remove(&format!("class/powercap/intel-rapl:0/{file}"));
    }
    let log = board.log(|_, _| {});
    let all = of_hundred(&log, &log);
    let each = find(&all, "energy per inference");
    close(each.value, 2.0, 1e-6);
    // Its value never moved, and its steps are not known.
    assert_eq!((each.low, each.high), (None, None));
    assert!(each.note.as_ref().unwrap().contains("too few values for an interval"));
}

const BATTERY: &str = "class/power_supply/BAT0";

/// 18 W and 22 W in turn; a new value every two seconds, and energy in steps of 10 mWh.
fn discharge(board: &Board, now: f64) {
    let (turn, watts) = ((now / 2.0).floor(), if now % 4.0 < 2.0 { 18 } else { 22 });
    board.set(&format!("{BATTERY}/power_now"), &(watts * 1_000_000));
    let microwatthours = 4e7 - (turn * 40.0 / 3600.0 * 100.0).floor() * 1e4;
    board.set(&format!("{BATTERY}/energy_now"), &format!("{microwatthours:.0}"));
    counter(board, "intel-rapl:0", 8.0, now);
    counter(board, "intel-rapl:1", 14.0, now);
}

#[test]
fn a_laptop_is_measured_at_its_battery_where_that_is_fine_enough() {
    let board = board!("laptop");
    let log = board.log(discharge);
    let all = log.readings(&WINDOW);
    close(find(&all, "battery power").value, 20.0, 0.05);
    let drawn = find(&all, "battery energy");
    assert!(drawn.source.as_ref().unwrap().path.ends_with("power_supply/BAT0"), "{drawn:?}");
    // 10 mWh.
    close(drawn.source.as_ref().unwrap().resolution, 36.0, 1e-6);
    let all = of_hundred(&log, &log);
    // Five values give ± more than a tenth, so that the platform's counter counts.
    let each = find(&all, "energy per inference");
    assert!(each.note.as_ref().unwrap().starts_with("platform energy"), "{each:?}");
    within(each, 1.4, 0.06);
    close(find(&all, "energy per inference, CPU energy").value, 0.8, 0.01);
    let battery = find(&all, "energy per inference, battery power");
    assert!(battery.low.unwrap() < 2.0 && battery.high.unwrap() > 2.0, "{battery:?}");
}

#[test]
fn a_battery_that_is_charged_is_no_meter() {
    let board = board!("laptop");
    board.set(&format!("{BATTERY}/status"), "Charging");
    let all = board.log(|_, _| {}).readings(&WINDOW);
    let why = find(&all, "battery power").unmeasured.clone().unwrap();
    assert!(why.contains("BAT0 is charging") && why.contains("unplug"), "{why}");
    // Plugged in during the run.
    board.set(&format!("{BATTERY}/status"), "Discharging");
    let log = board.log(|b, now| {
        discharge(b, now);
        if now > 9.0 {
            b.set(&format!("{BATTERY}/status"), "Charging");
        }
    });
    let all = of_hundred(&log, &log);
    let why = find(&all, "energy per inference, battery power").unmeasured.clone().unwrap();
    assert!(why.contains("BAT0 is charging"), "{why}");
}

#[test]
fn a_gauge_that_counts_charge_is_read_at_its_voltage() {
    let board = board!("phone_battery");
    let gauge = "class/power_supply/bq27541-0";
    // 0.5 A, a microampere-hour every 7.2 ms; the voltage falls.
    let log = board.log(|b, now| {
        let charge = (2e6 - now * 5e5 / 3600.0).ceil();
        b.set(&format!("{gauge}/charge_now"), &format!("{charge:.0}"));
        b.set(&format!("{gauge}/voltage_now"), &format!("{:.0}", 4e6 - now * 1e4));
        b.set(&format!("{gauge}/current_now"), "-500000");
    });
    let all = log.readings(&WINDOW);
    // 0.5 A at 3.94 V in the mean.
    close(find(&all, "battery power").value, 1.97, 0.01);
    close(find(&all, "battery energy").value, 19.7, 0.01);
    within(find(&of_hundred(&log, &log), "energy per inference"), 0.197, 0.08);
    assert_eq!(find(&all, "CPU slowed").value, Some(0.0));
}

#[test]
fn a_server_is_measured_at_its_supply_and_what_that_includes_is_not_added() {
    let board = board!("intel_server");
    let log = board.log(|b, now| {
        // The first package wraps at once; 100 W each, 20 W of memory each, 300 W for the platform.
        let path = "class/powercap/intel-rapl:0/energy_uj";
        let turn = (262_143.0 + 100.0 * now) * 1e6;
        b.set(path, &format!("{:.0}", turn % 262_143_328_850.0));
        counter(b, "intel-rapl:0:0", 20.0, now);
        counter(b, "intel-rapl:1", 100.0, now);
        counter(b, "intel-rapl:1:0", 20.0, now);
        counter(b, "intel-rapl:2", 300.0, now);
        b.set(
            "class/hwmon/hwmon0/power1_average",
            if now % 2.0 < 1.0 { "399000000" } else { "401000000" },
        );
    });
    let all = log.readings(&WINDOW);
    close(find(&all, "CPU energy").value, 2400.0, 1e-3);
    close(find(&all, "platform energy").value, 3000.0, 1e-3);
    let supply = find(&all, "power_meter power1 power").source.clone().unwrap();
    assert_eq!((supply.covers, supply.refreshed_seconds), (MeterCovers::Machine, Some(1.0)));
    let all = of_hundred(&log, &log);
    within(find(&all, "energy per inference"), 40.0, 0.05);
    close(find(&all, "energy per inference, platform energy").value, 30.0, 1e-3);
    close(find(&all, "energy per inference, CPU energy").value, 24.0, 1e-3);
}

#[test]
fn meters_of_a_firmware_that_name_parts_are_parts_and_light_is_no_power() {
    let log = board!("grace_server").log(|_, _| {});
    let all = of_hundred(&log, &log);
    let none = find(&all, "energy per inference").unmeasured.as_ref().unwrap();
    assert!(none.contains("2 of its rails"), "{none}");
    close(find(&all, "energy per inference, Module Power Socket 0 power").value, 30.0, 1e-6);
    assert!(!all.iter().any(|m| m.name.contains("TX_power")), "{all:?}");
}

#[test]
fn heat_of_a_processor_is_a_share_of_the_time() {
    let board = board!("laptop");
    let core = "devices/system/cpu/cpu0/thermal_throttle/core_throttle_total_time_ms";
    // A fifth of the time, in the core.
    let log = board.log(|b, now| b.set(core, &format!("{:.0}", 300.0 + now * 200.0)));
    close(find(&log.readings(&WINDOW), "CPU slowed").value, 0.2, 0.02);
    assert!(log.throttled(&WINDOW).unwrap().contains("20 %"));
}

#[test]
fn what_may_not_be_read_or_cannot_be_believed_is_named_and_never_zero() {
    let board = board!("orin_nano");
    let refused = Tree::new(board.0.path(), |path| {
        if path.ends_with("curr1_input") {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        std::fs::read_to_string(path)
    });
    let why = |log: &Log, word: &str| {
        let all = log.readings(&WINDOW);
        let input = find(&all, "VDD_IN power");
        let text = format!("{:?} {:?}", input.unmeasured, input.note);
        assert!(text.contains(word), "{text}");
        assert_ne!(input.value, Some(0.0));
        let all = of_hundred(log, log);
        let each = find(&all, "energy per inference");
        assert!(each.value.is_none() || word == "missing", "{each:?}");
    };
    why(&board.log_by(Board::sampler_of(refused), |_, _| {}), "sudo chmod o+r");
    let current = format!("{CHIP}/curr1_input");
    let at = |text: &'static str, from: f64, to: f64| {
        let current = current.clone();
        move |b: &Board, now: f64| {
            b.set(&current, if (from..to).contains(&now) { text } else { "1500" });
        }
    };
    why(&board.log(at("-1", 5.0, 99.0)), "says -1, which cannot be");
    why(&board.log(at("4294967295", 5.0, 99.0)), "which cannot be");
    why(&board.log(at("", 5.0, 99.0)), "holds no number");
    // A bus that fails now and then leaves a gap that is said, and no hole in the energy.
    why(&board.log(at("", 5.0, 5.5)), "missing");
    let log = board.log(|b, now| {
        if (5.0..5.2).contains(&now) {
            b.remove(&current);
        }
    });
    why(&log, "is gone");
}
