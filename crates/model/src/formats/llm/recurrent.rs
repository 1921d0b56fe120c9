//! Mixers with a state of constant size: the two Mambas, and the gated delta rule.

use super::blocks::{At, Kept};
use super::spec::{Delta, Norm, Scan};
use super::writer::Writer;
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::{DType, ValueId};

impl Writer<'_, '_> {
    /// A causal convolution over `x: [batch, seq, channels]`, with the last inputs as its state.
    fn causal_conv(
        &mut self,
        at: &At<'_>,
        x: ValueId,
        [channels, taps]: [i64; 2],
        bias: bool,
        kept: &mut Kept,
    ) -> Result<ValueId, LoadError> {
        let base = at.name(at.names.scan[1]);
        let name = format!("{base}.weight");
        let weight = match self.tensors.take(&name, Some(&[channels, 1, taps])) {
            Some(taken) => match taken.tensor.kind {
                super::tensors::Kind::Plain(dtype) => {
                    self.store(&taken.name, dtype, &[channels, 1, taps], Some(taken.tensor.bytes))?
                }
                super::tensors::Kind::Packed(_) => self.raw(&taken.name, &taken.tensor)?,
            },
            None => {
                self.tensors.miss(&name);
                self.store(&name, self.dtype, &[channels, 1, taps], None)?
            }
        };
        let bias = self.tensor(&format!("{base}.bias"), bias, &[channels])?;
        let turned = |w: &mut Self, name: String, x| {
            w.draft.one(&name, Op::onnx("Transpose").with("perm", vec![0, 2, 1]), &[Some(x)])
        };
        let x = turned(self, format!("{base}/turned"), x)?;
        let past =
            self.past(at, "conv", self.dtype, &[Dim::from(channels), Dim::from(taps - 1)])?;
        let op = Op::at("CausalConvWithState", super::OPSET).with("activation", "silu");
        let made = self.draft.many(&base, op, &[Some(x), Some(weight), bias, Some(past)], 2)?;
        kept.push((made[1], format!("present.{}.conv", at.number)));
        turned(self, format!("{base}/back"), made[0])
    }

    /// A selective scan with its projections.
    pub(super) fn scanned(
        &mut self,
        at: &At<'_>,
        x: ValueId,
        s: &Scan,
        kept: &mut Kept,
    ) -> Result<ValueId, LoadError> {
        match (s.rank, s.heads) {
            (Some(rank), _) => self.first(at, x, s, rank, kept),
            (None, heads) => self.second(at, x, s, heads.unwrap_or((1, 1)), kept),
        }
    }

    /// What the scan multiplies with: logarithms of decays and the factor of the input.
    fn rates(
        &mut self,
        at: &At<'_>,
        decays: &[i64],
        skip: i64,
    ) -> Result<[Option<ValueId>; 2], LoadError> {
        let mut made = [None, None];
        for (i, (role, shape)) in [(4, decays), (5, &[skip][..])].into_iter().enumerate() {
            let base = at.name(at.names.scan[role]);
            // Files of llama.cpp have no suffix here, and none of transformers has.
            let name =
                if self.tensors.find(&base).is_some() { base } else { format!("{base}.weight") };
            let name = if self.tensors.files() { name } else { at.name(at.names.scan[role]) };
            made[i] = self.tensor(&name, true, shape)?;
        }
        Ok(made)
    }

    fn scan_node(
        &mut self,
        at: &At<'_>,
        inputs: [ValueId; 4],
        rates: [Option<ValueId>; 2],
        s: &Scan,
        by_head: bool,
        kept: &mut Kept,
    ) -> Result<ValueId, LoadError> {
        let past = self.past(at, "state", DType::F32, &[Dim::from(s.inner), Dim::from(s.state)])?;
        let op = Op::own("SelectiveScan").with("state", s.state).with("by_head", by_head);
        let mut all: Vec<Option<ValueId>> = inputs.into_iter().map(Some).collect();
        all.extend(rates);
        all.push(Some(past));
        let made = self.draft.many(&at.name("scan"), op, &all, 2)?;
        kept.push((made[1], format!("present.{}.state", at.number)));
        Ok(made[0])
    }

