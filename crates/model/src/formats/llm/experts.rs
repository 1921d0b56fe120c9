//! Layers with experts: a router, the experts it chooses from as one node, and those that all tokens take.

use super::blocks::At;
use super::spec::{Mlp, Moe};
use super::tensors::{Kind, Taken, Tensor};
use super::writer::{Writer, sizes};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::{DType, ValueId};

/// One matrix of all experts, as it is stored.
struct Stack {
    main: ValueId,
    bias: Option<ValueId>,
    beside: Vec<ValueId>,
    /// Numbers of all experts.
    numbers: i64,
    plain: bool,
    layout: String,
}

impl Writer<'_, '_> {
    /// A part with experts.
    pub(super) fn moe(&mut self, at: &At<'_>, x: ValueId, m: &Moe) -> Result<ValueId, LoadError> {
        let router = at.name(at.names.router);
        let scores = self.linear(&router, x, [m.experts, at.hidden], m.router_bias, at.form())?;
        let stacks = self.stacks(at, m)?;
        let mut y = self.chosen(at, x, scores, m, &stacks)?;
        if let Some(inner) = m.shared {
            let [gate, up, down] = at.names.shared;
            let fused = if up.is_empty() { gate } else { "" };
            let gated = m.gated;
            let mlp = Mlp { inner, gated, fused: !fused.is_empty(), bias: false };
            let mut all =
                self.mlp(at, [fused, if fused.is_empty() { gate } else { "" }, up, down], x, &mlp)?;
            if m.shared_gate && !at.names.shared_gate.is_empty() {
                let open = self.linear(
                    &at.name(at.names.shared_gate),
                    x,
                    [1, at.hidden],
                    false,
                    at.form(),
                )?;
                let open = self.node(&at.name("shared_open"), "Sigmoid", &[open])?;
                all = self.node(&at.name("shared_gated"), "Mul", &[all, open])?;
            }
            y = self.node(&at.name("experts_and_shared"), "Add", &[y, all])?;
        }
        Ok(y)
    }

    /// Gate and up in one, or gate, or nothing; up; down.
    fn stacks(&mut self, at: &At<'_>, m: &Moe) -> Result<[Option<Stack>; 3], LoadError> {
        let [both, gate, up, down] = at.names.stacks.map(|name| at.name(name));
        let first = format!("{}0.", at.name(at.names.expert));
        let files = self.tensors.files();
        let single = if files {
            !at.names.expert.is_empty() && self.tensors.any(&first)
        } else {
            !m.stacked
        };
        let (inner, hidden) = (m.inner, at.hidden);
        if single {
            let [gate, up, down] = at.names.experts;
            let gate = if m.gated { Some(self.each(at, gate, [inner, hidden], m)?) } else { None };
            let up = self.each(at, up, [inner, hidden], m)?;
            return Ok([gate, Some(up), Some(self.each(at, down, [hidden, inner], m)?)]);
        }
        // As MLX stacks them.
        let switch = ["gate_proj", "up_proj", "down_proj"]
            .map(|name| at.name(&format!("mlp.switch_mlp.{name}")));
        let [gate, up, down] = if self.tensors.any(&switch[1]) { switch } else { [gate, up, down] };
        let fused =
            if files { !at.names.stacks[0].is_empty() && self.tensors.any(&both) } else { m.gated };
        let down = self.stack(&down, [hidden, inner], m)?;
        if fused && m.gated {
            let both = self.stack(&both, [inner.saturating_mul(2), hidden], m)?;
            return Ok([Some(both), None, Some(down)]);
        }
        let gate = if m.gated { Some(self.stack(&gate, [inner, hidden], m)?) } else { None };
        let up = self.stack(&up, [inner, hidden], m)?;
        Ok([gate, Some(up), Some(down)])
    }

