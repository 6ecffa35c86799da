//! Compares the metrics with the numbers of well-known reference programs (`OCELLI_VECTORS`), in all cases.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::eval::segmentation::Confusion;
use ocelli::internals::eval::{coco, voc};
use ocelli::internals::ops::rle::Merge;
use ocelli::internals::types::Rle;
use serde_json::Value;
use support::vectors::cases;

fn document(name: &str) -> Option<Value> {
    let path = support::folder("OCELLI_VECTORS")?.join(name);
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

fn four(value: &Value) -> [f64; 4] {
    std::array::from_fn(|at| value[at].as_f64().unwrap())
}

fn close(what: &str, found: Option<f64>, expected: &Value, tolerance: f64) {
    // pycocotools returns -1 if there was nothing to measure.
    let (found, expected) = (found.unwrap_or(-1.0), expected.as_f64().unwrap());
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, reference {expected}");
}

#[test]
fn coco_metrics_are_those_of_pycocotools() {
    let _limit = limit::within(120);
    let Some(vectors) = document("coco_map.json") else { return };
    let tolerance = vectors["tol_abs"].as_f64().unwrap();
    let problems = vectors["problems"].as_array().unwrap();
    for problem in problems {
        let name = problem["name"].as_str().unwrap();
        let gt = document(problem["gt"].as_str().unwrap()).unwrap();
        let dt = document(problem["dt"].as_str().unwrap()).unwrap();
        let real: Vec<coco::Real> = gt["annotations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| coco::Real {
                image: a["image_id"].as_u64().unwrap(),
                class: a["category_id"].as_u64().unwrap(),
                bbox: four(&a["bbox"]),
                area: a["area"].as_f64().unwrap(),
                crowd: a["iscrowd"] == 1,
                ignore: false,
            })
            .collect();
        let found: Vec<coco::Found> = dt
            .as_array()
            .unwrap()
            .iter()
            .map(|d| coco::Found {
                image: d["image_id"].as_u64().unwrap(),
                class: d["category_id"].as_u64().unwrap(),
                bbox: four(&d["bbox"]),
                score: d["score"].as_f64().unwrap(),
            })
            .collect();
        let scores = coco::evaluate(&real, &found);
        for (metric, value) in scores.summary.named() {
            close(&format!("{name} {metric}"), value, &problem["metrics"][metric], tolerance);
        }
        let classes = problem["per_class"].as_object().unwrap();
        for (class, expected) in classes {
            let (ap, ap50) = scores.classes[&class.parse::<u64>().unwrap()];
            close(&format!("{name} class {class}"), ap, &expected["AP"], tolerance);
            close(&format!("{name} class {class} at 0.5"), ap50, &expected["AP50"], tolerance);
        }
        eprintln!("coco_map/{name}: 12 metrics and {} classes within {tolerance}", classes.len());
    }
    assert!(!problems.is_empty());
}

#[test]
fn voc_ap_is_that_of_the_official_code() {
    let _limit = limit::within(120);
    let Some(vectors) = document("voc_ap.json") else { return };
    let tolerance = vectors["tol_abs"].as_f64().unwrap();
    let image = |value: &Value| value["image"].as_str().unwrap().parse().unwrap();
    let results = vectors["results"].as_array().unwrap();
    for expected in results {
        let of_class = |key: &str| {
            vectors[key]
                .as_array()
                .unwrap()
                .iter()
                .filter(|v| v["name"] == expected["name"])
                .cloned()
                .collect::<Vec<_>>()
        };
        let real = of_class("gt")
            .iter()
            .map(|g| voc::Real { image: image(g), bbox: four(&g["xyxy"]), difficult: g["difficult"] == 1 })
            .collect::<Vec<_>>();
        let found = of_class("dt")
            .iter()
            .map(|d| voc::Found { image: image(d), bbox: four(&d["xyxy"]), score: d["score"].as_f64().unwrap() })
            .collect::<Vec<_>>();
        let scores = voc::evaluate(&real, &found, expected["iou"].as_f64().unwrap());
        let what = format!("{} at {}", expected["name"], expected["iou"]);
        assert_eq!(Some(found.len() as u64), expected["n_det"].as_u64(), "{what}");
        close(&what, Some(scores.eleven_points), &expected["ap_11pt"], tolerance);
        close(&what, Some(scores.area), &expected["ap_area"], tolerance);
        close(&what, scores.recalls.last().copied(), &expected["max_recall"], tolerance);
        close(&what, scores.precisions.last().copied(), &expected["last_precision"], tolerance);
    }
    assert!(!results.is_empty());
}

