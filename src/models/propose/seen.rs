//! Finished boxes whose layout is told apart by what the graph answers to a test picture, if only one reading of that is
//! possible.

use super::boxes::count;
use super::facts::{Facts, Found};
use crate::infer::Probed;
use crate::types::Size;

/// Layouts that the answers to a test picture tell.
pub fn seen(facts: &Facts<'_>, guesses: &mut Vec<String>) -> Option<Found> {
    let size = facts.input.size;
    let outputs = &facts.outputs;
    let open = |output: &Probed| -> Vec<Option<usize>> {
        let from = output.dims.iter().take(output.dims.len().saturating_sub(2)).take_while(|d| **d == Some(1)).count();
        output.dims[from..].to_vec()
    };
    if let [output] = outputs.as_slice() {
        let [n, Some(width @ 5..=7)] = open(output)[..] else { return None };
        // Rows that are as many as an image has cells are heads.
        return (n.is_none_or(|n| n <= 1000)).then(|| rows(facts, output, width, guesses)).flatten();
    }
    let fours: Vec<usize> = (0..outputs.len()).filter(|at| outputs[*at].dims.last() == Some(&Some(4))).collect();
    let by_name = |at: &&usize| {
        let name = outputs[**at].name.to_lowercase();
        name.contains("box") || name.contains("dets")
    };
    let boxes = *fours.iter().find(by_name).or(fours.first())?;
    let others: Vec<usize> = (0..outputs.len()).filter(|at| *at != boxes).collect();
    let values = &outputs[boxes].held.as_ref()?.1;
    let n = values.len() / 4;
    if let [scores] = others[..]
        && let Some(&Some(columns @ 1..)) = outputs[scores].dims.last()
        && let Some((_, held)) = &outputs[scores].held
        && held.len() == n * columns
    {
        return Some(scored(values, held, columns, size, [boxes, scores], guesses));
    }
    // One score and one class number for each box.
    let whole = |at: &usize| outputs[*at].held.as_ref().is_some_and(|(_, v)| v.iter().all(|v| v.fract() == 0.0));
    let each: Vec<usize> =
        others.iter().copied().filter(|at| outputs[*at].held.as_ref().is_some_and(|(_, v)| v.len() == n)).collect();
    if each.len() == 2 && others.len() <= 3 && n > 0 {
        let is_class = |at: &usize| {
            whole(at)
                && (outputs[*at].name.to_lowercase().contains("label")
                    || outputs[*at].name.to_lowercase().contains("class"))
        };
        let numbers = *each.iter().find(|at| is_class(at)).or_else(|| each.iter().find(|at| whole(at)))?;
        let scores = *each.iter().find(|at| **at != numbers)?;
        let held = &outputs[scores].held.as_ref()?.1;
        let rows: Vec<[f32; 4]> = best(values, n, |at| held[at]);
        let count = others.iter().find(|at| !each.contains(at)).map_or(String::new(), |at| format!(", count: {at}"));
        let none = outputs[numbers].held.as_ref().is_some_and(|(_, v)| v.contains(&0.0));
        let background = if none { "" } else { "background: first?, " };
        let family = format!(
            "boxes: {{ {}{background}outputs: {{ boxes: {boxes}, scores: {scores}, classes: {numbers}{count} }} }}",
            words(&rows, size)
        );
        return Some(Found::new(family, super::boxes::count(facts, guesses, 80)));
    }
    None
}

/// Rows of a single output, each a finished box.
fn rows(facts: &Facts<'_>, output: &Probed, width: usize, guesses: &mut Vec<String>) -> Option<Found> {
    let values = output.held.as_ref().map(|(_, values)| values.as_slice()).unwrap_or_default();
    let rows: Vec<&[f32]> = values.chunks_exact(width).filter(|row| row.iter().any(|v| *v != 0.0)).collect();
    let all = |column: usize, holds: fn(f32) -> bool| !rows.is_empty() && rows.iter().all(|row| holds(row[column]));
    let number = |column: usize| all(column, |v| v.fract() == 0.0 && v >= -1.0);
    let score = |column: usize| all(column, |v| (0.0..=1.0).contains(&v)) && !number(column);
    let (columns, at) = match width {
        5 if number(4) => ("[box, class]", 0),
        5 if score(4) => ("[box, scores]", 0),
        6 if score(4) && number(5) => ("[box, score, class]", 0),
        6 if number(0) && score(1) => ("[class, score, box]", 2),
        6 if number(4) && score(5) => ("[box, class, score]", 0),
        7 if number(0) && number(1) && score(2) => ("[skip, class, score, box]", 3),
        7 if number(0) && number(5) && score(6) => ("[skip, box, class, score]", 1),
        6 => ("[box, score?, class?]", 0),
        _ => return None,
    };
    let found: Vec<[f32; 4]> = rows.iter().map(|row| [row[at], row[at + 1], row[at + 2], row[at + 3]]).collect();
    let classes = if columns == "[box, scores]" { 1 } else { count(facts, guesses, 80) };
    Some(Found::new(format!("boxes: {{ {}columns: {columns} }}", words(&found, facts.input.size)), classes))
}

