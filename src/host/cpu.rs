//! What the CPU is: name, cores, instructions, caches, memory. Measures nothing.
//!
//! Instructions and, on `x86_64`, caches come from `cpuid`; the rest from `/proc` and `/sys`. What
//! the system does not tell is absent.

#[cfg(target_arch = "x86_64")]
mod cpuid;

use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::Path;

/// A CPU as the system describes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cpu {
    /// Name for people.
    pub name: String,
    /// Maker, such as `GenuineIntel`.
    pub vendor: Option<String>,
    /// Instruction set.
    pub arch: &'static str,
    /// Threads this process may run on.
    pub threads: usize,
    /// Physical cores of the machine.
    pub cores: Option<usize>,
    /// Vector and matrix instructions.
    pub simd: Vec<&'static str>,
    /// Data caches, smallest first.
    pub caches: Vec<Cache>,
    /// Main memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Highest clock the system allows, MHz.
    pub max_clock_mhz: Option<f64>,
    /// Whether this is a virtual machine, whose neighbours share caches and memory.
    pub virtual_machine: Option<bool>,
}

/// A data cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cache {
    /// 1, 2, 3 …
    pub level: u32,
    /// Bytes of one cache.
    pub bytes: u64,
    /// Threads that share one.
    pub shared_by: usize,
}

/// Threads this process may run on.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The CPU's name, as the kernel gives it.
pub fn cpu_name() -> String {
    let name = info("model name").or_else(brand);
    name.unwrap_or_else(|| format!("{} CPU", std::env::consts::ARCH))
}

#[cfg(target_arch = "x86_64")]
fn brand() -> Option<String> {
    cpuid::brand()
}

#[cfg(not(target_arch = "x86_64"))]
fn brand() -> Option<String> {
    None
}

impl Cpu {
    /// The last caches that the threads of this process use, together.
    pub fn last_cache_bytes(&self) -> Option<u64> {
        let last = self.caches.last()?;
        Some(last.bytes * super::survey::instances(last, self) as u64)
    }
}

/// Describes this machine's CPU.
pub fn cpu() -> Cpu {
    let clock = number("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq");
    let flags = info("flags");
    Cpu {
        name: cpu_name(),
        vendor: info("vendor_id"),
        arch: std::env::consts::ARCH,
        threads: threads(),
        cores: cores(),
        simd: simd(flags.as_deref().unwrap_or_default()),
        caches: caches(),
        memory_bytes: memory("MemTotal"),
        max_clock_mhz: clock.map(|khz| khz / 1e3),
        virtual_machine: flags.map(|f| f.split_whitespace().any(|f| f == "hypervisor")),
    }
}

/// Memory that programs may still take, bytes.
pub(super) fn memory_available() -> Option<u64> {
    memory("MemAvailable")
}

/// A field of the first processor.
fn info(field: &str) -> Option<String> {
    let text = read_to_string("/proc/cpuinfo").ok()?;
    let fields = text.lines().filter_map(|l| l.split_once(':'));
    let mut found = fields.filter(|(name, _)| name.trim() == field);
    found.next().map(|(_, value)| value.trim().to_owned())
}

fn number(path: &str) -> Option<f64> {
    read_to_string(path).ok()?.trim().parse().ok()
}

/// A line of `/proc/meminfo`, whose kB are KiB.
fn memory(field: &str) -> Option<u64> {
    let text = read_to_string("/proc/meminfo").ok()?;
    let mut lines = text.lines().filter_map(|l| l.split_once(':'));
    let (_, value) = lines.find(|(name, _)| *name == field)?;
    let kib: u64 = value.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

/// Pairs of package and core.
fn cores() -> Option<usize> {
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir("/sys/devices/system/cpu").ok()?.flatten() {
        let topology = entry.path().join("topology");
        let id = |name: &str| read_to_string(topology.join(name)).ok();
        if let (Some(package), Some(core)) = (id("physical_package_id"), id("core_id")) {
            seen.insert((package, core));
        }
    }
    (!seen.is_empty()).then_some(seen.len())
}

fn caches() -> Vec<Cache> {
    let mut found = caches_under(Path::new("/sys/devices/system/cpu/cpu0/cache"));
    #[cfg(target_arch = "x86_64")]
    if found.is_empty() {
        found = cpuid::caches();
    }
    found.sort_by_key(|c| c.level);
    found
}

/// The data and unified caches of one processor.
fn caches_under(folder: &Path) -> Vec<Cache> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let cache = |folder: &Path| {
        let field = |name: &str| Some(read_to_string(folder.join(name)).ok()?.trim().to_owned());
        if field("type")? == "Instruction" {
            return None;
        }
        let level = field("level")?.parse().ok()?;
        let shared_by = field("shared_cpu_list").map_or(1, |list| listed(&list));
        Some(Cache { level, bytes: size(&field("size")?)?, shared_by })
    };
    entries.flatten().filter_map(|e| cache(&e.path())).collect()
}

