//! `rooflens hw measure`.

#[cfg_attr(not(feature = "load"), path = "measure/calibration/absent.rs")]
mod calibration;
mod gpu;
mod quiet;

use super::{Exit, Form, catalogue, emit, hinted};
use crate::cli::runtimes::RuntimeName;
use crate::host::{HOST, HOST_ONE_THREAD, SurveyPlan, survey};
use crate::hwdb::{Catalogue, Device};
use crate::os::machine::Machine;
use crate::results::{GpuSurveys, SurveyResult};
use crate::schema::HostPart;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Measure the ceilings of this machine, in about half a minute.
///
/// It measures arithmetic in registers for each data type, a real matrix product, and the bandwidth of
/// every cache and of main memory, on one thread and on all; of NVIDIA GPUs with a driver, cuBLAS
/// products for each data type, copies and launches.
///
/// Run nothing else meanwhile. It first waits, up to a minute, until other processes and the hypervisor
/// leave the processors alone and a core keeps its pace. Ceilings that vary by more than 10 % between
/// repetitions are printed and not saved, except with --anyway.
///
/// Examples:
///   rooflens hw measure --save          then: rooflens analyze MODEL --on host
///   rooflens hw measure -o hw/box.toml  then: rooflens analyze MODEL --on box --hwdb hw
///   rooflens hw measure --calibrate --runtime tract --runtime ort --save
///
/// With --calibrate, generated micro-benchmarks also measure how close a runtime comes to the ceilings
/// on one thread, by kind and shape of kernel; `analyze --on` then estimates times.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Device file to write; its name becomes the device's ID.
    ///
    /// A file for each GPU is written beside it. Pass its folder as --hwdb to other commands.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Save the result as the devices `host`, `host-one-thread` and, for GPUs, `host-gpu0`, … for other commands.
    #[arg(long)]
    save: bool,
    /// Measure at once, however busy the machine is, and save ceilings that vary.
    #[arg(long)]
    anyway: bool,
    /// Repetitions of each measurement, of which the median counts; three or more.
    #[arg(long, value_name = "N", default_value_t = 9)]
    repeats: usize,
    /// Also calibrate runtimes, to estimate models' times: one to four minutes each.
    #[arg(long)]
    calibrate: bool,
    /// Runtime to calibrate. Repeatable.
    #[arg(long, value_name = "RUNTIME", default_value = "tract")]
    runtime: Vec<RuntimeName>,
    /// Path of onnxruntime's library [default: searched for, as by `rooflens probe ort:`].
    #[arg(long, value_name = "FILE")]
    ort_library: Option<PathBuf>,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        if !(3..=1000).contains(&self.repeats) {
            return Err(hinted("`--repeats` must be 3 to 1000", "for example --repeats 9"));
        }
        // What cannot be written is said before the wait.
        let output = self.output.as_deref().map(|p| Ok::<_, anyhow::Error>((p, id_of(p)?)));
        let output = output.transpose()?;
        let folder = if self.save { Some(made_folder()?) } else { None };

        if self.calibrate {
            calibration::ready(&self.runtime, self.ort_library.as_deref())?;
        }
        let waited = (!self.anyway).then(quiet::wait_for_quiet);
        let plan = SurveyPlan { repeats: self.repeats, ..SurveyPlan::default() };
        let bar = crate::cli::progress_bar("measuring this machine");
        let survey = survey(&plan, &mut |x| bar.set_position(crate::cli::permille(x)));
        bar.set_message("measuring GPUs");
        let gpus = gpu::measure(&plan, &mut |x| bar.set_position(crate::cli::permille(x)));
        bar.finish_and_clear();

        let one = survey.device_of_one_thread();
        let noisy = survey.noisy();
        let (asked, kept) = (self.output.is_some() || self.save, self.anyway || noisy.is_empty());
        let not_saved = if asked && !kept { noisy.clone() } else { Vec::new() };
        // What is not saved is not worth its minutes.
        let calibrations = if self.calibrate && not_saved.is_empty() {
            calibration::calibrations(&self.runtime, self.ort_library.as_deref(), &one)?
        } else {
            Vec::new()
        };

        let machine = HostPart::from(Machine::this());
        let mut written = Vec::new();
        if kept {
            let of_this = |device: Device| Device {
                machine: Some(machine.id.clone()),
                restless: !noisy.is_empty(),
                calibrations: calibrations.clone(),
                ..device
            };
            let kept = Kept { all: of_this(survey.device()), one: of_this(one), gpus: &gpus };
            written = kept.write(output.as_ref().map(|(path, id)| (*path, id.as_str())), folder)?;
        }
        let result = SurveyResult {
            survey: &survey,
            gpus: &gpus,
            machine: &machine,
            waited: waited.as_ref(),
            not_saved: &not_saved,
            calibrations: &calibrations,
        };
        self.format.emit(&result, || crate::render::text::surveyed(&result, &written))?;
        Ok(if not_saved.is_empty() { Exit::Good } else { Exit::Failed })
    }
}

/// What is kept of a measurement.
struct Kept<'a> {
    all: Device,
    one: Device,
    gpus: &'a GpuSurveys,
}

impl Kept<'_> {
    /// Writes the device files: of an id to a path, and as the host's to a folder. What was written.
    fn write(
        &self,
        output: Option<(&Path, &str)>,
        folder: Option<PathBuf>,
    ) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        let mut write = |device: &Device, path: PathBuf| {
            emit(&toml::to_string_pretty(device)?, Some(&path))?;
            written.push(path);
            Ok::<_, anyhow::Error>(())
        };
        if let Some((path, id)) = output {
            // An id of one's own takes no alias away from `host`.
            let aliases = if id == HOST { self.all.aliases.clone() } else { Vec::new() };
            for device in gpu::devices(self.gpus, id, &catalogue(None)?) {
                write(&device, path.with_file_name(format!("{}.toml", device.id)))?;
            }
            write(&Device { id: id.to_owned(), aliases, ..self.all.clone() }, path.to_owned())?;
        }
        if let Some(folder) = folder {
            write(&self.all, folder.join(format!("{HOST}.toml")))?;
            write(&self.one, folder.join(format!("{HOST_ONE_THREAD}.toml")))?;
            for device in gpu::devices(self.gpus, HOST, &catalogue(None)?) {
                write(&device, folder.join(format!("{}.toml", device.id)))?;
            }
        }
        Ok(written)
    }
}

/// The id a file's name gives; an error where the file could not be written.
fn id_of(path: &Path) -> Result<String> {
    let advice = "for example -o hw/box.toml";
    if path.extension().is_none_or(|e| e != "toml") {
        return Err(hinted(format!("`{}` does not end in .toml", path.display()), advice));
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(folder) = parent.filter(|p| !p.is_dir()) {
        return Err(hinted(format!("no such folder: `{}`", folder.display()), "create it first"));
    }
    let stem = path.file_stem().map(|s| s.to_string_lossy().to_lowercase());
    stem.ok_or_else(|| hinted(format!("`{}` has no name", path.display()), advice))
}

/// The user's own folder of device files, made where missing.
fn made_folder() -> Result<PathBuf> {
    let none = || hinted("no configuration folder was found", "write a file with -o instead");
    let folder = Catalogue::own_folder().ok_or_else(none)?;
    std::fs::create_dir_all(&folder).map_err(|e| {
        let message = format!("cannot create the folder `{}`: {e}", folder.display());
        hinted(message, "write a file with -o instead")
    })?;
    Ok(folder)
}
