//! The parts of the page that are about classifiers and class maps.

use super::drawn::{CLASSES, Drawn, ROWS};
use crate::eval::measure::{Classification, Measured, Segmentation, Shot};
use crate::eval::page::Page;
use crate::eval::table::shown;
use crate::labels::shown as plain;
use std::collections::BTreeMap;

/// Adds what there is.
pub(super) fn sections(measured: &Measured, page: &mut Page) {
    if let Some(classification) = &measured.classification {
        classes(classification, page);
    }
    if let Some(segmentation) = &measured.segmentation {
        maps(segmentation, page);
    }
}

fn classes(classification: &Classification, page: &mut Page) {
    let top = &classification.top;
    page.heading("Accuracy");
    page.table(
        &["", ""],
        &[
            vec!["top-1".into(), shown(top.top1())],
            vec!["top-5".into(), shown(top.top5())],
            vec!["pictures".into(), top.count.to_string()],
        ],
    );
    let names = classification.names();
    let place: BTreeMap<&str, usize> = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let mut counts = vec![vec![0u64; names.len()]; names.len()];
    for answer in &classification.answers {
        counts[place[&*answer.real]][place[&*answer.best]] += 1;
    }
    let errors = |at: usize| {
        let row: u64 = counts[at].iter().sum();
        row + counts.iter().map(|row| row[at]).sum::<u64>() - 2 * counts[at][at]
    };
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(errors(*at)), *at));
    order.truncate(CLASSES);
    order.sort_unstable();
    page.heading("Confusion matrix");
    let more = if names.len() > order.len() {
        format!(" The {} classes with the most errors of {}.", order.len(), names.len())
    } else {
        String::new()
    };
    page.note(&format!("Rows: what it is; columns: the best answer.{more}"));
    let head: Vec<String> = order.iter().map(|at| plain(names[*at])).collect();
    let rows: Vec<(String, Vec<u64>)> =
        order.iter().map(|at| (plain(names[*at]), order.iter().map(|column| counts[*at][*column]).collect())).collect();
    page.matrix(&head, &rows);
    let pairs: Vec<Vec<String>> = classification
        .confused()
        .into_iter()
        .take(30)
        .map(|(real, best, count)| vec![plain(real), plain(best), count.to_string()])
        .collect();
    if !pairs.is_empty() {
        page.heading("The most confused pairs");
        page.table(&["is a", "taken for", "times"], &pairs);
    }
    if let Some(calibration) = classification.calibration() {
        page.heading("Calibration");
        page.note(&format!(
            "Expected calibration error {:.3} (15 bins; Guo et al. 2017): the mean difference between the score of the best answer and the share of such answers that is right.",
            calibration.error
        ));
        let used = || calibration.bins.iter().filter(|bin| bin.count > 0);
        let line = used().map(|bin| (bin.score, bin.right)).collect();
        page.chart(
            ("score", "right"),
            &[("ideal".into(), vec![(0.0, 0.0), (1.0, 1.0)]), ("found".into(), line)],
            [(0.0, 1.0); 2],
        );
    }
}

fn maps(segmentation: &Segmentation, page: &mut Page) {
    let confusion = &segmentation.confusion;
    page.heading("Class maps");
    let rows = [
        ("mIoU", confusion.mean_iou()),
        ("pixel accuracy", confusion.pixel_accuracy()),
        ("mean class accuracy", confusion.mean_class_accuracy()),
        ("frequency-weighted IoU", confusion.frequency_weighted_iou()),
        ("mean boundary IoU", segmentation.mean_boundary_iou()),
    ];
    page.table(&["", ""], &rows.map(|(name, value)| vec![name.to_owned(), shown(value)]));
    page.table(
        &["class", "IoU", "Dice", "boundary IoU"],
        &segmentation.rows().into_iter().take(ROWS).collect::<Vec<_>>(),
    );
    let classes = confusion.classes();
    let counts = confusion.counts();
    let used: Vec<usize> = (0..classes)
        .filter(|at| (0..classes).any(|o| counts[at * classes + o] + counts[o * classes + at] > 0))
        .take(CLASSES)
        .collect();
    page.heading("Confusion matrix");
    page.note("Rows: what it is; columns: what was found; thousandths of the row's pixels.");
    let head: Vec<String> = used.iter().map(|at| segmentation.name(*at)).collect();
    let row = |at: &usize| {
        let all: u64 = counts[at * classes..][..classes].iter().sum();
        let part = |column: &usize| (counts[at * classes + column] * 1000 + all / 2) / all.max(1);
        (segmentation.name(*at), used.iter().map(part).collect::<Vec<u64>>())
    };
    page.matrix(&head, &used.iter().map(row).collect::<Vec<_>>());
}

/// What is said of a picture without boxes.
pub(super) fn overlay(measured: &Measured, shot: &Shot) -> Drawn {
    let record = measured.records.get(shot.image);
    let mut drawn =
        Drawn { svg: String::new(), caption: measured.words(shot.image), classes: Vec::new(), kinds: Vec::new() };
    if let Some((real, best, _)) = record.and_then(|record| record.class.as_ref()) {
        drawn.classes = vec![plain(real), plain(best)];
        drawn.kinds = vec![format!("{} taken for {}", plain(real), plain(best))];
    }
    if let (Some(record), Some(segmentation)) = (record, &measured.segmentation) {
        let mut classes: Vec<u8> =
            record.pixels.iter().filter(|(a, b, _)| a != b).flat_map(|(a, b, _)| [*a, *b]).collect();
        classes.sort_unstable();
        classes.dedup();
        drawn.classes = classes.into_iter().map(|class| segmentation.name(usize::from(class))).collect();
    }
    drawn
}
