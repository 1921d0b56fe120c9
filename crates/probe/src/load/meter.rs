//! Meters beside the load: what the machine, the server's processes and its devices did meanwhile.
//!
//! One thread reads everything now and then; [`Log`] holds the readings, and [`Log::readings`] joins
//! them to the part of the run that counts. What cannot be read is absent with the reason and what
//! to do about it; nothing is estimated.

pub mod carbon;
mod cpu_energy;
mod energy;
mod gpu;
mod host;
mod log;
pub mod prometheus;
pub mod scrape;

use super::target::question::Question;
use crate::schema::{MeterPart, MeterUnit};
use cpu_energy::{CPU_ENERGY, CpuEnergy};
pub use energy::{Asked, energy};
use gpu::{Gpus, Nvidia};
use host::{Capacity, Client, Host, SERVER, Server};
use log::{Absent, Column};
pub use log::{Log, unmeasured};
use rooflens_ground::os::proc::Proc;
use rooflens_ground::os::rapl::{self, Rapl};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this process.
    Within,
    /// A process of this machine.
    Here(u32),
    /// On this machine, but its process is not known, and why.
    Hidden(String),
    /// On another machine.
    Elsewhere,
}

/// What is read, and how often.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Between two readings.
    pub every: Duration,
    /// Where the kernel shows processes.
    pub proc: Proc,
    /// Where the kernel shows energy.
    pub powercap: PathBuf,
    /// Where the server is.
    pub place: Place,
    /// GPUs by position; all where empty.
    pub gpus: Vec<u32>,
    /// What the server is asked of itself.
    pub questions: Vec<Question>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            every: Duration::from_millis(250),
            proc: Proc::default(),
            powercap: rapl::POWERCAP.into(),
            place: Place::Elsewhere,
            gpus: Vec::new(),
            questions: Vec::new(),
        }
    }
}

/// The thread that reads.
pub struct Session {
    thread: JoinHandle<Log>,
    stop: Arc<AtomicBool>,
}

impl Session {
    /// Starts reading.
    pub fn start(setup: &Setup) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (setup, flag) = (setup.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("meters".into())
            .spawn(move || Sampler::new(&setup).run(setup.every, &flag))?;
        Ok(Self { thread, stop })
    }

    /// Stops reading; `None` if the thread died.
    pub fn finish(self) -> Option<Log> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().ok()
    }
}

/// Something that is read again and again, a number for each of its columns.
trait Meter {
    /// What is read, in the order of [`Meter::read`]; the same at any time.
    fn columns(&self) -> Vec<Column>;
    /// Reads everything once.
    fn read(&mut self, row: &mut Row<'_>);
}

/// The readings of an instant.
struct Row<'a> {
    /// Seconds since the session began.
    now: f64,
    values: &'a mut Vec<f64>,
    failures: &'a mut BTreeMap<usize, String>,
}

impl Row<'_> {
    /// The reading of the next column, or that there is none.
    fn push(&mut self, value: Option<f64>) {
        self.values.push(value.unwrap_or(f64::NAN));
    }

    /// That the next column cannot be read from now on, and why.
    fn fail(&mut self, why: String) {
        self.failures.entry(self.values.len()).or_insert(why);
        self.push(None);
    }
}

/// Everything that is read, by one thread.
struct Sampler {
    begin: Instant,
    log: Log,
    proc: Proc,
    /// With how many columns each has.
    meters: Vec<(Box<dyn Meter>, usize)>,
    asked: Vec<scrape::Asked>,
}

const ELSEWHERE: &str = "the server is on another machine; run rooflens there too, beside it";

impl Sampler {
    fn of(meters: Vec<Box<dyn Meter>>) -> Self {
        let columns: Vec<Vec<Column>> = meters.iter().map(|m| m.columns()).collect();
        let counts = columns.iter().map(Vec::len);
        let meters = meters.into_iter().zip(counts).collect();
        let log = Log {
            began: SystemTime::now(),
            columns: columns.into_iter().flatten().collect(),
            absent: Vec::new(),
            rows: Vec::new(),
            failures: BTreeMap::new(),
            answers: Vec::new(),
            cpu: 0.0,
            every: 0.0,
        };
        Self { begin: Instant::now(), log, proc: Proc::default(), meters, asked: Vec::new() }
    }

