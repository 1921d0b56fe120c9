//! What a loop carries as a formula in the number of the round.
//!
//! A tensor that grows by a row a round has `s + r·d` rows before round r. Two rounds show `d`; a round whose
//! number is a symbol proves it for all that follow, and gives what they cost as a formula to sum.

use super::context::{OpCx, OpError};
use super::{Inner, Run};
use crate::dim::Dim;
use crate::ir::{Elem, Sequence, TensorInfo};

/// What the symbols of numbers of rounds are called.
pub(crate) const ROUND: &str = "round";

/// Whether a symbol is a number of rounds: called so and after the place of the loop, like `round.3.1`.
pub(crate) fn is_round(name: &str) -> bool {
    let place = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '_');
    name.strip_prefix(ROUND).is_some_and(|rest| rest.starts_with('.') && place(rest))
}

/// Rounds that may differ from all later ones.
const MAX_FIRST: usize = 3;
/// Contents that do not follow the pattern are dropped in at most this many steps.
const MAX_WEAKENED: usize = 4;
/// Costs that no formula sums are added up for no more rounds than this.
const MAX_SUMMED: i128 = 4096;

/// What a round gives: everything the body does, and its cost.
pub(super) type Round = (Vec<TensorInfo>, Inner);

/// How a loop runs the round of this number on what is carried.
pub(super) type RunRound<'a> = dyn Fn(&Dim, &[TensorInfo]) -> Result<Round, OpError> + 'a;

/// A loop whose rounds follow a pattern after the first few.
pub(super) struct Pattern {
    /// The first rounds, which do not.
    pub(super) first: Vec<Round>,
    /// What is carried into each of these.
    entered: Vec<Vec<TensorInfo>>,
    /// What is carried into the round after `first` and `number` others.
    state: Vec<TensorInfo>,
    /// What that round gives.
    pub(super) each: Round,
    /// The symbol of the number of rounds before, those of `first` aside.
    number: Dim,
    /// Whether following the rounds one by one would show more.
    pub(super) coarse: bool,
}

/// The rounds of a loop put together.
pub(super) struct Rounds<'p> {
    /// What is carried out of the last.
    pub(super) state: Vec<TensorInfo>,
    /// What is carried out where data end the loop within the first rounds.
    pub(super) earlier: Vec<&'p [TensorInfo]>,
    pub(super) cost: Inner,
    /// Whether fewer rounds than `first` are possible, or the cost is that of the dearest round each time.
    pub(super) bound: bool,
}

/// Finds the pattern. `skip` values come before the carried ones in what a round gives; `number` is a
/// symbol that nothing else has.
pub(super) fn pattern(
    cx: &OpCx<'_>,
    carried: &[TensorInfo],
    skip: usize,
    number: &Dim,
    round: &RunRound<'_>,
) -> Result<Option<Pattern>, OpError> {
    let said = (cx.said)(None);
    let (mut first, mut entered, mut before) = (Vec::new(), Vec::new(), carried.to_vec());
    for base in 0..=MAX_FIRST {
        let given = round(&Dim::from(base), &before)?;
        let Some(after) = given.0.get(skip..skip + carried.len()) else { return Ok(None) };
        let after = after.to_vec();
        let (offset, heard) = (Dim::from(base), (cx.said)(None));
        if let Some((state, each, coarse)) = proven(&before, &after, skip, number, &offset, round) {
            let number = number.clone();
            return Ok(Some(Pattern { first, entered, state, each, number, coarse }));
        }
        (cx.said)(Some(heard));
        first.push(given);
        entered.push(std::mem::replace(&mut before, after));
    }
    (cx.said)(Some(said));
    Ok(None)
}

/// What is carried into every round from here on, if the step from `before` to `after` is one of a pattern.
fn proven(
    before: &[TensorInfo],
    after: &[TensorInfo],
    skip: usize,
    number: &Dim,
    offset: &Dim,
    round: &RunRound<'_>,
) -> Option<(Vec<TensorInfo>, Round, bool)> {
    let pairs = before.iter().zip(after);
    let guess: Option<Vec<_>> = pairs.map(|(a, b)| stepped(a, b, number)).collect();
    let mut state = guess?;
    let mut coarse = state.iter().zip(before).any(|(s, b)| forgets(s, b));
    for _ in 0..MAX_WEAKENED {
        let given = round(&(number.clone() + offset.clone()), &state).ok()?;
        let found = given.0.get(skip..skip + state.len())?;
        let next = number.clone() + Dim::ONE;
        let mut weaker = Vec::with_capacity(state.len());
        for (now, found) in state.iter().zip(found) {
            weaker.push(agreed(now, &at(now, number, &next), found)?);
        }
        if weaker == state {
            return Some((state, given, coarse));
        }
        (state, coarse) = (weaker, true);
    }
    None
}