#[test]
fn masks_are_those_of_pycocotools() {
    let _limit = limit::within(120);
    cases("rle_masks", |case| {
        let number = |value: &Value| value.as_u64().unwrap() as usize;
        let masks = |name: &str| -> Vec<Rle> {
            let shape = case.shape(name);
            let (h, w) = (shape[1] as usize, shape[2] as usize);
            case.u8(name).chunks(h * w).map(|mask| Rle::of_mask(mask, h, w)).collect()
        };
        match case.op.as_str() {
            "rle" => {
                let (h, w) = (number(&case.params["size"][0]), number(&case.params["size"][1]));
                let mask = case.u8("mask");
                let rle = Rle::of_mask(&mask, h, w);
                let text = case.params["counts_str"].as_str().unwrap();
                assert_eq!(rle.to_text(), text, "{}", case.name);
                assert_eq!(Rle::of_text(text, h, w).as_ref(), Some(&rle), "{}", case.name);
                assert_eq!(rle.to_mask(), mask, "{}", case.name);
                case.equal("counts", &rle.counts.iter().map(|&c| i64::from(c)).collect::<Vec<_>>());
                case.equal("area", &[rle.area() as i64]);
                case.close64("bbox_xywh", &rle.bbox());
            }
            "mask_iou" => {
                let (found, real) = (masks("dt"), masks("gt"));
                let crowd = |at: usize| case.params["iscrowd"][at] == 1;
                let iou: Vec<f64> = found
                    .iter()
                    .flat_map(|f| real.iter().enumerate().map(|(at, r)| f.iou(r, crowd(at))).collect::<Vec<_>>())
                    .collect();
                case.close64("iou", &iou);
            }
            "rle_merge" => {
                let masks = masks("masks");
                case.close_u8("union", &Rle::merge(&masks, Merge::Union).to_mask(), 0);
                case.close_u8("intersection", &Rle::merge(&masks, Merge::Intersection).to_mask(), 0);
            }
            "polygon_to_mask" => {
                let corners: Vec<[f64; 2]> = case.f64("xy").chunks(2).map(|c| [c[0], c[1]]).collect();
                // The vectors allow one wrong pixel in a hundred; we allow none, because our algorithm is the same.
                let rle = Rle::of_polygon(&corners, number(&case.params["h"]), number(&case.params["w"]));
                case.close_u8("mask", &rle.to_mask(), 0);
            }
            other => panic!("{}: {other}", case.name),
        }
    });
}

#[test]
fn class_maps_are_measured_as_scikit_learn_does() {
    let _limit = limit::within(120);
    cases("seg", |case| {
        if case.op != "seg_metrics" {
            return case.leave("checked in vectors_models.rs");
        }
        let classes = case.params["classes"].as_u64().unwrap() as usize;
        let mut confusion = Confusion::new(classes);
        confusion.add(&case.u8("gt"), &case.u8("pred"), case.params["ignore_index"].as_u64().map(|i| i as u8));
        case.equal("confusion", &confusion.counts().iter().map(|&c| c as i64).collect::<Vec<_>>());
        let all = |values: Vec<Option<f64>>| values.into_iter().map(|v| v.unwrap_or(0.0)).collect::<Vec<_>>();
        let one = |value: Option<f64>| [value.unwrap_or(0.0)];
        for (name, values) in [
            ("iou", all(confusion.iou())),
            ("dice", all(confusion.dice())),
            ("miou", one(confusion.mean_iou()).into()),
            ("miou_over_present", one(confusion.mean_iou()).into()),
            ("pixel_acc", one(confusion.pixel_accuracy()).into()),
            ("mean_class_acc", one(confusion.mean_class_accuracy()).into()),
            ("fw_iou", one(confusion.frequency_weighted_iou()).into()),
        ] {
            if case.has(name) {
                case.close64(name, &values);
            }
        }
    });
}
