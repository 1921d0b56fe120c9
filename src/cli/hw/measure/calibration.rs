//! Calibrating runtimes under the ceilings that were just measured.

use super::super::hinted;
use crate::calibrate::{CalibrationPlan, MOST_ROUNDS, calibrate};
use crate::cli::runtimes::RuntimeName;
use crate::hwdb::{Calibration, Device};
use crate::probe::ProbeError;
use crate::runtime::RuntimeOptions;
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

/// Time of each timing of a micro-benchmark.
const SLICE: Duration = Duration::from_millis(25);

/// Runs a little in each runtime that is to be calibrated.
pub(super) fn ready(runtimes: &[RuntimeName], library: Option<&Path>) -> Result<()> {
    let tried = |name: &RuntimeName| crate::calibrate::ready(&options(*name, library));
    runtimes.iter().try_for_each(tried).map_err(|e| refused(&e))
}

/// The calibrations of the runtimes, on the device of one thread.
pub(super) fn calibrations(
    runtimes: &[RuntimeName],
    library: Option<&Path>,
    one: &Device,
) -> Result<Vec<Calibration>> {
    let peak = one.peak("f32").map(|p| p.dense_tflops);
    let bandwidth = one.dram().and_then(|m| m.bandwidth_gb_s);
    let (Some(peak_tflops), Some(bandwidth_gb_s)) = (peak, bandwidth) else {
        return Err(hinted("the ceilings of one thread could not be measured", "run it again"));
    };
    let cache_bytes = one.cache_bytes();
    let calibrated = |name: &RuntimeName| {
        let options = options(*name, library);
        let plan = CalibrationPlan {
            options,
            slice: SLICE,
            rounds: MOST_ROUNDS,
            peak_tflops,
            bandwidth_gb_s,
            cache_bytes,
        };
        let bar = crate::cli::progress_bar("calibrating");
        let done = calibrate(&plan, &mut |x| bar.set_position(crate::cli::permille(x)));
        bar.finish_and_clear();
        done.map_err(|e| refused(&e))
    };
    runtimes.iter().map(calibrated).collect()
}

fn options(name: RuntimeName, library: Option<&Path>) -> RuntimeOptions {
    RuntimeOptions { library: library.map(Path::to_owned), ..RuntimeOptions::new(name.into()) }
}

fn refused(error: &ProbeError) -> anyhow::Error {
    hinted(error.to_string(), error.hint().unwrap_or("omit --calibrate"))
}