    /// The matrices of one role, of which each expert has its own.
    fn each(
        &mut self,
        at: &At<'_>,
        role: &str,
        [n, k]: [i64; 2],
        m: &Moe,
    ) -> Result<Stack, LoadError> {
        let start = at.name(at.names.expert);
        let numbers = m.experts.saturating_mul(n).saturating_mul(k);
        let ends = self.tensors.ends(&format!("{start}0.{role}."));
        let main = ["qweight", "weight_packed", "weight"]
            .iter()
            .find(|end| ends.iter().any(|e| e == *end));
        let Some(main) = main else {
            let all = if self.tensors.files() { m.experts } else { 0 };
            for e in 0..all {
                self.tensors.miss(&format!("{start}{e}.{role}.weight"));
            }
            return self.invented(&format!("{start}*.{role}"), [n, k], m, false);
        };
        let mut parts = Vec::new();
        for end in &ends {
            let mut sum: Option<Taken> = None;
            for e in 0..m.experts {
                let name = format!("{start}{e}.{role}.{end}");
                let shape = [n, k];
                let plain = self.tensors.find(&name).is_some_and(|t| wide(t) && end == main);
                match self.tensors.take(&name, plain.then_some(&shape[..])) {
                    None => self.tensors.miss(&name),
                    Some(one) => match &mut sum {
                        None => sum = Some(one),
                        Some(sum) => {
                            sum.tensor.bytes = sum.tensor.bytes.saturating_add(one.tensor.bytes);
                        }
                    },
                }
            }
            if let Some(mut sum) = sum {
                sum.tensor.shape.insert(0, u64::try_from(m.experts).unwrap_or(0));
                sum.name = sum.name.replacen("experts.0.", "experts.*.", 1);
                parts.push((end.clone(), sum));
            }
        }
        self.assembled(parts, main, numbers, "bias")
    }

    /// One matrix of all experts in one tensor.
    fn stack(&mut self, base: &str, [n, k]: [i64; 2], m: &Moe) -> Result<Stack, LoadError> {
        let numbers = m.experts.saturating_mul(n).saturating_mul(k);
        let mains = ["_blocks", ".weight", "", ".qweight", ".weight_packed"];
        let main = mains.iter().find(|end| self.tensors.find(&format!("{base}{end}")).is_some());
        let Some(main) = main else {
            self.tensors.miss(base);
            return self.invented(base, [n, k], m, m.bias);
        };
        let mut parts = Vec::new();
        for end in self.tensors.ends(base) {
            if !end.is_empty() && !end.starts_with(['.', '_']) || end.starts_with("_bias.") {
                continue;
            }
            let name = format!("{base}{end}");
            let plain = self.tensors.find(&name).is_some_and(|t| wide(t) && end == *main);
            // Stored either way round, it holds as many numbers.
            let shape = [m.experts, n, k];
            let turned = [m.experts, k, n];
            let found = self.tensors.find(&name).map(|t| t.shape.clone()).unwrap_or_default();
            let other = found.get(1).copied() == u64::try_from(k).ok() && n != k;
            let shape = if other { &turned } else { &shape };
            if let Some(taken) = self.tensors.take(&name, plain.then_some(&shape[..])) {
                parts.push((end, taken));
            }
        }
        let bias = if parts.iter().any(|(end, _)| end == ".bias") { ".bias" } else { "_bias" };
        self.assembled(parts, main, numbers, bias)
    }

    /// What was taken as values, the matrix first.
    fn assembled(
        &mut self,
        parts: Vec<(String, Taken)>,
        main: &str,
        numbers: i64,
        bias: &str,
    ) -> Result<Stack, LoadError> {
        let mut stack: Option<Stack> = None;
        let mut beside = Vec::new();
        let mut biased = None;
        for (end, taken) in parts {
            let value = self.raw(&taken.name, &taken.tensor)?;
            if end == main {
                let plain = wide(&taken.tensor);
                let layout = self.layout(&taken.tensor);
                if !plain {
                    self.holds(&taken, numbers);
                }
                stack = Some(Stack {
                    main: value,
                    bias: None,
                    beside: Vec::new(),
                    numbers,
                    plain,
                    layout,
                });
            } else if end == bias {
                biased = Some(value);
            } else {
                beside.push(value);
            }
        }
        match stack {
            Some(stack) => Ok(Stack { bias: biased, beside, ..stack }),
            None => Err(crate::formats::error::invalid("experts", "have no weights")),
        }
    }

