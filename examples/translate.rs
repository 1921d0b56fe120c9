//! Writes a model of any format that is read as ONNX, with random weights: `translate MODEL OUT.onnx [INPUT=1x3x224x224 …]`.
//!
//! This is what `assess` and `probe tract:` or `ort:` run of a model that is not ONNX.

use rooflens::analysis::{analyze, settle};
use rooflens::dim::{Bindings, Dim};
use rooflens::formats::{Given, Unfilled, Wanted, load_for, translate};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("translate MODEL OUT.onnx [INPUT=1x3x224x224 …]".into());
    };
    let shapes: Vec<String> = arguments.collect();
    let given: Vec<(&str, &str)> = shapes.iter().filter_map(|text| text.rsplit_once('=')).collect();
    let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
    let ranks: Vec<usize> = given.iter().map(|(_, sizes)| sizes.split('x').count()).collect();
    let given_shapes = Given { names: &names, first: 0, ranks: &ranks };
    let wanted = Wanted { given: given_shapes, ..Wanted::default() };
    let mut model = load_for(Path::new(&model), &wanted)?;
    for id in model.graph.inputs.clone() {
        let value = model.graph.value_mut(id);
        let sizes = given.iter().find(|(name, _)| *name == value.name).map(|(_, sizes)| sizes);
        if let Some(sizes) = sizes {
            let sizes: Result<Vec<u64>, _> = sizes.split('x').map(str::parse).collect();
            value.info.shape = Some(sizes?.into_iter().map(Dim::from).collect());
        }
    }
    settle(&mut model);
    let known = analyze(&model, &Bindings::new()).values;
    let file = translate(&model, &known)?;
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap_or(0)) / 32_768.0 - 1.0
    };
    let filled = Unfilled::of(&file).and_then(|unfilled| unfilled.fill(&mut random));
    std::fs::write(out, filled.unwrap_or(file))?;
    Ok(())
}
