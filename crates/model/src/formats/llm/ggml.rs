//! Types of tensors in GGUF files: blocks of so many numbers in so many bytes.

use super::tensors::Kind;
use crate::ir::DType;

/// A type: its number, its name, the numbers of a block, and its bytes.
pub(super) struct Block {
    number: u32,
    pub(super) name: &'static str,
    pub(super) numbers: u64,
    pub(super) bytes: u64,
}

macro_rules! blocks {
    ($($number:literal $name:literal $numbers:literal $bytes:literal;)*) => {
        /// All types, by number.
        static BLOCKS: &[Block] =
            &[$(Block { number: $number, name: $name, numbers: $numbers, bytes: $bytes },)*];
    };
}

blocks! {
    0 "F32" 1 4;
    1 "F16" 1 2;
    2 "Q4_0" 32 18;
    3 "Q4_1" 32 20;
    6 "Q5_0" 32 22;
    7 "Q5_1" 32 24;
    8 "Q8_0" 32 34;
    9 "Q8_1" 32 36;
    10 "Q2_K" 256 84;
    11 "Q3_K" 256 110;
    12 "Q4_K" 256 144;
    13 "Q5_K" 256 176;
    14 "Q6_K" 256 210;
    15 "Q8_K" 256 292;
    16 "IQ2_XXS" 256 66;
    17 "IQ2_XS" 256 74;
    18 "IQ3_XXS" 256 98;
    19 "IQ1_S" 256 50;
    20 "IQ4_NL" 32 18;
    21 "IQ3_S" 256 110;
    22 "IQ2_S" 256 82;
    23 "IQ4_XS" 256 136;
    24 "I8" 1 1;
    25 "I16" 1 2;
    26 "I32" 1 4;
    27 "I64" 1 8;
    28 "F64" 1 8;
    29 "IQ1_M" 256 56;
    30 "BF16" 1 2;
    34 "TQ1_0" 256 54;
    35 "TQ2_0" 256 66;
    39 "MXFP4" 32 17;
    40 "NVFP4" 64 36;
    41 "Q1_0" 128 18;
}

/// Types that were taken out of the format again.
const REMOVED: &[(u32, &str)] = &[
    (4, "Q4_2"),
    (5, "Q4_3"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (36, "IQ4_NL_4_4"),
    (37, "IQ4_NL_4_8"),
    (38, "IQ4_NL_8_8"),
];

/// The type of this number, or why there is none.
pub(super) fn block(number: u32) -> Result<&'static Block, String> {
    if let Some(block) = BLOCKS.iter().find(|block| block.number == number) {
        return Ok(block);
    }
    Err(match REMOVED.iter().find(|(removed, _)| *removed == number) {
        Some((_, name)) => format!(
            "has the type {name}, which was taken out of the format; convert the model again"
        ),
        None => format!("has the unknown type {number}"),
    })
}

impl Block {
    /// How tensors of this type are kept here.
    pub(super) fn kind(&self) -> Kind {
        let dtype = match self.name {
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            "F64" => DType::F64,
            "I8" => DType::I8,
            "I16" => DType::I16,
            "I32" => DType::I32,
            "I64" => DType::I64,
            name => return Kind::Packed(name),
        };
        Kind::Plain(dtype)
    }
}
