//! The properties of the machine that decide how fast it is.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The machine, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The name of the board or the processor.
    pub name: String,
    /// The instruction sets that floats are computed with.
    pub cpu: String,
    /// The number of processors.
    pub cores: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The kernel's frequency governor.
    pub governor: String,
    /// The temperature after the last round, in degrees Celsius.
    pub temperature: Option<f64>,
}

fn read(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned()).filter(|text| !text.is_empty())
}

/// Returns the value in a line `key : value`.
fn field(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

impl Machine {
    /// Returns the properties of this machine.
    pub fn here() -> Self {
        let board = read("/proc/device-tree/model");
        let model = || field(&read("/proc/cpuinfo")?, "model name");
        let memory = || field(&read("/proc/meminfo")?, "MemTotal")?.split_whitespace().next()?.parse::<u64>().ok();
        let degrees = || read("/sys/class/thermal/thermal_zone0/temp")?.parse::<f64>().ok();
        Self {
            name: board.or_else(model).unwrap_or_else(|| "unknown".into()),
            cpu: crate::host::cpu_class(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory().unwrap_or(0) * 1024,
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").unwrap_or_else(|| "unknown".into()),
            temperature: degrees().map(|millis| millis / 1000.0),
        }
    }
}

/// Returns the processor time of the whole program so far.
pub fn process_cpu() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}
