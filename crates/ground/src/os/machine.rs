//! Which machine this is: what a result must carry, so that nobody takes it for that of another.

use super::nvml::Driver;
use super::proc::Proc;
use crate::text::fingerprint;
use std::fmt::Write;
use std::path::Path;
use std::sync::OnceLock;

/// A machine, as far as its system shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Name of the processor.
    pub cpu: Option<String>,
    /// Threads that this process may run on, at least 1.
    pub threads: usize,
    /// Names of the GPUs that a driver reports, in its order.
    pub gpus: Vec<String>,
    /// Name and release of the kernel.
    pub kernel: Option<String>,
    /// Whether it is a virtual machine.
    pub virtual_machine: Option<bool>,
}

impl Machine {
    /// The machine of this process, looked at once: files are written beside a load, which no driver should slow.
    pub fn this() -> Self {
        static THIS: OnceLock<Machine> = OnceLock::new();
        let look = || {
            let driver = Driver::open().and_then(|driver| driver.gpus());
            let gpus = driver.map(|all| all.into_iter().map(|gpu| gpu.name).collect());
            Self::at(Path::new("/proc"), gpus.unwrap_or_default())
        };
        THIS.get_or_init(look).clone()
    }

    /// A machine by the kernel's files under another folder.
    pub fn at(proc: &Path, gpus: Vec<String>) -> Self {
        let shown = Proc::at(proc);
        let flags = shown.processor("flags");
        Self {
            cpu: shown.processor("model name").or_else(|| shown.processor("Model")),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            gpus,
            kernel: shown.kernel(),
            virtual_machine: flags.map(|f| f.split_whitespace().any(|f| f == "hypervisor")),
        }
    }

    /// 16 hexadecimal digits that are the same for the same description, and most likely for no other.
    pub fn id(&self) -> String {
        let mut text = format!("{:?} {} {:?}", self.cpu, self.threads, self.gpus);
        let _ = write!(text, " {:?} {:?}", self.kernel, self.virtual_machine);
        fingerprint(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_what_its_kernel_shows() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        let none = Machine::at(folder.path(), Vec::new());
        assert_eq!((&none.cpu, &none.kernel, none.virtual_machine), (&None, &None, None));
        write("cpuinfo", "model name\t: A CPU\nflags\t\t: fpu hypervisor\n");
        write("sys/kernel/ostype", "Linux\n");
        write("sys/kernel/osrelease", "6.1.0\n");
        let one = Machine::at(folder.path(), Vec::new());
        assert_eq!(one.cpu.as_deref(), Some("A CPU"));
        assert_eq!((one.kernel.as_deref(), one.virtual_machine), (Some("Linux 6.1.0"), Some(true)));
        assert_eq!(one.id(), Machine::at(folder.path(), Vec::new()).id());
        let other = Machine::at(folder.path(), vec!["NVIDIA T4".into()]);
        assert!(one.id() != other.id() && one.id() != none.id() && one.id().len() == 16);
    }
}
