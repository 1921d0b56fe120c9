//! Words of the command line about several machines that send one schedule: `--stripe` and `--meet`.

use super::hinted;
use crate::probe::arrival::Stripe;
use crate::probe::meeting::Meeting;
use anyhow::Result;
use std::time::Duration;

/// Variables in which an engine numbers the tasks of a job, with that of their number where it has one, and the number
/// of the first task. The first that is set counts.
///
/// A step of `srun` comes before an array, whose every task is a job with a step of its own.
const ENGINES: [Engine; 5] = [
    // https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode
    Engine { index: "JOB_COMPLETION_INDEX", of: None, first: None },
    // https://slurm.schedmd.com/srun.html, output environment variables
    Engine { index: "SLURM_PROCID", of: Some("SLURM_STEP_NUM_TASKS"), first: None },
    // https://slurm.schedmd.com/job_array.html
    Engine {
        index: "SLURM_ARRAY_TASK_ID",
        of: Some("SLURM_ARRAY_TASK_COUNT"),
        first: Some("SLURM_ARRAY_TASK_MIN"),
    },
    // https://docs.open-mpi.org/en/main/tuning-apps/environment-var.html
    Engine { index: "OMPI_COMM_WORLD_RANK", of: Some("OMPI_COMM_WORLD_SIZE"), first: None },
    // https://www.mpich.org (Hydra), and Slurm with --mpi=pmi2
    Engine { index: "PMI_RANK", of: Some("PMI_SIZE"), first: None },
];

/// How an engine numbers tasks.
struct Engine {
    index: &'static str,
    of: Option<&'static str>,
    first: Option<&'static str>,
}

/// Reads `--stripe 2/8`, or `auto` from the variables of a job whose tasks are numbered.
pub(super) fn stripe(text: &str) -> Result<Stripe> {
    stripe_in(text, |name| std::env::var(name).ok())
}

fn stripe_in(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Stripe> {
    let usage = |what: &str| {
        hinted(
            format!("`--stripe {text}` {what}"),
            "for example --stripe 0/4 for the first of four, or --stripe auto/4 in a job that numbers its tasks",
        )
    };
    let (index, of) = text.split_once('/').map_or((text, None), |(k, n)| (k, Some(n)));
    let given = of.map(|n| n.parse::<u64>().ok().filter(|n| *n > 0));
    let given = given.map(|n| n.ok_or_else(|| usage("is not K/N"))).transpose()?;
    let (index, of) = if index == "auto" {
        let (index, counted) = numbered(variable).ok_or_else(|| {
            let all: Vec<&str> = ENGINES.iter().map(|e| e.index).collect();
            usage(&format!("finds none of {}", all.join(", ")))
        })?;
        (index, given.or(counted))
    } else {
        (index.parse().map_err(|_| usage("is not K/N"))?, given)
    };
    let of = of.ok_or_else(|| usage("does not say of how many: the job does not either"))?;
    if index >= of {
        return Err(usage(&format!("gives number {index} of {of}: they count from zero")));
    }
    Ok(Stripe { index, of })
}

/// The number of this task, from zero, and how many there are where the engine says so.
fn numbered(variable: impl Fn(&str) -> Option<String>) -> Option<(u64, Option<u64>)> {
    let number = |name: &str| variable(name)?.trim().parse::<u64>().ok();
    ENGINES.iter().find_map(|engine| {
        let index = number(engine.index)?;
        let of = engine.of.and_then(number);
        // Slurm numbers also what is not a step of several tasks: the script of a job, and a task of an array.
        if engine.index == "SLURM_PROCID" && of.is_none_or(|n| n < 2) {
            return None;
        }
        let first = engine.first.and_then(number).unwrap_or(0);
        Some((index.checked_sub(first)?, of))
    })
}

/// Reads `--meet HOST:PORT`.
pub(super) fn meeting(text: &str, patience: Duration) -> Result<Meeting> {
    let usage = || {
        hinted(
            format!("`--meet {text}` is not HOST:PORT"),
            "the host of stripe 0, and a free port of it: --meet node1:7077",
        )
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(usage)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(usage)?;
    if host.is_empty() || host.contains('/') {
        return Err(usage());
    }
    Ok(Meeting { host: host.into(), port, patience })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(text: &str, set: &[(&str, &str)]) -> Result<(u64, u64), String> {
        let variable =
            |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        stripe_in(text, variable).map(|s| (s.index, s.of)).map_err(|e| e.to_string())
    }

    #[test]
    fn engines_number_their_tasks() {
        assert_eq!(auto("auto/4", &[("JOB_COMPLETION_INDEX", "3")]), Ok((3, 4)));
        let step = [("SLURM_PROCID", "2"), ("SLURM_STEP_NUM_TASKS", "4")];
        assert_eq!(auto("auto", &step), Ok((2, 4)));
        assert_eq!(auto("auto/8", &step), Ok((2, 8)));
        // A task of an array is a job of one task, the number of which is zero.
        let array = [
            ("SLURM_PROCID", "0"),
            ("SLURM_STEP_NUM_TASKS", "1"),
            ("SLURM_ARRAY_TASK_ID", "6"),
            ("SLURM_ARRAY_TASK_MIN", "5"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        assert_eq!(auto("auto", &array), Ok((1, 4)));
        let script = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")];
        assert!(auto("auto/4", &script).unwrap_err().contains("finds none of"));
        assert_eq!(auto("auto", &[("PMI_RANK", "1"), ("PMI_SIZE", "2")]), Ok((1, 2)));
        assert!(auto("auto", &[("JOB_COMPLETION_INDEX", "0")]).unwrap_err().contains("how many"));
        assert!(auto("auto/2", &[("PMI_RANK", "2")]).unwrap_err().contains("number 2 of 2"));
        assert_eq!(auto("1/2", &[]), Ok((1, 2)));
        for wrong in ["1", "x/2", "1/0", "2/2", "auto/x"] {
            assert!(auto(wrong, &[("PMI_RANK", "0")]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_meeting_has_a_host_and_a_port() {
        let at = |text| meeting(text, Duration::ZERO).map(|m| (m.host, m.port)).ok();
        assert_eq!(at("node1:7077"), Some(("node1".into(), 7077)));
        assert_eq!(at("[fd00::1]:80"), Some(("fd00::1".into(), 80)));
        for wrong in ["node1", ":7", "node1:0", "node1:99999", "http://node1:80"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }
}
