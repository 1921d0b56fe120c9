//! `/proc`: memory, processors, processes, threads and listening sockets.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_link, read_to_string};
use std::path::{Path, PathBuf};

/// The kernel's view of processes, under a folder that tests replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proc(PathBuf);

/// Main memory of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Installed, as far as the kernel may use it; bytes.
    pub total: u64,
    /// What programs may still take without swapping, as the kernel estimates it; bytes.
    pub available: Option<u64>,
}

/// Clock ticks of all processors since the machine started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    /// Spent working: user, nice, system and interrupts.
    pub busy: u64,
    /// Given by the hypervisor to other guests.
    pub stolen: u64,
    /// All, idle ones included.
    pub all: u64,
    /// How many processors the ticks are of, 1 or more.
    pub processors: usize,
}

impl Ticks {
    /// Share of the ticks since an earlier reading that were stolen, 0 to 1.
    pub fn stolen_share(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        (self.stolen.saturating_sub(earlier.stolen) as f64 / all as f64).min(1.0)
    }
}

/// A process at an instant; times in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Whether it has ended and only waits to be reaped.
    pub ended: bool,
    /// The process that started it.
    pub parent: u32,
    /// Its process group.
    pub group: i32,
    /// When it was started, since the machine was.
    pub began: u64,
    /// Its own user and system time.
    pub own: u64,
    /// That of the children it has waited for.
    pub waited: u64,
    /// Pages in memory.
    pub pages: u64,
}

/// Time of a thread since it began, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ThreadTime {
    /// On a processor.
    pub running: f64,
    /// Ready to run and waiting for a processor.
    pub waiting: f64,
}

impl Default for Proc {
    fn default() -> Self {
        Self("/proc".into())
    }
}

impl Proc {
    /// The same files under another folder.
    pub fn at(root: &Path) -> Self {
        Self(root.into())
    }

    fn text(&self, path: &str) -> Option<String> {
        read_to_string(self.0.join(path)).ok()
    }

    fn of(&self, pid: u32, file: &str) -> PathBuf {
        self.0.join(pid.to_string()).join(file)
    }

    /// `meminfo`.
    pub fn memory(&self) -> Option<Memory> {
        let text = self.text("meminfo")?;
        let bytes = |name| amount(&text, name)?.checked_mul(1024);
        Some(Memory { total: bytes("MemTotal:")?, available: bytes("MemAvailable:") })
    }

    /// A field of the first processor in `cpuinfo`.
    pub fn processor(&self, field: &str) -> Option<String> {
        let text = self.text("cpuinfo")?;
        let mut fields = text.lines().filter_map(|l| l.split_once(':'));
        let (_, value) = fields.find(|(name, _)| name.trim() == field)?;
        Some(value.trim().to_owned())
    }

    /// Name and release of the kernel, such as `Linux 6.1.0`.
    pub fn kernel(&self) -> Option<String> {
        let read = |name| self.text(name).map(|text| text.trim().to_owned());
        Some(format!("{} {}", read("sys/kernel/ostype")?, read("sys/kernel/osrelease")?))
    }

