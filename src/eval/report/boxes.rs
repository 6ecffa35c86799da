//! The part of the page that is about detectors.

use super::drawn::{CLASSES, Drawn, ROWS};
use crate::eval::measure::{Detection, Shot};
use crate::eval::page::{Page, escape};
use crate::eval::table::shown;
use crate::eval::thresholds::{Curves, Point, together};
use crate::eval::tide::{Fate, Kind};
use crate::labels::shown as plain;
use std::fmt::Write as _;

/// The colour of what is right, of each kind of error, and of what counts for nothing.
const RIGHT: &str = "#00c060";

fn color(kind: Kind) -> &'static str {
    match kind {
        Kind::Class => "#cc79a7",
        Kind::Place => "#e69f00",
        Kind::Both => "#d55e00",
        Kind::Duplicate => "#56b4e9",
        Kind::Background => "#ff4040",
        Kind::Missed => "#ffff00",
    }
}

/// Adds kinds of error, the confusion matrix and the best thresholds.
pub(super) fn errors(detection: &Detection, page: &mut Page) {
    kinds(detection, page);
    matrix(detection, page);
    thresholds(detection, page);
}

fn kinds(detection: &Detection, page: &mut Page) {
    let tide = &detection.tide;
    page.heading("Kinds of error");
    page.note("As TIDE (Bolya et al. 2020) sorts them, at IoU 0.5; the gain is how much AP50 would rise if only this kind were fixed. Its AP50 is the mean over all classes that are there or found.");
    let row = |(at, kind): (usize, Kind)| {
        vec![
            kind.word().to_owned(),
            tide.counts[at].to_string(),
            format!("+{:.3}", tide.gains[at]),
            kind.meaning().to_owned(),
        ]
    };
    let mut rows: Vec<Vec<String>> = Kind::ALL.into_iter().enumerate().map(row).collect();
    rows.push(vec![
        "no false positives".into(),
        String::new(),
        format!("{:+.3}", tide.special[0]),
        "every wrong detection below every right one".into(),
    ]);
    rows.push(vec![
        "no false negatives".into(),
        String::new(),
        format!("{:+.3}", tide.special[1]),
        "no object without a detection".into(),
    ]);
    page.table(&["error", "count", "gain in AP50", "meaning"], &rows);
}

/// The best thresholds by class, and as YAML.
fn thresholds(detection: &Detection, page: &mut Page) {
    let best: Vec<(&String, &Curves, Point)> = detection
        .curves
        .iter()
        .filter_map(|(class, curves)| Some((detection.names.get(class)?, curves, curves.best(detection.floor())?)))
        .collect();
    if best.is_empty() {
        return;
    }
    page.heading("The best thresholds");
    let cut = detection.cut.as_ref().map_or(String::new(), |(line, cut)| {
        format!(" `{line}` lets nothing through below {cut:.2}, so a better threshold below that would not be seen.")
    });
    page.note(&format!("The score threshold with the best F1 at IoU 0.5.{cut}"));
    let row = |(name, curves, point): &(&String, &Curves, Point)| {
        let values = [point.score, point.precision, point.recall, point.f1()].map(|value| shown(Some(value)));
        [vec![plain(name)], values.to_vec(), vec![curves.real.to_string()]].concat()
    };
    page.table(
        &["class", "min_score", "precision", "recall", "F1", "objects"],
        &best.iter().take(ROWS).map(row).collect::<Vec<_>>(),
    );
    page.text(&yaml(detection));
}

/// The thresholds as YAML to paste.
pub(super) fn yaml(detection: &Detection) -> String {
    let mut text = String::from("min_score:\n");
    // A class of this name leaves no word for the rest.
    if detection.curves.len() > 1 && !detection.names.values().any(|name| name == "other") {
        // For classes that are not there, what the pipeline had.
        let _ = writeln!(text, "  other: {}", detection.cut.as_ref().map_or(0.5, |(_, cut)| (cut * 1e4).round() / 1e4));
    }
    for (class, curves) in &detection.curves {
        if let (Some(name), Some(best)) = (detection.names.get(class), curves.best(detection.floor())) {
            let name = if name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-'))
                && !name.is_empty()
            {
                name.clone()
            } else {
                serde_json::Value::from(name.as_str()).to_string()
            };
            let _ = writeln!(text, "  {name}: {}", best.score);
        }
    }
    text
}

