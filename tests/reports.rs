//! Kinds of error, confusion, thresholds, calibration and boundary IoU against the field's programs.
//!
//! `tests/numbers/eval.json` is written by `scripts/eval-numbers.py`: tidecv 1.0.1, supervision 0.31.2, Ultralytics
//! 8.4.190 (run, not read), torchmetrics 1.9.0, and boundary IoU as Cheng et al. 2021 define it. Its larger problems are
//! those of `OCELLI_VECTORS`.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::eval::boundary::{boundary, width};
use ocelli::internals::eval::calibration::calibration;
use ocelli::internals::eval::coco::{Found, Real};
use ocelli::internals::eval::matrix::confusion;
use ocelli::internals::eval::thresholds::curves;
use ocelli::internals::eval::tide::{self, Fate, Kind};
use ocelli::internals::types::Size;
use serde_json::Value;
use support::folder;

fn numbers() -> Value {
    serde_json::from_str(&std::fs::read_to_string("tests/numbers/eval.json").unwrap()).unwrap()
}

struct Problem {
    name: String,
    images: Vec<u64>,
    classes: Vec<u64>,
    real: Vec<Real>,
    found: Vec<Found>,
    right: Value,
}

fn list(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect()
}

/// The problems in the file itself, and those of `OCELLI_VECTORS`, if it is set.
fn problems() -> Vec<Problem> {
    let vectors = folder("OCELLI_VECTORS");
    let mut all = Vec::new();
    for right in numbers()["problems"].as_array().unwrap() {
        let name = right["name"].as_str().unwrap().to_owned();
        let number = |row: &Value, at: usize| row[at].as_f64().unwrap();
        let (images, classes, real, found) = if let Some(input) = right.get("input") {
            let real = |row: &Value| Real {
                image: row[0].as_u64().unwrap(),
                class: row[1].as_u64().unwrap(),
                bbox: [2, 3, 4, 5].map(|at| number(row, at)),
                crowd: number(row, 6) != 0.0,
                ..Real::default()
            };
            let found = |row: &Value| Found {
                image: row[0].as_u64().unwrap(),
                class: row[1].as_u64().unwrap(),
                bbox: [2, 3, 4, 5].map(|at| number(row, at)),
                score: number(row, 6),
            };
            (
                list(&input["images"]),
                list(&input["classes"]),
                input["gt"].as_array().unwrap().iter().map(real).collect(),
                input["dt"].as_array().unwrap().iter().map(found).collect(),
            )
        } else {
            let Some(vectors) = &vectors else { continue };
            let read = |kind: &str| -> Value {
                serde_json::from_str(
                    &std::fs::read_to_string(vectors.join(format!("coco_{name}_{kind}.json"))).unwrap(),
                )
                .unwrap()
            };
            let (gt, dt) = (read("gt"), read("dt"));
            let ids = |key: &str| gt[key].as_array().unwrap().iter().map(|v| v["id"].as_u64().unwrap()).collect();
            let bbox = |a: &Value| [0, 1, 2, 3].map(|at| number(&a["bbox"], at));
            let real = |a: &Value| Real {
                image: a["image_id"].as_u64().unwrap(),
                class: a["category_id"].as_u64().unwrap(),
                bbox: bbox(a),
                crowd: a["iscrowd"].as_u64() == Some(1),
                ..Real::default()
            };
            let found = |a: &Value| Found {
                image: a["image_id"].as_u64().unwrap(),
                class: a["category_id"].as_u64().unwrap(),
                bbox: bbox(a),
                score: a["score"].as_f64().unwrap(),
            };
            (
                ids("images"),
                ids("categories"),
                gt["annotations"].as_array().unwrap().iter().map(real).collect(),
                dt.as_array().unwrap().iter().map(found).collect(),
            )
        };
        all.push(Problem { name, images, classes, real, found, right: right.clone() });
    }
    assert!(all.len() >= 3);
    all
}

/// Counts and fates are equal; APs within 1e-9 (floats in another order).
#[test]
fn kinds_of_error_are_those_of_tidecv() {
    let _limit = limit::within(60);
    for p in problems() {
        let (ours, right) = (tide::judge(&p.images, &p.real, &p.found), &p.right["tide"]);
        let near = |value: f64, right: &Value, what: &str| {
            let right = right.as_f64().unwrap() / 100.0;
            assert!((value - right).abs() < 1e-9, "{}: {what}: {value}, tidecv {right}", p.name);
        };
        near(ours.ap50, &right["ap"], "AP50");
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(ours.counts[at], right["count"][kind.tidecv()].as_u64().unwrap(), "{}: {kind:?}", p.name);
            near(ours.gains[at], &right["dap_main"][kind.tidecv()], kind.tidecv());
        }
        near(ours.special[0], &right["dap_special"]["FalsePos"], "FalsePos");
        near(ours.special[1], &right["dap_special"]["FalseNeg"], "FalseNeg");
        let fates: Vec<String> = ours
            .fates
            .iter()
            .map(|fate| match fate {
                Fate::Right(_) => "TP".to_owned(),
                Fate::Wrong(kind, _) => kind.tidecv().to_owned(),
                Fate::Cut => "-".to_owned(),
            })
            .collect();
        let theirs: Vec<&str> =
            right["fate_of_detection"].as_str().unwrap().split(' ').map(|fate| fate.trim_end_matches('*')).collect();
        assert_eq!(fates, theirs, "{}", p.name);
        assert_eq!(
            ours.missed.iter().map(|at| *at as u64).collect::<Vec<_>>(),
            list(&right["missed_gt_index"]),
            "{}",
            p.name
        );
    }
}

