//! Graphs that end in finished boxes, as certain makers always write them: names and metadata tell.

use super::facts::{Facts, Found};

/// Layouts that names or metadata tell.
pub fn known(facts: &Facts<'_>, guesses: &mut Vec<String>) -> Option<Found> {
    let named = facts.names.len();
    let at = |name: &str| facts.outputs.iter().position(|output| output.name.split(':').next() == Some(name));
    let classes = |guesses: &mut Vec<String>, most: usize| count(facts, guesses, most);
    if facts.is_ultralytics
        && let [_, rest @ ..] = facts.outputs.as_slice()
        && let [Some(1), Some(a), Some(b)] = facts.outputs[0].dims[..]
        && (rest.is_empty() || facts.task.as_deref() == Some("segment"))
    {
        // RT-DETR's boxes are centres in parts of the input, whether its head picks the best class or not.
        let relative = facts.outputs[0].held.as_ref().is_some_and(|(_, values)| {
            b >= 6 && values.chunks_exact(b).all(|row| row[..4].iter().all(|v| (-0.5..=1.5).contains(v)))
        });
        // The sixth number of finished rows is a class; for a few classes, the width alone does not tell.
        let finished = facts.outputs[0].held.as_ref().is_some_and(|(_, values)| {
            b >= 6 && values.chunks_exact(b).all(|row| row[5].fract() == 0.0 && row[5] >= 0.0 && row[5] < named as f32)
        });
        if facts.is_rt_detr || (relative && b == 4 + named && a <= 1000) {
            let columns = if b == 6 && (b != 4 + named || finished) { "[box, score, class]" } else { "[box, scores]" };
            return Some(Found::new(format!("boxes: {{ form: centre, units: relative, columns: {columns} }}"), named));
        }
        // Finished rows: box, score, class, and then what the task adds.
        let wide = b == 6 || facts.task.as_deref() != Some("detect");
        if b < a && b >= 6 && wide && a <= 1000 && (b != 4 + named || finished) {
            let Further { column, spec, turned } = further(facts, guesses, b - 6);
            let form = if turned { "form: centre, " } else { "" };
            return Some(Found::new(format!("boxes: {{ {form}columns: [box, score, class{column}]{spec} }}"), named));
        }
        if b > a && a > 4 + named && matches!(facts.task.as_deref(), Some("segment" | "pose" | "obb")) {
            let Further { column, spec, .. } = further(facts, guesses, a - 4 - named);
            return Some(Found::new(
                format!("boxes: {{ form: centre, axis: columns, columns: [box, scores{column}]{spec} }}"),
                named,
            ));
        }
    }
    if let (Some(boxes), Some(scores), Some(numbers)) =
        (at("detection_boxes"), at("detection_scores"), at("detection_classes"))
    {
        let count = at("num_detections").map_or(String::new(), |at| format!(", count: {at}"));
        let outputs = format!("outputs: {{ boxes: {boxes}, scores: {scores}, classes: {numbers}{count} }}");
        let family = format!("boxes: {{ first: y, units: relative, background: first, {outputs} }}");
        return Some(Found::new(family, classes(guesses, 90)));
    }
    // torchvision's detectors take a picture without a batch. Their class numbers count the background, as its lists of names
    // do.
    if let (Some(boxes), Some(scores), Some(numbers), true) =
        (at("boxes"), at("scores"), at("labels"), facts.input.is_flat)
    {
        let outputs = format!("outputs: {{ boxes: {boxes}, scores: {scores}, classes: {numbers} }}");
        return Some(Found::new(format!("boxes: {{ {outputs} }}"), classes(guesses, 91)));
    }
    let asks = |name: &str| facts.input.asks_for(name);
    if let (Some(boxes), Some(scores), Some(numbers)) = (at("boxes"), at("scores"), at("labels"))
        && (asks("orig_target_sizes") || asks("orig_size"))
    {
        let outputs = format!("outputs: {{ boxes: {boxes}, scores: {scores}, classes: {numbers} }}");
        return Some(Found::new(format!("boxes: {{ {outputs} }}"), classes(guesses, 80)));
    }
    if (asks("scale_factor") || asks("im_shape")) && facts.outputs.first()?.dims.last() == Some(&Some(6)) {
        return Some(Found::new("boxes: { columns: [class, score, box] }", classes(guesses, 80)));
    }
    // DETR and its kin, as Hugging Face names them.
    if let (Some(boxes), Some(scores)) = (at("pred_boxes"), at("logits"))
        && let [Some(1), Some(n), Some(4)] = facts.outputs[boxes].dims[..]
        && let [Some(1), Some(m), Some(columns @ 2..)] = facts.outputs[scores].dims[..]
        && n == m
    {
        let held = facts.outputs[scores].held.as_ref().map(|(_, values)| values.as_slice()).unwrap_or_default();
        // Attention to points of a map came with scores of their own for each class; before that, there was a column for
        // "nothing", which wins almost everywhere.
        let (kind, background) = match (facts.has("GridSample"), nothing_wins(held, columns)) {
            (true, _) => ("sigmoid", ""),
            (false, true) => ("softmax", "background: last, "),
            (false, false) => ("sigmoid?", ""),
        };
        let outputs = format!("outputs: {{ boxes: {boxes}, scores: {scores} }}");
        let family = format!("boxes: {{ form: centre, units: relative, scores: {kind}, {background}{outputs} }}");
        return Some(Found::new(family, columns - usize::from(!background.is_empty())));
    }
    // RF-DETR: logits, the last of which means "nothing".
    if let (Some(boxes), Some(scores)) = (at("dets"), at("labels"))
        && let [Some(1), Some(n), Some(4)] = facts.outputs[boxes].dims[..]
        && let [Some(1), Some(m), Some(columns @ 2..)] = facts.outputs[scores].dims[..]
        && n == m
    {
        let outputs = format!("outputs: {{ boxes: {boxes}, scores: {scores} }}");
        let family =
            format!("boxes: {{ form: centre, units: relative, scores: sigmoid, background: last, {outputs} }}");
        return Some(Found::new(family, columns - 1));
    }
    None
}

