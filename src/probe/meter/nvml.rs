//! NVIDIA GPUs under load, by the driver's management library.

use nvml_wrapper::Nvml;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::Clock;
use nvml_wrapper::error::NvmlError;

/// A GPU at an instant; what the driver does not tell is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Share of the last sampling period in which a kernel ran, 0 to 1.
    pub utilisation: Option<f64>,
    /// Bytes in use.
    pub memory: Option<u64>,
    /// W, a mean of up to a second.
    pub power: Option<f64>,
    /// J since the driver was loaded.
    pub energy: Option<f64>,
    /// Clock of the multiprocessors, Hz.
    pub clock: Option<f64>,
    /// Whether heat, the board or the power supply lowers the clocks.
    pub slowed: Option<bool>,
    /// Whether the power limit lowers the clocks.
    pub capped: Option<bool>,
}

/// GPUs that are read again and again.
pub trait Boards: Send {
    /// Position and name of each.
    fn names(&self) -> Vec<(u32, String)>;
    /// The GPU at a place of the list of names.
    fn read(&self, place: usize) -> Reading;
}

/// The GPUs of the driver.
pub struct Driver {
    nvml: Nvml,
    boards: Vec<(u32, String)>,
}

impl Driver {
    /// Loads the driver's library; says what to do where there is none. `only` keeps some.
    pub fn open(only: &[u32]) -> Result<Self, String> {
        let nvml = Nvml::init().map_err(|e| told(&e))?;
        let count = nvml.device_count().map_err(|e| told(&e))?;
        let mut boards = Vec::new();
        for index in (0..count).filter(|i| only.is_empty() || only.contains(i)) {
            let board = nvml.device_by_index(index).map_err(|e| told(&e))?;
            boards.push((index, board.name().map_err(|e| told(&e))?));
        }
        if boards.is_empty() {
            return Err(if only.is_empty() {
                "the NVIDIA driver knows no GPU".into()
            } else {
                format!("the NVIDIA driver knows {count} GPUs, none of them in --gpu")
            });
        }
        Ok(Self { nvml, boards })
    }
}

fn told(error: &NvmlError) -> String {
    match error {
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound | NvmlError::DriverNotLoaded => {
            "no NVIDIA driver here (libnvidia-ml.so.1); in a container start it with the GPU, for \
             example docker run --gpus all"
                .into()
        }
        other => format!("the NVIDIA driver does not answer: {other}; see what nvidia-smi says"),
    }
}

impl Boards for Driver {
    fn names(&self) -> Vec<(u32, String)> {
        self.boards.clone()
    }

    fn read(&self, place: usize) -> Reading {
        let Some((index, _)) = self.boards.get(place) else { return Reading::default() };
        let Ok(board) = self.nvml.device_by_index(*index) else { return Reading::default() };
        let why = board.current_throttle_reasons().ok();
        let slowed = ThrottleReasons::HW_SLOWDOWN
            | ThrottleReasons::SW_THERMAL_SLOWDOWN
            | ThrottleReasons::HW_THERMAL_SLOWDOWN
            | ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN;
        Reading {
            utilisation: board.utilization_rates().ok().map(|u| f64::from(u.gpu) / 100.0),
            memory: board.memory_info().ok().map(|m| m.used),
            power: board.power_usage().ok().map(|mw| f64::from(mw) / 1e3),
            energy: board.total_energy_consumption().ok().map(|mj| mj as f64 / 1e3),
            clock: board.clock_info(Clock::SM).ok().map(|mhz| f64::from(mhz) * 1e6),
            slowed: why.map(|w| w.intersects(slowed)),
            capped: why.map(|w| w.contains(ThrottleReasons::SW_POWER_CAP)),
        }
    }
}