    fn first(
        &mut self,
        at: &At<'_>,
        x: ValueId,
        s: &Scan,
        rank: i64,
        kept: &mut Kept,
    ) -> Result<ValueId, LoadError> {
        let [into, _, vectors, steps, .., out] = at.names.scan;
        let inner = s.inner;
        let both = self.linear(
            &at.name(into),
            x,
            [inner.saturating_mul(2), at.hidden],
            s.bias,
            at.form(),
        )?;
        let parts = self.split(&at.name("scan_gate"), both, &[inner, inner])?;
        let x = self.causal_conv(at, parts[0], [inner, s.taps], s.conv_bias, kept)?;
        let wide = rank.saturating_add(s.state.saturating_mul(2));
        let low = self.linear(&at.name(vectors), x, [wide, inner], false, at.form())?;
        let low = self.split(&at.name("scan_vectors"), low, &[rank, s.state, s.state])?;
        let mut low = [low[0], low[1], low[2]];
        for (i, size) in [rank, s.state, s.state].into_iter().enumerate() {
            let base = at.name(at.names.scan_norms[i]);
            if s.norms || self.tensors.find(&format!("{base}.weight")).is_some() {
                low[i] = self.norm(&base, low[i], size, Norm::Rms, false)?;
            }
        }
        let dt = self.linear(&at.name(steps), low[0], [inner, rank], true, at.form())?;
        let dt = self.node(&at.name("steps"), "Softplus", &[dt])?;
        let rates = self.rates(at, &[inner, s.state], inner)?;
        let y = self.scan_node(at, [x, dt, low[1], low[2]], rates, s, false, kept)?;
        let gate = self.activation(&at.name("scan_gate/act"), "Swish", parts[1])?;
        let y = self.node(&at.name("scan/gated"), "Mul", &[y, gate])?;
        self.linear(&at.name(out), y, [at.hidden, inner], s.bias, at.form())
    }

    fn second(
        &mut self,
        at: &At<'_>,
        x: ValueId,
        s: &Scan,
        (heads, groups): (i64, i64),
        kept: &mut Kept,
    ) -> Result<ValueId, LoadError> {
        let [into, .., norm, out] = at.names.scan;
        let vectors = groups.saturating_mul(s.state);
        let channels = s.inner.saturating_add(vectors.saturating_mul(2));
        let all = s.inner.saturating_add(channels).saturating_add(heads);
        let y = self.linear(&at.name(into), x, [all, at.hidden], s.bias, at.form())?;
        let parts = self.split(&at.name("scan_parts"), y, &[s.inner, channels, heads])?;
        let mixed = self.causal_conv(at, parts[1], [channels, s.taps], s.conv_bias, kept)?;
        let mixed = self.split(&at.name("scan_vectors"), mixed, &[s.inner, vectors, vectors])?;
        let dt = self.stepped(at, parts[2], heads)?;
        let rates = self.rates(at, &[heads], heads)?;
        let y = self.scan_node(at, [mixed[0], dt, mixed[1], mixed[2]], rates, s, true, kept)?;
        let gate = self.activation(&at.name("scan_gate/act"), "Swish", parts[0])?;
        let mut y = self.node(&at.name("scan/gated"), "Mul", &[y, gate])?;
        let base = at.name(norm);
        let there = self.tensors.find(&format!("{base}.weight")).is_some();
        if there || (s.gated_norm && !self.tensors.files()) {
            y = self.norm(&base, y, s.inner, Norm::Rms, false)?;
        }
        self.linear(&at.name(out), y, [at.hidden, s.inner], s.bias, at.form())
    }

    /// Steps with their bias, made positive.
    fn stepped(&mut self, at: &At<'_>, dt: ValueId, heads: i64) -> Result<ValueId, LoadError> {
        let bias = self.tensor(&at.name(at.names.step_bias), true, &[heads])?;
        let dt = match bias {
            Some(bias) => self.node(&at.name("steps/bias"), "Add", &[dt, bias])?,
            None => dt,
        };
        self.node(&at.name("steps"), "Softplus", &[dt])
    }

