//! Tensors that go into requests: types, shapes, contents made up or read from `.npy`.

use crate::random::Random;
use half::{bf16, f16};

/// Element types, by the names of the Open Inference Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtype(&'static Row);

#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// Open Inference Protocol.
    name: &'static str,
    /// TensorFlow's enum of types, by name and number.
    tensorflow: (&'static str, i32),
    /// `NumPy`'s letter and width.
    numpy: &'static str,
    /// Bytes of an element; zero for strings.
    width: usize,
    /// What the bytes are.
    form: Form,
}

/// What the bytes of an element are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Flag,
    Unsigned,
    Signed,
    /// 16 bits of IEEE 754.
    Half,
    /// The upper 16 bits of a single.
    Brain,
    Single,
    Double,
    /// A length in four bytes, and as many bytes.
    Text,
}

const fn row(
    name: &'static str,
    tf: &'static str,
    code: i32,
    numpy: &'static str,
    width: usize,
    form: Form,
) -> Row {
    Row { name, tensorflow: (tf, code), numpy, width, form }
}

static ROWS: &[Row] = &[
    row("BOOL", "DT_BOOL", 10, "b1", 1, Form::Flag),
    row("UINT8", "DT_UINT8", 4, "u1", 1, Form::Unsigned),
    row("UINT16", "DT_UINT16", 17, "u2", 2, Form::Unsigned),
    row("UINT32", "DT_UINT32", 22, "u4", 4, Form::Unsigned),
    row("UINT64", "DT_UINT64", 23, "u8", 8, Form::Unsigned),
    row("INT8", "DT_INT8", 6, "i1", 1, Form::Signed),
    row("INT16", "DT_INT16", 5, "i2", 2, Form::Signed),
    row("INT32", "DT_INT32", 3, "i4", 4, Form::Signed),
    row("INT64", "DT_INT64", 9, "i8", 8, Form::Signed),
    row("FP16", "DT_HALF", 19, "f2", 2, Form::Half),
    row("BF16", "DT_BFLOAT16", 14, "", 2, Form::Brain),
    row("FP32", "DT_FLOAT", 1, "f4", 4, Form::Single),
    row("FP64", "DT_DOUBLE", 2, "f8", 8, Form::Double),
    row("BYTES", "DT_STRING", 7, "", 0, Form::Text),
];

impl Dtype {
    /// By its name in the Open Inference Protocol, TensorFlow or `NumPy`.
    pub fn find(name: &str) -> Option<Self> {
        let same = |r: &&Row| {
            r.name == name || r.tensorflow.0 == name || (!r.numpy.is_empty() && r.numpy == name)
        };
        ROWS.iter().find(same).map(Self)
    }

    /// By TensorFlow's number.
    pub fn of_tensorflow(code: i32) -> Option<Self> {
        ROWS.iter().find(|r| r.tensorflow.1 == code).map(Self)
    }

    /// The Open Inference Protocol's name.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// TensorFlow's number.
    pub fn tensorflow(self) -> i32 {
        self.0.tensorflow.1
    }

    /// Adds an element; `None` of a value that this type cannot hold.
    pub(super) fn add(self, value: &serde_json::Value, to: &mut Vec<u8>) -> Option<()> {
        let width = self.0.width;
        match self.0.form {
            Form::Flag => to.push(u8::from(value.as_bool()?)),
            Form::Unsigned => {
                let bytes = value.as_u64()?.to_le_bytes();
                let (own, beyond) = bytes.split_at(width);
                if beyond.iter().any(|byte| *byte != 0) {
                    return None;
                }
                to.extend_from_slice(own);
            }
            Form::Signed => {
                let number = value.as_i64()?;
                let shift = 64 - 8 * width;
                if number << shift >> shift != number {
                    return None;
                }
                to.extend_from_slice(&number.to_le_bytes()[..width]);
            }
            Form::Half | Form::Brain | Form::Single | Form::Double => {
                let number = value.as_f64()?;
                #[allow(clippy::cast_possible_truncation, reason = "what overflows is refused")]
                let single = number as f32;
                let fits = match self.0.form {
                    Form::Half => {
                        let half = f16::from_f64(number);
                        to.extend_from_slice(&half.to_le_bytes());
                        half.is_finite()
                    }
                    Form::Brain => {
                        let brain = bf16::from_f64(number);
                        to.extend_from_slice(&brain.to_le_bytes());
                        brain.is_finite()
                    }
                    Form::Single => {
                        to.extend_from_slice(&single.to_le_bytes());
                        single.is_finite()
                    }
                    _ => {
                        to.extend_from_slice(&number.to_le_bytes());
                        number.is_finite()
                    }
                };
                return fits.then_some(());
            }
            Form::Text => return None,
        }
        Some(())
    }

