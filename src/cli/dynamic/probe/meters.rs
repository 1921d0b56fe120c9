//! Meters beside the load, as asked for on the command line.

use super::hinted;
use crate::os::proc::Proc;
use crate::probe::meter::carbon::{self, Grid};
use crate::probe::meter::{Place, Setup};
use crate::probe::socket::Socket;
use crate::probe::study::Meters;
use crate::probe::target::{Prepared, Url};
use anyhow::Result;
use std::time::Duration;

/// Flags of the meters.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Meters")]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
#[group(skip)]
pub(super) struct MeterFlags {
    /// Read no meters.
    #[arg(long)]
    no_meters: bool,
    /// Process ID of the server, whose children are included [default: the process that listens on its port].
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Seconds between readings.
    #[arg(long, value_name = "S", default_value_t = 0.25)]
    meter_every: f64,
    /// Seconds before the load to measure idle power for, where there is an energy counter.
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    idle_seconds: f64,
    /// GPU to read, repeatable; all are read by default.
    #[arg(long, value_name = "INDEX")]
    gpu: Vec<u32>,
    /// URL of the server's metrics in Prometheus text format.
    ///
    /// By default, the usual URLs of Triton, MLServer and TensorFlow Serving are tried.
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
    /// Workers of a pipeline stage, as in pre=4, which makes its utilisation exact. Repeatable.
    #[arg(long, value_name = "STAGE=N")]
    stage_servers: Vec<String>,
    /// Region of the electricity grid, for CO2e: FRA, DEU, USA, …
    #[arg(long, value_name = "CODE", conflicts_with = "carbon_intensity")]
    region: Option<String>,
    /// Carbon intensity of the electricity, in grams of CO2e per kWh.
    #[arg(long, value_name = "G_PER_KWH")]
    carbon_intensity: Option<f64>,
    /// Power usage effectiveness (PUE): power of the building divided by that of its machines.
    #[arg(long, value_name = "RATIO", default_value_t = 1.0)]
    pue: f64,
}

impl MeterFlags {
    /// Refuses wrong values before anything is sent.
    pub(super) fn check(&self) -> Result<()> {
        if !(0.01..=60.0).contains(&self.meter_every) {
            return Err(hinted(
                format!("`--meter-every {}` is not a time of 0.01 to 60 seconds", self.meter_every),
                "for example --meter-every 0.25",
            ));
        }
        if !(0.0..=600.0).contains(&self.idle_seconds) {
            return Err(hinted(
                format!("`--idle-seconds {}` is not a time of 0 to 600 seconds", self.idle_seconds),
                "for example --idle-seconds 10, or 0 to skip it",
            ));
        }
        self.metrics()?;
        self.servers()?;
        self.grid().map(|_| ())
    }

    fn metrics(&self) -> Result<Option<Url>> {
        let Some(text) = &self.metrics else { return Ok(None) };
        match Url::parse(text) {
            Ok(url) if url.protocol.is_plain() => Ok(Some(url)),
            Ok(_) => Err(hinted(
                format!("`--metrics {text}` is not the URL of a page"),
                "for example --metrics http://localhost:8002/metrics",
            )),
            Err(error) => Err(hinted(error.message, error.hint)),
        }
    }

    fn servers(&self) -> Result<Vec<(String, u64)>> {
        let one = |text: &String| {
            let (name, n) = text.split_once('=').unwrap_or((text, ""));
            match n.parse::<u64>() {
                Ok(n) if n > 0 && !name.is_empty() => Ok((name.to_owned(), n)),
                _ => Err(hinted(
                    format!("`--stage-servers {text}` is not STAGE=N"),
                    "use the server's name of the stage: --stage-servers pre=4",
                )),
            }
        };
        self.stage_servers.iter().map(one).collect()
    }

    /// Looks for the server's process; `None` where no meters are wanted.
    pub(super) fn prepare(
        &self,
        target: &str,
        prepared: &Prepared,
        instances: u16,
    ) -> Result<Option<Meters>> {
        if self.no_meters {
            return Ok(None);
        }
        let place = match (self.pid, prepared.is_local()) {
            (Some(pid), _) if Proc::default().stat(pid).is_some() => Place::Here(pid),
            (Some(pid), _) => {
                return Err(hinted(
                    format!("`--pid {pid}`: no such process on this machine"),
                    "`pgrep -f NAME` finds it; without --pid, the process that listens on the server's port is read",
                ));
            }
            (None, true) => Place::Within,
            (None, false) => Url::parse(target).map_or(Place::Elsewhere, |url| place(&url)),
        };
        let setup = Setup {
            every: Duration::from_secs_f64(self.meter_every),
            place,
            gpus: self.gpu.clone(),
            questions: prepared.questions(self.metrics()?),
            ..Setup::default()
        };
        let mut servers = self.servers()?;
        if prepared.is_local() {
            servers.push(("compute".into(), instances.into()));
        }
        Ok(Some(Meters { setup, grid: self.grid()?, idle: Vec::new(), servers }))
    }

    fn grid(&self) -> Result<Option<Grid>> {
        if !(1.0..=10.0).contains(&self.pue) {
            return Err(hinted(
                format!("`--pue {}` is not a ratio of 1 to 10", self.pue),
                "power of the building divided by that of its machines: --pue 1.3",
            ));
        }
        if let Some(g_per_kwh) = self.carbon_intensity {
            if !(0.0..=5000.0).contains(&g_per_kwh) {
                return Err(hinted(
                    format!("`--carbon-intensity {g_per_kwh}` is not 0 to 5000 g/kWh"),
                    "for example --carbon-intensity 56",
                ));
            }
            let origin = "as given".to_owned();
            return Ok(Some(Grid { g_per_kwh, pue: self.pue, origin }));
        }
        let Some(code) = &self.region else { return Ok(None) };
        let regions = carbon::regions();
        let Some(r) = regions.iter().find(|r| r.code.eq_ignore_ascii_case(code)) else {
            let known: Vec<String> =
                regions.iter().map(|r| format!("{} ({})", r.code, r.name)).collect();
            return Err(hinted(
                format!("unknown region `{code}`"),
                format!("one of {}; or --carbon-intensity G_PER_KWH", known.join(", ")),
            ));
        };
        let origin = format!("{}, {}, {}", r.name, r.year, r.source);
        Ok(Some(Grid { g_per_kwh: r.g_per_kwh, pue: self.pue, origin }))
    }

    pub(super) fn idle_seconds(&self) -> Duration {
        Duration::from_secs_f64(self.idle_seconds)
    }
}

/// Where a server is, and which process it is.
fn place(url: &Url) -> Place {
    if !url.is_here() {
        return Place::Elsewhere;
    }
    if let Some(path) = &url.unix {
        return match Socket::Unix(path.clone()).process() {
            Some(pid) => Place::Here(pid),
            None => Place::Hidden(
                "the system does not show who listens at the socket; give the server's with --pid"
                    .into(),
            ),
        };
    }
    match Proc::default().listener(url.port) {
        Ok(pid) => Place::Here(pid),
        Err(why) => Place::Hidden(format!(
            "{why}; pass its process ID with --pid, or run as its user and in its namespace"
        )),
    }
}
