//! Where a request's time goes, stage by stage, and which stage holds the rate back.
//!
//! The utilisation law: a stage that X requests per second keep for D seconds each is busy U = X·D/m
//! of the time, with m servers. The stage with the largest U is the first to be full, and the rate
//! cannot pass m/D. Works on what the platform reported; what it did not report is named as such, and
//! nothing is claimed of it.

use crate::schema::{BottleneckPart, PipePart, PipelinePart, Role, StagePart, StageSource};
use rooflens_ground::units::si;

/// From here on a stage counts as full.
const FULL: f64 = 0.7;
/// A part of at least this share of the response time outweighs the others.
const MOST: f64 = 0.5;

/// What the pipeline is computed from: means over the requests of the window, in seconds.
#[derive(Clone, Debug, Default)]
pub struct Inputs<'a> {
    /// From scheduled to answered.
    pub response: f64,
    /// From sent to answered.
    pub service: f64,
    /// From scheduled to picked up by the client.
    pub late: f64,
    /// From picked up to sent, without handshakes: opening connections, or waiting for a free stream on one.
    pub connect: f64,
    /// TLS handshakes; `None` where there were none.
    pub handshake: Option<f64>,
    /// Of decoding an answer in the client; `None` where no answer was decoded.
    pub decode: Option<f64>,
    /// Whether the runtime ran in the client's own process, so that nothing was transmitted.
    pub in_process: bool,
    /// The stages that the server reported.
    pub stages: &'a [StagePart],
    /// Evidence that the client itself was full.
    pub full: Vec<String>,
    /// Cores that the server's processes used, and cores of its machine; `None` where they were not read.
    pub server_cpu: Option<(f64, f64)>,
    /// GPUs of this machine: the meter's name, and the share of time with a kernel running, from 0 to 1.
    pub gpus: Vec<(&'a str, f64)>,
}

/// The role of a stage as servers name it; `None` for the whole.
fn role_of(stage: &str) -> Option<Role> {
    let text = stage.to_ascii_lowercase().replace(['-', '_', ' ', '.'], "");
    let begins = |list: &[&str]| list.iter().any(|w| text.starts_with(w));
    if ["total", "app", "request", "all", "server"].contains(&text.as_str()) {
        None
    } else if begins(&["queue", "wait", "batching"]) {
        Some(Role::Queue)
    } else if begins(&["predict", "prefill", "generat"]) {
        Some(Role::Compute)
    } else if begins(&["pre", "computeinput", "decode", "resize", "tokeni", "copyin", "parse"]) {
        Some(Role::Pre)
    } else if begins(&["post", "computeoutput", "encode", "copyout", "nms", "detokeni"]) {
        Some(Role::Post)
    } else if begins(&["comp", "inf", "model", "forward", "exec", "run"]) {
        Some(Role::Compute)
    } else {
        Some(Role::Other)
    }
}

/// A stage that the server reported, with its role and its workers.
struct Reported<'a> {
    role: Role,
    stage: &'a StagePart,
    servers: u64,
    known: bool,
    utilisation: f64,
}

impl<'a> Reported<'a> {
    /// `None` for the whole.
    fn new(stage: &'a StagePart) -> Option<Self> {
        let role = role_of(&stage.name)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // A stage that is busy for 2.4 seconds per second has three servers at least.
        let least = (stage.busy_share.ceil() as u64).max(1);
        let servers = stage.servers.unwrap_or(least).max(1);
        let utilisation = stage.busy_share / servers as f64;
        Some(Self { role, stage, servers, known: stage.servers.is_some(), utilisation })
    }
}

/// The server's stages and the time outside them.
struct Stages<'a> {
    all: Vec<Reported<'a>>,
    /// Seconds that the server reported in all; `None` where it reports no stage.
    inside: Option<f64>,
    /// Whether that is a figure of its own, not the sum of the stages.
    whole: bool,
    /// Seconds between sent and answered beyond it; `None` where that is not known.
    outside: Option<f64>,
}

impl<'a> Stages<'a> {
    fn new(of: &Inputs<'a>) -> Self {
        // One source is believed: sums over several would count twice.
        let first: Option<StageSource> =
            of.stages.iter().find(|s| role_of(&s.name).is_some()).map(|s| s.source);
        let own = || of.stages.iter().filter(|s| first.is_none_or(|o| o == s.source));
        let all: Vec<Reported<'_>> = own().filter_map(Reported::new).collect();
        let total = own().find(|s| role_of(&s.name).is_none()).map(|s| s.mean_seconds);
        let sum: f64 = all.iter().map(|t| t.stage.mean_seconds).sum();
        let inside = total.or((!all.is_empty()).then_some(sum));
        let outside = inside
            .filter(|_| !of.in_process && of.service > 0.0)
            .map(|inside| (of.service - inside).max(0.0));
        Self { all, inside, whole: total.is_some(), outside }
    }
}

