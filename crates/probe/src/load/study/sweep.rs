//! The same load once for each batch, each in a folder of its own.

use super::{Observer, Single, StudyError, Switch};
use crate::measurement::{FileError, Measured, holds};
use crate::schema::{SWEEP, SweepFile, SweepRow, TOOL};
use std::path::Path;
use std::sync::atomic::Ordering;

/// What is measured, one after another.
pub struct Sweep<'a> {
    /// The target, as typed.
    pub target: &'a str,
    /// The load, as typed.
    pub load: &'a str,
    /// Where the runs get folders of their own; it exists.
    pub folder: &'a Path,
    /// A measurement for each batch; no two have the same one.
    pub runs: Vec<Single<'a>>,
}

/// The table of a sweep.
#[derive(Debug)]
pub struct Swept {
    /// As written, with a row for each run.
    pub file: SweepFile,
    /// Whether every run can be trusted and met its objective.
    pub holds: bool,
}

impl Sweep<'_> {
    /// Measures and saves run after run, until all are made or it is stopped.
    pub fn measure(
        &mut self,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<Swept, StudyError> {
        let file = SweepFile {
            schema: SWEEP.into(),
            tool: TOOL.into(),
            target: self.target.into(),
            load: self.load.into(),
            stopped: false,
            rows: Vec::new(),
        };
        let mut swept = Swept { file, holds: true };
        for run in &mut self.runs {
            if stop.load(Ordering::Relaxed) {
                swept.file.stopped = true;
                break;
            }
            let measured = run.measure(stop, observer)?;
            swept.add(&measured, self.folder)?;
        }
        Ok(swept)
    }
}

impl Swept {
    /// Saves a run in the folder of its batch, and adds it to the table.
    fn add(&mut self, measured: &Measured, folder: &Path) -> Result<(), FileError> {
        let name = format!("batch-{}", measured.file.target.batch);
        let own = folder.join(&name);
        std::fs::create_dir(&own).map_err(|e| FileError::Io(own.display().to_string(), e))?;
        measured.save(&own)?;
        self.file.stopped |= measured.file.run.stopped;
        self.file.rows.push(SweepRow::new(&measured.file, &name));
        self.holds &= holds(&measured.file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::Plan;
    use crate::measurement::Aims;
    use crate::schema::ModelPart;
    use crate::study::Goal;
    use crate::target::Prepared;
    use crate::{ProbeError, Target};
    use std::sync::Arc;
    use std::time::Duration;

    /// Takes a millisecond.
    struct Sleeper;

    impl Target for Sleeper {
        fn infer(&self) -> Result<(), ProbeError> {
            std::thread::sleep(Duration::from_millis(1));
            Ok(())
        }
    }

    fn measured(stop: bool, folder: &Path) -> Swept {
        let runtime: Arc<dyn Target + Send + Sync> = Arc::new(Sleeper);
        let plan = Plan::closed(1, Duration::from_millis(100));
        let aims = Aims { headline: 0.5, slo: Vec::new(), warm_up: Some(0.0), throttled: None };
        let model = ModelPart {
            file: "m.onnx".into(),
            flops_per_request: 1000.0,
            compulsory_bytes_per_request: 10.0,
            intensity_flop_per_byte: 100.0,
            achieved_flops: 0.0,
            phases: Vec::new(),
        };
        let run = |batch| Single {
            prepared: Prepared::inline("test:", "a sleeper", &runtime, batch),
            plan: &plan,
            goal: Goal::Load,
            aims: &aims,
            until: None,
            meters: None,
            rest: Duration::ZERO,
            first_answer: None,
            model: Some(model.clone()),
            notes: vec!["as noted".into()],
            start_up: None,
            interim: None,
            meeting: None,
        };
        let runs = vec![run(1), run(4)];
        let mut sweep = Sweep { target: "test:", load: "closed:1", folder, runs };
        sweep.measure(&Switch::new(stop), &mut ()).unwrap()
    }

    #[test]
    fn each_batch_has_a_folder_and_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let swept = measured(false, folder.path());
        let batches: Vec<i64> = swept.file.rows.iter().map(|row| row.batch).collect();
        assert_eq!((batches, swept.file.stopped), (vec![1, 4], false));
        for row in &swept.file.rows {
            let of = |rate: f64| rate * row.batch as f64;
            assert!((row.inferences_per_second - of(row.requests_per_second)).abs() < 1e-6);
            let own = folder.path().join(format!("batch-{}", row.batch));
            let file = Measured::load(&own).unwrap().file;
            let achieved = file.model.unwrap().achieved_flops;
            assert!(achieved > 0.0 && (achieved - 1000.0 * row.requests_per_second).abs() < 1e-3);
            assert_eq!(file.verdict.notes.last().map(String::as_str), Some("as noted"));
        }
    }

    #[test]
    fn a_stopped_sweep_measures_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let swept = measured(true, folder.path());
        assert!(swept.file.stopped && swept.file.rows.is_empty());
    }
}