    /// Linear attention by the gated delta rule.
    pub(super) fn delta(
        &mut self,
        at: &At<'_>,
        x: ValueId,
        d: &Delta,
        kept: &mut Kept,
    ) -> Result<ValueId, LoadError> {
        let (k, v) = (d.k_heads.saturating_mul(d.k), d.v_heads.saturating_mul(d.v));
        let mixed = k.saturating_mul(2).saturating_add(v);
        let [x_all, gate, rate, step] = self.delta_parts(at, x, d, [mixed, v])?;
        let y = self.causal_conv(at, x_all, [mixed, d.taps], false, kept)?;
        let parts = self.split(&at.name("delta_parts"), y, &[k, k, v])?;
        let (queries, keys) =
            (self.repeated(at, "q", parts[0], d)?, self.repeated(at, "k", parts[1], d)?);
        let rate = self.node(&at.name("rate"), "Sigmoid", &[rate])?;
        let step = self.stepped(at, step, d.v_heads)?;
        let decays = self.tensor(&at.name(at.names.scan[4]), true, &[d.v_heads])?;
        let decay = match decays {
            Some(decays) => {
                let decays = self.node(&at.name("decays"), "Exp", &[decays])?;
                let product = self.node(&at.name("decay"), "Mul", &[step, decays])?;
                self.node(&at.name("decay/negative"), "Neg", &[product])?
            }
            None => step,
        };
        let past = self.past(at, "state", DType::F32, &[d.v_heads, d.k, d.v].map(Dim::from))?;
        let op = Op::at("LinearAttention", super::OPSET).with("update_rule", "gated_delta");
        let op = op.with("q_num_heads", d.v_heads).with("kv_num_heads", d.v_heads);
        let inputs = [queries, keys, parts[2], past, decay, rate].map(Some);
        let made = self.draft.many(&at.name("linear_attention"), op, &inputs, 2)?;
        kept.push((made[1], format!("present.{}.state", at.number)));
        let heads = self.reshaped(&at.name("delta/heads"), made[0], &[0, 0, d.v_heads, d.v])?;
        let y = self.norm(&at.name(at.names.scan[6]), heads, d.v, Norm::Rms, false)?;
        let y = self.reshaped(&at.name("delta/joined"), y, &[0, 0, v])?;
        let gate = self.activation(&at.name("delta_gate/act"), "Swish", gate)?;
        let y = self.node(&at.name("delta/gated"), "Mul", &[y, gate])?;
        self.linear(&at.name(at.names.scan[7]), y, [at.hidden, v], false, at.form())
    }

    /// Heads of queries or keys, each as often as there are heads of values for it.
    fn repeated(
        &mut self,
        at: &At<'_>,
        what: &str,
        x: ValueId,
        d: &Delta,
    ) -> Result<ValueId, LoadError> {
        let times = d.v_heads / d.k_heads;
        if times < 2 {
            return Ok(x);
        }
        let heads =
            self.reshaped(&at.name(&format!("delta_{what}/heads")), x, &[0, 0, d.k_heads, 1, d.k])?;
        let list = self.ints(&[1, 1, 1, times, 1])?;
        let all = self.node(&at.name(&format!("delta_{what}/repeated")), "Tile", &[heads, list])?;
        let wide = d.v_heads.saturating_mul(d.k);
        self.reshaped(&at.name(&format!("delta_{what}/joined")), all, &[0, 0, wide])
    }

    /// Queries, keys and values together; the gate; rates; steps.
    fn delta_parts(
        &mut self,
        at: &At<'_>,
        x: ValueId,
        d: &Delta,
        [mixed, v]: [i64; 2],
    ) -> Result<[ValueId; 4], LoadError> {
        let [all, both, qkv, gate, rate, step] = at.names.delta.map(|name| at.name(name));
        let files = self.tensors.files();
        let heads = d.v_heads;
        let there =
            |w: &Self, name: &str| if files { w.tensors.any(&format!("{name}.")) } else { d.fused };
        let [x_all, gate] = if there(self, &all) {
            let y = self.linear(&all, x, [mixed.saturating_add(v), at.hidden], false, at.form())?;
            let parts = self.split(&format!("{all}/split"), y, &[mixed, v])?;
            [parts[0], parts[1]]
        } else {
            let y = self.linear(&qkv, x, [mixed, at.hidden], false, at.form())?;
            [y, self.linear(&gate, x, [v, at.hidden], false, at.form())?]
        };
        let [rate, step] = if there(self, &both) {
            let y =
                self.linear(&both, x, [heads.saturating_mul(2), at.hidden], false, at.form())?;
            let parts = self.split(&format!("{both}/split"), y, &[heads, heads])?;
            [parts[0], parts[1]]
        } else {
            let y = self.linear(&rate, x, [heads, at.hidden], false, at.form())?;
            [y, self.linear(&step, x, [heads, at.hidden], false, at.form())?]
        };
        Ok([x_all, gate, rate, step])
    }
}