/// Where the time of a request goes, and which stage limits the rate.
pub fn pipeline(of: &Inputs<'_>) -> PipelinePart {
    let stages = Stages::new(of);
    let parts = parts(of, &stages);
    let mut notes = Vec::new();
    if stages.inside.is_some_and(|i| i > 1.05 * of.service) && !of.in_process {
        notes.push("the server reports more time than requests took: its stages overlap, or its clock includes other clients' requests".into());
    }
    let bottleneck = bottleneck(of, &stages, &mut notes);
    let longest = parts
        .iter()
        .filter(|p| p.share_of_response.is_some())
        .max_by(|a, b| a.seconds.unwrap_or(0.0).total_cmp(&b.seconds.unwrap_or(0.0)))
        .map(|p| p.role);
    PipelinePart { parts, bottleneck, longest, notes }
}

/// A row for each part, in order, and one for each that is not reported.
fn parts(of: &Inputs<'_>, stages: &Stages<'_>) -> Vec<PipePart> {
    let share = |seconds: f64| (of.response > 0.0).then_some(seconds / of.response);
    let part = |role: Role, source: &str, seconds: Option<f64>, why: &str| PipePart {
        role,
        stage: None,
        source: source.into(),
        seconds,
        share_of_response: seconds.and_then(share),
        utilisation: None,
        servers: None,
        servers_known: false,
        not_reported: seconds.is_none().then(|| why.into()),
    };
    let silent = "not reported by the server";
    let mut all = vec![part(Role::Encode, "client", None, "encoded before the clock starts")];
    all.push(part(Role::Client, "client", Some(of.late), ""));
    if !of.in_process {
        all.push(part(Role::Connect, "client", Some(of.connect), ""));
        all.extend(of.handshake.map(|h| part(Role::Handshake, "client", Some(h), "")));
        let what = if stages.whole {
            "service time minus the time that the server reported"
        } else {
            "service time minus the stages that the server reported: network, and unreported time"
        };
        all.push(part(Role::Transmission, what, stages.outside, silent));
    }
    for role in [Role::Queue, Role::Pre, Role::Compute, Role::Post, Role::Other] {
        let own: Vec<&Reported<'_>> = stages.all.iter().filter(|t| t.role == role).collect();
        if own.is_empty() && role != Role::Other {
            all.push(part(role, "", None, silent));
        }
        for t in own {
            let seconds = Some(t.stage.mean_seconds);
            let waits = role == Role::Queue;
            all.push(PipePart {
                stage: Some(t.stage.name.clone()),
                utilisation: (!waits).then_some(t.utilisation),
                servers: (!waits).then_some(t.servers),
                servers_known: t.known,
                ..part(role, t.stage.source.name(), seconds, "")
            });
        }
    }
    // Behind the last byte of the answer: no part of the response time.
    let after = part(Role::Decode, "client, after the answer", of.decode, "no answer was decoded");
    all.push(PipePart { share_of_response: None, ..after });
    all
}