    /// The first line of `stat`.
    pub fn ticks(&self) -> Option<Ticks> {
        let text = self.text("stat")?;
        let first = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = first.split_whitespace().map_while(|n| n.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are in user. Idle, waiting for a
        // disk and stolen time are not this machine's work.
        let sum = |places: &[usize]| {
            let known = places.iter().filter_map(|i| ticks.get(*i));
            known.fold(0u64, |sum, t| sum.saturating_add(*t))
        };
        let processors = text.lines().filter(|l| {
            l.strip_prefix("cpu").is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))
        });
        (ticks.len() >= 7).then(|| Ticks {
            busy: sum(&[0, 1, 2, 5, 6]),
            stolen: sum(&[7]),
            all: sum(&[0, 1, 2, 3, 4, 5, 6, 7]),
            processors: processors.count().max(1),
        })
    }

    /// The calling thread; `None` where the kernel does not account threads.
    pub fn thread(&self) -> Option<ThreadTime> {
        let text = self.text("thread-self/schedstat")?;
        let mut seconds = text.split_whitespace().map_while(|n| n.parse::<f64>().ok());
        let mut next = || seconds.next().map(|n| n * 1e-9);
        Some(ThreadTime { running: next()?, waiting: next()? })
    }

    /// Processes that this one can see.
    pub fn pids(&self) -> Vec<u32> {
        let entries = read_dir(&self.0).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
    }

    /// `PID/stat`; `None` once the process is gone.
    pub fn stat(&self, pid: u32) -> Option<Stat> {
        Stat::parse(&read_to_string(self.of(pid, "stat")).ok()?)
    }

    /// Whether any thread of a process still runs.
    pub fn has_living_thread(&self, pid: u32) -> bool {
        let tasks = read_dir(self.of(pid, "task")).into_iter().flatten().flatten();
        let stats = tasks.filter_map(|task| read_to_string(task.path().join("stat")).ok());
        stats.filter_map(|text| Stat::parse(&text)).any(|stat| !stat.ended)
    }

    /// The name of the command that a process runs; empty once it is gone.
    pub fn command(&self, pid: u32) -> String {
        read_to_string(self.of(pid, "comm")).map(|t| t.trim().to_owned()).unwrap_or_default()
    }

    /// The number behind a name in a file of a process, such as `VmHWM:` in `status`.
    pub fn number(&self, pid: u32, file: &str, name: &str) -> Option<u64> {
        amount(&read_to_string(self.of(pid, file)).ok()?, name)
    }

    /// Children of all threads; all processes are searched where the kernel does not list them.
    pub fn children(&self, pid: u32) -> Vec<u32> {
        let tasks = read_dir(self.of(pid, "task"));
        let (mut listed, mut found) = (false, Vec::new());
        for task in tasks.into_iter().flatten().flatten() {
            if let Ok(text) = read_to_string(task.path().join("children")) {
                listed = true;
                found.extend(text.split_whitespace().filter_map(|c| c.parse::<u32>().ok()));
            }
        }
        if listed {
            return found;
        }
        let all = self.pids().into_iter();
        all.filter(|p| self.stat(*p).is_some_and(|s| s.parent == pid)).collect()
    }

    /// What a process has open or mapped: files, and names of sockets and the like.
    pub fn open_files(&self, pid: u32) -> Vec<PathBuf> {
        let maps = read_to_string(self.of(pid, "maps")).unwrap_or_default();
        let mapped = maps.lines().filter_map(|l| Some(PathBuf::from(l.get(l.find('/')?..)?)));
        let mut found: Vec<PathBuf> = mapped.collect();
        found.extend(self.descriptors(pid));
        found
    }

    fn descriptors(&self, pid: u32) -> impl Iterator<Item = PathBuf> {
        let open = read_dir(self.of(pid, "fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| read_link(entry.path()).ok())
    }

    /// The process that listens on a TCP port of this machine: of those that share the socket, the
    /// one that the others descend from.
    pub fn listener(&self, port: u16) -> Result<u32, ListenerError> {
        let tables = ["net/tcp", "net/tcp6"].map(|table| self.text(table));
        if tables.iter().all(Option::is_none) {
            return Err(ListenerError::NoTable);
        }
        let lines = tables.iter().flatten().flat_map(|text| text.lines());
        let sockets: BTreeSet<u64> = lines.filter_map(|line| listening(line, port)).collect();
        if sockets.is_empty() {
            return Err(ListenerError::Nobody(port));
        }
        let holds = |pid: &u32| {
            self.descriptors(*pid).any(|to| inode(&to).is_some_and(|i| sockets.contains(&i)))
        };
        let holders: BTreeSet<u32> = self.pids().into_iter().filter(holds).collect();
        let head = |pid: &u32| self.stat(*pid).is_some_and(|s| !holders.contains(&s.parent));
        holders.iter().copied().find(head).ok_or(ListenerError::Hidden(port))
    }
}

impl Stat {
    /// Fields behind the name, which may hold blanks and brackets.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok());
        Some(Self {
            ended: matches!(*fields.first()?, "Z" | "X" | "x"),
            parent: u32::try_from(number(1)?).ok()?,
            group: fields.get(2)?.parse().ok()?,
            own: number(11)?.saturating_add(number(12)?),
            waited: number(13)?.saturating_add(number(14)?),
            began: number(19)?,
            pages: number(21)?,
        })
    }
}

