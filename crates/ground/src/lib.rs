//! What both halves of rooflens stand on: quantities and names as they are shown, and this machine as its
//! kernel and drivers show it. Knows neither models nor servers.

pub mod os;
pub mod text;
pub mod units;
mod words;