    /// Matrices that no file shows.
    fn invented(
        &mut self,
        base: &str,
        [n, k]: [i64; 2],
        m: &Moe,
        bias: bool,
    ) -> Result<Stack, LoadError> {
        let name = format!("{base}.weight");
        let numbers = m.experts.saturating_mul(n).saturating_mul(k);
        let bias = if bias {
            Some(self.store(&format!("{base}.bias"), self.dtype, &[m.experts, n], None)?)
        } else {
            None
        };
        let packing = self.packing.clone().filter(|packing| packing.packs(base));
        let Some(packing) = packing else {
            let main = self.store(&name, self.dtype, &[m.experts, n, k], None)?;
            return Ok(Stack {
                main,
                bias,
                beside: Vec::new(),
                numbers,
                plain: true,
                layout: String::new(),
            });
        };
        let ([_, packed], [_, groups]) = sizes(&packing, n, k);
        let main = self.store(&name, DType::U8, &[m.experts, n, packed], None)?;
        let dtype = if packing.scale_bits == 8 { DType::U8 } else { DType::F16 };
        let scales = self.store(&format!("{base}.scales"), dtype, &[m.experts, n, groups], None)?;
        let layout = format!("{} {} bit", packing.method, packing.bits);
        Ok(Stack { main, bias, beside: vec![scales], numbers, plain: false, layout })
    }

    /// The node that runs the chosen experts.
    fn chosen(
        &mut self,
        at: &At<'_>,
        x: ValueId,
        scores: ValueId,
        m: &Moe,
        stacks: &[Option<Stack>; 3],
    ) -> Result<ValueId, LoadError> {
        let name = at.name("experts");
        let all = || stacks.iter().flatten();
        let layout = all().map(|stack| stack.layout.as_str()).find(|layout| !layout.is_empty());
        let numbers = stacks
            .iter()
            .map(|stack| stack.as_ref().map_or(0, |s| s.numbers))
            .collect::<Vec<i64>>();
        let op = Op::own("Experts")
            .with("k", m.chosen)
            .with("experts", m.experts)
            .with("numbers", numbers);
        let op = op.with("layout", layout.unwrap_or("plain"));
        let mut inputs = vec![Some(x), Some(scores)];
        inputs.extend(stacks.iter().map(|stack| stack.as_ref().map(|s| s.main)));
        inputs.extend(stacks.iter().map(|stack| stack.as_ref().and_then(|s| s.bias)));
        inputs.extend(all().flat_map(|stack| stack.beside.iter().copied().map(Some)));
        if all().all(|stack| stack.plain) {
            if let [Some(first), up, Some(down)] = stacks {
                let fused = up.is_none();
                let op = Op::microsoft("MoE").with("k", m.chosen);
                let op = op.with("activation_type", if fused { "swiglu" } else { "silu" });
                let second = up.as_ref().map(|s| s.main);
                let bias = up.as_ref().and_then(|s| s.bias);
                let inputs = [
                    Some(x),
                    Some(scores),
                    Some(first.main),
                    first.bias,
                    Some(down.main),
                    down.bias,
                    second,
                    bias,
                ];
                return self.draft.one(&name, op, &inputs);
            }
        }
        self.draft.one(&name, op, &inputs)
    }
}

/// Whether numbers are floats of at least 16 bits, one by one.
fn wide(tensor: &Tensor) -> bool {
    matches!(tensor.kind, Kind::Plain(dtype) if dtype.is_float() && dtype.bits() >= 16)
}
