//! Control groups of this process, of either version: how often they were stopped because a CPU quota was used up.
//!
//! A quota may be set on any group above that of the process, so that all of them are read.

use std::fs::read_to_string;
use std::path::{Component, Path, PathBuf};

/// Where control groups are found, under folders that tests replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlGroups {
    proc: PathBuf,
    sys: PathBuf,
}

/// Stops for a used-up quota since the groups were made, of a group and those above it together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuotaStops {
    /// Periods in which a group was stopped.
    pub count: u64,
    /// Seconds that its threads were stopped, added up over processors.
    pub seconds: f64,
}

impl QuotaStops {
    /// What was added since an earlier reading.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            count: self.count.saturating_sub(earlier.count),
            seconds: (self.seconds - earlier.seconds).max(0.0),
        }
    }
}

impl Default for ControlGroups {
    fn default() -> Self {
        Self::at(Path::new("/proc"), Path::new("/sys"))
    }
}

impl ControlGroups {
    /// The same files under other folders.
    pub fn at(proc: &Path, sys: &Path) -> Self {
        Self { proc: proc.into(), sys: sys.into() }
    }

    /// The stops of all groups that this process is in; `None` where no group keeps such a count.
    pub fn quota_stops(&self) -> Option<QuotaStops> {
        let text = read_to_string(self.proc.join("self/cgroup")).unwrap_or_default();
        let mut groups: Vec<PathBuf> = text.lines().flat_map(|line| self.groups(line)).collect();
        // What a container shows as the root is its own group.
        let roots = ["", "unified", "cpu", "cpu,cpuacct"];
        groups.extend(roots.iter().map(|root| self.mount(root)));
        // Version 1 mounts one hierarchy under two names.
        let mut groups: Vec<PathBuf> =
            groups.iter().filter_map(|g| g.join("cpu.stat").canonicalize().ok()).collect();
        groups.sort();
        groups.dedup();
        let stops = groups.iter().filter_map(|file| stops(&read_to_string(file).ok()?));
        stops.reduce(|a, b| QuotaStops { count: a.count + b.count, seconds: a.seconds + b.seconds })
    }

    fn mount(&self, name: &str) -> PathBuf {
        self.sys.join("fs/cgroup").join(name)
    }

    /// The folders of a group that a line of `/proc/self/cgroup` names, and of those above it.
    fn groups(&self, line: &str) -> Vec<PathBuf> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            return Vec::new();
        };
        let mounts: &[&str] = match controllers {
            "" => &["", "unified"],
            other if other.split(',').any(|c| c == "cpu") => &["cpu", "cpu,cpuacct"],
            _ => return Vec::new(),
        };
        let mut inner: PathBuf =
            Path::new(path).components().filter(|c| matches!(c, Component::Normal(_))).collect();
        let mut found = Vec::new();
        while !inner.as_os_str().is_empty() {
            found.extend(mounts.iter().map(|mount| self.mount(mount).join(&inner)));
            inner.pop();
        }
        found
    }
}

/// What a group's `cpu.stat` says.
fn stops(text: &str) -> Option<QuotaStops> {
    let number = |name: &str| {
        let mut lines = text.lines().filter_map(|l| l.split_once(' '));
        lines.find(|(key, _)| *key == name)?.1.trim().parse::<u64>().ok()
    };
    let micros = number("throttled_usec").map(|n| n as f64 * 1e-6);
    let seconds = micros.or(number("throttled_time").map(|n| n as f64 * 1e-9)).unwrap_or(0.0);
    Some(QuotaStops { count: number("nr_throttled")?, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stops that are read where `/proc/self/cgroup` and files below `/sys/fs/cgroup` are these.
    fn read(own: &str, files: &[(&str, &str)]) -> Option<QuotaStops> {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: String, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/self/cgroup".into(), own);
        for (path, text) in files {
            write(format!("sys/fs/cgroup/{path}/cpu.stat"), text);
        }
        ControlGroups::at(&folder.path().join("proc"), &folder.path().join("sys")).quota_stops()
    }

    #[test]
    fn a_quota_of_any_group_above_counts() {
        let new = |n, usec| {
            format!("usage_usec 5\nnr_periods 9\nnr_throttled {n}\nthrottled_usec {usec}\n")
        };
        let (outer, inner) = (new(4, 500_000), new(1, 250_000));
        let found = read("0::/a/b\n", &[("a", &outer), ("a/b", &inner), ("c", &outer)]).unwrap();
        assert_eq!(found, QuotaStops { count: 5, seconds: 0.75 });
        // A container's own group is its root.
        assert_eq!(read("0::/\n", &[("", &outer)]).unwrap().count, 4);
        assert_eq!(read("0::/../x\n", &[("", "usage_usec 5\n")]), None);
        assert_eq!(read("", &[]), None);
    }

    #[test]
    fn groups_of_the_first_version() {
        let old = "nr_periods 3\nnr_throttled 2\nthrottled_time 1500000000\n";
        let own = "9:name=systemd:/x\n4:memory:/m\n1:cpu,cpuacct:/job/7\n0::/\n";
        let files = [("cpu,cpuacct/job", old), ("cpu,cpuacct/job/7", old), ("memory/m", old)];
        let found = read(own, &files).unwrap();
        assert_eq!(found, QuotaStops { count: 4, seconds: 3.0 });
    }
}
