//! Meters beside the load: what the machine, the server's processes and its devices did meanwhile.
//!
//! One thread reads everything now and then; [`Log`] holds the readings, and [`Log::readings`] joins
//! them to the part of the run that counts. What cannot be read is absent with the reason and what
//! to do about it; nothing is estimated.

mod amd;
mod battery;
#[cfg(test)]
mod boards;
pub mod carbon;
mod cpu_energy;
mod energy;
mod gpu;
mod heat;
mod host;
mod log;
pub mod prometheus;
pub mod scrape;
mod sensors;

use super::target::question::Question;
use crate::schema::{MeterCovers, MeterPart, MeterUnit};
use cpu_energy::CPU_ENERGY;
pub use energy::{Asked, energy};
use gpu::GPU;
pub use log::joules::Amount;
use log::{Absent, Column, Role};
pub use log::{Log, unmeasured};
use rooflens_ground::os::power::Covers;
use rooflens_ground::os::proc::Proc;
use rooflens_ground::os::tree::{ReadError, Tree};
use sensors::POWER_SENSORS;
use std::collections::BTreeMap;
use std::path::Path;
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
    /// Where the kernel shows devices, their power and their heat.
    pub sys: Tree,
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
            sys: Tree::at(Path::new("/sys")),
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

    /// That the next column cannot be read now, and why; the first reason is kept.
    fn miss(&mut self, why: String) {
        self.failures.entry(self.values.len()).or_insert(why);
        self.push(None);
    }

    /// The reading of the next column, or why there is none.
    fn take(&mut self, read: Result<f64, ReadError>) {
        match read {
            Ok(value) => self.push(Some(value)),
            Err(why) => self.miss(why.to_string()),
        }
    }
}

/// What opening a kind of meter gave.
#[derive(Default)]
struct Found {
    meters: Vec<Box<dyn Meter>>,
    absent: Vec<Absent>,
}

impl Found {
    fn meter(meter: impl Meter + 'static) -> Self {
        Self { meters: vec![Box::new(meter)], absent: Vec::new() }
    }

    fn absent(name: &'static str, unit: MeterUnit, why: String) -> Self {
        Self { meters: Vec::new(), absent: vec![Absent { name, unit, why }] }
    }
}

/// The kinds of meters of processes, which are read wherever the server is.
const OF_PROCESSES: [fn(&Setup) -> Found; 1] = [host::open];

/// The kinds of meters of devices, which say something of the server only on its own machine.
const OF_DEVICES: [fn(&Setup) -> Found; 7] = [
    gpu::open,
    amd::open,
    cpu_energy::open,
    cpu_energy::open_platform,
    sensors::open,
    battery::open,
    heat::open,
];

/// What devices are called where they are on another machine.
const DEVICES: [(&str, MeterUnit); 3] =
    [(GPU, MeterUnit::None), (CPU_ENERGY, MeterUnit::Joules), (POWER_SENSORS, MeterUnit::None)];

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
    let away = setup.place == Place::Elsewhere;
    let devices: &[fn(&Setup) -> Found] = if away { &[] } else { &OF_DEVICES };
    let (mut meters, mut absent) = (Vec::new(), Vec::new());
    for open in OF_PROCESSES.iter().chain(devices) {
        let found = open(setup);
        meters.extend(found.meters);
        absent.extend(found.absent);
    }
    // Where another source gives energy, a board without a sensor lacks nothing.
    let is_energy = |c: &Column| matches!(c.role, Role::Energy(_));
    if meters.iter().any(|m| m.columns().iter().any(is_energy)) {
        absent.retain(|a| a.name != POWER_SENSORS);
    }
    if away {
        absent.extend(DEVICES.map(|(name, unit)| Absent { name, unit, why: ELSEWHERE.into() }));
    }
    (meters, absent)
}

/// What a source includes, as files say it.
fn covers(covers: Covers) -> MeterCovers {
    match covers {
        Covers::Machine => MeterCovers::Machine,
        Covers::Platform => MeterCovers::Platform,
        Covers::Board => MeterCovers::Board,
        Covers::Processor => MeterCovers::Processor,
        Covers::Package => MeterCovers::Package,
        Covers::Gpu => MeterCovers::Gpu,
        Covers::Rail => MeterCovers::Rail,
    }
}

/// Between two questions to the server, at least.
const ASK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::gpu::{Boards, Gpus};
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
        let setup = Setup { sys: Tree::at(Path::new("/nowhere")), ..Setup::default() };
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
            sys: Tree::at(Path::new("/nowhere")),
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
