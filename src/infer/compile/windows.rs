//! The windows of convolutions and pools, as ONNX describes them (Operators, `Conv` and `MaxPool`).

use super::known::{Reason, sizes};
use crate::kernels::window::Window;
use crate::onnx::NodeProto;

/// The window of a Conv or a pool on a map of these sides, by the rules of ONNX.
pub fn window_of(node: &NodeProto, sides: [usize; 2]) -> Result<Window, Reason> {
    let kernel = node.ints("kernel_shape").ok_or("the kernel's shape is not said")?;
    let pair = |name: &str| -> Result<[usize; 2], Reason> {
        let both = node.ints(name).unwrap_or(&[1, 1]);
        sizes(both, 1).ok_or_else(|| format!("{name} are {both:?}"))
    };
    let kernel = sizes(kernel, 1).ok_or_else(|| format!("the kernel has the shape {kernel:?}"))?;
    let (stride, dilation) = (pair("strides")?, pair("dilations")?);
    let auto = node.text("auto_pad");
    let before = match auto.as_str() {
        "" | "NOTSET" => {
            let pads = node.ints("pads").unwrap_or(&[0; 4]);
            let [top, left, ..] = sizes::<4>(pads, 0).ok_or_else(|| format!("pads are {pads:?}"))?;
            [top, left]
        }
        "VALID" => [0; 2],
        "SAME_UPPER" | "SAME_LOWER" => {
            let one = |axis: usize| {
                let to = sides[axis].div_ceil(stride[axis]);
                let all =
                    ((to - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1).saturating_sub(sides[axis]);
                if auto == "SAME_UPPER" { all / 2 } else { all.div_ceil(2) }
            };
            [one(0), one(1)]
        }
        other => return Err(format!("auto_pad is {other}")),
    };
    Ok(Window { kernel, stride, dilation, before })
}

/// The sides of what a window gives on a map, by the rules of ONNX.
pub fn sides_of(node: &NodeProto, window: &Window, sides: [usize; 2]) -> Result<[usize; 2], Reason> {
    let auto = node.text("auto_pad");
    let one = |axis: usize| {
        if auto.starts_with("SAME") {
            return Some(sides[axis].div_ceil(window.stride[axis]));
        }
        let pads = if auto == "VALID" { None } else { node.ints("pads") };
        let pad = |at: usize| pads.and_then(|pads| pads.get(at)).copied().unwrap_or(0).max(0) as usize;
        let all = sides[axis] + pad(axis) + pad(axis + 2);
        let reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
        let room = all.checked_sub(reach)?;
        let up = node.int("ceil_mode", 0) == 1;
        let steps = if up { room.div_ceil(window.stride[axis]) } else { room / window.stride[axis] };
        // A window that would begin behind the map and its first padding is left out.
        let late = up && steps * window.stride[axis] >= sides[axis] + pad(axis);
        Some(steps + 1 - usize::from(late))
    };
    let both = [one(0).ok_or("the window is larger than the map")?, one(1).ok_or("the window is larger than the map")?];
    if both.iter().any(|side| *side > 1 << 20) || window.before.iter().any(|pad| *pad > 1 << 12) {
        return Err("the padding is larger than any map".into());
    }
    Ok(both)
}
