//! Response times of a queue in front of one copy of a model: a formula to screen with, and a simulation of events.

/// The first part of a simulation that is not counted, because the queue starts empty: one in this many requests.
const WARM_UP: usize = 10;

/// The response time at quantile `q` of Poisson arrivals at `rate` per second, served one at a time; none where the
/// copy is busy all the time.
///
/// `mean` is the mean service time in seconds, `variation` its coefficient of variation and `slow` its quantile `q`. The
/// mean wait is that of Pollaczek and Khinchine, and a wait that is not zero is taken to be exponential.
pub fn response(mean: f64, variation: f64, slow: f64, rate: f64, q: f64) -> Option<f64> {
    let busy = rate * mean;
    if !(busy.is_finite() && (0.0..1.0).contains(&busy) && (0.0..1.0).contains(&q)) {
        return None;
    }
    let scale = mean * (1.0 + variation * variation) / (2.0 * (1.0 - busy));
    let wait = scale * (busy / (1.0 - q)).ln().max(0.0);
    Some(slow.max(mean + wait))
}

/// Response times that a simulation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// Seconds, ascending.
    seconds: Vec<f64>,
    /// The share of the time in which the copy was busy.
    pub busy: f64,
}

impl Answers {
    /// The response time at quantile `q`, by nearest rank; none where nothing was answered.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of answers"
    )]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (q.clamp(0.0, 1.0) * self.seconds.len() as f64).ceil() as usize;
        self.seconds.get(rank.saturating_sub(1)).copied()
    }

    /// The mean response time; none where nothing was answered.
    pub fn mean(&self) -> Option<f64> {
        let count = self.seconds.len();
        (count > 0).then(|| self.seconds.iter().sum::<f64>() / count as f64)
    }
}

/// Requests that arrive after `gaps` seconds each, served first come first served: whenever the copy is free, it takes
/// what waits, up to `most` requests together. `service` gives the seconds of a run by how many it serves.
pub fn simulate(
    gaps: impl IntoIterator<Item = f64>,
    most: usize,
    mut service: impl FnMut(usize) -> f64,
) -> Answers {
    let mut now = 0.0;
    let arrivals: Vec<f64> = gaps
        .into_iter()
        .map(|gap| {
            now += gap;
            now
        })
        .collect();
    let (mut next, mut free, mut working) = (0, 0.0_f64, 0.0);
    let mut seconds = Vec::with_capacity(arrivals.len());
    while let Some(first) = arrivals.get(next) {
        let start = free.max(*first);
        let waiting = arrivals[next..].iter().take(most.max(1)).take_while(|at| **at <= start);
        let together = waiting.count().max(1);
        let takes = service(together);
        free = start + takes;
        working += takes;
        seconds.extend(arrivals[next..next + together].iter().map(|at| free - at));
        next += together;
    }
    let busy = if free > 0.0 { working / free } else { 0.0 };
    seconds.drain(..seconds.len() / WARM_UP);
    seconds.sort_by(f64::total_cmp);
    Answers { seconds, busy }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exponential gaps of mean one by splitmix64 (Steele, Lea & Flood, 2014).
    fn exponential(seed: u64) -> impl Iterator<Item = f64> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let unit = (((z ^ (z >> 31)) >> 11) + 1) as f64 / (1u64 << 53) as f64;
            -unit.ln()
        })
    }

    fn gaps(seed: u64, rate: f64, count: usize) -> impl Iterator<Item = f64> {
        exponential(seed).take(count).map(move |gap| gap / rate)
    }

    fn near(found: f64, expected: f64, within: f64) {
        assert!((found / expected - 1.0).abs() < within, "{found} against {expected}");
    }

    /// M/D/1 by Pollaczek and Khinchine: the mean response is S + ρS / (2(1 − ρ)).
    #[test]
    fn constant_service_is_m_d_1() {
        for busy in [0.3, 0.5, 0.7] {
            let found = simulate(gaps(7, busy, 1_000_000), 1, |_| 1.0);
            near(found.mean().unwrap(), 1.0 + busy / (2.0 * (1.0 - busy)), 0.02);
            near(found.busy, busy, 0.02);
        }
    }

    /// M/M/1: responses are exponential with mean S / (1 − ρ).
    #[test]
    fn exponential_service_is_m_m_1() {
        for busy in [0.3, 0.5, 0.7] {
            let mut times = exponential(11);
            let found = simulate(gaps(7, busy, 1_000_000), 1, |_| times.next().unwrap());
            let mean = 1.0 / (1.0 - busy);
            near(found.mean().unwrap(), mean, 0.02);
            near(found.quantile(0.99).unwrap(), mean * 100.0_f64.ln(), 0.02);
        }
    }

    #[test]
    fn the_formula_is_near_the_simulation() {
        for busy in [0.3, 0.5, 0.7, 0.8] {
            let found = simulate(gaps(3, busy, 400_000), 1, |_| 1.0).quantile(0.99).unwrap();
            let screened = response(1.0, 0.0, 1.0, busy, 0.99).unwrap();
            assert!((0.8..1.2).contains(&(screened / found)), "{busy}: {screened}, {found}");
        }
        assert_eq!(response(1.0, 0.0, 1.0, 1.0, 0.99), None);
        assert_eq!(response(f64::NAN, 0.0, 1.0, 1.0, 0.99), None);
    }

    /// At 1.5 times what a copy serves one by one, runs that serve eight in the time of two hold out.
    #[test]
    fn batches_carry_what_single_requests_do_not() {
        let service = |together: usize| 1.0 + (together as f64 - 1.0) / 7.0;
        let alone = simulate(gaps(5, 1.5, 20_000), 1, service);
        let batched = simulate(gaps(5, 1.5, 20_000), 8, service);
        assert!(alone.quantile(0.5).unwrap() > 1_000.0);
        assert!(batched.quantile(0.99).unwrap() < 10.0);
    }

    #[test]
    fn nothing_asked_is_nothing_answered() {
        let none = simulate([], 4, |_| 1.0);
        assert_eq!((none.mean(), none.quantile(0.99), none.busy), (None, None, 0.0));
    }
}