/// `32768K` in bytes.
fn size(text: &str) -> Option<u64> {
    let (number, scale) = match text.trim().split_at_checked(text.len().checked_sub(1)?)? {
        (number, "K") => (number, 1024),
        (number, "M") => (number, 1024 * 1024),
        _ => (text.trim(), 1),
    };
    Some(number.parse::<u64>().ok()? * scale)
}

/// How many processors a list such as `0-3,8` names.
fn listed(list: &str) -> usize {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) =
            (first.trim().parse::<usize>().ok()?, last.trim().parse::<usize>().ok()?);
        last.checked_sub(first).map(|d| d + 1)
    };
    list.split(',').filter_map(count).sum::<usize>().max(1)
}

/// The instructions that matter to a neural network, of those this CPU has.
#[cfg(target_arch = "x86_64")]
fn simd(flags: &str) -> Vec<&'static str> {
    let detected = [
        ("SSE2", is_x86_feature_detected!("sse2")),
        ("SSE4.2", is_x86_feature_detected!("sse4.2")),
        ("AVX", is_x86_feature_detected!("avx")),
        ("FMA", is_x86_feature_detected!("fma")),
        ("F16C", is_x86_feature_detected!("f16c")),
        ("AVX2", is_x86_feature_detected!("avx2")),
        ("AVX-VNNI", is_x86_feature_detected!("avxvnni")),
        ("AVX-512F", is_x86_feature_detected!("avx512f")),
        ("AVX-512 VNNI", is_x86_feature_detected!("avx512vnni")),
        ("AVX-512 BF16", is_x86_feature_detected!("avx512bf16")),
        ("AVX-512 FP16", is_x86_feature_detected!("avx512fp16")),
        ("AMX INT8", has(flags, "amx_int8")),
        ("AMX BF16", has(flags, "amx_bf16")),
    ];
    detected.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

#[cfg(target_arch = "aarch64")]
fn simd(_: &str) -> Vec<&'static str> {
    use std::arch::is_aarch64_feature_detected;
    let features = info("Features").unwrap_or_default();
    let detected = [
        ("NEON", true),
        ("FP16", is_aarch64_feature_detected!("fp16")),
        ("DotProd", is_aarch64_feature_detected!("dotprod")),
        ("BF16", is_aarch64_feature_detected!("bf16")),
        ("I8MM", is_aarch64_feature_detected!("i8mm")),
        ("SVE", is_aarch64_feature_detected!("sve")),
        ("SVE2", is_aarch64_feature_detected!("sve2")),
        ("SME", has(&features, "sme")),
    ];
    detected.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn simd(_: &str) -> Vec<&'static str> {
    Vec::new()
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn has(flags: &str, flag: &str) -> bool {
    flags.split_whitespace().any(|f| f == flag)
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
            let index = folder.path().join(format!("index{index}"));
            std::fs::create_dir(&index).unwrap();
            for (name, text) in [("type", kind), ("size", size), ("shared_cpu_list", "0-1")] {
                std::fs::write(index.join(name), format!("{text}\n")).unwrap();
            }
            std::fs::write(index.join("level"), format!("{level}\n")).unwrap();
        }
        let mut found = caches_under(folder.path());
        found.sort_by_key(|c| c.level);
        let cache = |level, bytes| Cache { level, bytes, shared_by: 2 };
        assert_eq!(found, [cache(1, 48 << 10), cache(2, 2 << 20)]);
    }

    #[test]
    fn this_machine_has_a_name_and_threads() {
        let cpu = cpu();
        assert!(!cpu.name.is_empty() && cpu.threads > 0);
        assert!(cpu.caches.is_sorted_by_key(|c| c.level));
    }
}
