//! Proposes a card for an ONNX file. Whatever cannot be read from the graph is marked as a guess.

use crate::error::{Error, Result};
use crate::infer::output_shapes;
use crate::onnx::{DataType, Model, element_type, pb::ValueInfoProto, shape::Shapes};
use std::fmt::Write as _;

/// A proposed card.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The card's text; `SHA256` stands for the hash of the file.
    pub card: String,
    /// Names of the classes; empty if the card holds them or there are none.
    pub labels: Vec<String>,
    /// What was guessed and must be checked by a person.
    pub guesses: Vec<String>,
}

/// What a graph says about its input.
struct Input {
    name: String,
    dtype: DataType,
    width: usize,
    height: usize,
    channels: usize,
    nhwc: bool,
    shape: Vec<usize>,
}

/// Proposes a card for a model.
///
/// # Errors
/// [`Error::Model`] if the model takes no picture, or tract cannot run it.
pub fn propose(model: &Model) -> Result<Proposal> {
    let mut guesses = Vec::new();
    let meta = |key: &str| {
        let found = model.proto.metadata_props.iter().find(|p| p.key.as_deref() == Some(key));
        found.and_then(|p| p.value.clone())
    };
    let input = picture_input(model, meta("imgsz").as_deref(), &mut guesses)?;
    let shapes = output_shapes(model, &Shapes::from([(input.name.clone(), input.shape.clone())]))?;
    let names = meta("names").map(|text| read_names(&text)).unwrap_or_default();
    let ultralytics = meta("stride").is_some() && meta("names").is_some();
    let (family, classes) = family(model, &input, &shapes, names.len(), &mut guesses);
    let labels = labels(names, classes, &mut guesses);
    let mut card = String::from("# Written by `ocelli models new`. Lines with a `?` are guesses: check them.\n");
    let license = meta("license").unwrap_or_else(|| "unknown # ?".into());
    let _ = writeln!(card, "model:\n  file: model.onnx\n  sha256: SHA256\n  license: {license}");
    let source = meta("author").or(model.proto.producer_name.clone()).unwrap_or_else(|| "unknown".into());
    let _ = writeln!(card, "  source: {source:?} # ? where the weights come from");
    card.push_str(&input_line(&input, &family, ultralytics, &mut guesses));
    let _ = writeln!(card, "family:\n  {family}");
    if !labels.is_empty() {
        card.push_str("labels: labels.txt\n");
    }
    Ok(Proposal { card, labels, guesses })
}

fn picture_input(model: &Model, imgsz: Option<&str>, guesses: &mut Vec<String>) -> Result<Input> {
    let all: Vec<&ValueInfoProto> = model.inputs().collect();
    let read = |value: &ValueInfoProto| {
        let (dtype, shape) = element_type(value)?;
        let shape = shape.filter(|s| s.len() == 4)?;
        let plane = |c: Option<usize>| c.filter(|c| matches!(c, 1 | 3));
        let nhwc = plane(shape[1]).is_none() && plane(shape[3]).is_some();
        let channels = if nhwc { shape[3]? } else { plane(shape[1])? };
        let (h, w) = if nhwc { (shape[1], shape[2]) } else { (shape[2], shape[3]) };
        Some((value.label().to_owned(), dtype, nhwc, channels, h, w))
    };
    let Some((name, dtype, nhwc, channels, h, w)) = all.iter().find_map(|v| read(v)) else {
        let names: Vec<&str> = all.iter().map(|v| v.label()).collect();
        return Err(Error::Model(format!(
            "no input takes a picture with 1 or 3 channels; the inputs are {}",
            names.join(", ")
        )));
    };
    if all.len() > 1 {
        guesses.push(format!("the graph has {} inputs; list those that are fed back in `model.state`", all.len()));
    }
    let side = imgsz.and_then(|t| t.trim_matches(['[', ']']).split(',').next()?.trim().parse().ok());
    if h.is_none() || w.is_none() {
        guesses.push(format!("the graph does not fix its input size; {} was assumed", side.unwrap_or(640)));
    }
    let (height, width) = (h.or(side).unwrap_or(640), w.or(side).unwrap_or(640));
    let shape = if nhwc { vec![1, height, width, channels] } else { vec![1, channels, height, width] };
    Ok(Input { name, dtype, width, height, channels, nhwc, shape })
}

