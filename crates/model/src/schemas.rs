//! The JSON Schemas of analyses, devices and plans of serving in `schemas/` are those of the types, and the comments of these are their
//! descriptions.

use crate::hwdb::Device;
use crate::report::ModelReport;
use crate::serving::ServePlan;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Set to write the schemas in place of comparing them.
const WRITE: &str = "ROOFLENS_WRITE_SCHEMAS";

/// The schema of what is written: every field is there unless it is left out, no other is, and no number is negative.
fn schema<T: JsonSchema>(title: &str) -> Value {
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

/// The schema of assessments, with the parts of an analysis in it; the rest is held by those who make it.
fn assessment(text: &str) -> Value {
    let mut whole: Value = serde_json::from_str(text).unwrap();
    let Value::Object(mut analysis) = schema::<ModelReport>("") else { unreachable!("an object") };
    if let Some(Value::Object(parts)) = analysis.remove("$defs") {
        parts.into_iter().for_each(|(name, part)| whole["$defs"][name] = part);
    }
    analysis.retain(|key, _| key != "$schema" && key != "title");
    whole["$defs"]["ModelReport"] = analysis.into();
    whole
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let path =
        |name: &str| format!("{}/../../schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let assessments = std::fs::read_to_string(path("assessment")).unwrap();
    let all = [
        ("analysis", schema::<ModelReport>("rooflens analyze --format json")),
        ("devices", schema::<Vec<Device>>("rooflens devices")),
        ("serve_plan", schema::<ServePlan>("rooflens serve-plan")),
        ("assessment", assessment(&assessments)),
    ];
    let mut stale = Vec::new();
    for (name, schema) in all {
        let path = path(name);
        if std::env::var_os(WRITE).is_some() {
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            std::fs::write(&path, text).unwrap();
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        if serde_json::from_str::<Value>(&text).ok().as_ref() != Some(&schema) {
            stale.push(path);
        }
    }
    let run = format!("run `{WRITE}=1 cargo test -p rooflens-model --lib schemas`");
    assert!(stale.is_empty(), "{run} to write {stale:?}");
}
