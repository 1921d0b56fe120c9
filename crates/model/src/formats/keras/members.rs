//! What is in a model.

use super::super::LoadError;
use super::json::Layer;
use serde_json::Value;

/// Classes that are models.
pub(super) fn is_model(class: &str) -> bool {
    matches!(class, "Functional" | "Sequential" | "Model")
}

/// The layers of a model, in the order of the file.
pub(super) fn members<'j>(model: &Layer<'j>) -> Result<Vec<&'j Value>, LoadError> {
    // Before Keras 2.2.3 the configuration of a chain was the list of its layers.
    let own = model.object.get("config").and_then(Value::as_array);
    let list = own.or_else(|| model.config.get("layers").and_then(Value::as_array));
    let list = list.ok_or_else(|| model.error("has no layers"))?;
    Ok(list.iter().collect())
}

/// Whether a model is a chain of layers.
pub(super) fn is_chain(model: &Layer<'_>) -> bool {
    model.class == "Sequential" || model.object.get("config").is_some_and(Value::is_array)
}

/// The name of a class in lower case with underscores, as Keras makes it.
pub(super) fn snake(class: &str) -> String {
    let plain: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut out = String::new();
    for (i, c) in plain.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| plain[i]);
        let word = plain.get(i + 1).is_some_and(|after| after.is_lowercase());
        let starts = before.is_some_and(|before| word || before.is_lowercase());
        if c.is_uppercase() && starts && !out.ends_with('_') {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}
