//! GPUs under load: what is read of each, and why none can be.

use super::log::{Column, Role, Show};
use super::{Found, Meter, Row, Setup, amd};
use crate::schema::{MeterCovers, MeterUnit, SourcePart};
use rooflens_ground::os::nvml::{Driver, DriverError, Gpu, SlowdownKind, State};

/// GPUs that are read again and again.
pub(super) trait Boards: Send {
    /// Position and name of each.
    fn names(&self) -> Vec<(u32, String)>;
    /// The GPU at a place of the list of names.
    fn read(&self, place: usize) -> State;
}

/// The counter of energy moves about every 100 ms, in steps of a millijoule.
const REFRESHED: f64 = 0.1;
const STEP: f64 = 1e-3;

/// What GPUs are called where there are none.
pub(super) const GPU: &str = "GPU";

/// NVIDIA's GPUs of this machine. One whose GPUs are AMD's is not told that it has no driver of NVIDIA.
pub(super) fn open(setup: &Setup) -> Found {
    match Nvidia::open(&setup.gpus) {
        Ok(boards) => Found::meter(Gpus(Box::new(boards))),
        Err(_) if amd::any(&setup.sys) => Found::default(),
        Err(why) => Found::absent(GPU, MeterUnit::None, why),
    }
}

/// GPUs that the NVIDIA driver knows.
struct Nvidia {
    driver: Driver,
    boards: Vec<(u32, String)>,
}

impl Nvidia {
    /// Loads the driver's library; says what to do where there is none. `only` keeps some.
    fn open(only: &[u32]) -> Result<Self, String> {
        let open = || -> Result<(Driver, Vec<Gpu>), DriverError> {
            let driver = Driver::open()?;
            let gpus = driver.gpus()?;
            Ok((driver, gpus))
        };
        let (driver, gpus) = open().map_err(|e| hint(&e))?;
        let count = gpus.len();
        let kept = gpus.into_iter().filter(|g| only.is_empty() || only.contains(&g.index));
        let boards: Vec<(u32, String)> = kept.map(|g| (g.index, g.name)).collect();
        if boards.is_empty() {
            return Err(if only.is_empty() {
                "the NVIDIA driver knows no GPU".into()
            } else {
                format!("the NVIDIA driver knows {count} GPUs, none of them in --gpu")
            });
        }
        Ok(Self { driver, boards })
    }
}

fn hint(error: &DriverError) -> String {
    match error {
        DriverError::NoDriver => "no NVIDIA driver here (libnvidia-ml.so.1); in a container start \
                                  it with the GPU, for example docker run --gpus all"
            .into(),
        DriverError::Failed(_) => format!("{error}; see what nvidia-smi says"),
        DriverError::NotBuilt => format!("{error}; build with the feature `nvml`"),
    }
}

impl Boards for Nvidia {
    fn names(&self) -> Vec<(u32, String)> {
        self.boards.clone()
    }

    fn read(&self, place: usize) -> State {
        let board = self.boards.get(place);
        board.map(|(index, _)| self.driver.state(*index)).unwrap_or_default()
    }
}

/// The readings of all boards.
pub(super) struct Gpus(pub(super) Box<dyn Boards>);

impl Meter for Gpus {
    fn columns(&self) -> Vec<Column> {
        self.0.names().into_iter().flat_map(|(index, name)| board(index, &name)).collect()
    }

    fn read(&mut self, row: &mut Row<'_>) {
        for place in 0..self.0.names().len() {
            let state = self.0.read(place);
            let share = |slowed: Option<bool>| slowed.map(|s| f64::from(u8::from(s)));
            row.push(state.busy_percent.map(|p| f64::from(p) / 100.0));
            row.push(state.memory_bytes.map(|m| m as f64));
            row.push(state.power_w);
            row.push(state.energy_j);
            row.push(state.clock_mhz.map(|mhz| f64::from(mhz) * 1e6));
            row.push(share(state.is_slowed(SlowdownKind::Hardware)));
            row.push(share(state.is_slowed(SlowdownKind::PowerLimit)));
        }
    }
}

/// The columns of a board, in the order in which it is read.
fn board(index: u32, name: &str) -> [Column; 7] {
    let called = format!("GPU {index}");
    let column = |what: &str, unit, show, note: &str| Column {
        show,
        note: note.into(),
        ..Column::new(&format!("{called} {what}"), unit)
    };
    let share = |what: &str, note: &str| Column {
        of: Some(1.0),
        ..column(what, MeterUnit::Share, Show::Mean, note)
    };
    [
        Column {
            role: Role::Busy,
            ..share("busy", &format!("{name}; time with a kernel running"))
        },
        column("memory", MeterUnit::Bytes, Show::Peak, "peak, of all processes"),
        column("power", MeterUnit::Watts, Show::Mean, "as the driver averages it"),
        Column {
            role: Role::Energy(MeterCovers::Gpu),
            source: Some(SourcePart {
                path: "NVML".into(),
                covers: MeterCovers::Gpu,
                resolution: Some(STEP),
                refreshed_seconds: Some(REFRESHED),
            }),
            ..column(
                "energy",
                MeterUnit::Joules,
                Show::Total,
                "the board's counter, of all processes",
            )
        },
        column("clock", MeterUnit::Hertz, Show::Mean, "multiprocessors"),
        Column {
            role: Role::Slowed(called.clone()),
            ..share("slowed", "time with clocks lowered by heat or supply")
        },
        share("capped", "time with clocks lowered by the power limit"),
    ]
}
