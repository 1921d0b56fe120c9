//! Where a request's time goes, stage by stage, and which stage holds the rate back.
//!
//! The utilisation law: a stage that X requests a second keep for D seconds each is busy U = X·D/m
//! of the time, with m servers. The stage with the largest U is the first to be full, and the rate
//! cannot pass m/D. Works on what the platform told; what it did not tell is named as untold, and
//! nothing is claimed of it.

use super::measurement::{BottleneckPart, File, MeterPart, PipePart, PipelinePart, StagePart};
use crate::units::si;

/// From here on a stage counts as full.
const FULL: f64 = 0.7;
/// A part of at least this share of the response time outweighs the others.
const MOST: f64 = 0.5;

/// What a stage does; in the order in which a request passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Encode,
    Client,
    Transmission,
    Queue,
    Pre,
    Compute,
    Post,
    Other,
    Decode,
}

const ROLES: [(Role, &str); 9] = [
    (Role::Encode, "client encode"),
    (Role::Client, "client"),
    (Role::Transmission, "transmission"),
    (Role::Queue, "queue"),
    (Role::Pre, "pre-processing"),
    (Role::Compute, "compute"),
    (Role::Post, "post-processing"),
    (Role::Other, "other"),
    (Role::Decode, "client decode"),
];

impl Role {
    fn name(self) -> &'static str {
        ROLES.iter().find(|r| r.0 == self).map_or("other", |r| r.1)
    }

    /// Of a stage as servers name it; `None` for the whole.
    fn of(stage: &str) -> Option<Self> {
        let text = stage.to_ascii_lowercase().replace(['-', '_', ' ', '.'], "");
        let begins = |list: &[&str]| list.iter().any(|w| text.starts_with(w));
        if ["total", "app", "request", "all", "server"].contains(&text.as_str()) {
            None
        } else if begins(&["queue", "wait", "batching"]) {
            Some(Self::Queue)
        } else if begins(&["predict", "prefill"]) {
            Some(Self::Compute)
        } else if begins(&["pre", "computeinput", "decode", "resize", "tokeni", "copyin", "parse"])
        {
            Some(Self::Pre)
        } else if begins(&["post", "computeoutput", "encode", "copyout", "nms", "detokeni"]) {
            Some(Self::Post)
        } else if begins(&["comp", "inf", "model", "forward", "exec", "run"]) {
            Some(Self::Compute)
        } else {
            Some(Self::Other)
        }
    }
}

/// A stage that the server told.
struct Told<'a> {
    role: Role,
    stage: &'a StagePart,
    servers: u64,
    known: bool,
    utilisation: f64,
}

/// The pipeline of a measurement, whose own pipeline is not looked at.
pub fn pipeline(file: &File) -> PipelinePart {
    // One source is believed: sums over several would count twice.
    let source = file.stages.iter().find(|s| Role::of(&s.name).is_some()).map(|s| &s.source);
    let own = || file.stages.iter().filter(|s| source.is_none_or(|o| *o == s.source));
    let stages: Vec<Told<'_>> = own().filter_map(told).collect();
    let total = own().find(|s| Role::of(&s.name).is_none()).map(|s| s.mean_seconds);
    let sum: f64 = stages.iter().map(|t| t.stage.mean_seconds).sum();
    let inside = total.or((!stages.is_empty()).then_some(sum));
    let outside = inside
        .filter(|_| !file.target.in_process && file.service.mean_seconds > 0.0)
        .map(|inside| (file.service.mean_seconds - inside).max(0.0));
    let parts = parts(file, &stages, outside, total.is_some());
    let mut notes = Vec::new();
    if inside.is_some_and(|i| i > 1.05 * file.service.mean_seconds) && !file.target.in_process {
        notes.push("the server tells more time than requests took: its stages overlap, or its clock counts the requests of others".into());
    }
    let bottleneck = bottleneck(file, &stages, outside, &mut notes);
    let longest = parts
        .iter()
        .filter(|p| p.share_of_response.is_some())
        .max_by(|a, b| a.seconds.unwrap_or(0.0).total_cmp(&b.seconds.unwrap_or(0.0)))
        .map(|p| p.role.clone());
    PipelinePart { parts, bottleneck, longest, notes }
}