    fn new(setup: &Setup) -> Self {
        let (meters, absent) = open(setup);
        let mut sampler = Self::of(meters);
        (sampler.log.absent, sampler.log.every) = (absent, setup.every.as_secs_f64());
        sampler.proc = setup.proc.clone();
        sampler.asked = setup.questions.iter().cloned().map(scrape::Asked::new).collect();
        sampler
    }

    fn run(mut self, every: Duration, stop: &AtomicBool) -> Log {
        let (mut next, mut ask, mut gap) = (self.begin, self.begin, ASK);
        loop {
            let over = stop.load(Ordering::Relaxed);
            self.read(self.begin.elapsed().as_secs_f64());
            if over || Instant::now() >= ask {
                for asked in &mut self.asked {
                    if asked.ask(self.begin.elapsed().as_secs_f64()) {
                        gap = gap.max(self.begin.elapsed() / 16);
                    }
                }
                ask = Instant::now() + gap;
            }
            if over {
                break;
            }
            next += every;
            // Readings that are late are not made up for.
            next = next.max(Instant::now());
            while Instant::now() < next && !stop.load(Ordering::Relaxed) {
                std::thread::park_timeout(next - Instant::now().min(next));
            }
        }
        self.log.cpu = self.proc.thread().map_or(f64::NAN, |t| t.running);
        self.log.answers = self.asked.into_iter().map(scrape::Asked::finish).collect();
        self.log
    }

    /// One row, `now` seconds after the session began; NaN where a meter gives nothing.
    fn read(&mut self, now: f64) {
        let mut values = Vec::with_capacity(self.log.columns.len());
        for (meter, columns) in &mut self.meters {
            let end = values.len() + *columns;
            let failures = &mut self.log.failures;
            meter.read(&mut Row { now, values: &mut values, failures });
            values.resize(end, f64::NAN);
        }
        self.log.keep(now, values);
    }
}

/// The meters that can be read, and why others cannot.
fn open(setup: &Setup) -> (Vec<Box<dyn Meter>>, Vec<Absent>) {
    let (proc, capacity) = (setup.proc.clone(), Capacity::of(&setup.proc));
    let away = setup.place == Place::Elsewhere;
    let whose = if away { ", of the machine that sends" } else { "" };
    let within = setup.place == Place::Within;
    let note = if within { "this process, with the runtime in it" } else { "this process" };
    let client = Client::new(&proc, capacity, note);
    let mut meters: Vec<Box<dyn Meter>> =
        vec![Box::new(Host { proc, capacity, whose }), Box::new(client)];
    let mut absent = Vec::new();
    match server(setup, capacity) {
        Ok(server) => meters.extend(server.map(|s| Box::new(s) as Box<dyn Meter>)),
        Err(why) => {
            absent.extend(SERVER.map(|(name, unit)| Absent { name, unit, why: why.into() }));
        }
    }
    let gpus = if away { Err(ELSEWHERE.into()) } else { Nvidia::open(&setup.gpus) };
    match gpus {
        Ok(boards) => meters.push(Box::new(Gpus(Box::new(boards)))),
        Err(why) => absent.push(Absent { name: "GPU", unit: MeterUnit::None, why }),
    }
    let read = |path: &std::path::Path| std::fs::read_to_string(path);
    let rapl = if away {
        Err(ELSEWHERE.into())
    } else {
        Rapl::open(&setup.powercap, read).map_err(|e| e.to_string())
    };
    match rapl {
        Ok(rapl) => meters.push(Box::new(CpuEnergy::new(rapl))),
        Err(why) => absent.push(Absent { name: CPU_ENERGY, unit: MeterUnit::Joules, why }),
    }
    (meters, absent)
}

/// The server's processes: none where it is this one, or why they cannot be read.
fn server(setup: &Setup, capacity: Capacity) -> Result<Option<Server>, &str> {
    match &setup.place {
        Place::Within => Ok(None),
        Place::Elsewhere => Err(ELSEWHERE),
        Place::Hidden(why) => Err(why),
        Place::Here(pid) => {
            let server = Server::open(&setup.proc, *pid, capacity);
            server.map(Some).ok_or("there is no such process; give the server's with --pid")
        }
    }
}

