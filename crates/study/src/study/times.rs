//! The times of a model on a device at any sizes and types, from its formulas. The page has the same function in
//! JavaScript, in `model.js`; a test holds both to the same numbers.

use super::formula::Values;
use super::schema::{Columns, DevicePart, SubjectPart, TimePart};
use rooflens_model::hwdb::ceiling_type;
use rooflens_model::report::Shares;

/// Values of sizes.
pub type Sizes = Values;

/// Types to count in.
#[derive(Clone, Debug, PartialEq)]
pub struct Types {
    /// Of the compute ceiling, as devices name it.
    pub ceiling: String,
    /// Bits of a weight and of an activation; none for the types that the model was counted in.
    pub bits: Option<(f64, f64)>,
}

impl Types {
    /// The types that a model was counted in.
    pub fn own(subject: &SubjectPart) -> Self {
        Self { ceiling: subject.dtype.clone(), bits: None }
    }
}

/// Three times of one model on one device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// Data that caches may keep does not move: no run takes less.
    pub at_best: TimePart,
    /// Kernels that take their epilogues, chains, norms and attention along.
    pub fused: TimePart,
    /// Every node reads and writes memory.
    pub unfused: TimePart,
}

/// The times of `subject` on `device`; none where the device has no such ceiling, a count is not known at these sizes,
/// or bytes of other types are asked for and not known.
pub fn times(
    subject: &SubjectPart,
    device: &DevicePart,
    types: &Types,
    sizes: &Sizes,
) -> Option<Times> {
    let counted = Counted::new(subject, device, types, sizes)?;
    Some(Times {
        at_best: counted.at_best()?,
        fused: counted.sum(&subject.kernels)?,
        unfused: counted.sum(&subject.alone)?,
    })
}

/// A model at sizes and types, under the roof of a device.
struct Counted<'a> {
    subject: &'a SubjectPart,
    types: &'a Types,
    numbers: Vec<Option<f64>>,
    roof: Ceilings,
    cached: f64,
}

impl<'a> Counted<'a> {
    fn new(
        subject: &'a SubjectPart,
        device: &DevicePart,
        types: &'a Types,
        sizes: &Sizes,
    ) -> Option<Self> {
        let roof = Ceilings {
            peak: device.peak(&types.ceiling)?.rate,
            bandwidth: device.bandwidth,
            launch: device.launch_seconds.unwrap_or(0.0),
        };
        let (numbers, cached) = (subject.evaluate(sizes), device.cached_bytes as f64);
        Some(Self { subject, types, numbers, roof, cached })
    }

    fn at(&self, index: usize) -> Option<f64> {
        self.numbers.get(index).copied().flatten()
    }

    /// Bytes in the types asked for.
    fn bytes(&self, own: usize, parts: Option<[usize; 3]>) -> Option<f64> {
        let Some((weights, activations)) = self.types.bits else { return self.at(own) };
        let [w, a, other] = parts?;
        Some(self.at(other)? + self.at(w)? * weights / 8.0 + self.at(a)? * activations / 8.0)
    }

    /// How many of a row are alike, and operations and bytes of one.
    fn row(&self, columns: &Columns, row: usize) -> Option<(f64, f64, f64)> {
        let part = |of: &[usize]| of.get(row).copied();
        let parts = part(&columns.weights)
            .zip(part(&columns.activations))
            .zip(part(&columns.other))
            .map(|((w, a), other)| [w, a, other]);
        let operations =
            self.at(*columns.flops.get(row)?)? + self.at(*columns.int_ops.get(row)?)?;
        let bytes = self.bytes(*columns.bytes.get(row)?, parts)?;
        Some((*columns.count.get(row)? as f64, operations, bytes))
    }

    fn sum(&self, columns: &Columns) -> Option<TimePart> {
        let rows = (0..columns.len()).map(|row| self.row(columns, row));
        self.roof.sum(&rows.collect::<Option<Vec<_>>>()?)
    }