/// The number behind a name at the beginning of a line.
fn amount(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Why the process behind a port is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenerError {
    /// The kernel shows no connections here.
    #[error("/proc/net/tcp cannot be read")]
    NoTable,
    /// Nobody that this process can see.
    #[error("no process of this namespace listens on port {0}")]
    Nobody(u16),
    /// Someone, whose descriptors may not be looked at.
    #[error("the process that listens on port {0} belongs to another user")]
    Hidden(u16),
}

/// The inode of a line of `/proc/net/tcp` that listens on the port.
fn listening(line: &str, port: u16) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let number = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    (number == port && *state == "0A").then_some(inode.parse().ok()?)
}

/// The inode of a descriptor that is a socket.
fn inode(to: &Path) -> Option<u64> {
    to.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn names_with_blanks_and_brackets() {
        let text = "7 (a) b (c) S 1 5 5 0 -1 4194304 1 0 0 0 3 4 5 6 20 0 1 0 99 1 12 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.parent, stat.group, stat.ended), (1, 5, false));
        assert_eq!((stat.own, stat.waited, stat.began, stat.pages), (7, 11, 99, 12));
        assert!(Stat::parse(&text.replace(" S ", " Z ")).unwrap().ended);
    }

    #[test]
    fn hostile_stat_lines() {
        assert!(Stat::parse("").is_none());
        assert!(Stat::parse("1 (x) S 1").is_none());
        assert!(Stat::parse(&format!("1 (x) S {}", "-1 ".repeat(40))).is_none());
        let all = format!("1 (x) S 1 2 {}", format!("{} ", u64::MAX).repeat(30));
        assert_eq!(Stat::parse(&all).unwrap().own, u64::MAX);
    }

    #[test]
    fn the_listener_of_a_port() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(Proc::default().listener(port), Ok(std::process::id()));
        drop(socket);
        assert_eq!(Proc::default().listener(port), Err(ListenerError::Nobody(port)));
        let nowhere = Proc::at("/nowhere".as_ref());
        assert_eq!(nowhere.listener(port), Err(ListenerError::NoTable));
    }

    #[test]
    fn this_machine_has_memory_processors_and_a_thread() {
        let proc = Proc::default();
        let ticks = proc.ticks().unwrap();
        assert!(0 < ticks.busy && ticks.busy <= ticks.all && ticks.processors >= 1);
        let memory = proc.memory().unwrap();
        assert!(memory.available.unwrap() < memory.total);
        assert!(proc.thread().is_some());
        assert!(Proc::at("/nowhere".as_ref()).ticks().is_none());
    }

    #[test]
    fn lines_of_memory_and_processors_are_read_and_absent_ones_are_not_zero() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        let proc = Proc::at(folder.path());
        write("meminfo", "MemTotal:  8 kB\nMemFree: 1 kB\n");
        assert_eq!(proc.memory(), Some(Memory { total: 8192, available: None }));
        write("meminfo", &format!("MemTotal: {} kB\n", u64::MAX));
        assert_eq!(proc.memory(), None);
        write("stat", "cpu  1 2 3 4 5 6 7 8 9\ncpu0 1\ncpu1 1\nintr 5\n");
        let ticks = Ticks { busy: 19, stolen: 8, all: 36, processors: 2 };
        assert_eq!(proc.ticks(), Some(ticks));
        write("stat", "cpu  1 2 3\n");
        assert_eq!(proc.ticks(), None);
        write("cpuinfo", "model name\t: A CPU @ 3: GHz\n");
        assert_eq!(proc.processor("model name").as_deref(), Some("A CPU @ 3: GHz"));
    }
}
