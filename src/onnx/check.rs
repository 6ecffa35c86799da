//! Checks what a file claims, before anything trusts it and allocates memory for it.

use super::pb::{GraphProto, ModelProto, NodeProto, TensorProto};
use crate::error::{Error, Result};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The largest window, stride or dilation of a convolution or a pool that makes sense.
const MAX_WINDOW: i64 = 4096;

/// The largest number of elements that an operator may be told to produce.
const MAX_MADE: i64 = 1 << 26;

/// Refuses tensors that claim data that is not there, and operators with absurd numbers.
pub(super) fn check(proto: &ModelProto) -> Result<(), String> {
    proto.graph.as_ref().map_or(Ok(()), check_graph)
}

fn check_graph(graph: &GraphProto) -> Result<(), String> {
    for tensor in &graph.initializer {
        check_tensor(tensor)?;
    }
    let mut made = std::collections::HashSet::new();
    for name in graph.node.iter().flat_map(|n| &n.output).filter(|name| !name.is_empty()) {
        if !made.insert(name.as_str()) {
            return Err(format!("two nodes produce the value `{name}`"));
        }
    }
    if let Some(input) = graph.input.iter().find(|input| made.contains(input.label())) {
        return Err(format!("a node produces the value `{}`, which is an input", input.label()));
    }
    for node in &graph.node {
        for attribute in &node.attribute {
            attribute.t.iter().chain(&attribute.tensors).try_for_each(check_tensor)?;
            attribute.g.iter().chain(&attribute.graphs).try_for_each(check_graph)?;
        }
        let told = |what: String| format!("node `{}` ({}): {what}", node.name.as_deref().unwrap_or("?"), node.op());
        check_windows(node).map_err(told)?;
        check_made(graph, node).map_err(told)?;
    }
    Ok(())
}

fn check_tensor(tensor: &TensorProto) -> Result<(), String> {
    if tensor.is_external() {
        return Err(format!(
            "the data of tensor `{}` is in another file; `ocelli models new FILE.onnx` packs everything into one file",
            tensor.label()
        ));
    }
    tensor.check()
}

/// Checks the windows, strides, dilations and padding of convolutions and pools.
fn check_windows(node: &NodeProto) -> Result<(), String> {
    let ints = |name: &str| node.ints(name).unwrap_or_default();
    for name in ["kernel_shape", "strides", "dilations"] {
        if let Some(bad) = ints(name).iter().find(|v| !(1..=MAX_WINDOW).contains(*v)) {
            return Err(format!("`{name}` has {bad}; values must be 1 to {MAX_WINDOW}"));
        }
    }
    let sides = ints("kernel_shape").len();
    for name in ["pads", "output_padding"] {
        for (at, &pad) in ints(name).iter().enumerate() {
            // Padding wider than the window yields nothing but padding.
            let axis = if sides > 0 { at % sides } else { 0 };
            let window = ints("kernel_shape").get(axis).copied().unwrap_or(MAX_WINDOW);
            let reach = window * ints("dilations").get(axis).copied().unwrap_or(1);
            if pad > reach.min(MAX_WINDOW) || pad < -MAX_WINDOW {
                return Err(format!("`{name}` has {pad}, which does not suit a window of {reach}"));
            }
        }
    }
    if node.int("group", 1) < 1 {
        return Err(format!("`group` is {}", node.int("group", 1)));
    }
    Ok(())
}

/// Checks operators whose output size is set by a constant.
fn check_made(graph: &GraphProto, node: &NodeProto) -> Result<(), String> {
    let told_by = match node.op() {
        "ConstantOfShape" => 0,
        "Expand" | "Tile" => 1,
        "Pad" => {
            let pads = node.input(1).and_then(|name| graph.initializer.iter().find(|t| t.label() == name));
            let pads = pads.and_then(|t| t.ints().ok()).unwrap_or_default();
            return match pads.iter().find(|pad| pad.saturating_abs() > MAX_WINDOW) {
                Some(pad) => Err(format!("is told to add {pad}; the limit is {MAX_WINDOW}")),
                None => Ok(()),
            };
        }
        "Resize" => 3,
        _ => return Ok(()),
    };
    let Some(name) = node.input(told_by) else { return Ok(()) };
    let constant = graph.node.iter().find(|n| n.op() == "Constant" && n.output(0) == Some(name));
    let constant = constant.and_then(|n| n.attribute("value")).and_then(|a| a.t.as_ref());
    let tensor = graph.initializer.iter().find(|t| t.label() == name).or(constant);
    let Some(values) = tensor.and_then(|t| t.ints().ok()) else { return Ok(()) };
    let made = values.iter().fold(1_i64, |all, side| all.saturating_mul(side.saturating_abs().max(1)));
    if made > MAX_MADE { Err(format!("is told to produce {values:?}, which is too large")) } else { Ok(()) }
}

/// Loads the data of tensors that is in other files of `folder` (`location`, `offset`, `length` of
/// `TensorProto.external_data`).
pub(super) fn bring_in(proto: &mut ModelProto, folder: &Path) -> Result<()> {
    let Some(graph) = &mut proto.graph else { return Ok(()) };
    let inner = graph.node.iter_mut().flat_map(|node| node.attribute.iter_mut().filter_map(|a| a.t.as_mut()));
    for tensor in graph.initializer.iter_mut().chain(inner).filter(|t| t.is_external()) {
        let entry = |key: &str| {
            tensor.external_data.iter().find(|e| e.key.as_deref() == Some(key)).and_then(|e| e.value.clone())
        };
        let bad = |what: String| Error::Model(format!("tensor `{}`: {what}", tensor.label()));
        let location = entry("location").unwrap_or_default();
        let inside = !location.is_empty()
            && Path::new(&location).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if !inside {
            return Err(bad(format!("its data is at `{location}`, which is not in the model's folder")));
        }
        let path = folder.join(&location);
        let mut file = std::fs::File::open(&path).map_err(|e| Error::io(&path, e))?;
        let size = file.metadata().map_err(|e| Error::io(&path, e))?.len();
        let number = |key: &str| entry(key).and_then(|text| text.parse::<u64>().ok());
        let offset = number("offset").unwrap_or(0);
        let length = number("length").unwrap_or(size.saturating_sub(offset));
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(bad(format!(
                "needs bytes {offset} to {} of {location}, which has {size}",
                offset.saturating_add(length)
            )));
        }
        let mut raw = vec![0; length as usize];
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut raw)).map_err(|e| Error::io(&path, e))?;
        tensor.raw_data = Some(raw.into());
        tensor.external_data.clear();
        tensor.data_location = None;
    }
    Ok(())
}