    fn at_best(&self) -> Option<TimePart> {
        let best = &self.subject.at_best;
        let parts = best.weights.zip(best.activations).zip(best.other).map(|((w, a), o)| [w, a, o]);
        let integers = self.types.bits.is_some() && ceiling_type(&self.types.ceiling).is_integer();
        let fast = if integers { &best.fast_integer } else { &best.fast };
        let spared = fast.iter().try_fold(0.0, |sum, (part, of, macs)| {
            let (part, of) = (*part as f64, *of as f64);
            Some(sum + (self.at(*macs)? * (of - part) / of).ceil())
        })?;
        let skipped = self.at(best.macs)? - (self.at(best.effective_macs)? - spared);
        let least = (self.at(best.operations)? - 2.0 * skipped).max(0.0);
        let bytes = self.bytes(best.bytes, parts)?;
        Some(self.roof.at_best(least, bytes, (bytes - self.cached).max(0.0)))
    }
}

/// What bounds a kernel.
struct Ceilings {
    peak: f64,
    bandwidth: f64,
    /// Least time of a kernel.
    launch: f64,
}

impl Ceilings {
    /// Kernels one after another: how many alike, operations and bytes of one.
    fn sum(&self, rows: &[(f64, f64, f64)]) -> Option<TimePart> {
        let (mut compute, mut memory, mut launches) = (0.0, 0.0, 0.0);
        let (mut operations, mut moved) = (0.0, 0.0);
        for (count, ops, bytes) in rows {
            let (arithmetic, traffic) = (ops / self.peak, bytes / self.bandwidth);
            let longest = arithmetic.max(traffic);
            if longest < self.launch {
                launches += count * self.launch;
            } else if arithmetic >= traffic {
                compute += count * arithmetic;
            } else {
                memory += count * traffic;
            }
            operations += count * ops;
            moved += count * bytes;
        }
        let seconds = compute + memory + launches;
        let share = |part: f64| if seconds > 0.0 { part / seconds } else { 0.0 };
        seconds.is_finite().then(|| TimePart {
            seconds,
            operations_per_second: if seconds > 0.0 { operations / seconds } else { 0.0 },
            intensity: (moved > 0.0).then(|| operations / moved),
            compute: share(compute),
            memory: share(memory),
            launches: share(launches),
        })
    }

    /// The whole model as one kernel, which moves what no cache keeps.
    fn at_best(&self, operations: f64, bytes: f64, moved: f64) -> TimePart {
        let (arithmetic, traffic) = (operations / self.peak, moved / self.bandwidth);
        let seconds = arithmetic.max(traffic);
        let is = |holds: bool| f64::from(u8::from(holds && seconds > 0.0));
        TimePart {
            seconds,
            operations_per_second: if seconds > 0.0 { operations / seconds } else { 0.0 },
            intensity: (bytes > 0.0).then(|| operations / bytes),
            compute: is(arithmetic >= traffic),
            memory: is(arithmetic < traffic),
            launches: 0.0,
        }
    }
}

impl TimePart {
    /// What takes most of it.
    pub fn binds(&self) -> rooflens_model::report::Binds {
        Shares { compute: self.compute, memory: self.memory, launches: self.launches }.verdict()
    }
}

/// A kind of kernel at these sizes and types.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelRow {
    /// Class of work.
    pub class: String,
    /// Its operators.
    pub operators: String,
    /// The first of its nodes.
    pub name: String,
    /// How many are alike.
    pub count: u64,
    /// Operations of one.
    pub operations: f64,
    /// Bytes of one.
    pub bytes: f64,
    /// Seconds of all of them.
    pub seconds: f64,
    /// What binds it.
    pub binds: rooflens_model::report::Binds,
}

/// The fused kernels one by one; none like [`times`].
pub fn rows(
    subject: &SubjectPart,
    device: &DevicePart,
    types: &Types,
    sizes: &Sizes,
) -> Option<Vec<KernelRow>> {
    let counted = Counted::new(subject, device, types, sizes)?;
    let columns = &subject.kernels;
    let row = |at: usize| {
        let (count, operations, bytes) = counted.row(columns, at)?;
        let time = counted.roof.sum(&[(count, operations, bytes)])?;
        Some(KernelRow {
            class: columns.class[at].clone(),
            operators: columns.operators[at].clone(),
            name: columns.name[at].clone(),
            count: columns.count[at],
            operations,
            bytes,
            seconds: time.seconds,
            binds: time.binds(),
        })
    };
    (0..columns.len()).map(row).collect()
}
