//! Layers that a configuration describes again wherever they are used: they are one layer, with one set of weights.

use super::super::LoadError;
use super::super::limits::MAX_DEPTH;
use super::json::{Key, Layer};
use super::members::{is_model, members, snake};
use serde_json::Value;
use std::collections::HashMap;

/// The layers so far, by class and name.
#[derive(Default)]
struct Walk<'j> {
    met: HashMap<(&'j str, String), Layer<'j>>,
    again: HashMap<Key, Key>,
}

/// Finds, in the order of the file, the layers that are others again.
pub(super) fn again(root: &Layer<'_>) -> Result<HashMap<Key, Key>, LoadError> {
    let mut walk = Walk::default();
    walk.inside(root, 0)?;
    Ok(walk.again)
}

/// The number that stands for the object that a layer was; where an object is described first, it has it only
/// sometimes.
fn number(layer: &Layer<'_>) -> Option<i64> {
    layer.object.get("shared_object_id").and_then(Value::as_i64)
}

/// Whether `layer` is the object that `first` describes. Files that number no objects leave it open for models:
/// names that Keras gave are unique, so that two models alike with such a name inside are one.
fn is_same(first: &Layer<'_>, layer: &Layer<'_>) -> bool {
    match (number(first), number(layer)) {
        (Some(first), Some(layer)) => first == layer,
        (None, Some(_)) => true,
        (Some(_), None) => false,
        (None, None) => {
            is_model(layer.class) && first.config == layer.config && has_own_name(layer)
        }
    }
}

/// Whether a layer of a model has the name that Keras gives it where nobody else does.
fn has_own_name(model: &Layer<'_>) -> bool {
    let own = |value: &&Value| {
        let Ok(layer) = Layer::of(value) else { return false };
        let stem = snake(layer.class);
        let rest = layer.name.strip_prefix(&stem);
        let numbered =
            |rest: &str| rest.strip_prefix('_').is_some_and(|n| n.parse::<u32>().is_ok());
        layer.class != "InputLayer" && rest.is_some_and(|rest| rest.is_empty() || numbered(rest))
    };
    members(model).is_ok_and(|members| members.iter().any(own))
}

/// The layers in a layer.
fn parts<'j>(layer: &Layer<'j>) -> Vec<&'j Value> {
    let wrapped = ["layer", "backward_layer", "cell"].into_iter().filter_map(|key| layer.get(key));
    members(layer)
        .unwrap_or_default()
        .into_iter()
        .chain(wrapped.filter(|v| v.is_object()))
        .collect()
}

impl<'j> Walk<'j> {
    fn layer(&mut self, layer: &Layer<'j>, depth: usize) -> Result<(), LoadError> {
        if depth > MAX_DEPTH {
            return Err(layer.error(format!("models nest deeper than {MAX_DEPTH}")));
        }
        let name = (layer.class, layer.name.clone());
        match self.met.get(&name).filter(|met| is_same(met, layer)).cloned() {
            Some(first) => self.pair(&first, layer, depth),
            None => {
                self.met.entry(name).or_insert_with(|| layer.clone());
                self.inside(layer, depth)
            }
        }
    }

    fn inside(&mut self, layer: &Layer<'j>, depth: usize) -> Result<(), LoadError> {
        for value in parts(layer) {
            self.layer(&Layer::of(value)?, depth + 1)?;
        }
        Ok(())
    }

    /// Takes a layer and all in it as another and what is in that.
    fn pair(
        &mut self,
        first: &Layer<'j>,
        layer: &Layer<'j>,
        depth: usize,
    ) -> Result<(), LoadError> {
        if depth > MAX_DEPTH {
            return Err(layer.error(format!("models nest deeper than {MAX_DEPTH}")));
        }
        let key = self.again.get(&first.key).copied().unwrap_or(first.key);
        self.again.insert(layer.key, key);
        for (first, layer) in parts(first).into_iter().zip(parts(layer)) {
            self.pair(&Layer::of(first)?, &Layer::of(layer)?, depth + 1)?;
        }
        Ok(())
    }
}
