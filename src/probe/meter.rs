//! Meters beside the load: what the machine, the server's processes and its devices did meanwhile.
//!
//! One thread reads everything now and then; [`Log`] holds the readings, and [`Log::readings`] joins
//! them to the part of the run that counts. What cannot be read is absent with the reason and what
//! to do about it; nothing is estimated.

pub mod carbon;
mod energy;
mod gpu;
pub mod prometheus;
pub mod scrape;
pub mod triton;

use super::measurement::MeterPart;
use crate::os::nvml::SlowdownKind;
use crate::os::proc::Proc;
use crate::os::processes::{ProcessTree, ticks_per_second};
use crate::os::rapl::{self, Rapl};
pub use energy::{Asked, energy};
use gpu::Boards;
use scrape::{Answers, Question, Told};
use std::ops::Range;
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

/// How readings of a column become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Show {
    /// Of a counter: its increase, a second.
    Rate,
    /// Of a counter: its increase.
    Total,
    /// The mean of the readings.
    Mean,
    /// The largest reading.
    Peak,
}

/// What is read again and again.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    unit: &'static str,
    show: Show,
    note: String,
    /// The most that it can be.
    of: Option<f64>,
}

/// What cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Absent {
    name: String,
    unit: &'static str,
    why: String,
}

/// A row of readings is kept for so many instants; then every other one is dropped.
const ROWS: usize = 8192;

/// Readings in time.
#[derive(Clone, Debug)]
pub struct Log {
    began: SystemTime,
    columns: Vec<Column>,
    absent: Vec<Absent>,
    /// Seconds since the session began, and one reading a column; NaN where there is none.
    rows: Vec<(f64, Vec<f64>)>,
    answers: Vec<Answers>,
    cpu: f64,
    every: f64,
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

/// Everything that is read.
struct Sampler {
    begin: Instant,
    log: Log,
    proc: Proc,
    own: ProcessTree,
    tree: Option<ProcessTree>,
    boards: Option<Box<dyn Boards>>,
    rapl: Option<Rapl>,
    asked: Vec<scrape::Asked>,
}

const ELSEWHERE: &str = "the server is on another machine; run rooflens there too, beside it";

impl Sampler {
    fn new(setup: &Setup) -> Self {
        let mut s = Self {
            begin: Instant::now(),
            log: Log {
                began: SystemTime::now(),
                columns: Vec::new(),
                absent: Vec::new(),
                rows: Vec::new(),
                answers: Vec::new(),
                cpu: 0.0,
                every: setup.every.as_secs_f64(),
            },
            proc: setup.proc.clone(),
            own: ProcessTree::within(&setup.proc, std::process::id()),
            tree: None,
            boards: None,
            rapl: None,
            asked: setup.questions.iter().cloned().map(scrape::Asked::new).collect(),
        };
        let away = setup.place == Place::Elsewhere;
        let whose = if away { ", of the machine that sends" } else { "" };
        let cores = s.proc.ticks().map(|t| t.processors as f64);
        let memory = s.proc.memory().map(|m| m.total as f64);
        s.column("host CPU", "cores", Show::Rate, format!("the whole machine{whose}"), cores);
        s.column("host memory", "B", Show::Peak, format!("peak{whose}"), memory);
        let within = if setup.place == Place::Within { ", with the runtime in it" } else { "" };
        s.column("client CPU", "cores", Show::Rate, format!("this process{within}"), cores);
        s.server(&setup.place, cores, memory);
        if away {
            s.absent("GPU", "", ELSEWHERE);
            s.absent("CPU energy", "J", ELSEWHERE);
            return s;
        }
        match gpu::Nvidia::open(&setup.gpus) {
            Ok(driver) => s.boards(Box::new(driver)),
            Err(why) => s.absent("GPU", "", &why),
        }
        match Rapl::open(&setup.powercap, |path| std::fs::read_to_string(path)) {
            Ok(rapl) => {
                let note = format!("RAPL: {}", rapl.names().join(", "));
                s.column(CPU_ENERGY, "J", Show::Total, note, None);
                s.rapl = Some(rapl);
            }
            Err(why) => s.absent(CPU_ENERGY, "J", &why.to_string()),
        }
        s
    }

