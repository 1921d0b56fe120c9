//! The JSON Schemas in `schemas/` are those of the types.

use super::*;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// Set to write the schemas in place of comparing them.
const WRITE: &str = "ROOFLENS_WRITE_SCHEMAS";

/// The schema of what is written: every field is there, and no other.
fn schema<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let mut closed = RecursiveTransform(|schema: &mut Schema| {
        if schema.get("properties").is_some() {
            schema.insert("additionalProperties".into(), false.into());
        }
        // Comments are broken into lines, descriptions are not.
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace('\n', " ");
        }
    });
    closed.transform(&mut schema);
    schema.insert("title".into(), title.into());
    schema.to_value()
}

/// The schema of assessments with the parts of this module in it; the analysis and the bound are of the model half,
/// whose test holds them.
fn assessment(path: &str) -> Value {
    let mut whole: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (name, part) in [
        ("MachinePart", schema::<MachinePart>("")),
        ("LoopPart", schema::<LoopPart>("")),
        ("RefusalPart", schema::<RefusalPart>("")),
    ] {
        let Value::Object(mut part) = part else { unreachable!("a schema is an object") };
        if let Some(Value::Object(inner)) = part.remove("$defs") {
            inner.into_iter().for_each(|(name, inner)| whole["$defs"][name] = inner);
        }
        part.retain(|key, _| key != "$schema" && key != "title");
        whole["$defs"][name] = part.into();
    }
    whole
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let all = [
        ("measurement", schema::<MeasurementFile>("rooflens measurement")),
        ("sweep", schema::<SweepFile>("rooflens sweep")),
        ("start_up", schema::<StartUpFile>("rooflens start-up")),
        ("batching", schema::<BatchingFile>("rooflens batching")),
    ];
    let mut stale = Vec::new();
    let path =
        |name: &str| format!("{}/../../schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let assessment = ("assessment", assessment(&path("assessment")));
    for (name, schema) in all.into_iter().chain([assessment]) {
        let path = path(name);
        if std::env::var_os(WRITE).is_some() {
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            std::fs::write(&path, text).unwrap();
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if serde_json::from_str::<Value>(&text).ok().as_ref() != Some(&schema) {
            stale.push(path);
        }
    }
    assert!(stale.is_empty(), "run `{WRITE}=1 cargo test --lib schema` to write {stale:?}");
}

#[test]
fn words_are_read_as_they_are_written() {
    for verdict in [Verdict::ClientLimited, Verdict::TooFewSamples, Verdict::Valid] {
        let text = serde_json::to_string(&verdict).unwrap();
        assert_eq!(text, format!("\"{verdict}\""));
        assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
    }
    assert!(serde_json::from_str::<Verdict>("\"GOOD\"").is_err());
    assert!(Verdict::ClientLimited < Verdict::Overloaded, "worst first");
}
