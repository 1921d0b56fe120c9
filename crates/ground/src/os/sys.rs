//! `/sys`: cores, data caches and clocks of the processors.

use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

/// The kernel's view of devices, under a folder that tests replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sys(PathBuf);

/// A data cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cache {
    /// Its level, from 1 for the one nearest to the core.
    pub level: u32,
    /// Size of one such cache in bytes.
    pub bytes: u64,
    /// Hardware threads that share one such cache, at least 1.
    pub shared_by: usize,
}

impl Default for Sys {
    fn default() -> Self {
        Self("/sys".into())
    }
}

impl Sys {
    /// The same files under another folder.
    pub fn at(root: &Path) -> Self {
        Self(root.into())
    }

    fn processors(&self) -> PathBuf {
        self.0.join("devices/system/cpu")
    }

    /// Physical cores of the machine.
    pub fn cores(&self) -> Option<usize> {
        // Numbers of cores repeat from package to package.
        let mut seen = BTreeSet::new();
        for entry in read_dir(self.processors()).ok()?.flatten() {
            let topology = entry.path().join("topology");
            if let Some(core) =
                field(&topology, "physical_package_id").zip(field(&topology, "core_id"))
            {
                seen.insert(core);
            }
        }
        (!seen.is_empty()).then_some(seen.len())
    }

    /// Data and unified caches of the first processor, smallest level first.
    pub fn caches(&self) -> Vec<Cache> {
        let entries =
            read_dir(self.processors().join("cpu0/cache")).into_iter().flatten().flatten();
        let mut found: Vec<Cache> = entries.filter_map(|e| cache(&e.path())).collect();
        found.sort_by_key(|c| c.level);
        found
    }

    /// Highest clock that the system allows the first processor, MHz.
    pub fn max_clock_mhz(&self) -> Option<f64> {
        let kilohertz: f64 =
            field(&self.processors(), "cpu0/cpufreq/cpuinfo_max_freq")?.parse().ok()?;
        Some(kilohertz / 1e3)
    }
}

fn field(folder: &Path, name: &str) -> Option<String> {
    Some(read_to_string(folder.join(name)).ok()?.trim().to_owned())
}

fn cache(folder: &Path) -> Option<Cache> {
    if field(folder, "type")? == "Instruction" {
        return None;
    }
    let level = field(folder, "level")?.parse().ok()?;
    let shared_by = field(folder, "shared_cpu_list").map_or(1, |list| listed(&list));
    Some(Cache { level, bytes: size(&field(folder, "size")?)?, shared_by })
}

/// `32768K` in bytes.
fn size(text: &str) -> Option<u64> {
    let (number, scale) = match text.trim().split_at_checked(text.len().checked_sub(1)?)? {
        (number, "K") => (number, 1024),
        (number, "M") => (number, 1024 * 1024),
        _ => (text.trim(), 1),
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// How many processors a list such as `0-3,8` names.
fn listed(list: &str) -> usize {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) =
            (first.trim().parse::<usize>().ok()?, last.trim().parse::<usize>().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(',').filter_map(count).fold(0, usize::saturating_add).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_counted() {
        assert_eq!((listed("0"), listed("0-3"), listed("0-3,8,10-11"), listed("")), (1, 4, 7, 1));
    }

    #[test]
    fn cache_sizes_are_read() {
        assert_eq!(
            (size("32K"), size("1024K"), size("36M")),
            (Some(32768), Some(1 << 20), Some(36 << 20))
        );
        assert_eq!((size("512"), size("K"), size("")), (Some(512), None, None));
    }

    #[test]
    fn caches_are_read_from_a_folder_without_those_of_instructions() {
        let folder = tempfile::tempdir().unwrap();
        for (index, kind, level, size) in
            [(0, "Data", 1, "48K"), (1, "Instruction", 1, "32K"), (2, "Unified", 2, "2048K")]
        {
            let caches = folder.path().join("devices/system/cpu/cpu0/cache");
            let index = caches.join(format!("index{index}"));
            std::fs::create_dir_all(&index).unwrap();
            for (name, text) in [("type", kind), ("size", size), ("shared_cpu_list", "0-1")] {
                std::fs::write(index.join(name), format!("{text}\n")).unwrap();
            }
            std::fs::write(index.join("level"), format!("{level}\n")).unwrap();
        }
        let cache = |level, bytes| Cache { level, bytes, shared_by: 2 };
        let sys = Sys::at(folder.path());
        assert_eq!(sys.caches(), [cache(1, 48 << 10), cache(2, 2 << 20)]);
        assert_eq!((sys.cores(), sys.max_clock_mhz()), (None, None));
    }

    #[test]
    fn cores_of_two_packages() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for (cpu, package, core) in [(0, 0, 0), (1, 0, 0), (2, 1, 0), (3, 1, 1)] {
            let topology = format!("devices/system/cpu/cpu{cpu}/topology");
            write(&format!("{topology}/physical_package_id"), &format!("{package}\n"));
            write(&format!("{topology}/core_id"), &format!("{core}\n"));
        }
        let sys = Sys::at(folder.path());
        assert_eq!(sys.cores(), Some(3));
    }
}
