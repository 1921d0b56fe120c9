//! Figures on one device.

use super::counts::{Counts, Experts, Step};
use super::figure::{Figure, FigureGroup, FigureName, Limit, Says, Setting, Unit};
use crate::hwdb::Device;
use crate::roofline::Roof;

/// A model on a device.
pub(super) struct Place<'a> {
    pub(super) counts: &'a Counts<'a>,
    /// The model that drafts.
    pub(super) draft: Option<&'a Counts<'a>>,
    pub(super) setting: &'a Setting,
    pub(super) device: &'a Device,
    pub(super) roof: &'a Roof,
}

/// A time, and the ceiling that binds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Time {
    pub(super) seconds: f64,
    pub(super) binds: Limit,
}

impl Time {
    /// The longer of two times that pass together.
    pub(super) fn of(compute: f64, memory: f64) -> Self {
        if compute >= memory {
            Self { seconds: compute, binds: Limit::Compute }
        } else {
            Self { seconds: memory, binds: Limit::Memory }
        }
    }
}

/// Most sequences that are looked at.
const MOST: u64 = 1 << 24;
/// Most tokens of a sequence that are looked at.
const LONGEST: u64 = 1 << 32;

/// The largest number below `most` for which `holds`, which holds from zero up to it.
fn largest(most: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, most);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        *(if holds(middle) { &mut low } else { &mut high }) = middle;
    }
    low
}

