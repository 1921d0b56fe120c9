//! `com.microsoft`: what onnxruntime's optimisers and quantisers put in place of standard operators.
//!
//! Each costs what its unfused form costs; a fused activation or addition is its own term. Packed
//! weights count the bytes they take, not those of the numbers they stand for.

mod attention;
pub(super) mod blocked;
mod blocks;
mod fused;
mod generation;
mod layouts;
mod quantized;
mod variants;

use super::Class::{
    Attention, Control, Convolution, Elementwise, MatrixProduct, Movement, Normalization, Pooling,
    Quantization, Recurrent, Reduction,
};
use super::{Class, Holds, Op, Part, Role, contraction, pooling, sampling};

const MS: &str = "com.microsoft";
const ANY: usize = usize::MAX;

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("Attention", Attention, attention::packed).domain(MS).holds(Holds::Cached(&[(4, 1)])).inputs(2, 7).formula("projection 2·B·S·D·|W columns| + attention").weights("-wwccmc"),
    Op::new("BeamSearch", Control, generation::beam_search).domain(MS).inputs(5, 12).formula("≤ prompt + steps × decoder, for every beam"),
    Op::new("BiasAdd", Elementwise, fused::bias_add).domain(MS).inputs(3, 3).formula("2·|x|"),
    Op::new("BiasGelu", Elementwise, fused::activation::<5, 1>).domain(MS).inputs(2, 2).formula("6·|x|, 1 erf each"),
    Op::new("BiasSoftmax", Normalization, fused::bias_softmax).domain(MS).inputs(2, 2).formula("5·|x|, 1 exp each").weights("lm"),
    Op::new("BiasSplitGelu", Elementwise, fused::split_gelu).domain(MS).inputs(2, 2).formula("7·|y| + |x|"),
    Op::new("ComplexMul", Elementwise, fused::complex_mul).domain(MS).inputs(2, 2).formula("3·|y|"),
    Op::new("ConvTransposeWithDynamicPads", Convolution, contraction::conv_transpose_padded).domain(MS).inputs(2, 4).formula("as ConvTranspose").weights("-wcw"),
    Op::new("CropAndResize", Movement, blocks::crop_and_resize).domain(MS).inputs(4, 4).formula("7·|y|; 0 nearest"),
    Op::new("DecoderAttention", Attention, variants::decoder).domain(MS).holds(Holds::Cached(&[(6, 1), (7, 2)])).inputs(12, 12).formula("projections + 2·B·H·S·T·2d + 6 per score").weights("--wwwc"),
    Op::new("DecoderMaskedMultiHeadAttention", Attention, variants::masked_multi_head).domain(MS).holds(Holds::Cached(&[(5, 1), (6, 2)])).inputs(1, 11).formula("as MultiHeadAttention").weights("---cmcccccw"),
    Op::new("DecoderMaskedSelfAttention", Attention, attention::masked_self).domain(MS).holds(Holds::Cached(&[(4, 1)])).inputs(3, 9).formula("as Attention").weights("-wwccmc"),
    Op::new("DequantizeLinear", Quantization, quantized::dequantize).domain(MS).holds(Holds::Cast).inputs(2, 3).formula("2·|x|").weights("dss").playing(Part::Unpack).role(Role::Dequantization),
    Op::new("DequantizeWithOrder", Quantization, layouts::dequantize).domain(MS).inputs(2, 2).formula("|x|").weights("ds").playing(Part::Unpack),
    Op::new("DynamicQuantizeLSTM", Recurrent, contraction::dynamic_lstm).domain(MS).inputs(12, 12).formula("LSTM with integer products").weights("-wwwcccwssss"),
    Op::new("DynamicQuantizeMatMul", MatrixProduct, quantized::dynamic_matmul).domain(MS).inputs(3, 5).formula("2·M·N·K integer + 5·|a| + 2·|y|").weights("-wssw"),
    Op::new("EPContext", Class::Unknown, layouts::compiled).domain(MS).inputs(0, ANY).formula("unknown by definition: compiled for one device"),
    Op::new("EmbedLayerNormalization", Normalization, fused::embed_norm).domain(MS).inputs(7, 9).formula("9·|y|; reads only the rows it looks up").weights("ccwwwwwcc"),
    Op::new("FastGelu", Elementwise, fused::activation::<8, 1>).domain(MS).inputs(1, 2).formula("9·|x|, 1 tanh each (+ |x| bias)"),
    Op::new("FusedConv", Convolution, fused::conv).domain(MS).inputs(2, 4).formula("Conv + activation (+ |y| sum)").weights("-ww-"),
    Op::new("FusedGemm", MatrixProduct, fused::gemm).domain(MS).inputs(2, 3).formula("Gemm + activation").weights("-ww"),
    Op::new("FusedMatMul", MatrixProduct, fused::matmul).domain(MS).inputs(2, 2).formula("2·M·N·K per matrix (+ |y| for α≠1)").weights("-w"),
    Op::new("FusedMatMulActivation", MatrixProduct, blocks::matmul_activation).domain(MS).inputs(2, 2).formula("FusedMatMul + activation").weights("-w"),
    Op::new("GatedDeltaNet", Attention, layouts::delta_net).domain(MS).inputs(3, 11).formula("2·T·Hv·dk·dv twice, thrice for delta rules; T·Hv·dk·dv for gates"),
    Op::new("GatedRMSNorm", Normalization, blocks::gated_norm).domain(MS).inputs(3, 3).formula("10·|x|, 1 exp each, + 1 rsqrt per row"),
    Op::new("GatedRelativePositionBias", Attention, variants::gated_bias).domain(MS).inputs(6, 7).formula("2·B·H·S·d·g + |y| + B·H·S·(d+2g+9)").weights("-w-wwwc").playing(Part::Alone),
    Op::new("GatherBlockQuantized", Movement, quantized::gather).domain(MS).inputs(3, 4).formula("2·|y|; reads only the packed rows it gathers").weights("pcss").packed(quantized::packed_rows).playing(Part::Source),
    Op::new("Gelu", Elementwise, fused::activation::<4, 1>).domain(MS).inputs(1, 1).formula("5·|x|, 1 erf each"),
    Op::new("GemmFastGelu", MatrixProduct, fused::gemm_gelu).domain(MS).inputs(2, 3).formula("2·M·N·K + 9·|y| (+ |y| bias)").weights("-ww"),
    Op::new("GemmFloat8", MatrixProduct, blocks::gemm_float8).domain(MS).inputs(2, 6).formula("Gemm + activation").weights("-wws"),
    Op::new("GemmaRotaryEmbedding", Attention, variants::gemma_rotary).domain(MS).inputs(5, 5).formula("3·(|q|+|k|) + 2·|emb| transcendental").playing(Part::Map),
    Op::new("GreedySearch", Control, generation::greedy_search).domain(MS).inputs(2, 7).formula("≤ prompt + steps × decoder"),
    Op::new("GridSample", Movement, sampling::grid_sample).domain(MS).inputs(2, 2).formula("as ai.onnx GridSample"),
    Op::new("GroupNorm", Normalization, blocks::group_norm).domain(MS).inputs(3, 3).formula("7·|x| (+ 5·|x| SiLU) + 1 rsqrt per group").weights("-ww"),
    Op::new("GroupQueryAttention", Attention, attention::grouped).domain(MS).holds(Holds::Cached(&[(3, 1), (4, 2)])).inputs(1, 17).formula("2·B·Hq·S·T·2D + 6 per score (+ 3 per rotated element)").weights("---cccccccmwss-"),
    Op::new("Inverse", MatrixProduct, fused::inverse).domain(MS).inputs(1, 1).formula("2·n³ per matrix"),
    Op::new("Irfft", MatrixProduct, blocks::irfft).domain(MS).inputs(1, 1).formula("2.5·|y|·⌈log2 n⌉"),
    Op::new("LinearAttention", Attention, super::attention::linear).domain(MS).inputs(3, 6).formula("as ai.onnx LinearAttention"),
    Op::new("LongformerAttention", Attention, variants::longformer).domain(MS).inputs(7, 7).formula("2 projections + 2·B·H·(S·(2w+1+g) + g·S)·2d + 7 per score").weights("-wwcwwc"),
    Op::new("MRotaryEmbedding", Attention, attention::rotary).domain(MS).inputs(4, 4).formula("3·|x|").weights("-ccc").playing(Part::Map),
    Op::new("MatMulBlockQuantizedFp4Weight", MatrixProduct, blocks::matmul_blocks).domain(MS).inputs(4, 6).formula("2·M·N·K + N·K to unpack (+ |y| bias)").weights("-psssw").packed(blocks::packed_blocks),
    Op::new("MatMulBlockQuantizedFp8Weight", MatrixProduct, blocks::matmul_blocks).domain(MS).inputs(3, 5).formula("2·M·N·K + N·K to unpack (+ |y| bias)").weights("-wssw"),
    Op::new("MatMulBnb4", MatrixProduct, quantized::matmul_nbits).domain(MS).inputs(3, 3).formula("2·M·N·K + 2·N·K to unpack").weights("-ps").packed(quantized::packed_matrix),
    Op::new("MatMulFpQ4", MatrixProduct, blocks::matmul_fp4).domain(MS).inputs(3, 3).formula("2·M·N·K + 2·N·K to unpack; reads the packed weights").weights("-pc").packed(blocks::packed_fp4),
    Op::new("MatMulInteger16", MatrixProduct, blocks::matmul_integer16).domain(MS).inputs(2, 2).formula("2·M·N·K per matrix, integer").weights("-w"),
    Op::new("MatMulIntegerToFloat", MatrixProduct, quantized::matmul_to_float).domain(MS).inputs(4, 7).formula("2·M·N·K integer + 2·|y|").weights("-wssssw"),
    Op::new("MatMulNBits", MatrixProduct, quantized::matmul_nbits).domain(MS).inputs(3, 6).formula("2·M·N·K + 2·N·K to unpack; reads the packed weights").weights("-psscw").packed(quantized::packed_matrix),
    Op::new("MatMulNBitsMlp", MatrixProduct, blocks::nbits_mlp).domain(MS).inputs(5, 9).formula("4·M·N·K + 4·N·K to unpack + 6·|y| (+ skip and norm)").weights("--wpswpsw").packed(quantized::packed_matrix),
    Op::new("MatMulNBitsQkv", MatrixProduct, blocks::nbits_qkv).domain(MS).inputs(5, 12).formula("2·M·(Nq+2·Nkv)·K + 2·K·(Nq+2·Nkv) to unpack (+ skip and norm)").weights("--wpswpswpsw").packed(blocks::packed_qkv),
    Op::new("MoE", MatrixProduct, fused::mixture).domain(MS).inputs(5, 8).formula("k experts a token: 2·T·k·(H·I + I·H)").weights("--w"),
    Op::new("MultiHeadAttention", Attention, attention::multi_head).domain(MS).holds(Holds::Cached(&[(6, 1), (7, 2)])).inputs(1, 10).formula("2·B·H·S·T·(Dqk+Dv) + 6 per score").weights("---wcmc"),
    Op::new("NhwcConv", Convolution, fused::conv_last).domain(MS).inputs(2, 3).formula("Conv, channels last").weights("-ww"),
    Op::new("NhwcFusedConv", Convolution, fused::conv_last).domain(MS).inputs(2, 4).formula("FusedConv, channels last").weights("-ww-"),
    Op::new("NhwcMaxPool", Pooling, pooling::max_pool_last).domain(MS).inputs(1, 1).formula("MaxPool, channels last"),
    Op::new("PackedAttention", Attention, variants::packed).domain(MS).inputs(5, 6).formula("≤ projection + 2·N·T·S·(dqk+dv) + 6 per score").weights("-wwccm"),
    Op::new("PackedMultiHeadAttention", Attention, variants::packed_multi_head).domain(MS).inputs(6, 7).formula("≤ 2·N·T·S·(dqk+dv) + 6 per score").weights("---wccm"),
    Op::new("PagedAttention", Attention, variants::paged).domain(MS).holds(Holds::Cached(&[(3, 1), (4, 2)])).inputs(8, 17).formula("≤ 2·Hq·T·K·(dqk+dv) + 6 per score, K keys in the blocks of a sequence").weights("---c"),
    Op::new("QAttention", Attention, attention::quantized).domain(MS).holds(Holds::Cached(&[(8, 1)])).inputs(5, 9).formula("Attention with integer projections").weights("-wwsscssc"),
    Op::new("QEmbedLayerNormalization", Normalization, blocks::embed_norm).domain(MS).inputs(8, 18).formula("EmbedLayerNormalization + 2·|y| per table; reads only the rows it looks up").weights("ccwwwwwcs"),
    Op::new("QGemm", MatrixProduct, quantized::gemm).domain(MS).inputs(6, 9).formula("2·M·N·K integer + 2·|y|").weights("-sswsswss"),
    Op::new("QLinearAdd", Elementwise, quantized::binary).domain(MS).inputs(7, 8).formula("8·|y| integer").weights("qssqssss"),
    Op::new("QLinearAveragePool", Pooling, quantized::average_pool).domain(MS).inputs(4, 5).formula("|y|·(∏k + 2) integer").weights("-s"),
    Op::new("QLinearConcat", Movement, quantized::concat).domain(MS).inputs(3, ANY).formula("4·|y| integer").weights("ssdssdssdssdssdssdssdssdss"),
    Op::new("QLinearConv", Convolution, quantized::conv).domain(MS).inputs(8, 9).formula("2·|y|·(Cin/g)·∏k integer (+ |y| bias)").weights("-sswssssw"),
    Op::new("QLinearGlobalAveragePool", Pooling, quantized::global_average).domain(MS).inputs(4, 5).formula("|x| + 2·|y| integer").weights("-s").playing(Part::Row),
    Op::new("QLinearLeakyRelu", Elementwise, quantized::unary).domain(MS).inputs(4, 5).formula("a look-up an element").weights("-s"),
    Op::new("QLinearMul", Elementwise, quantized::binary).domain(MS).inputs(7, 8).formula("8·|y| integer").weights("qssqssss"),
    Op::new("QLinearReduceMean", Reduction, quantized::reduce_mean).domain(MS).inputs(4, 5).formula("|x| + 2·|y| integer").weights("-s"),
    Op::new("QLinearSigmoid", Elementwise, quantized::unary).domain(MS).inputs(4, 5).formula("a look-up an element").weights("-s"),
    Op::new("QLinearSoftmax", Normalization, quantized::unary).domain(MS).inputs(5, 5).formula("a look-up, a sum and a division an element").weights("-s"),
    Op::new("QLinearWhere", Elementwise, quantized::where_).domain(MS).inputs(8, 9).formula("4·|y| integer").weights("cqssqssss"),
    Op::new("QMoE", MatrixProduct, fused::mixture).domain(MS).inputs(6, 21).formula("as MoE, packed weights").weights("--pswpswpsws").packed(fused::packed_experts),
    Op::new("QOrderedAttention", Attention, variants::ordered).domain(MS).inputs(17, 20).formula("Attention with integer projections").weights("-sssswwwssswwwssscc"),
    Op::new("QOrderedGelu", Elementwise, layouts::gelu).domain(MS).inputs(3, 3).formula("9·|x|, 1 erf each").weights("-s"),
    Op::new("QOrderedLayerNormalization", Normalization, layouts::layer_norm).domain(MS).inputs(5, 5).formula("11·|x| + 3 per row").weights("-swws"),
    Op::new("QOrderedLongformerAttention", Attention, layouts::longformer).domain(MS).inputs(14, 14).formula("LongformerAttention with integer products").weights("-swswsscwswscs"),
    Op::new("QOrderedMatMul", MatrixProduct, layouts::matmul).domain(MS).inputs(5, 8).formula("2·M·N·K integer + 2·|y| (+ |y| bias, + |y| C)").weights("-swssw-s"),
    Op::new("QuantizeLinear", Quantization, quantized::quantize).domain(MS).holds(Holds::Cast).inputs(2, 3).formula("3·|x|").weights(">ss"),
    Op::new("QuantizeWithOrder", Quantization, layouts::quantize).domain(MS).inputs(2, 2).formula("3·|x|").weights(">s"),
    Op::new("QuickGelu", Elementwise, fused::activation::<5, 1>).domain(MS).inputs(1, 1).formula("6·|x|, 1 exp each"),
    Op::new("RelativePositionBias", Attention, variants::relative_bias).domain(MS).inputs(3, 3).weights("wcc").playing(Part::Alone),
    Op::new("RemovePadding", Movement, variants::remove_padding).domain(MS).inputs(2, 2),
    Op::new("RestorePadding", Movement, variants::restore_padding).domain(MS).inputs(2, 2),
    Op::new("Rfft", MatrixProduct, blocks::rfft).domain(MS).inputs(1, 1).formula("2.5·|x|·⌈log2 n⌉"),
    Op::new("RotaryEmbedding", Attention, attention::rotary).domain(MS).inputs(4, 4).formula("3·|x|").weights("-ccc").playing(Part::Map),
    Op::new("Sampling", Control, generation::sampling).domain(MS).inputs(2, 9).formula("≤ prompt + steps × decoder"),
    Op::new("SkipGroupNorm", Normalization, blocks::group_norm).domain(MS).inputs(4, 5).formula("GroupNorm + |x| (+ |x| bias)").weights("-ww-w").playing(Part::SumRow),
    Op::new("SkipLayerNormalization", Normalization, fused::skip_norm::<8>).domain(MS).inputs(3, 5).formula("8·|x| (+ |x| bias) + 2 per row").weights("--www").playing(Part::SumRow),
    Op::new("SkipSimplifiedLayerNormalization", Normalization, fused::skip_norm::<5>).domain(MS).inputs(3, 4).formula("5·|x| (+ |x| bias) + 2 per row").weights("--ww").playing(Part::SumRow),
    Op::new("SparseAttention", Attention, variants::sparse).domain(MS).holds(Holds::Cached(&[(3, 1), (4, 2)])).inputs(9, 11).formula("≤ GroupQueryAttention over the whole cache").weights("---c"),
    Op::new("SparseToDenseMatMul", MatrixProduct, blocks::sparse_matmul).domain(MS).inputs(2, 2).formula("≤ 2·M·N·K per matrix").weights("ww"),
    Op::new("Tokenizer", Movement, layouts::tokenizer).domain(MS).inputs(1, 1),
    Op::new("TransposeMatMul", MatrixProduct, fused::matmul).domain(MS).inputs(2, 2).formula("2·M·N·K per matrix (+ |y| for α≠1)").weights("-w"),
    Op::new("Trilu", Movement, blocks::copy).domain(MS).inputs(1, 2).playing(Part::Map),
    Op::new("WhisperBeamSearch", Control, generation::whisper_beam_search).domain(MS).inputs(5, 15).formula("≤ encoder + steps × decoder, for every beam"),
];
