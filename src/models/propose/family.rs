//! Which family reads the outputs of a graph.

use super::ending::{self, Ending};
use super::facts::{Facts, Found};
use super::{boxes, seen};
use crate::error::{Error, Result};
use crate::infer::Probed;
use crate::onnx::DataType;

/// Returns the card's text for the family, and the number of classes.
pub fn of(facts: &Facts<'_>, guesses: &mut Vec<String>) -> Result<Found> {
    let tasks = ["detect", "segment", "pose", "obb", "classify", "semantic"];
    if let Some(task) = facts.task.as_deref().filter(|task| facts.is_ultralytics && !tasks.contains(task)) {
        return Err(Error::Model(format!(
            "the model is for the task `{task}`, which no family reads; {} are read",
            tasks.join(", ")
        )));
    }
    if let Some(found) = boxes::known(facts, guesses) {
        return Ok(found);
    }
    let shapes: Option<Vec<Vec<usize>>> =
        facts.outputs.iter().map(|output| output.dims.iter().copied().collect::<Option<Vec<usize>>>()).collect();
    let found = shapes.and_then(|shapes| heads(facts, &shapes, guesses)).or_else(|| seen::seen(facts, guesses));
    found.or_else(|| maps(facts, guesses)).ok_or_else(|| {
        let shown: Vec<String> = facts.outputs.iter().map(|output| format!("{} {}", output.name, shape(output))).collect();
        Error::Model(format!(
            "no family reads the outputs {}; if the graph ends in decoding or NMS, name the raw heads in `model.outputs` of a card (`docs/model-card.md` lists the families)",
            shown.join(", ")
        ))
    })
}

/// The shape of an output, for people.
fn shape(output: &Probed) -> String {
    let sides: Vec<String> = output.dims.iter().map(|side| side.map_or("?".into(), |side| side.to_string())).collect();
    format!("[{}]", sides.join(", "))
}

/// Raw heads, which shapes tell apart.
fn heads(facts: &Facts<'_>, shapes: &[Vec<usize>], guesses: &mut Vec<String>) -> Option<Found> {
    let (input, named) = (facts.input.size, facts.names.len());
    let (width, height) = (input.width as usize, input.height as usize);
    let cells: usize = [8, 16, 32].iter().map(|s| width.div_ceil(*s) * height.div_ceil(*s)).sum();
    let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
    match shapes.as_slice() {
        [[1, rows, n]] if *n > 3 * rows && *rows > 4 && (named == 0 || *rows == 4 + named) => {
            Some(Found::new("yolo: { kind: v8, form: decoded }", rows - 4))
        }
        [[1, n, width]] if *n == cells && *width > 5 && named != 0 && *width == 4 + named => {
            Some(Found::new("boxes: { form: centre, columns: [box, scores] }", named))
        }
        [[1, n, width]] if *n == cells && *width > 5 && !seen::is_decoded(&facts.outputs[0], input) => {
            guesses.push(
                "rows are assumed to be as YOLOX exports them (`decode_in_inference` off) and after the sigmoid; \
                 if the boxes are wrong, try `form: decoded` or `scores: logit`"
                    .into(),
            );
            Some(Found::new("yolo: { kind: x }", width - 5))
        }
        [[1, n, width]] if *n == cells && *width > 5 => Some(seen::dense(&facts.outputs[0], *width, guesses)),
        [[1, n, width]] if *n == 3 * cells && *width > 5 => {
            Some(Found::new("yolo: { kind: v5, form: decoded }", width - 5))
        }
        [[1, 85, h, w]] if *h == height.div_ceil(16) && *w == width.div_ceil(16) => {
            Some(Found::new("fastestdet: {}", 80))
        }
        [[1, a, _, _], [1, b, _, _], [1, c, _, _]]
            if a == b && b == c && *a > 64 && (named == 0 || *a == 64 + named) =>
        {
            Some(Found::new("yolo: { kind: v8 }", a - 64))
        }
        [[1, a, _, _], [1, b, _, _], [1, c, _, _]] if a == b && b == c && a % 3 == 0 && *a > 15 => {
            guesses
                .push("the anchors of YOLOv5's COCO models are assumed; other models may have different ones".into());
            let anchors = "[[[10, 13], [16, 30], [33, 23]], [[30, 61], [62, 45], [59, 119]], [[116, 90], [156, 198], [373, 326]]]";
            Some(Found::new(format!("yolo: {{ kind: v5, anchors: {anchors} }}"), a / 3 - 5))
        }
        list if list.len() == 12 => Some(Found::new("yunet: {}", 1)),
        [[1, _, a], [1, _, b], [1, _, c], [1, _, d], [1, _, e], [1, _, f]]
            if a == b && b == c && d == e && e == f && d % 4 == 0 =>
        {
            Some(Found::new(format!("nanodet: {{ bins: {} }}", d / 4), *a))
        }
        [[1, n @ (1917 | 4420), 4], [1, m, c]] | [[1, n @ (1917 | 4420), c], [1, m, 4]] if n == m => {
            guesses.push("anchors, weights and the background of an SSD cannot be read from its graph".into());
            let anchors = match *n {
                1917 => "anchors: { tf: { maps: [19, 10, 5, 3, 2, 1] } }, order: yxhw, ",
                _ => {
                    "anchors: { priors: { strides: [8, 16, 32, 64], sizes_px: [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]] } }, "
                }
            };
            let boxes = usize::from(shapes[0][2] != 4);
            let outputs = format!("boxes_output: {{ index: {boxes} }}, scores_output: {{ index: {} }}", 1 - boxes);
            Some(Found::new(
                format!("ssd: {{ {anchors}scores: probability, background: 0, {outputs} }}"),
                c.saturating_sub(1),
            ))
        }
        [[1, c] | [1, c, 1, 1] | [1, 1, 1, c]] if *c > 1 => Some(classifier(facts, *c, guesses)),
        // One number: how sure it is of one of two classes, or something else altogether, such as an age.
        [[1, 1]] => match ending::of(facts.model, &facts.outputs[0].name) {
            Ending::Sigmoid => Some(Found::new("classifier: { scores: binary_probability }", 2)),
            _ => Some(Found::new("classifier: { scores: binary? }", 2)),
        },
        _ => None,
    }
}