    /// Bytes of an element; `None` for strings.
    pub fn width(self) -> Option<usize> {
        (self.0.width > 0).then_some(self.0.width)
    }
}

/// What a model takes or gives: a name, a type, sizes; −1 is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Sizes; empty also where the server does not say.
    pub shape: Vec<i64>,
}

/// A tensor with contents.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Sizes.
    pub shape: Vec<i64>,
    /// Little endian, row major; strings each with their length in four bytes before them.
    pub data: Vec<u8>,
}

/// What was said of an input on the command line.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// Sizes, and a type where the server does not tell.
    Shape(Option<Dtype>, Vec<i64>),
    /// Contents.
    Contents(Dtype, Vec<i64>, Vec<u8>),
    /// A text, for inputs of strings.
    Text(String),
}

/// Bytes of a tensor whose contents are generated, at most: half of what a message of gRPC may have.
pub const MOST_GENERATED: usize = 1 << 30;

/// Elements of a shape; `None` when that is more than any request could hold.
pub fn elements(shape: &[i64]) -> Option<usize> {
    let size = shape.iter().try_fold(1usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?))?;
    (size <= 1 << 32).then_some(size)
}

impl Tensor {
    /// Contents for `slot`: floats uniform in −1 to 1, bytes uniform, other integers and flags
    /// one (valid as token ids, masks and lengths alike), strings of four letters.
    ///
    /// `None` for more than [`MOST_GENERATED`] bytes.
    pub fn random(slot: &Slot, shape: Vec<i64>, seed: u64) -> Option<Self> {
        let count = elements(&shape)?;
        // Strings of four letters take eight bytes with their length.
        let bytes = count.checked_mul(slot.dtype.width().unwrap_or(8));
        let bytes = bytes.filter(|bytes| *bytes <= MOST_GENERATED)?;
        let mut random = Random::new(seed);
        let mut data = Vec::with_capacity(bytes);
        for _ in 0..count {
            let unit = random.symmetric();
            match slot.dtype.0.form {
                Form::Single => data.extend_from_slice(&unit.to_le_bytes()),
                Form::Double => data.extend_from_slice(&f64::from(unit).to_le_bytes()),
                Form::Half => data.extend_from_slice(&f16::from_f32(unit).to_le_bytes()),
                Form::Brain => data.extend_from_slice(&unit.to_le_bytes()[2..]),
                Form::Unsigned if slot.dtype.0.width == 1 => {
                    data.push(random.next().to_le_bytes()[0]);
                }
                Form::Text => {
                    let letters = random.next().to_le_bytes();
                    data.extend_from_slice(&4u32.to_le_bytes());
                    data.extend(letters.iter().take(4).map(|b| b'a' + b % 26));
                }
                Form::Flag | Form::Unsigned | Form::Signed => {
                    let mut one = [0; 8];
                    one[0] = 1;
                    data.extend_from_slice(&one[..slot.dtype.0.width]);
                }
            }
        }
        Some(Self { name: slot.name.clone(), dtype: slot.dtype, shape, data })
    }

    /// The strings in order; `None` for other types.
    pub fn texts(&self) -> Option<Vec<&[u8]>> {
        if self.dtype.width().is_some() {
            return None;
        }
        let (mut rest, mut out) = (self.data.as_slice(), Vec::new());
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let (text, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            out.push(text);
            rest = tail;
        }
        Some(out)
    }

