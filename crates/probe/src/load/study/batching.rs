//! Batch sizes and settings of the server's own batching, against loads.

use super::{Observer, Run, StudyError, Switch};
use crate::arrival::{Arrival, Load};
use crate::drive::Plan;
use crate::measurement::{Aims, Measured};
use crate::schema::{BATCHING, BatchingFile, CellPart, Column, PlateauPart, TOOL};
use crate::target::Prepared;
use crate::target::platform::{Batching, Setting};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What is varied, with how requests are made.
#[derive(Clone)]
pub struct Row<'a> {
    /// Its name in files.
    pub column: Column,
    /// The server's batching; as it was found where omitted.
    pub setting: Option<&'a Setting>,
    /// Requests of its batch.
    pub prepared: &'a Prepared,
}

/// What the runs of a study have in common.
pub struct BatchingStudy<'a> {
    /// What is compared; the first is the reference.
    pub rows: &'a [Row<'a>],
    /// Changes the server's batching; needed where rows have a setting.
    pub server: Option<&'a Batching<'a>>,
    /// Of each run, but for its load.
    pub plan: Plan,
    /// Requests always in flight when the highest throughput is measured.
    pub in_flight: u16,
    /// Loads, as shares of the highest throughput of all, in rising order.
    pub loads: &'a [f64],
    /// Seconds to cut at the start of each run; detected where omitted.
    pub warm_up: Option<f64>,
}

impl BatchingStudy<'_> {
    /// Measures and compares, and puts the server's batching back as it was found. What was measured before an
    /// error is kept where there are cells.
    pub fn measure(
        &self,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<BatchingFile, StudyError> {
        let mut file = self.empty();
        let outcome = self.fill(&mut file, stop, observer);
        let restored = self.server.map_or(Ok(()), Batching::restore);
        let ended = match outcome {
            Err(error) if file.cells.is_empty() => return Err(error),
            Err(error) => {
                file.notes.push(format!("ended early: {error}"));
                true
            }
            Ok(()) => false,
        };
        if let Err(error) = restored {
            file.notes.push(format!("the server's batching could not be put back: {error}"));
        }
        file.stopped = ended || stop.load(Ordering::Relaxed);
        file.judge();
        Ok(file)
    }

    fn empty(&self) -> BatchingFile {
        let first = self.rows.first();
        BatchingFile {
            schema: BATCHING.into(),
            tool: TOOL.into(),
            target: first.map_or(String::new(), |r| r.prepared.text.clone()),
            platform: first.map_or(String::new(), |r| r.prepared.platform.clone()),
            seconds: self.plan.duration.as_secs_f64(),
            seed: self.plan.seed,
            reference: first.map_or(Column::default(), |r| r.column.clone()),
            notes: first.map_or(Vec::new(), |r| self.notes(r.prepared)),
            ..BatchingFile::default()
        }
    }

    /// What was varied and what was not.
    fn notes(&self, prepared: &Prepared) -> Vec<String> {
        if let Some(server) = self.server {
            return vec![format!(
                "the server makes batches of what it is sent; it was found with {}, and the model was reloaded for each setting",
                server.found()
            )];
        }
        let mut all =
            vec!["batches of more than one are formed by the client, one request each".into()];
        all.extend(prepared.batching_note().map(ToOwned::to_owned));
        all
    }

    /// Fills in plateaus and cells until it is done or interrupted.
    fn fill(
        &self,
        file: &mut BatchingFile,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<(), StudyError> {
        let count = self.rows.len() * (1 + self.loads.len());
        let columns: Vec<Column> = self.rows.iter().map(|r| r.column.clone()).collect();
        let mut done = 0;
        for row in self.rows {
            self.set(row, stop, observer)?;
            done += 1;
            let label = format!("{done}/{count} {}, most", row.column.name(&columns));
            let load = Load::Closed(usize::from(self.in_flight));
            let Some((measured, executed)) = self.run(row, load, &label, stop, observer)? else {
                return Ok(());
            };
            file.plateaus.push(PlateauPart {
                column: row.column.clone(),
                in_flight: u64::from(self.in_flight),
                inferences_per_second: measured.file.window.inferences_per_second,
                executed_batch_mean: executed,
                verdict: measured.file.verdict.verdict,
            });
        }
        let most = file.most();
        if most <= 0.0 {
            return Err(StudyError::NoAnswer);
        }
        let plateaus: Vec<f64> = file.plateaus.iter().map(|p| p.inferences_per_second).collect();
        for (row, own) in self.rows.iter().zip(plateaus) {
            self.set(row, stop, observer)?;
            for load in self.loads {
                done += 1;
                let name = row.column.name(&columns);
                let label = format!("{done}/{count} {name} at {:.0} %", 100.0 * load);
                let wanted = most * load;
                let arrival = Load::Open(Arrival::Poisson(wanted / row.column.batch as f64));
                let run = self.run(row, arrival, &label, stop, observer)?;
                let Some((measured, executed)) = run else { return Ok(()) };
                let cell = CellPart::new(&measured.file, row.column.clone(), *load, wanted, own);
                file.cells.push(CellPart { executed_batch_mean: executed, ..cell });
            }
        }
        Ok(())
    }

    /// Runs against a row's target, judged by the tail.
    fn of<'a>(&self, row: &Row<'a>) -> Run<'a> {
        let aims = Aims { headline: 0.99, slo: Vec::new(), warm_up: self.warm_up, throttled: None };
        Run {
            prepared: row.prepared,
            aims,
            until: None,
            meters: None,
            first_answer: None,
            interim: None,
        }
    }

    /// Gives the server the row's setting; a model that was just loaded gets a second to warm up.
    fn set(
        &self,
        row: &Row<'_>,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<(), StudyError> {
        let (Some(server), Some(setting)) = (self.server, row.setting) else { return Ok(()) };
        server.set(setting)?;
        let load = Load::Closed(usize::from(self.in_flight));
        let plan = Plan { load, duration: Duration::from_secs(1), ..self.plan.clone() };
        self.of(row).watched(&plan, "after a reload", stop, observer, None)?;
        Ok(())
    }

    /// A run and the mean batch that the server made meanwhile; nothing once interrupted.
    fn run(
        &self,
        row: &Row<'_>,
        load: Load,
        label: &str,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<Option<(Measured, Option<f64>)>, StudyError> {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let plan = Plan { load, ..self.plan.clone() };
        // What the server counted of its own batches.
        let count = || self.server.and_then(|_| row.prepared.statistics());
        let before = count();
        let measured = self.of(row).measure(&plan, label, stop, observer)?;
        let delta = count().and_then(|after| after.since(&before?));
        let executed = delta.filter(|d| d.executions > 0);
        let executed = executed.map(|d| d.inferences as f64 / d.executions as f64);
        Ok((!stop.load(Ordering::Relaxed)).then_some((measured, executed)))
    }
}
