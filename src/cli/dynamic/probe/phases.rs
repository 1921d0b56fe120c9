//! A language model on the roofline: prefill and decode of one server as two measured points, each beside the least time
//! that a device needs for the same tokens.

use super::super::{given, hinted};
use crate::analysis::analyze;
use crate::cli::hw;
use crate::dim::Bindings;
use crate::hwdb::{Choice, Device};
use crate::roofline::Roof;
use crate::schema::{LeastPart, MeasurementFile, ModelPart, PhaseName, PhasePart};
use crate::serving::{Counts, Step};
use anyhow::Result;
use std::path::Path;

/// Sizes of the steps that a run was made of, in the mean over its requests.
struct Mean {
    prefill: Step,
    decode: Step,
    prefill_seconds: f64,
    decode_seconds: f64,
    /// Who timed them.
    by_server: bool,
    /// Tokens of an answer.
    output: f64,
}

/// Adds what a language model costs and achieved, where its answers counted tokens; `device` is the one that serves.
pub(super) fn add(file: &mut MeasurementFile, path: &Path, device: Option<&str>) -> Result<()> {
    let Some(mean) = mean(file) else {
        let note =
            "no achieved FLOP/s: they take tokens of prompts and answers, and times of both phases";
        file.verdict.notes.push(note.into());
        return Ok(());
    };
    let model = given::load(path, &given::Choice::default())?;
    let analysis = analyze(&model, &Bindings::new());
    let counts = Counts::new(&model, &analysis, &Bindings::new(), None)
        .map_err(|e| hinted(format!("`{}`: {e}", path.display()), "omit --model"))?;
    let catalogue = device.map(|_| hw::catalogue(None)).transpose()?;
    let found =
        catalogue.as_ref().zip(device).map(|(all, name)| hw::find(all, name)).transpose()?;
    let roof = found.map(|device: &Device| Roof::of(device, Choice::from(counts.dtype())));
    let roof = roof.transpose().map_err(|e| hinted(e.to_string(), e.hint()))?;
    let phase = |name: PhaseName, step: Step, seconds: f64| PhasePart {
        timed_by_server: mean.by_server,
        ..part(&counts, roof.as_ref(), name, step, seconds)
    };
    let phases = vec![
        phase(PhaseName::Prefill, mean.prefill, mean.prefill_seconds),
        phase(PhaseName::Decode, mean.decode, mean.decode_seconds),
    ];
    let one = |step: Step| Step { batch: 1, ..step };
    let steps = (mean.output - 1.0).max(0.0);
    let request = |of: &dyn Fn(Step) -> f64| of(mean.prefill) + steps * of(one(mean.decode));
    let (flops, bytes) =
        (request(&|step| counts.operations(step)), request(&|step| counts.traffic(step)));
    file.model = Some(ModelPart {
        file: path.display().to_string(),
        flops_per_request: flops,
        compulsory_bytes_per_request: bytes,
        intensity_flop_per_byte: flops / bytes,
        achieved_flops: file.window.goodput_per_second * flops,
        phases,
    });
    Ok(())
}

/// A step of a phase, which took `seconds`, beside what it takes at least under `roof`.
fn part(
    counts: &Counts<'_>,
    roof: Option<&Roof>,
    name: PhaseName,
    step: Step,
    seconds: f64,
) -> PhasePart {
    let (flops, bytes) = (counts.operations(step), counts.traffic(step));
    let least = roof.map(|roof| {
        let (least, limit) = counts.least(roof, step);
        LeastPart {
            device: roof.device.clone(),
            seconds: least,
            bound: limit.name().into(),
            gap: seconds / least,
        }
    });
    PhasePart {
        name,
        sequences: step.batch,
        new_tokens: step.new,
        kept_tokens: step.past,
        flops,
        bytes,
        intensity_flop_per_byte: flops / bytes,
        seconds,
        timed_by_server: false,
        achieved_flops: flops / seconds,
        achieved_bytes_per_second: bytes / seconds,
        least,
    }
}

/// A mean as a number of tokens or sequences, one at least.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of tokens, from one on"
)]
fn whole(mean: f64) -> u64 {
    mean.round().clamp(1.0, 1e12) as u64
}

/// `None` where a number that it takes is not known.
fn mean(file: &MeasurementFile) -> Option<Mean> {
    let tokens = file.tokens.as_ref()?;
    let reported = tokens.reported as f64;
    let (input, output) = (tokens.input? as f64 / reported, tokens.output? as f64 / reported);
    let cached = tokens.cached.unwrap_or(0) as f64 / reported;
    let stage = |name: PhaseName| {
        let found = file.stages.iter().find(|stage| name.is_stage(&stage.name));
        found.map(|stage| stage.mean_seconds).filter(|seconds| *seconds > 0.0)
    };
    let own = stage(PhaseName::Prefill).zip(stage(PhaseName::Decode));
    let by_server = own.is_some();
    let (prefill_seconds, decode_seconds) = match own {
        Some((prefill, generation)) => (prefill, generation / output.max(1.0)),
        None => (tokens.ttft.mean_seconds, tokens.tpot.mean_seconds),
    };
    if !(prefill_seconds > 0.0 && decode_seconds > 0.0) {
        return None;
    }
    // Little's law: as many sequences are generated at a time as come in while one is.
    let together = file.window.goodput_per_second * output * decode_seconds;
    let step = |batch: u64, new: f64, past: f64| Step {
        batch,
        new: whole(new),
        past: if past < 0.5 { 0 } else { whole(past) },
    };
    Some(Mean {
        prefill: step(1, input - cached, cached),
        decode: step(whole(together), 1.0, input + output / 2.0),
        prefill_seconds,
        decode_seconds,
        by_server,
        output,
    })
}
