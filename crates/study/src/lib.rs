//! What charts, pages, comparisons and recommendations read: models, devices, runs and cases in one file.

pub mod study;
