//! Attention of all kinds, and feed-forward parts without experts.

use super::names::Names;
use super::spec::{Attention, HeadNorm, Latent, Mlp, Norm};
use super::writer::{Form, Writer};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::{DType, TensorInfo, ValueId};

/// Where a layer stands.
pub(super) struct At<'a> {
    pub(super) names: &'a Names,
    /// What its names begin with.
    pub(super) layer: String,
    /// Its number.
    pub(super) number: usize,
    pub(super) hidden: i64,
    /// Positions of the new tokens, `[batch, seq]`.
    pub(super) positions: Option<ValueId>,
    /// Dimensions of a head that positions rotate.
    pub(super) rotary: Option<i64>,
    /// Whether a cache is kept.
    pub(super) causal: bool,
    pub(super) norm: Norm,
    pub(super) act: &'a str,
}

impl At<'_> {
    pub(super) fn name(&self, role: &str) -> String {
        format!("{}{role}", self.layer)
    }

    pub(super) fn form(&self) -> Form {
        if self.names.turned { Form::Turned } else { Form::Usual }
    }
}

/// What a layer keeps: a value that comes out, and what it is called.
pub(super) type Kept = Vec<(ValueId, String)>;

impl Writer<'_, '_> {
    /// A cache that comes in: `[batch, sizes…]` where none of `sizes` stands for the length kept.
    pub(super) fn past(
        &mut self,
        at: &At<'_>,
        what: &str,
        dtype: DType,
        sizes: &[Dim],
    ) -> Result<ValueId, LoadError> {
        let shape: Vec<Dim> =
            [Dim::symbol("batch")].into_iter().chain(sizes.iter().cloned()).collect();
        let name = format!("past_key_values.{}.{what}", at.number);
        self.draft.input(&name, TensorInfo::new(Some(dtype), shape))
    }

    /// Sine and cosine of the angles of positions, `[batch, seq, turned / 2]`.
    fn angles(&mut self, positions: ValueId, turned: i64) -> Result<(ValueId, ValueId), LoadError> {
        if let Some(known) = self.angles.get(&turned) {
            return Ok(*known);
        }
        let rates = self.floats(&format!("rates.{turned}"), &[(turned / 2).max(1)])?;
        let cast = Op::onnx("Cast").with("to", i64::from(DType::F32.onnx()));
        let float = self.draft.one("positions/float", cast, &[Some(positions)])?;
        let axes = self.ints(&[-1])?;
        let column = self.node("positions/column", "Unsqueeze", &[float, axes])?;
        let angle = self.node("positions/angle", "Mul", &[column, rates])?;
        let mut made = Vec::new();
        for function in ["Cos", "Sin"] {
            let value = self.node(&format!("positions/{function}"), function, &[angle])?;
            let cast = Op::onnx("Cast").with("to", i64::from(self.dtype.onnx()));
            made.push(self.draft.one(
                &format!("positions/{function}/cast"),
                cast,
                &[Some(value)],
            )?);
        }
        let pair = (made[0], made[1]);
        self.angles.insert(turned, pair);
        Ok(pair)
    }

    /// `x` of so many heads, rotated by its positions.
    pub(super) fn rotated(
        &mut self,
        at: &At<'_>,
        name: &str,
        x: ValueId,
        heads: i64,
        d: i64,
    ) -> Result<ValueId, LoadError> {
        let (Some(positions), Some(turned)) = (at.positions, at.rotary) else { return Ok(x) };
        let (cos, sin) = self.angles(positions, turned)?;
        let part = if turned == d { 0 } else { turned };
        let op = Op::onnx("RotaryEmbedding").with("num_heads", heads);
        let op = op.with("rotary_embedding_dim", part);
        self.draft.one(name, op, &[Some(x), Some(cos), Some(sin)])
    }

    /// Queries or keys, normalised as the family does.
    fn head_norm(
        &mut self,
        at: &At<'_>,
        role: &str,
        x: ValueId,
        heads: i64,
        a: &Attention,
    ) -> Result<ValueId, LoadError> {
        let base = at.name(role);
        let there = !role.is_empty() && self.tensors.find(&format!("{base}.weight")).is_some();
        let whole = heads.saturating_mul(a.d);
        let kind = match (a.norm, there) {
            (kind, _) if kind != HeadNorm::None => kind,
            (_, false) => return Ok(x),
            (_, true) => {
                let size = self
                    .tensors
                    .find(&format!("{base}.weight"))
                    .and_then(super::tensors::Tensor::elements);
                if size == u64::try_from(a.d).ok() { HeadNorm::Head } else { HeadNorm::Whole }
            }
        };
        if kind == HeadNorm::Whole {
            return self.norm(&base, x, whole, at.norm, false);
        }
        let split = self.reshaped(&format!("{base}/heads"), x, &[0, 0, heads, a.d])?;
        let y = self.norm(&base, split, a.d, at.norm, false)?;
        self.reshaped(&format!("{base}/joined"), y, &[0, 0, whole])
    }

