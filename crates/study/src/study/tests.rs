//! The schema is that of the types, and formulas give what reports count.

use super::formula::Values;
use super::*;
use rooflens_model::analysis::{Precision, recast};
use rooflens_model::dim::Bindings;
use rooflens_model::formats::load;
use rooflens_model::hwdb::Catalogue;
use rooflens_model::ir::Model;
use rooflens_model::report::{BoundReport, ModelReport};
use rooflens_model::roofline::Roof;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Set to write the schema in place of comparing it.
const WRITE: &str = "ROOFLENS_WRITE_SCHEMAS";

/// The schema of what is written: every field is there, and no other.
fn schema<T: schemars::JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let mut closed = RecursiveTransform(|schema: &mut Schema| {
        if schema.get("properties").is_some() {
            schema.insert("additionalProperties".into(), false.into());
        }
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace('\n', " ");
        }
    });
    closed.transform(&mut schema);
    schema.insert("title".into(), title.into());
    schema.to_value()
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let mut study = schema::<StudyFile>("rooflens study");
    with_parts_of_measurements(&mut study);
    for (name, schema) in [
        ("study", study),
        ("comparison", schema::<ComparisonFile>("rooflens comparison")),
        ("recommendation", schema::<recommend::RecommendationFile>("rooflens recommendation")),
    ] {
        let path = root().join(format!("schemas/{name}.schema.json"));
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(&path, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let fresh = serde_json::from_str::<Value>(&text).ok() == Some(schema);
        assert!(fresh, "run `{WRITE}=1 cargo test -p rooflens-study schema` to write {name}");
    }
}

