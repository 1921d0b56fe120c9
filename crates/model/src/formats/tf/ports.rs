//! Names of the outputs of operators: bodies of functions read by name and not by number.

/// Operators with several outputs, and their names in order; `=` says which attribute has their number: a list of
/// types, or after `#` the number itself. Those that are not here have one output.
const OUTPUTS: &[(&str, &str)] = &[
    ("BlockLSTM", "i cs f o ci co h"),
    ("BlockLSTMV2", "i cs f o ci co h"),
    ("BroadcastGradientArgs", "r0 r1"),
    ("Case", "output=Tout"),
    ("CombinedNonMaxSuppression", "nmsed_boxes nmsed_scores nmsed_classes valid_detections"),
    ("ConcatOffset", "offset=#N"),
    ("CudnnRNN", "output output_h output_c reserve_space"),
    ("CudnnRNNV2", "output output_h output_c reserve_space host_reserved"),
    ("CudnnRNNV3", "output output_h output_c reserve_space host_reserved"),
    ("DecodeWav", "audio sample_rate"),
    ("DynamicPartition", "outputs=#num_partitions"),
    ("For", "output=T"),
    ("FractionalAvgPool", "output row_pooling_sequence col_pooling_sequence"),
    ("FractionalMaxPool", "output row_pooling_sequence col_pooling_sequence"),
    ("FusedBatchNorm", "y batch_mean batch_variance reserve_space_1 reserve_space_2"),
    ("FusedBatchNormV2", "y batch_mean batch_variance reserve_space_1 reserve_space_2"),
    (
        "FusedBatchNormV3",
        "y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3",
    ),
    ("GRUBlockCell", "r u c h"),
    ("IdentityN", "output=T"),
    ("If", "output=Tout"),
    ("LSTMBlockCell", "i cs f o ci co h"),
    ("MaxPoolWithArgmax", "output argmax"),
    ("Merge", "output value_index"),
    ("NonMaxSuppressionV4", "selected_indices valid_outputs"),
    ("NonMaxSuppressionV5", "selected_indices selected_scores valid_outputs"),
    (
        "ParseExample",
        "sparse_indices=#Nsparse sparse_values=sparse_types sparse_shapes=#Nsparse dense_values=Tdense",
    ),
    (
        "ParseExampleV2",
        "sparse_indices=#num_sparse sparse_values=sparse_types sparse_shapes=#num_sparse dense_values=Tdense ragged_values=ragged_value_types ragged_row_splits=ragged_split_types",
    ),
    (
        "ParseSingleExample",
        "sparse_indices=#num_sparse sparse_values=sparse_types sparse_shapes=#num_sparse dense_values=Tdense",
    ),
    ("PartitionedCall", "output=Tout"),
    ("Qr", "q r"),
    ("QuantizeV2", "output output_min output_max"),
    ("QuantizedConv2D", "output min_output max_output"),
    ("QuantizedMatMul", "out min_out max_out"),
    ("QuantizedRelu", "activations min_activations max_activations"),
    ("RaggedGather", "output_nested_splits=#OUTPUT_RAGGED_RANK output_dense_values"),
    ("RaggedRange", "rt_nested_splits rt_dense_values"),
    ("RaggedTensorToSparse", "sparse_indices sparse_values sparse_dense_shape"),
    ("RefSwitch", "output_false output_true"),
    ("RemoteCall", "output=Tout"),
    ("RequantizationRange", "output_min output_max"),
    ("Requantize", "output output_min output_max"),
    ("RestoreV2", "tensors=dtypes"),
    ("ShapeN", "output=#N"),
    ("SoftmaxCrossEntropyWithLogits", "loss backprop"),
    ("SparseCross", "output_indices output_values output_shape"),
    ("SparseCrossV2", "output_indices output_values output_shape"),
    ("SparseFillEmptyRows", "output_indices output_values empty_row_indicator reverse_index_map"),
    ("SparseReshape", "output_indices output_shape"),
    ("Split", "output=#num_split"),
    ("SplitV", "output=#num_split"),
    ("StatefulPartitionedCall", "output=Tout"),
    ("StatelessCase", "output=Tout"),
    ("StatelessIf", "output=Tout"),
    ("StatelessRandomGetKeyCounter", "key counter"),
    ("StatelessWhile", "output=T"),
    ("StringNGrams", "ngrams ngrams_splits"),
    ("StringSplitV2", "indices values shape"),
    ("Svd", "s u v"),
    ("Switch", "output_false output_true"),
    ("SymbolicGradient", "output=Tout"),
    ("TensorArrayV3", "handle flow"),
    ("TensorListConcat", "tensor lengths"),
    ("TensorListConcatV2", "tensor lengths"),
    ("TensorListPopBack", "output_handle tensor"),
    ("TopK", "values indices"),
    ("TopKV2", "values indices"),
    ("UnicodeDecode", "row_splits char_values"),
    ("Unique", "y idx"),
    ("UniqueV2", "y idx"),
    ("UniqueWithCounts", "y idx count"),
    ("UniqueWithCountsV2", "y idx count"),
    ("Unpack", "output=#num"),
    ("While", "output=T"),
];

/// How many outputs stand under one name.
pub(super) enum Count<'a> {
    One,
    /// As the attribute says.
    Number(&'a str),
    /// As long as the list of types in the attribute.
    Types(&'a str),
}

/// The outputs of an operator in order; none of one that is not known.
pub(super) fn outputs(op: &str) -> Option<impl Iterator<Item = (&'static str, Count<'static>)>> {
    let at = OUTPUTS.binary_search_by(|(name, _)| (*name).cmp(op)).ok()?;
    Some(OUTPUTS[at].1.split(' ').map(|part| match part.split_once('=') {
        None => (part, Count::One),
        Some((name, attr)) => match attr.strip_prefix('#') {
            Some(number) => (name, Count::Number(number)),
            None => (name, Count::Types(attr)),
        },
    }))
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_are_sorted() {
        assert!(super::OUTPUTS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
