//! Kinds of kernels whose efficiencies have a curve of their own, and which of them a node by itself is.

use super::Op;

rooflens_ground::words! {
    /// A kind of kernel, as device files name it.
    pub enum KernelClass {
        /// A convolution of windows over all channels of a group.
        Convolution = "conv",
        /// A convolution that keeps the channels apart.
        Depthwise = "depthwise",
        /// A convolution of single pixels.
        Pointwise = "pointwise",
        /// A product by one matrix.
        Product = "gemm",
        /// Products of many pairs of matrices.
        Batched = "batched",
        /// Arithmetic on tensors of different sizes.
        Broadcast = "broadcast",
        /// Elements copied as they lie.
        Copy = "copy",
        /// Arithmetic on tensors of one size.
        Elementwise = "elementwise",
        /// Arithmetic on one tensor.
        Unary = "unary",
        /// Exponentials, and other functions as costly.
        Exp = "exp",
        /// Error functions.
        Erf = "erf",
        /// Logistic functions.
        Sigmoid = "sigmoid",
        /// Hyperbolic tangents.
        Tanh = "tanh",
        /// GELU by the error function.
        Gelu = "gelu",
        /// GELU by the hyperbolic tangent.
        GeluTanh = "gelu-tanh",
        /// SiLU.
        Silu = "silu",
        /// Hard swish.
        HardSwish = "hard-swish",
        /// Batch normalization.
        BatchNorm = "batch-norm",
        /// A norm over rows, written out node by node.
        Norm = "norm",
        /// A norm over rows in one node.
        LayerNorm = "layer-norm",
        /// Softmax over rows.
        Softmax = "softmax",
        /// Sums, means and extremes along axes.
        Reduction = "reduce",
        /// Maxima over windows.
        MaxPool = "max-pool",
        /// Means over windows.
        AveragePool = "average-pool",
        /// Means and maxima over all pixels.
        GlobalPool = "global-pool",
        /// Elements in another order.
        Transpose = "transpose",
        /// Tensors side by side.
        Concat = "concat",
    }
}

/// What the efficiency of a kernel is a share of, and what it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Efficiency {
    /// Of the peak; by rows, columns and depth, and by the stride of a convolution.
    OfPeak,
    /// Of the bandwidth; by bytes.
    OfBandwidth,
    /// Of the bandwidth; by bytes and the length of a row.
    OfBandwidthByRows,
}

impl KernelClass {
    /// What its efficiency is a share of.
    pub const fn efficiency(self) -> Efficiency {
        match self {
            Self::Convolution
            | Self::Depthwise
            | Self::Pointwise
            | Self::Product
            | Self::Batched => Efficiency::OfPeak,
            Self::Norm | Self::LayerNorm | Self::Softmax | Self::Reduction => {
                Efficiency::OfBandwidthByRows
            }
            _ => Efficiency::OfBandwidth,
        }
    }

    /// Whether its efficiency is a share of the peak; of the bandwidth otherwise.
    pub fn is_product(self) -> bool {
        self.efficiency() == Efficiency::OfPeak
    }
}

impl Op {
    pub(super) const fn kernel(self, kernel: KernelClass) -> Self {
        Self { kernel: Some(kernel), ..self }
    }
}