    fn server(&mut self, place: &Place, cores: Option<f64>, memory: Option<f64>) {
        let why = match place {
            Place::Within => return,
            Place::Elsewhere => ELSEWHERE,
            Place::Hidden(why) => why,
            Place::Here(pid) => {
                let mut tree = ProcessTree::within(&self.proc, *pid);
                if tree.read() {
                    let n = tree.processes();
                    let plural = if n == 1 { "" } else { "es" };
                    let who = format!("{} ({pid}), {n} process{plural}", tree.name());
                    self.column(SERVER_CPU, "cores", Show::Rate, who, cores);
                    let note = "peak resident; shared pages count for each process";
                    self.column("server memory", "B", Show::Peak, note.into(), memory);
                    self.tree = Some(tree);
                    return;
                }
                "there is no such process; give the server's with --pid"
            }
        };
        self.absent(SERVER_CPU, "cores", why);
        self.absent("server memory", "B", why);
    }

    fn boards(&mut self, boards: Box<dyn Boards>) {
        for (index, name) in boards.names() {
            let mut add = |what: &str, unit, show, note: &str| {
                let most = (unit == "share").then_some(1.0);
                self.column(&format!("GPU {index} {what}"), unit, show, note.into(), most);
            };
            add("busy", "share", Show::Mean, &format!("{name}; time with a kernel running"));
            add("memory", "B", Show::Peak, "peak, of all processes");
            add("power", "W", Show::Mean, "as the driver averages it");
            add("energy", "J", Show::Total, "the board's counter, of all processes");
            add("clock", "Hz", Show::Mean, "multiprocessors");
            add("slowed", "share", Show::Mean, "time with clocks lowered by heat or supply");
            add("capped", "share", Show::Mean, "time with clocks lowered by the power limit");
        }
        self.boards = Some(boards);
    }

    fn column(
        &mut self,
        name: &str,
        unit: &'static str,
        show: Show,
        note: String,
        of: Option<f64>,
    ) {
        self.log.columns.push(Column { name: name.into(), unit, show, note, of });
    }

    fn absent(&mut self, name: &str, unit: &'static str, why: &str) {
        self.log.absent.push(Absent { name: name.into(), unit, why: why.into() });
    }