    /// Queries, keys and values; queries come with a gate where the family has one.
    fn projected(
        &mut self,
        at: &At<'_>,
        x: ValueId,
        a: &Attention,
    ) -> Result<([ValueId; 3], Option<ValueId>), LoadError> {
        let (q, kv) = (a.heads.saturating_mul(a.d), a.shared.saturating_mul(a.d));
        let fused = at.name(at.names.qkv);
        let there = !at.names.qkv.is_empty() && self.tensors.any(&format!("{fused}."));
        if there || (a.fused && !self.tensors.files()) {
            let all = q.saturating_add(kv.saturating_mul(2));
            let y = self.linear(&fused, x, [all, at.hidden], a.bias, at.form())?;
            let parts = self.split(&format!("{fused}/split"), y, &[q, kv, kv])?;
            return Ok(([parts[0], parts[1], parts[2]], None));
        }
        let wide = if a.gated { q.saturating_mul(2) } else { q };
        let mut query =
            self.linear(&at.name(at.names.q), x, [wide, at.hidden], a.bias, at.form())?;
        let mut gate = None;
        if a.gated {
            let parts = self.split(&at.name("query_gate"), query, &[q, q])?;
            (query, gate) = (parts[0], Some(parts[1]));
        }
        let key = self.linear(&at.name(at.names.k), x, [kv, at.hidden], a.key_bias, at.form())?;
        let value = at.name(at.names.v);
        // Gemma 4 takes keys as values on some layers.
        let own = !self.tensors.files() || self.tensors.any(&format!("{value}."));
        let value =
            if own { self.linear(&value, x, [kv, at.hidden], a.bias, at.form())? } else { key };
        Ok(([query, key, value], gate))
    }

    /// Attention of queries, keys and values, with its cache.
    fn attended(
        &mut self,
        at: &At<'_>,
        [q, k, v]: [ValueId; 3],
        a: &Attention,
        kept: &mut Kept,
    ) -> Result<ValueId, LoadError> {
        let name = at.name("attention");
        let sinks = if a.sinks { self.vector(&at.name(at.names.sinks), a.heads)? } else { None };
        let own = a.window.is_some() || sinks.is_some();
        let op = if own { Op::own("WindowAttention") } else { Op::at("Attention", super::OPSET) };
        let op = op.with("q_num_heads", a.heads).with("kv_num_heads", a.shared);
        if !at.causal {
            let inputs = [Some(q), Some(k), Some(v), self.mask];
            let count = if self.mask.is_some() && !own { 4 } else { 3 };
            return self.draft.one(&name, op, &inputs[..count]);
        }
        let past = Dim::symbol("past");
        let (length, op) = match a.window {
            Some(window) => (past.minimum(&Dim::from(window - 1)), op.with("window", window)),
            None => (past, op),
        };
        let op = if own { op } else { op.with("is_causal", 1_i64) };
        let sizes = [Dim::from(a.shared), length, Dim::from(a.d)];
        let keys = self.past(at, "key", self.dtype, &sizes)?;
        let values = self.past(at, "value", self.dtype, &sizes)?;
        let mut inputs = vec![Some(q), Some(k), Some(v)];
        if !own {
            inputs.push(self.mask);
        }
        inputs.extend([Some(keys), Some(values)]);
        if own && sinks.is_some() {
            inputs.push(sinks);
        }
        let made = self.draft.many(&name, op, &inputs, 3)?;
        for (value, what) in made[1..].iter().zip(["key", "value"]) {
            kept.push((*value, format!("present.{}.{what}", at.number)));
        }
        Ok(made[0])
    }

    /// A whole attention part.
    pub(super) fn attention(
        &mut self,
        at: &At<'_>,
        x: ValueId,
        a: &Attention,
        kept: &mut Kept,
    ) -> Result<ValueId, LoadError> {
        let ([q, k, v], gate) = self.projected(at, x, a)?;
        let mut q = self.head_norm(at, at.names.q_norm, q, a.heads, a)?;
        let mut k = self.head_norm(at, at.names.k_norm, k, a.shared, a)?;
        if a.rotary {
            q = self.rotated(at, &at.name("rotary_q"), q, a.heads, a.d)?;
            k = self.rotated(at, &at.name("rotary_k"), k, a.shared, a.d)?;
        }
        let mut y = self.attended(at, [q, k, v], a, kept)?;
        if let Some(gate) = gate {
            let gate = self.node(&at.name("gate"), "Sigmoid", &[gate])?;
            y = self.node(&at.name("gated"), "Mul", &[y, gate])?;
        }
        let wide = a.heads.saturating_mul(a.d);
        self.linear(&at.name(at.names.o), y, [at.hidden, wide], a.out_bias, at.form())
    }

