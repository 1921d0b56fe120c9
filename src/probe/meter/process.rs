//! Processor time and memory of this machine and of a server's processes, from `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where the kernel shows processes.
pub const PROC: &str = "/proc";

/// A process with everything it started.
///
/// Processor time is added up from reading to reading, so that children which ended in between
/// keep counting: what their parent was told of them when it waited for them, less what was seen
/// of them while they lived.
#[derive(Clone, Debug)]
pub struct ProcessTree {
    proc: PathBuf,
    root: u32,
    seen: BTreeMap<u32, Seen>,
    seconds: f64,
    resident: u64,
}

/// One process at the last reading; times in ticks.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    parent: u32,
    began: u64,
    own: u64,
    waited: u64,
    /// Of children that are gone: already counted, and still to come in `waited`.
    credit: u64,
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stat {
    parent: u32,
    began: u64,
    own: u64,
    waited: u64,
    pages: u64,
}

impl ProcessTree {
    /// The tree under `root`, of which nothing has been read yet.
    pub fn of(root: u32) -> Self {
        Self::within(Path::new(PROC), root)
    }

    /// The same under another `/proc`.
    pub fn within(proc: &Path, root: u32) -> Self {
        Self { proc: proc.into(), root, seen: BTreeMap::new(), seconds: 0.0, resident: 0 }
    }

    /// The process at its head.
    pub fn root(&self) -> u32 {
        self.root
    }

    /// Reads again; false when the head is gone.
    pub fn read(&mut self) -> bool {
        let first = self.seen.is_empty();
        let mut before = std::mem::take(&mut self.seen);
        // With what each has been told of children since the last reading.
        let mut now: BTreeMap<u32, (Seen, u64)> = BTreeMap::new();
        let (mut ticks, mut pages) = (0, 0);
        let mut open = vec![self.root];
        while let Some(pid) = open.pop() {
            let Some(stat) = stat(&self.proc, pid) else { continue };
            pages += stat.pages;
            let Stat { parent, began, own, waited, .. } = stat;
            let known = before.get(&pid).is_some_and(|b| b.began == began);
            let mut seen = Seen { parent, began, own, waited, credit: 0 };
            // What was there before the first reading does not count, but a new process does.
            let old = match before.remove(&pid).filter(|_| known) {
                Some(old) => old,
                None if first => seen,
                None => Seen::default(),
            };
            ticks += own.saturating_sub(old.own);
            seen.credit = old.credit;
            now.insert(pid, (seen, waited.saturating_sub(old.waited)));
            open.extend(children(&self.proc, pid).into_iter().filter(|c| !now.contains_key(c)));
        }
        // What was seen of those that are gone is credited to the next of kin that lives.
        for gone in before.values() {
            let mut kin = gone.parent;
            for _ in 0..before.len() {
                let Some(next) = before.get(&kin) else { break };
                kin = next.parent;
            }
            if let Some((seen, _)) = now.get_mut(&kin) {
                seen.credit += gone.own + gone.waited + gone.credit;
            }
        }
        for (seen, told) in now.values_mut() {
            let known = seen.credit.min(*told);
            seen.credit -= known;
            ticks += *told - known;
        }
        self.seconds += ticks as f64 / ticks_per_second();
        self.resident = pages.saturating_mul(page_bytes());
        self.seen = now.into_iter().map(|(pid, (seen, _))| (pid, seen)).collect();
        self.seen.contains_key(&self.root)
    }

    /// Processor seconds since the first reading.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Bytes in memory at the last reading; what processes share counts for each.
    pub fn resident_bytes(&self) -> u64 {
        self.resident
    }

    /// Processes at the last reading.
    pub fn processes(&self) -> usize {
        self.seen.len()
    }

    /// The command of the head.
    pub fn name(&self) -> String {
        let text = std::fs::read_to_string(self.proc.join(self.root.to_string()).join("comm"));
        text.map(|t| t.trim().to_owned()).unwrap_or_default()
    }
}

fn ticks_per_second() -> f64 {
    #[cfg(unix)]
    return rustix::param::clock_ticks_per_second() as f64;
    #[cfg(not(unix))]
    return 100.0;
}