/// supervision has no crowds: its numbers with crowds left out, and detections on crowds as wrong ones, are compared on
/// what is no crowd.
#[test]
fn the_confusion_matrix_is_that_of_supervision() {
    let _limit = limit::within(60);
    for p in problems() {
        let real: Vec<Real> = p.real.iter().filter(|real| !real.crowd).cloned().collect();
        let ours = confusion(&p.classes, &real, &p.found, 0.3);
        let right: Vec<Vec<u64>> =
            p.right["confusion"]["crowds_left_out"].as_array().unwrap().iter().map(list).collect();
        assert_eq!(ours.counts, right, "{}", p.name);
    }
}

/// Ultralytics interpolates its curves between the scores of detections; so does this test from our points, to 1e-9.
#[test]
fn precision_and_recall_over_the_score_are_those_of_ultralytics() {
    let _limit = limit::within(60);
    for mut p in problems() {
        let right = &p.right["curves"];
        if right.is_null() {
            continue;
        }
        // Its order of equal scores depends on the machine, so the numbers were made with all scores apart.
        let mut order: Vec<usize> = (0..p.found.len()).collect();
        order.sort_by(|a, b| p.found[*b].score.total_cmp(&p.found[*a].score));
        order.into_iter().enumerate().for_each(|(place, at)| p.found[at].score -= 1e-9 * place as f64);
        let real: Vec<Real> = p.real.iter().filter(|real| !real.crowd).cloned().collect();
        let all = curves(&real, &p.found);
        let classes = list(&right["classes"]);
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), classes, "{}", p.name);
        for (at, class) in classes.iter().enumerate() {
            let curve = &all[class];
            for (place, x) in right["confidence"].as_array().unwrap().iter().enumerate() {
                let x = x.as_f64().unwrap();
                let (precision, recall) = interpolated(curve, x);
                let theirs = |key: &str| right[key][at][place].as_f64().unwrap();
                for (ours, key) in [(precision, "precision"), (recall, "recall")] {
                    assert!(
                        (ours - theirs(key)).abs() < 1e-9,
                        "{}: class {class}: {key} at {x}: {ours}, {}",
                        p.name,
                        theirs(key)
                    );
                }
            }
        }
    }
}

fn interpolated(curves: &ocelli::internals::eval::thresholds::Curves, x: f64) -> (f64, f64) {
    let points: Vec<(f64, f64, f64)> = curves
        .found
        .iter()
        .map(|(score, _)| {
            let point = curves.at(*score);
            (*score, point.precision, point.recall)
        })
        .collect();
    let Some(first) = points.first() else { return (0.0, 0.0) };
    if x > first.0 {
        return (1.0, 0.0);
    }
    let after = points.iter().position(|point| point.0 < x);
    match after {
        None => points.last().map(|p| (p.1, p.2)).unwrap(),
        Some(0) => (first.1, first.2),
        Some(at) => {
            let (a, b) = (points[at - 1], points[at]);
            let share = (x - b.0) / (a.0 - b.0);
            (b.1 + share * (a.1 - b.1), b.2 + share * (a.2 - b.2))
        }
    }
}

/// To 1e-9, with torchmetrics on 64-bit numbers. Its edges are rounded differently at 11/15, and its own answers to the
/// scores on edges differ by 0.03 between 32 and 64 bits, so that case is left out.
#[test]
fn the_calibration_error_is_that_of_torchmetrics() {
    let _limit = limit::within(60);
    let all = numbers();
    let mut count = 0;
    for case in all["calibration"]["cases"].as_array().unwrap().iter().filter(|case| case["name"] != "on the edges") {
        let floats =
            |key: &str| case[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<f64>>();
        let hits = floats("hit");
        let answers: Vec<(f64, bool)> =
            floats("confidence").into_iter().zip(hits).map(|(c, hit)| (c, hit != 0.0)).collect();
        let right = case["float64"]["l1"].as_f64().unwrap();
        let ours = calibration(&answers).unwrap().error;
        assert!((ours - right).abs() < 1e-9, "{}: {ours}, torchmetrics {right}", case["name"]);
        count += 1;
    }
    assert!(count >= 2);
}

#[test]
fn boundaries_are_those_of_the_paper() {
    let _limit = limit::within(60);
    let all = numbers();
    for set in all["boundary_iou"].as_array().unwrap() {
        let side = |key: &str| set[key].as_u64().unwrap() as u32;
        let size = Size::new(side("width"), side("height"));
        assert_eq!(width(size) as u64, set["distance"].as_u64().unwrap());
        // COCO's runs go down the columns, zeros first.
        let unpacked = |counts: &Value| {
            let mut mask = vec![false; size.pixels()];
            let (mut at, mut set) = (0usize, false);
            for run in list(counts) {
                for place in at..at + run as usize {
                    let (x, y) = (place / size.height as usize, place % size.height as usize);
                    mask[y * size.width as usize + x] = set;
                }
                (at, set) = (at + run as usize, !set);
            }
            mask
        };
        for mask in set["masks"].as_array().unwrap() {
            let ours = boundary(size, &unpacked(&mask["counts"]), width(size));
            assert_eq!(ours, unpacked(&mask["boundary_counts"]), "{}", mask["name"]);
        }
    }
}