impl Place<'_> {
    /// Bytes of the main memory that the engine uses.
    pub(super) fn usable(&self) -> Option<f64> {
        let all = self.device.dram().and_then(|dram| dram.capacity_bytes)?;
        Some(self.setting.utilization * all as f64)
    }

    /// The cache of one sequence of so many tokens, in whole pages.
    pub(super) fn sequence(&self, tokens: u64) -> f64 {
        let page = self.setting.page.max(1);
        self.counts.cache(tokens.div_ceil(page).saturating_mul(page))
    }

    /// The least memory that processing a chunk of a prompt takes beside weights and cache.
    pub(super) fn activations(&self) -> f64 {
        let new = self.setting.chunk.min(self.setting.prompt).max(1);
        self.counts.working_set(Step { batch: 1, new, past: 0 })
    }

    fn adapters(&self) -> Option<f64> {
        let [rank, count] = self.setting.lora?;
        Some(self.counts.adapter(rank) * self.counts.shape().bytes * count as f64)
    }

    /// What is there beside the cache.
    pub(super) fn fixed(&self) -> f64 {
        let own = self.activations() + self.setting.overhead_bytes as f64;
        self.counts.weights() + self.adapters().unwrap_or(0.0) + own
    }

    /// Sequences whose cache fits into `free` bytes where one takes `each`.
    pub(super) fn fits(free: f64, each: f64) -> Option<f64> {
        if !(free.is_finite() && each.is_finite()) {
            return None;
        }
        if free < 0.0 {
            return Some(0.0);
        }
        // A model whose state does not grow, and takes nothing, fits as often as one likes.
        (each > 0.0).then(|| (free / each).floor())
    }

    /// Operations of a step, adapters included.
    pub(super) fn operations(&self, step: Step) -> f64 {
        let adapted = self.setting.lora.map_or(0.0, |[rank, _]| 2.0 * self.counts.adapter(rank));
        self.counts.operations(step) + adapted * step.batch as f64 * step.new as f64
    }

    /// The least time of a step.
    pub(super) fn step(&self, step: Step, experts: Experts) -> Time {
        let compute = self.operations(step) / self.roof.peak.get();
        Time::of(compute, self.counts.bytes(step, experts) / self.roof.bandwidth.get())
    }

    /// A step that generates a token of each sequence at its longest.
    pub(super) fn decode(&self, batch: u64) -> Step {
        Step { batch, new: 1, past: self.setting.context.saturating_sub(1) }
    }

    /// The least time of a prompt, the first `cached` tokens of which are there: chunk after chunk.
    pub(super) fn prompt(&self, cached: u64) -> Time {
        let chunk = self.setting.chunk.max(1);
        let (mut past, mut compute, mut memory, mut seconds) = (cached, 0.0, 0.0, 0.0);
        while past < self.setting.prompt {
            let new = chunk.min(self.setting.prompt - past);
            let time = self.step(Step { batch: 1, new, past }, Experts::Fewest);
            seconds += time.seconds;
            *(if time.binds == Limit::Compute { &mut compute } else { &mut memory }) +=
                time.seconds;
            past += new;
        }
        let binds = if compute >= memory { Limit::Compute } else { Limit::Memory };
        Time { seconds, binds }
    }

    pub(super) fn groups(&self) -> Vec<FigureGroup> {
        vec![
            FigureGroup { title: "memory of one device".into(), figures: self.memory() },
            FigureGroup { title: "time on one device".into(), figures: self.times() },
        ]
    }

    /// What is held.
    fn held(&self) -> Vec<Figure> {
        use FigureName as Name;
        let (counts, setting) = (self.counts, self.setting);
        let bytes = |name, says, value: f64, formula: &str| {
            Figure::new(name, says, value, Unit::Bytes, formula)
        };
        let each = self.sequence(setting.context);
        let more = counts.cache(LONGEST + 1) - counts.cache(LONGEST);
        let mut all = vec![
            bytes(
                Name::Weights,
                Says::Exact,
                counts.weights(),
                "W: all that is stored, all experts included",
            ),
            bytes(Name::TokenCache, Says::Exact, more, "κ = K(C + 1) − K(C), beyond all windows"),
            bytes(
                Name::SequenceCache,
                Says::AtLeast,
                each,
                "K(⌈C/p⌉·p), windows and states as short as they can be kept",
            ),
            bytes(
                Name::Activations,
                Says::AtLeast,
                self.activations(),
                "A: the largest node's inputs and outputs for a chunk of the prompt",
            ),
            bytes(
                Name::Overhead,
                Says::Exact,
                setting.overhead_bytes as f64,
                "O, as given by --overhead",
            ),
        ];
        all.extend(self.adapters().map(|value| {
            bytes(
                Name::Adapters,
                Says::AtMost,
                value,
                "Σ r·(N + K)·b over all plain matrices, times the adapters",
            )
        }));
        all
    }

    /// What is held, and what fits beside it.
    fn memory(&self) -> Vec<Figure> {
        use FigureName as Name;
        let each = self.sequence(self.setting.context);
        let free = self.usable().map(|usable| usable - self.fixed());
        let mut all = self.held();
        let usable = self.usable();
        all.push(Figure::new(Name::Usable, Says::AtMost, usable, Unit::Bytes, "u·M"));
        let fits = free.and_then(|free| Self::fits(free, each));
        let note = match (usable, free) {
            (None, _) => "the device's memory is not known",
            (_, Some(free)) if free < 0.0 => "the weights alone do not fit",
            _ => "",
        };
        all.push(
            Figure::new(
                Name::Fits,
                Says::AtMost,
                fits,
                Unit::Sequences,
                "⌊(u·M − W − A − O) / K(⌈C/p⌉·p)⌋",
            )
            .noted(note),
        );
        let longest = free
            .map(|free| largest(LONGEST, |tokens| tokens == 0 || self.sequence(tokens) <= free));
        let endless = longest.is_some_and(|tokens| tokens + 1 == LONGEST);
        all.push(
            Figure::new(
                Name::LongestContext,
                Says::AtMost,
                longest.filter(|_| !endless).map(|tokens| tokens as f64),
                Unit::Tokens,
                "the largest C with W + A + O + K(⌈C/p⌉·p) ≤ u·M",
            )
            .noted(if endless {
                "the cache does not grow with the tokens"
            } else {
                note
            }),
        );
        all
    }

    fn times(&self) -> Vec<Figure> {
        use FigureName as Name;
        let (setting, batch) = (self.setting, self.setting.concurrency.max(1));
        let seconds = |name, says, time: Time, formula: &str| {
            Figure::new(name, says, time.seconds, Unit::Seconds, formula).bound_by(time.binds)
        };
        let rate = |name, says, value: f64, formula: &str| {
            Figure::new(name, says, value, Unit::TokensPerSecond, formula)
        };
        let prompt = self.prompt(0);
        let mut all = vec![seconds(
            Name::Ttft,
            Says::AtLeast,
            prompt,
            "Σ over chunks of max(F(1, c, P)/π, Q(1, c, P)/β); of scores those before each token",
        )];
        if let Some(prefix) = setting.prefix {
            let time = self.prompt(prefix.min(setting.prompt.saturating_sub(1)));
            all.push(seconds(Name::TtftPrefix, Says::AtLeast, time, "the same from P = prefix on"));
        }
        let step = self.step(self.decode(batch), Experts::Fewest);
        let formula = "max(F(B, 1, C − 1)/π, Q(B, 1, C − 1)/β)";
        let mixture = self.counts.mixture();
        all.push(seconds(Name::Tpot, Says::AtLeast, step, formula).noted(if mixture.is_some() {
            "all tokens of a step choose the same experts"
        } else {
            ""
        }));
        let even = mixture.map(|_| self.step(self.decode(batch), Experts::Even));
        all.extend(even.map(|time| {
            seconds(
                Name::TpotExpected,
                Says::Expected,
                time,
                "the same, reading E·(1 − (1 − k/E)^B) experts of a layer",
            )
            .noted("under uniform routing")
        }));
        let together = batch as f64 / step.seconds;
        all.push(rate(Name::Tokens, Says::AtMost, together, "B / TPOT").bound_by(step.binds));
        let each = prompt.seconds / setting.output.max(1) as f64 + step.seconds / batch as f64;
        all.push(rate(
            Name::TokensWithPrompts,
            Says::AtMost,
            1.0 / each,
            "1 / (TTFT/out + TPOT/B)",
        ));
        all.push(self.critical());
        all.extend(self.speculative(batch));
        all
    }

    /// The least number of sequences at which arithmetic takes as long as memory.
    fn critical(&self) -> Figure {
        let memory =
            |batch: u64| self.step(self.decode(batch), Experts::Even).binds == Limit::Memory;
        let found =
            if memory(MOST) { None } else { Some(largest(MOST, |n| n == 0 || memory(n)) + 1) };
        let note = match found {
            None => {
                "never bound by compute: the cache of a sequence takes longer to read than its operations take"
            }
            Some(_) if self.counts.mixture().is_some() => "under uniform routing",
            Some(_) => "",
        };
        let says = if self.counts.mixture().is_some() { Says::Expected } else { Says::Exact };
        Figure::new(
            FigureName::CriticalBatch,
            says,
            found.map(|n| n as f64),
            Unit::Sequences,
            "the least B with F(B, 1, C − 1)/π ≥ Q(B, 1, C − 1)/β",
        )
        .noted(note)
    }

    /// Tokens per second where another model drafts.
    fn speculative(&self, batch: u64) -> Option<Figure> {
        let (draft, (accepted, drafted)) = (self.draft?, self.setting.draft?);
        let own = Place { counts: draft, draft: None, ..*self };
        let all = verified(accepted, drafted);
        let check = self.step(Step { new: drafted + 1, ..self.decode(batch) }, Experts::Fewest);
        let drafts = own.step(own.decode(batch), Experts::Fewest).seconds * drafted as f64;
        Some(
            Figure::new(
                FigureName::TokensSpeculative,
                Says::AtMost,
                batch as f64 * all / (check.seconds + drafts),
                Unit::TokensPerSecond,
                "B·(1 − a^(γ+1))/(1 − a) / (γ·TPOT of the draft + t(B, γ + 1, C − 1))",
            )
            .bound_by(check.binds)
            .noted(
                "where each drafted token is accepted as said, and drafting fits beside the model",
            ),
        )
    }
}

/// Tokens that a step of speculation gives in the mean, where a share of those that are drafted is accepted.
fn verified(accepted: f64, drafted: u64) -> f64 {
    let tokens = drafted as f64 + 1.0;
    if accepted >= 1.0 { tokens } else { (1.0 - accepted.powf(tokens)) / (1.0 - accepted) }
}