/// Adds curves over the score, over recall and over IoU.
pub(super) fn curves(detection: &Detection, page: &mut Page) {
    // Those with the most objects say the most.
    let mut classes: Vec<(&u64, &Curves)> = detection.curves.iter().collect();
    classes.sort_by_key(|(_, curves)| std::cmp::Reverse(curves.real));
    let total = classes.len();
    classes.truncate(7);
    let name = |class: &u64| detection.names.get(class).map_or_else(|| class.to_string(), |name| plain(name));
    if total > classes.len() {
        page.note(&format!(
            "Curves of all {total} classes together, and of the {} with the most objects.",
            classes.len()
        ));
    }
    let all = together(detection.curves.values());
    let series = |value: fn(&Point) -> f64| -> Vec<_> {
        let line =
            |curves: &Curves| curves.points().iter().map(|point| (point.score, value(point))).collect::<Vec<_>>();
        std::iter::once(("all".to_owned(), line(&all)))
            .chain(classes.iter().map(|(class, c)| (name(class), line(c))))
            .collect()
    };
    page.heading("F1 by score threshold");
    page.chart(("score threshold", "F1"), &series(Point::f1), [(0.0, 1.0); 2]);
    page.heading("Precision by score threshold");
    page.chart(("score threshold", "precision"), &series(|point| point.precision), [(0.0, 1.0); 2]);
    page.heading("Recall by score threshold");
    page.chart(("score threshold", "recall"), &series(|point| point.recall), [(0.0, 1.0); 2]);
    page.heading("Precision over recall at IoU 0.5 (COCO)");
    let points = |curve: &Vec<f64>| curve.iter().enumerate().map(|(at, p)| (at as f64 * 0.01, *p)).collect();
    let lines: Vec<_> = classes
        .iter()
        .filter_map(|(class, _)| Some((name(class), points(detection.coco.curves.get(class)?))))
        .collect();
    page.chart(("recall", "precision"), &lines, [(0.0, 1.0); 2]);
    page.heading("AP by IoU");
    let by_iou: Vec<(f64, f64)> = detection
        .coco
        .by_iou
        .iter()
        .enumerate()
        .filter_map(|(at, ap)| Some((0.5 + 0.05 * at as f64, (*ap)?)))
        .collect();
    page.chart(("IoU", "AP"), &[("mean of all classes".into(), by_iou)], [(0.5, 0.95), (0.0, 1.0)]);
}

/// The confusion matrix of the classes with the most confusions.
fn matrix(detection: &Detection, page: &mut Page) {
    let matrix = &detection.matrix;
    let none = matrix.classes.len();
    let name = |at: usize| detection.names.get(&matrix.classes[at]).map_or_else(String::new, |name| plain(name));
    let errors = |at: usize| {
        let row: u64 = matrix.counts[at].iter().sum();
        let column: u64 = matrix.counts.iter().map(|row| row[at]).sum();
        row + column - matrix.counts[at][at]
    };
    let mut order: Vec<usize> = (0..none).filter(|at| errors(*at) > 0).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(errors(*at)), *at));
    let total = order.len();
    order.truncate(CLASSES);
    order.sort_unstable();
    page.heading("Confusion matrix");
    let more = if total > order.len() {
        format!(" The {} classes with the most errors of {total}.", order.len())
    } else {
        String::new()
    };
    page.note(&format!(
        "Rows: what is there; columns: what was found (as supervision counts, pairs above IoU 0.5).{more}"
    ));
    let mut head: Vec<String> = order.iter().map(|at| name(*at)).collect();
    head.push("missed".into());
    let row = |at: usize| order.iter().chain([&none]).map(|column| matrix.counts[at][*column]).collect::<Vec<u64>>();
    let mut rows: Vec<(String, Vec<u64>)> = order.iter().map(|at| (name(*at), row(*at))).collect();
    rows.push(("nothing there".into(), row(none)));
    page.matrix(&head, &rows);
    let pairs: Vec<Vec<String>> = matrix
        .confused()
        .into_iter()
        .take(20)
        .map(|(real, found, count)| {
            let name = |class: &u64| detection.names.get(class).map_or_else(String::new, |name| plain(name));
            vec![name(&real), name(&found), count.to_string()]
        })
        .collect();
    if !pairs.is_empty() {
        page.table(&["is a", "taken for", "times"], &pairs);
    }
}