    /// The elements as JSON values in order; `None` for half-width floats, for what is not finite and for strings that
    /// are no text, which have no such form.
    pub fn json(&self) -> Option<Vec<serde_json::Value>> {
        use serde_json::Value;
        let Some(width) = self.dtype.width() else {
            let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Value::from);
            return self.texts()?.into_iter().map(text).collect();
        };
        let form = self.dtype.0.form;
        if matches!(form, Form::Half | Form::Brain) {
            return None;
        }
        let value = |bytes: &[u8]| {
            let mut wide = [0; 8];
            wide[..width].copy_from_slice(bytes);
            let bits = u64::from_le_bytes(wide);
            let shift = 64 - 8 * width;
            match form {
                Form::Flag => Value::from(bits != 0),
                #[allow(clippy::cast_possible_truncation)]
                Form::Single => Value::from(f32::from_bits(bits as u32)),
                Form::Double => Value::from(f64::from_bits(bits)),
                Form::Unsigned => Value::from(bits),
                #[allow(clippy::cast_possible_wrap)]
                _ => Value::from((bits << shift) as i64 >> shift),
            }
        };
        // What is not finite becomes null.
        let known = |value: Value| Some(value).filter(|value| !value.is_null());
        self.data.chunks_exact(width).map(|bytes| known(value(bytes))).collect()
    }

    /// The elements as nested JSON arrays of the tensor's shape.
    pub fn nested(&self) -> Option<serde_json::Value> {
        self.nest(self.json()?)
    }

    /// Its elements, as JSON values in order, as nested arrays of its shape.
    pub fn nest(&self, mut level: Vec<serde_json::Value>) -> Option<serde_json::Value> {
        for size in self.shape.iter().skip(1).rev() {
            let size = usize::try_from(*size).ok().filter(|s| *s > 0)?;
            level = level.chunks(size).map(|c| serde_json::Value::from(c.to_vec())).collect();
        }
        if self.shape.is_empty() { level.pop() } else { Some(level.into()) }
    }
}

/// Little-endian elements as numbers; `None` for strings.
pub fn numbers(dtype: Dtype, data: &[u8]) -> Option<Vec<f64>> {
    let width = dtype.width()?;
    let number = |bytes: &[u8]| {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(bytes);
        let bits = u64::from_le_bytes(wide);
        let shift = 64 - 8 * width;
        #[allow(clippy::cast_possible_truncation)]
        match dtype.0.form {
            Form::Half => f16::from_bits(bits as u16).into(),
            Form::Brain => bf16::from_bits(bits as u16).into(),
            Form::Single => f64::from(f32::from_bits(bits as u32)),
            Form::Double => f64::from_bits(bits),
            Form::Signed => ((bits << shift).cast_signed() >> shift) as f64,
            _ => bits as f64,
        }
    };
    Some(data.chunks_exact(width).map(number).collect())
}