/// Between two questions to the server, at least.
const ASK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::gpu::Boards;
    use super::*;
    use rooflens_ground::os::nvml::{Slowdown, SlowdownKind, State};

    struct Hot;

    impl Boards for Hot {
        fn names(&self) -> Vec<(u32, String)> {
            vec![(0, "a board".into())]
        }

        fn read(&self, _: usize) -> State {
            let heat = Slowdown { kind: SlowdownKind::Hardware, name: "heat" };
            State { slowed_by: Some(vec![heat]), power_w: Some(300.0), ..State::default() }
        }
    }

    /// A meter that gives too little, and one that gives too much.
    struct Odd(usize);

    impl Meter for Odd {
        fn columns(&self) -> Vec<Column> {
            vec![Column::new("a", MeterUnit::Bytes), Column::new("b", MeterUnit::Bytes)]
        }

        fn read(&mut self, row: &mut Row<'_>) {
            (0..self.0).for_each(|i| row.push(Some(i as f64)));
        }
    }

    #[test]
    fn no_meter_shifts_the_columns_of_another() {
        let mut sampler = Sampler::of(vec![Box::new(Odd(1)), Box::new(Odd(5)), Box::new(Odd(2))]);
        sampler.read(0.5);
        let values: Vec<Option<f64>> =
            sampler.log.readings(&(0.0..1.0)).iter().map(|m| m.value).collect();
        assert_eq!(values[..6], [Some(0.0), None, Some(0.0), Some(1.0), Some(0.0), Some(1.0)]);
    }

    /// A meter that ends its thread.
    struct Fatal;

    impl Meter for Fatal {
        fn columns(&self) -> Vec<Column> {
            vec![Column::new("fatal", MeterUnit::Bytes)]
        }

        fn read(&mut self, _: &mut Row<'_>) {
            panic!("a meter that ends its thread");
        }
    }

    #[test]
    fn a_thread_that_died_has_no_log() {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let thread = std::thread::spawn(move || {
            Sampler::of(vec![Box::new(Fatal)]).run(Duration::from_millis(20), &flag)
        });
        assert!(Session { thread, stop }.finish().is_none());
    }

    #[test]
    fn a_slowed_board_throttles_the_run_and_what_it_hides_is_absent() {
        let setup = Setup { powercap: "/nowhere".into(), ..Setup::default() };
        let (mut meters, absent) = open(&setup);
        meters.push(Box::new(Gpus(Box::new(Hot))));
        let mut sampler = Sampler::of(meters);
        sampler.log.absent = absent;
        sampler.read(0.1);
        let log = sampler.log;
        assert!(log.throttled(&(0.0..9.0)).unwrap().contains("GPU 0"));
        let all = log.readings(&(0.0..9.0));
        let find = |name: &str| all.iter().find(|m| m.name == name).unwrap();
        assert_eq!(find("GPU 0 power").value, Some(300.0));
        assert_eq!(find("GPU 0 energy").value, None);
        assert!(find("server CPU").unmeasured.as_ref().unwrap().contains("another machine"));
    }

    #[test]
    fn a_session_reads_this_process_and_says_what_it_costs() {
        let setup = Setup {
            every: Duration::from_millis(20),
            place: Place::Here(std::process::id()),
            powercap: "/nowhere".into(),
            ..Setup::default()
        };
        let on_processor = || Proc::default().thread().unwrap().running;
        let session = Session::start(&setup).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let (begin, before) = (Instant::now(), on_processor());
        // However long it takes on a machine with other work.
        while on_processor() - before < 0.3 {}
        let wall = begin.elapsed().as_secs_f64();
        std::thread::sleep(Duration::from_millis(100));
        let log = session.finish().unwrap();
        let all = log.readings(&(0.05..0.15 + wall));
        let find = |name: &str| all.iter().find(|m| m.name == name).unwrap();
        // Other tests of this process may be busy too; the kernel counts in hundredths of a second.
        let seconds = find("server CPU").value.unwrap() * (wall + 0.1);
        assert!(seconds > 0.26, "{seconds} {all:?}");
        assert!(find("server memory").value.unwrap() > 1e6);
        let own = find("meters themselves").value.unwrap();
        assert!(own > 0.0 && own < 0.5, "{own}");
        assert!(find("CPU energy").unmeasured.as_ref().unwrap().contains("RAPL"));
    }
}
