//! What bounds a model on a device, in two sentences that terminals and pages share.

use super::schema::{CasePart, SubjectPart, TimePart};
use rooflens_ground::units::si;
use rooflens_model::report::Binds;

/// What takes most of a time, with its share: `arithmetic takes 93 %`.
pub fn what_binds(time: &TimePart) -> String {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    match time.binds() {
        Binds::Compute => format!("arithmetic takes {}", percent(time.compute)),
        Binds::Memory => format!("memory takes {}", percent(time.memory)),
        Binds::Launches => format!("launches of kernels take {}", percent(time.launches)),
        Binds::Mixed => {
            let mut parts = vec![
                (time.compute, format!("arithmetic takes {}", percent(time.compute))),
                (time.memory, format!("memory {}", percent(time.memory))),
            ];
            if time.launches >= 0.005 {
                parts.push((time.launches, format!("launches {}", percent(time.launches))));
            }
            parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(", ")
        }
        Binds::Unknown => "nothing is known to take time".to_owned(),
    }
}

/// What bounds a case, and how sure that is.
pub fn verdict(subject: &SubjectPart, case: &CasePart) -> String {
    let fused = &case.fused;
    let mut first = what_binds(fused);
    if let Some(letter) = first.get_mut(..1) {
        letter.make_ascii_uppercase();
    }
    let seconds = fused.seconds;
    if seconds <= 0.0 {
        return format!("{first}.");
    }
    let caches = match (fused.binds(), case.at_best.binds()) {
        (Binds::Memory, Binds::Compute) => ", unless caches hold the activations",
        _ => "",
    };
    let (time, least) = (si(seconds, "s"), si(case.at_best.seconds, "s"));
    let covered = if subject.known == subject.nodes {
        String::new()
    } else {
        format!(
            " {} of {} nodes are of unknown cost, and in no number.",
            subject.nodes - subject.known,
            subject.nodes
        )
    };
    format!(
        "{first} of the fused time, {time} per run in {}{caches}. No run takes less than {least}.{covered}",
        case.dtype
    )
}
