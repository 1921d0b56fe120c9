//! What the CPU is: name, cores, instructions, caches, memory. Measures nothing.
//!
//! Instructions and, on `x86_64`, caches come from `cpuid`; the rest from `/proc` and `/sys`. What
//! the system does not tell is absent.

#[cfg(target_arch = "x86_64")]
mod cpuid;

use crate::os::proc::Proc;
use crate::os::sys::Sys;
#[cfg(test)]
use crate::schemas::elsewhere;
use serde::Serialize;

pub use crate::os::sys::Cache;

/// A CPU as the system describes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    #[cfg_attr(test, schemars(with = "Vec<elsewhere::Cache>"))]
    pub caches: Vec<Cache>,
    /// Main memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Highest clock the system allows, MHz.
    pub max_clock_mhz: Option<f64>,
    /// Whether this is a virtual machine, whose neighbours share caches and memory.
    pub virtual_machine: Option<bool>,
}

/// Threads this process may run on.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The CPU's name, as the kernel gives it.
pub fn cpu_name() -> String {
    let name = Proc::default().processor("model name").or_else(brand);
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
    /// How many of this cache the threads of this process use, 1 or more.
    pub(super) fn instances(&self, cache: &Cache) -> usize {
        self.threads.div_ceil(cache.shared_by.max(1)).max(1)
    }

    /// The last caches that the threads of this process use, together.
    pub fn last_cache_bytes(&self) -> Option<u64> {
        let last = self.caches.last()?;
        Some(last.bytes.saturating_mul(self.instances(last) as u64))
    }
}

/// Describes this machine's CPU.
pub fn cpu() -> Cpu {
    let (proc, sys) = (Proc::default(), Sys::default());
    let flags = proc.processor("flags");
    Cpu {
        name: cpu_name(),
        vendor: proc.processor("vendor_id"),
        arch: std::env::consts::ARCH,
        threads: threads(),
        cores: sys.cores(),
        simd: simd(flags.as_deref().unwrap_or_default()),
        caches: caches(),
        memory_bytes: proc.memory().map(|m| m.total),
        max_clock_mhz: sys.max_clock_mhz(),
        virtual_machine: flags.map(|f| f.split_whitespace().any(|f| f == "hypervisor")),
    }
}

fn caches() -> Vec<Cache> {
    let found = Sys::default().caches();
    #[cfg(target_arch = "x86_64")]
    if found.is_empty() {
        let mut found = cpuid::caches();
        found.sort_by_key(|c| c.level);
        return found;
    }
    found
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
    let features = Proc::default().processor("Features").unwrap_or_default();
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
    fn this_machine_has_a_name_and_threads() {
        let cpu = cpu();
        assert!(!cpu.name.is_empty() && cpu.threads > 0);
        assert!(cpu.caches.is_sorted_by_key(|c| c.level));
    }
}
