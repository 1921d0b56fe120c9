//! JSON of Keras: texts of it, and the settings of a layer.

use super::super::error::invalid;
use super::super::{LoadError, LoadErrorKind};
use serde_json::Value;

pub(super) type Map = serde_json::Map<String, Value>;

/// Sizes beyond this are of no tensor.
const MAX_SIZE: i64 = super::super::checked::MAX_DIM;

/// Reads a JSON text as Python writes it, with its infinities and numbers that are none.
pub(super) fn parse(text: &[u8]) -> Result<Value, LoadError> {
    let malformed = |error: serde_json::Error| -> LoadError {
        let why = format!("its configuration is not JSON: {error}");
        LoadErrorKind::Malformed { format: super::NAME, why }.into()
    };
    read(text, malformed).map(|mut value| {
        unwrap(&mut value);
        value
    })
}

/// Lists that Python had as tuples stand in an object of their own.
fn unwrap(value: &mut Value) {
    let is_tuple = |map: &Map| map.get("class_name").and_then(Value::as_str) == Some("__tuple__");
    if let Value::Object(map) = value {
        if is_tuple(map) {
            let items = map.get_mut("items").map(Value::take);
            let items = items.or_else(|| Some(map.get_mut("config")?.get_mut("items")?.take()));
            *value = items.unwrap_or(Value::Null);
        }
    }
    match value {
        Value::Array(list) => list.iter_mut().for_each(unwrap),
        Value::Object(map) => map.values_mut().for_each(unwrap),
        _ => {}
    }
}

fn read(text: &[u8], malformed: fn(serde_json::Error) -> LoadError) -> Result<Value, LoadError> {
    match serde_json::from_slice(text) {
        Ok(value) => Ok(value),
        Err(error) if error.is_data() || error.is_eof() => Err(malformed(error)),
        Err(error) => match super::super::json::plain(text) {
            Some(text) => serde_json::from_slice(&text).map_err(malformed),
            None => Err(malformed(error)),
        },
    }
}

/// A layer as a configuration has it.
#[derive(Clone)]
pub(super) struct Layer<'j> {
    /// Its class, without a package.
    pub(super) class: &'j str,
    /// Where the class is from; empty where the file does not say.
    pub(super) module: &'j str,
    /// Its name, unique in its model.
    pub(super) name: String,
    /// Its settings.
    pub(super) config: &'j Map,
    /// All that the file says of it.
    pub(super) object: &'j Map,
    /// What tells its variables from those of other layers.
    pub(super) key: Key,
}

/// Where a layer is in the configuration, and a number for a part of it that is not described there.
pub(super) type Key = (usize, u64);

/// Names and classes are no longer than this.
const MAX_NAME: usize = 256;

static NOTHING: std::sync::LazyLock<Map> = std::sync::LazyLock::new(Map::new);

impl<'j> Layer<'j> {
    /// The layer that this object describes.
    pub(super) fn of(value: &'j Value) -> Result<Self, LoadError> {
        let object = value.as_object().ok_or_else(|| invalid("model", "a layer is no object"))?;
        let text = |map: &'j Map, key: &str| map.get(key).and_then(Value::as_str);
        let class =
            text(object, "class_name").ok_or_else(|| invalid("model", "a layer has no class"))?;
        let config = object.get("config").and_then(Value::as_object).unwrap_or(&NOTHING);
        let name = text(object, "name").or_else(|| text(config, "name")).unwrap_or(class);
        if name.len() > MAX_NAME || class.len() > MAX_NAME {
            return Err(invalid(
                "model",
                format!("a layer has a name of more than {MAX_NAME} bytes"),
            ));
        }
        Ok(Self {
            class: class.rsplit('>').next().unwrap_or(class),
            module: text(object, "module").unwrap_or_default(),
            name: name.to_owned(),
            config,
            object,
            key: (std::ptr::from_ref(object).addr(), 0),
        })
    }

    /// A part of the layer that is not described on its own, under the name that the class has for it.
    pub(super) fn part(&self, part: &str, name: &str) -> Self {
        let mixed = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let number = part.bytes().fold(self.key.1 ^ 0xcbf2_9ce4_8422_2325, mixed);
        Self { key: (self.key.0, number), name: name.to_owned(), ..self.clone() }
    }

    /// An error of this layer.
    pub(super) fn error(&self, message: impl Into<String>) -> LoadError {
        invalid(format!("layer `{}` ({})", self.name, self.class), message)
    }

