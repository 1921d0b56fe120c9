//! Verdicts, copies, costs and ranks.

use super::queue::response;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// The quantile of the response time, such as 0.99.
    pub quantile: f64,
    /// Its limit in seconds.
    pub seconds: f64,
    /// Requests per second of all copies together, as a Poisson process.
    pub rate: f64,
    /// The largest share of the time in which a copy may be busy.
    pub busy: f64,
    /// Coefficient of variation of the service time.
    pub variation: f64,
}

impl Demand {
    /// The response time at the quantile where a run takes `seconds` and so many copies share the requests; none where a
    /// copy is busy all the time. The slow runs of the service time are taken to be three deviations above its mean.
    pub fn response(&self, seconds: f64, copies: u64) -> Option<f64> {
        let slow = seconds * (1.0 + 3.0 * self.variation);
        response(seconds, self.variation, slow, self.rate / copies as f64, self.quantile)
    }
}

/// A model on a device in one type, one request at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Seconds below which no run is.
    pub proved: f64,
    /// Likely seconds at the fast end.
    pub low: Option<f64>,
    /// Likely seconds at the slow end.
    pub high: Option<f64>,
    /// Whether what it needs fits into the memory; none where either is not known.
    pub fits: Option<bool>,
}

/// What proves that a device does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The model does not fit into its memory.
    Memory,
    /// One run alone takes longer than the limit, whatever the runtime does.
    OneRun,
}

/// Why nothing is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Whether the model fits.
    Memory,
    /// How slow a run may be: nothing comparable was measured.
    SlowEnd,
    /// The slow end of the range breaks the limit, and the bound does not.
    Narrower,
}

/// Whether a device holds what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The slow end holds everything with this many copies.
    Yes(u64),
    /// Neither proved nor likely.
    Maybe(Missing),
    /// Proved not to.
    No(Proof),
}

/// The verdict on a candidate.
pub fn decide(candidate: &Candidate, demand: &Demand) -> Verdict {
    if candidate.fits == Some(false) {
        return Verdict::No(Proof::Memory);
    }
    if candidate.proved > demand.seconds {
        return Verdict::No(Proof::OneRun);
    }
    let Some(high) = candidate.high else { return Verdict::Maybe(Missing::SlowEnd) };
    let Some(copies) = copies(high, demand) else { return Verdict::Maybe(Missing::Narrower) };
    if candidate.fits.is_none() {
        return Verdict::Maybe(Missing::Memory);
    }
    Verdict::Yes(copies)
}

/// Copies beyond which nothing is offered.
const MOST_COPIES: u64 = 1 << 20;

/// The fewest copies that hold the demand where a run takes `seconds`; none where no number of them does.
pub fn copies(seconds: f64, demand: &Demand) -> Option<u64> {
    let holds = |copies: u64| {
        let busy = demand.rate / copies as f64 * seconds;
        let found = demand.response(seconds, copies);
        busy <= demand.busy && found.is_some_and(|found| found <= demand.seconds)
    };
    if !holds(MOST_COPIES) {
        return None;
    }
    // More copies never answer later, so that the fewest lie where it first holds.
    let (mut fails, mut does) = (0, MOST_COPIES);
    while does - fails > 1 {
        let middle = u64::midpoint(fails, does);
        *(if holds(middle) { &mut does } else { &mut fails }) = middle;
    }
    Some(does)
}

/// Dollars per million requests of copies at a price per hour each; none without a price.
pub fn dollars_per_million(per_hour: Option<f64>, copies: u64, rate: f64) -> Option<f64> {
    let dollars = per_hour? * copies as f64 / 3600.0 / rate * 1e6;
    dollars.is_finite().then_some(dollars)
}

/// A range of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Its low end.
    pub low: f64,
    /// Its high end.
    pub high: f64,
}

/// The share of its design power that a device draws at least while it serves: an assumption.
const LEAST_POWER: f64 = 0.3;

/// Joules per request of copies that draw between three tenths and all of the design power; none where that is not known.
pub fn joules_per_request(design_watts: Option<f64>, copies: u64, rate: f64) -> Option<Span> {
    let most = design_watts? * copies as f64 / rate;
    most.is_finite().then_some(Span { low: LEAST_POWER * most, high: most })
}

/// The places that a candidate may take, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// If all that is open turns out well.
    pub first: usize,
    /// If all turns out badly.
    pub last: usize,
}

