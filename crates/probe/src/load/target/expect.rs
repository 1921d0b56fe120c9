//! What a good answer is: outputs as the server declares them, with known values where those were
//! given.

use super::tensor::{Dtype, Given, Slot, elements, numbers};
use super::{Failure, TargetError, show};
use crate::connector::excerpt;
use crate::record::Fault;
use serde_json::Value;

/// Values that an output should have.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    name: String,
    dtype: Dtype,
    shape: Vec<i64>,
    values: Vec<f64>,
    tolerance: f64,
}

/// Outputs that an answer should have.
pub(super) struct Wanted<'a> {
    pub(super) declared: &'a [Slot],
    pub(super) batch: i64,
    /// Whether outputs of a batch may have any number of rows.
    pub(super) any_rows: bool,
    pub(super) expected: &'a [Expected],
    /// What the body of a plain HTTP answer contains.
    pub(super) contains: Option<&'a str>,
    /// What it does not contain.
    pub(super) rejects: Option<&'a str>,
}

/// Contents of an output, as they came.
pub(super) enum Contents<'a> {
    /// Little endian, row major.
    Raw(&'a [u8]),
    /// Nested or flat arrays.
    Json(&'a Value),
    /// Numbers; where `true`, the last stands for all that are missing.
    Typed(Vec<f64>, bool),
}

impl Expected {
    /// From what was said on the command line.
    pub(super) fn new(name: &str, given: &Given, tolerance: f64) -> Result<Self, TargetError> {
        let (dtype, shape, values) = match given {
            Given::Contents(dtype, shape, data) => (*dtype, shape.clone(), numbers(*dtype, data)),
            Given::Shape(..) | Given::Text(_) => {
                return Err(TargetError::new(
                    format!("the values of output `{name}` are not in a file"),
                    format!("for example --expect-output {name}=y.npy"),
                ));
            }
        };
        let values = values.ok_or_else(|| {
            TargetError::new(
                format!("{} of output `{name}` cannot be compared", dtype.name()),
                "convert the file with numpy's astype",
            )
        })?;
        Ok(Self { name: name.into(), dtype, shape, values, tolerance })
    }

    /// As an output of a server that declares none.
    pub(super) fn slot(&self) -> Slot {
        Slot { name: self.name.clone(), dtype: self.dtype, shape: self.shape.clone() }
    }

    /// Whether `declared` has this output.
    pub(super) fn known(&self, declared: &[Slot]) -> Result<(), TargetError> {
        if declared.iter().any(|slot| slot.name == self.name) {
            return Ok(());
        }
        let names: Vec<&str> = declared.iter().map(|s| s.name.as_str()).collect();
        Err(TargetError::new(
            format!("the model has no output `{}`", self.name),
            format!("its outputs: {}", names.join(" ")),
        ))
    }

    fn compare(&self, got: &[f64]) -> Result<(), Failure> {
        let wrong =
            |what: String| Err((Fault::WrongAnswer, format!("output `{}` {what}", self.name)));
        if got.len() != self.values.len() {
            return wrong(format!("has {} values, not {}", got.len(), self.values.len()));
        }
        // What is not a number differs from everything.
        let good = |got: f64, want: f64| {
            got.total_cmp(&want).is_eq()
                || (got - want).abs() <= self.tolerance * want.abs().max(1.0)
        };
        let pairs = || got.iter().zip(&self.values).enumerate();
        let off = pairs().filter(|(_, (got, want))| !good(**got, **want));
        match off.clone().next() {
            None => Ok(()),
            Some((at, (got, want))) => wrong(format!(
                "is {got} and not {want} at element {at}; {} of {} are off by more than {}",
                off.count(),
                self.values.len(),
                self.tolerance
            )),
        }
    }

    /// Compares with a member of a JSON body.
    pub(super) fn in_json(&self, body: &[u8]) -> Result<(), Failure> {
        let value: Value = serde_json::from_slice(body).map_err(|e| {
            (Fault::Malformed, format!("the answer is not JSON: {e}: {}", excerpt(body)))
        })?;
        let member = value.get(&self.name).ok_or_else(|| missing(&self.name))?;
        self.compare(&flat(member).ok_or_else(|| not_numbers(&self.name))?)
    }
}

impl Wanted<'_> {
    /// Whether an output is what was declared, every size that is not open and the batch, and has
    /// the values that are expected. Without contents only type and shape are looked at.
    pub(super) fn output(
        &self,
        slot: &Slot,
        dtype: &str,
        shape: &[i64],
        contents: Option<&Contents<'_>>,
    ) -> Result<(), Failure> {
        let wrong =
            |what: String| Err((Fault::WrongAnswer, format!("output `{}` {what}", slot.name)));
        if dtype != slot.dtype.name() {
            return wrong(format!("is {dtype}, not {}", slot.dtype.name()));
        }
        self.sizes(slot, shape)?;
        let count = elements(shape);
        match (contents, slot.dtype.width()) {
            (Some(Contents::Raw(data)), Some(width))
                if count.map(|n| n * width) != Some(data.len()) =>
            {
                return wrong(format!("of {} has {} bytes", show(shape), data.len()));
            }
            (Some(Contents::Json(value)), _) => {
                let found = leaves(value);
                if count != Some(found) {
                    return wrong(format!("of {} has {found} values", show(shape)));
                }
            }
            (Some(Contents::Typed(values, repeats)), _) => {
                let few = *repeats && !values.is_empty() && count.is_some_and(|n| values.len() < n);
                if count != Some(values.len()) && !few {
                    return wrong(format!("of {} has {} values", show(shape), values.len()));
                }
            }
            _ => {}
        }
        let Some(expected) = self.expected.iter().find(|e| e.name == slot.name) else {
            return Ok(());
        };
        if shape != expected.shape {
            return wrong(format!("has the shape {}, not {}", show(shape), show(&expected.shape)));
        }
        let values = match contents {
            Some(Contents::Raw(data)) => numbers(slot.dtype, data),
            Some(Contents::Json(value)) => flat(value),
            Some(Contents::Typed(values, _)) => {
                let last = values.last().copied().unwrap_or(f64::NAN);
                let mut values = values.clone();
                values.resize(count.unwrap_or(0), last);
                Some(values)
            }
            None => None,
        };
        expected.compare(&values.ok_or_else(|| not_numbers(&slot.name))?)
    }

    /// Whether an output has the sizes that were declared, and the rows of the batch.
    fn sizes(&self, slot: &Slot, shape: &[i64]) -> Result<(), Failure> {
        let wrong =
            |what: String| Err((Fault::WrongAnswer, format!("output `{}` {what}", slot.name)));
        // One input may give any number of boxes; a batch gives its own, unless the user knows better.
        let rows = |got: i64| got == self.batch || self.batch == 1 || self.any_rows;
        let same = |(d, s): (&i64, &i64)| d == s || *d < 0;
        // Nested arrays without elements do not show the sizes behind the one that is 0.
        let empty = shape.last() == Some(&0) && shape.len() < slot.shape.len();
        let fits =
            (shape.len() == slot.shape.len() || empty) && slot.shape.iter().zip(shape).all(same);
        if !fits && !slot.shape.is_empty() {
            return wrong(format!("has the shape {}, not {}", show(shape), show(&slot.shape)));
        }
        let open = slot.shape.first().is_some_and(|d| *d < 0);
        if let Some(got) = shape.first().filter(|n| open && !rows(**n)) {
            return wrong(format!(
                "has {got} rows for a batch of {}; --any-rows accepts any number",
                self.batch
            ));
        }
        Ok(())
    }
}