    fn run(mut self, every: Duration, stop: &AtomicBool) -> Log {
        let (mut next, mut ask, mut gap) = (self.begin, self.begin, ASK);
        loop {
            let over = stop.load(Ordering::Relaxed);
            self.read();
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

    /// One row.
    fn read(&mut self) {
        let now = self.begin.elapsed().as_secs_f64();
        let mut row = Vec::with_capacity(self.log.columns.len());
        row.push(self.proc.ticks().map_or(f64::NAN, |t| t.busy as f64 / ticks_per_second()));
        let used = self.proc.memory().and_then(|m| Some(m.total.saturating_sub(m.available?)));
        row.push(used.map_or(f64::NAN, |bytes| bytes as f64));
        let own = self.own.read();
        row.push(if own { self.own.seconds() } else { f64::NAN });
        if let Some(tree) = &mut self.tree {
            let there = tree.read();
            row.push(if there { tree.seconds() } else { f64::NAN });
            row.push(if there { tree.resident_bytes() as f64 } else { f64::NAN });
        }
        if let Some(boards) = &self.boards {
            for place in 0..boards.names().len() {
                let r = boards.read(place);
                let share = |b: Option<bool>| b.map_or(f64::NAN, |b| f64::from(u8::from(b)));
                row.push(r.busy_percent.map_or(f64::NAN, |p| f64::from(p) / 100.0));
                row.push(r.memory_bytes.map_or(f64::NAN, |m| m as f64));
                row.push(r.power_w.unwrap_or(f64::NAN));
                row.push(r.energy_j.unwrap_or(f64::NAN));
                row.push(r.clock_mhz.map_or(f64::NAN, |mhz| f64::from(mhz) * 1e6));
                row.push(share(r.is_slowed(SlowdownKind::Hardware)));
                row.push(share(r.is_slowed(SlowdownKind::PowerLimit)));
            }
        }
        if let Some(rapl) = &mut self.rapl {
            match rapl.advance(now) {
                Ok(joules) => row.push(joules),
                Err(why) => {
                    self.log.absent.push(Absent {
                        name: CPU_ENERGY.into(),
                        unit: "J",
                        why: why.to_string(),
                    });
                    self.log.columns.retain(|c| c.name != CPU_ENERGY);
                    self.log.rows.iter_mut().for_each(|(_, row)| row.truncate(row.len() - 1));
                    self.rapl = None;
                }
            }
        }
        self.log.rows.push((now, row));
        if self.log.rows.len() > ROWS {
            let mut odd = false;
            self.log.rows.retain(|_| {
                odd = !odd;
                odd
            });
        }
    }
}

const CPU_ENERGY: &str = "CPU energy";
const SERVER_CPU: &str = "server CPU";
/// Between two questions to the server, at least.
const ASK: Duration = Duration::from_secs(1);
/// A larger share of slowed readings makes a run THROTTLED.
const SLOWED: f64 = 0.02;

impl Log {
    /// Seconds of the log at which a run that started then was at `from` and `from + seconds`.
    pub fn window(&self, started: SystemTime, from: f64, seconds: f64) -> Range<f64> {
        let lead = match started.duration_since(self.began) {
            Ok(later) => later.as_secs_f64(),
            Err(earlier) => -earlier.duration().as_secs_f64(),
        };
        lead + from..lead + from + seconds
    }

    /// A meter a column, and one for each that cannot be read.
    pub fn readings(&self, window: &Range<f64>) -> Vec<MeterPart> {
        let mut all: Vec<MeterPart> = Vec::new();
        for (i, column) in self.columns.iter().enumerate() {
            let value = self.value(i, window);
            let why = match column.name.as_str() {
                SERVER_CPU | "server memory" => "the server's process ended during the run",
                _ => "the system does not tell it here",
            };
            all.push(MeterPart {
                name: column.name.clone(),
                unit: column.unit.into(),
                value,
                of: value.and(column.of),
                unmeasured: value.is_none().then(|| why.into()),
                note: value.is_some().then(|| column.note.clone()),
            });
        }
        all.extend(self.absent.iter().map(|a| unmeasured(&a.name, a.unit, &a.why)));
        let wall = self.rows.last().map_or(0.0, |r| r.0);
        let share = (self.cpu.is_finite() && wall > 0.0).then_some(self.cpu / wall);
        all.push(MeterPart {
            name: "meters themselves".into(),
            unit: "cores".into(),
            value: share,
            of: None,
            unmeasured: share.is_none().then(|| "the system does not account threads".into()),
            note: share.map(|_| format!("{} readings, one in {} s", self.rows.len(), self.every)),
        });
        all
    }

    /// What the server told of itself in a part of the log.
    pub fn told(&self, window: &Range<f64>) -> Told {
        scrape::join(&self.answers, window)
    }

    /// Evidence that a GPU lowered its clocks for heat or supply in a part of the log.
    pub fn throttled(&self, window: &Range<f64>) -> Option<String> {
        self.columns.iter().enumerate().filter(|(_, c)| c.name.ends_with(" slowed")).find_map(
            |(i, column)| {
                let share = self.value(i, window).filter(|s| *s > SLOWED)?;
                let board = column.name.trim_end_matches(" slowed");
                Some(format!(
                    "{board} ran with clocks lowered by heat or supply {:.0} % of the time",
                    100.0 * share
                ))
            },
        )
    }

    /// Joules in a part of the log by source.
    fn joules(&self, window: &Range<f64>) -> Vec<(&str, f64)> {
        let counters = self.columns.iter().enumerate().filter(|(_, c)| c.unit == "J");
        counters.filter_map(|(i, c)| Some((c.name.as_str(), self.value(i, window)?))).collect()
    }

    /// Whether there is a counter of energy.
    pub fn has_energy(&self) -> bool {
        self.columns.iter().enumerate().any(|(i, c)| {
            c.unit == "J" && self.rows.last().is_some_and(|(_, row)| row[i].is_finite())
        })
    }

    /// W that a part of the log took, by the counters of energy.
    pub fn watts(&self, window: &Range<f64>) -> Option<f64> {
        let joules = self.joules(window);
        let seconds = window.end - window.start;
        (!joules.is_empty() && seconds > 0.0)
            .then(|| joules.iter().map(|j| j.1).sum::<f64>() / seconds)
    }

    fn value(&self, column: usize, window: &Range<f64>) -> Option<f64> {
        let seconds = window.end - window.start;
        if seconds <= 0.0 {
            return None;
        }
        let inside = || {
            let rows = self.rows.iter().filter(|(t, _)| window.contains(t));
            rows.map(|(_, row)| row[column]).filter(|v| v.is_finite())
        };
        match self.columns.get(column)?.show {
            Show::Total | Show::Rate => {
                let increase = self.at(column, window.end)? - self.at(column, window.start)?;
                let rate = self.columns[column].show == Show::Rate;
                Some(if rate { increase / seconds } else { increase })
            }
            Show::Mean => {
                let (sum, n) = inside().fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
                (n > 0.0).then_some(sum / n)
            }
            Show::Peak => inside().reduce(f64::max),
        }
    }

    /// A counter between two readings, as if it had moved evenly.
    fn at(&self, column: usize, time: f64) -> Option<f64> {
        let after = self.rows.partition_point(|(t, _)| *t < time);
        let near = |i: usize| self.rows.get(i).map(|(t, row)| (*t, row[column]));
        let value = match (after.checked_sub(1).and_then(near), near(after)) {
            (Some((t0, a)), Some((t1, b))) if t1 > t0 => a + (b - a) * (time - t0) / (t1 - t0),
            (Some((t, v)), None) | (None, Some((t, v))) if (time - t).abs() <= 2.0 * self.every => {
                v
            }
            (_, Some((t, v))) if (time - t).abs() < 1e-9 => v,
            _ => f64::NAN,
        };
        value.is_finite().then_some(value)
    }
}

/// A meter that could not be read.
pub fn unmeasured(name: &str, unit: &str, why: &str) -> MeterPart {
    MeterPart {
        name: name.into(),
        unit: unit.into(),
        value: None,
        of: None,
        unmeasured: Some(why.into()),
        note: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::nvml::{Slowdown, State};

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

    fn log(unit: &'static str, show: Show, points: &[(f64, f64)]) -> Log {
        Log {
            began: SystemTime::UNIX_EPOCH,
            columns: vec![Column { name: "x".into(), unit, show, note: String::new(), of: None }],
            absent: Vec::new(),
            rows: points.iter().map(|(t, v)| (*t, vec![*v])).collect(),
            answers: Vec::new(),
            cpu: 0.0,
            every: 1.0,
        }
    }

    #[test]
    fn counters_join_a_window_between_readings() {
        let points = [(0.0, 10.0), (1.0, 14.0), (2.0, 24.0), (3.0, 24.0)];
        let log = log("J", Show::Total, &points);
        // Half of four, and half of ten.
        assert!((log.value(0, &(0.5..1.5)).unwrap() - 7.0).abs() < 1e-9);
        assert!((log.watts(&(0.5..2.5)).unwrap() - 6.0).abs() < 1e-9);
        assert_eq!(log.value(0, &(0.5..90.0)), None);
        assert_eq!(log.value(0, &(1.0..1.0)), None);
    }

    #[test]
    fn readings_that_are_not_there_are_not_zero() {
        let log = log("cores", Show::Rate, &[(0.0, f64::NAN), (1.0, f64::NAN)]);
        let all = log.readings(&(0.0..1.0));
        assert_eq!(all[0].value, None);
        assert!(all[0].unmeasured.is_some());
    }

    #[test]
    fn a_slowed_board_throttles_the_run_and_what_it_hides_is_absent() {
        let setup = Setup { powercap: "/nowhere".into(), ..Setup::default() };
        let mut sampler = Sampler::new(&setup);
        sampler.boards(Box::new(Hot));
        sampler.read();
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
