//! AMD GPUs, as the kernel's driver `amdgpu` shows them under `/sys/class/drm`.
//!
//! <https://docs.kernel.org/gpu/amdgpu/thermal.html> and <https://docs.kernel.org/gpu/amdgpu/driver-misc.html>.

use super::power::{Covers, How, Quantity, Sensor};
use super::tree::{ReadError, Tree};
use std::path::PathBuf;

/// AMD's number as a maker of PCI devices.
const VENDOR: &str = "0x1002";

/// A GPU that is read again and again.
#[derive(Clone, Debug)]
pub struct Board {
    /// Position among AMD's GPUs.
    pub index: u32,
    /// Name, as far as the driver gives one, or the PCI device's number.
    pub name: String,
    /// Whether it shares its package with the processor; `None` where the driver does not say.
    pub with_processor: Option<bool>,
    /// Power drawn; `None` where the driver has no sensor.
    pub power: Option<Sensor>,
    device: PathBuf,
    monitor: Option<PathBuf>,
}

/// A GPU at an instant; each with the reason where it cannot be read.
#[derive(Clone, Debug)]
pub struct State {
    /// Share of the last sampling period in which the GPU was busy, 0 to 1.
    pub busy: Result<f64, ReadError>,
    /// Memory in use, of all processes, bytes: of the card, and of the machine's where the GPU has none of its own.
    pub memory: Result<f64, ReadError>,
    /// Power drawn, W; `None` where there is no sensor.
    pub watts: Option<Result<f64, ReadError>>,
    /// Clock of the compute units, Hz.
    pub clock: Result<f64, ReadError>,
}

/// AMD's GPUs, in the order of their cards.
pub fn boards(tree: &Tree) -> Vec<Board> {
    let mut all = Vec::new();
    for card in Tree::entries(&tree.path("class/drm"), "card") {
        // `card0-DP-1` is a connector of `card0`.
        let name = card.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let device = card.join("device");
        let own = tree.text(&device.join("vendor")).is_ok_and(|v| v == VENDOR);
        if name.contains('-') || !own {
            continue;
        }
        let index = u32::try_from(all.len()).unwrap_or(u32::MAX);
        all.push(Board::open(tree, index, device));
    }
    all
}

impl Board {
    fn open(tree: &Tree, index: u32, device: PathBuf) -> Self {
        let monitors = Tree::entries(&device.join("hwmon"), "hwmon");
        let monitor = monitors.into_iter().next();
        let number = tree.label(&device.join("device")).unwrap_or_default();
        let name = tree.label(&device.join("product_name"));
        let name = name.unwrap_or_else(|| format!("AMD GPU {number}").trim().to_owned());
        let mut board = Self { index, name, with_processor: None, power: None, device, monitor };
        board.with_processor = board.shares_package(tree);
        board.power = board.sensor(tree);
        board
    }

    /// A GPU with a voltage of the north bridge is in the processor's package; a fan or a limit of the card's power
    /// belong to a card.
    fn shares_package(&self, tree: &Tree) -> Option<bool> {
        let monitor = self.monitor.as_ref()?;
        if tree.text(&monitor.join("in1_label")).is_ok_and(|label| label == "vddnb") {
            return Some(true);
        }
        let of_cards = ["fan1_input", "power1_cap", "temp3_input"];
        of_cards.iter().any(|file| monitor.join(file).exists()).then_some(false)
    }

    /// The mean of the driver where it has one; newer chips give the power of the instant.
    fn sensor(&self, tree: &Tree) -> Option<Sensor> {
        let monitor = self.monitor.as_ref()?;
        let files = ["power1_average", "power1_input"].map(|file| monitor.join(file));
        let path = files.iter().find(|path| path.exists())?.clone();
        Some(Sensor {
            name: tree.label(&monitor.join("power1_label")).unwrap_or_else(|| "power1".into()),
            covers: match self.with_processor {
                Some(false) => Covers::Gpu,
                Some(true) | None => Covers::Package,
            },
            quantity: Quantity::Watts,
            resolution: None,
            refreshed: None,
            how: How::One(path, 1e6),
            last: None,
        })
    }

    /// Its folder.
    pub fn path(&self) -> String {
        self.device.display().to_string()
    }

    /// Memory of the card, bytes.
    pub fn memory_total(&self, tree: &Tree) -> Option<f64> {
        tree.scaled(&self.device.join(self.memory_file("total")), 1.0).ok()
    }

    /// A GPU in the processor's package has little memory of its own and works in the machine's.
    fn memory_file(&self, what: &str) -> String {
        let kind = if self.with_processor == Some(true) { "gtt" } else { "vram" };
        format!("mem_info_{kind}_{what}")
    }

    /// Reads everything once.
    pub fn read(&mut self, tree: &Tree) -> State {
        let file = |name: &str| self.device.join(name);
        let busy = tree.scaled(&file("gpu_busy_percent"), 100.0).and_then(|share| {
            let path = file("gpu_busy_percent").display().to_string();
            let absurd = || ReadError::Absurd(path, format!("{:.0} %", 100.0 * share));
            if share <= 1.0 { Ok(share) } else { Err(absurd()) }
        });
        State {
            busy,
            memory: tree.scaled(&file(&self.memory_file("used")), 1.0),
            clock: self.clock(tree),
            watts: self.power.as_mut().map(|sensor| sensor.read(tree)),
        }
    }

    /// By the sensor, in Hz, or by the level that the driver marks in its list, in MHz.
    fn clock(&self, tree: &Tree) -> Result<f64, ReadError> {
        if let Some(monitor) = &self.monitor {
            match tree.scaled(&monitor.join("freq1_input"), 1.0) {
                Err(ReadError::Gone(_)) => {}
                other => return other,
            }
        }
        let path = self.device.join("pp_dpm_sclk");
        let text = tree.text(&path)?;
        let marked = text.lines().find_map(|line| line.trim_end().strip_suffix('*'));
        let number = marked.and_then(|line| {
            let (_, level) = line.split_once(':')?;
            let digits = level.trim().to_ascii_lowercase();
            digits.strip_suffix("mhz")?.trim().parse::<f64>().ok()
        });
        number.map(|mhz| mhz * 1e6).ok_or_else(|| ReadError::NoNumber(path.display().to_string()))
    }
}
