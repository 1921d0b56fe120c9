//! Numbers of a device file: positive and of a size that a device can have, or the file is refused
//! where they stand.

use serde::{Deserialize, Deserializer, de::Error};

/// No device does 10^24 operations or moves 10^21 bytes a second.
const MOST: f64 = 1e12;

/// A number that must be there.
pub(super) fn one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if value > 0.0 && value <= MOST {
        return Ok(value);
    }
    let what = if value > MOST { "is too large" } else { "is not a positive number" };
    Err(D::Error::custom(format!("`{value}` {what}; leave out what is not known")))
}

/// A number that may be zero: an overhead, an error.
pub(super) fn or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if (0.0..=MOST).contains(&value) {
        return Ok(value);
    }
    Err(D::Error::custom(format!("`{value}` is not a number from 0 to 10^12")))
}

/// Numbers of either sign: logarithms of sizes.
pub(super) fn logarithms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<f64>::deserialize(deserializer)?;
    match values.iter().find(|v| !(-64.0..=64.0).contains(*v)) {
        Some(value) => Err(D::Error::custom(format!("`{value}` is not the log2 of a size"))),
        None => Ok(values),
    }
}

/// A number that may be absent.
pub(super) fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    one(deserializer).map(Some)
}
