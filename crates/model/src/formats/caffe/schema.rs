//! Numbers of the fields of Caffe's messages, for files that are not text.
//!
//! Source: BVLC/caffe, `src/caffe/proto/caffe.proto`. Numbers in blobs are not among them: they are never read.

/// How a field lies in the file.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A varint: integers, truth values, enums.
    Int,
    /// Four bytes.
    Float,
    /// Bytes of a string.
    Text,
    /// A message of this type.
    Message(&'static str),
}

/// A field: its number, its name, and how it lies in the file.
pub(super) type Field = (u32, &'static str, Kind);

/// The fields of each message.
#[rustfmt::skip]
pub(super) const MESSAGES: &[(&str, &[Field])] = &[
    ("AccuracyParameter", &[
        (1, "top_k", Kind::Int), (2, "axis", Kind::Int), (3, "ignore_label", Kind::Int),
    ]),
    ("ArgMaxParameter", &[
        (1, "out_max_val", Kind::Int), (2, "top_k", Kind::Int), (3, "axis", Kind::Int),
    ]),
    ("BatchNormParameter", &[
        (1, "use_global_stats", Kind::Int), (2, "moving_average_fraction", Kind::Float), (3, "eps", Kind::Float),
    ]),
    ("BiasParameter", &[
        (1, "axis", Kind::Int), (2, "num_axes", Kind::Int),
    ]),
    ("BlobProto", &[
        (1, "num", Kind::Int), (2, "channels", Kind::Int), (3, "height", Kind::Int), (4, "width", Kind::Int), (7, "shape", Kind::Message("BlobShape")),
    ]),
    ("BlobShape", &[
        (1, "dim", Kind::Int),
    ]),
    ("ClipParameter", &[
        (1, "min", Kind::Float), (2, "max", Kind::Float),
    ]),
    ("ConcatParameter", &[
        (1, "concat_dim", Kind::Int), (2, "axis", Kind::Int),
    ]),
    ("ContrastiveLossParameter", &[
        (1, "margin", Kind::Float), (2, "legacy_version", Kind::Int),
    ]),
    ("ConvolutionParameter", &[
        (1, "num_output", Kind::Int), (2, "bias_term", Kind::Int), (3, "pad", Kind::Int), (4, "kernel_size", Kind::Int), (5, "group", Kind::Int),
        (6, "stride", Kind::Int), (9, "pad_h", Kind::Int), (10, "pad_w", Kind::Int), (11, "kernel_h", Kind::Int), (12, "kernel_w", Kind::Int),
        (13, "stride_h", Kind::Int), (14, "stride_w", Kind::Int), (15, "engine", Kind::Int), (16, "axis", Kind::Int),
        (17, "force_nd_im2col", Kind::Int), (18, "dilation", Kind::Int),
    ]),
    ("CropParameter", &[
        (1, "axis", Kind::Int), (2, "offset", Kind::Int),
    ]),
    ("DataParameter", &[
        (1, "source", Kind::Text), (2, "scale", Kind::Float), (3, "mean_file", Kind::Text), (4, "batch_size", Kind::Int), (5, "crop_size", Kind::Int),
        (6, "mirror", Kind::Int), (7, "rand_skip", Kind::Int), (8, "backend", Kind::Int), (9, "force_encoded_color", Kind::Int),
        (10, "prefetch", Kind::Int),
    ]),
    ("DropoutParameter", &[
        (1, "dropout_ratio", Kind::Float),
    ]),
    ("DummyDataParameter", &[
        (2, "num", Kind::Int), (3, "channels", Kind::Int), (4, "height", Kind::Int), (5, "width", Kind::Int), (6, "shape", Kind::Message("BlobShape")),
    ]),
    ("ELUParameter", &[
        (1, "alpha", Kind::Float),
    ]),
    ("EltwiseParameter", &[
        (1, "operation", Kind::Int), (2, "coeff", Kind::Float), (3, "stable_prod_grad", Kind::Int),
    ]),
    ("EmbedParameter", &[
        (1, "num_output", Kind::Int), (2, "input_dim", Kind::Int), (3, "bias_term", Kind::Int),
    ]),
    ("ExpParameter", &[
        (1, "base", Kind::Float), (2, "scale", Kind::Float), (3, "shift", Kind::Float),
    ]),
    ("FlattenParameter", &[
        (1, "axis", Kind::Int), (2, "end_axis", Kind::Int),
    ]),
    ("HDF5DataParameter", &[
        (1, "source", Kind::Text), (2, "batch_size", Kind::Int), (3, "shuffle", Kind::Int),
    ]),
    ("HDF5OutputParameter", &[
        (1, "file_name", Kind::Text),
    ]),
    ("HingeLossParameter", &[
        (1, "norm", Kind::Int),
    ]),
    ("ImageDataParameter", &[
        (1, "source", Kind::Text), (2, "scale", Kind::Float), (3, "mean_file", Kind::Text), (4, "batch_size", Kind::Int), (5, "crop_size", Kind::Int),
        (6, "mirror", Kind::Int), (7, "rand_skip", Kind::Int), (8, "shuffle", Kind::Int), (9, "new_height", Kind::Int), (10, "new_width", Kind::Int),
        (11, "is_color", Kind::Int), (12, "root_folder", Kind::Text),
    ]),
    ("InfogainLossParameter", &[
        (1, "source", Kind::Text), (2, "axis", Kind::Int),
    ]),
    ("InnerProductParameter", &[
        (1, "num_output", Kind::Int), (2, "bias_term", Kind::Int), (5, "axis", Kind::Int), (6, "transpose", Kind::Int),
    ]),
    ("InputParameter", &[
        (1, "shape", Kind::Message("BlobShape")),
    ]),
    ("LRNParameter", &[
        (1, "local_size", Kind::Int), (2, "alpha", Kind::Float), (3, "beta", Kind::Float), (4, "norm_region", Kind::Int), (5, "k", Kind::Float),
        (6, "engine", Kind::Int),
    ]),
    ("DetectionOutputParameter", &[
        (1, "num_classes", Kind::Int), (7, "keep_top_k", Kind::Int),
    ]),
    ("LayerParameter", &[
        (1, "name", Kind::Text), (2, "type", Kind::Text), (3, "bottom", Kind::Text), (4, "top", Kind::Text), (5, "loss_weight", Kind::Float),
        (6, "param", Kind::Message("ParamSpec")), (7, "blobs", Kind::Message("BlobProto")), (8, "include", Kind::Message("NetStateRule")),
        (9, "exclude", Kind::Message("NetStateRule")), (10, "phase", Kind::Int), (11, "propagate_down", Kind::Int),
        (102, "accuracy_param", Kind::Message("AccuracyParameter")), (103, "argmax_param", Kind::Message("ArgMaxParameter")),
        (104, "concat_param", Kind::Message("ConcatParameter")), (105, "contrastive_loss_param", Kind::Message("ContrastiveLossParameter")),
        (106, "convolution_param", Kind::Message("ConvolutionParameter")), (107, "data_param", Kind::Message("DataParameter")),
        (108, "dropout_param", Kind::Message("DropoutParameter")), (109, "dummy_data_param", Kind::Message("DummyDataParameter")),
        (110, "eltwise_param", Kind::Message("EltwiseParameter")), (111, "exp_param", Kind::Message("ExpParameter")),
        (112, "hdf5_data_param", Kind::Message("HDF5DataParameter")), (113, "hdf5_output_param", Kind::Message("HDF5OutputParameter")),
        (114, "hinge_loss_param", Kind::Message("HingeLossParameter")), (115, "image_data_param", Kind::Message("ImageDataParameter")),
        (116, "infogain_loss_param", Kind::Message("InfogainLossParameter")), (117, "inner_product_param", Kind::Message("InnerProductParameter")),
        (118, "lrn_param", Kind::Message("LRNParameter")), (119, "memory_data_param", Kind::Message("MemoryDataParameter")),
        (120, "mvn_param", Kind::Message("MVNParameter")), (121, "pooling_param", Kind::Message("PoolingParameter")),
        (122, "power_param", Kind::Message("PowerParameter")), (123, "relu_param", Kind::Message("ReLUParameter")),
        (124, "sigmoid_param", Kind::Message("SigmoidParameter")), (125, "softmax_param", Kind::Message("SoftmaxParameter")),
        (126, "slice_param", Kind::Message("SliceParameter")), (127, "tanh_param", Kind::Message("TanHParameter")),
        (128, "threshold_param", Kind::Message("ThresholdParameter")), (129, "window_data_param", Kind::Message("WindowDataParameter")),
        (130, "python_param", Kind::Message("PythonParameter")), (131, "prelu_param", Kind::Message("PReLUParameter")),
        (132, "spp_param", Kind::Message("SPPParameter")), (133, "reshape_param", Kind::Message("ReshapeParameter")),
        (134, "log_param", Kind::Message("LogParameter")), (135, "flatten_param", Kind::Message("FlattenParameter")),
        (136, "reduction_param", Kind::Message("ReductionParameter")), (137, "embed_param", Kind::Message("EmbedParameter")),
        (138, "tile_param", Kind::Message("TileParameter")), (139, "batch_norm_param", Kind::Message("BatchNormParameter")),
        (140, "elu_param", Kind::Message("ELUParameter")), (141, "bias_param", Kind::Message("BiasParameter")),
        (142, "scale_param", Kind::Message("ScaleParameter")), (143, "input_param", Kind::Message("InputParameter")),
        (144, "crop_param", Kind::Message("CropParameter")), (145, "parameter_param", Kind::Message("ParameterParameter")),
        (146, "recurrent_param", Kind::Message("RecurrentParameter")), (147, "swish_param", Kind::Message("SwishParameter")),
        (148, "clip_param", Kind::Message("ClipParameter")),
        // Forks: SSD and R-CNN.
        (202, "permute_param", Kind::Message("PermuteParameter")), (203, "prior_box_param", Kind::Message("PriorBoxParameter")),
        (204, "detection_output_param", Kind::Message("DetectionOutputParameter")), (206, "norm_param", Kind::Message("NormalizeParameter")),
        (8_266_711, "roi_pooling_param", Kind::Message("ROIPoolingParameter")),
    ]),
    ("LogParameter", &[
        (1, "base", Kind::Float), (2, "scale", Kind::Float), (3, "shift", Kind::Float),
    ]),
    ("MVNParameter", &[
        (1, "normalize_variance", Kind::Int), (2, "across_channels", Kind::Int), (3, "eps", Kind::Float),
    ]),
    ("MemoryDataParameter", &[
        (1, "batch_size", Kind::Int), (2, "channels", Kind::Int), (3, "height", Kind::Int), (4, "width", Kind::Int),
    ]),
    ("NetParameter", &[
        (1, "name", Kind::Text), (2, "layers", Kind::Message("V1LayerParameter")), (3, "input", Kind::Text), (4, "input_dim", Kind::Int),
        (5, "force_backward", Kind::Int), (6, "state", Kind::Message("NetState")), (7, "debug_info", Kind::Int),
        (8, "input_shape", Kind::Message("BlobShape")), (100, "layer", Kind::Message("LayerParameter")),
    ]),
    ("NetState", &[
        (1, "phase", Kind::Int), (2, "level", Kind::Int), (3, "stage", Kind::Text),
    ]),
    ("NetStateRule", &[
        (1, "phase", Kind::Int), (2, "min_level", Kind::Int), (3, "max_level", Kind::Int), (4, "stage", Kind::Text), (5, "not_stage", Kind::Text),
    ]),
    ("PReLUParameter", &[
        (2, "channel_shared", Kind::Int),
    ]),
    ("ParamSpec", &[
        (1, "name", Kind::Text), (2, "share_mode", Kind::Int), (3, "lr_mult", Kind::Float), (4, "decay_mult", Kind::Float),
    ]),
    ("ParameterParameter", &[
        (1, "shape", Kind::Message("BlobShape")),
    ]),
    ("PoolingParameter", &[
        (1, "pool", Kind::Int), (2, "kernel_size", Kind::Int), (3, "stride", Kind::Int), (4, "pad", Kind::Int), (5, "kernel_h", Kind::Int),
        (6, "kernel_w", Kind::Int), (7, "stride_h", Kind::Int), (8, "stride_w", Kind::Int), (9, "pad_h", Kind::Int), (10, "pad_w", Kind::Int),
        (11, "engine", Kind::Int), (12, "global_pooling", Kind::Int), (13, "round_mode", Kind::Int),
    ]),
    ("PowerParameter", &[
        (1, "power", Kind::Float), (2, "scale", Kind::Float), (3, "shift", Kind::Float),
    ]),
    ("PythonParameter", &[
        (1, "module", Kind::Text), (2, "layer", Kind::Text), (3, "param_str", Kind::Text), (4, "share_in_parallel", Kind::Int),
    ]),
    ("ReLUParameter", &[
        (1, "negative_slope", Kind::Float), (2, "engine", Kind::Int),
    ]),
    ("RecurrentParameter", &[
        (1, "num_output", Kind::Int), (4, "debug_info", Kind::Int), (5, "expose_hidden", Kind::Int),
    ]),
    ("ReductionParameter", &[
        (1, "operation", Kind::Int), (2, "axis", Kind::Int), (3, "coeff", Kind::Float),
    ]),
    ("ReshapeParameter", &[
        (1, "shape", Kind::Message("BlobShape")), (2, "axis", Kind::Int), (3, "num_axes", Kind::Int),
    ]),
    ("SPPParameter", &[
        (1, "pyramid_height", Kind::Int), (2, "pool", Kind::Int), (6, "engine", Kind::Int),
    ]),
    ("ScaleParameter", &[
        (1, "axis", Kind::Int), (2, "num_axes", Kind::Int), (4, "bias_term", Kind::Int),
    ]),
    ("SigmoidParameter", &[
        (1, "engine", Kind::Int),
    ]),
    ("SliceParameter", &[
        (1, "slice_dim", Kind::Int), (2, "slice_point", Kind::Int), (3, "axis", Kind::Int),
    ]),
    ("SoftmaxParameter", &[
        (1, "engine", Kind::Int), (2, "axis", Kind::Int),
    ]),
    ("SwishParameter", &[
        (1, "beta", Kind::Float),
    ]),
    ("TanHParameter", &[
        (1, "engine", Kind::Int),
    ]),
    ("ThresholdParameter", &[
        (1, "threshold", Kind::Float),
    ]),
    ("TileParameter", &[
        (1, "axis", Kind::Int), (2, "tiles", Kind::Int),
    ]),
    ("V0LayerParameter", &[
        (1, "name", Kind::Text), (2, "type", Kind::Text), (3, "num_output", Kind::Int), (4, "biasterm", Kind::Int), (7, "pad", Kind::Int),
        (8, "kernelsize", Kind::Int), (9, "group", Kind::Int), (10, "stride", Kind::Int), (11, "pool", Kind::Int), (12, "dropout_ratio", Kind::Float),
        (13, "local_size", Kind::Int), (14, "alpha", Kind::Float), (15, "beta", Kind::Float), (16, "source", Kind::Text), (17, "scale", Kind::Float),
        (18, "meanfile", Kind::Text), (19, "batchsize", Kind::Int), (20, "cropsize", Kind::Int), (21, "mirror", Kind::Int), (22, "k", Kind::Float),
        (50, "blobs", Kind::Message("BlobProto")), (51, "blobs_lr", Kind::Float), (52, "weight_decay", Kind::Float), (53, "rand_skip", Kind::Int),
        (54, "det_fg_threshold", Kind::Float), (55, "det_bg_threshold", Kind::Float), (56, "det_fg_fraction", Kind::Float),
        (58, "det_context_pad", Kind::Int), (59, "det_crop_mode", Kind::Text), (60, "new_num", Kind::Int), (61, "new_channels", Kind::Int),
        (62, "new_height", Kind::Int), (63, "new_width", Kind::Int), (64, "shuffle_images", Kind::Int), (65, "concat_dim", Kind::Int),
        (1001, "hdf5_output_param", Kind::Message("HDF5OutputParameter")),
    ]),
    ("V1LayerParameter", &[
        (1, "layer", Kind::Message("V0LayerParameter")), (2, "bottom", Kind::Text), (3, "top", Kind::Text), (4, "name", Kind::Text),
        (5, "type", Kind::Int), (6, "blobs", Kind::Message("BlobProto")), (7, "blobs_lr", Kind::Float), (8, "weight_decay", Kind::Float),
        (9, "concat_param", Kind::Message("ConcatParameter")), (10, "convolution_param", Kind::Message("ConvolutionParameter")),
        (11, "data_param", Kind::Message("DataParameter")), (12, "dropout_param", Kind::Message("DropoutParameter")),
        (13, "hdf5_data_param", Kind::Message("HDF5DataParameter")), (14, "hdf5_output_param", Kind::Message("HDF5OutputParameter")),
        (15, "image_data_param", Kind::Message("ImageDataParameter")), (16, "infogain_loss_param", Kind::Message("InfogainLossParameter")),
        (17, "inner_product_param", Kind::Message("InnerProductParameter")), (18, "lrn_param", Kind::Message("LRNParameter")),
        (19, "pooling_param", Kind::Message("PoolingParameter")), (20, "window_data_param", Kind::Message("WindowDataParameter")),
        (21, "power_param", Kind::Message("PowerParameter")), (22, "memory_data_param", Kind::Message("MemoryDataParameter")),
        (23, "argmax_param", Kind::Message("ArgMaxParameter")), (24, "eltwise_param", Kind::Message("EltwiseParameter")),
        (25, "threshold_param", Kind::Message("ThresholdParameter")), (26, "dummy_data_param", Kind::Message("DummyDataParameter")),
        (27, "accuracy_param", Kind::Message("AccuracyParameter")), (29, "hinge_loss_param", Kind::Message("HingeLossParameter")),
        (30, "relu_param", Kind::Message("ReLUParameter")), (31, "slice_param", Kind::Message("SliceParameter")),
        (32, "include", Kind::Message("NetStateRule")), (33, "exclude", Kind::Message("NetStateRule")),
        (34, "mvn_param", Kind::Message("MVNParameter")), (35, "loss_weight", Kind::Float), (37, "tanh_param", Kind::Message("TanHParameter")),
        (38, "sigmoid_param", Kind::Message("SigmoidParameter")), (39, "softmax_param", Kind::Message("SoftmaxParameter")),
        (40, "contrastive_loss_param", Kind::Message("ContrastiveLossParameter")), (41, "exp_param", Kind::Message("ExpParameter")),
        (1001, "param", Kind::Text), (1002, "blob_share_mode", Kind::Int),
    ]),
    ("WindowDataParameter", &[
        (1, "source", Kind::Text), (2, "scale", Kind::Float), (3, "mean_file", Kind::Text), (4, "batch_size", Kind::Int), (5, "crop_size", Kind::Int),
        (6, "mirror", Kind::Int), (7, "fg_threshold", Kind::Float), (8, "bg_threshold", Kind::Float), (9, "fg_fraction", Kind::Float),
        (10, "context_pad", Kind::Int), (11, "crop_mode", Kind::Text), (12, "cache_images", Kind::Int), (13, "root_folder", Kind::Text),
    ]),
    ("PermuteParameter", &[
        (1, "order", Kind::Int),
    ]),
    ("PriorBoxParameter", &[
        (1, "min_size", Kind::Float), (2, "max_size", Kind::Float), (3, "aspect_ratio", Kind::Float), (4, "flip", Kind::Int),
    ]),
    ("NormalizeParameter", &[
        (1, "across_spatial", Kind::Int), (3, "channel_shared", Kind::Int),
    ]),
    ("ROIPoolingParameter", &[
        (1, "pooled_h", Kind::Int), (2, "pooled_w", Kind::Int), (3, "spatial_scale", Kind::Float),
    ]),
];

/// Types of layers in files of before 2014: the number, the word in text, and the present name.
#[rustfmt::skip]
pub(super) const V1_TYPES: &[(i64, &str, &str)] = &[
    (1, "ACCURACY", "Accuracy"), (2, "BNLL", "BNLL"), (3, "CONCAT", "Concat"), (4, "CONVOLUTION", "Convolution"),
    (5, "DATA", "Data"), (6, "DROPOUT", "Dropout"), (7, "EUCLIDEAN_LOSS", "EuclideanLoss"), (8, "FLATTEN", "Flatten"),
    (9, "HDF5_DATA", "HDF5Data"), (10, "HDF5_OUTPUT", "HDF5Output"), (11, "IM2COL", "Im2col"), (12, "IMAGE_DATA", "ImageData"),
    (13, "INFOGAIN_LOSS", "InfogainLoss"), (14, "INNER_PRODUCT", "InnerProduct"), (15, "LRN", "LRN"),
    (16, "MULTINOMIAL_LOGISTIC_LOSS", "MultinomialLogisticLoss"), (17, "POOLING", "Pooling"), (18, "RELU", "ReLU"),
    (19, "SIGMOID", "Sigmoid"), (20, "SOFTMAX", "Softmax"), (21, "SOFTMAX_LOSS", "SoftmaxWithLoss"), (22, "SPLIT", "Split"),
    (23, "TANH", "TanH"), (24, "WINDOW_DATA", "WindowData"), (25, "ELTWISE", "Eltwise"), (26, "POWER", "Power"),
    (27, "SIGMOID_CROSS_ENTROPY_LOSS", "SigmoidCrossEntropyLoss"), (28, "HINGE_LOSS", "HingeLoss"),
    (29, "MEMORY_DATA", "MemoryData"), (30, "ARGMAX", "ArgMax"), (31, "THRESHOLD", "Threshold"), (32, "DUMMY_DATA", "DummyData"),
    (33, "SLICE", "Slice"), (34, "MVN", "MVN"), (35, "ABSVAL", "AbsVal"), (36, "SILENCE", "Silence"),
    (37, "CONTRASTIVE_LOSS", "ContrastiveLoss"), (38, "EXP", "Exp"), (39, "DECONVOLUTION", "Deconvolution"),
];
