//! Energy of processor packages and memory, from the kernel's power caps (RAPL).

use std::io;
use std::path::{Path, PathBuf};

/// Where the kernel shows the counters.
pub const POWERCAP: &str = "/sys/class/powercap";

/// More than this a zone cannot draw, W: a counter that would say so went backwards.
const MOST: f64 = 5000.0;

/// How files are read; tests put refusals here.
pub type Reader = fn(&Path) -> io::Result<String>;

/// Counters of energy that are read again and again.
#[derive(Debug)]
pub struct Rapl {
    zones: Vec<Zone>,
    read: Reader,
}

/// A package, or the memory behind it.
#[derive(Debug)]
struct Zone {
    path: PathBuf,
    name: String,
    /// The counter starts again at zero after this many microjoules.
    range: Option<u64>,
    last: Option<(u64, f64)>,
    joules: f64,
}

/// Why there is no energy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RaplError {
    /// No counters.
    #[error(
        "this machine shows no energy counters (RAPL): virtual machines have none; measure on the \
         machine itself (modprobe intel_rapl_msr) or at the wall"
    )]
    Absent,
    /// Root alone may read them.
    #[error(
        "only root may read the energy counters: sudo chmod o+r {0} (until the next start; other \
         users can then read them too)"
    )]
    Refused(String),
    /// A counter that cannot be believed.
    #[error("the counter of {0} went backwards; its energy is not known")]
    Backwards(String),
    /// A counter that cannot be read.
    #[error("the counter of {0} cannot be read: {1}")]
    Unreadable(String, String),
}

impl Rapl {
    /// The zones under `root` that do not contain one another: packages, and memory where it is
    /// counted apart. `psys` contains packages, `core` and `uncore` are in them, and the `mmio`
    /// zones are the same counters again.
    pub fn open(root: &Path, read: Reader) -> Result<Self, RaplError> {
        let mut zones = Vec::new();
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).collect();
        paths.sort();
        for path in paths {
            let folder = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if folder.strip_prefix("intel-rapl:").is_none_or(str::is_empty) {
                continue;
            }
            let Ok(name) = read(&path.join("name")) else { continue };
            let name = name.trim().to_owned();
            if !name.starts_with("package") && name != "dram" {
                continue;
            }
            let range = read(&path.join("max_energy_range_uj")).ok();
            let range = range.and_then(|t| t.trim().parse().ok());
            let package = folder.trim_start_matches("intel-rapl:").split(':').next();
            let name = match package {
                Some(number) if name == "dram" => format!("dram-{number}"),
                _ => name,
            };
            zones.push(Zone { path, name, range, last: None, joules: 0.0 });
        }
        if zones.is_empty() {
            return Err(RaplError::Absent);
        }
        let mut rapl = Self { zones, read };
        rapl.advance(0.0)?;
        Ok(rapl)
    }

    /// Names of the zones.
    pub fn names(&self) -> Vec<String> {
        self.zones.iter().map(|z| z.name.clone()).collect()
    }

    /// Joules since the first reading of packages and memory together, at `now` seconds.
    pub fn advance(&mut self, now: f64) -> Result<f64, RaplError> {
        let all: Vec<String> =
            self.zones.iter().map(|z| z.path.join("energy_uj").display().to_string()).collect();
        for zone in &mut self.zones {
            let text = (self.read)(&zone.path.join("energy_uj")).map_err(|e| match e.kind() {
                io::ErrorKind::PermissionDenied => RaplError::Refused(all.join(" ")),
                _ => RaplError::Unreadable(zone.name.clone(), e.to_string()),
            })?;
            let value: u64 = text.trim().parse().map_err(|_| {
                RaplError::Unreadable(zone.name.clone(), format!("`{}`", text.trim()))
            })?;
            zone.add(value, now)?;
        }
        Ok(self.zones.iter().map(|z| z.joules).sum())
    }
}

impl Zone {
    fn add(&mut self, value: u64, now: f64) -> Result<(), RaplError> {
        let Some((last, then)) = self.last.replace((value, now)) else { return Ok(()) };
        let backwards = || RaplError::Backwards(self.name.clone());
        let microjoules = match (value.checked_sub(last), self.range) {
            (Some(forward), _) => forward,
            (None, Some(range)) => {
                let round = range.checked_sub(last).ok_or_else(backwards)?.saturating_add(value);
                if round as f64 * 1e-6 > MOST * (now - then).max(0.01) {
                    return Err(backwards());
                }
                round
            }
            (None, None) => return Err(backwards()),
        };
        self.joules += microjoules as f64 * 1e-6;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(root: &Path, folder: &str, name: &str, energy: u64) {
        let path = root.join(folder);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("name"), format!("{name}\n")).unwrap();
        std::fs::write(path.join("energy_uj"), format!("{energy}\n")).unwrap();
        std::fs::write(path.join("max_energy_range_uj"), "262143328850\n").unwrap();
    }

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        zone(folder.path(), "intel-rapl:0", "package-0", 262_143_000_000);
        zone(folder.path(), "intel-rapl:0:0", "core", 5);
        zone(folder.path(), "intel-rapl:0:1", "dram", 1_000_000);
        zone(folder.path(), "intel-rapl:1", "psys", 9);
        zone(folder.path(), "intel-rapl-mmio:0", "package-0", 262_143_000_000);
        std::fs::create_dir(folder.path().join("intel-rapl")).unwrap();
        folder
    }

    fn read(path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    #[test]
    fn packages_and_memory_across_the_wrap() {
        let folder = tree();
        let mut rapl = Rapl::open(folder.path(), read).unwrap();
        assert_eq!(rapl.names(), ["package-0", "dram-0"]);
        // 0.32885 J to the end of the range, 40 J behind it; 2 J of memory.
        zone(folder.path(), "intel-rapl:0", "package-0", 40_000_000);
        zone(folder.path(), "intel-rapl:0:1", "dram", 3_000_000);
        let joules = rapl.advance(1.0).unwrap();
        assert!((joules - 42.328_85).abs() < 1e-6, "{joules}");
    }

    #[test]
    fn a_counter_that_goes_backwards_is_no_wrap() {
        let folder = tree();
        zone(folder.path(), "intel-rapl:0", "package-0", 50_000_000);
        let mut rapl = Rapl::open(folder.path(), read).unwrap();
        zone(folder.path(), "intel-rapl:0", "package-0", 49_000_000);
        assert_eq!(rapl.advance(1.0), Err(RaplError::Backwards("package-0".into())));
    }

    #[test]
    fn what_may_not_be_read_says_how_to_allow_it() {
        let folder = tree();
        let refuse: Reader = |path| {
            if path.ends_with("energy_uj") {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            std::fs::read_to_string(path)
        };
        let error = Rapl::open(folder.path(), refuse).unwrap_err().to_string();
        let path = folder.path().join("intel-rapl:0/energy_uj");
        assert!(error.contains(&format!("sudo chmod o+r {}", path.display())), "{error}");
        assert_eq!(Rapl::open(Path::new("/nowhere"), read).unwrap_err(), RaplError::Absent);
        std::fs::write(path, "none").unwrap();
        assert!(matches!(Rapl::open(folder.path(), read), Err(RaplError::Unreadable(..))));
    }
}
