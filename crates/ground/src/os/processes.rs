//! A process with everything it started: its processor time and memory over the course of a run.

use super::proc::{Proc, Stat};
use std::collections::BTreeMap;

/// A process with everything it started.
///
/// Processor time is added up from reading to reading, so that children which ended in between
/// keep counting: what their parent was told of them when it waited for them, less what was seen
/// of them while they lived.
#[derive(Clone, Debug)]
pub struct ProcessTree {
    proc: Proc,
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

impl ProcessTree {
    /// The tree under `root`, of which nothing has been read yet.
    pub fn within(proc: &Proc, root: u32) -> Self {
        Self { proc: proc.clone(), root, seen: BTreeMap::new(), seconds: 0.0, resident: 0 }
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
            let Some(stat) = self.proc.stat(pid) else { continue };
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
            open.extend(self.proc.children(pid).into_iter().filter(|c| !now.contains_key(c)));
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
        for (seen, credited) in now.values_mut() {
            let known = seen.credit.min(*credited);
            seen.credit -= known;
            ticks += *credited - known;
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
        self.proc.command(self.root)
    }
}

/// Clock ticks per second, the unit of times in `/proc`.
pub fn ticks_per_second() -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A `/proc` of processes: pid, parent, ticks of its own, ticks it waited for, children.
    fn fake(root: &Path, processes: &[(u32, u32, u64, u64, &str)]) {
        for pid in Proc::at(root).pids() {
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
        let mut tree = ProcessTree::within(&Proc::at(root), 10);
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

    /// This process, beside what the kernel accounts for its threads.
    #[test]
    fn a_busy_process_is_seen() {
        let mut tree = ProcessTree::within(&Proc::default(), std::process::id());
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
}