/// Reads the class names as Ultralytics writes them: `{0: 'person', 1: 'bicycle'}`.
fn read_names(text: &str) -> Vec<String> {
    let inside = text.trim().trim_start_matches('{').trim_end_matches('}');
    let mut names = Vec::new();
    let mut rest = inside;
    while let Some(start) = rest.find(['\'', '"']) {
        let quote = rest.as_bytes()[start] as char;
        let tail = &rest[start + 1..];
        let Some(end) = tail.find(quote) else { break };
        names.push(tail[..end].to_owned());
        rest = &tail[end + 1..];
    }
    names
}

fn labels(names: Vec<String>, classes: usize, guesses: &mut Vec<String>) -> Vec<String> {
    if names.len() == classes || classes == 0 {
        return if classes == 0 { Vec::new() } else { names };
    }
    guesses.push(format!(
        "the graph does not name its classes; labels.txt numbers all {classes}: write their names instead"
    ));
    (0..classes).map(|class| format!("class {class}")).collect()
}

fn input_line(input: &Input, family: &str, ultralytics: bool, guesses: &mut Vec<String>) -> String {
    let mut parts = vec![format!("size: [{}, {}]", input.width, input.height)];
    if family.starts_with("yolo") {
        parts.push(if family.contains("kind: x") { "fit: letterbox_top_left" } else { "fit: letterbox" }.into());
    }
    let bgr = family.contains("kind: x") || family.starts_with("yunet") || family.starts_with("nanodet");
    parts.push(match (input.channels, bgr) {
        (1, _) => "color: gray".into(),
        (_, true) => "color: bgr".into(),
        _ => "color: rgb".into(),
    });
    parts.push(if input.nhwc { "layout: nhwc" } else { "layout: nchw" }.into());
    match input.dtype {
        DataType::U8 => parts.push("dtype: u8".into()),
        DataType::I8 => parts.push("dtype: i8".into()),
        _ => {
            parts.push("dtype: f32".into());
            if ultralytics {
                parts.push("std: [255, 255, 255]".into());
            } else if family.starts_with("classifier") || family.starts_with("segmentation") {
                parts.push("mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375]".into());
                guesses.push(
                    "a graph does not say how pixels are normalised; PyTorch's ImageNet values are assumed".into(),
                );
            } else if bgr {
                guesses.push(
                    "a graph does not say how pixels are normalised; unchanged levels (0–255) are assumed".into(),
                );
            } else {
                parts.push("std: [255, 255, 255]".into());
                guesses
                    .push("a graph does not say how pixels are normalised; levels divided by 255 are assumed".into());
            }
        }
    }
    let mark = if ultralytics || matches!(input.dtype, DataType::U8 | DataType::I8) { "" } else { " # ?" };
    format!("input: {{ {} }}{mark}\n", parts.join(", "))
}

