//! Reading and analysing the shipped models.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use rooflens_model::{analysis::analyze, dim::Bindings, formats::load};
use std::hint::black_box;
use std::path::PathBuf;

fn models(c: &mut Criterion) {
    for name in ["mobilenet_v2", "resnet50", "vit_b_16", "bert_base"] {
        let path = PathBuf::from(format!("{}/../models/{name}.onnx", env!("CARGO_MANIFEST_DIR")));
        c.bench_function(&format!("read/{name}"), |b| b.iter(|| load(black_box(&path)).unwrap()));
        let model = load(&path).unwrap();
        let open = Bindings::new();
        let fixed: Bindings = [("batch".into(), 8), ("seq".into(), 128)].into();
        c.bench_function(&format!("analyze/symbolic/{name}"), |b| {
            b.iter(|| analyze(black_box(&model), &open));
        });
        c.bench_function(&format!("analyze/numeric/{name}"), |b| {
            b.iter(|| analyze(black_box(&model), &fixed));
        });
    }
}

criterion_group!(benches, models);
criterion_main!(benches);
