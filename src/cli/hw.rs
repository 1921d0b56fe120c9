//! `rooflens hw`: devices and their ceilings.

mod check;
mod compare;
mod detect;
mod list;
mod measure;
mod show;

use super::{Exit, Form, emit, hinted};
use crate::hwdb::{Catalogue, CeilingError, Choice, Device, HwdbError};
use crate::roofline::Hierarchy;
use anyhow::Result;
use clap::Subcommand;
use std::path::Path;

/// Devices and this machine: list, show, compare, detect, measure, check.
///
/// Your own device files are read from `rooflens/hwdb` in the configuration folder
/// (`$XDG_CONFIG_HOME`, or `~/.config`) and from `--hwdb`; they override the built-in ones.
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

/// The shipped devices, the user's own, and those of `folder`; later ones win.
pub(super) fn catalogue(folder: Option<&Path>) -> Result<Catalogue> {
    Catalogue::standard(folder).map_err(|e| hinted(e.to_string(), e.hint()))
}

/// The device called `name`.
pub(super) fn find<'c>(catalogue: &'c Catalogue, name: &str) -> Result<&'c Device> {
    let host = [crate::host::HOST, crate::host::HOST_ONE_THREAD].contains(&name);
    catalogue.find(name).map_err(|error| match &error {
        HwdbError::NotFound { .. } if host => {
            hinted("this machine has not been measured", "`rooflens hw measure --save` measures it")
        }
        _ => hinted(error.to_string(), error.hint()),
    })
}

/// The devices of these names, from the shipped ones, the user's own, and those of `folder`.
pub(super) fn devices(names: &[String], folder: Option<&Path>) -> Result<Vec<Device>> {
    let catalogue = catalogue(folder)?;
    names.iter().map(|name| find(&catalogue, name).cloned()).collect()
}

/// The ceilings of a device for a data type; an error where it has none, rather than those of another type.
pub(super) fn hierarchy(device: &Device, choice: Choice<'_>) -> Result<Hierarchy> {
    Hierarchy::of(device, choice).map_err(|e| no_roof(&e))
}

/// The error of a device that has no such roof.
pub(super) fn no_roof(error: &CeilingError) -> anyhow::Error {
    let choose = match error {
        CeilingError::Dtype { known, .. } => counted_as(known),
        CeilingError::Accumulate { .. } => "; --accumulate chooses one of them".into(),
        CeilingError::Unit { .. } => "; --unit chooses one of them, `all` all engines".into(),
        CeilingError::Bandwidth { .. } => String::new(),
    };
    hinted(error.to_string(), error.hint() + &choose)
}

/// Which flags count a model in one of these types, those it is cast to most often first.
fn counted_as(known: &[String]) -> String {
    const USUAL: [&str; 4] = ["f16", "bf16", "f32", "i8"];
    let cast = |t: &&String| t.parse::<crate::analysis::Precision>().is_ok();
    let mut types: Vec<&String> = known.iter().filter(cast).collect();
    types.sort_by_key(|t| USUAL.iter().position(|usual| usual == t).unwrap_or(USUAL.len()));
    let flags: Vec<String> = types.iter().map(|t| format!("--dtype {t}")).collect();
    let flags = flags.join(" or ");
    if flags.is_empty() { flags } else { format!("; {flags} counts the model as if cast to it") }
}