fn classifier(facts: &Facts<'_>, classes: usize, guesses: &mut Vec<String>) -> Found {
    let scores = match ending::of(facts.model, &facts.outputs[0].name) {
        Ending::Softmax => "",
        Ending::Sigmoid => {
            guesses.push(
                "the graph ends in a sigmoid: several classes may apply, and their scores do not sum to 1".into(),
            );
            ""
        }
        _ if sums_to_one(&facts.outputs[0]) => "",
        _ => " scores: logits ",
    };
    Found::new(format!("classifier: {{{scores}}}"), classes)
}

fn sums_to_one(output: &Probed) -> bool {
    let Some((_, values)) = &output.held else { return false };
    values.iter().all(|v| *v >= 0.0) && (values.iter().sum::<f32>() - 1.0).abs() < 1e-3
}

/// Graphs whose answer has a place for each pixel or cell. If there are several, the first counts: the others are those of
/// earlier layers, which only training needs.
fn maps(facts: &Facts<'_>, guesses: &mut Vec<String>) -> Option<Found> {
    let first = facts.outputs.first()?;
    let sides: Option<Vec<usize>> = first.dims.iter().copied().collect();
    let sides = sides.or_else(|| first.held.as_ref().map(|(shape, _)| shape.clone()))?;
    let is_map = |output: &Probed| output.dims.len() == sides.len();
    if !facts.outputs.iter().all(is_map) {
        return None;
    }
    if facts.outputs.len() > 1 {
        guesses.push(format!("the graph has {} maps; the first is taken for the answer", facts.outputs.len()));
    }
    let integers =
        first.kind.is_some_and(|kind| !matches!(kind, DataType::F32 | DataType::F64 | DataType::Other(10 | 16)));
    match sides.as_slice() {
        [1, _, _] | [1, 1, _, _] | [1, _, _, 1]
            if integers || ending::of(facts.model, &first.name) == Ending::ArgMax =>
        {
            let most = first.held.as_ref().map_or(0.0, |(_, values)| values.iter().copied().fold(0.0, f32::max));
            let classes = if facts.names.is_empty() { (most as usize + 1).clamp(2, 256) } else { facts.names.len() };
            if facts.names.is_empty() {
                guesses.push(format!(
                    "the graph gives class numbers and does not say how many there are; {classes} were seen"
                ));
            }
            Some(Found::new("segmentation: { form: classes }", classes))
        }
        [1, a, b, c] => map(facts, first, [*a, *b, *c], guesses),
        _ => None,
    }
}

fn map(facts: &Facts<'_>, output: &Probed, [a, b, c]: [usize; 3], guesses: &mut Vec<String>) -> Option<Found> {
    let input = &facts.input;
    let (width, height) = (input.size.width as usize, input.size.height as usize);
    let like = |h: usize, w: usize| h * width == w * height && h * 64 >= height;
    // The order of the axes may change inside the graph.
    let nhwc = match (like(b, c), like(a, b)) {
        (true, false) => false,
        (false, true) => true,
        (true, true) => input.nhwc,
        (false, false) => return None,
    };
    let layout = match (nhwc == input.nhwc, nhwc) {
        (true, _) => "",
        (false, true) => ", layout: nhwc",
        (false, false) => ", layout: nchw",
    };
    let (channels, h) = if nhwc { (c, a) } else { (a, b) };
    let ending = ending::of(facts.model, &output.name);
    if channels == 1 && channels != input.channels {
        if ending == Ending::Sigmoid {
            return Some(Found::new(format!("segmentation: {{ form: probability{layout} }}"), 2));
        }
        let least = output.held.as_ref().map_or(-1.0, |(_, values)| values.iter().copied().fold(0.0, f32::min));
        if least >= 0.0 {
            guesses.push("one output channel, and no value below 0: it may be a probability, or a distance, which no family reads".into());
            return Some(Found::new(format!("segmentation: {{ form: binary?{layout} }}"), 2));
        }
        guesses.push("one output channel: assumed to be the logit of the foreground".into());
        return Some(Found::new(format!("segmentation: {{ form: binary{layout} }}"), 2));
    }
    // Probabilities of classes are no picture, even if there are three of them, and neither are raw scores, some of which
    // are negative. A picture may be, if it is -1 to 1.
    let least = output.held.as_ref().map_or(0.0, |(_, values)| values.iter().copied().fold(0.0, f32::min));
    let is_scores = ending == Ending::Softmax || (ending == Ending::Other && least < -0.1);
    if channels == input.channels && h >= height && h % height == 0 && !(is_scores && h == height && channels == 3) {
        if channels == 3 && h == height {
            guesses.push(
                "three channels of the input's size: assumed to be a picture; if they are three classes, write `segmentation: { form: logits }` and labels"
                    .into(),
            );
        }
        return Some(Found::new(format!("reconstruction: {{ times: {} }}", h / height), 0));
    }
    if channels == 3 && h == height {
        guesses.push("three channels with values below 0: assumed to be the scores of three classes; if they are a picture, write `reconstruction: {}`".into());
    }
    (channels > 1 && channels <= 256).then(|| Found::new(format!("segmentation: {{ form: logits{layout} }}"), channels))
}
