//! This machine as its kernel and drivers show it: `/proc`, `/sys` and NVML, each read in one place.
//!
//! Readers take the folder they read, so that tests replace it. What is not shown is `None`, never
//! zero. Knows neither models nor servers.

pub mod amd;
pub mod battery;
pub mod cgroup;
pub mod heat;
pub mod hwmon;
pub mod machine;
pub mod nvml;
pub mod page_cache;
pub mod power;
pub mod proc;
pub mod processes;
pub mod rapl;
pub mod sys;
pub mod tree;