/// Reads a `.npy` file: `NumPy`'s format 1 to 3, little endian, row major.
pub fn npy(bytes: &[u8]) -> Result<Given, &'static str> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("is not a .npy file")?;
    let short = "is cut short";
    let ([major, _], rest) = rest.split_first_chunk::<2>().ok_or(short)?;
    let (length, rest) = if *major == 1 {
        let (n, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
        (usize::from(u16::from_le_bytes(*n)), rest)
    } else {
        let (n, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
        (u32::from_le_bytes(*n) as usize, rest)
    };
    let (head, data) = rest.split_at_checked(length).ok_or(short)?;
    let head = String::from_utf8_lossy(head);
    let after = |key: &str| head.split_once(key).map(|(_, v)| v.trim_start_matches([' ', ':']));
    let descr = after("'descr'").and_then(|v| v.split('\'').nth(1)).ok_or("has no type")?;
    if after("'fortran_order'").is_some_and(|v| v.starts_with("True")) {
        return Err("is column major: save it with numpy.ascontiguousarray");
    }
    let dtype = descr.strip_prefix(['<', '|']).and_then(Dtype::find);
    let dtype = dtype.ok_or("has elements that are not little-endian numbers or flags")?;
    let shape = after("'shape'").and_then(|v| v.split(['(', ')']).nth(1)).ok_or("has no shape")?;
    let sizes = shape.split(',').map(str::trim).filter(|s| !s.is_empty());
    let shape: Vec<i64> =
        sizes.map(|s| s.parse().ok()).collect::<Option<_>>().ok_or("has no shape")?;
    let wanted = elements(&shape).zip(dtype.width()).map(|(n, w)| n * w);
    if wanted != Some(data.len()) {
        return Err("has not as many bytes as its shape says");
    }
    Ok(Given::Contents(dtype, shape, data.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(dtype: &str) -> Slot {
        Slot { name: "x".into(), dtype: Dtype::find(dtype).unwrap(), shape: vec![-1, 2] }
    }

    #[test]
    fn contents_fill_the_shape_and_repeat() {
        for row in ROWS {
            let make = || Tensor::random(&slot(row.name), vec![3, 2], 7).unwrap();
            let tensor = make();
            assert_eq!(tensor, make());
            let width = if row.width == 0 { 8 } else { row.width };
            assert_eq!(tensor.data.len(), 6 * width, "{}", row.name);
            if let Some(json) = tensor.json() {
                assert_eq!(json.len(), 6);
                let nested = tensor.nested().unwrap();
                assert_eq!(
                    (nested.as_array().unwrap().len(), nested[2].as_array().unwrap().len()),
                    (3, 2)
                );
            }
        }
        // Nothing is reserved for what is beyond the limit: 2^32 elements of eight bytes were 32 GiB.
        assert!(Tensor::random(&slot("FP32"), vec![1 << 40], 1).is_none());
        assert!(Tensor::random(&slot("FP64"), vec![1 << 32], 1).is_none());
        assert!(Tensor::random(&slot("BYTES"), vec![(1 << 27) + 1], 1).is_none());
    }

    #[test]
    fn integers_keep_their_sign() {
        let tensor = Tensor {
            name: "x".into(),
            dtype: Dtype::find("INT16").unwrap(),
            shape: vec![2],
            data: vec![0xff, 0xff, 5, 0],
        };
        assert_eq!(tensor.json().unwrap(), [serde_json::json!(-1), serde_json::json!(5)]);
    }

    #[test]
    fn numbers_of_each_type() {
        let of = |name: &str, data: &[u8]| numbers(Dtype::find(name).unwrap(), data).unwrap();
        assert_eq!(of("INT8", &[0xff, 2]), [-1.0, 2.0]);
        assert_eq!(of("UINT16", &[0xff, 0xff]), [65535.0]);
        assert_eq!(of("BF16", &[0x80, 0x3f]), [1.0]);
        assert_eq!(of("FP16", &[0, 0x3c, 1, 0, 0, 0xfc]), [1.0, 2f64.powi(-24), f64::NEG_INFINITY]);
        assert_eq!(of("FP64", &1.5f64.to_le_bytes()), [1.5]);
        assert!(numbers(Dtype::find("BYTES").unwrap(), b"").is_none());
    }

    #[test]
    fn npy_files() {
        let file = |head: &str, data: &[u8]| {
            let n = u16::try_from(head.len()).unwrap().to_le_bytes();
            [b"\x93NUMPY\x01\x00", n.as_slice(), head.as_bytes(), data].concat()
        };
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n";
        let Given::Contents(dtype, shape, data) = npy(&file(good, &[0; 8])).unwrap() else {
            panic!()
        };
        assert_eq!((dtype.name(), shape, data.len()), ("FP32", vec![1, 2], 8));
        assert!(npy(&file(good, &[0; 7])).is_err());
        assert!(npy(&file(&good.replace("False", "True"), &[0; 8])).is_err());
        assert!(npy(&file(&good.replace("<f4", ">f4"), &[0; 8])).is_err());
        assert!(npy(b"\x93NUMPY\x01").is_err());
        assert!(npy(b"PK").is_err());
    }
}
