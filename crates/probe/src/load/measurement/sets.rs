//! Which of many measurements are the stripes of one run: those that met, else those that began together.

use super::{FileError, Measured};
use std::collections::BTreeSet;

/// The stripes of the newest run that has all of them, with a note on what was ignored. Where nothing says that there
/// are several runs, all are taken, complete or not.
pub fn newest_complete(parts: Vec<Measured>) -> Result<(Vec<Measured>, Option<String>), FileError> {
    if !several(&parts) {
        return Ok((parts, None));
    }
    let all = parts.len();
    let sets = sets(parts);
    let runs = sets.len();
    let newest = sets.into_iter().rev().find(|set| is_complete(set));
    let Some(set) = newest else {
        return Err(FileError::Apart(format!(
            "a stripe is a duplicate: these are parts of {runs} runs, and none of them has all its stripes"
        )));
    };
    let (rest, others) = (all - set.len(), runs - 1);
    let note = format!(
        "the newest run with all its stripes was merged; {rest} part{} of {others} other run{} {} ignored",
        if rest == 1 { "" } else { "s" },
        if others == 1 { "" } else { "s" },
        if rest == 1 { "was" } else { "were" },
    );
    Ok((set, Some(note)))
}

/// Whether parts are of several runs: a stripe is there twice, or they met under several names.
fn several(parts: &[Measured]) -> bool {
    let mut stripes = BTreeSet::new();
    let twice = parts.iter().flat_map(|p| &p.file.plan.stripes).any(|s| !stripes.insert(*s));
    let names: BTreeSet<_> = parts.iter().map(name).collect();
    twice || names.len() > 1
}

/// The name under which a stripe met the others, where they met.
fn name(part: &Measured) -> Option<&str> {
    part.file.run.meeting.as_ref().map(|m| m.name.as_str())
}

/// The parts by run, the oldest first.
fn sets(mut parts: Vec<Measured>) -> Vec<Vec<Measured>> {
    parts.sort_by_key(|p| p.started);
    let mut sets: Vec<Vec<Measured>> = Vec::new();
    for part in parts {
        match sets.iter_mut().rev().find(|set| belongs(&part, set)) {
            Some(set) => set.push(part),
            None => sets.push(vec![part]),
        }
    }
    sets
}

/// Whether a part is of the run that a set is of: it met with it, or began while it ran, and is not in it already.
fn belongs(part: &Measured, set: &[Measured]) -> bool {
    let Some(first) = set.first() else { return false };
    let there = set.iter().flat_map(|p| &p.file.plan.stripes);
    let twice = there.into_iter().any(|s| part.file.plan.stripes.contains(s));
    let later = part.started.duration_since(first.started).unwrap_or_default().as_secs_f64();
    let together = match (name(part), name(first)) {
        (None, None) => later <= first.file.plan.seconds,
        (own, theirs) => own == theirs,
    };
    together && !twice
}

/// Whether all stripes are there.
fn is_complete(set: &[Measured]) -> bool {
    let of = set.first().map_or(0, |p| p.file.plan.stripes_of);
    let same = set.iter().all(|p| p.file.plan.stripes_of == of);
    let there: BTreeSet<u64> = set.iter().flat_map(|p| p.file.plan.stripes.clone()).collect();
    same && there.len() as u64 == of
}
