//! What each operator becomes in ONNX's vocabulary: a row each.

use super::site::{Made, Site};
use super::{
    contraction, control, custom, elementwise, movement, quantized, recurrent, slices, stablehlo,
    state,
};
use crate::formats::draft::Op;

/// An operator and what it becomes.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// For people.
    pub(super) becomes: &'static str,
    how: How,
}

enum How {
    /// An operator of ONNX with the same inputs.
    Same(&'static str),
    /// The same, with an activation behind it that the first option names.
    Fused(&'static str),
    /// An operator of this tool's own with the same inputs.
    Own(&'static str),
    By(fn(&mut Site<'_, '_, '_>) -> Made),
}

const fn same(name: &'static str, op: &'static str) -> Row {
    Row { name, becomes: op, how: How::Same(op) }
}

const fn fused(name: &'static str, op: &'static str) -> Row {
    Row { name, becomes: op, how: How::Fused(op) }
}

const fn own(name: &'static str, op: &'static str, becomes: &'static str) -> Row {
    Row { name, becomes, how: How::Own(op) }
}

const fn by(
    name: &'static str,
    becomes: &'static str,
    lower: fn(&mut Site<'_, '_, '_>) -> Made,
) -> Row {
    Row { name, becomes, how: How::By(lower) }
}

/// Operators of the runtime, by name.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    same("ABS", "Abs"),
    fused("ADD", "Add"),
    same("ADD_N", "Sum"),
    by("ARG_MAX", "ArgMax", elementwise::arg_max),
    by("ARG_MIN", "ArgMin", elementwise::arg_min),
    by("ASSIGN_VARIABLE", "rooflens.AssignVariable", state::assign),
    own("ATAN2", "Atan2", "rooflens.Atan2"),
    by("AVERAGE_POOL_2D", "AveragePool, channels last", contraction::average_pool),
    by("BATCH_MATMUL", "MatMul, FusedMatMul", contraction::batch_matmul),
    by("BATCH_TO_SPACE_ND", "rooflens.BatchToSpace", movement::batch_to_space),
    by("BIDIRECTIONAL_SEQUENCE_LSTM", "rooflens.SequenceLSTM twice", recurrent::lstm_both_ways),
    by("BIDIRECTIONAL_SEQUENCE_RNN", "rooflens.SequenceRNN twice", recurrent::rnn_both_ways),
    by("BITCAST", "BitCast", movement::bitcast),
    by("BITWISE_XOR", "Xor, BitwiseXor", elementwise::xor),
    by("BROADCAST_ARGS", "Max", movement::broadcast_args),
    same("BROADCAST_TO", "Expand"),
    by("BUCKETIZE", "rooflens.Bucketize", elementwise::bucketize),
    by("CALL", "put in place", control::call_subgraph),
    by("CALL_ONCE", "nothing: it runs once", state::once),
    by("CAST", "Cast", movement::cast),
    same("CEIL", "Ceil"),
    own("COMPLEX_ABS", "ComplexAbs", "rooflens.ComplexAbs"),
    by("CONCATENATION", "Concat", movement::concatenation),
    by("CONV_2D", "Conv, channels last", contraction::conv_2d),
    by("CONV_3D", "Conv, channels last", contraction::conv_3d),
    by("CONV_3D_TRANSPOSE", "ConvTranspose, channels last", contraction::conv_3d_transpose),
    same("COS", "Cos"),
    by("CUMSUM", "CumSum", elementwise::cumsum),
    by("DELEGATE", "refused", control::delegate),
    by("DENSIFY", "a stored sparse tensor", quantized::densify),
    by("DEPTHWISE_CONV_2D", "Conv, channels last, a group each", contraction::depthwise),
    by("DEPTH_TO_SPACE", "DepthToSpace, channels last", movement::depth_to_space),
    by("DEQUANTIZE", "DequantizeLinear, Cast", quantized::dequantize),
    own("DILATE", "Dilate", "rooflens.Dilate"),
    fused("DIV", "Div"),
    by("DYNAMIC_UPDATE_SLICE", "rooflens.UpdateSlice", movement::updated),
    same("ELU", "Elu"),
    by("EMBEDDING_LOOKUP", "Gather", contraction::embedding),
    by("EMBEDDING_LOOKUP_SPARSE", "rooflens.EmbeddingSum", contraction::embedding_sum),
    same("EQUAL", "Equal"),
    same("EXP", "Exp"),
    by("EXPAND_DIMS", "Unsqueeze", movement::expand_dims),
    by("FAKE_QUANT", "QuantizeLinear, DequantizeLinear", quantized::fake),
    by("FILL", "Expand", movement::fill),
    same("FLOOR", "Floor"),
    by("FLOOR_DIV", "Div, Floor", elementwise::floor_div),
    by("FLOOR_MOD", "Mod", elementwise::remainder),
    by("FULLY_CONNECTED", "Gemm", contraction::fully_connected),
    by("GATHER", "Gather, GatherND", movement::gather),
    same("GATHER_ND", "GatherND"),
    by("GELU", "Gelu", elementwise::gelu),
    same("GREATER", "Greater"),
    same("GREATER_EQUAL", "GreaterOrEqual"),
    same("HARD_SWISH", "HardSwish"),
    by("HASHTABLE", "nothing: a name", state::once),
    by("HASHTABLE_FIND", "rooflens.TableFind", state::find),
    by("HASHTABLE_IMPORT", "nothing: it runs once", state::once),
    by("HASHTABLE_LOOKUP", "rooflens.HashtableLookup", contraction::rows_by_key),
    by("IF", "If", control::if_),
    own("IMAG", "RealPart", "rooflens.RealPart"),
    by("L2_NORMALIZATION", "LpNormalization", elementwise::l2_normalization),
    by("L2_POOL_2D", "LpPool, channels last", contraction::l2_pool),
    by("LEAKY_RELU", "LeakyRelu", elementwise::leaky_relu),
    same("LESS", "Less"),
    same("LESS_EQUAL", "LessOrEqual"),
    by("LOCAL_RESPONSE_NORMALIZATION", "LRN, channels last", elementwise::lrn),
    same("LOG", "Log"),
    same("LOGICAL_AND", "And"),
    same("LOGICAL_NOT", "Not"),
    same("LOGICAL_OR", "Or"),
    same("LOGISTIC", "Sigmoid"),
    by("LOG_SOFTMAX", "LogSoftmax", elementwise::log_softmax),
    by("LSTM", "rooflens.LSTMStep, rooflens.SequenceLSTM", recurrent::lstm),
    own("MATRIX_DIAG", "MatrixDiag", "rooflens.MatrixDiag"),
    own("MATRIX_SET_DIAG", "MatrixSetDiag", "rooflens.MatrixSetDiag"),
    same("MAXIMUM", "Max"),
    by("MAX_POOL_2D", "MaxPool, channels last", contraction::max_pool),
    by("MEAN", "ReduceMean", elementwise::mean),
    same("MINIMUM", "Min"),
    by("MIRROR_PAD", "Pad", movement::mirror_pad),
    fused("MUL", "Mul"),
    by("MULTINOMIAL", "Multinomial", movement::multinomial),
    same("NEG", "Neg"),
    by("NON_MAX_SUPPRESSION_V4", "rooflens.PaddedSuppression", elementwise::suppression_hard),
    by("NON_MAX_SUPPRESSION_V5", "rooflens.PaddedSuppression", elementwise::suppression_soft),
    by("NOT_EQUAL", "Equal, Not", elementwise::not_equal),
    by("ONE_HOT", "OneHot", movement::one_hot),
    by("PACK", "Unsqueeze, Concat", movement::pack),
    by("PAD", "Pad", movement::pad),
    by("PADV2", "Pad", movement::pad),
    same("POW", "Pow"),
    same("PRELU", "PRelu"),
    by("QUANTIZE", "QuantizeLinear, rooflens.Requantize", quantized::quantize),
    by("RANDOM_STANDARD_NORMAL", "RandomNormalLike", movement::random_normal),
    by("RANDOM_UNIFORM", "RandomUniformLike", movement::random_uniform),
    same("RANGE", "Range"),
    by("RANK", "Shape, Size", movement::rank),
    by("READ_VARIABLE", "rooflens.State, rooflens.ReadVariable", state::read),
    own("REAL", "RealPart", "rooflens.RealPart"),
    by("REDUCE_ALL", "ReduceMin", elementwise::least),
    by("REDUCE_ANY", "ReduceMax", elementwise::most),
    by("REDUCE_MAX", "ReduceMax", elementwise::most),
    by("REDUCE_MIN", "ReduceMin", elementwise::least),
    by("REDUCE_PROD", "ReduceProd", elementwise::product),
    by("REDUCE_WINDOW", "rooflens.ReduceWindow", contraction::reduce_window),
    same("RELU", "Relu"),
    by("RELU6", "Clip", elementwise::relu6),
    by("RELU_0_TO_1", "Clip", elementwise::relu_to_one),
    by("RELU_N1_TO_1", "Clip", elementwise::relu_around_zero),
    by("RESHAPE", "Reshape", movement::reshape),
    by("RESIZE_BILINEAR", "Resize, channels last", movement::resize_bilinear),
    by("RESIZE_NEAREST_NEIGHBOR", "Resize, channels last", movement::resize_nearest),
    by("REVERSE_SEQUENCE", "ReverseSequence", movement::reverse_sequence),
    by("REVERSE_V2", "Slice", movement::reverse),
    own("RFFT2D", "RFFT2D", "rooflens.RFFT2D"),
    by("RIGHT_SHIFT", "BitShift", elementwise::shift_right),
    by("RNN", "rooflens.SequenceRNN", recurrent::rnn),
    same("ROUND", "Round"),
    by("RSQRT", "Sqrt, Reciprocal", elementwise::rsqrt),
    by("SCATTER_ND", "ScatterND", movement::scatter_nd),
    by("SEGMENT_SUM", "rooflens.SegmentReduce", elementwise::segments),
    by("SELECT", "Where", elementwise::select),
    same("SELECT_V2", "Where"),
    by("SHAPE", "Shape", movement::shape),
    same("SIGN", "Sign"),
    same("SIN", "Sin"),
    by("SLICE", "Slice, rooflens.DynamicSlice", slices::slice),
    by("SOFTMAX", "Softmax", elementwise::softmax),
    by("SPACE_TO_BATCH_ND", "rooflens.SpaceToBatch", movement::space_to_batch),
    by("SPACE_TO_DEPTH", "SpaceToDepth, channels last", movement::space_to_depth),
    by("SPARSE_TO_DENSE", "ScatterND", movement::sparse_to_dense),
    by("SPLIT", "Split", movement::split),
    by("SPLIT_V", "Split", movement::split_by_sizes),
    same("SQRT", "Sqrt"),
    by("SQUARE", "Mul", elementwise::square),
    by("SQUARED_DIFFERENCE", "Sub, Mul", elementwise::squared_difference),
    by("SQUEEZE", "Squeeze", movement::squeeze),
    same("STABLEHLO_ABS", "Abs"),
    same("STABLEHLO_ADD", "Add"),
    by("STABLEHLO_AND", "And, BitwiseAnd", elementwise::and),
    by("STABLEHLO_BROADCAST_IN_DIM", "Reshape, Expand", movement::broadcast_in_dim),
    by("STABLEHLO_CASE", "If", control::case),
    by("STABLEHLO_CBRT", "Pow", elementwise::cube_root),
    by("STABLEHLO_CLAMP", "Clip", elementwise::clamp),
    by("STABLEHLO_COMPARE", "Equal, Less …", elementwise::compare),
    by("STABLEHLO_COMPOSITE", "put in place", control::composite),
    by("STABLEHLO_CONCATENATE", "Concat", movement::concatenate),
    by("STABLEHLO_CONVERT", "Cast", movement::cast),
    by("STABLEHLO_CONVOLUTION", "Conv", contraction::general_convolution),
    same("STABLEHLO_COSINE", "Cos"),
    same("STABLEHLO_DIVIDE", "Div"),
    by("STABLEHLO_DOT_GENERAL", "Einsum", contraction::dot_general),
    by("STABLEHLO_DYNAMIC_SLICE", "rooflens.DynamicSlice", slices::dynamic_slice),
    by("STABLEHLO_DYNAMIC_UPDATE_SLICE", "rooflens.UpdateSlice", movement::updated),
    same("STABLEHLO_EXPONENTIAL", "Exp"),
    same("STABLEHLO_FLOOR", "Floor"),
    by("STABLEHLO_GATHER", "rooflens.Moved", movement::moved),
    by("STABLEHLO_IOTA", "Range, Expand", movement::iota),
    same("STABLEHLO_LOG", "Log"),
    same("STABLEHLO_LOGISTIC", "Sigmoid"),
    same("STABLEHLO_MAXIMUM", "Max"),
    same("STABLEHLO_MINIMUM", "Min"),
    same("STABLEHLO_MULTIPLY", "Mul"),
    same("STABLEHLO_NEGATE", "Neg"),
    by("STABLEHLO_OR", "Or, BitwiseOr", elementwise::or),
    by("STABLEHLO_PAD", "rooflens.Dilate, Pad", movement::pad_by_option),
    same("STABLEHLO_POWER", "Pow"),
    by("STABLEHLO_REDUCE", "ReduceSum …", elementwise::general_reduction),
    by("STABLEHLO_REDUCE_WINDOW", "rooflens.ReduceWindow", contraction::general_window),
    by("STABLEHLO_REMAINDER", "Mod", elementwise::remainder),
    by("STABLEHLO_RESHAPE", "Reshape", movement::reshape_as_stated),
    by("STABLEHLO_RNG_BIT_GENERATOR", "RandomUniformLike", stablehlo::random_bits),
    by("STABLEHLO_RSQRT", "Sqrt, Reciprocal", elementwise::rsqrt),
    by("STABLEHLO_SCATTER", "rooflens.UpdateSlice", stablehlo::scatter),
    same("STABLEHLO_SELECT", "Where"),
    by("STABLEHLO_SHIFT_LEFT", "BitShift", elementwise::shift_left),
    by("STABLEHLO_SLICE", "Slice", slices::slice_by_option),
    by("STABLEHLO_SORT", "rooflens.Sort", movement::sort),
    same("STABLEHLO_SUBTRACT", "Sub"),
    same("STABLEHLO_TANH", "Tanh"),
    by("STABLEHLO_TRANSPOSE", "Transpose", movement::transpose_by_option),
    by("STABLEHLO_WHILE", "Loop", control::while_),
    by("STRIDED_SLICE", "Slice, Gather, Squeeze, Unsqueeze", slices::strided_slice),
    fused("SUB", "Sub"),
    by("SUM", "ReduceSum", elementwise::sum),
    by("SVDF", "rooflens.SVDF", recurrent::svdf),
    same("TANH", "Tanh"),
    same("TILE", "Tile"),
    by("TOPK_V2", "TopK", movement::top_k),
    by("TRANSPOSE", "Transpose", movement::transpose),
    by("TRANSPOSE_CONV", "ConvTranspose, channels last", contraction::transpose_conv),
    by("UNIDIRECTIONAL_SEQUENCE_LSTM", "rooflens.SequenceLSTM", recurrent::lstm_sequence),
    by("UNIDIRECTIONAL_SEQUENCE_RNN", "rooflens.SequenceRNN", recurrent::rnn),
    by("UNIQUE", "Unique", movement::unique),
    by("UNPACK", "Split, Squeeze", movement::unpack),
    by("UNSORTED_SEGMENT_MAX", "rooflens.SegmentReduce", elementwise::segments),
    by("UNSORTED_SEGMENT_MIN", "rooflens.SegmentReduce", elementwise::segments),
    by("UNSORTED_SEGMENT_PROD", "rooflens.SegmentReduce", elementwise::segments),
    by("UNSORTED_SEGMENT_SUM", "rooflens.SegmentReduce", elementwise::segments),
    by("VAR_HANDLE", "nothing: a name", state::handle),
    by("WHERE", "NonZero, Transpose", movement::places),
    by("WHILE", "Loop", control::while_),
    by("ZEROS_LIKE", "Expand", movement::zeros_like),
];

/// Operators that are not of the runtime, by name.
#[rustfmt::skip]
pub(super) const CUSTOM: &[Row] = &[
    by("Convolution2DTransposeBias", "ConvTranspose, channels last", contraction::transpose_conv_with_bias),
    same("FlexAbs", "Abs"),
    same("FlexAcos", "Acos"),
    same("FlexAcosh", "Acosh"),
    same("FlexAdd", "Add"),
    same("FlexAddV2", "Add"),
    same("FlexAsin", "Asin"),
    same("FlexAsinh", "Asinh"),
    same("FlexAtan", "Atan"),
    same("FlexAtanh", "Atanh"),
    same("FlexCosh", "Cosh"),
    same("FlexErf", "Erf"),
    same("FlexExp", "Exp"),
    same("FlexFloor", "Floor"),
    same("FlexInv", "Reciprocal"),
    same("FlexIsInf", "IsInf"),
    same("FlexIsNan", "IsNaN"),
    same("FlexMaximum", "Max"),
    same("FlexMinimum", "Min"),
    same("FlexMul", "Mul"),
    same("FlexNeg", "Neg"),
    same("FlexPow", "Pow"),
    same("FlexReciprocal", "Reciprocal"),
    same("FlexRelu", "Relu"),
    same("FlexRound", "Round"),
    same("FlexSelu", "Selu"),
    same("FlexSigmoid", "Sigmoid"),
    same("FlexSign", "Sign"),
    same("FlexSinh", "Sinh"),
    same("FlexSoftplus", "Softplus"),
    same("FlexSoftsign", "Softsign"),
    same("FlexSqrt", "Sqrt"),
    same("FlexSub", "Sub"),
    same("FlexTan", "Tan"),
    same("FlexTanh", "Tanh"),
    same("FlexXdivy", "Div"),
    by("Landmarks2TransformMatrix", "rooflens.Moved", movement::matrix_of_points),
    by("Landmarks2TransformMatrixV2", "rooflens.Moved", movement::matrix_of_points),
    by("MaxPoolingWithArgmax2D", "MaxPool, channels last", contraction::max_pool_with_places),
    by("MaxUnpooling2D", "rooflens.Moved", movement::moved),
    by("Resampler", "rooflens.Moved", movement::sampled),
    by("TFLite_Detection_PostProcess", "rooflens.DetectionPostProcess", custom::detections),
    by("TransformLandmarks", "rooflens.Moved", movement::moved_points),
    by("TransformLandmarksV2", "rooflens.Moved", movement::moved_points),
    by("TransformTensorBilinear", "rooflens.Moved", movement::sampled),
    by("TransformTensorBilinearV2", "rooflens.Moved", movement::sampled),
    by("UnidirectionalSequenceGRU", "rooflens.SequenceGRU", recurrent::gru_sequence),
];

/// Writes what the operator at a site becomes; nothing where no row knows it.
pub(super) fn lower(site: &mut Site<'_, '_, '_>) -> Made {
    match find(&site.op.name, site.op.custom) {
        Some(row) => row.lower(site),
        None => Ok(None),
    }
}

/// The row of an operator.
pub(super) fn find(name: &str, custom: bool) -> Option<&'static Row> {
    let rows = if custom { CUSTOM } else { ROWS };
    let at = rows.binary_search_by(|row| row.name.cmp(name)).ok()?;
    rows.get(at)
}

impl Row {
    /// Writes what an operator becomes.
    fn lower(&self, site: &mut Site<'_, '_, '_>) -> Made {
        let op = match self.how {
            How::By(lower) => return lower(site),
            How::Same(op) | How::Fused(op) => Op::onnx(op),
            How::Own(op) => Op::own(op),
        };
        let inputs = site.inputs()?;
        let y = site.node(op, &inputs)?;
        let fused = matches!(self.how, How::Fused(_));
        Ok(Some(vec![if fused { site.activated(y, 0)? } else { y }]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::OPERATORS;
    use super::*;

    #[test]
    fn rows_are_sorted_each_once_and_of_the_schema() {
        for rows in [ROWS, CUSTOM] {
            assert!(rows.windows(2).all(|pair| pair[0].name < pair[1].name));
        }
        for row in ROWS {
            assert!(OPERATORS.contains(&row.name), "{}", row.name);
        }
    }

    #[test]
    fn nearly_all_operators_of_the_runtime_have_a_row() {
        let without: Vec<&str> =
            OPERATORS.iter().copied().filter(|name| find(name, false).is_none()).collect();
        assert_eq!(
            without,
            [
                "LSH_PROJECTION",
                "CONCAT_EMBEDDINGS",
                "SKIP_GRAM",
                "CUSTOM",
                "PLACEHOLDER_FOR_GREATER_OP_CODES",
                "HASHTABLE_SIZE",
                "STABLEHLO_CUSTOM_CALL",
            ]
        );
    }

    #[test]
    fn what_operators_become_is_known() {
        for row in ROWS.iter().chain(CUSTOM) {
            let (domain, op) = match row.how {
                How::Same(op) | How::Fused(op) => ("", op),
                How::Own(op) => (crate::ir::OWN_DOMAIN, op),
                How::By(_) => continue,
            };
            assert!(crate::ops::find(domain, op).is_some(), "{}: {op}", row.name);
        }
    }
}
