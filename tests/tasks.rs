//! Masks, points and turned boxes: the numbers of Ultralytics (`tests/golden/tasks.json`, written by
//! `scripts/task-numbers.py`), and what rows and pictures make of them.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;

use ocelli::internals::infer::Arrays;
use ocelli::internals::models::Detector;
use ocelli::internals::models::boxes::{Boxes, BoxesDetector};
use ocelli::internals::ops::iou::prob_iou;
use ocelli::internals::ops::resize::{Fit, plan};
use ocelli::internals::sinks::row;
use ocelli::internals::types::{Detection, Found, Frame, Image, Maker, Objects, Packet, PixelFormat, Rle, Size};
use ocelli::internals::yaml;
use serde_json::Value;
use std::sync::Arc;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/tasks.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// Reads the rows of a task with a card's settings, whatever their scores.
fn read(task: &Value, card: &str, further: Option<(Vec<usize>, Vec<f32>)>) -> Objects {
    let (input, frame) = (Size::new(80, 64), Size::new(100, 70));
    let rows = floats(&task["rows"]);
    let width = task["width"].as_u64().unwrap() as usize;
    let outputs = [(vec![1, rows.len() / width, width], rows)].into_iter().chain(further).collect();
    let spec: Boxes = yaml::read(&yaml::parse(card).unwrap()).unwrap();
    let mut detector = BoxesDetector::for_input(spec, input, 3);
    let mut found = Vec::new();
    detector.decode(&Arrays(outputs), &plan(frame, input, Fit::Letterbox).placement, 0.0, &mut found).unwrap();
    let details = detector.details().map(std::mem::take).map(Arc::new);
    assert_eq!(found.len(), 24);
    Objects::new(Arc::new(found), details)
}

#[test]
fn tasks_of_ultralytics_give_its_numbers() {
    let _limit = limit::within(60);
    let golden = golden();
    let pose = &golden["pose"];
    let card = "{ form: centre, columns: [box, scores, points], points: { count: 5, scores: true } }";
    let objects = read(pose, card, None);
    for (object, right) in objects.iter().zip(floats(&pose["points"]).chunks(15)) {
        for (point, right) in objects.points(object).iter().zip(right.chunks(3)) {
            // The numbers are rounded to five digits.
            assert!((point.x - right[0]).abs() < 1e-3 && (point.y - right[1]).abs() < 1e-3, "{point:?} {right:?}");
            assert!((point.score.unwrap() - right[2]).abs() < 1e-5);
        }
    }

    let turned = &golden["turned"];
    let objects = read(turned, "{ form: centre, columns: [box, scores, angle] }", None);
    for (object, right) in objects.iter().zip(floats(&turned["corners"]).chunks(8)) {
        let corners = object.corners.unwrap();
        for (corner, right) in corners.iter().zip(right.chunks(2)) {
            assert!(
                (corner[0] - right[0]).abs() < 2e-3 && (corner[1] - right[1]).abs() < 2e-3,
                "{corners:?} {right:?}"
            );
        }
    }
    for (index, right) in floats(&turned["iou"]).into_iter().enumerate() {
        let [a, b] = [index / 24, index % 24].map(|at| objects[at].corners.unwrap());
        // Ultralytics computes in 32 bits, where equal boxes have 0.9997.
        assert!((prob_iou(&a, &b) - right).abs() < 1e-3, "{index}: {} {right}", prob_iou(&a, &b));
    }

    let segment = &golden["segment"];
    let shape: Vec<usize> =
        std::iter::once(1).chain(floats(&segment["maps_shape"]).iter().map(|v| *v as usize)).collect();
    let card = "{ form: centre, columns: [box, scores, masks], masks: { output: 1, count: 8 } }";
    let objects = read(segment, card, Some((shape, floats(&segment["maps"]))));
    let (texts, areas) = (segment["masks"].as_array().unwrap(), floats(&segment["areas"]));
    let image = Image::new(Size::new(100, 70), PixelFormat::Rgb8);
    let mut packet = Packet::new(Arc::new(Frame { image, ..Frame::default() }));
    packet.detections = Some(Found::new(objects.clone(), &Maker::new("", Vec::new())));
    let mut text = String::new();
    row(&mut text, &packet, false, &mut Vec::new()).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    for (at, right) in texts.iter().enumerate() {
        let mask = &written["detections"][at]["mask"];
        assert_eq!(mask["size"], serde_json::json!([70, 100]));
        let pixels = |text: &Value| Rle::of_text(text.as_str().unwrap(), 70, 100).unwrap().to_mask();
        let off = pixels(&mask["counts"]).iter().zip(pixels(right)).filter(|(a, b)| **a != *b).count();
        // A sum that is 0 but for rounding may fall on either side.
        assert!(off <= 1, "{at}: {off} of {} pixels differ", areas[at]);
    }
}

/// `nms` and sorting move detections about; what belongs to them must follow.
#[test]
fn details_follow_their_detections() {
    let _limit = limit::within(60);
    let golden = golden();
    let card = "{ form: centre, columns: [box, scores, points], points: { count: 5, scores: true } }";
    let objects = read(&golden["pose"], card, None);
    let mut list: Vec<Detection> = objects.to_vec();
    list.reverse();
    list.truncate(7);
    let fewer = objects.with(list);
    for (at, object) in fewer.iter().enumerate() {
        assert_eq!(fewer.points(object), objects.points(&objects[23 - at]));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let _limit = limit::within(60);
    let golden = golden();
    let segment = &golden["segment"];
    let card = "{ form: centre, columns: [box, scores, masks], masks: { output: 1, count: 8 } }";
    let spec: Boxes = yaml::read(&yaml::parse(card).unwrap()).unwrap();
    let mut detector = BoxesDetector::for_input(spec, Size::new(80, 64), 3);
    let rows = (vec![1, 24, 15], floats(&segment["rows"]));
    let placement = plan(Size::new(100, 70), Size::new(80, 64), Fit::Letterbox).placement;
    for maps in [vec![1, 7, 16, 20], vec![8, 16, 20]] {
        let values = vec![0.0; maps.iter().product()];
        let outputs = Arrays(vec![rows.clone(), (maps, values)]);
        let error = detector.decode(&outputs, &placement, 0.0, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("[1, 8, H, W]"), "{error}");
    }
    // A point that is not a number is no answer, and neither is its object.
    let mut rows = floats(&golden["pose"]["rows"]);
    rows[3 * 22 + 9] = f32::NAN;
    let card = "{ form: centre, columns: [box, scores, points], points: { count: 5, scores: true } }";
    let spec: Boxes = yaml::read(&yaml::parse(card).unwrap()).unwrap();
    let mut found = Vec::new();
    let mut detector = BoxesDetector::for_input(spec, Size::new(80, 64), 3);
    detector.decode(&Arrays(vec![(vec![1, 24, 22], rows)]), &placement, 0.0, &mut found).unwrap();
    assert_eq!(found.len(), 23);
}
