use super::*;
use crate::infer::Arrays;

/// What every layout below says: class 0 with 0.9, class 1 with 0.8; the input has 64 x 64 pixels and three classes.
const RIGHT: [(u16, f32, [f32; 4]); 2] = [(0, 0.9, [8.0, 16.0, 40.0, 48.0]), (1, 0.8, [20.0, 4.0, 60.0, 30.0])];

fn read(card: &str, arrays: Vec<(Vec<usize>, Vec<f32>)>) -> Result<Vec<(u16, f32, [f32; 4])>> {
    let spec: Boxes = crate::yaml::read(&crate::yaml::parse(card).unwrap()).unwrap();
    let placement = Placement { scale: (1.0, 1.0), offset: (0.0, 0.0), frame: Size::new(64, 64) };
    let mut found = Vec::new();
    BoxesDetector::for_input(spec, Size::new(64, 64), 3).decode(&Arrays(arrays), &placement, 0.5, &mut found)?;
    let round = |v: f32| (v * 1e4).round() / 1e4;
    Ok(found
        .iter()
        .map(|d| (d.class, round(d.score), [d.bbox.x1, d.bbox.y1, d.bbox.x2, d.bbox.y2].map(round)))
        .collect())
}

fn is_right(card: &str, arrays: Vec<(Vec<usize>, Vec<f32>)>) {
    assert_eq!(read(card, arrays).unwrap(), RIGHT, "{card}");
}

#[test]
fn rows_of_all_orders_are_read() {
    let [a, b] = RIGHT.map(|(_, _, b)| b);
    let with = |tail: [&[f32]; 3], head: [&[f32]; 3]| -> Vec<f32> {
        let row = |at: usize, b: [f32; 4]| [head[at], &b, tail[at]].concat();
        [row(0, a), row(1, b), row(2, [0.0; 4])].concat()
    };
    let none: [&[f32]; 3] = [&[], &[], &[]];
    is_right(
        "{ columns: [box, score, class] }",
        vec![(vec![1, 3, 6], with([&[0.9, 0.0], &[0.8, 1.0], &[0.0, 0.0]], none))],
    );
    is_right(
        "{ columns: [class, score, box] }",
        vec![(vec![3, 6], with(none, [&[0.0, 0.9], &[1.0, 0.8], &[-1.0, 0.0]]))],
    );
    is_right(
        "{ columns: [skip, class, score, box], background: first }",
        vec![(vec![1, 1, 3, 7], with(none, [&[0.0, 1.0, 0.9], &[0.0, 2.0, 0.8], &[-1.0, 0.0, 0.0]]))],
    );
    // No score: everything counts but padding.
    let found = read("{ columns: [box, class] }", vec![(vec![3, 5], with([&[0.0], &[1.0], &[0.0]], none))]).unwrap();
    assert_eq!(found, RIGHT.map(|(class, _, b)| (class, 1.0, b)));
    is_right(
        "{ columns: [box, objectness, scores] }",
        vec![(vec![1, 3, 8], with([&[0.9, 1.0, 0.1, 0.2], &[1.0, 0.1, 0.8, 0.2], &[0.4, 1.0, 1.0, 1.0]], none))],
    );
    // No row at all.
    assert!(read("{ columns: [box, class] }", vec![(vec![0, 5], vec![])]).unwrap().is_empty());
}

#[test]
fn centres_columns_and_parts_of_the_input_are_read() {
    // Two boxes as columns: centre, size, three logits.
    let columns = [24.0, 40.0, 32.0, 17.0, 32.0, 40.0, 32.0, 26.0].to_vec();
    let logit = |p: f32| (p / (1.0 - p)).ln();
    let scores = vec![logit(0.9), -3.0, -9.0, logit(0.8), -9.0, -9.0];
    is_right(
        "{ form: centre, columns: [box, scores], axis: columns, scores: sigmoid }",
        vec![(vec![1, 7, 2], [columns, scores].concat())],
    );
    let relative = vec![0.25, 0.125, 0.75, 0.625, 0.0625, 0.3125, 0.46875, 0.9375, 0.0, 0.0, 1.0, 1.0];
    is_right(
        "{ first: y, units: relative, background: first, outputs: { boxes: 0, classes: 1, scores: 2, count: 3 } }",
        vec![
            (vec![1, 3, 4], relative),
            (vec![1, 3], vec![1.0, 2.0, 1.0]),
            (vec![1, 3], vec![0.9, 0.8, 1.0]),
            (vec![1], vec![2.0]),
        ],
    );
    // Softmax with "nothing" as the last column: exp(ln 9) / (exp(ln 9) + 1) = 0.9.
    let low = -100.0;
    let rows = vec![9.0_f32.ln(), low, low, 0.0, low, 4.0_f32.ln(), low, 0.0, low, low, low, 9.0];
    let boxes = [RIGHT[0].2, RIGHT[1].2, [1.0, 1.0, 9.0, 9.0]].concat();
    is_right(
        "{ outputs: { boxes: 0, scores: 1 }, scores: softmax, background: last }",
        vec![(vec![1, 3, 4], boxes), (vec![1, 3, 4], rows)],
    );
    is_right(
        "{ form: corner, columns: [box, score, class] }",
        vec![(vec![2, 6], vec![8.0, 16.0, 32.0, 32.0, 0.9, 0.0, 20.0, 4.0, 40.0, 26.0, 0.8, 1.0])],
    );
}

#[test]
fn what_does_not_fit_the_labels_is_refused() {
    let rows = |class: f32| vec![(vec![1, 1, 6], vec![1.0, 1.0, 9.0, 9.0, 0.9, class])];
    for class in [3.0, 0.5] {
        let error = read("{ columns: [box, score, class] }", rows(class)).unwrap_err().to_string();
        assert!(error.contains("3 labels"), "{error}");
    }
    let error = read("{ columns: [box, scores] }", rows(0.0)).unwrap_err().to_string();
    assert!(error.contains("7 numbers per box"), "{error}");
    // Not a number is never an answer.
    assert!(read("{ columns: [box, score, class] }", rows(f32::NAN)).unwrap().is_empty());
}

#[test]
fn all_classes_above_the_threshold_are_given_if_asked() {
    let row = vec![(vec![1, 1, 7], vec![1.0, 1.0, 9.0, 9.0, 0.6, 0.9, 0.7])];
    let classes = |card: &str| -> Vec<u16> { read(card, row.clone()).unwrap().iter().map(|d| d.0).collect() };
    assert_eq!(classes("{ columns: [box, scores], all_classes: true }"), [0, 1, 2]);
    assert_eq!(classes("{ columns: [box, scores] }"), [1]);
}
