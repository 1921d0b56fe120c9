//! `com.microsoft`: what onnxruntime's optimisers and quantisers put in place of standard operators.
//!
//! Each costs what its unfused form costs; a fused activation or addition is its own term. Packed
//! weights count the bytes they take, not those of the numbers they stand for.

mod attention;
mod fused;
mod quantized;

use super::Class::{
    Attention, Convolution, Elementwise, MatrixProduct, Movement, Normalization, Pooling,
    Quantization, Reduction,
};
use super::Op;

const MS: &str = "com.microsoft";
const ANY: usize = usize::MAX;

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("Attention", Attention, attention::packed).domain(MS).inputs(2, 7).formula("projection 2·B·S·D·|W columns| + attention"),
    Op::new("BiasAdd", Elementwise, fused::bias_add).domain(MS).inputs(3, 3).formula("2·|x|"),
    Op::new("BiasGelu", Elementwise, fused::activation::<5, 1>).domain(MS).inputs(2, 2).formula("6·|x|, 1 erf each"),
    Op::new("BiasSoftmax", Normalization, fused::bias_softmax).domain(MS).inputs(2, 2).formula("5·|x|, 1 exp each"),
    Op::new("BiasSplitGelu", Elementwise, fused::split_gelu).domain(MS).inputs(2, 2).formula("7·|y| + |x|"),
    Op::new("ComplexMul", Elementwise, fused::complex_mul).domain(MS).inputs(2, 2).formula("3·|y|"),
    Op::new("DecoderMaskedMultiHeadAttention", Attention, attention::multi_head).domain(MS).inputs(1, 11).formula("as MultiHeadAttention"),
    Op::new("DequantizeLinear", Quantization, quantized::dequantize).domain(MS).inputs(2, 3).formula("2·|x|"),
    Op::new("DynamicQuantizeMatMul", MatrixProduct, quantized::dynamic_matmul).domain(MS).inputs(3, 5).formula("2·M·N·K integer + 5·|a| + 2·|y|"),
    Op::new("EmbedLayerNormalization", Normalization, fused::embed_norm).domain(MS).inputs(7, 9).formula("9·|y|; reads only the rows it looks up"),
    Op::new("FastGelu", Elementwise, fused::activation::<8, 1>).domain(MS).inputs(1, 2).formula("9·|x|, 1 tanh each (+ |x| bias)"),
    Op::new("FusedConv", Convolution, fused::conv).domain(MS).inputs(2, 4).formula("Conv + activation (+ |y| sum)"),
    Op::new("FusedGemm", MatrixProduct, fused::gemm).domain(MS).inputs(2, 3).formula("Gemm + activation"),
    Op::new("FusedMatMul", MatrixProduct, fused::matmul).domain(MS).inputs(2, 2).formula("2·M·N·K per matrix (+ |y| for α≠1)"),
    Op::new("GatherBlockQuantized", Movement, quantized::gather).domain(MS).inputs(3, 4).formula("2·|y|; reads only the packed rows it gathers"),
    Op::new("Gelu", Elementwise, fused::activation::<4, 1>).domain(MS).inputs(1, 1).formula("5·|x|, 1 erf each"),
    Op::new("GemmFastGelu", MatrixProduct, fused::gemm_gelu).domain(MS).inputs(2, 3).formula("2·M·N·K + 9·|y| (+ |y| bias)"),
    Op::new("GroupQueryAttention", Attention, attention::grouped).domain(MS).inputs(1, 14).formula("2·B·Hq·S·T·2D + 6 per score (+ 3 per rotated element)"),
    Op::new("Inverse", MatrixProduct, fused::inverse).domain(MS).inputs(1, 1).formula("2·n³ per matrix"),
    Op::new("MatMulBnb4", MatrixProduct, quantized::matmul_nbits).domain(MS).inputs(3, 3).formula("2·M·N·K + 2·N·K to unpack"),
    Op::new("MatMulIntegerToFloat", MatrixProduct, quantized::matmul_to_float).domain(MS).inputs(4, 7).formula("2·M·N·K integer + 2·|y|"),
    Op::new("MatMulNBits", MatrixProduct, quantized::matmul_nbits).domain(MS).inputs(3, 6).formula("2·M·N·K + 2·N·K to unpack; reads the packed weights"),
    Op::new("MoE", MatrixProduct, fused::mixture).domain(MS).inputs(5, 8).formula("k experts a token: 2·T·k·(H·I + I·H)"),
    Op::new("MultiHeadAttention", Attention, attention::multi_head).domain(MS).inputs(1, 10).formula("2·B·H·S·T·(Dqk+Dv) + 6 per score"),
    Op::new("NhwcConv", Convolution, fused::conv_last).domain(MS).inputs(2, 3).formula("Conv, channels last"),
    Op::new("NhwcFusedConv", Convolution, fused::conv_last).domain(MS).inputs(2, 4).formula("FusedConv, channels last"),
    Op::new("PackedMultiHeadAttention", Attention, attention::multi_head).domain(MS).inputs(1, 6).formula("as MultiHeadAttention"),
    Op::new("QAttention", Attention, attention::quantized).domain(MS).inputs(5, 9).formula("Attention with integer projections"),
    Op::new("QGemm", MatrixProduct, quantized::gemm).domain(MS).inputs(6, 9).formula("2·M·N·K integer + 2·|y|"),
    Op::new("QLinearAdd", Elementwise, quantized::binary).domain(MS).inputs(7, 8).formula("8·|y| integer"),
    Op::new("QLinearAveragePool", Pooling, quantized::average_pool).domain(MS).inputs(4, 5).formula("|y|·(∏k + 2) integer"),
    Op::new("QLinearConcat", Movement, quantized::concat).domain(MS).inputs(5, ANY).formula("4·|y| integer"),
    Op::new("QLinearConv", Convolution, quantized::conv).domain(MS).inputs(8, 9).formula("2·|y|·(Cin/g)·∏k integer (+ |y| bias)"),
    Op::new("QLinearGlobalAveragePool", Pooling, quantized::global_average).domain(MS).inputs(4, 5).formula("|x| + 2·|y| integer"),
    Op::new("QLinearLeakyRelu", Elementwise, quantized::unary).domain(MS).inputs(4, 5).formula("a look-up an element"),
    Op::new("QLinearMul", Elementwise, quantized::binary).domain(MS).inputs(7, 8).formula("8·|y| integer"),
    Op::new("QLinearReduceMean", Reduction, quantized::reduce_mean).domain(MS).inputs(4, 5).formula("|x| + 2·|y| integer"),
    Op::new("QLinearSigmoid", Elementwise, quantized::unary).domain(MS).inputs(4, 5).formula("a look-up an element"),
    Op::new("QLinearSoftmax", Normalization, quantized::unary).domain(MS).inputs(5, 5).formula("a look-up, a sum and a division an element"),
    Op::new("QLinearWhere", Elementwise, quantized::where_).domain(MS).inputs(8, 9).formula("4·|y| integer"),
    Op::new("QMoE", MatrixProduct, fused::mixture).domain(MS).inputs(7, 14).formula("as MoE, packed weights"),
    Op::new("QuantizeLinear", Quantization, quantized::quantize).domain(MS).inputs(2, 3).formula("3·|x|"),
    Op::new("QuickGelu", Elementwise, fused::activation::<5, 1>).domain(MS).inputs(1, 1).formula("6·|x|, 1 exp each"),
    Op::new("RotaryEmbedding", Attention, attention::rotary).domain(MS).inputs(4, 4).formula("3·|x|"),
    Op::new("SkipLayerNormalization", Normalization, fused::skip_norm::<8>).domain(MS).inputs(3, 5).formula("8·|x| (+ |x| bias) + 2 per row"),
    Op::new("SkipSimplifiedLayerNormalization", Normalization, fused::skip_norm::<5>).domain(MS).inputs(3, 4).formula("5·|x| (+ |x| bias) + 2 per row"),
    Op::new("TransposeMatMul", MatrixProduct, fused::matmul).domain(MS).inputs(2, 2).formula("2·M·N·K per matrix (+ |y| for α≠1)"),
];
