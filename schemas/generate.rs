//! The JSON Schemas of this folder, generated from the types of what is printed; the comments of these are their descriptions.
//!
//! Included by the tests of the crates that have such types. A type of another crate is a `$ref`, and its part is held by the
//! test of that crate.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Set to write the schemas in place of comparing them.
const WRITE: &str = "ROOFLENS_WRITE_SCHEMAS";

/// The schema of what is written: every field is there unless it is left out, no other is, and no number is negative.
pub(crate) fn schema<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    let mut schema = schema.to_value();
    tighten(&mut schema, true);
    schema
}

/// Says what the generator does not know of a schema and of all within it. One that is a part of an object is not
/// `whole`: other fields stand beside its own.
fn tighten(schema: &mut Value, whole: bool) {
    if let Value::Array(all) = schema {
        for one in all {
            tighten(one, whole);
        }
    }
    let Value::Object(schema) = schema else { return };
    // Comments are broken into lines, descriptions are not.
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    if is_of(schema, "number") {
        let open = !schema.contains_key("exclusiveMinimum") && !schema.contains_key("minimum");
        open.then(|| schema.insert("minimum".into(), 0.into()));
    }
    let has_fields = schema.get("properties").is_some();
    if has_fields {
        never_null(schema);
        if whole {
            let parts = ["oneOf", "anyOf", "allOf"].iter().any(|key| schema.contains_key(*key));
            let closed = if parts { "unevaluatedProperties" } else { "additionalProperties" };
            schema.insert(closed.into(), false.into());
        }
    }
    for (key, inner) in schema.iter_mut() {
        match (key.as_str(), inner) {
            ("properties" | "$defs", Value::Object(named)) => {
                named.values_mut().for_each(|one| tighten(one, true));
            }
            ("oneOf" | "anyOf" | "allOf", parts) => tighten(parts, whole && !has_fields),
            (_, inner) => tighten(inner, true),
        }
    }
}

/// Whether a schema allows a type.
fn is_of(schema: &Map<String, Value>, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(only)) => only == name,
        Some(Value::Array(all)) => all.iter().any(|one| one == name),
        _ => false,
    }
}

/// A field that is left out where it has no value is not null where it is there.
fn never_null(schema: &mut Map<String, Value>) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let required =
        |name: &str| required.as_array().is_some_and(|all| all.iter().any(|r| r == name));
    let Some(Value::Object(fields)) = schema.get_mut("properties") else { return };
    for (_, field) in fields.iter_mut().filter(|(name, _)| !required(name)) {
        if let Some(Value::Array(types)) = field.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = &types[..] {
                field["type"] = only.clone();
            }
        }
        if let Some(Value::Array(any)) = field.get_mut("anyOf") {
            any.retain(|one| one["type"] != "null");
        }
    }
}

/// Puts a type's schema among the parts of another one, and the parts of its own.
#[allow(dead_code, reason = "not every crate that includes this file has such parts")]
pub(crate) fn add_part<T: JsonSchema>(whole: &mut Value, name: &str) {
    let Value::Object(mut part) = schema::<T>("") else { unreachable!("a schema is an object") };
    if let Some(Value::Object(inner)) = part.remove("$defs") {
        inner.into_iter().for_each(|(name, inner)| whole["$defs"][name] = inner);
    }
    part.retain(|key, _| key != "$schema" && key != "title");
    whole["$defs"][name] = part.into();
}

/// The schema of this name as it stands in the folder, which is below the root of the workspace.
pub(crate) fn stored(root: &str, name: &str) -> Value {
    let text = std::fs::read_to_string(path(root, name)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn path(root: &str, name: &str) -> String {
    format!("{root}/schemas/{name}.schema.json")
}

/// Holds the stored schemas against those of the types, or writes them; `package` has the test.
#[track_caller]
pub(crate) fn hold(root: &str, package: &str, all: &[(&str, Value)]) {
    let write = std::env::var_os(WRITE).is_some();
    let mut stale = Vec::new();
    for (name, schema) in all {
        if write {
            let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
            std::fs::write(path(root, name), text).unwrap();
        } else if stored(root, name) != *schema {
            stale.push(name);
        }
    }
    let run = format!("run `{WRITE}=1 cargo test -p {package} --lib schemas`");
    assert!(stale.is_empty(), "{run} to write {stale:?}");
}
