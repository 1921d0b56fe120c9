//! The `rooflens` command.

use clap::Parser;
use rooflens::cli::{Cli, Exit};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            use std::io::Write;
            let message = format!("error: {error:#}");
            let _ = writeln!(std::io::stderr(), "{}", rooflens::text::lines(&message));
            Exit::Error.into()
        }
    }
}
