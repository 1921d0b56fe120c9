//! Several clients that send one schedule: they wait for each other, and what they measured is merged run by run.

use crate::probe::read;
use crate::run::{rooflens, rooflens_with, steadily};
use crate::server::{Manner, Server};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

const LOAD: [&str; 4] = ["--load", "poisson:300", "--seconds", "2"];

/// Three stripes of a load of this seed that begin to look for each other at different times; each writes to
/// `part-K` of a folder, or where that is there already, to `part-K-2`.
fn run_three(url: &str, folder: &Path, seed: &str) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let meet = format!("127.0.0.1:{port}");
    std::thread::scope(|scope| {
        for (rank, wait) in [("0", 300), ("1", 0), ("2", 900)] {
            let (meet, out) = (&meet, folder.join(format!("part-{rank}")));
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(wait));
                let own = ["probe", url, "--no-meters", "--seed", seed, "--stripe", "auto"];
                let other = ["--meet", meet, "--meet-patience", "60", "-o", out.to_str().unwrap()];
                // As an engine numbers the tasks of a job.
                let engine = [("PMI_RANK", Path::new(rank)), ("PMI_SIZE", Path::new("3"))];
                let run = rooflens_with(&engine, &[&own, &other[..], &LOAD].concat());
                assert!(run.code < 2, "{}{}", run.stdout, run.stderr);
            });
        }
    });
}

fn fingerprint(seed: &str) -> String {
    let dry = ["probe", "http://127.0.0.1:1/", "--dry-run", "--seed", seed];
    let text = rooflens(&[&dry[..], &LOAD].concat()).stdout;
    text.split_once("fingerprint ").unwrap().1.trim().to_owned()
}

#[test]
fn stripes_meet_and_the_newest_run_that_is_whole_is_merged() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::from_micros(100)));
        let folder = tempfile::tempdir().unwrap();
        let (path, whole) = (folder.path(), folder.path().join("whole"));
        let merge = || {
            let _ = std::fs::remove_dir_all(&whole);
            let args = ["merge", path.to_str().unwrap(), "-o", whole.to_str().unwrap()];
            let run = rooflens(&args);
            assert!(run.code < 2, "{}{}", run.stdout, run.stderr);
            (read(&whole), run.stdout)
        };
        run_three(&server.url(), path, "5");
        let (merged, text) = merge();
        assert_eq!(merged["run"]["schedule_fingerprint"], fingerprint("5"));
        assert!(merged["run"]["start_spread_seconds"].as_f64().unwrap() < 0.2, "{text}");
        assert!(!text.contains("ignored"), "{text}");

        // Run again, beside what the first run and its merging left.
        run_three(&server.url(), path, "6");
        let (merged, text) = merge();
        assert_eq!(merged["run"]["schedule_fingerprint"], fingerprint("6"));
        assert!(text.contains("3 parts of 1 other run were ignored"), "{text}");
        // Merged where the folder holds a merged measurement already.
        let twice = rooflens(&["merge", path.to_str().unwrap(), "-o", whole.to_str().unwrap()]);
        assert!(twice.code < 2, "{}", twice.stderr);

        // A run that lacks a part is not the one.
        std::fs::remove_dir_all(path.join("part-1-2")).unwrap();
        std::fs::remove_dir_all(path.join("whole-2")).unwrap();
        let (merged, text) = merge();
        assert_eq!(merged["run"]["schedule_fingerprint"], fingerprint("5"));
        assert!(text.contains("2 parts of 1 other run were ignored"), "{text}");
        // Nor is any, where each lacks one.
        std::fs::remove_dir_all(path.join("part-2")).unwrap();
        let none = rooflens(&["merge", path.to_str().unwrap(), "-o", "unused"]);
        assert!(none.code == 2 && none.stderr.contains("parts of 2 runs"), "{}", none.stderr);
    });
}

#[test]
fn flags_of_meetings_that_cannot_be_meant() {
    let url = "http://127.0.0.1:1/";
    for (flags, word) in [
        (&["--meet", "node1:7077"][..], "--stripe"),
        (&["--stripe", "0/2", "--meet", "node1"], "is not HOST:PORT"),
        (&["--stripe", "0/2", "--meet", "node1:0"], "--meet node1:7077"),
        (&["--stripe", "auto/2"], "JOB_COMPLETION_INDEX, SLURM_PROCID"),
        (&["--stripe", "0/2", "--meet-patience", "5"], "--meet"),
        (&["--stripe", "0/2", "--meet", "a:1", "--start-at", "1"], "cannot be used with"),
    ] {
        let run = rooflens(&[&["probe", url], flags].concat());
        assert!(run.code == 2 && run.stderr.contains(word), "{flags:?}: {}", run.stderr);
    }
}
