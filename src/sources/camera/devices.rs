//! Which cameras there are, what their names are, and what they offer. Uses the `v4l` crate, on which nokhwa is built:
//! nokhwa's own lists lack stepwise sizes, paths and half of the rates.

use crate::error::{Error, Result};
use crate::types::Size;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use v4l::control::{Description, MenuItem};
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::video::Capture;

/// A node of Video4Linux.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// `/dev/video0`.
    pub path: PathBuf,
    /// Names under `/dev/v4l` that do not change with the number; by-id first.
    pub stable: Vec<PathBuf>,
    /// The maker's name for it.
    pub card: String,
    /// The name of the kernel's driver.
    pub driver: String,
    /// Where it is plugged in.
    pub bus: String,
    /// What it offers; empty for nodes that deliver no pictures.
    pub modes: Vec<Mode>,
    /// Why it could not be queried.
    pub problem: Option<String>,
}

/// A format with a size.
#[derive(Clone, Debug, PartialEq)]
pub struct Mode {
    /// The kernel's four-letter code.
    pub fourcc: [u8; 4],
    /// The size, or the smallest of a range.
    pub size: Size,
    /// The largest size and the step, for a range of sizes.
    pub range: Option<(Size, Size)>,
    /// Frames per second, from high to low.
    pub rates: Vec<f64>,
}

impl Mode {
    /// The code as text.
    #[must_use]
    pub fn code(&self) -> String {
        String::from_utf8_lossy(&self.fourcc).trim().to_owned()
    }

    /// Returns whether a size is available.
    #[must_use]
    pub fn has(&self, size: Size) -> bool {
        let Some((most, step)) = self.range else { return size == self.size };
        let fits = |want: u32, least: u32, most: u32, step: u32| {
            (least..=most).contains(&want) && (want - least).is_multiple_of(step.max(1))
        };
        fits(size.width, self.size.width, most.width, step.width)
            && fits(size.height, self.size.height, most.height, step.height)
    }

    /// Bits per second on the bus at the highest rate. For MJPEG, an estimate: a tenth of the pixels' 24 bits.
    #[must_use]
    pub fn bandwidth(&self) -> f64 {
        let bits = match &self.fourcc {
            b"YUYV" | b"UYVY" => 16.0,
            b"NV12" | b"NV21" | b"YU12" | b"YV12" => 12.0,
            b"GREY" => 8.0,
            b"MJPG" | b"JPEG" | b"H264" | b"HEVC" => 2.4,
            _ => 24.0,
        };
        self.size.pixels() as f64 * bits * self.rates.first().copied().unwrap_or(0.0)
    }
}

/// An error of a device, with the fix if there is one.
#[must_use]
pub fn explain(path: &Path, what: &str, said: &str, code: Option<i32>) -> Error {
    let shown = path.display();
    // nokhwa keeps system errors only as text.
    let number = said.rsplit_once("os error ").and_then(|(_, rest)| rest.trim_end_matches(')').parse().ok());
    let hint = match code.or(number) {
        Some(13) => "; permission denied: sudo usermod -aG video $USER, then log in again".to_owned(),
        Some(16) => format!("; another program is using it: fuser -v {shown} shows which"),
        Some(19 | 2 | 6) => "; it was unplugged".to_owned(),
        Some(28) => "; the USB bus is full: ask for `formats: [mjpeg]`, a smaller `size` or a lower `fps`".to_owned(),
        _ => String::new(),
    };
    Error::Device(format!("{shown}: {what}: {said}{hint}"))
}

fn io_error(path: &Path, what: &str, e: &std::io::Error) -> Error {
    explain(path, what, &e.to_string(), e.raw_os_error())
}

/// Opens a device to query it.
///
/// # Errors
/// Returns [`Error::Device`], which tells how to fix it.
pub fn open(path: &Path) -> Result<v4l::Device> {
    v4l::Device::with_path(path).map_err(|e| io_error(path, "cannot be opened", &e))
}

/// All nodes, in the order of their numbers.
#[must_use]
pub fn list() -> Vec<Node> {
    let names = stable_names();
    let mut found: Vec<(usize, Node)> = Vec::new();
    for entry in std::fs::read_dir("/dev").into_iter().flatten().flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|n| n.strip_prefix("video")?.parse().ok()) else {
            continue;
        };
        let path = entry.path();
        let stable = names.get(&path).cloned().unwrap_or_default();
        let mut node = Node { path, stable, ..Node::default() };
        match open(&node.path) {
            Err(error) => node.problem = Some(error.to_string()),
            Ok(device) => {
                if let Ok(caps) = device.query_caps() {
                    (node.card, node.driver, node.bus) = (caps.card, caps.driver, caps.bus);
                }
                node.modes = modes(&device);
            }
        }
        found.push((number, node));
    }
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, node)| node).collect()
}

/// The links under `/dev/v4l`, by their targets.
fn stable_names() -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut names: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for folder in ["/dev/v4l/by-id", "/dev/v4l/by-path"] {
        let mut links: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        links.sort();
        for link in links {
            if let Ok(target) = link.canonicalize() {
                names.entry(target).or_default().push(link);
            }
        }
    }
    names
}

