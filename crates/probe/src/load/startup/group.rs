//! A server as a process group of its own: started, watched and ended, and never anything else.

use rooflens_ground::os::proc::{Proc, Stat};
use rooflens_ground::os::processes::ticks_per_second;
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
    /// Ends the group if this process ends without doing so.
    guard: Option<Child>,
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
        Ok(Self { child, guard: guard(id), id, over: false })
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
                    self.dismiss();
                    RUNNING.store(0, Ordering::SeqCst);
                    let _ = self.child.wait();
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Ends the guard, before the number of the group can become another's.
    fn dismiss(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            let _ = guard.kill();
            let _ = guard.wait();
        }
    }

    /// What its living processes have used; `None` where the system does not show them.
    pub fn usage(&self) -> Option<Usage> {
        let (members, proc) = (self.members(), Proc::default());
        let mut sum = Usage { read_bytes: Some(0), ..Usage::default() };
        for (pid, stat) in &members {
            sum.cpu_seconds += stat.own.saturating_add(stat.waited) as f64 / ticks_per_second();
            let peak = proc.number(*pid, "status", "VmHWM:").unwrap_or(0);
            sum.peak_rss_bytes = sum.peak_rss_bytes.saturating_add(peak.saturating_mul(1024));
            let read = proc.number(*pid, "io", "read_bytes:");
            sum.read_bytes = sum.read_bytes.zip(read).map(|(a, b)| a.saturating_add(b));
        }
        (!members.is_empty()).then_some(sum)
    }

    /// Regular files that its processes have open or mapped now.
    pub fn files(&self) -> Vec<PathBuf> {
        let proc = Proc::default();
        let members = self.members().into_iter();
        let mut found: Vec<PathBuf> = members.flat_map(|(pid, _)| proc.open_files(pid)).collect();
        found.sort();
        found.dedup();
        let system = |p: &PathBuf| ["/proc", "/sys", "/dev"].iter().any(|s| p.starts_with(s));
        found.retain(|path| path.is_absolute() && !system(path) && path.is_file());
        found
    }

    /// Its living processes.
    fn members(&self) -> Vec<(u32, Stat)> {
        let proc = Proc::default();
        let group = self.id.as_raw_nonzero().get();
        let all = proc.pids().into_iter().filter_map(|pid| Some((pid, proc.stat(pid)?)));
        // A process whose first thread has ended may have others, which hold its sockets.
        let lives = |pid: u32, stat: &Stat| !stat.ended || proc.has_living_thread(pid);
        all.filter(|(pid, stat)| stat.group == group && lives(*pid, stat)).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
        self.dismiss();
    }
}

/// A process that waits for the end of this one, which closes its standard input, and then ends the group: by
/// SIGKILL a process can be ended that has no time left to end others. It is of a group of its own, so that Ctrl-C
/// on a terminal does not reach it.
fn guard(group: Pid) -> Option<Child> {
    let script = "trap '' INT TERM HUP; read _; kill -s KILL -- \"-$1\"";
    Command::new("/bin/sh")
        .args(["-c", script, "sh", &group.as_raw_nonzero().get().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()
}

/// SIGKILL to the group that is running, for whoever cannot wait for it to be dropped.
pub fn end_now() {
    if let Some(id) = Pid::from_raw(RUNNING.swap(0, Ordering::SeqCst)) {
        let _ = kill_process_group(id, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