/// Whether a formula holds this symbol.
fn mentions(formula: &Dim, name: &str) -> bool {
    formula.any_symbol(&|symbol| **symbol == *name)
}

/// Whether a size of a tensor holds this symbol.
fn holds(info: &TensorInfo, name: &str) -> bool {
    let length = info.sequence.as_ref().map(|s| &s.length);
    info.shape.iter().flatten().chain(length).any(|size| mentions(size, name))
}

/// Whether elements or contents of `before` are no longer in `state`.
fn forgets(state: &TensorInfo, before: &TensorInfo) -> bool {
    let elements = |info: &TensorInfo| info.sequence.as_ref().is_some_and(|s| s.elements.is_some());
    let known = |info: &TensorInfo| {
        info.value.iter().flat_map(|v| v.iter()).filter(|e| **e != Elem::Unknown).count()
    };
    (elements(before) && !elements(state)) || known(state) < known(before)
}

/// `a` in round zero and `b` in round one.
fn line(a: &Dim, b: &Dim, number: &Dim) -> Dim {
    if a == b { a.clone() } else { a.clone() + (b.clone() - a.clone()) * number.clone() }
}

/// A tensor that is `a` in round zero and `b` in round one, if it changes evenly.
fn stepped(a: &TensorInfo, b: &TensorInfo, number: &Dim) -> Option<TensorInfo> {
    let sizes = |(x, y): (&Dim, &Dim)| line(x, y, number);
    let shape = match (&a.shape, &b.shape) {
        (Some(x), Some(y)) if x.len() == y.len() => Some(x.iter().zip(y).map(sizes).collect()),
        (None, None) => None,
        _ => return None,
    };
    let sequence = match (&a.sequence, &b.sequence) {
        (Some(x), Some(y)) if x == y => Some(x.clone()),
        (Some(x), Some(y)) => {
            // Elements that nobody has set yet hold nothing.
            let nothing = x.element.elements().is_none_or(|n| n.is_zero());
            let unset = x.length.is_zero() || nothing;
            let element = if unset { y } else { x }.element.clone();
            let length = line(&x.length, &y.length, number);
            Some(Sequence { elements: None, element, length }.into())
        }
        (None, None) => None,
        _ => return None,
    };
    if a.present != b.present || (a.dtype != b.dtype && a.dtype.is_some()) {
        return None;
    }
    let element = |(x, y): (&Elem, &Elem)| match (x, y) {
        _ if x == y => x.clone(),
        (Elem::Int(x), Elem::Int(y)) => Elem::Int(line(x, y, number)),
        (Elem::Ratio(x, p), Elem::Ratio(y, q)) if p == q => Elem::Ratio(line(x, y, number), *p),
        _ => Elem::Unknown,
    };
    let value = a.value.as_ref().zip(b.value.as_ref()).filter(|(x, y)| x.len() == y.len());
    let value = value.map(|(x, y)| x.iter().zip(y.iter()).map(element).collect());
    let sized = a.sized && b.sized;
    let info = TensorInfo {
        dtype: b.dtype,
        shape,
        value,
        sequence,
        present: a.present,
        sized,
        constant: false,
    };
    Some(info)
}

/// `info` in another round.
fn at(info: &TensorInfo, number: &Dim, round: &Dim) -> TensorInfo {
    let name = number.as_symbol().unwrap_or_default();
    info.map(&|d| d.replace_one(name, round))
}