    /// Attention over latent vectors.
    pub(super) fn latent(
        &mut self,
        at: &At<'_>,
        x: ValueId,
        a: &Latent,
        kept: &mut Kept,
    ) -> Result<ValueId, LoadError> {
        let names = at.names;
        let each = a.plain.saturating_add(a.turned);
        let wide = a.heads.saturating_mul(each);
        let q = match a.q_rank {
            Some(rank) => {
                let low =
                    self.linear(&at.name(names.q_a), x, [rank, at.hidden], a.bias, at.form())?;
                let low = self.norm(&at.name(names.q_a_norm), low, rank, Norm::Rms, false)?;
                self.linear(&at.name(names.q_b), low, [wide, rank], false, at.form())?
            }
            None => self.linear(&at.name(names.q), x, [wide, at.hidden], false, at.form())?,
        };
        let base = at.name(names.kv_a);
        let both =
            self.linear(&base, x, [a.rank.saturating_add(a.turned), at.hidden], a.bias, at.form())?;
        let parts = self.split(&format!("{base}/split"), both, &[a.rank, a.turned])?;
        let latent = self.norm(&at.name(names.kv_a_norm), parts[0], a.rank, Norm::Rms, false)?;
        let turned = At { rotary: Some(a.turned), layer: at.layer.clone(), ..*at };
        let key = self.rotated(&turned, &at.name("rotary_k"), parts[1], 1, a.turned)?;
        let q = self.rotated(&turned, &at.name("rotary_q"), q, a.heads, each)?;
        let (first, second, beside) = self.expanding(at, a)?;
        let past = Dim::symbol("past");
        let latents = self.past(at, "latent", self.dtype, &[past.clone(), Dim::from(a.rank)])?;
        let keys = self.past(at, "key", self.dtype, &[past, Dim::from(a.turned)])?;
        let op = Op::own("LatentAttention")
            .with("num_heads", a.heads)
            .with("nope", a.plain)
            .with("v", a.v);
        let mut inputs = vec![Some(q), Some(latent), Some(key), Some(first), second];
        inputs.extend([Some(latents), Some(keys)]);
        inputs.extend(beside.into_iter().map(Some));
        let made = self.draft.many(&at.name("attention"), op, &inputs, 3)?;
        for (value, what) in made[1..].iter().zip(["latent", "key"]) {
            kept.push((*value, format!("present.{}.{what}", at.number)));
        }
        let wide = a.heads.saturating_mul(a.v);
        self.linear(&at.name(names.o), made[0], [at.hidden, wide], a.bias, at.form())
    }

    /// The matrix that makes keys and values of latent vectors, in one or two tensors, and what is beside it.
    fn expanding(
        &mut self,
        at: &At<'_>,
        a: &Latent,
    ) -> Result<(ValueId, Option<ValueId>, Vec<ValueId>), LoadError> {
        use super::writer::Matrix;
        let parted = |m: Matrix| match m {
            Matrix::Plain(value) => (value, Vec::new()),
            Matrix::Packed { main, beside, .. } => (main, beside),
        };
        let apart = at.name("attn_k_b");
        if self.tensors.any(&format!("{apart}.")) {
            let k = self.matrix(&apart, a.heads.saturating_mul(a.rank), a.plain, Form::Usual)?;
            let v = self.matrix(
                &at.name("attn_v_b"),
                a.heads.saturating_mul(a.v),
                a.rank,
                Form::Usual,
            )?;
            let ((k, mut beside), (v, more)) = (parted(k), parted(v));
            beside.extend(more);
            return Ok((k, Some(v), beside));
        }
        let n = a.heads.saturating_mul(a.plain.saturating_add(a.v));
        let (value, beside) = parted(self.matrix(&at.name(at.names.kv_b), n, a.rank, at.form())?);
        Ok((value, None, beside))
    }

    /// A feed-forward part with these names for gate, up and down.
    pub(super) fn mlp(
        &mut self,
        at: &At<'_>,
        [fused, gate, up, down]: [&str; 4],
        x: ValueId,
        m: &Mlp,
    ) -> Result<ValueId, LoadError> {
        let (inner, hidden) = (m.inner, at.hidden);
        let gate_name = at.name(gate);
        let files = self.tensors.files();
        let gate_there = !gate.is_empty() && self.tensors.any(&format!("{gate_name}."));
        let both = at.name(fused);
        let both_there = !fused.is_empty() && self.tensors.any(&format!("{both}."));
        let as_one = m.gated && if files { both_there && !gate_there } else { m.fused };
        let mid = if as_one {
            let y = self.linear(&both, x, [inner.saturating_mul(2), hidden], m.bias, at.form())?;
            let parts = self.split(&format!("{both}/split"), y, &[inner, inner])?;
            let acted = self.activation(&format!("{both}/act"), at.act, parts[0])?;
            self.node(&format!("{both}/gated"), "Mul", &[acted, parts[1]])?
        } else {
            let gated = if files { gate_there || (m.gated && !gate.is_empty()) } else { m.gated };
            let up_name = at.name(up);
            let y = self.linear(&up_name, x, [inner, hidden], m.bias, at.form())?;
            if gated {
                let g = self.linear(&gate_name, x, [inner, hidden], m.bias, at.form())?;
                let acted = self.activation(&format!("{gate_name}/act"), at.act, g)?;
                self.node(&format!("{up_name}/gated"), "Mul", &[acted, y])?
            } else {
                self.activation(&format!("{up_name}/act"), at.act, y)?
            }
        };
        self.linear(&at.name(down), mid, [hidden, inner], m.bias, at.form())
    }
}
