//! What is known of a tensor: element type, symbolic shape, and small contents.

use crate::dim::Dim;
use std::fmt;
use std::sync::Arc;

/// Contents of tensors with more elements than this are not followed.
pub const MAX_TRACKED: usize = 1024;

/// Tensors with more axes than this are no tensors of any framework.
pub const MAX_RANK: usize = 64;

/// Sizes along each axis, outermost first.
pub type Shape = Vec<Dim>;

macro_rules! dtypes {
    ($($(#[$doc:meta])* $name:ident = $onnx:literal, $text:literal, $bits:literal;)*) => {
        /// Element types, with ONNX's `TensorProto.DataType` numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DType { $($(#[$doc])* $name,)* }

        impl DType {
            /// The type with this `TensorProto.DataType` number.
            pub fn from_onnx(number: i32) -> Option<Self> {
                match number { $($onnx => Some(Self::$name),)* _ => None }
            }

            /// Its `TensorProto.DataType` number.
            pub fn onnx(self) -> i32 {
                match self { $(Self::$name => $onnx,)* }
            }

            /// Bits an element takes, packed; zero for strings, whose size is not in the graph.
            pub fn bits(self) -> u32 {
                match self { $(Self::$name => $bits,)* }
            }

            /// The name printed and written: `f32`, `i4`, `bool`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The type of this name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

dtypes! {
    /// 32-bit floats.
    F32 = 1, "f32", 32;
    /// 8-bit integers without sign.
    U8 = 2, "u8", 8;
    /// 8-bit integers with sign.
    I8 = 3, "i8", 8;
    /// 16-bit integers without sign.
    U16 = 4, "u16", 16;
    /// 16-bit integers with sign.
    I16 = 5, "i16", 16;
    /// 32-bit integers with sign.
    I32 = 6, "i32", 32;
    /// 64-bit integers with sign.
    I64 = 7, "i64", 64;
    /// Texts, of no fixed size.
    String = 8, "string", 0;
    /// Truth values, a byte each.
    Bool = 9, "bool", 8;
    /// 16-bit floats of IEEE 754.
    F16 = 10, "f16", 16;
    /// 64-bit floats.
    F64 = 11, "f64", 64;
    /// 32-bit integers without sign.
    U32 = 12, "u32", 32;
    /// 64-bit integers without sign.
    U64 = 13, "u64", 64;
    /// Complex numbers of two 32-bit floats.
    C64 = 14, "c64", 64;
    /// Complex numbers of two 64-bit floats.
    C128 = 15, "c128", 128;
    /// 16-bit floats with 8 bits of exponent.
    BF16 = 16, "bf16", 16;
    /// 8-bit floats with 4 bits of exponent and no infinities.
    F8E4M3FN = 17, "f8e4m3fn", 8;
    /// 8-bit floats with 4 bits of exponent, no infinities and no negative zero.
    F8E4M3FNUZ = 18, "f8e4m3fnuz", 8;
    /// 8-bit floats with 5 bits of exponent.
    F8E5M2 = 19, "f8e5m2", 8;
    /// 8-bit floats with 5 bits of exponent, no infinities and no negative zero.
    F8E5M2FNUZ = 20, "f8e5m2fnuz", 8;
    /// 4-bit integers without sign.
    U4 = 21, "u4", 4;
    /// 4-bit integers with sign.
    I4 = 22, "i4", 4;
    /// 4-bit floats with 2 bits of exponent.
    F4E2M1 = 23, "f4e2m1", 4;
    /// 8-bit powers of two, as scales of blocks.
    F8E8M0 = 24, "f8e8m0", 8;
    /// 2-bit integers without sign.
    U2 = 25, "u2", 2;
    /// 2-bit integers with sign.
    I2 = 26, "i2", 2;
}

impl DType {
    /// Whether arithmetic on this type is floating-point (complex included).
    pub fn is_float(self) -> bool {
        self.name().starts_with(['f', 'c']) || self == Self::BF16
    }

    /// Whether this is a signed or unsigned integer.
    pub fn is_integer(self) -> bool {
        self.name().starts_with(['i', 'u'])
    }

    /// Bytes that `elements` packed elements take, rounded up to whole bytes.
    pub fn bytes(self, elements: &Dim) -> Dim {
        match self.bits() {
            bits if bits % 8 == 0 => elements.clone() * Dim::from(bits / 8),
            bits => (elements.clone() * Dim::from(bits)).ceil_div(&Dim::from(8u32)),
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One element of a followed tensor. Booleans are the integers zero and one.
#[derive(Clone, Debug, PartialEq)]
pub enum Elem {
    /// A number, or a formula in the model's symbols.
    Int(Dim),
    /// A formula over a number above one: a size that floating-point arithmetic has divided.
    Ratio(Dim, u64),
    /// A floating-point constant.
    Float(f64),
    /// Not known before the model runs.
    Unknown,
}

impl Elem {
    /// The integer, where this is one.
    pub fn as_dim(&self) -> Option<&Dim> {
        match self {
            Self::Int(dim) => Some(dim),
            _ => None,
        }
    }

    /// The formula in it, of an integer or of what is divided.
    pub fn formula(&self) -> Option<&Dim> {
        match self {
            Self::Int(dim) | Self::Ratio(dim, _) => Some(dim),
            Self::Float(_) | Self::Unknown => None,
        }
    }

    /// The integer constant, where this is one.
    pub fn as_const(&self) -> Option<i128> {
        self.as_dim().and_then(Dim::as_const)
    }

    /// The whole number, where this is one in whichever type.
    pub fn to_whole(&self) -> Option<Dim> {
        match self {
            Self::Int(dim) => Some(dim.clone()),
            #[allow(clippy::cast_possible_truncation)]
            Self::Float(x) if x.fract() == 0.0 && x.abs() < 1e18 => Some(Dim::from(*x as i64)),
            _ => None,
        }
    }

    /// The number as a float, where this is a constant.
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(dim) => dim.as_const().map(|c| c as f64),
            Self::Float(x) => Some(*x),
            Self::Ratio(..) | Self::Unknown => None,
        }
    }
}

/// The contents of a small tensor, row major; its shape is in the [`TensorInfo`] around it.
pub type SmallValue = Arc<[Elem]>;

/// What is known of a tensor.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TensorInfo {
    /// Element type, where known.
    pub dtype: Option<DType>,
    /// Shape, where at least the rank is known.
    pub shape: Option<Shape>,
    /// Contents, where small and followed: what makes Shape → Gather → Concat → Reshape resolve.
    pub value: Option<SmallValue>,
    /// Whether it depends on constants alone, so that a runtime computes it once, at load.
    pub constant: bool,
    /// Whether it depends on constants and on sizes alone, however many elements it has.
    pub sized: bool,
    /// What is in it, where it is a sequence of tensors and not a tensor.
    pub sequence: Option<Arc<Sequence>>,
    /// Whether an optional holds something, where it is one and that is known.
    pub present: Option<bool>,
}

/// A sequence of tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// Every element, where their number is known.
    pub elements: Option<Vec<TensorInfo>>,
    /// What holds for every element.
    pub element: TensorInfo,
    /// How many there are.
    pub length: Dim,
}

impl TensorInfo {
    /// A tensor of this type and shape, with contents unknown.
    pub fn new(dtype: Option<DType>, shape: impl Into<Shape>) -> Self {
        Self { dtype, shape: Some(shape.into()), ..Self::default() }
    }

    /// The same tensor with contents; dropped when too many or when the count does not fit.
    #[must_use]
    pub fn with_value(mut self, value: Vec<Elem>) -> Self {
        let expected = self.elements().and_then(|n| n.as_usize());
        let useful = value.is_empty() || value.iter().any(|e| *e != Elem::Unknown);
        if expected == Some(value.len()) && value.len() <= MAX_TRACKED && useful {
            self.value = Some(value.into());
        }
        self
    }

    /// Number of axes.
    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    /// Number of elements.
    pub fn elements(&self) -> Option<Dim> {
        self.shape.as_ref().map(|s| Dim::product_of(s.iter()))
    }

    /// A sequence of these elements.
    pub fn sequence_of(elements: Vec<Self>) -> Self {
        let element = elements.iter().cloned().reduce(|a, b| a.join(&b)).unwrap_or_default();
        let length = Dim::from(elements.len());
        Self::from(Sequence { elements: Some(elements), element, length })
    }

    /// What is true of both: sizes, contents and types where they agree.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let same = |a: &Shape, b: &Shape| a == b;
        let shape = match (&self.shape, &other.shape) {
            (Some(a), Some(b)) if same(a, b) => Some(a.clone()),
            _ => None,
        };
        let value = if shape.is_some() && self.value == other.value { &self.value } else { &None };
        let sequence = match (&self.sequence, &other.sequence) {
            (Some(a), Some(b)) if a == b => Some(a.clone()),
            _ => None,
        };
        Self {
            dtype: self.dtype.filter(|d| other.dtype == Some(*d)),
            shape,
            value: value.clone(),
            constant: self.constant && other.constant,
            sized: self.sized && other.sized,
            sequence,
            present: self.present.filter(|p| other.present == Some(*p)),
        }
    }

    /// The same tensor with every size put through a function; contents stay.
    #[must_use]
    pub fn map_sizes(&self, f: &dyn Fn(&Dim) -> Dim) -> Self {
        self.with_sizes(f, &|element| element.map_sizes(f))
    }

    /// The same tensor with every size, and every formula in its contents, put through a function.
    #[must_use]
    pub fn map(&self, f: &dyn Fn(&Dim) -> Dim) -> Self {
        let element = |e: &Elem| match e {
            Elem::Int(dim) => Elem::Int(f(dim)),
            Elem::Ratio(dim, by) => Elem::Ratio(f(dim), *by),
            Elem::Float(_) | Elem::Unknown => e.clone(),
        };
        let value = self.value.as_ref().map(|value| value.iter().map(element).collect());
        Self { value, ..self.with_sizes(f, &|element| element.map(f)) }
    }

    /// With its own sizes put through `f`, and the tensors of a sequence through `each`.
    fn with_sizes(&self, f: &dyn Fn(&Dim) -> Dim, each: &dyn Fn(&Self) -> Self) -> Self {
        let shape = self.shape.as_ref().map(|shape| shape.iter().map(f).collect());
        let sequence = self.sequence.as_ref().map(|s| {
            let elements = s.elements.as_ref().map(|all| all.iter().map(each).collect());
            Arc::new(Sequence { elements, element: each(&s.element), length: f(&s.length) })
        });
        Self { shape, sequence, ..self.clone() }
    }

    /// Bytes of the packed contents.
    pub fn bytes(&self) -> Option<Dim> {
        if let Some(sequence) = &self.sequence {
            return match &sequence.elements {
                Some(all) => all.iter().map(Self::bytes).sum(),
                None => Some(sequence.element.bytes()? * sequence.length.clone()),
            };
        }
        let (dtype, shape) = (self.dtype?, self.shape.as_ref()?);
        if dtype.bits() % 8 != 0 {
            return Some(dtype.bytes(&self.elements()?));
        }
        let each = Dim::from(dtype.bits() / 8);
        Some(Dim::product_of(shape.iter().chain([&each])))
    }

    /// Contents as integers, where every element is one.
    pub fn ints(&self) -> Option<Vec<Dim>> {
        self.value.as_ref()?.iter().map(|e| e.as_dim().cloned()).collect()
    }

    /// Contents as integer constants, where every element is one.
    pub fn const_ints(&self) -> Option<Vec<i64>> {
        let value = self.value.as_ref()?;
        value.iter().map(|e| e.as_const().and_then(|c| i64::try_from(c).ok())).collect()
    }
}

impl From<Sequence> for TensorInfo {
    fn from(sequence: Sequence) -> Self {
        Self {
            dtype: sequence.element.dtype,
            sequence: Some(Arc::new(sequence)),
            ..Self::default()
        }
    }
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(sequence) = &self.sequence {
            return write!(f, "{} × {}", sequence.length, sequence.element);
        }
        f.write_str(self.dtype.map_or("?", DType::name))?;
        match &self.shape {
            None => f.write_str("[?]"),
            Some(shape) => {
                for (axis, size) in shape.iter().enumerate() {
                    write!(f, "{}{size}", if axis == 0 { '[' } else { ',' })?;
                }
                f.write_str(if shape.is_empty() { "[]" } else { "]" })
            }
        }
    }
}
