//! The files that charts are written to.

use super::{emit, hinted};
use crate::chart::{Chart, ChartError, render_svg};
use anyhow::Result;
use std::path::Path;

/// What the end of a file's name says of its form.
fn ends_in(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending))
}

/// Whether a name stands for standard output.
pub(super) fn to_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Says which file was written.
pub(super) fn wrote(path: &Path) -> Result<()> {
    let shown = path.display().to_string();
    emit(&format!("wrote {}\n", crate::text::shown(&shown)), None)
}

/// Refuses a file of a form that no chart is written in; `-` is standard output.
pub(super) fn writable(path: &Path) -> Result<()> {
    if to_stdout(path) || ends_in(path, "svg") || ends_in(path, "png") {
        return Ok(());
    }
    let message = format!("`{}` is neither an .svg nor a .png", path.display());
    Err(hinted(
        message,
        "charts are written as .svg or .png, and as SVG to standard output with -o -",
    ))
}

/// A chart as SVG.
pub(super) fn svg(chart: &Chart) -> Result<String> {
    Ok(render_svg(chart)?)
}

/// Writes a chart: a picture where the name ends in `.png`, an SVG else.
pub(super) fn write(chart: &Chart, path: &Path) -> Result<()> {
    let svg = svg(chart)?;
    write_svg(&|_| svg.clone(), path)
}

/// The same of an SVG, which is asked for with whether it stays one.
pub(super) fn write_svg(svg: &dyn Fn(bool) -> String, path: &Path) -> Result<()> {
    if ends_in(path, "png") {
        return picture(&svg(false), path);
    }
    emit(&svg(true), Some(path))
}

pub(super) fn picture(svg: &str, path: &Path) -> Result<()> {
    let png = match crate::chart::render_png(svg) {
        Err(e @ ChartError::NoPictures) => {
            let message = format!("`{}`: {e}", path.display());
            return Err(hinted(message, "name a .svg, or build with the feature `png`"));
        }
        png => png?,
    };
    let advice = "check the folder";
    std::fs::write(path, png)
        .map_err(|e| hinted(format!("cannot write `{}`: {e}", path.display()), advice))
}
