//! Reading and analysing large models: a decoder of a billion parameters, and many nodes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

#[path = "../tests/it/scale.rs"]
mod scale;
#[path = "../tests/it/wire.rs"]
mod wire;

use criterion::{Criterion, criterion_group, criterion_main};
use rooflens_model::{analysis::analyze, dim::Bindings, formats::load};
use std::hint::black_box;

fn large(c: &mut Criterion) {
    // With a folder given, the models are left there for other tools.
    let own = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("SCALE_MODELS").map_or(own.path().to_owned(), Into::into);
    std::fs::create_dir_all(&folder).unwrap();
    let mut group = c.benchmark_group("large");
    group.sample_size(10);
    let open = Bindings::new();
    for name in ["decoder", "heavy", "nodes_50k", "nodes_100k"] {
        let path = folder.join(format!("{name}.onnx"));
        match name {
            "decoder" => scale::decoder(&path),
            "heavy" => scale::heavy(&path),
            "nodes_50k" => scale::many(&path, 50_000),
            _ => scale::many(&path, 100_000),
        }
        group.bench_function(format!("read/{name}"), |b| {
            b.iter(|| load(black_box(&path)).unwrap());
        });
        let model = load(&path).unwrap();
        group.bench_function(format!("analyze/{name}"), |b| {
            b.iter(|| analyze(black_box(&model), &open));
        });
    }
    group.finish();
}

criterion_group!(benches, large);
criterion_main!(benches);
