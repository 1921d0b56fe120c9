//! What would help, in numbers that are evaluated and not advised.

use super::schema::{CasePart, DevicePart, SubjectPart, SymbolRole};
use super::times::{Times, Types, times};

/// One change, and what it does to the fused time of one inference.
#[derive(Clone, Debug, PartialEq)]
pub struct Help {
    /// What is changed.
    pub what: String,
    /// How much faster an inference is: above 1 helps, below 1 hurts.
    pub factor: f64,
}

/// Types that are looked at: name, bits of a weight and of an activation, and the ceiling.
const TYPES: [(&str, f64, f64, &str); 6] = [
    ("tf32", 32.0, 32.0, "tf32"),
    ("f16", 16.0, 16.0, "f16"),
    ("bf16", 16.0, 16.0, "bf16"),
    ("f8", 8.0, 8.0, "f8"),
    ("i8", 8.0, 8.0, "i8"),
    ("weights in 4 bits, f16 else", 4.0, 16.0, "f16"),
];

/// Changes below this share are not worth a line.
const LEAST: f64 = 0.05;

/// What would help `case`, the largest change first; what makes it slower is last.
pub fn helps(
    subject: &SubjectPart,
    device: &DevicePart,
    case: &CasePart,
    others: &[&DevicePart],
) -> Vec<Help> {
    let sizes = subject.values();
    let own = Types { ceiling: case.dtype.clone(), bits: None };
    let now = case.fused.seconds;
    let mut all = Vec::new();
    if now <= 0.0 {
        return all;
    }
    let mut add = |what: String, then: Option<Times>, inferences: f64| {
        let then = then.map(|t| t.fused.seconds).filter(|s| *s > 0.0);
        all.extend(then.map(|then| Help { what, factor: now * inferences / then }));
    };
    for (name, weights, activations, ceiling) in TYPES {
        let types = Types { ceiling: ceiling.to_owned(), bits: Some((weights, activations)) };
        if name != case.dtype && subject.precision.is_none() {
            add(format!("in {name}"), times(subject, device, &types, &sizes), 1.0);
        }
    }
    if let Some(batch) = subject.symbols.iter().find(|s| s.role == SymbolRole::Batch && s.open) {
        for n in [8u32, 32, 128] {
            let wanted = f64::from(n);
            if batch.at > 0 && wanted > batch.at as f64 {
                let mut at = sizes.clone();
                at.insert(batch.name.clone(), wanted);
                let then = times(subject, device, &own, &at);
                add(format!("batch {n}, per inference"), then, wanted / batch.at as f64);
            }
        }
    }
    for other in others.iter().filter(|other| other.id != device.id) {
        add(format!("on {}", other.name), times(subject, other, &own, &sizes), 1.0);
    }
    let unfused = case.unfused.seconds;
    if unfused > 0.0 {
        all.push(Help {
            what: "in a runtime that fuses nothing".to_owned(),
            factor: now / unfused,
        });
    }
    all.retain(|help| (help.factor - 1.0).abs() >= LEAST && help.factor.is_finite());
    all.sort_by(|a, b| b.factor.total_cmp(&a.factor));
    all
}
