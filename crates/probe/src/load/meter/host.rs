//! Processor time and memory: of the machine, of this process, and of the server's processes.

use super::log::{Column, Role, Show};
use super::{ELSEWHERE, Found, Meter, Place, Row, Setup};
use crate::schema::MeterUnit;
use rooflens_ground::os::proc::Proc;
use rooflens_ground::os::processes::{ProcessTree, ticks_per_second};

/// Processors and memory of the machine, of this process and of the server's.
pub(super) fn open(setup: &Setup) -> Found {
    let (proc, capacity) = (setup.proc.clone(), Capacity::of(&setup.proc));
    let away = setup.place == Place::Elsewhere;
    let whose = if away { ", of the machine that sends" } else { "" };
    let within = setup.place == Place::Within;
    let note = if within { "this process, with the runtime in it" } else { "this process" };
    let client = Client::new(&proc, capacity, note);
    let mut found = Found::meter(Host { proc, capacity, whose });
    found.meters.push(Box::new(client));
    match server(setup, capacity) {
        Ok(server) => found.meters.extend(server.map(|s| Box::new(s) as Box<dyn Meter>)),
        Err(why) => {
            let absent = SERVER.map(|(name, unit)| Found::absent(name, unit, why.into()).absent);
            found.absent.extend(absent.into_iter().flatten());
        }
    }
    found
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

/// What readings are shown against.
#[derive(Clone, Copy, Debug)]
struct Capacity {
    /// Processors of the machine.
    cores: Option<f64>,
    /// Main memory, bytes.
    memory: Option<f64>,
}

impl Capacity {
    fn of(proc: &Proc) -> Self {
        Self {
            cores: proc.ticks().map(|t| t.processors as f64),
            memory: proc.memory().map(|m| m.total as f64),
        }
    }

    fn cores(self, name: &str, note: String) -> Column {
        let of = self.cores;
        Column { show: Show::Rate, note, of, ..Column::new(name, MeterUnit::Cores) }
    }

    fn memory(self, name: &str, note: String) -> Column {
        let of = self.memory;
        Column { show: Show::Peak, note, of, ..Column::new(name, MeterUnit::Bytes) }
    }
}

/// The whole machine.
struct Host {
    proc: Proc,
    capacity: Capacity,
    /// Which machine, where there are two.
    whose: &'static str,
}

impl Meter for Host {
    fn columns(&self) -> Vec<Column> {
        vec![
            self.capacity.cores("host CPU", format!("the whole machine{}", self.whose)),
            self.capacity.memory("host memory", format!("peak{}", self.whose)),
        ]
    }

    fn read(&mut self, row: &mut Row<'_>) {
        row.push(self.proc.ticks().map(|t| t.busy as f64 / ticks_per_second()));
        let used = self.proc.memory().and_then(|m| Some(m.total.saturating_sub(m.available?)));
        row.push(used.map(|bytes| bytes as f64));
    }
}

/// This process.
struct Client {
    tree: ProcessTree,
    capacity: Capacity,
    note: &'static str,
}

impl Client {
    fn new(proc: &Proc, capacity: Capacity, note: &'static str) -> Self {
        Self { tree: ProcessTree::within(proc, std::process::id()), capacity, note }
    }
}

impl Meter for Client {
    fn columns(&self) -> Vec<Column> {
        vec![self.capacity.cores("client CPU", self.note.into())]
    }

    fn read(&mut self, row: &mut Row<'_>) {
        let there = self.tree.read();
        row.push(there.then(|| self.tree.seconds()));
    }
}

/// A process of this machine that serves, with everything it started.
struct Server {
    tree: ProcessTree,
    capacity: Capacity,
}

/// What a server's readings are called, with their units, where there are none too.
const SERVER: [(&str, MeterUnit); 2] =
    [("server CPU", MeterUnit::Cores), ("server memory", MeterUnit::Bytes)];
const ENDED: &str = "the server's process ended during the run";

impl Server {
    /// `None` where there is no such process.
    fn open(proc: &Proc, pid: u32, capacity: Capacity) -> Option<Self> {
        let mut tree = ProcessTree::within(proc, pid);
        tree.read().then_some(Self { tree, capacity })
    }
}

impl Meter for Server {
    fn columns(&self) -> Vec<Column> {
        let [(cpu, _), (memory, _)] = SERVER;
        let n = self.tree.processes();
        let plural = if n == 1 { "" } else { "es" };
        let who = format!("{} ({}), {n} process{plural}", self.tree.name(), self.tree.root());
        let shared = "peak resident; shared pages count for each process";
        vec![
            Column { missing: ENDED, role: Role::ServerCpu, ..self.capacity.cores(cpu, who) },
            Column { missing: ENDED, ..self.capacity.memory(memory, shared.into()) },
        ]
    }

    fn read(&mut self, row: &mut Row<'_>) {
        let there = self.tree.read();
        row.push(there.then(|| self.tree.seconds()));
        row.push(there.then(|| self.tree.resident_bytes() as f64));
    }
}