/// What limits the rate: a full stage, a late client, a wait without a full stage, or the machine's cores.
fn bottleneck(
    of: &Inputs<'_>,
    stages: &Stages<'_>,
    notes: &mut Vec<String>,
) -> Option<BottleneckPart> {
    let mut busy: Vec<&Reported<'_>> =
        stages.all.iter().filter(|t| t.role != Role::Queue).collect();
    busy.sort_by(|a, b| b.utilisation.total_cmp(&a.utilisation));
    let queue: f64 =
        stages.all.iter().filter(|t| t.role == Role::Queue).map(|t| t.stage.mean_seconds).sum();
    let work: f64 = busy.iter().map(|t| t.stage.mean_seconds).sum();
    let before = of.late + of.connect + of.handshake.unwrap_or(0.0);
    let waiting = queue + stages.outside.unwrap_or(0.0) + before;
    // Without knowledge of workers, stages may share one.
    let shared = busy.iter().all(|t| !t.known) && busy.len() > 1;
    let together: f64 = busy.iter().map(|t| t.stage.busy_share).sum();
    if let Some(first) = busy.first() {
        // A stage that is full is full, however late the client was.
        let full = first.utilisation >= FULL;
        let crowded = of.full.is_empty() && waiting > MOST * work;
        if full || shared && together >= FULL && crowded {
            let mut found =
                Full { of, busy: &busy, together, shared, saturated: full }.bottleneck(waiting);
            found
                .evidence
                .extend(of.full.iter().map(|l| format!("the client was saturated too: {l}")));
            return Some(found);
        }
    }
    if stages.all.is_empty() {
        notes.push(
            "no stage timings: enable Server-Timing on the server, or pass --metrics URL".into(),
        );
    }
    if !of.full.is_empty() {
        return Some(plain(Role::Client, of.full.clone()));
    }
    if of.late > MOST * of.response {
        let (late, response) = (si(of.late, "s"), si(of.response, "s"));
        let evidence =
            format!("requests wait {late} of {response} before the client picks them up");
        return Some(plain(Role::Client, vec![evidence]));
    }
    if of.response > 0.0 && !stages.all.is_empty() {
        let most = 100.0 * busy.first().map_or(0.0, |t| t.utilisation);
        let found = waits(of.response, queue, stages.outside, most);
        if found.is_none() {
            notes.push(format!("no stage is saturated: the busiest is at {most:.0} %"));
        }
        return found;
    }
    let (used, all) = of.server_cpu.filter(|(used, all)| *used > 0.9 * all)?;
    let evidence = format!("the server uses {used:.2} of this machine's {all:.0} cores");
    Some(plain(Role::ServerCpu, vec![evidence]))
}

/// Most of the response time is a wait although no stage is busy beyond `most` percent: in the server's queue, or
/// outside its stages.
fn waits(response: f64, queue: f64, outside: Option<f64>, most: f64) -> Option<BottleneckPart> {
    if queue > MOST * response {
        let evidence = format!(
            "requests wait {} of {} in the server's queue, and no stage is busy for more than {most:.0} %: \
             a batching delay, or a limit on instances",
            si(queue, "s"),
            si(response, "s"),
        );
        return Some(plain(Role::Queue, vec![evidence]));
    }
    let outside = outside.filter(|o| *o > MOST * response)?;
    let evidence = format!(
        "{} of {} are spent outside the stages that the server reports, and none of these is busy \
         for more than {most:.0} %: the network, or accepting and reading requests",
        si(outside, "s"),
        si(response, "s"),
    );
    Some(plain(Role::Transmission, vec![evidence]))
}

/// A bottleneck of which no gain is known.
fn plain(role: Role, evidence: Vec<String>) -> BottleneckPart {
    BottleneckPart {
        role,
        stage: None,
        evidence,
        gain_if_doubled: None,
        gain_if_shared: None,
        then: None,
    }
}

/// Stages, the busiest first, of which the first is full, or all together are.
struct Full<'a> {
    of: &'a Inputs<'a>,
    busy: &'a [&'a Reported<'a>],
    together: f64,
    shared: bool,
    saturated: bool,
}