    /// A setting, where it is given and not null.
    pub(super) fn get(&self, key: &str) -> Option<&'j Value> {
        self.config.get(key).filter(|value| !value.is_null())
    }

    /// An integer, where it is given.
    pub(super) fn int(&self, key: &str) -> Result<Option<i64>, LoadError> {
        let wrong = || self.error(format!("`{key}` is no integer"));
        self.get(key).map(|value| integer(value).ok_or_else(wrong)).transpose()
    }

    /// An integer, or what holds where it is not given.
    pub(super) fn int_or(&self, key: &str, default: i64) -> Result<i64, LoadError> {
        Ok(self.int(key)?.unwrap_or(default))
    }

    /// An integer that must be given and positive.
    pub(super) fn size(&self, key: &str) -> Result<i64, LoadError> {
        let size = self.int(key)?.ok_or_else(|| self.error(format!("has no `{key}`")))?;
        if (1..=MAX_SIZE).contains(&size) {
            return Ok(size);
        }
        Err(self.error(format!("`{key}` is {size}")))
    }

    /// A number, or what holds where it is not given.
    pub(super) fn float_or(&self, key: &str, default: f64) -> f64 {
        self.get(key).and_then(Value::as_f64).unwrap_or(default)
    }

    /// A flag, or what holds where it is not given.
    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        self.get(key).map_or(default, truthy)
    }

    /// A text, or what holds where it is not given.
    pub(super) fn text(&self, key: &str, default: &'j str) -> &'j str {
        self.get(key).and_then(Value::as_str).unwrap_or(default)
    }

    /// One positive size for each of so many axes; a single number holds for all.
    pub(super) fn sizes(
        &self,
        key: &str,
        axes: usize,
        default: i64,
    ) -> Result<Vec<i64>, LoadError> {
        let Some(value) = self.get(key) else { return Ok(vec![default; axes]) };
        let list = match integer(value) {
            Some(size) => vec![size; axes],
            None => self.ints(key)?,
        };
        if list.len() != axes || list.iter().any(|n| !(1..=MAX_SIZE).contains(n)) {
            return Err(self.error(format!("`{key}` is not one size for each of {axes} axes")));
        }
        Ok(list)
    }

    /// A list of integers, or a single one as a list.
    pub(super) fn ints(&self, key: &str) -> Result<Vec<i64>, LoadError> {
        let wrong = || self.error(format!("`{key}` is no list of integers"));
        self.get(key).and_then(integers).ok_or_else(wrong)
    }

    /// Whether channels are the first axis after the batch.
    pub(super) fn channels_first(&self) -> bool {
        let format = self.text("data_format", "channels_last");
        format == "channels_first" || format == "th"
    }

    /// Whether this is a call of `keras.ops` and no layer.
    pub(super) fn is_operation(&self) -> bool {
        self.module.contains(".ops")
    }
}

/// Python's truth of a value.
pub(super) fn truthy(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Null => false,
        _ => true,
    }
}

/// A whole number within the range of sizes, however it is written.
pub(super) fn integer(value: &Value) -> Option<i64> {
    let limit = |n: &i64| (-MAX_SIZE..=MAX_SIZE).contains(n);
    if let Some(n) = value.as_i64() {
        return Some(n).filter(limit);
    }
    let x = value.as_f64()?;
    #[allow(clippy::cast_possible_truncation)]
    let whole = (x.fract() == 0.0 && x.abs() < 1e14).then_some(x as i64);
    whole.filter(limit)
}

/// Whole numbers of a list, or of a single number; `None` in Python stands for −1.
pub(super) fn integers(value: &Value) -> Option<Vec<i64>> {
    match value {
        Value::Array(list) => {
            list.iter().map(|v| if v.is_null() { Some(-1) } else { integer(v) }).collect()
        }
        one => integer(one).map(|n| vec![n]),
    }
}

/// Sizes of a tensor that a file states; none for those that it leaves open.
pub(super) fn shape(value: &Value) -> Option<Vec<Option<i64>>> {
    let each = |v: &Value| match v {
        Value::Null => Some(None),
        // Sizes beyond any tensor are refused where an input has them.
        v => v.as_i64().or_else(|| integer(v)).map(|n| (n >= 0).then_some(n)),
    };
    value.as_array()?.iter().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_has_not_are_read() {
        let value = parse(br#"{"a": [NaN, -Infinity, Infinity], "Infinity \" NaN": 1}"#).unwrap();
        assert_eq!(value["a"][1].as_f64(), Some(-1e308));
        assert!(value["a"][0].is_null());
        assert_eq!(value["Infinity \" NaN"], 1);
    }

    #[test]
    fn deep_texts_are_refused() {
        let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
        assert!(parse(&deep).unwrap_err().to_string().contains("recursion"));
    }

    #[test]
    fn integers_are_read_however_they_are_written() {
        let value = parse(b"[3, 3.0, null]").unwrap();
        let tuple = parse(br#"{"class_name": "__tuple__", "items": [3, {"class_name": "__tuple__", "items": []}]}"#);
        assert_eq!(tuple.unwrap().to_string(), "[3,[]]");
        assert_eq!(integers(&value), Some(vec![3, 3, -1]));
        assert_eq!(integer(&parse(b"4611686018427387904").unwrap()), None);
        assert_eq!(integer(&parse(b"3.5").unwrap()), None);
    }
}
