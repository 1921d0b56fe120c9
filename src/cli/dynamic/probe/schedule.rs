//! Flags of the load of `rooflens probe`: when requests are sent, for how long, and by how many machines.

use super::hinted;
use super::stripes;
use super::time;
use crate::probe::arrival::{Arrival, Load, Stripe};
use crate::probe::meeting::Meeting;
use crate::probe::study::Goal;
use anyhow::Result;
use std::time::{Duration, SystemTime};

/// Flags of the load.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Load")]
#[group(skip)]
pub(super) struct LoadFlags {
    /// Load to send; `rooflens probe --help` lists the kinds.
    #[arg(long, value_name = "LOAD", default_value = "closed:1")]
    pub(super) load: String,
    /// Length of the schedule in seconds [default: 20, or at most 120 with --until].
    ///
    /// With `--load max`, the length of an attempt, which is extended where its percentile needs more requests.
    #[arg(long, value_name = "S")]
    pub(super) seconds: Option<f64>,
    /// End after N requests.
    ///
    /// A closed loop also ends after --seconds (default here: 3600). The schedule of an open load ends where the
    /// next request would be scheduled.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "until")]
    requests: Option<u64>,
    /// Time limit for `--load max`, in seconds [default: the larger of 600 and 15 × --seconds].
    #[arg(long, value_name = "S")]
    budget: Option<f64>,
    /// Stop once the percentile is known to within ± this share, such as 10%.
    ///
    /// The percentile is that of --slo, else p99. It must be within the share at two checks in a row; the time
    /// between checks doubles.
    #[arg(long, value_name = "SHARE", conflicts_with_all = ["stripe", "start_at"])]
    pub(super) until: Option<String>,
    /// Send only every N-th request, starting with number K: K/N, or auto/N.
    ///
    /// auto takes K from the engine that numbers the tasks (Kubernetes Indexed Job, srun, Slurm array, mpirun), and
    /// auto without /N also takes N from it (not from Kubernetes). `rooflens merge` joins the parts.
    #[arg(long, value_name = "K/N")]
    pub(super) stripe: Option<String>,
    /// Wait until all stripes are there, and start together.
    ///
    /// Stripe 0 listens on this port, and the others connect to it at this host. Their clocks need not agree.
    #[arg(long, value_name = "HOST:PORT", requires = "stripe", conflicts_with_all = ["start_at", "until"])]
    meet: Option<String>,
    /// Seconds that stripes wait for each other.
    #[arg(long, value_name = "S", default_value_t = 600.0, requires = "meet")]
    meet_patience: f64,
    /// Start at this Unix time, so that stripes on several machines start together.
    #[arg(long, value_name = "SECONDS")]
    start_at: Option<f64>,
    /// Print what would be sent, and send nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl LoadFlags {
    /// The share of every N-th request that is sent from here.
    pub(super) fn stripe(&self) -> Result<Stripe> {
        self.stripe.as_deref().map_or(Ok(Stripe::WHOLE), stripes::stripe)
    }

    /// Where this stripe meets the others, where it does.
    pub(super) fn meeting(&self) -> Result<Option<Meeting>> {
        let Some(text) = &self.meet else { return Ok(None) };
        stripes::meeting(text, time("--meet-patience", self.meet_patience)?).map(Some)
    }

    /// The instant at which the load starts, where one is given.
    pub(super) fn start_at(&self) -> Result<Option<SystemTime>> {
        self.start_at.map(start_at).transpose()
    }

    /// How long the load takes, and the number of requests with which a closed loop ends before that.
    pub(super) fn span(
        &self,
        load: &Load,
        goal: &Goal,
        seed: u64,
    ) -> Result<(Duration, Option<u64>)> {
        let arrival = match (self.requests, load) {
            (None, _) => return Ok((time("--seconds", self.longest())?, None)),
            (Some(_), Load::Closed(_)) => {
                let limit = time("--seconds", self.seconds.unwrap_or(3600.0))?;
                return Ok((limit, self.requests));
            }
            (Some(_), Load::Open(arrival)) => arrival,
        };
        let refused =
            |message: &str| Err(hinted(message, "give --requests or --seconds, not both"));
        if self.seconds.is_some() {
            return refused("an open load takes either --requests or --seconds");
        }
        if matches!(arrival, Arrival::Ramp { .. }) || matches!(goal, Goal::Highest(_)) {
            return refused("this load takes --seconds, not --requests");
        }
        let number = self.requests.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        let mut schedule = arrival.schedule(seed, Duration::from_hours(24), Stripe::WHOLE);
        let last = schedule.nth(number - 1).map(|due| due.at);
        let Some(last) = last else {
            return Err(hinted(
                format!(
                    "`--load {}` schedules fewer than {number} requests within a day",
                    self.load
                ),
                "use a smaller --requests",
            ));
        };
        let end = schedule.next().map_or(last + 1, |due| due.at);
        Ok((Duration::from_nanos(end), None))
    }

    /// How long a search for the highest rate may take.
    pub(super) fn budget(&self) -> Result<Duration> {
        time("--budget", self.budget.unwrap_or_else(|| (15.0 * self.longest()).max(600.0)))
    }

    /// Seconds of the load, at most.
    fn longest(&self) -> f64 {
        self.seconds.unwrap_or(if self.until.is_some() { 120.0 } else { 20.0 })
    }
}

fn start_at(unix: f64) -> Result<SystemTime> {
    let since = Duration::try_from_secs_f64(unix).ok();
    let at = since.and_then(|s| SystemTime::UNIX_EPOCH.checked_add(s));
    let ahead = at.and_then(|at| at.duration_since(SystemTime::now()).ok());
    match (at, ahead) {
        (Some(at), Some(ahead)) if ahead < Duration::from_hours(1) => Ok(at),
        _ => Err(hinted(
            format!("`--start-at {unix}` is not within the next hour"),
            "for example --start-at $(( $(date +%s) + 10 ))",
        )),
    }
}
