//! The names of a report as they are shown: whoever wrote the model chose them.

use super::{ModelReport, TensorReport};
use rooflens_ground::text::{show, shown};
use std::borrow::Cow;
use std::collections::BTreeMap;

impl ModelReport {
    /// Writes out what cannot be seen in names, formulas and remarks. JSON keeps them as they are in
    /// the file.
    pub fn show_names(&mut self) {
        let m = &mut self.model;
        [&mut m.name, &mut m.file, &mut m.format, &mut m.producer].into_iter().for_each(show);
        m.batch_symbol.iter_mut().for_each(show);
        m.inputs.iter_mut().chain(&mut self.outputs).for_each(tensor);
        keys(&mut m.opsets);
        keys(&mut self.bindings);
        keys(&mut self.coverage.unknown);
        self.assumptions.iter_mut().for_each(|a| show(&mut a.symbol));
        let f = &mut self.formulas;
        let sums = [&mut f.macs, &mut f.flops, &mut f.int_ops, &mut f.bytes];
        let moved = [&mut f.fused_bytes, &mut f.compulsory_bytes, &mut f.peak_activation_bytes];
        sums.into_iter().chain(moved).chain([&mut f.kv_cache_bytes]).flatten().for_each(show);
        for op in &mut self.ops {
            [&mut op.name, &mut op.op_type].into_iter().for_each(show);
            for port in op.inputs.iter_mut().chain(&mut op.outputs) {
                if [&port.name, &port.symbolic]
                    .iter()
                    .any(|text| matches!(shown(text), Cow::Owned(_)))
                {
                    tensor(port.make_mut());
                }
            }
        }
        for d in &mut self.diagnostics {
            [&mut d.place, &mut d.message].into_iter().chain(&mut d.hint).for_each(show);
        }
        for p in &mut self.phases {
            let formulas = [&mut p.flops_formula, &mut p.compulsory_bytes_formula];
            [&mut p.symbol].into_iter().chain(formulas).for_each(show);
        }
    }
}

fn tensor(tensor: &mut TensorReport) {
    [&mut tensor.name, &mut tensor.symbolic].into_iter().for_each(show);
}

fn keys<V>(map: &mut BTreeMap<String, V>) {
    let shown = |(key, value): (String, V)| (shown(&key).into_owned(), value);
    *map = std::mem::take(map).into_iter().map(shown).collect();
}
