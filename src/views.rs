//! A study as pictures: which numbers stand where.

use crate::chart::scene::{
    Bar, BatchPicture, BatchPoint, DeviceRow, DevicesPicture, KernelsPicture, LatencyPicture,
    LatencyRow, LoadPicture, LoadPoint, ModelRow, ModelsPicture, Place, RoofOf,
};
use crate::schema::Verdict;
use crate::study::{
    CasePart, DevicePart, RunPart, Sizes, StudyFile, SubjectPart, TimePart, Types, rows, times,
    what_binds,
};
use crate::units::si;

/// Batches that are looked at.
const BATCHES: [u32; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// The sizes that a model is counted at, as `batch 8, seq 128`; empty where the file fixes all.
pub fn sizes(subject: &SubjectPart) -> String {
    let all: Vec<String> = subject.symbols.iter().map(|s| format!("{} {}", s.name, s.at)).collect();
    all.join(", ")
}

/// Type and sizes of a case.
fn conditions(subject: &SubjectPart, dtype: &str) -> String {
    let (at, own) = (sizes(subject), subject.precision.as_deref().unwrap_or(dtype));
    if at.is_empty() { own.to_owned() } else { format!("{own}, {at}") }
}

fn basis(device: &DevicePart) -> &'static str {
    if device.measured { "measured ceilings" } else { "datasheet ceilings" }
}

/// One model on one device; none where a count is not known.
pub fn kernels(study: &StudyFile, case: &CasePart) -> Option<KernelsPicture> {
    let (subject, device) = (study.subjects.get(case.subject)?, study.devices.get(case.device)?);
    let peak = device.peak(&case.dtype)?;
    let all = rows(subject, device, &own(subject, case), &subject.values())?;
    let total: f64 = all.iter().map(|r| r.seconds).sum();
    let bars = all.iter().map(|row| Bar {
        class: row.class.clone(),
        intensity: if row.bytes > 0.0 { row.operations / row.bytes } else { f64::MAX },
        share: if total > 0.0 { row.seconds / total } else { 0.0 },
    });
    let place = |label: &str, time: &TimePart, bound: bool| {
        let intensity = time.intensity.filter(|i| *i > 0.0)?;
        let rate = Some(time.operations_per_second).filter(|r| *r > 0.0)?;
        Some(Place { label: label.to_owned(), intensity, rate, bound })
    };
    let places = [
        place("unfused", &case.unfused, false),
        place("fused", &case.fused, false),
        place("at best", &case.at_best, true),
    ];
    let measured = study.runs.iter().filter_map(|run| {
        let model = run.model.as_ref().filter(|m| stem(&m.file) == subject.label)?;
        let (x, y) = (model.intensity_flop_per_byte, model.achieved_flops);
        // Files of `probe` do not say on which machine they were measured; an assessment is of its own.
        let here = device.measured && run.started_unix_seconds <= 0.0;
        (x > 0.0 && y > 0.0).then(|| (run.label.clone(), x, y, here))
    });
    let fused = &case.fused;
    Some(KernelsPicture {
        title: format!("{} on {}", subject.label, device.name),
        subtitle: format!(
            "{}; {} of {}, fused, at {}",
            conditions(subject, &case.dtype),
            what_binds(fused),
            si(fused.seconds, "s"),
            basis(device)
        ),
        peak: (peak.rate, [case.dtype.as_str(), peak.unit.as_str()].join(" ").trim().to_owned()),
        bandwidth: device.bandwidth,
        places: places.into_iter().flatten().collect(),
        bars: bars.collect(),
        shares: [fused.memory, fused.compute, fused.launches],
        measured: measured.collect(),
    })
}

fn own(subject: &SubjectPart, case: &CasePart) -> Types {
    Types { ceiling: case.dtype.clone(), ..Types::own(subject) }
}

/// A file without its folder and ending.
fn stem(file: &str) -> String {
    let stem = std::path::Path::new(file).file_stem();
    stem.map_or_else(String::new, |s| s.to_string_lossy().into_owned())
}

/// One model on all devices that have a case of it.
pub fn devices(study: &StudyFile, subject: usize) -> Option<DevicesPicture> {
    let part = study.subjects.get(subject)?;
    let cases = study.cases.iter().filter(|case| case.subject == subject);
    let rows: Vec<DeviceRow> = cases
        .filter_map(|case| {
            let device = study.devices.get(case.device)?;
            let estimate = case.estimates.first();
            Some(DeviceRow {
                name: device.name.clone(),
                at_best: Some(case.at_best.seconds).filter(|s| *s > 0.0)?,
                fused: case.fused.seconds,
                unfused: case.unfused.seconds,
                estimate: estimate.map(|e| {
                    let spread = 1.0 + e.error;
                    (e.seconds / spread, e.seconds, e.seconds * spread)
                }),
                measured: None,
                binds: what_binds(&case.fused),
            })
        })
        .collect();
    let dtype = study.cases.iter().find(|c| c.subject == subject).map_or("", |c| c.dtype.as_str());
    (!rows.is_empty()).then(|| DevicesPicture {
        title: format!(
            "{} on {} {}",
            part.label,
            rows.len(),
            if rows.len() == 1 { "device" } else { "devices" }
        ),
        subtitle: conditions(part, dtype),
        rows,
        demand: None,
    })
}