fn page_bytes() -> u64 {
    #[cfg(unix)]
    return rustix::param::page_size() as u64;
    #[cfg(not(unix))]
    return 4096;
}

fn stat(proc: &Path, pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?)
}

/// Fields behind the name, which may hold blanks and brackets.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok());
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        own: number(11)?.saturating_add(number(12)?),
        waited: number(13)?.saturating_add(number(14)?),
        began: number(19)?,
        pages: number(21)?,
    })
}

/// Children of all threads; the whole of `/proc` is searched where the kernel does not list them.
fn children(proc: &Path, pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(proc.join(pid.to_string()).join("task"));
    let (mut listed, mut found) = (false, Vec::new());
    for task in tasks.into_iter().flatten().flatten() {
        if let Ok(text) = std::fs::read_to_string(task.path().join("children")) {
            listed = true;
            found.extend(text.split_whitespace().filter_map(|c| c.parse::<u32>().ok()));
        }
    }
    if listed {
        return found;
    }
    let all = pids(proc).into_iter();
    all.filter(|p| stat(proc, *p).is_some_and(|s| s.parent == pid)).collect()
}

fn pids(proc: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
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

/// The process that listens on a TCP port of this machine: of those that share the socket, the one
/// that the others descend from.
pub fn listener(proc: &Path, port: u16) -> Result<u32, ListenerError> {
    let mut sockets = BTreeSet::new();
    let mut tables = 0;
    for table in ["tcp", "tcp6"] {
        let Ok(text) = std::fs::read_to_string(proc.join("net").join(table)) else { continue };
        tables += 1;
        sockets.extend(text.lines().filter_map(|line| listening(line, port)));
    }
    if tables == 0 {
        return Err(ListenerError::NoTable);
    }
    if sockets.is_empty() {
        return Err(ListenerError::Nobody(port));
    }
    let holders: BTreeSet<u32> =
        pids(proc).into_iter().filter(|pid| holds(proc, *pid, &sockets)).collect();
    let heads = holders
        .iter()
        .copied()
        .find(|pid| stat(proc, *pid).is_some_and(|s| !holders.contains(&s.parent)));
    heads.ok_or(ListenerError::Hidden(port))
}

/// The inode of a line of `/proc/net/tcp` that listens on the port.
fn listening(line: &str, port: u16) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let number = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    (number == port && *state == "0A").then_some(inode.parse().ok()?)
}

fn holds(proc: &Path, pid: u32, sockets: &BTreeSet<u64>) -> bool {
    let files = std::fs::read_dir(proc.join(pid.to_string()).join("fd"));
    files.into_iter().flatten().flatten().any(|file| {
        let Ok(to) = std::fs::read_link(file.path()) else { return false };
        let text = to.to_string_lossy();
        let inode = text.strip_prefix("socket:[").and_then(|t| t.strip_suffix(']'));
        inode.and_then(|i| i.parse().ok()).is_some_and(|i| sockets.contains(&i))
    })
}

/// Busy processor seconds of the machine since it started, and how many processors it has.
pub fn host_processors(proc: &Path) -> Option<(f64, usize)> {
    let text = std::fs::read_to_string(proc.join("stat")).ok()?;
    let first = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = first.split_whitespace().map_while(|n| n.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are in user. Idle, waiting for a disk
    // and stolen time are not this machine's work.
    let busy: u64 = [0, 1, 2, 5, 6].iter().filter_map(|i| ticks.get(*i)).sum();
    let count = text.lines().filter(|l| {
        l.strip_prefix("cpu").is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))
    });
    (ticks.len() >= 7).then_some((busy as f64 / ticks_per_second(), count.count().max(1)))
}

