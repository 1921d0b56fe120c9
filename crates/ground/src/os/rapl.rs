//! Energy of processor packages and memory, from the kernel's power caps (RAPL).

use super::tree::{ReadError, Tree};
use std::path::PathBuf;

/// Where the kernel shows the counters, under `/sys`.
const POWERCAP: &str = "class/powercap";

/// More than this a zone cannot draw, W: a counter that would say so went backwards.
const MOST: f64 = 5000.0;

/// Counters of energy that are read again and again.
#[derive(Debug)]
pub struct Rapl {
    zones: Vec<Zone>,
    tree: Tree,
}

/// Which counters: the platform's contains those of the processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zones {
    /// Packages, and memory where it is counted apart.
    Processors,
    /// What the maker calls the platform (`psys`): all that the board's power delivery feeds (Intel, Software
    /// Developer's Manual, volume 4, `MSR_PLATFORM_ENERGY_COUNTER`).
    Platform,
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
    #[error("the counter of {0} gives no energy: {1}")]
    Unreadable(String, String),
}

impl Rapl {
    /// The zones that do not contain one another: `psys` contains packages, `core` and `uncore` are in them, and the
    /// `mmio` zones are the same counters again.
    pub fn open(tree: &Tree, which: Zones) -> Result<Self, RaplError> {
        let mut zones = Vec::new();
        for path in Tree::entries(&tree.path(POWERCAP), "intel-rapl:") {
            let folder = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let Some(name) = tree.label(&path.join("name")) else { continue };
            let wanted = match which {
                Zones::Processors => name.starts_with("package") || name == "dram",
                Zones::Platform => name == "psys",
            };
            if !wanted {
                continue;
            }
            let range = tree.text(&path.join("max_energy_range_uj")).ok();
            let range = range.and_then(|t| t.parse().ok());
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
        let mut rapl = Self { zones, tree: tree.clone() };
        rapl.advance(0.0)?;
        Ok(rapl)
    }

    /// The files that are read.
    pub fn path(&self) -> String {
        self.files().join(" + ")
    }

    fn files(&self) -> Vec<String> {
        self.zones.iter().map(|z| z.path.join("energy_uj").display().to_string()).collect()
    }

    /// Names of the zones.
    pub fn names(&self) -> Vec<String> {
        self.zones.iter().map(|z| z.name.clone()).collect()
    }

    /// Joules since the first reading of packages and memory together, at `now` seconds.
    pub fn advance(&mut self, now: f64) -> Result<f64, RaplError> {
        let all = self.files();
        for zone in &mut self.zones {
            let path = zone.path.join("energy_uj");
            let text = self.tree.text(&path).map_err(|e| match e {
                ReadError::Refused(_) => RaplError::Refused(all.join(" ")),
                other => RaplError::Unreadable(zone.name.clone(), other.to_string()),
            })?;
            let value: u64 = text.parse().map_err(|_| {
                let none = ReadError::NoNumber(path.display().to_string());
                RaplError::Unreadable(zone.name.clone(), none.to_string())
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
    use std::io;
    use std::path::Path;

    fn zone(root: &Path, folder: &str, name: &str, energy: u64) {
        let path = root.join(POWERCAP).join(folder);
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
        std::fs::create_dir(folder.path().join(POWERCAP).join("intel-rapl")).unwrap();
        folder
    }

    fn open(root: &Path) -> Result<Rapl, RaplError> {
        Rapl::open(&Tree::at(root), Zones::Processors)
    }

    #[test]
    fn packages_and_memory_across_the_wrap() {
        let folder = tree();
        let mut rapl = open(folder.path()).unwrap();
        assert_eq!(rapl.names(), ["package-0", "dram-0"]);
        // 0.32885 J to the end of the range, 40 J behind it; 2 J of memory.
        zone(folder.path(), "intel-rapl:0", "package-0", 40_000_000);
        zone(folder.path(), "intel-rapl:0:1", "dram", 3_000_000);
        let joules = rapl.advance(1.0).unwrap();
        assert!((joules - 42.328_85).abs() < 1e-6, "{joules}");
    }

    #[test]
    fn the_platform_is_a_source_of_its_own() {
        let folder = tree();
        let tree = Tree::at(folder.path());
        let mut platform = Rapl::open(&tree, Zones::Platform).unwrap();
        zone(folder.path(), "intel-rapl:1", "psys", 7_000_009);
        assert_eq!((platform.names(), platform.advance(1.0)), (vec!["psys".into()], Ok(7.0)));
        assert!(platform.path().ends_with("intel-rapl:1/energy_uj"));
    }

    #[test]
    fn a_counter_that_goes_backwards_is_no_wrap() {
        let folder = tree();
        zone(folder.path(), "intel-rapl:0", "package-0", 50_000_000);
        let mut rapl = open(folder.path()).unwrap();
        zone(folder.path(), "intel-rapl:0", "package-0", 49_000_000);
        assert_eq!(rapl.advance(1.0), Err(RaplError::Backwards("package-0".into())));
    }

    #[test]
    fn what_may_not_be_read_says_how_to_allow_it() {
        let folder = tree();
        let refuse = Tree::new(folder.path(), |path| {
            if path.ends_with("energy_uj") {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            std::fs::read_to_string(path)
        });
        let error = Rapl::open(&refuse, Zones::Processors).unwrap_err().to_string();
        let path = folder.path().join(POWERCAP).join("intel-rapl:0/energy_uj");
        assert!(error.contains(&format!("sudo chmod o+r {}", path.display())), "{error}");
        assert_eq!(open(Path::new("/nowhere")).unwrap_err(), RaplError::Absent);
        std::fs::write(path, "none").unwrap();
        assert!(matches!(open(folder.path()), Err(RaplError::Unreadable(..))));
    }
}