fn told(stage: &StagePart) -> Option<Told<'_>> {
    let role = Role::of(&stage.name)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // A stage that is busy for 2.4 seconds a second has three servers at least.
    let least = (stage.busy_share.ceil() as u64).max(1);
    let servers = stage.servers.unwrap_or(least).max(1);
    let utilisation = stage.busy_share / servers as f64;
    Some(Told { role, stage, servers, known: stage.servers.is_some(), utilisation })
}

/// A row a stage, in order, and one for each that is not told.
fn parts(file: &File, stages: &[Told<'_>], outside: Option<f64>, whole: bool) -> Vec<PipePart> {
    let response = file.response.mean_seconds;
    let share = |seconds: f64| (response > 0.0).then_some(seconds / response);
    let part = |role: Role, source: &str, seconds: Option<f64>, why: &str| PipePart {
        role: role.name().into(),
        stage: None,
        source: source.into(),
        seconds,
        share_of_response: seconds.and_then(share),
        utilisation: None,
        servers: None,
        servers_known: false,
        untold: seconds.is_none().then(|| why.into()),
    };
    let untold = "the platform does not tell";
    let mut all = vec![part(Role::Encode, "client", None, "encoded before the clock starts")];
    all.push(part(Role::Client, "client", Some(file.lag.mean_seconds), ""));
    if !file.target.in_process {
        let what = if whole {
            "service time less what the server told"
        } else {
            "service time less the stages that the server told: network, and what is not told"
        };
        all.push(part(Role::Transmission, what, outside, untold));
    }
    for role in [Role::Queue, Role::Pre, Role::Compute, Role::Post, Role::Other] {
        let own: Vec<&Told<'_>> = stages.iter().filter(|t| t.role == role).collect();
        if own.is_empty() && role != Role::Other {
            all.push(part(role, "", None, untold));
        }
        for t in own {
            let seconds = Some(t.stage.mean_seconds);
            let waits = role == Role::Queue;
            all.push(PipePart {
                stage: Some(t.stage.name.clone()),
                utilisation: (!waits).then_some(t.utilisation),
                servers: (!waits).then_some(t.servers),
                servers_known: t.known,
                ..part(role, &t.stage.source, seconds, "")
            });
        }
    }
    let checked = file.run.answers_checked;
    let decode = (checked > 0).then(|| file.run.check_seconds / checked as f64);
    // Behind the last byte of the answer: no part of the response time.
    let after = part(Role::Decode, "client, after the answer", decode, "no answer was decoded");
    all.push(PipePart { share_of_response: None, ..after });
    all
}

fn bottleneck(
    file: &File,
    stages: &[Told<'_>],
    outside: Option<f64>,
    notes: &mut Vec<String>,
) -> Option<BottleneckPart> {
    let limited: Vec<String> = file
        .verdict
        .findings
        .iter()
        .filter(|f| f.verdict == "CLIENT-LIMITED")
        .map(|f| f.evidence.clone())
        .collect();
    let response = file.response.mean_seconds;
    let mut busy: Vec<&Told<'_>> = stages.iter().filter(|t| t.role != Role::Queue).collect();
    busy.sort_by(|a, b| b.utilisation.total_cmp(&a.utilisation));
    let queue: f64 =
        stages.iter().filter(|t| t.role == Role::Queue).map(|t| t.stage.mean_seconds).sum();
    let work: f64 = busy.iter().map(|t| t.stage.mean_seconds).sum();
    let waiting = queue + outside.unwrap_or(0.0) + file.lag.mean_seconds;
    // Without knowledge of workers, stages may share one.
    let shared = busy.iter().all(|t| !t.known) && busy.len() > 1;
    let together: f64 = busy.iter().map(|t| t.stage.busy_share).sum();
    if let Some(first) = busy.first() {
        // A stage that is full is full, however late the client was.
        let full = first.utilisation >= FULL;
        let crowded = limited.is_empty() && waiting > MOST * work;
        if full || shared && together >= FULL && crowded {
            let mut found = full_stage(file, &busy, together, shared, waiting, full);
            found.evidence.extend(limited.iter().map(|l| format!("the client was late too: {l}")));
            return Some(found);
        }
    }
    if stages.is_empty() {
        notes.push(
            "the platform tells no stages: let it send a Server-Timing header, or give --metrics URL"
                .into(),
        );
    }
    if !limited.is_empty() {
        return Some(plain(Role::Client, limited));
    }
    if response > 0.0 && !stages.is_empty() {
        let most = busy.first().map_or(0.0, |t| t.utilisation);
        if queue > MOST * response {
            return Some(plain(
                Role::Queue,
                vec![format!(
                    "requests wait {} of {} in the server's queue, and no stage is busy beyond {:.0} %: \
                     a batching delay, or a limit on instances",
                    si(queue, "s"),
                    si(response, "s"),
                    100.0 * most
                )],
            ));
        }
        if let Some(outside) = outside.filter(|o| *o > MOST * response) {
            return Some(plain(
                Role::Transmission,
                vec![format!(
                    "{} of {} pass outside the stages that the server tells, and none of these is busy \
                     beyond {:.0} %: the network, or accepting and reading requests",
                    si(outside, "s"),
                    si(response, "s"),
                    100.0 * most
                )],
            ));
        }
        notes.push(format!("no stage is full: the largest is busy {:.0} %", 100.0 * most));
        return None;
    }
    if let Some((used, all)) = meter(file, "server CPU").and_then(|m| Some((m.value?, m.of?))) {
        if used > 0.9 * all {
            return Some(BottleneckPart {
                role: "server CPU".into(),
                ..plain(
                    Role::Other,
                    vec![format!("the server uses {used:.2} of this machine's {all:.0} cores")],
                )
            });
        }
    }
    None
}

fn plain(role: Role, evidence: Vec<String>) -> BottleneckPart {
    BottleneckPart {
        role: role.name().into(),
        stage: None,
        evidence,
        gain_if_doubled: None,
        gain_if_shared: None,
        then: None,
    }
}

fn full_stage(
    file: &File,
    busy: &[&Told<'_>],
    together: f64,
    shared: bool,
    waiting: f64,
    full: bool,
) -> BottleneckPart {
    let first = busy[0];
    let rate = first.stage.busy_share / first.stage.mean_seconds.max(1e-12);
    let servers = match (first.known, first.servers) {
        (true, 1) => "one server".into(),
        (true, n) => format!("{n} servers"),
        (false, 1) => "one server, for all that the platform tells".into(),
        (false, n) => format!("at least {n} servers"),
    };
    let mut evidence = vec![format!(
        "`{}` is busy {:.0} % of the time: {rate:.1}/s of {} each over {servers}",
        first.stage.name,
        100.0 * first.utilisation,
        si(first.stage.mean_seconds, "s"),
    )];
    if !full {
        evidence.push(format!(
            "all stages together are busy {:.0} % of one worker, which they seem to share",
            100.0 * together
        ));
    }
    if let Some(other) = busy.iter().find(|t| t.role == Role::Compute && t.role != first.role) {
        let share = 100.0 * other.utilisation;
        evidence.push(format!("compute (`{}`) is busy {share:.0} % meanwhile", other.stage.name));
    }
    for m in file.meters.iter().filter(|m| m.name.starts_with("GPU") && m.name.ends_with(" busy")) {
        if let Some(value) = m.value {
            evidence.push(format!("{} {:.0} % of the time", m.name, 100.0 * value));
        }
    }
    if let Some(m) = meter(file, "server CPU") {
        if let (Some(used), Some(all)) = (m.value, m.of) {
            evidence.push(format!("the server uses {used:.2} of {all:.0} cores"));
        }
    }
    if waiting > first.stage.mean_seconds {
        evidence.push(format!("requests wait {} in front of the stages", si(waiting, "s")));
    }
    let second = busy.get(1).filter(|t| t.utilisation > 0.0);
    let ratio = second.map_or(2.0, |t| first.utilisation / t.utilisation);
    let half = 0.5 * first.stage.busy_share;
    BottleneckPart {
        role: first.role.name().into(),
        stage: Some(first.stage.name.clone()),
        evidence,
        gain_if_doubled: full.then(|| ratio.clamp(1.0, 2.0)),
        gain_if_shared: (shared && together > half).then(|| together / (together - half)),
        then: second.filter(|_| ratio < 2.0).map(|t| t.role.name().into()),
    }
}

fn meter<'a>(file: &'a File, name: &str) -> Option<&'a MeterPart> {
    file.meters.iter().find(|m| m.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::measurement::{FindingPart, Measured};

    fn stage(name: &str, source: &str, mean: f64, busy: f64, servers: Option<u64>) -> StagePart {
        StagePart {
            name: name.into(),
            source: source.into(),
            count: 100,
            mean_seconds: mean,
            busy_share: busy,
            servers,
        }
    }

    fn file(stages: Vec<StagePart>, response: f64) -> File {
        let mut file = Measured::for_test().file;
        file.target.in_process = false;
        file.verdict.findings.clear();
        (file.response.mean_seconds, file.service.mean_seconds) = (response, response - 1e-4);
        file.lag.mean_seconds = 1e-4;
        file.stages = stages;
        file
    }

    #[test]
    fn the_fullest_stage_and_what_twice_of_it_gains() {
        let timing = "Server-Timing";
        let f = file(
            vec![
                stage("infer", timing, 0.004, 0.36, None),
                stage("post", timing, 0.0005, 0.045, None),
                stage("pre", timing, 0.010, 0.9, None),
            ],
            0.040,
        );
        let found = pipeline(&f);
        let b = found.bottleneck.unwrap();
        assert_eq!((b.role.as_str(), b.stage.as_deref()), ("pre-processing", Some("pre")));
        // 0.9 to 0.36 is more than two; with a worker in common 1.305 to 0.855.
        assert!((b.gain_if_doubled.unwrap() - 2.0).abs() < 1e-9 && b.then.is_none());
        assert!((b.gain_if_shared.unwrap() - 1.305 / 0.855).abs() < 1e-9);
        let transmission = found.parts.iter().find(|p| p.role == "transmission").unwrap();
        assert!((transmission.seconds.unwrap() - (0.0399 - 0.0145)).abs() < 1e-9);
        assert!(found.parts.iter().find(|p| p.role == "queue").unwrap().untold.is_some());
    }

    #[test]
    fn more_workers_move_the_bottleneck() {
        let f = file(
            vec![
                stage("pre", "Server-Timing", 0.010, 1.6, Some(4)),
                stage("infer", "Server-Timing", 0.005, 0.8, Some(1)),
            ],
            0.020,
        );
        let b = pipeline(&f).bottleneck.unwrap();
        assert_eq!(b.role, "compute");
        assert!((b.gain_if_doubled.unwrap() - 2.0).abs() < 1e-9 && b.gain_if_shared.is_none());
    }

    #[test]
    fn queue_transmission_client_and_silence() {
        let triton = |queue: f64| {
            file(
                vec![
                    stage("queue", "Triton statistics", queue, 0.5, None),
                    stage("compute_infer", "Triton statistics", 0.002, 0.2, Some(1)),
                ],
                0.020,
            )
        };
        assert_eq!(pipeline(&triton(0.017)).bottleneck.unwrap().role, "queue");
        assert_eq!(pipeline(&triton(0.0001)).bottleneck.unwrap().role, "transmission");
        let none = pipeline(&file(Vec::new(), 0.020));
        assert!(none.bottleneck.is_none() && none.notes[0].contains("Server-Timing"));
        let mut limited = triton(0.017);
        limited
            .verdict
            .findings
            .push(FindingPart { verdict: "CLIENT-LIMITED".into(), evidence: "late".into() });
        assert_eq!(pipeline(&limited).bottleneck.unwrap().role, "client");
        let idle = file(vec![stage("infer", "Server-Timing", 0.018, 0.2, None)], 0.020);
        let found = pipeline(&idle);
        assert!(found.bottleneck.is_none() && found.longest.as_deref() == Some("compute"));
    }

    #[test]
    fn names_of_stages() {
        for (name, role) in [
            ("pre", Role::Pre),
            ("Pre-Processing", Role::Pre),
            ("compute_input", Role::Pre),
            ("compute_infer", Role::Compute),
            ("inference", Role::Compute),
            ("predict", Role::Compute),
            ("model-prediction", Role::Compute),
            ("prefill", Role::Compute),
            ("compute_output", Role::Post),
            ("postprocess", Role::Post),
            ("queue", Role::Queue),
            ("db", Role::Other),
        ] {
            assert_eq!(Role::of(name), Some(role), "{name}");
        }
        assert_eq!(Role::of("total"), None);
    }
}