/// Bytes of memory in use, and in all.
pub fn host_memory(proc: &Path) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(proc.join("meminfo")).ok()?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name))?;
        line.trim().split(' ').next()?.parse::<u64>().ok()
    };
    let (total, available) = (kib("MemTotal:")?, kib("MemAvailable:")?);
    Some((total.saturating_sub(available) << 10, total << 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `/proc` of processes: pid, parent, ticks of its own, ticks it waited for, children.
    fn fake(root: &Path, processes: &[(u32, u32, u64, u64, &str)]) {
        for pid in pids(root) {
            std::fs::remove_dir_all(root.join(pid.to_string())).unwrap();
        }
        for (pid, parent, own, waited, children) in processes {
            let folder = root.join(pid.to_string());
            std::fs::create_dir_all(folder.join(format!("task/{pid}"))).unwrap();
            std::fs::write(folder.join(format!("task/{pid}/children")), children).unwrap();
            let text = format!(
                "{pid} (a) b) S {parent} 1 1 0 -1 0 0 0 0 0 {own} 0 {waited} 0 20 0 1 0 {} 1 10 0",
                100 + pid
            );
            std::fs::write(folder.join("stat"), text).unwrap();
        }
    }

    #[test]
    fn a_tree_counts_children_once_and_after_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let mut tree = ProcessTree::within(root, 10);
        assert!(!tree.read());
        fake(root, &[(10, 1, 1000, 50, "11"), (11, 10, 300, 0, "")]);
        assert!(tree.read());
        assert!((tree.seconds() - 0.0).abs() < 1e-9 && tree.processes() == 2);
        // Ten ticks of the head, 40 of the child, and a new one with all of its seven.
        fake(root, &[(10, 1, 1010, 50, "11 12"), (11, 10, 340, 0, ""), (12, 10, 7, 0, "")]);
        tree.read();
        assert!((tree.seconds() - 0.57).abs() < 1e-9, "{}", tree.seconds());
        assert_eq!(tree.resident_bytes(), 30 * page_bytes());
        // The first child ends with 345 ticks, of which 340 are counted; a third came and went
        // unseen with 20. The head is told 365 of both.
        fake(root, &[(10, 1, 1010, 415, "12"), (12, 10, 7, 0, "")]);
        tree.read();
        assert!((tree.seconds() - 0.82).abs() < 1e-9, "{}", tree.seconds());
        // A number given to another process is not the old process going backwards.
        fake(root, &[(10, 1, 1011, 415, "12"), (12, 10, 3, 0, "")]);
        tree.read();
        assert!((tree.seconds() - 0.83).abs() < 1e-9, "{}", tree.seconds());
        fake(root, &[]);
        assert!(!tree.read());
    }

    #[test]
    fn hostile_stat_lines() {
        assert!(parse_stat("").is_none());
        assert!(parse_stat("1 (x) S 1").is_none());
        assert!(parse_stat(&format!("1 (x) S {}", "-1 ".repeat(40))).is_none());
        let all = format!("1 (x) S 1 {}", format!("{} ", u64::MAX).repeat(30));
        assert_eq!(parse_stat(&all).unwrap().own, u64::MAX);
    }

    /// This process, beside what the kernel accounts for its threads.
    #[test]
    fn a_busy_process_is_seen() {
        let mut tree = ProcessTree::of(std::process::id());
        assert!(tree.read());
        let begin = std::time::Instant::now();
        let mut child = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"])
            .spawn()
            .unwrap();
        child.wait().unwrap();
        let wall = begin.elapsed().as_secs_f64();
        tree.read();
        // The shell came and went between two readings and is counted all the same.
        assert!(tree.seconds() > 0.0 && tree.seconds() < 64.0 * wall + 0.1, "{}", tree.seconds());
        assert!(tree.resident_bytes() > 1 << 20);
    }

    #[test]
    fn the_listener_of_a_port() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(Path::new(PROC), port), Ok(std::process::id()));
        drop(socket);
        assert_eq!(listener(Path::new(PROC), port), Err(ListenerError::Nobody(port)));
    }

    #[test]
    fn the_host() {
        let (busy, count) = host_processors(Path::new(PROC)).unwrap();
        assert!(busy > 0.0 && count >= 1);
        let (used, all) = host_memory(Path::new(PROC)).unwrap();
        assert!(0 < used && used < all);
        assert!(host_processors(Path::new("/nowhere")).is_none());
    }
}
