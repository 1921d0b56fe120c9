//! `rooflens hw`: devices and their ceilings.

mod check;
mod compare;
mod detect;
mod list;
mod measure;
mod show;

use super::{Exit, emit, hinted};
use crate::hwdb::{Catalogue, Device, HwdbError};
use crate::roofline::Hierarchy;
use anyhow::Result;
use clap::Subcommand;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Known devices and this machine: list, show, compare, detect, measure, check.
///
/// Device files of your own are taken from `rooflens/hwdb` in the configuration folder
/// (`$XDG_CONFIG_HOME`, or `~/.config`), and from `--hwdb`; they win over the shipped ones.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: HwCommand,
}

#[derive(Debug, Subcommand)]
enum HwCommand {
    List(list::Args),
    Show(show::Args),
    Compare(compare::Args),
    Detect(detect::Args),
    Measure(measure::Args),
    Check(check::Args),
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        match self.command {
            HwCommand::List(args) => args.run(),
            HwCommand::Show(args) => args.run(),
            HwCommand::Compare(args) => args.run(),
            HwCommand::Detect(args) => args.run(),
            HwCommand::Measure(args) => args.run(),
            HwCommand::Check(args) => args.run(),
        }
    }
}

/// The user's own device files: `rooflens/hwdb` in the configuration folder.
fn own_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let config = set("XDG_CONFIG_HOME").or_else(|| {
        if cfg!(windows) { set("APPDATA") } else { set("HOME").map(|h| h.join(".config")) }
    });
    config.map(|c| c.join("rooflens").join("hwdb"))
}

/// The shipped devices, the user's own, and those of `folder`; later ones win.
pub(super) fn catalogue(folder: Option<&Path>) -> Result<Catalogue> {
    let mut catalogue = Catalogue::builtin()?;
    let own = own_folder().filter(|f| f.is_dir());
    for folder in own.as_deref().into_iter().chain(folder) {
        catalogue.load(folder).map_err(|e| {
            hinted(e.to_string(), "`rooflens hw check FILE` says what is wrong with a device file")
        })?;
    }
    Ok(catalogue)
}

/// The device called `name`.
pub(super) fn find<'c>(catalogue: &'c Catalogue, name: &str) -> Result<&'c Device> {
    let host = [crate::host::HOST, crate::host::HOST_ONE_THREAD].contains(&name);
    catalogue.find(name).map_err(|error| match &error {
        HwdbError::NotFound { .. } if host => {
            hinted("this machine has not been measured", "`rooflens hw measure --save` measures it")
        }
        HwdbError::NotFound { nearest, .. } if !nearest.is_empty() => {
            hinted(error.to_string(), format!("did you mean `{}`?", nearest.join("`, `")))
        }
        _ => hinted(error.to_string(), "`rooflens hw list` shows all"),
    })
}

/// The ceilings of a device for `dtype`; an error where it has none, rather than those of another type.
pub(super) fn hierarchy(device: &Device, dtype: &str) -> Result<Hierarchy> {
    Hierarchy::of(device, dtype).ok_or_else(|| no_roof(device, dtype))
}

/// The error of a device that has no roof for `dtype`.
pub(super) fn no_roof(device: &Device, dtype: &str) -> anyhow::Error {
    if device.peak(dtype).is_some() {
        let message = format!("the bandwidth of {}'s memory is not known", device.name);
        return hinted(message, "a device file of your own with --hwdb can give it");
    }
    let types: BTreeSet<&str> = device.peaks.iter().map(|p| p.dtype.as_str()).collect();
    let types = types.into_iter().collect::<Vec<_>>().join(", ");
    let message = format!("{} has no known {dtype} roof", device.name);
    hinted(message, format!("its types are: {types}; --dtype counts in one of them"))
}

/// Prints data as JSON.
fn print_json<T: serde::Serialize + ?Sized>(data: &T) -> Result<()> {
    emit(&(serde_json::to_string_pretty(data)? + "\n"), None)
}

/// Main memory's bandwidth in words.
fn bandwidth(device: &Device) -> String {
    let rate = device.dram().and_then(crate::hwdb::MemoryLevel::rate);
    rate.map_or("–".to_owned(), |b| b.to_string())
}
