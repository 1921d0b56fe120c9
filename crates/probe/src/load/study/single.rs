//! One target, measured as `probe` measures it: its load or the search for its highest rate, with meters, and with
//! what its model costs.

use super::{Meters, Observer, Run, Search, StudyError, Switch, highest};
use crate::drive::Plan;
use crate::measurement::{Aims, Measured};
use crate::meeting::{Agreed, Meeting};
use crate::schema::{ModelPart, StartUpPart};
use crate::target::Prepared;
use std::path::PathBuf;
use std::time::Duration;

/// What a measurement is of.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// The load of the plan.
    Load,
    /// The highest rate that meets the objective; each attempt takes the duration of the plan or longer.
    Highest(Search),
}

/// A measurement, planned.
pub struct Single<'a> {
    /// The target.
    pub prepared: Prepared,
    /// What is sent; but for the load where the highest rate is searched.
    pub plan: &'a Plan,
    /// What is looked for.
    pub goal: Goal,
    /// What the run is judged by.
    pub aims: &'a Aims,
    /// End the run once its headline percentile is known to ± this share.
    pub until: Option<f64>,
    /// What is read beside the load; nothing where omitted.
    pub meters: Option<Meters>,
    /// How long the power without load is measured before.
    pub rest: Duration,
    /// Time of the first request, before the load.
    pub first_answer: Option<Duration>,
    /// What a request costs by its model's file; the achieved FLOP/s are filled in.
    pub model: Option<ModelPart>,
    /// What the verdict says beside its reasons.
    pub notes: Vec<String>,
    /// How the server started, where it was started.
    pub start_up: Option<StartUpPart>,
    /// The folder for what was measured so far, written while a run goes on; it is not written where omitted.
    pub interim: Option<PathBuf>,
    /// Where this stripe meets the others before it begins; it does not wait for them where omitted.
    pub meeting: Option<Meeting>,
}

impl Single<'_> {
    /// Measures the power without load, and then what is looked for.
    pub fn measure(
        &mut self,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<Measured, StudyError> {
        if let Some(meters) = &mut self.meters {
            meters.rest(self.rest, stop, observer)?;
        }
        let agreed = self.agreed(stop, observer)?;
        let plan = agreed.as_ref().unwrap_or(self.plan);
        let run = Run {
            prepared: &self.prepared,
            aims: self.aims.clone(),
            until: self.until,
            meters: self.meters.as_ref(),
            first_answer: self.first_answer,
            interim: self.interim.as_deref(),
        };
        let mut measured = match self.goal {
            Goal::Load => run.measure(plan, &plan.load.to_string(), stop, observer),
            Goal::Highest(wanted) => highest(wanted, &run, plan, stop, observer),
        }?;
        let file = &mut measured.file;
        file.model.clone_from(&self.model);
        if let Some(model) = &mut file.model {
            model.achieved_flops = file.window.goodput_per_second * model.flops_per_request;
        }
        file.verdict.notes.extend(self.notes.iter().cloned());
        file.start_up.clone_from(&self.start_up);
        Ok(measured)
    }

    /// The plan with the start that all stripes agreed on; `None` where they do not meet.
    fn agreed(
        &self,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<Option<Plan>, StudyError> {
        let Some(meeting) = &self.meeting else { return Ok(None) };
        let Plan { load, seed, duration, requests, stripe, .. } = self.plan;
        let shared = format!("{load} {seed} {duration:?} {requests:?} {}", stripe.of);
        observer.begin("waiting for the other stripes");
        let mut seen = |there: u64| observer.progress(there as f64 / stripe.of as f64);
        let agreed = meeting.attend(*stripe, &shared, stop, &mut seen);
        observer.end();
        let Agreed { start, name } = agreed?;
        Ok(Some(Plan { start_at: Some(start), met: Some(name), ..self.plan.clone() }))
    }
}
