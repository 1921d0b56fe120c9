//! GPUs under load: which of them are read, and why none can be.

use crate::os::nvml::{Driver, DriverError, Gpu, State};

/// GPUs that are read again and again.
pub(super) trait Boards: Send {
    /// Position and name of each.
    fn names(&self) -> Vec<(u32, String)>;
    /// The GPU at a place of the list of names.
    fn read(&self, place: usize) -> State;
}

/// GPUs that the NVIDIA driver knows.
pub(super) struct Nvidia {
    driver: Driver,
    boards: Vec<(u32, String)>,
}

impl Nvidia {
    /// Loads the driver's library; says what to do where there is none. `only` keeps some.
    pub(super) fn open(only: &[u32]) -> Result<Self, String> {
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