/// One model on one device by batch; none where its formulas hold for no other batch.
pub fn batch(study: &StudyFile, case: &CasePart) -> Option<BatchPicture> {
    let (subject, device) = (study.subjects.get(case.subject)?, study.devices.get(case.device)?);
    let symbol = subject.batch().filter(|s| s.open)?;
    let types = own(subject, case);
    let at = |batch: u32| {
        let mut sizes: Sizes = subject.values();
        sizes.insert(symbol.name.clone(), f64::from(batch));
        sizes
    };
    let points: Vec<BatchPoint> = BATCHES
        .iter()
        .filter_map(|batch| {
            let fused = times(subject, device, &types, &at(*batch))?.fused;
            let batch = f64::from(*batch);
            (fused.seconds > 0.0).then_some(BatchPoint {
                batch,
                seconds: fused.seconds,
                memory: fused.memory,
            })
        })
        .collect();
    let holds = |batch: &&u32| {
        let numbers = subject.evaluate(&at(**batch));
        let of = |index: usize| numbers.get(index).copied().flatten().unwrap_or(0.0);
        let needed = of(subject.memory.weights) + subject.memory.peak.map_or(0.0, of);
        device.memory_bytes.is_some_and(|bytes| needed > bytes as f64)
    };
    (points.len() > 1).then(|| BatchPicture {
        title: format!("{} on {} by batch", subject.label, device.name),
        subtitle: format!("{}, fused kernels, {}", case.dtype, basis(device)),
        points,
        critical: case.critical_batch.map(|b| b as f64),
        full: BATCHES.iter().find(holds).map(|b| f64::from(*b)),
    })
}

/// Several models on one device, in their own types and in others; none where no model has a case there.
pub fn models(study: &StudyFile, device: usize, others: &[Types]) -> Option<ModelsPicture> {
    let part = study.devices.get(device)?;
    let cases: Vec<&CasePart> = study.cases.iter().filter(|c| c.device == device).collect();
    let first = cases.first()?;
    let mut ceilings = vec![first.dtype.clone()];
    ceilings.extend(others.iter().map(|t| t.ceiling.clone()).filter(|t| *t != first.dtype));
    ceilings.retain(|dtype| part.peak(dtype).is_some());
    let roofs: Vec<RoofOf> = ceilings
        .iter()
        .filter_map(|dtype| {
            let peak = part.peak(dtype)?;
            Some(RoofOf {
                label: format!("{dtype} {}", peak.unit).trim().to_owned(),
                peak: peak.rate,
            })
        })
        .collect();
    let row = |case: &&CasePart| {
        model_row(study.subjects.get(case.subject)?, part, case, (&ceilings, others))
    };
    let rows: Vec<ModelRow> = cases.iter().filter_map(row).collect();
    let mut columns = vec!["GFLOP".to_owned()];
    columns.extend(ceilings.iter().map(|dtype| format!("memory\nin {dtype}")));
    columns.push(format!("time\nin {}", first.dtype));
    let batch = batch_of(study, &cases);
    let marks = match &ceilings[..] {
        [one] => format!("in {one}"),
        [one, more @ ..] => format!("full marks {one}, open marks {}", more.join(" and ")),
        [] => String::new(),
    };
    (!rows.is_empty()).then(|| ModelsPicture {
        title: match &rows[..] {
            [only] => format!("{} on {}{batch}", only.name, part.name),
            all => format!("{} models on {}{batch}", all.len(), part.name),
        },
        subtitle: format!("fused kernels, {}; {marks}", basis(part)),
        bandwidth: part.bandwidth,
        roofs,
        columns,
        rows,
        notes: vec![
            "memory: share of the fused time that memory binds.".to_owned(),
            "A mark below the roof: some kernels are bound by memory,".to_owned(),
            "others by arithmetic, and their times add up.".to_owned(),
        ],
    })
}

