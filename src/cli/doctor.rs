//! `ocelli doctor`: checks whether this machine is ready, and says what to do if it is not.

use super::global::say;
use crate::error::{Error, Result};
use crate::host::redact_addresses;
use clap::Args;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Check whether this machine is ready: processor, cameras, permissions, clock, disk, temperature, programs
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli doctor
  ocelli doctor --bundle report.txt --pipeline door.yaml    a file for a bug report

`ok` is fine, `--` is worth knowing, `!!` needs action: the text says what to do. The bundle holds this report, the \
cameras with their formats, and the pipeline. Passwords, `user:password@` in addresses, the host name and the home \
folder are removed.")]
pub struct DoctorArgs {
    /// Write a file for a bug report
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// A pipeline to include in that file
    #[arg(long, value_name = "FILE", requires = "bundle")]
    pipeline: Option<PathBuf>,
}

/// The outcome of a check.
#[derive(Clone, Copy)]
enum Found {
    Fine,
    Note,
    Bad,
}

#[derive(Default)]
struct Report(String);

impl Report {
    fn add(&mut self, found: Found, what: &str, text: impl std::fmt::Display) {
        let mark = match found {
            Found::Fine => "ok",
            Found::Note => "--",
            Found::Bad => "!!",
        };
        let _ = writeln!(self.0, "{mark} {what:12} {text}");
    }
}

