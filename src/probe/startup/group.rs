//! A server as a process group of its own: started, watched and ended, and never anything else.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// The group that is running, for [`end_now`]; 0 where there is none.
static RUNNING: AtomicI32 = AtomicI32::new(0);
/// From SIGTERM to SIGKILL, and from SIGKILL to giving up.
const GRACE: Duration = Duration::from_secs(5);

/// A running server; it ends with this value.
///
/// Its first process is not reaped before the group is empty, so that the group's number belongs to
/// no other process while signals are sent to it.
#[derive(Debug)]
pub struct Group {
    child: Child,
    id: Pid,
    over: bool,
}

/// What the processes of a group have used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system time, of ended children too; in steps of the kernel's clock tick.
    pub cpu_seconds: f64,
    /// Sum of the processes' peaks; pages that they share count once for each.
    pub peak_rss_bytes: u64,
    /// Fetched from storage; `None` where the system does not tell.
    pub read_bytes: Option<u64>,
}

impl Group {
    /// Runs `command` with `sh -c`; what it prints goes to the file `log`.
    pub fn spawn(command: &str, log: &Path) -> io::Result<Self> {
        let out = File::create(log)?;
        let child = Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()?;
        let id = Pid::from_child(&child);
        RUNNING.store(id.as_raw_nonzero().get(), Ordering::SeqCst);
        Ok(Self { child, id, over: false })
    }

    /// How it ended, if no process of it is alive.
    pub fn ended(&self) -> Option<String> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = match waitid(WaitId::Pid(self.id), options) {
            Ok(status) => status?,
            Err(error) => return Some(error.to_string()),
        };
        if !self.members().is_empty() {
            return None;
        }
        Some(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("with exit code {code}"),
            (None, Some(signal)) => format!("by signal {signal}"),
            (None, None) => "for an unknown reason".into(),
        })
    }

    /// SIGTERM, and SIGKILL to what is still there after five seconds.
    pub fn stop(&mut self) {
        if self.over {
            return;
        }
        self.over = true;
        for signal in [Signal::TERM, Signal::KILL] {
            // Fails only where nothing is left to signal.
            let _ = kill_process_group(self.id, signal);
            let begin = Instant::now();
            while begin.elapsed() < GRACE {
                if self.ended().is_some() {
                    RUNNING.store(0, Ordering::SeqCst);
                    let _ = self.child.wait();
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// What its living processes have used; `None` where /proc does not tell.
    pub fn usage(&self) -> Option<Usage> {
        let members = self.members();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let mut sum = Usage { read_bytes: Some(0), ..Usage::default() };
        for member in &members {
            sum.cpu_seconds += member.ticks as f64 / ticks;
            let folder = PathBuf::from(format!("/proc/{}", member.pid));
            let peak = field(&folder.join("status"), "VmHWM:").unwrap_or(0);
            sum.peak_rss_bytes = sum.peak_rss_bytes.saturating_add(peak.saturating_mul(1024));
            let read = field(&folder.join("io"), "read_bytes:");
            sum.read_bytes = sum.read_bytes.zip(read).map(|(a, b)| a.saturating_add(b));
        }
        (!members.is_empty()).then_some(sum)
    }

    /// Regular files that its processes have open or mapped now.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for member in self.members() {
            let maps = std::fs::read_to_string(format!("/proc/{}/maps", member.pid));
            let maps = maps.unwrap_or_default();
            found
                .extend(maps.lines().filter_map(|l| l.find('/').map(|at| PathBuf::from(&l[at..]))));
            let open = std::fs::read_dir(format!("/proc/{}/fd", member.pid));
            let open = open.into_iter().flatten().flatten();
            found.extend(open.filter_map(|entry| std::fs::read_link(entry.path()).ok()));
        }
        found.sort();
        found.dedup();
        let system = |p: &PathBuf| ["/proc", "/sys", "/dev"].iter().any(|s| p.starts_with(s));
        found.retain(|path| path.is_absolute() && !system(path) && path.is_file());
        found
    }

    /// Its living processes, by /proc.
    fn members(&self) -> Vec<Member> {
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let group = self.id.as_raw_nonzero().get();
        let read = |entry: std::fs::DirEntry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            Member::parse(pid, &text, group)
        };
        all.filter_map(read).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
    }
}

/// SIGKILL to the group that is running, for whoever cannot wait for it to be dropped.
pub fn end_now() {
    if let Some(id) = Pid::from_raw(RUNNING.swap(0, Ordering::SeqCst)) {
        let _ = kill_process_group(id, Signal::KILL);
    }
}

#[derive(Debug, PartialEq)]
struct Member {
    pid: u32,
    ticks: u64,
}

impl Member {
    /// From `/proc/PID/stat`: `None` for other groups and for what has ended.
    fn parse(pid: u32, text: &str, group: i32) -> Option<Self> {
        // The name in parentheses may hold anything.
        let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
        let own = fields.get(2)?.parse::<i32>().ok()? == group;
        let alive = !matches!(*fields.first()?, "Z" | "X" | "x");
        let ticks = fields.get(11..15)?.iter().map(|f| f.parse::<u64>().unwrap_or(0)).sum();
        (own && alive).then_some(Self { pid, ticks })
    }
}

/// The number behind a name in a file of /proc.
fn field(path: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_and_parentheses() {
        let text = "7 (a) b (c) S 1 5 5 0 -1 4194304 1 0 0 0 3 4 5 6 20 0 1 0";
        assert_eq!(Member::parse(7, text, 5), Some(Member { pid: 7, ticks: 18 }));
        assert_eq!(Member::parse(7, text, 6), None);
        assert_eq!(Member::parse(7, "7 (x) Z 1 5 5 0 0 0 0 0 0 0 1 1 1 1", 5), None);
        assert_eq!(Member::parse(7, "7 (x", 5), None);
    }

    #[test]
    fn the_whole_group_ends_even_if_it_ignores_being_asked() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut group = Group::spawn("sleep 300 & sleep 301 & echo here; wait", &log).unwrap();
        while std::fs::read_to_string(&log).unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(group.ended().is_none());
        assert_eq!(group.members().len(), 3);
        assert!(group.usage().unwrap().peak_rss_bytes > 0);
        group.stop();
        assert!(group.members().is_empty());
        let mut left = Group::spawn("sleep 302 & exit 3", &log).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert!(left.ended().is_none(), "a process of the group is alive");
        left.stop();
        assert!(left.members().is_empty());
        let gone = Group::spawn("exit 3", &log).unwrap();
        while gone.ended().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(gone.ended().unwrap(), "with exit code 3");
    }
}