/// Returns what an open device offers.
#[must_use]
pub fn modes(device: &v4l::Device) -> Vec<Mode> {
    let mut all = Vec::new();
    for format in Capture::enum_formats(device).unwrap_or_default() {
        for size in Capture::enum_framesizes(device, format.fourcc).unwrap_or_default() {
            let (size, range) = match size.size {
                FrameSizeEnum::Discrete(one) => (Size::new(one.width, one.height), None),
                FrameSizeEnum::Stepwise(s) => (
                    Size::new(s.min_width, s.min_height),
                    Some((Size::new(s.max_width, s.max_height), Size::new(s.step_width, s.step_height))),
                ),
            };
            let rates = rates(device, format.fourcc, size);
            all.push(Mode { fourcc: format.fourcc.repr, size, range, rates });
        }
    }
    all
}

/// Returns the frames per second that a device offers for a format and a size.
#[must_use]
pub fn rates(device: &v4l::Device, fourcc: v4l::FourCC, size: Size) -> Vec<f64> {
    let rate = |f: &v4l::Fraction| f64::from(f.denominator) / f64::from(f.numerator.max(1));
    let mut rates = Vec::new();
    for interval in Capture::enum_frameintervals(device, fourcc, size.width, size.height).unwrap_or_default() {
        match interval.interval {
            FrameIntervalEnum::Discrete(one) => rates.push(rate(&one)),
            FrameIntervalEnum::Stepwise(range) => {
                let (high, low) = (rate(&range.min), rate(&range.max));
                rates.extend([5, 10, 15, 20, 25, 30, 60].map(f64::from).iter().filter(|r| (low..=high).contains(*r)));
                rates.push(high);
            }
        }
    }
    rates.sort_by(|a, b| b.total_cmp(a));
    rates.dedup();
    rates
}

/// Returns the controls of a device: the name as in the YAML, and the description.
///
/// # Errors
/// Returns [`Error::Device`] if the device does not list them.
pub fn controls(device: &v4l::Device, path: &Path) -> Result<Vec<(String, Description)>> {
    let all = device.query_controls().map_err(|e| io_error(path, "does not list its controls", &e))?;
    let settable =
        all.into_iter().filter(|c| !matches!(c.typ, v4l::control::Type::CtrlClass | v4l::control::Type::Button));
    Ok(settable.map(|control| (control_word(&control.name), control)).collect())
}

/// `White Balance, Automatic` becomes `white_balance_automatic`, as in `v4l2-ctl`.
fn control_word(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join("_")
}

/// The values that a control accepts, in readable form.
#[must_use]
pub fn control_values(control: &Description) -> String {
    if let Some(items) = &control.items {
        let item = |(number, item): &(u32, MenuItem)| match item {
            MenuItem::Name(name) => format!("{number} ({name})"),
            MenuItem::Value(value) => format!("{number} ({value})"),
        };
        return items.iter().map(item).collect::<Vec<_>>().join(", ");
    }
    format!("{} to {}, {} if not set", control.minimum, control.maximum, control.default)
}

/// Finds the node that a setting names. It is looked up each time: numbers change when a camera comes back.
///
/// # Errors
/// Returns [`Error::Device`] if there is none.
pub fn resolve(device: &str) -> Result<PathBuf> {
    if device == "auto" {
        let nodes = list();
        let usable = |node: &&Node| node.modes.iter().any(|mode| super::pixels::Pixel::of(mode.fourcc).is_some());
        if let Some(node) = nodes.iter().find(usable) {
            return Ok(node.path.clone());
        }
        let problem = nodes.iter().find_map(|node| node.problem.clone());
        let hint =
            "no camera found; `ocelli devices` shows what is there (for a Raspberry Pi's CSI camera, use `picam`)";
        return Err(Error::Device(problem.unwrap_or_else(|| hint.into())));
    }
    let path = match device.parse::<usize>() {
        Ok(number) => PathBuf::from(format!("/dev/video{number}")),
        Err(_) => PathBuf::from(device),
    };
    path.canonicalize().map_err(|e| io_error(&path, "does not exist", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_controls_are_those_of_v4l2_ctl() {
        assert_eq!(control_word("White Balance, Automatic"), "white_balance_automatic");
        assert_eq!(control_word("Exposure Time, Absolute"), "exposure_time_absolute");
    }

    #[test]
    fn known_errors_name_the_way_out() {
        let said = |said: &str, code| explain(Path::new("/dev/video0"), "x", said, code).to_string();
        assert!(said("Permission denied", Some(13)).contains("usermod -aG video"));
        assert!(said("No space left on device (os error 28)", None).contains("USB bus is full"));
        assert!(said("No such device (os error 19)", None).contains("unplugged"));
    }

    #[test]
    fn a_range_of_sizes_has_those_on_its_grid() {
        let range = Some((Size::new(1920, 1080), Size::new(2, 2)));
        let mode = Mode { fourcc: *b"YUYV", size: Size::new(16, 16), range, rates: vec![30.0] };
        assert!(mode.has(Size::new(640, 480)) && !mode.has(Size::new(641, 480)) && !mode.has(Size::new(4000, 480)));
    }
}