impl DoctorArgs {
    /// Runs the checks, prints the report, and writes the bundle if asked to.
    ///
    /// # Errors
    /// [`Error::Io`] if the bundle cannot be written or the pipeline cannot be read.
    pub fn run(&self) -> Result<()> {
        let mut report = Report::default();
        report.add(Found::Fine, "ocelli", format_args!("{}, {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH));
        machine(&mut report);
        processor(&mut report);
        cameras(&mut report);
        clock(&mut report);
        disk(&mut report);
        temperature(&mut report);
        programs(&mut report);
        say(&report.0)?;
        let Some(file) = &self.bundle else { return Ok(()) };
        let mut text = report.0;
        text.push_str("\n# cameras\n");
        text.push_str(&super::devices::DevicesArgs::everything().text());
        if let Some(pipeline) = &self.pipeline {
            let yaml = std::fs::read_to_string(pipeline).map_err(|e| Error::io(pipeline, e))?;
            let _ = write!(text, "\n# pipeline\n{yaml}");
        }
        std::fs::write(file, redact(&text)).map_err(|e| Error::io(file, e))?;
        say(&format!("\nwrote {}; read through it before you send it\n", file.display()))
    }
}

/// Removes private data.
fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let home = std::env::var("HOME").unwrap_or_default();
    for line in text.lines() {
        let mut line = redact_addresses(line);
        for word in ["password", "passwd", "token", "secret", "user", "key"] {
            line = hide_value(&line, word);
        }
        for name in [host.trim(), home.trim()].into_iter().filter(|name| name.len() > 3 && *name != "/root") {
            line = line.replace(name, "…");
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// `password: "x", …` becomes `password: …, …`. Variable names (`${NAME}`) are kept.
fn hide_value(line: &str, word: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let Some(at) = lower.find(&format!("{word}:")) else { return line.to_owned() };
    let (head, tail) = line.split_at(at + word.len() + 1);
    let value = tail.trim_start();
    let quoted = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let length = match quoted {
        Some(quote) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
        None => value.find([',', '}']).unwrap_or(value.len()),
    };
    let variable = value.trim_start_matches(['"', '\'']).starts_with("${");
    let (value, rest) = if variable {
        let end = value.find('}').map_or(value.len(), |end| end + 1);
        value.split_at(end)
    } else {
        ("…", &value[length..])
    };
    format!("{head} {value}{}", hide_value(rest, word))
}

fn machine(report: &mut Report) {
    let model = std::fs::read_to_string("/proc/device-tree/model").unwrap_or_default();
    let kernel = rustix::system::uname();
    let kernel = format!("Linux {}", kernel.release().to_string_lossy());
    let memory = rustix::system::sysinfo();
    let mib = |pages: u64| pages * u64::from(memory.mem_unit) / (1 << 20);
    let model = model.trim_matches(['\0', '\n']);
    let what = if model.is_empty() { kernel } else { format!("{model}, {kernel}") };
    #[allow(clippy::useless_conversion)] // 32 bits wide on 32-bit machines
    let total = mib(u64::try_from(memory.totalram).unwrap_or(0));
    report.add(Found::Fine, "machine", format_args!("{what}, {total} MiB of memory"));
}

fn processor(report: &mut Report) {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| info.lines().find_map(|l| l.strip_prefix(name)?.split_once(':').map(|(_, v)| v.trim()));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let flags = field("flags").or_else(|| field("Features")).unwrap_or_default();
    let worth = ["avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "asimd", "asimddp", "neon", "fphp"];
    let have: Vec<&str> = worth.into_iter().filter(|flag| flags.split(' ').any(|f| f == *flag)).collect();
    let name = field("model name").unwrap_or(std::env::consts::ARCH);
    let fit = have.iter().any(|flag| matches!(*flag, "avx2" | "asimd" | "neon"));
    let text =
        format!("{name}, {cores} cores, {}", if have.is_empty() { "no vector units that ocelli uses" } else { "" });
    report.add(if fit { Found::Fine } else { Found::Bad }, "processor", format_args!("{text}{}", have.join(" ")));
}

#[cfg(feature = "camera")]
fn cameras(report: &mut Report) {
    let nodes = crate::sources::camera::devices::list();
    for node in &nodes {
        match &node.problem {
            Some(problem) => report.add(Found::Bad, "camera", problem),
            None if node.modes.is_empty() => {}
            None => report.add(Found::Fine, "camera", format_args!("{} {}", node.path.display(), node.card)),
        }
    }
    if !nodes.iter().any(|node| node.problem.is_some() || !node.modes.is_empty()) {
        report.add(Found::Note, "camera", "none on USB; for CSI cameras, use `picam`");
    }
}

#[cfg(not(feature = "camera"))]
fn cameras(report: &mut Report) {
    report.add(Found::Note, "camera", "this build has no `camera`; build with `--features camera`");
}

fn clock(report: &mut Report) {
    let asked = Command::new("timedatectl").args(["show", "-p", "NTPSynchronized", "--value"]).output();
    let said =
        asked.ok().filter(|out| out.status.success()).map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    match said.as_deref() {
        Some("yes") => report.add(Found::Fine, "clock", "synchronised over the network"),
        Some("no") => report.add(Found::Bad, "clock", "not synchronised: sudo timedatectl set-ntp true"),
        _ => report.add(Found::Note, "clock", "cannot tell whether it is synchronised (no timedatectl)"),
    }
}

fn disk(report: &mut Report) {
    let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let Ok(disk) = rustix::fs::statvfs(&folder) else {
        return report.add(Found::Note, "disk", "free space is unknown");
    };
    let (free, all) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
    let low = free < 1 << 30 || free < all / 20;
    let text = format!("{} MiB of {} MiB free here", free >> 20, all >> 20);
    if disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return report.add(Found::Note, "disk", format_args!("{text}; it is read-only"));
    }
    report.add(
        if low { Found::Bad } else { Found::Fine },
        "disk",
        format_args!("{text}{}", if low { "; recordings will soon stop" } else { "" }),
    );
}

fn temperature(report: &mut Report) {
    let zones = std::fs::read_dir("/sys/class/thermal").into_iter().flatten().flatten();
    let hottest = zones
        .filter_map(|zone| std::fs::read_to_string(zone.path().join("temp")).ok()?.trim().parse::<f64>().ok())
        .fold(None, |most: Option<f64>, milli| Some(most.unwrap_or(f64::MIN).max(milli / 1000.0)));
    match hottest {
        None => report.add(Found::Note, "temperature", "not reported by this machine"),
        Some(c) if c >= 80.0 => {
            report.add(Found::Bad, "temperature", format_args!("{c:.0} °C: the processor is throttled; cool it"));
        }
        Some(c) => report.add(Found::Fine, "temperature", format_args!("{c:.0} °C")),
    }
    let throttled = Command::new("vcgencmd").arg("get_throttled").output();
    if let Ok(out) = throttled {
        let said = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        let fine = said.ends_with("0x0");
        let hint = if fine { "" } else { ": low voltage or heat; use the manufacturer's power supply" };
        report.add(if fine { Found::Fine } else { Found::Bad }, "power", format_args!("{said}{hint}"));
    }
}

fn programs(report: &mut Report) {
    let found = |name: &str| {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file())
    };
    let shown = |path: &Path| path.display().to_string();
    match found("ffmpeg") {
        Some(path) => report.add(Found::Fine, "ffmpeg", shown(&path)),
        None => report.add(
            Found::Note,
            "ffmpeg",
            "not installed; only `ffmpeg` and unusual videos need it: sudo apt install ffmpeg",
        ),
    }
    match found("rpicam-vid").or_else(|| found("libcamera-vid")) {
        Some(path) => report.add(Found::Fine, "rpicam", shown(&path)),
        None => report.add(Found::Note, "rpicam", "not installed; only `picam` needs it: sudo apt install rpicam-apps"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_holds_no_password() {
        let yaml = "- rtsp: { url: \"rtsp://me:pw1@cam/x\", password: \"pw2, it is\", user: pw3 }\n\
            - mjpeg_http: { url: http://cam/, password: pw4 }\npassword: ${CAM}\n  token: 'pw5'\n";
        let report = redact(yaml);
        assert!(!report.contains("pw"), "{report}");
        assert!(report.contains("${CAM}") && report.contains("rtsp://…@cam/x"), "{report}");
    }
}
