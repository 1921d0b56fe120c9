//! The JSON Schemas of what commands find are those of the types; parts of other crates are held by the tests there.

#[path = "../schemas/generate.rs"]
mod generate;

use crate::assess::Assessment;
use crate::results::{CheckResult, Detected, ModelDiff, SurveyResult};
use generate::{hold, schema, stored};
use serde_json::Value;
use std::collections::BTreeSet;

/// Stand for types of other crates, whose schemas are parts of stored ones.
pub(crate) mod elsewhere {
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use std::borrow::Cow;

    macro_rules! parts {
        ($($name:ident),+) => {
            $(pub(crate) struct $name;

            impl JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn inline_schema() -> bool {
                    true
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({ "$ref": concat!("#/$defs/", stringify!($name)) })
                }
            })+
        };
    }

    parts!(
        BoundReport,
        Cache,
        Calibration,
        Gpu,
        HostPart,
        LoopPart,
        MachinePart,
        ModelReport,
        RefusalPart
    );

    /// What is done to memory: the words of `host::Pattern`.
    pub(crate) struct Pattern;

    impl JsonSchema for Pattern {
        fn schema_name() -> Cow<'static, str> {
            "Pattern".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "enum": crate::host::Pattern::ALL })
        }
    }
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Adds the parts that a schema refers to and lacks, and theirs, from the first of the stored schemas that has them.
fn with_parts(mut schema: Value, stored: &[&Value]) -> Value {
    loop {
        let mut names = BTreeSet::new();
        references(&schema, &mut names);
        let missing = names.into_iter().find(|name| schema["$defs"].get(name).is_none());
        let Some(name) = missing else { return schema };
        let part = stored.iter().find_map(|one| one["$defs"].get(&name));
        let part = part.unwrap_or_else(|| panic!("no stored schema has the part {name}")).clone();
        schema["$defs"][name] = part;
    }
}

fn references(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Array(all) => all.iter().for_each(|one| references(one, names)),
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str);
            names.extend(name.and_then(|r| r.strip_prefix("#/$defs/")).map(str::to_owned));
            fields.values().for_each(|one| references(one, names));
        }
        _ => {}
    }
}

/// Machines as they are detected: a GPU with its fields beside those that the command adds.
fn detected(survey: &Value) -> Value {
    let mut whole = schema::<Detected>("rooflens hw detect --format json");
    let gpu = &survey["$defs"]["Gpu"];
    let known = &mut whole["$defs"]["KnownGpu"];
    for (name, field) in gpu["properties"].as_object().unwrap() {
        known["properties"][name] = field.clone();
    }
    known["required"].as_array_mut().unwrap().extend(gpu["required"].as_array().unwrap().clone());
    with_parts(whole, &[survey])
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let of = |name: &str| stored(ROOT, name);
    let old = of("survey");
    let survey = schema::<SurveyResult>("rooflens hw measure --format json");
    let survey = with_parts(survey, &[&old, &of("measurement"), &of("devices")]);
    let assessment = schema::<Assessment>("report.json of rooflens assess");
    let all = [
        ("check", schema::<CheckResult>("rooflens check --format json")),
        ("diff", schema::<ModelDiff>("rooflens diff --format json")),
        ("host", detected(&old)),
        ("survey", survey),
        ("assessment", with_parts(assessment, &[&of("assessment")])),
    ];
    hold(ROOT, "rooflens", &all);
}
