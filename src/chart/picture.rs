//! A PNG of the chart.

use super::ChartError;
use resvg::{tiny_skia, usvg};

/// Whether this build makes pictures.
pub const MAKES_PNG: bool = true;

/// Makes a PNG of the SVG, twice as fine as its pixels, with the fonts of this machine or, where
/// it has none, one that travels in the program.
pub fn render_png(svg: &str) -> Result<Vec<u8>, ChartError> {
    let fail = |e: &dyn std::fmt::Display| ChartError::Picture(e.to_string());
    let mut options = usvg::Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_system_fonts();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    fonts.set_sans_serif_family("Ubuntu");
    let tree = usvg::Tree::from_str(svg, &options).map_err(|e| fail(&e))?;
    let size = tree.size().to_int_size().scale_by(2.0).unwrap_or(tree.size().to_int_size());
    let mut picture = tiny_skia::Pixmap::new(size.width(), size.height())
        .ok_or_else(|| ChartError::Picture("the size is zero".into()))?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(2.0, 2.0), &mut picture.as_mut());
    picture.encode_png().map_err(|e| fail(&e))
}
