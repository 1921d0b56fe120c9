//! The same load once for each batch, each in a folder of its own.

use super::StudyError;
use crate::measurement::{FileError, Measured, holds};
use crate::schema::{SWEEP, SweepFile, SweepRow, TOOL};
use std::path::Path;

/// A sweep as far as it has come.
#[derive(Debug)]
pub struct Sweep<'a> {
    /// Where the folders of the runs are.
    folder: &'a Path,
    /// The table of the runs.
    pub file: SweepFile,
    /// Whether every run so far can be trusted and met its objective.
    pub holds: bool,
}

impl<'a> Sweep<'a> {
    /// Without a run; `target` and `load` as typed.
    pub fn new(target: &str, load: &str, folder: &'a Path) -> Self {
        let file = SweepFile {
            schema: SWEEP.into(),
            tool: TOOL.into(),
            target: target.into(),
            load: load.into(),
            stopped: false,
            rows: Vec::new(),
        };
        Self { folder, file, holds: true }
    }

    /// Saves a run in the folder of its batch, and adds it to the table.
    pub fn add(&mut self, measured: &Measured, batch: i64) -> Result<(), StudyError> {
        let name = format!("batch-{batch}");
        let own = self.folder.join(&name);
        std::fs::create_dir(&own).map_err(|e| FileError::Io(own.display().to_string(), e))?;
        measured.save(&own)?;
        self.file.stopped |= measured.file.run.stopped;
        self.file.rows.push(SweepRow::new(&measured.file, &name));
        self.holds &= holds(&measured.file);
        Ok(())
    }
}