/// Draws what is there and what was found over a picture.
pub(super) fn overlay(detection: &Detection, shot: &Shot, words: &str) -> Drawn {
    let (w, h) = (shot.frame.width, shot.frame.height);
    let (line, letters) = (f64::from(w) / 250.0, f64::from(w.max(h)) / 34.0);
    let image = shot.image as u64 + 1;
    let mut svg = format!("<svg viewBox=\"0 0 {w} {h}\" preserveAspectRatio=\"none\">");
    let (mut classes, mut kinds) = (Vec::new(), Vec::new());
    let mut rect = |bbox: &[f64; 4], color: &str, dashed: bool, text: &str| {
        let [x, y, bw, bh] = *bbox;
        let dash = if dashed { format!(" stroke-dasharray=\"{:.1}\"", line * 3.0) } else { String::new() };
        let _ = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{bw:.1}\" height=\"{bh:.1}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{line:.2}\"{dash}/>"
        );
        if !text.is_empty() {
            let (tx, ty) = (x.max(0.0), if y > letters { y - line } else { y + bh.min(letters * 1.2) });
            let _ = write!(
                svg,
                "<text x=\"{tx:.1}\" y=\"{ty:.1}\" font-size=\"{letters:.1}\" fill=\"{color}\">{}</text>",
                escape(text)
            );
        }
    };
    let name = |class: u64| detection.names.get(&class).map_or_else(|| class.to_string(), |name| short(name));
    // Both lists are in the order of the pictures.
    let there = detection.real.partition_point(|real| real.image < image)
        ..detection.real.partition_point(|real| real.image <= image);
    let here =
        detection.found.partition_point(|f| f.image < image)..detection.found.partition_point(|f| f.image <= image);
    for (at, real) in there.clone().zip(&detection.real[there]) {
        let missed = detection.tide.missed.binary_search(&at).is_ok();
        classes.push(name(real.class));
        if missed {
            kinds.push(Kind::Missed.word().to_owned());
        }
        let color = if missed { color(Kind::Missed) } else { "#ffffff" };
        let text = if missed { format!("{} missed", name(real.class)) } else { String::new() };
        rect(&real.bbox, color, true, &text);
    }
    for (found, fate) in detection.found[here.clone()].iter().zip(&detection.tide.fates[here]) {
        let (color, text) = match fate {
            Fate::Right(iou) => (RIGHT, format!("{} {:.2} · {iou:.2}", name(found.class), found.score)),
            Fate::Wrong(kind, iou) => {
                kinds.push(kind.word().to_owned());
                (color(*kind), format!("{} {:.2} · {iou:.2} {}", name(found.class), found.score, kind.word()))
            }
            Fate::Cut => continue,
        };
        classes.push(name(found.class));
        rect(&found.bbox, color, false, &text);
    }
    svg.push_str("</svg>");
    for list in [&mut classes, &mut kinds] {
        list.sort();
        list.dedup();
    }
    Drawn { svg, caption: words.to_owned(), classes, kinds }
}

/// A name that fits on a picture.
fn short(name: &str) -> String {
    let plain = plain(name);
    if plain.chars().count() > 24 { plain.chars().take(23).chain(['…']).collect() } else { plain }
}