/// One output of boxes, and one with a score for each box and class.
fn scored(
    values: &[f32],
    held: &[f32],
    columns: usize,
    size: Size,
    [boxes, scores]: [usize; 2],
    guesses: &mut Vec<String>,
) -> Found {
    let most = |at: usize| held[at * columns..][..columns].iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let n = held.len() / columns;
    let logits = held.iter().any(|v| !(-1e-3..=1.001).contains(v));
    let sums = !logits && n > 0 && held.chunks_exact(columns).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 0.01);
    // A column that wins almost everywhere is the background.
    let wins = |column: usize| {
        held.chunks_exact(columns).filter(|row| row.iter().all(|v| *v <= row[column])).count() * 10 > n * 8
    };
    let background = match (sums, columns > 1 && wins(0), columns > 1 && wins(columns - 1)) {
        (true, true, false) => "background: first, ",
        (true, false, true) => "background: last, ",
        (true, ..) => "background: first?, ",
        (false, ..) => "",
    };
    let rows = best(values, n, most);
    let said = words(&rows, size);
    let outputs = format!("outputs: {{ boxes: {boxes}, scores: {scores} }}");
    if said.contains("form: corners?")
        && rows.iter().any(|row| !is(*row, Form::Corners, size) && !is(*row, Form::Centre, size))
    {
        // Neither: offsets from anchors.
        guesses.push("the boxes are offsets from anchors, which a graph does not tell: write its `anchors`, `weights` and `background`".into());
        let outputs = format!("boxes_output: {{ index: {boxes} }}, scores_output: {{ index: {scores} }}");
        return Found::new(format!("ssd: {{ anchors: unknown?, {outputs} }}"), columns.saturating_sub(1).max(1));
    }
    let kind = if logits { "scores: sigmoid?, " } else { "" };
    let classes = columns - usize::from(!background.is_empty());
    Found::new(format!("boxes: {{ {said}{kind}{background}{outputs} }}"), classes.max(1))
}

/// The boxes with the highest scores that are not empty.
fn best(values: &[f32], n: usize, score: impl Fn(usize) -> f32) -> Vec<[f32; 4]> {
    let mut order: Vec<usize> = (0..n).filter(|at| values[at * 4..][..4].iter().any(|v| *v != 0.0)).collect();
    order.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
    order.into_iter().take(50).map(|at| [0, 1, 2, 3].map(|side| values[at * 4 + side])).collect()
}

/// A reading of four numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Corners,
    Centre,
}

/// Whether four numbers can be a box of this form.
fn is(row: [f32; 4], form: Form, size: Size) -> bool {
    let side = if is_relative(&[row]) { (1.0, 1.0) } else { (size.width as f32, size.height as f32) };
    let inside = |v: f32, side: f32| v > -0.15 * side && v < 1.15 * side;
    let [a, b, c, d] = row;
    match form {
        Form::Corners => {
            c > a && d > b && inside(c, side.0) && inside(d, side.1) && inside(a, side.0) && inside(b, side.1)
        }
        Form::Centre => {
            c > 0.0
                && d > 0.0
                && inside(a - c / 2.0, side.0)
                && inside(a + c / 2.0, side.0)
                && inside(b - d / 2.0, side.1)
                && inside(b + d / 2.0, side.1)
        }
    }
}

fn is_relative(rows: &[[f32; 4]]) -> bool {
    rows.iter().flatten().all(|v| v.abs() <= 1.5)
}

/// The words `form` and `units`, with a `?` if these boxes can be read in two ways.
fn words(rows: &[[f32; 4]], size: Size) -> String {
    let relative = is_relative(rows);
    let units = match (rows.is_empty(), relative) {
        (true, _) => "units: pixels?, ",
        (false, true) => "units: relative, ",
        (false, false) => "",
    };
    let can = |form: Form| !rows.is_empty() && rows.iter().all(|row| is(*row, form, size));
    let form = match (can(Form::Corners), can(Form::Centre)) {
        (true, false) => "",
        (false, true) => "form: centre, ",
        _ => "form: corners?, ",
    };
    format!("{form}{units}")
}

/// Whether rows begin with boxes in pixels, and not with offsets from their cells.
pub fn is_decoded(output: &Probed, size: Size) -> bool {
    let Some((shape, values)) = &output.held else { return false };
    let width = shape.last().copied().unwrap_or(1).max(1);
    let far = values.chunks_exact(width).flat_map(|row| row.iter().take(4)).fold(0.0_f32, |far, v| far.max(v.abs()));
    far > 0.25 * size.width.min(size.height) as f32
}

/// Decoded rows, as many as there are cells: with objectness (YOLOX) or without (YOLOv8, turned).
pub fn dense(output: &Probed, width: usize, guesses: &mut Vec<String>) -> Found {
    let values = output.held.as_ref().map(|(_, values)| values.as_slice()).unwrap_or_default();
    let others = |row: &[f32]| row[5..].iter().copied().fold(0.0, f32::max);
    // An object that is certainly there, and of no class at all: then the fifth number is a class.
    let is_class = values.chunks_exact(width).any(|row| row[4] > 0.3 && others(row) < 0.1);
    if is_class {
        return Found::new("boxes: { form: centre, columns: [box, scores] }", width - 4);
    }
    guesses.push("the rows may hold an objectness before the scores of the classes, or not: write `columns: [box, scores]` if not".into());
    Found::new("boxes: { form: centre, columns: [box, objectness?, scores] }", width - 5)
}