/// Returns the card's text for the family, and the number of classes.
fn family(
    model: &Model,
    input: &Input,
    outputs: &[(String, Vec<usize>)],
    named: usize,
    guesses: &mut Vec<String>,
) -> (String, usize) {
    let cells = |strides: [usize; 3]| -> usize {
        strides.iter().map(|s| input.width.div_ceil(*s) * input.height.div_ceil(*s)).sum()
    };
    let all = cells([8, 16, 32]);
    let ends_in_softmax = || {
        let (graph, index) = (model.graph(), model.index());
        let mut value = outputs.first().map_or("", |(name, _)| name.as_str());
        while let Some(node) = index.maker(value).map(|at| &graph.node[at]) {
            match node.op() {
                "Softmax" => return true,
                "QuantizeLinear" | "DequantizeLinear" | "Reshape" | "Identity" => value = node.input(0).unwrap_or(""),
                _ => return false,
            }
        }
        false
    };
    let shapes: Vec<&[usize]> = outputs.iter().map(|(_, shape)| shape.as_slice()).collect();
    match shapes.as_slice() {
        [[1, rows, n]] if *n > 3 * rows && *rows > 4 && (named == 0 || *rows == 4 + named) => {
            ("yolo: { kind: v8, form: decoded }".into(), rows - 4)
        }
        [[1, n, width]] if *n == all && *width > 5 => {
            guesses.push(
                "rows are assumed to be as YOLOX exports them (`decode_in_inference` off) and after the sigmoid; \
                          if the boxes are wrong, try `form: decoded` or `scores: logit`"
                    .into(),
            );
            ("yolo: { kind: x }".into(), width - 5)
        }
        [[1, n, width]] if *n == 3 * all && *width > 5 => ("yolo: { kind: v5, form: decoded }".into(), width - 5),
        [[1, c, h, w]] if *c == 85 && *h == input.height.div_ceil(16) && *w == input.width.div_ceil(16) => {
            ("fastestdet: {}".into(), c - 5)
        }
        [[1, a, _, _], [1, b, _, _], [1, c, _, _]]
            if a == b && b == c && *a > 64 && (named == 0 || *a == 64 + named) =>
        {
            ("yolo: { kind: v8 }".into(), a - 64)
        }
        [[1, a, _, _], [1, b, _, _], [1, c, _, _]] if a == b && b == c && a % 3 == 0 && *a > 15 => {
            guesses
                .push("the anchors of YOLOv5's COCO models are assumed; other models may have different ones".into());
            let anchors = "[[[10, 13], [16, 30], [33, 23]], [[30, 61], [62, 45], [59, 119]], [[116, 90], [156, 198], [373, 326]]]";
            (format!("yolo: {{ kind: v5, anchors: {anchors} }}"), a / 3 - 5)
        }
        list if list.len() == 12 => ("yunet: {}".into(), 1),
        [[1, _, a], [1, _, b], [1, _, c], [1, _, d], [1, _, e], [1, _, f]]
            if a == b && b == c && d == e && e == f && d % 4 == 0 =>
        {
            (format!("nanodet: {{ bins: {} }}", d / 4), *a)
        }
        [[1, n, 4], [1, m, c]] | [[1, n, c], [1, m, 4]] if n == m => {
            let boxes = usize::from(shapes[0][2] != 4);
            guesses.push("anchors, weights and the background of an SSD cannot be read from its graph".into());
            let anchors = match *n {
                1917 => "anchors: { tf: { maps: [19, 10, 5, 3, 2, 1] } }, order: yxhw, ",
                4420 => {
                    "anchors: { priors: { strides: [8, 16, 32, 64], sizes_px: [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]] } }, "
                }
                _ => "",
            };
            let outputs = format!("boxes_output: {{ index: {boxes} }}, scores_output: {{ index: {} }}", 1 - boxes);
            (format!("ssd: {{ {anchors}scores: probability, background: 0, {outputs} }}"), c.saturating_sub(1))
        }
        [[1, c] | [1, c, 1, 1] | [1, 1, 1, c]] if *c > 1 => {
            let scores = if ends_in_softmax() { "" } else { " scores: logits " };
            (format!("classifier: {{{scores}}}"), *c)
        }
        [[1, _, _]] => ("segmentation: { form: classes }".into(), 0),
        [[1, a, b, c]] => map_family(input, [*a, *b, *c], guesses),
        _ => {
            guesses.push(format!(
                "outputs of shapes {shapes:?} match no known family; name the raw heads in `model.outputs`"
            ));
            ("unknown: {} # ?".into(), 0)
        }
    }
}

/// Returns the same for a graph with one output that has a place for each pixel or cell.
fn map_family(input: &Input, [a, b, c]: [usize; 3], guesses: &mut Vec<String>) -> (String, usize) {
    let (channels, h) = if input.nhwc { (c, a) } else { (a, b) };
    if channels == input.channels && h >= input.height && h % input.height == 0 {
        return (format!("reconstruction: {{ times: {} }}", h / input.height), 0);
    }
    if channels == 1 {
        guesses.push("one output channel: assumed to be the logit of the foreground".into());
        return ("segmentation: { form: binary }".into(), 2);
    }
    ("segmentation: { form: logits }".into(), channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ultralytics_are_read() {
        assert_eq!(read_names("{0: 'person', 1: \"dog's ball\", 2: 'a, b'}"), ["person", "dog's ball", "a, b"]);
        assert!(read_names("{").is_empty());
        assert!(read_names("{0: 'open").is_empty());
    }
}
