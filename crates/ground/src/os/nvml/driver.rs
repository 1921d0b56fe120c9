//! The driver's library and what it reports.

use super::{DriverError, Gpu, Slowdown, SlowdownKind, State};
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

/// The driver's library, loaded.
#[derive(Debug)]
pub struct Driver(Nvml);

/// Every reason that counts, by the driver's bit.
const SLOWDOWNS: [(ThrottleReasons, SlowdownKind, &str); 7] = [
    (ThrottleReasons::SW_POWER_CAP, SlowdownKind::PowerLimit, "the power limit"),
    (ThrottleReasons::HW_SLOWDOWN, SlowdownKind::Hardware, "a hardware slowdown"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, SlowdownKind::Hardware, "the temperature limit"),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, SlowdownKind::Hardware, "a hardware slowdown for heat"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, SlowdownKind::Hardware, "the power supply's brake"),
    (ThrottleReasons::SYNC_BOOST, SlowdownKind::Chosen, "another GPU of its group"),
    (
        ThrottleReasons::APPLICATIONS_CLOCKS_SETTING,
        SlowdownKind::Chosen,
        "clocks that somebody set",
    ),
];

impl From<NvmlError> for DriverError {
    fn from(error: NvmlError) -> Self {
        match error {
            NvmlError::LibloadingError(_)
            | NvmlError::LibraryNotFound
            | NvmlError::DriverNotLoaded => Self::NoDriver,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl Driver {
    /// Loads the driver's library.
    pub fn open() -> Result<Self, DriverError> {
        Ok(Self(Nvml::init()?))
    }

    /// All GPUs, in the driver's order.
    pub fn gpus(&self) -> Result<Vec<Gpu>, DriverError> {
        let count = self.0.device_count()?;
        (0..count).map(|index| Ok(describe(index, &self.0.device_by_index(index)?)?)).collect()
    }

    /// What the GPU at a position of the driver's order does now; empty where it does not answer.
    pub fn state(&self, index: u32) -> State {
        self.0.device_by_index(index).map(|gpu| state(&gpu)).unwrap_or_default()
    }
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1e3
}

fn describe(index: u32, gpu: &Device<'_>) -> Result<Gpu, NvmlError> {
    let capability = gpu.cuda_compute_capability().ok();
    Ok(Gpu {
        index,
        uuid: gpu.uuid().ok(),
        name: gpu.name()?,
        compute_capability: capability.map(|c| format!("{}.{}", c.major, c.minor)),
        memory_bytes: gpu.memory_info().ok().map(|m| m.total),
        max_clock_mhz: gpu.max_clock_info(Clock::SM).ok(),
        clock_mhz: gpu.clock_info(Clock::SM).ok(),
        max_memory_clock_mhz: gpu.max_clock_info(Clock::Memory).ok(),
        power_limit_w: gpu.enforced_power_limit().ok().map(watts),
        power_w: gpu.power_usage().ok().map(watts),
        pcie_generation: gpu.max_pcie_link_gen().ok(),
        pcie_lanes: gpu.max_pcie_link_width().ok(),
    })
}

fn state(gpu: &Device<'_>) -> State {
    State {
        busy_percent: gpu.utilization_rates().ok().map(|u| u.gpu),
        memory_bytes: gpu.memory_info().ok().map(|m| m.used),
        power_w: gpu.power_usage().ok().map(watts),
        energy_j: gpu.total_energy_consumption().ok().map(|mj| mj as f64 / 1e3),
        clock_mhz: gpu.clock_info(Clock::SM).ok(),
        memory_clock_mhz: gpu.clock_info(Clock::Memory).ok(),
        temperature_c: gpu.temperature(TemperatureSensor::Gpu).ok(),
        slowed_by: gpu.current_throttle_reasons().ok().map(slowdowns),
    }
}

fn slowdowns(reasons: ThrottleReasons) -> Vec<Slowdown> {
    let active = SLOWDOWNS.into_iter().filter(|(bit, ..)| reasons.contains(*bit));
    active.map(|(_, kind, name)| Slowdown { kind, name }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_gpu_is_not_slowed() {
        assert!(slowdowns(ThrottleReasons::GPU_IDLE).is_empty());
        let both = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::HW_THERMAL_SLOWDOWN;
        let names: Vec<&str> = slowdowns(both).iter().map(|s| s.name).collect();
        assert_eq!(names, ["the power limit", "a hardware slowdown for heat"]);
    }

    #[test]
    fn kinds_of_slowdowns_are_apart_and_unknown_is_not_no() {
        let state = State {
            slowed_by: Some(slowdowns(ThrottleReasons::SYNC_BOOST | ThrottleReasons::SW_POWER_CAP)),
            ..State::default()
        };
        assert_eq!(state.is_slowed(SlowdownKind::PowerLimit), Some(true));
        assert_eq!(state.is_slowed(SlowdownKind::Hardware), Some(false));
        assert_eq!(State::default().is_slowed(SlowdownKind::Hardware), None);
    }
}
