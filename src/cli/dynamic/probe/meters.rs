//! Meters beside the load, as asked for on the command line.

use super::hinted;
use crate::os::proc::Proc;
use crate::probe::meter::carbon::{self, Grid};
use crate::probe::meter::{Place, Setup};
use crate::probe::study::Meters;
use crate::probe::target::{Prepared, Url};
use anyhow::Result;
use std::time::Duration;

/// Flags of the meters.
#[derive(Debug, clap::Args)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
#[group(skip)]
pub(super) struct Flags {
    /// Read no meters.
    #[arg(long, help_heading = "Meters")]
    no_meters: bool,
    /// The server's process, children included; found by its port where left out.
    #[arg(long, value_name = "PID", help_heading = "Meters")]
    pid: Option<u32>,
    /// Seconds between two readings.
    #[arg(long, value_name = "S", default_value_t = 0.25, help_heading = "Meters")]
    meter_every: f64,
    /// Seconds before the load in which the power without load is measured, where there is a
    /// counter of energy.
    #[arg(long, value_name = "S", default_value_t = 3.0, help_heading = "Meters")]
    idle_seconds: f64,
    /// Read this GPU; all where left out. Repeatable.
    #[arg(long, value_name = "INDEX", help_heading = "Meters")]
    gpu: Vec<u32>,
    /// Page of the server's own metrics, in the text format of Prometheus; the usual places of
    /// Triton, MLServer and TensorFlow Serving are looked at where left out.
    #[arg(long, value_name = "URL", help_heading = "Meters")]
    metrics: Option<String>,
    /// How many servers a stage has, so that its utilisation is exact: pre=4. Repeatable.
    #[arg(long, value_name = "STAGE=N", help_heading = "Meters")]
    stage_servers: Vec<String>,
    /// Where the electricity comes from, for CO2e: FRA, DEU, USA, …
    #[arg(long, value_name = "CODE", help_heading = "Meters", conflicts_with = "carbon_intensity")]
    region: Option<String>,
    /// Grams of CO2e that a kilowatt-hour stands for.
    #[arg(long, value_name = "G_PER_KWH", help_heading = "Meters")]
    carbon_intensity: Option<f64>,
    /// Power of the building over power of its machines.
    #[arg(long, value_name = "RATIO", default_value_t = 1.0, help_heading = "Meters")]
    pue: f64,
}

impl Flags {
    /// What can be said wrong of the flags is said before anything is sent.
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
                "for example --idle-seconds 10, or 0 for none",
            ));
        }
        self.metrics()?;
        self.servers()?;
        self.grid().map(|_| ())
    }

    fn metrics(&self) -> Result<Option<Url>> {
        let Some(text) = &self.metrics else { return Ok(None) };
        match Url::parse(text) {
            Ok(url) if !url.protocol.names_model() => Ok(Some(url)),
            Ok(_) => Err(hinted(
                format!("`--metrics {text}` is not a page"),
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
                    "the stage as the server names it: --stage-servers pre=4",
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
                    format!("`--pid {pid}`: there is no such process here"),
                    "`pgrep -f NAME` finds it; without --pid the server's port is looked up",
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
        Ok(Some(Meters { setup, grid: self.grid()?, idle: None, servers }))
    }

    fn grid(&self) -> Result<Option<Grid>> {
        if !(1.0..=10.0).contains(&self.pue) {
            return Err(hinted(
                format!("`--pue {}` is not a ratio of 1 to 10", self.pue),
                "the power of the building over that of its machines: --pue 1.3",
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
                format!("no region is called `{code}`"),
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
    match Proc::default().listener(url.port) {
        Ok(pid) => Place::Here(pid),
        Err(why) => Place::Hidden(format!(
            "{why}; give the server's with --pid, or run as its user and in its namespace"
        )),
    }
}
