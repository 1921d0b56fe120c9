//! `rooflens hw measure`.

#[cfg_attr(not(feature = "load"), path = "measure/calibration/absent.rs")]
mod calibration;
mod gpu;

use super::{Exit, Form, catalogue, emit, hinted, print_json};
use crate::host::{HOST, HOST_ONE_THREAD, Survey, SurveyPlan, survey};
use crate::hwdb::{Calibration, Catalogue, Device};
use crate::units::si;
use anyhow::Result;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A runtime that can be calibrated.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum RuntimeName {
    /// tract, which is part of the binary.
    Tract,
    /// onnxruntime, from a library that is on the machine.
    Ort,
}

/// Measure the ceilings of this machine, in about half a minute.
///
/// Arithmetic in registers for each data type, a real matrix product, and the bandwidth of every
/// cache and of main memory; on one thread and on all. NVIDIA GPUs, where a driver is found: products
/// of cuBLAS for each data type, copies, launches. Nothing else should run meanwhile.
///
/// Examples:
///   rooflens hw measure --save          then: rooflens analyze MODEL --on host
///   rooflens hw measure -o hw/box.toml  then: rooflens analyze MODEL --on box --hwdb hw
///   rooflens hw measure --calibrate --runtime tract --runtime ort --save
///
/// With --calibrate, micro-benchmarks that are made on the spot also say how near a runtime comes to
/// the ceilings on one thread, by kind and shape of kernel; `analyze --on` then estimates times.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Write the device file here, its name as the device's id, and one beside it for each GPU;
    /// `--hwdb` of other commands takes its folder.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep the result as the devices `host`, `host-one-thread` and, of GPUs, `host-gpu0` …, which
    /// other commands know.
    #[arg(long)]
    save: bool,
    /// Repeats of each measurement, three or more; the median counts.
    #[arg(long, value_name = "N", default_value_t = 9)]
    repeats: usize,
    /// Also calibrate a runtime for estimates of models' times: one or two minutes each.
    #[arg(long)]
    calibrate: bool,
    /// The runtime that is calibrated: tract, or ort for an installed onnxruntime. Repeatable.
    #[arg(long, value_name = "RUNTIME", default_value = "tract")]
    runtime: Vec<RuntimeName>,
    /// onnxruntime's library; looked for as `rooflens probe ort:` does when omitted.
    #[arg(long, value_name = "FILE")]
    ort_library: Option<PathBuf>,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
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
        let plan = SurveyPlan { repeats: self.repeats, ..SurveyPlan::default() };
        let bar = crate::cli::progress_bar("measuring this machine");
        let survey = survey(&plan, &mut |x| bar.set_position(crate::cli::permille(x)));
        bar.set_message("measuring GPUs");
        let gpus = gpu::measure(&plan, &mut |x| bar.set_position(crate::cli::permille(x)));
        bar.finish_and_clear();

        let one = survey.device_of_one_thread();
        let calibrations = if self.calibrate {
            calibration::calibrations(&self.runtime, self.ort_library.as_deref(), &one)?
        } else {
            Vec::new()
        };

        let mut written = Vec::new();
        let mut write = |device: &Device, path: PathBuf| {
            emit(&toml::to_string_pretty(device)?, Some(&path))?;
            written.push(path);
            Ok::<_, anyhow::Error>(())
        };
        if let Some((path, id)) = output {
            // An id of one's own takes no alias away from `host`.
            let aliases = if id == HOST { survey.device().aliases } else { Vec::new() };
            for device in gpus.devices(&id, &catalogue(None)?) {
                write(&device, path.with_file_name(format!("{}.toml", device.id)))?;
            }
            let calibrations = calibrations.clone();
            write(&Device { id, aliases, calibrations, ..survey.device() }, path.to_owned())?;
        }
        if let Some(folder) = folder {
            let all = Device { calibrations: calibrations.clone(), ..survey.device() };
            write(&all, folder.join(format!("{HOST}.toml")))?;
            let one = Device { calibrations: calibrations.clone(), ..one };
            write(&one, folder.join(format!("{HOST_ONE_THREAD}.toml")))?;
            for device in gpus.devices(HOST, &catalogue(None)?) {
                write(&device, folder.join(format!("{}.toml", device.id)))?;
            }
        }
        if self.format == Form::Json {
            print_json(&Measured { survey: &survey, gpus: &gpus, calibrations: &calibrations })?;
        } else {
            emit(&(table(&survey, &gpus, &written) + &calibrated(&calibrations)), None)?;
        }
        Ok(Exit::Good)
    }
}