/// Whether the last of several columns is positive and the largest in most rows.
fn nothing_wins(values: &[f32], columns: usize) -> bool {
    let wins = |row: &&[f32]| row.last().is_some_and(|last| *last > 0.0 && row.iter().all(|v| v <= last));
    columns > 2 && values.chunks_exact(columns).filter(wins).count() * columns * 10 > values.len() * 7
}

/// What a task of Ultralytics adds to its boxes: a column, and the settings that belong to it.
#[derive(Default)]
pub struct Further {
    /// The column, with a comma in front of it.
    pub column: &'static str,
    /// The settings, with a comma in front of them.
    pub spec: String,
    /// Boxes that turn are given by their centres.
    pub turned: bool,
}

/// Tells what the `width` further numbers of each box are.
pub fn further(facts: &Facts<'_>, guesses: &mut Vec<String>, width: usize) -> Further {
    let maps = facts.outputs.get(1).map(|output| output.dims.as_slice());
    match (facts.task.as_deref(), facts.points, maps) {
        (Some("obb"), ..) if width == 1 => Further { column: ", angle", spec: String::new(), turned: true },
        (Some("pose"), Some([count, each @ 2..=3]), _) if count.checked_mul(each) == Some(width) => {
            let scores = if each == 3 { ", scores: true" } else { "" };
            // The 17 points of a person, joined as COCO does.
            let skeleton = if count == 17 { format!(", skeleton: {COCO_SKELETON}") } else { String::new() };
            let spec = format!(", points: {{ count: {count}{scores}{skeleton} }}");
            Further { column: ", points", spec, turned: false }
        }
        (Some("segment"), _, Some([Some(1), Some(count), _, _])) if *count == width => {
            let spec = format!(", masks: {{ output: 1, count: {count} }}");
            Further { column: ", masks", spec, turned: false }
        }
        _ if width == 0 => Further::default(),
        _ => {
            guesses.push(format!("only the boxes are read; the {width} further numbers of each are not"));
            Further { column: ", rest", ..Further::default() }
        }
    }
}

/// `skeleton` of COCO's category `person`, counted from 0.
const COCO_SKELETON: &str = "[[15, 13], [13, 11], [16, 14], [14, 12], [11, 12], [5, 11], [6, 12], [5, 6], [5, 7], [6, 8], [7, 9], [8, 10], [1, 2], [0, 1], [0, 2], [1, 3], [2, 4], [3, 5], [4, 6]]";

/// The number of classes; `most` if nothing tells.
pub fn count(facts: &Facts<'_>, guesses: &mut Vec<String>, most: usize) -> usize {
    if facts.names.is_empty() {
        guesses.push(format!("the graph does not say how many classes there are; {most} are assumed"));
        return most;
    }
    facts.names.len()
}