impl Full<'_> {
    /// Requests wait for `waiting` seconds in front of the stages.
    fn bottleneck(&self, waiting: f64) -> BottleneckPart {
        let first = self.busy[0];
        let second = self.busy.get(1).filter(|t| t.utilisation > 0.0);
        let ratio = second.map_or(2.0, |t| first.utilisation / t.utilisation);
        let (together, half) = (self.together, 0.5 * first.stage.busy_share);
        BottleneckPart {
            role: first.role,
            stage: Some(first.stage.name.clone()),
            evidence: self.evidence(first, waiting),
            gain_if_doubled: self.saturated.then(|| ratio.clamp(1.0, 2.0)),
            gain_if_shared: (self.shared && together > half).then(|| together / (together - half)),
            then: second.filter(|_| ratio < 2.0).map(|t| t.role),
        }
    }

    fn evidence(&self, first: &Reported<'_>, waiting: f64) -> Vec<String> {
        let rate = first.stage.busy_share / first.stage.mean_seconds.max(1e-12);
        let servers = match (first.known, first.servers) {
            (true, 1) => "one server".into(),
            (true, n) => format!("{n} servers"),
            (false, 1) => "one server, as far as reported".into(),
            (false, n) => format!("at least {n} servers"),
        };
        let mut evidence = vec![format!(
            "`{}` is busy {:.0} % of the time: {rate:.1}/s of {} each over {servers}",
            first.stage.name,
            100.0 * first.utilisation,
            si(first.stage.mean_seconds, "s"),
        )];
        if !self.saturated {
            evidence.push(format!(
                "all stages together are busy {:.0} % of one worker, which they seem to share",
                100.0 * self.together
            ));
        }
        let compute = |t: &&&Reported<'_>| t.role == Role::Compute && t.role != first.role;
        if let Some(other) = self.busy.iter().find(compute) {
            let share = 100.0 * other.utilisation;
            evidence
                .push(format!("compute (`{}`) is busy {share:.0} % meanwhile", other.stage.name));
        }
        let gpus = self.of.gpus.iter();
        evidence.extend(gpus.map(|(name, b)| format!("{name} {:.0} % of the time", 100.0 * b)));
        if let Some((used, all)) = self.of.server_cpu {
            evidence.push(format!("the server uses {used:.2} of {all:.0} cores"));
        }
        if waiting > first.stage.mean_seconds {
            evidence.push(format!("requests wait {} in front of the stages", si(waiting, "s")));
        }
        evidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(
        name: &str,
        source: StageSource,
        mean: f64,
        busy: f64,
        servers: Option<u64>,
    ) -> StagePart {
        StagePart {
            name: name.into(),
            source,
            count: 100,
            mean_seconds: mean,
            busy_share: busy,
            servers,
        }
    }

    fn inputs(stages: &[StagePart], response: f64) -> Inputs<'_> {
        Inputs { response, service: response - 1e-4, late: 1e-4, stages, ..Inputs::default() }
    }

    const TIMING: StageSource = StageSource::ServerTiming;

    #[test]
    fn the_fullest_stage_and_what_twice_of_it_gains() {
        let stages = [
            stage("infer", TIMING, 0.004, 0.36, None),
            stage("post", TIMING, 0.0005, 0.045, None),
            stage("pre", TIMING, 0.010, 0.9, None),
        ];
        let found = pipeline(&inputs(&stages, 0.040));
        let b = found.bottleneck.unwrap();
        assert_eq!((b.role, b.stage.as_deref()), (Role::Pre, Some("pre")));
        // 0.9 to 0.36 is more than two; with a worker in common 1.305 to 0.855.
        assert!((b.gain_if_doubled.unwrap() - 2.0).abs() < 1e-9 && b.then.is_none());
        assert!((b.gain_if_shared.unwrap() - 1.305 / 0.855).abs() < 1e-9);
        let transmission = found.parts.iter().find(|p| p.role == Role::Transmission).unwrap();
        assert!((transmission.seconds.unwrap() - (0.0399 - 0.0145)).abs() < 1e-9);
        assert!(found.parts.iter().find(|p| p.role == Role::Queue).unwrap().not_reported.is_some());
    }

    #[test]
    fn more_workers_move_the_bottleneck() {
        let stages = [
            stage("pre", TIMING, 0.010, 1.6, Some(4)),
            stage("infer", TIMING, 0.005, 0.8, Some(1)),
        ];
        let b = pipeline(&inputs(&stages, 0.020)).bottleneck.unwrap();
        assert_eq!(b.role, Role::Compute);
        assert!((b.gain_if_doubled.unwrap() - 2.0).abs() < 1e-9 && b.gain_if_shared.is_none());
    }

    #[test]
    fn queue_transmission_client_and_silence() {
        let triton = |queue: f64| {
            let source = StageSource::TritonStatistics;
            [
                stage("queue", source, queue, 0.5, None),
                stage("compute_infer", source, 0.002, 0.2, Some(1)),
            ]
        };
        let role = |of: &Inputs<'_>| pipeline(of).bottleneck.unwrap().role;
        let (long, short) = (triton(0.017), triton(0.0001));
        assert_eq!(role(&inputs(&long, 0.020)), Role::Queue);
        assert_eq!(role(&inputs(&short, 0.020)), Role::Transmission);
        let none = pipeline(&inputs(&[], 0.020));
        assert!(none.bottleneck.is_none() && none.notes[0].contains("Server-Timing"));
        assert_eq!(
            role(&Inputs { full: vec!["full".into()], ..inputs(&long, 0.020) }),
            Role::Client
        );
        assert_eq!(role(&Inputs { late: 0.015, ..inputs(&[], 0.020) }), Role::Client);
        let full = Inputs { server_cpu: Some((3.8, 4.0)), ..inputs(&[], 0.020) };
        assert_eq!(role(&full), Role::ServerCpu);
        let idle = [stage("infer", TIMING, 0.018, 0.2, None)];
        let found = pipeline(&inputs(&idle, 0.020));
        assert!(found.bottleneck.is_none() && found.longest == Some(Role::Compute));
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
            assert_eq!(role_of(name), Some(role), "{name}");
        }
        assert_eq!(role_of("total"), None);
    }
}