/// What is printed as JSON.
#[derive(serde::Serialize)]
struct Measured<'a> {
    #[serde(flatten)]
    survey: &'a Survey,
    #[serde(flatten)]
    gpus: &'a gpu::Gpus,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    calibrations: &'a [Calibration],
}

/// The id a file's name gives; an error where the file could not be written.
fn id_of(path: &Path) -> Result<String> {
    let advice = "for example -o hw/box.toml";
    if path.extension().is_none_or(|e| e != "toml") {
        return Err(hinted(format!("`{}` does not end in .toml", path.display()), advice));
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(folder) = parent.filter(|p| !p.is_dir()) {
        return Err(hinted(format!("there is no folder `{}`", folder.display()), "make it first"));
    }
    let stem = path.file_stem().map(|s| s.to_string_lossy().to_lowercase());
    stem.ok_or_else(|| hinted(format!("`{}` has no name", path.display()), advice))
}

/// The user's own folder of device files, made where missing.
fn made_folder() -> Result<PathBuf> {
    let none = || hinted("no configuration folder is known", "write a file with -o instead");
    let folder = Catalogue::own_folder().ok_or_else(none)?;
    std::fs::create_dir_all(&folder).map_err(|e| {
        let message = format!("cannot make the folder `{}`: {e}", folder.display());
        hinted(message, "write a file with -o instead")
    })?;
    Ok(folder)
}

fn calibrated(calibrations: &[Calibration]) -> String {
    let mut text = String::new();
    for c in calibrations {
        let _ = writeln!(
            text,
            "calibrated: {}, {} micro-benchmarks, median held-out error {:.1} %; {} a run, {} a kernel",
            c.version,
            c.benchmarks,
            100.0 * c.held_out_error,
            si(c.per_run_us * 1e-6, "s"),
            si(c.per_kernel_us * 1e-6, "s"),
        );
        if c.disturbed > 0 {
            let _ = writeln!(
                text,
                "warning: {} micro-benchmarks ran while the machine was slower than its ceiling",
                c.disturbed
            );
        }
        for left_out in &c.left_out {
            let _ = writeln!(text, "omitted: {left_out}");
        }
    }
    text
}

fn table(s: &Survey, gpus: &gpu::Gpus, written: &[PathBuf]) -> String {
    let mut text = format!("{}, {} threads\n", s.cpu.name, s.cpu.threads);
    let _ = writeln!(text, "{:<24} {:>14} {:>6}  {:>14} {:>6}", "", "one thread", "±", "all", "±");
    let mut names: Vec<String> = Vec::new();
    for r in &s.readings {
        let name = r.subject.name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let of = |threads: usize| {
            let mut same = s.readings.iter().filter(|r| r.subject.name() == name);
            let found = same.find(|r| r.threads == threads);
            found.map_or((String::new(), String::new()), |r| {
                let half = 50.0 * r.per_second.spread();
                (si(r.per_second.median, r.subject.unit()), format!("{half:.1}%"))
            })
        };
        let ((one, spread_one), (all, spread_all)) = (of(1), of(s.cpu.threads));
        let _ = writeln!(text, "{name:<24} {one:>14} {spread_one:>6}  {all:>14} {spread_all:>6}");
    }
    let [before, after] = s.clock_hz.map(|c| c * 1e-9);
    let _ = writeln!(text, "clock: {before:.2} GHz before, {after:.2} GHz after");
    for absent in &s.absent {
        let _ = writeln!(text, "not measured: {absent}");
    }
    for doubt in &s.doubts {
        let _ = writeln!(text, "warning: {doubt}");
    }
    text.push_str(&gpus.table());
    for path in written {
        let _ = writeln!(text, "written: {}", path.display());
    }
    text
}