/// `now`, without contents in which the round after it does not turn out as `expected`; none where
/// more than contents differ.
fn agreed(now: &TensorInfo, expected: &TensorInfo, found: &TensorInfo) -> Option<TensorInfo> {
    if expected.shape != found.shape
        || expected.present != found.present
        || expected.dtype != found.dtype
        || expected.sequence.is_some() != found.sequence.is_some()
    {
        return None;
    }
    let mut kept = TensorInfo { sized: now.sized && found.sized, ..now.clone() };
    if let (Some(e), Some(f), Some(n)) = (&expected.sequence, &found.sequence, &now.sequence) {
        if e.length != f.length {
            return None;
        }
        if e.element != f.element {
            let element = n.element.join(&f.element);
            let length = n.length.clone();
            kept.sequence = Some(Sequence { elements: None, element, length }.into());
        }
    }
    if expected.value != found.value {
        let right = expected.value.as_ref().zip(found.value.as_ref());
        kept.value = now.value.as_ref().zip(right).and_then(|(now, (e, f))| {
            let same = |(i, x): (usize, &Elem)| {
                if e.get(i) == f.get(i) { x.clone() } else { Elem::Unknown }
            };
            let kept: Vec<Elem> = now.iter().enumerate().map(same).collect();
            kept.iter().any(|e| *e != Elem::Unknown).then(|| kept.into())
        });
    }
    Some(kept)
}

impl Pattern {
    /// Everything after `trips` rounds.
    pub(super) fn rounds(&self, cx: &OpCx<'_>, trips: &Dim) -> Rounds<'_> {
        let mut cost = Inner::default();
        if let Some((few, state)) = trips.as_usize().and_then(|n| Some((n, self.entered.get(n)?))) {
            self.first.iter().take(few).for_each(|(_, once)| cost.add(once));
            return Rounds { state: state.clone(), earlier: Vec::new(), cost, bound: false };
        }
        let before = Dim::from(self.first.len());
        let rest = (trips.clone() - before.clone()).maximum(&Dim::ZERO);
        let short = !matches!(trips.compare(&before), Some(o) if o.is_ge());
        self.first.iter().for_each(|(_, once)| cost.add(once));
        let (sum, summed) = self.sum(&rest);
        cost.add(&sum);
        let state = self.state.iter().map(|info| at(info, &self.number, &rest)).collect();
        let ends = |round: i128| short && (cx.made_by_data)(trips, round).is_some();
        let all = (0..).zip(&self.entered).filter(|(round, _)| ends(*round));
        let earlier = all.map(|(_, state)| &state[..]).collect();
        Rounds { state, earlier, cost, bound: short || !summed }
    }

    /// Whether rounds differ in sizes or costs.
    pub(super) fn varies(&self) -> bool {
        !self.first.is_empty() || self.changes()
    }

    /// Whether rounds after the first do.
    fn changes(&self) -> bool {
        let name = self.number.as_symbol().unwrap_or_default();
        self.state.iter().any(|info| holds(info, name))
            || self.each.1.cost.counts().any(|n| mentions(n, name))
    }

    /// The cost of the rounds after the first, and whether it is not just the most that it can be.
    fn sum(&self, count: &Dim) -> (Inner, bool) {
        let name = self.number.as_symbol().unwrap_or_default();
        let each = &self.each.1;
        let round = self.changes().then(|| self.number.clone());
        let run = |run: &Run| Run { times: count.clone(), round: round.clone(), ..run.clone() };
        let runs = each.runs.iter().map(run).collect();
        if each.cost.counts().all(|n| n.sum_over(name, count).is_some()) {
            let cost = each.cost.map(&|n| n.sum_over(name, count).unwrap_or_default());
            return (Inner { cost, runs }, true);
        }
        match count.as_const() {
            Some(rounds) if rounds <= MAX_SUMMED => {
                let all = |n: &Dim| (0..rounds).map(|r| n.replace_one(name, &Dim::from(r))).sum();
                (Inner { cost: each.cost.map(&all), runs }, true)
            }
            // The number of the round stays in it, which is no more than there are rounds.
            _ => (Inner { cost: each.cost.times(count), runs }, false),
        }
    }

    /// A row of a scan output: what all rounds give in common at port `port`.
    pub(super) fn row(&self, port: usize) -> TensorInfo {
        let all = self.first.iter().chain([&self.each]).filter_map(|(given, _)| given.get(port));
        let row = all.cloned().reduce(|a, b| a.join(&b)).unwrap_or_default();
        match self.number.as_symbol() {
            Some(number) if holds(&row, number) => TensorInfo { shape: None, ..row },
            _ => row,
        }
    }
}