/// A model in the types of these ceilings; `others` are those beside its own.
#[allow(clippy::unnecessary_wraps)]
fn model_row(
    subject: &SubjectPart,
    part: &DevicePart,
    case: &CasePart,
    (ceilings, others): (&[String], &[Types]),
) -> Option<ModelRow> {
    let of = |dtype: &String| -> Option<TimePart> {
        if *dtype == case.dtype {
            return Some(case.fused);
        }
        let types = others.iter().find(|t| t.ceiling == *dtype)?;
        times(subject, part, types, &subject.values()).map(|t| t.fused)
    };
    let found: Vec<Option<TimePart>> = ceilings.iter().map(of).collect();
    let mark = |time: &Option<TimePart>| {
        let time = (*time)?;
        Some((time.intensity?, time.operations_per_second)).filter(|m| m.0 > 0.0 && m.1 > 0.0)
    };
    let work = case.fused.operations_per_second * case.fused.seconds;
    let mut cells = vec![format!("{:.2}", work / 1e9)];
    let share = |time: &Option<TimePart>| {
        time.map_or_else(|| "–".to_owned(), |t| format!("{:.0} %", 100.0 * t.memory))
    };
    cells.extend(found.iter().map(share));
    let first = found.first().copied().flatten();
    cells.push(first.map_or_else(|| "–".to_owned(), |t| si(t.seconds, "s")));
    let at: Vec<String> = subject
        .symbols
        .iter()
        .filter(|s| s.role != crate::study::SymbolRole::Batch)
        .map(|s| format!(", {} {}", s.name, s.at))
        .collect();
    let name = subject.label.clone() + &at.concat();
    Some(ModelRow { name, marks: found.iter().map(mark).collect(), measured: None, cells })
}

/// The batch of all cases, where it is the same.
fn batch_of(study: &StudyFile, cases: &[&CasePart]) -> String {
    let batch = |case: &&CasePart| study.subjects.get(case.subject)?.batch().map(|s| s.at);
    let all: Vec<u64> = cases.iter().filter_map(batch).collect();
    match &all[..] {
        [first, rest @ ..] if rest.iter().all(|b| b == first) => format!(", batch {first}"),
        _ => String::new(),
    }
}

/// Percentiles of runs; none where no run has any.
pub fn latency(runs: &[RunPart]) -> Option<LatencyPicture> {
    let row = |run: &RunPart| {
        let point = |p: &crate::schema::PercentilePart| {
            let ends = p.low_seconds.zip(p.high_seconds).filter(|(low, _)| *low > 0.0);
            Some((p.quantile, p.seconds.filter(|s| *s > 0.0)?, ends))
        };
        let supported = run.percentiles.iter().filter(|p| p.supported || p.quantile <= 0.5);
        let points: Vec<_> = supported.filter_map(point).collect();
        (points.len() > 1).then(|| LatencyRow { name: called(run), points })
    };
    let rows: Vec<LatencyRow> = runs.iter().filter_map(row).collect();
    let first = runs.first()?;
    (!rows.is_empty()).then(|| LatencyPicture {
        title: "Response times".to_owned(),
        subtitle: format!(
            "{}, {}, batch {}; bands are intervals of 95 %",
            first.target, first.load, first.batch
        ),
        rows,
        objective: first.slo.as_ref().map(|slo| (slo.quantile, slo.seconds)),
    })
}

/// A run with its load, and its verdict where that is not VALID.
fn called(run: &RunPart) -> String {
    let verdict = run.verdict.verdict;
    let said = if verdict == Verdict::Valid { String::new() } else { format!(", {verdict}") };
    format!("{}: {}{said}", run.label, run.load)
}

/// Response times and goodput of open loads by rate; none of fewer than two rates.
pub fn load(runs: &[RunPart]) -> Option<LoadPicture> {
    let mut open: Vec<&RunPart> =
        runs.iter().filter(|run| run.open && run.offered_per_second > 0.0).collect();
    open.sort_by(|a, b| a.offered_per_second.total_cmp(&b.offered_per_second));
    let at = |run: &RunPart, q: f64| run.percentile(q).filter(|p| p.supported || q <= 0.5)?.seconds;
    let point = |run: &&RunPart| LoadPoint {
        offered: run.offered_per_second,
        goodput: run.rate.per_second / f64::from(i32::try_from(run.batch.max(1)).unwrap_or(1)),
        p50: at(run, 0.5),
        p99: at(run, 0.99),
        verdict: Some(run.verdict.verdict).filter(|v| *v != Verdict::Valid).map(|v| v.to_string()),
    };
    let points: Vec<LoadPoint> = open.iter().map(point).collect();
    let first = open.first()?;
    (points.len() > 1).then(|| LoadPicture {
        title: "Response times by load".to_owned(),
        subtitle: format!("{}, batch {}", first.target, first.batch),
        points,
    })
}
