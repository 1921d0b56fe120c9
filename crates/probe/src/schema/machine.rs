//! The machine that a result was measured on.

use rooflens_ground::os::machine::Machine;
use serde::{Deserialize, Serialize};

/// A machine, as far as its system shows it. Two results with the same `id` are of one machine, or of two that are
/// alike in all that is listed here.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HostPart {
    /// 16 hexadecimal digits made from all other fields.
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{16}$")))]
    pub id: String,
    /// Name of the processor; null where the system does not show it.
    pub cpu: Option<String>,
    /// Threads that the process might run on, at least 1.
    pub threads: usize,
    /// Names of the GPUs that a driver reports, in its order.
    pub gpus: Vec<String>,
    /// Name and release of the kernel; null where the system does not show it.
    pub kernel: Option<String>,
    /// Whether it is a virtual machine; null where the system does not show it.
    #[serde(rename = "virtual")]
    pub virtual_machine: Option<bool>,
}

impl From<Machine> for HostPart {
    fn from(machine: Machine) -> Self {
        Self {
            id: machine.id(),
            cpu: machine.cpu,
            threads: machine.threads,
            gpus: machine.gpus,
            kernel: machine.kernel,
            virtual_machine: machine.virtual_machine,
        }
    }
}
