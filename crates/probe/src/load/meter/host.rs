//! Processor time and memory: of the machine, of this process, and of the server's processes.

use super::log::{Column, Role, Show};
use super::{Meter, Row};
use crate::schema::MeterUnit;
use rooflens_ground::os::proc::Proc;
use rooflens_ground::os::processes::{ProcessTree, ticks_per_second};

/// What readings are shown against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// Processors of the machine.
    cores: Option<f64>,
    /// Main memory, bytes.
    memory: Option<f64>,
}

impl Capacity {
    pub(super) fn of(proc: &Proc) -> Self {
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
pub(super) struct Host {
    pub(super) proc: Proc,
    pub(super) capacity: Capacity,
    /// Which machine, where there are two.
    pub(super) whose: &'static str,
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
pub(super) struct Client {
    tree: ProcessTree,
    capacity: Capacity,
    note: &'static str,
}

impl Client {
    pub(super) fn new(proc: &Proc, capacity: Capacity, note: &'static str) -> Self {
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
pub(super) struct Server {
    tree: ProcessTree,
    capacity: Capacity,
}

/// What a server's readings are called, with their units, where there are none too.
pub(super) const SERVER: [(&str, MeterUnit); 2] =
    [("server CPU", MeterUnit::Cores), ("server memory", MeterUnit::Bytes)];
const ENDED: &str = "the server's process ended during the run";

impl Server {
    /// `None` where there is no such process.
    pub(super) fn open(proc: &Proc, pid: u32, capacity: Capacity) -> Option<Self> {
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