pub(super) fn missing(name: &str) -> Failure {
    (Fault::WrongAnswer, format!("output `{name}` is missing"))
}

fn not_numbers(name: &str) -> Failure {
    (Fault::WrongAnswer, format!("output `{name}` has contents other than numbers"))
}

/// Values in nested arrays.
fn leaves(value: &Value) -> usize {
    value.as_array().map_or(1, |list| list.iter().map(leaves).sum())
}

/// Numbers and flags in nested arrays, in order.
fn flat(value: &Value) -> Option<Vec<f64>> {
    fn add(value: &Value, to: &mut Vec<f64>) -> Option<()> {
        match value {
            Value::Array(list) => list.iter().try_for_each(|v| add(v, to)),
            Value::Bool(flag) => {
                to.push(f64::from(u8::from(*flag)));
                Some(())
            }
            other => {
                to.push(other.as_f64()?);
                Some(())
            }
        }
    }
    let mut out = Vec::new();
    add(value, &mut out).map(|()| out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn slot() -> Slot {
        Slot { name: "y".into(), dtype: Dtype::find("FP32").unwrap(), shape: vec![-1, 3] }
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn outputs_that_do_not_fit() {
        let declared = [slot()];
        let wanted = Wanted {
            declared: &declared,
            batch: 4,
            any_rows: false,
            expected: &[],
            contains: None,
            rejects: None,
        };
        let check = |dtype, shape: [i64; 2], n| {
            wanted.output(&slot(), dtype, &shape, Some(&Contents::Raw(&vec![0; n])))
        };
        assert!(check("FP32", [4, 3], 48).is_ok());
        for (dtype, shape, n) in
            [("FP64", [4, 3], 96), ("FP32", [3, 3], 36), ("FP32", [4, 2], 32), ("FP32", [4, 3], 44)]
        {
            assert!(check(dtype, shape, n).is_err(), "{dtype} {shape:?} {n}");
        }
        // Boxes of one image: none, or any number; of a batch, where that is said.
        for (batch, any_rows, rows, good) in
            [(1, false, 0, true), (1, false, 17, true), (4, false, 17, false), (4, true, 17, true)]
        {
            let wanted = Wanted {
                declared: &declared,
                batch,
                any_rows,
                expected: &[],
                contains: None,
                rejects: None,
            };
            let contents = Contents::Typed(vec![0.5; 3 * rows], false);
            let shape = [i64::try_from(rows).unwrap(), 3];
            let found = wanted.output(&slot(), "FP32", &shape, Some(&contents));
            assert_eq!(found.is_ok(), good, "{rows} of {batch}: {found:?}");
        }
        let wanted = Wanted {
            declared: &declared,
            batch: 1,
            any_rows: false,
            expected: &[],
            contains: None,
            rejects: None,
        };
        let none = json!([]);
        assert!(wanted.output(&slot(), "FP32", &[0], Some(&Contents::Json(&none))).is_ok());
    }

    #[test]
    fn values_in_every_form() {
        let (declared, good, bad) = ([slot()], [1.0, -0.5, 8.0], [1.0, -0.5, 8.1]);
        let file = Given::Contents(slot().dtype, vec![1, 3], bytes(&good));
        let expected = [Expected::new("y", &file, 1e-3).unwrap()];
        let wanted = Wanted {
            declared: &declared,
            batch: 1,
            any_rows: false,
            expected: &expected,
            contains: None,
            rejects: None,
        };
        let check =
            |contents: Contents<'_>| wanted.output(&slot(), "FP32", &[1, 3], Some(&contents));
        for (values, right) in [(good, true), (bad, false), ([1.0, f32::NAN, 8.0], false)] {
            let typed: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
            assert_eq!(check(Contents::Raw(&bytes(&values))).is_ok(), right);
            assert_eq!(check(Contents::Json(&json!([values]))).is_ok(), right);
            assert_eq!(check(Contents::Typed(typed, false)).is_ok(), right);
            assert_eq!(
                expected[0].in_json(json!({"y": values}).to_string().as_bytes()).is_ok(),
                right
            );
        }
        assert!(check(Contents::Typed(vec![1.0], false)).is_err());
        assert!(check(Contents::Json(&json!(["a", "b", "c"]))).is_err());
        assert!(wanted.output(&slot(), "FP32", &[1, 3], None).is_err());
        let same = Given::Contents(slot().dtype, vec![1, 3], bytes(&[2.0; 3]));
        let expected = [Expected::new("y", &same, 1e-3).unwrap()];
        let wanted = Wanted {
            declared: &declared,
            batch: 1,
            any_rows: false,
            expected: &expected,
            contains: None,
            rejects: None,
        };
        let repeated = Contents::Typed(vec![2.0], true);
        assert!(wanted.output(&slot(), "FP32", &[1, 3], Some(&repeated)).is_ok());
    }
}
