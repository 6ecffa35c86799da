//! `ocelli devices`: lists cameras and what they offer.

use super::global::say;
use crate::error::Result;
use clap::Args;

/// List cameras: stable names, formats, sizes, rates, and the bus bandwidth of each
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli devices
  ocelli devices --controls        exposure, white balance and so on, as written under `controls:`
  ocelli devices --all             also nodes that produce no frames

A USB 2 bus carries about 280 Mbit/s for all its cameras together; USB 3 carries about ten times as much.")]
pub struct DevicesArgs {
    /// Also show the cameras' controls and their values
    #[arg(long)]
    controls: bool,
    /// Also show nodes that produce no frames (codecs, metadata)
    #[arg(long)]
    all: bool,
}

impl DevicesArgs {
    /// Everything, for reports.
    pub(super) const fn everything() -> Self {
        Self { controls: true, all: true }
    }

    /// Lists the cameras.
    ///
    /// # Errors
    /// [`crate::error::Error::ReaderGone`] if the reader of the output went away.
    pub fn run(&self) -> Result<()> {
        say(&self.text())
    }

    #[cfg(not(feature = "camera"))]
    pub(super) fn text(&self) -> String {
        let _ = (self.controls, self.all);
        "this build has no `camera`; build with `--features camera`\n".into()
    }

    #[cfg(feature = "camera")]
    pub(super) fn text(&self) -> String {
        use crate::sources::camera::devices;
        use std::fmt::Write as _;
        let mut out = String::new();
        let nodes = devices::list();
        let mut shown = 0;
        for node in &nodes {
            if let Some(problem) = &node.problem {
                let _ = writeln!(out, "{problem}");
                shown += 1;
                continue;
            }
            if node.modes.is_empty() && !self.all {
                continue;
            }
            shown += 1;
            let _ = writeln!(out, "{}  {} ({}, {})", node.path.display(), node.card, node.driver, node.bus);
            for name in &node.stable {
                let _ = writeln!(out, "  device: {}", name.display());
            }
            modes(&node.modes, &mut out);
            if self.controls && !node.modes.is_empty() {
                controls(&node.path, &mut out);
            }
        }
        if shown == 0 {
            let hidden = if nodes.is_empty() {
                String::new()
            } else {
                format!(" ({} nodes produce no frames: --all)", nodes.len())
            };
            let _ = writeln!(out, "no camera found{hidden}");
            out.push_str("  is it plugged in (lsusb)? For a Raspberry Pi's CSI camera, use `picam`\n");
        }
        out
    }
}

/// Writes one row per format and size: its rates, and the bandwidth of the highest.
#[cfg(feature = "camera")]
fn modes(modes: &[crate::sources::camera::devices::Mode], out: &mut String) {
    use crate::sources::camera::Pixel;
    use std::fmt::Write as _;
    let rate = |rate: &f64| if rate.fract() == 0.0 { format!("{rate}") } else { format!("{rate:.2}") };
    let mut unread = Vec::new();
    for mode in modes {
        let Some(pixel) = Pixel::of(mode.fourcc) else {
            unread.push(mode.code());
            continue;
        };
        let size = match mode.range {
            Some((most, step)) => format!("{} to {most} by {step}", mode.size),
            None => mode.size.to_string(),
        };
        let rates = mode.rates.iter().map(rate).collect::<Vec<_>>().join(" ");
        let about = if pixel == Pixel::Mjpeg { "about " } else { "" };
        let word = format!("{pixel:?}").to_lowercase();
        let _ = writeln!(out, "  {word:6} {size:>11}  {rates} fps  {about}{:.0} Mbit/s", mode.bandwidth() / 1e6);
    }
    unread.dedup();
    if !unread.is_empty() {
        let _ = writeln!(out, "  not supported by `camera`: {}", unread.join(", "));
    }
}

#[cfg(feature = "camera")]
fn controls(path: &std::path::Path, out: &mut String) {
    use crate::sources::camera::devices;
    use std::fmt::Write as _;
    match devices::open(path).and_then(|device| devices::controls(&device, path)) {
        Err(error) => _ = writeln!(out, "  {error}"),
        Ok(all) => {
            for (word, control) in all {
                let _ = writeln!(out, "  control {word}: {}", devices::control_values(&control));
            }
        }
    }
}
