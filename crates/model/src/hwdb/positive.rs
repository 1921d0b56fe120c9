//! Numbers of a device file: positive and of a size that a device can have, or the file is refused
//! where they stand.

use serde::{Deserialize, Deserializer, de::Error};

/// No device does 10^24 operations or moves 10^21 bytes per second.
const MOST: f64 = 1e12;
/// None does less than one of 10^3 operations, or moves less than one byte per second.
const LEAST: f64 = 1e-9;

/// A number as a person writes it: not with hundreds of digits.
fn shown(value: f64) -> String {
    let short = value == 0.0 || (1e-4..1e7).contains(&value.abs()) || !value.is_finite();
    if short { value.to_string() } else { format!("{value:e}") }
}

/// A number that must be there.
pub(super) fn one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    let what = match value {
        _ if (LEAST..=MOST).contains(&value) => return Ok(value),
        _ if value > MOST => "is too large",
        _ if value > 0.0 => "is too small",
        _ => "is not a positive number",
    };
    Err(D::Error::custom(format!("`{}` {what}; omit what is not known", shown(value))))
}

/// A number that may be zero: an overhead, an error.
pub(super) fn or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if (0.0..=MOST).contains(&value) {
        return Ok(value);
    }
    Err(D::Error::custom(format!("`{}` is not a number from 0 to 10^12", shown(value))))
}

/// Numbers of either sign: logarithms of sizes.
pub(super) fn logarithms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<f64>::deserialize(deserializer)?;
    match values.iter().find(|v| !(-64.0..=64.0).contains(*v)) {
        Some(value) => {
            Err(D::Error::custom(format!("`{}` is not the log2 of a size", shown(*value))))
        }
        None => Ok(values),
    }
}

/// A number that may be absent.
pub(super) fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    one(deserializer).map(Some)
}
