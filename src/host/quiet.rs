//! Whether this machine is quiet enough to be measured: what others do on it, what the hypervisor takes, and whether
//! a core keeps its pace.

use super::quick::pace;
use crate::os::proc::{Proc, Stat, Ticks};
use serde::Serialize;
use std::time::Duration;

/// How restless the machine was for a moment. What the system does not show is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Unrest {
    /// Processors of this machine, whole or in part, that other processes kept busy.
    pub others: Option<f64>,
    /// How many processors the machine has.
    pub processors: Option<usize>,
    /// Share of the time that the hypervisor gave to other guests, from 0 to 1.
    pub stolen: Option<f64>,
    /// By which share a core was slower in the middle of several tries than at its best, from 0 to 1: its clock, or a
    /// neighbour that the system does not show.
    pub slower: f64,
}

/// Processors that others may keep busy, as a share of all: the ticks of a kernel that does nothing else.
const OTHERS: f64 = 0.05;
/// Share of the time that may be stolen.
const STOLEN: f64 = 0.02;
/// Share by which a core may be slower than at its best.
const SLOWER: f64 = 0.07;
/// Length of a look.
const LOOK: Duration = Duration::from_secs(1);
/// Tries of the pace in a look.
const TRIES: u32 = 10;

impl Unrest {
    /// What speaks against measuring now, as clauses; nothing while the machine is quiet.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let (Some(others), Some(all)) = (self.others, self.processors) {
            if others > OTHERS * all as f64 {
                reasons.push(format!("other processes keep {others:.1} of {all} processors busy"));
            }
        }
        if let Some(stolen) = self.stolen.filter(|share| *share > STOLEN) {
            reasons.push(format!("the hypervisor takes {:.0} % of the time", 100.0 * stolen));
        }
        if self.slower > SLOWER {
            reasons.push(format!("a core is {:.0} % slower than at its best", 100.0 * self.slower));
        }
        reasons
    }

    /// From readings at the beginning and at the end of a look, and the paces in between.
    fn between(
        ticks: Option<(Ticks, Ticks)>,
        own: Option<(Stat, Stat)>,
        mut paces: Vec<f64>,
    ) -> Self {
        paces.sort_by(f64::total_cmp);
        let (middle, best) = (paces.get(paces.len() / 2), paces.last());
        let slower = middle.zip(best).map_or(0.0, |(middle, best)| (1.0 - middle / best).max(0.0));
        let others = ticks.zip(own).map(|((from, to), (own_from, own_to))| {
            let own = own_to.own.saturating_sub(own_from.own);
            let busy = to.busy.saturating_sub(from.busy).saturating_sub(own) as f64;
            let all = to.all.saturating_sub(from.all).max(1) as f64;
            busy / all * to.processors as f64
        });
        Self {
            others,
            processors: ticks.map(|(_, to)| to.processors),
            stolen: ticks.map(|(from, to)| to.stolen_share(from)),
            slower: if slower.is_finite() { slower } else { 0.0 },
        }
    }
}

/// Looks at the machine for a second.
pub fn look() -> Unrest {
    let (proc, pid) = (Proc::default(), std::process::id());
    let read = || (proc.ticks(), proc.stat(pid));
    let before = read();
    let mut paces = Vec::new();
    for _ in 0..TRIES {
        std::thread::sleep(LOOK / TRIES);
        paces.push(pace());
    }
    let after = read();
    Unrest::between(before.0.zip(after.0), before.1.zip(after.1), paces)
}

/// How a wait for a quiet machine ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Waited {
    /// Looks that were taken, of a second each.
    pub looks: u32,
    /// What spoke against measuring at the last look; nothing where the machine was quiet.
    pub reasons: Vec<String>,
}

/// Looks until the machine is quiet, `most` times; `tell` gets the number of each look after which it goes on, and
/// what spoke against measuring.
pub fn wait(
    most: u32,
    look: &mut dyn FnMut() -> Unrest,
    tell: &mut dyn FnMut(u32, &[String]),
) -> Waited {
    let mut looks = 0;
    loop {
        let reasons = look().reasons();
        looks += 1;
        if reasons.is_empty() || looks >= most {
            return Waited { looks, reasons };
        }
        tell(looks, &reasons);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(busy: u64, stolen: u64, all: u64) -> Ticks {
        Ticks { busy, stolen, all, processors: 2 }
    }

    fn own(own: u64) -> Stat {
        Stat { ended: false, parent: 1, group: 1, began: 0, own, waited: 0, pages: 0 }
    }

    #[test]
    fn others_are_what_is_not_our_own() {
        // Of 200 ticks of two processors 70 were busy, 20 of them ours.
        let between = (ticks(100, 0, 1000), ticks(170, 0, 1200));
        let unrest = Unrest::between(Some(between), Some((own(5), own(25))), vec![1.0; 10]);
        assert!((unrest.others.unwrap() - 0.5).abs() < 1e-9, "{unrest:?}");
        assert_eq!(unrest.reasons(), ["other processes keep 0.5 of 2 processors busy"]);
        let quiet = (ticks(100, 0, 1000), ticks(121, 2, 1200));
        let unrest = Unrest::between(Some(quiet), Some((own(5), own(25))), vec![1.0; 10]);
        assert_eq!(unrest.reasons(), Vec::<String>::new());
    }

    #[test]
    fn stolen_time_and_slow_cores_are_reasons() {
        let between = (ticks(0, 0, 0), ticks(0, 60, 200));
        let paces = vec![1.0, 0.6, 0.6, 0.6, 1.0];
        let unrest = Unrest::between(Some(between), None, paces);
        assert_eq!(
            unrest.reasons(),
            ["the hypervisor takes 30 % of the time", "a core is 40 % slower than at its best"]
        );
        // One slow moment of ten is no reason, and no pace at all is none.
        let paces = [vec![1.0; 9], vec![0.2]].concat();
        assert!(Unrest::between(None, None, paces).reasons().is_empty());
        assert!(Unrest::between(None, None, Vec::new()).reasons().is_empty());
        assert!(Unrest::between(None, None, vec![0.0; 3]).reasons().is_empty());
    }

    #[test]
    fn a_wait_ends_when_it_is_quiet_or_its_time_is_over() {
        let busy = Unrest { slower: 0.5, ..Unrest::default() };
        let mut script = vec![busy, busy, Unrest::default()].into_iter();
        let mut reported = Vec::new();
        let waited = wait(60, &mut || script.next().unwrap(), &mut |n, _| reported.push(n));
        assert_eq!((waited.looks, waited.reasons.len(), reported), (3, 0, vec![1, 2]));
        let waited = wait(60, &mut || busy, &mut |_, _| ());
        assert_eq!((waited.looks, waited.reasons.len()), (60, 1));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_can_be_looked_at() {
        let unrest = look();
        assert!(unrest.others.is_some_and(|n| n >= 0.0) && unrest.stolen.is_some(), "{unrest:?}");
        assert!((0.0..=1.0).contains(&unrest.slower), "{unrest:?}");
    }
}