/// Puts the parts that measurement files have too where the types say nothing of them.
fn with_parts_of_measurements(schema: &mut Value) {
    let text = std::fs::read_to_string(root().join("schemas/measurement.schema.json")).unwrap();
    let measurement: Value = serde_json::from_str(&text).unwrap();
    let one = |name: &str| serde_json::json!({ "$ref": format!("#/$defs/{name}") });
    let many = |name: &str| serde_json::json!({ "type": "array", "items": one(name) });
    let perhaps = |name: &str| serde_json::json!({ "anyOf": [one(name), { "type": "null" }] });
    let fields = [
        ("RunPart", "slo", perhaps("SloPart")),
        ("RunPart", "verdict", one("VerdictPart")),
        ("RunPart", "percentiles", many("PercentilePart")),
        ("RunPart", "service_percentiles", many("PercentilePart")),
        ("RunPart", "meters", many("MeterPart")),
        ("RunPart", "model", perhaps("ModelPart")),
        ("StageTime", "role", one("Role")),
    ];
    for (part, field, mut form) in fields {
        let slot = &mut schema["$defs"][part]["properties"][field];
        form["description"] = slot["description"].clone();
        *slot = form;
    }
    let mut open: Vec<String> =
        ["SloPart", "VerdictPart", "PercentilePart", "MeterPart", "ModelPart", "Role"]
            .map(str::to_owned)
            .into();
    while let Some(name) = open.pop() {
        let part = measurement["$defs"][&name].clone();
        assert!(part.is_object(), "{name}");
        let text = part.to_string();
        let more = text.split("#/$defs/").skip(1).filter_map(|rest| rest.split('"').next());
        open.extend(more.filter(|more| schema["$defs"].get(more).is_none()).map(str::to_owned));
        schema["$defs"][name] = part;
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

const MODELS: [&str; 8] = [
    "bert_base",
    "efficientnet_b0",
    "gpt2",
    "inception_v3",
    "mobilenet_v2",
    "resnet50",
    "vgg16",
    "vit_b_16",
];

fn model(name: &str) -> Model {
    let mut model = load(&root().join(format!("models/{name}.onnx"))).unwrap();
    rooflens_model::analysis::settle(&mut model);
    model
}

fn report(model: &Model, bindings: &Bindings) -> ModelReport {
    ModelReport::new(model, "a model", bindings).unwrap()
}

/// Sizes by a generator of its own: the same in each run.
fn sizes(names: &[String], seed: u64) -> Bindings {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i128::from(state >> 33)
    };
    names.iter().map(|name| (name.as_str().into(), 1 + next() % 300)).collect()
}

/// Relative difference of 1e-12 to counts in 128 bits, at 200 choices of sizes; equal below 2^53.
#[test]
fn formulas_evaluate_as_counted() {
    for name in MODELS {
        let model = model(name);
        let walk = rooflens_model::analysis::analyze(&model, &Bindings::new());
        let mut pool = formula::Filling::default();
        let mut dims =
            vec![walk.totals.flops.clone(), walk.fused_bytes.clone(), walk.sure_bytes.clone()];
        dims.extend(walk.groups.iter().map(|g| g.bytes_read.clone()));
        dims.extend(walk.nodes.iter().map(|n| n.cost.flops.clone()));
        dims.push(walk.peak_formula());
        dims.extend(walk.values.iter().filter_map(rooflens_model::ir::TensorInfo::bytes));
        let places: Vec<usize> = dims.iter().map(|dim| pool.add(dim)).collect();
        let pool = pool.done();
        let names: Vec<String> = walk.symbols.iter().map(ToString::to_string).collect();
        for seed in 0..200 {
            let at = sizes(&names, seed);
            let values: Values = at.iter().map(|(k, v)| (k.to_string(), *v as f64)).collect();
            let numbers = pool.evaluate(&values);
            for (dim, place) in dims.iter().zip(&places) {
                let Ok(exact) = dim.eval(&at) else { continue };
                let found = numbers[*place].unwrap_or_else(|| panic!("{name}: {dim}"));
                let wanted = exact as f64;
                let fine = if exact.unsigned_abs() < 1 << 53 {
                    found.to_bits() == wanted.to_bits() || found.abs().max(wanted.abs()) <= 0.0
                } else {
                    (found - wanted).abs() <= 1e-12 * wanted.abs()
                };
                assert!(fine, "{name} at {at:?}: {dim} is {exact}, not {found}");
            }
        }
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// On several devices, at other sizes than the study was made at, in the model's type and in others: what the
/// formulas give is what an analysis at those sizes and types gives.
#[test]
fn times_are_those_of_an_analysis_at_the_same_sizes_and_types() {
    let catalogue = Catalogue::builtin().unwrap();
    for name in MODELS {
        let model = model(name);
        let base = formulas(&model, &report(&model, &Bindings::new()));
        assert_eq!(base.one_type, None, "{name}");
        let names: Vec<String> =
            base.symbols.iter().filter(|s| s.open).map(|s| s.name.clone()).collect();
        for (seed, device) in ["v100", "t4", "h100", "raspberry-pi-5"].iter().enumerate() {
            let found = catalogue.find(device).unwrap();
            let part = super::device(found).unwrap();
            for (dtype, bits) in
                [("f32", None), ("f16", Some((16.0, 16.0))), ("i8", Some((8.0, 8.0)))]
            {
                let Ok(roof) = Roof::of(found, dtype) else { continue };
                let at = sizes(&names, u64::try_from(seed).unwrap() + 7);
                let cast = match bits {
                    None => model.clone(),
                    Some(_) => recast(&model, dtype.parse::<Precision>().unwrap()),
                };
                let counted = report(&cast, &at);
                let bound = BoundReport::new(&roof, &counted).with_device(found, &roof, &counted);
                let wanted = case((0, 0), &counted, &bound);
                let values: Sizes =
                    counted.bindings.iter().map(|(k, v)| (k.clone(), *v as f64)).collect();
                let types = Types { ceiling: dtype.to_owned(), bits };
                let got = times(&base, &part, &types, &values).unwrap();
                for (what, got, wanted) in [
                    ("at best", got.at_best, wanted.at_best),
                    ("fused", got.fused, wanted.fused),
                    ("unfused", got.unfused, wanted.unfused),
                ] {
                    let same = close(got.seconds, wanted.seconds)
                        && close(got.compute + 1.0, wanted.compute + 1.0)
                        && close(got.operations_per_second, wanted.operations_per_second);
                    assert!(same, "{name} {device} {dtype} {what} at {at:?}: {got:?} {wanted:?}");
                }
            }
        }
    }
}

/// Figures of the specification, which were taken from the counts of an earlier version: memory takes 75 % of
/// `MobileNetV2` on a V100 in f32, and 81 % of `ResNet-50` in f16.
#[test]
fn what_binds_is_a_share_of_the_fused_time() {
    let catalogue = Catalogue::builtin().unwrap();
    let v100 = catalogue.find("v100").unwrap();
    let share = |name: &str, dtype: &str| {
        let cast = recast(&model(name), dtype.parse::<Precision>().unwrap());
        let counted = report(&cast, &Bindings::new());
        let roof = Roof::of(v100, dtype).unwrap();
        case((0, 0), &counted, &BoundReport::new(&roof, &counted)).fused
    };
    let mobilenet = share("mobilenet_v2", "f32");
    assert!((mobilenet.memory - 0.75).abs() < 0.03, "{mobilenet:?}");
    assert!(what_binds(&mobilenet).starts_with("memory takes 7"), "{}", what_binds(&mobilenet));
    let resnet = share("resnet50", "f16");
    assert!((resnet.memory - 0.81).abs() < 0.03, "{resnet:?}");
}

/// Equal kernels are one row, and a large model stays small: GPT-2 has hundreds of nodes that cost something, and some
/// fifty kinds.
#[test]
fn equal_kernels_are_one_row() {
    let model = model("gpt2");
    let subject = formulas(&model, &report(&model, &Bindings::new()));
    let all: u64 = subject.alone.count.iter().sum();
    assert!(all > 300 && subject.alone.len() < 80, "{all} {}", subject.alone.len());
    let bytes = serde_json::to_string(&subject).unwrap().len();
    assert!(bytes < 40_000, "{bytes}");
}

#[test]
fn a_report_alone_gives_the_same_numbers_at_its_sizes() {
    let catalogue = Catalogue::builtin().unwrap();
    let part = device(catalogue.find("v100").unwrap()).unwrap();
    let model = model("bert_base");
    let at: Bindings = [("batch".into(), 2), ("seq".into(), 100)].into_iter().collect();
    let counted_report = report(&model, &at);
    let (open, fixed) = (formulas(&model, &counted_report), counted(&counted_report));
    assert!(fixed.fixed.is_some() && fixed.one_type.is_some() && open.fixed.is_none());
    let of = |s: &SubjectPart| times(s, &part, &Types::own(s), &s.values()).unwrap();
    let (a, b) = (of(&open), of(&fixed));
    assert!(close(a.fused.seconds, b.fused.seconds) && close(a.unfused.seconds, b.unfused.seconds));
    assert!(close(a.at_best.seconds, b.at_best.seconds), "{a:?} {b:?}");
}