/// Ranks by a figure of which less is better; ranges that overlap share places, and what is not known has none.
pub fn ranks(figures: &[Option<Span>]) -> Vec<Option<Ranking>> {
    let known = || figures.iter().flatten();
    let rank = |own: &Span| {
        let better = known().filter(|other| other.high < own.low).count();
        let worse = known().filter(|other| other.low > own.high).count();
        Ranking { first: better + 1, last: known().count() - worse }
    };
    figures.iter().map(|figure| figure.as_ref().map(rank)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMAND: Demand =
        Demand { quantile: 0.99, seconds: 0.05, rate: 200.0, busy: 0.7, variation: 0.3 };

    fn candidate(proved: f64, low: Option<f64>, high: Option<f64>) -> Candidate {
        Candidate { proved, low, high, fits: Some(true) }
    }

    #[test]
    fn no_is_proved() {
        let slow = candidate(0.0515, Some(0.1), Some(0.2));
        assert_eq!(decide(&slow, &DEMAND), Verdict::No(Proof::OneRun));
        let large = Candidate { fits: Some(false), ..candidate(1e-4, Some(1e-3), Some(2e-3)) };
        assert_eq!(decide(&large, &DEMAND), Verdict::No(Proof::Memory));
    }

    /// Whatever the range: where its fast end holds, and it fits, the verdict is not NO.
    #[test]
    fn no_is_never_said_where_the_fast_end_holds() {
        for step in 1..2_000 {
            let low = f64::from(step) * 1e-4;
            let at = candidate(low / 1.1, Some(low), Some(low * 4.0));
            if copies(low, &DEMAND).is_some() {
                assert!(!matches!(decide(&at, &DEMAND), Verdict::No(_)), "{low}");
            }
        }
    }

    #[test]
    fn without_a_slow_end_or_a_known_fit_nothing_is_yes() {
        let open = candidate(1e-6, Some(1e-6), None);
        assert_eq!(decide(&open, &DEMAND), Verdict::Maybe(Missing::SlowEnd));
        let unknown = Candidate { fits: None, ..candidate(1e-4, Some(1e-3), Some(2e-3)) };
        assert_eq!(decide(&unknown, &DEMAND), Verdict::Maybe(Missing::Memory));
        let wide = candidate(1e-3, Some(2e-3), Some(0.06));
        assert_eq!(decide(&wide, &DEMAND), Verdict::Maybe(Missing::Narrower));
        let nan = candidate(1e-3, Some(2e-3), Some(f64::NAN));
        assert_eq!(decide(&nan, &DEMAND), Verdict::Maybe(Missing::Narrower));
    }

    /// 200 per second of 3 ms each keep one copy busy for 60 %; of 4 ms, 80 %, which is above the limit of 70 %.
    #[test]
    fn copies_leave_room_to_spare() {
        assert_eq!(copies(0.003, &DEMAND), Some(1));
        assert_eq!(copies(0.004, &DEMAND), Some(2));
        assert_eq!(copies(0.060, &DEMAND), None);
        let mut rate = 100.0;
        let mut before = 0;
        while rate < 1e5 {
            let now = copies(0.004, &Demand { rate, ..DEMAND }).unwrap();
            assert!(now >= before, "{rate}");
            (before, rate) = (now, rate * 1.3);
        }
    }

    #[test]
    fn what_is_not_known_costs_nothing_but_a_dash() {
        assert_eq!(dollars_per_million(None, 2, 200.0), None);
        assert_eq!(joules_per_request(None, 2, 200.0), None);
        assert_eq!(dollars_per_million(Some(1.0), 1, 0.0), None);
        // 0.36 $/h for 100 requests per second: 1 $ per million.
        let dollars = dollars_per_million(Some(0.36), 1, 100.0).unwrap();
        assert!((dollars - 1.0).abs() < 1e-12);
        let joules = joules_per_request(Some(70.0), 1, 200.0).unwrap();
        assert!((joules.high - 0.35).abs() < 1e-12 && (joules.low - 0.105).abs() < 1e-12);
    }

    #[test]
    fn ranges_that_overlap_share_ranks() {
        let span = |low, high| Some(Span { low, high });
        let found = ranks(&[span(1.0, 2.0), span(1.5, 3.0), None, span(4.0, 4.0)]);
        let rank = |first, last| Some(Ranking { first, last });
        assert_eq!(found, [rank(1, 2), rank(1, 2), None, rank(3, 3)]);
    }
}
