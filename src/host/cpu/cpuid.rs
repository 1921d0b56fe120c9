//! Brand and caches from the `cpuid` instruction, for systems without `/proc` and `/sys`.
//!
//! Leaves as in Intel SDM vol. 2A, `CPUID`, and AMD APM vol. 3, appendix E.
#![allow(unsafe_code)]
// `__cpuid` is a safe function from Rust 1.94 on.
#![allow(unused_unsafe)]

use super::Cache;
use std::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};

fn leaf(leaf: u32, index: u32) -> CpuidResult {
    // SAFETY: every x86_64 CPU has the instruction; unknown leaves give zeros or the last leaf.
    unsafe { __cpuid_count(leaf, index) }
}

fn highest(base: u32) -> u32 {
    // SAFETY: as above.
    unsafe { __cpuid(base) }.eax
}

/// The brand string.
pub(super) fn brand() -> Option<String> {
    if highest(0x8000_0000) < 0x8000_0004 {
        return None;
    }
    let words =
        (0x8000_0002..=0x8000_0004).map(|l| leaf(l, 0)).flat_map(|r| [r.eax, r.ebx, r.ecx, r.edx]);
    let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).take_while(|b| *b != 0).collect();
    let brand = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!brand.is_empty()).then_some(brand)
}

/// Data and unified caches: leaf 4 of Intel, 0x8000001D of AMD, which share a layout.
pub(super) fn caches() -> Vec<Cache> {
    let amd = highest(0x8000_0000) >= 0x8000_001D && leaf(0x8000_001D, 0).eax & 0x1F != 0;
    let deterministic = if amd { 0x8000_001D } else { 4 };
    if !amd && highest(0) < 4 {
        return Vec::new();
    }
    let entries = (0..8).map(|i| leaf(deterministic, i)).take_while(|r| r.eax & 0x1F != 0);
    entries.filter(|r| r.eax & 0x1F != 2).map(|r| cache(&r)).collect()
}

fn cache(r: &CpuidResult) -> Cache {
    let field = |word: u32, low: u32, bits: u32| u64::from((word >> low) & ((1 << bits) - 1)) + 1;
    let ways = field(r.ebx, 22, 10) * field(r.ebx, 12, 10);
    Cache {
        level: (r.eax >> 5) & 7,
        bytes: ways * field(r.ebx, 0, 12) * (u64::from(r.ecx) + 1),
        shared_by: usize::try_from(field(r.eax, 14, 12)).unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_leaf_multiply_to_a_size() {
        // 8 ways × 1 partition × 64 bytes × 64 sets, level 1, two threads.
        let leaf = CpuidResult { eax: 1 | 1 << 5 | 1 << 14, ebx: 7 << 22 | 63, ecx: 63, edx: 0 };
        assert_eq!(cache(&leaf), Cache { level: 1, bytes: 32 << 10, shared_by: 2 });
    }
}
