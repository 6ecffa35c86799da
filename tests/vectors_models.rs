//! Compares decoding, maps and resizing of models with the numbers of well-known reference programs
//! (`OCELLI_VECTORS`).
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::infer::Arrays;
use ocelli::internals::models::Detector;
use ocelli::internals::models::ssd::{Answers, Scores, Ssd, SsdDetector};
use ocelli::internals::models::yolo::{Yolo, YoloDetector};
use ocelli::internals::onnx::pb::{AttributeProto, GraphProto, ModelProto, OperatorSetId, ValueInfoProto};
use ocelli::internals::onnx::{DataType, Model, NodeProto, TensorProto, head};
use ocelli::internals::ops::iou::to_cxcywh;
use ocelli::internals::ops::nms::{Nms, Scope};
use ocelli::internals::ops::upsample::{self, Axis};
use ocelli::internals::ops::{cam, resize};
use ocelli::internals::types::{BBox, Detection, Image, PixelFormat, Placement, Size};
use serde_json::Value;
use support::vectors::{Case, cases};
use tract_onnx::prelude::*;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn size_hw(value: &Value) -> Size {
    let hw = numbers(value);
    Size::new(hw[1] as u32, hw[0] as u32)
}

fn as_it_is(size: Size) -> Placement {
    Placement { scale: (1.0, 1.0), offset: (0.0, 0.0), frame: size }
}

/// A placement in a frame so large, with its corner so far away, that nothing is clipped.
fn unclipped() -> Placement {
    Placement { scale: (1.0, 1.0), offset: (4096.0, 4096.0), frame: Size::new(8192, 8192) }
}

fn arrays(case: &Case, names: &[&str]) -> Arrays {
    let one = |name: &&str| (case.shape(name).iter().map(|&d| d as usize).collect(), case.f32(name));
    Arrays(names.iter().map(one).collect())
}

/// Returns all answers, each with its box and the score of its best class.
fn decoded(spec: &str, outputs: &Arrays, input: Size, classes: usize) -> Vec<Detection> {
    let spec: Yolo = serde_json::from_str(spec).unwrap();
    let mut found = Vec::new();
    // The lowest possible score, so that every row is an answer.
    YoloDetector::for_input(spec, input, classes).decode(outputs, &unclipped(), f32::MIN_POSITIVE, &mut found).unwrap();
    found
}

/// Compares with `[1, N, 5 + classes]` rows: every answer is a row's best class, and no row is missing.
fn compare_rows(case: &Case, found: &[Detection], objectness: bool) {
    let shape = case.out_shape("pred");
    let pred = case.out_f32("pred");
    let (count, width) = if objectness { (shape[1], shape[2]) } else { (shape[2], shape[1]) };
    let (count, width) = (count as usize, width as usize);
    assert_eq!(found.len(), count, "{}: one answer per row", case.name);
    let value =
        |row: usize, field: usize| if objectness { pred[row * width + field] } else { pred[field * count + row] };
    let first = if objectness { 5 } else { 4 };
    for (row, answer) in found.iter().enumerate() {
        let best = (first..width).max_by(|&a, &b| value(row, a).total_cmp(&value(row, b)).then(b.cmp(&a))).unwrap();
        let score = value(row, best) * if objectness { value(row, 4) } else { 1.0 };
        let b = answer.bbox;
        let ours = to_cxcywh(&BBox::new(b.x1 - 4096.0, b.y1 - 4096.0, b.x2 - 4096.0, b.y2 - 4096.0));
        for (field, number) in ours.into_iter().enumerate() {
            let expect = value(row, field);
            // Numbers far from zero lose digits through the shift that keeps boxes from being clipped.
            assert!(
                (number - expect).abs() <= 0.003 + 1e-4 * expect.abs(),
                "{}: row {row}: {ours:?}, field {field} is {expect}",
                case.name
            );
        }
        assert!((answer.score - score).abs() <= 1e-4, "{}: row {row}: score {}, not {score}", case.name, answer.score);
        assert_eq!(usize::from(answer.class), best - first, "{}: row {row}", case.name);
    }
    case.checked();
}

#[test]
fn yolo_heads_of_every_kind() {
    let _limit = limit::within(300);
    cases("yolo_decode", |case| {
        let p = &case.params;
        let classes = p["nc"].as_u64().unwrap() as usize;
        let maps: Vec<Size> = p["maps"].as_array().into_iter().flatten().map(size_hw).collect();
        let names: Vec<String> = (0..maps.len()).map(|level| format!("p{level}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // PyTorch-YOLOv3 gives the input's side, from which it derives its strides; the others give the strides.
        let strides: Vec<u64> = match p["img_size"].as_u64() {
            Some(side) => maps.iter().map(|map| side / u64::from(map.height)).collect(),
            None => p["strides"].as_array().into_iter().flatten().map(|v| v.as_u64().unwrap()).collect(),
        };
        let input = || Size::new(maps[0].width * strides[0] as u32, maps[0].height * strides[0] as u32);
        let anchors = || -> String {
            let pairs = |level: &Value| -> Vec<Vec<f64>> {
                let flat: Vec<f64> = match level[0].is_array() {
                    true => level.as_array().unwrap().iter().flat_map(numbers).collect(),
                    false => numbers(level),
                };
                flat.chunks_exact(2).map(<[f64]>::to_vec).collect()
            };
            let levels: Vec<_> = p["anchors_px"].as_array().unwrap().iter().map(pairs).collect();
            serde_json::to_string(&levels).unwrap()
        };
        match case.op.as_str() {
            "yolov8_decode" => {
                let bins = p["reg_max"].as_u64().unwrap();
                let spec = format!(r#"{{"kind": "v8", "strides": {strides:?}, "bins": {bins}}}"#);
                let found = decoded(&spec, &arrays(case, &names), input(), classes);
                compare_rows(case, &found, false);
            }
            op @ ("yolov5_decode" | "yolov7_decode") => {
                let spec = format!(r#"{{"kind": "{}", "strides": {strides:?}, "anchors": {}}}"#, &op[4..6], anchors());
                let found = decoded(&spec, &arrays(case, &names), input(), classes);
                compare_rows(case, &found, true);
            }
            "yolov3_decode" => {
                let spec = format!(r#"{{"kind": "v3", "strides": {strides:?}, "anchors": {}}}"#, anchors());
                let found = decoded(&spec, &arrays(case, &names), input(), classes);
                compare_rows(case, &found, true);
            }
            "yolox_decode" => {
                let spec = format!(r#"{{"kind": "x", "strides": {strides:?}}}"#);
                let found = decoded(&spec, &arrays(case, &["flat"]), input(), classes);
                compare_rows(case, &found, true);
            }
            "yolov8_nms" => {
                let all = p["multi_label"] == true;
                let spec: Yolo =
                    serde_json::from_str(&format!(r#"{{"kind": "v8", "form": "decoded", "all_classes": {all}}}"#))
                        .unwrap();
                let mut found = Vec::new();
                let conf = p["conf"].as_f64().unwrap() as f32;
                let mut detector = YoloDetector::for_input(spec, Size::new(640, 640), classes);
                detector.decode(&arrays(case, &["pred"]), &unclipped(), conf, &mut found).unwrap();
                // Ultralytics keeps scores above the threshold, not those equal to it.
                found.retain(|d| d.score > conf);
                let scope = if p["agnostic"] == true { Scope::All } else { Scope::Class };
                let most = p["max_det"].as_u64().unwrap() as usize;
                let mut nms = Nms::default();
                let keep = nms.greedy(&found, p["iou"].as_f64().unwrap() as f32, scope, most);
                let rows: Vec<f32> = keep
                    .iter()
                    .map(|&i| &found[i as usize])
                    .flat_map(|d| {
                        let b = d.bbox;
                        [b.x1 - 4096.0, b.y1 - 4096.0, b.x2 - 4096.0, b.y2 - 4096.0, d.score, d.class.into()]
                    })
                    .collect();
                case.close("det_xyxy_conf_cls", &rows);
            }
            other => panic!("unknown op {other}"),
        }
    });
}

#[test]
fn ssd_and_retinanet_from_logits_to_boxes() {
    let _limit = limit::within(300);
    cases("postprocess", |case| {
        let p = &case.params;
        let number = |key: &str| p[key].as_f64().unwrap() as f32;
        let (scores, background, levels) = match case.op.as_str() {
            "ssd_postprocess" => (Scores::Softmax, Some(0), vec![0]),
            "retinanet_postprocess" => {
                let counts = numbers(&p["per_level"]);
                let starts = counts.iter().scan(0, |sum, c| {
                    *sum += *c as usize;
                    Some(*sum - *c as usize)
                });
                (Scores::Sigmoid, None, starts.collect())
            }
            _ => return case.leave("two-stage detectors and masks are out of scope"),
        };
        let weights = numbers(&p["weights"]);
        let spec = Ssd {
            anchors: None,
            weights: [weights[0] as f32, weights[1] as f32, weights[2] as f32, weights[3] as f32],
            order: ocelli::internals::models::ssd::Order::Xywh,
            scores,
            background,
            answers: Answers::All,
            candidates: Some(p["topk_candidates"].as_u64().unwrap() as usize),
            boxes_output: ocelli::internals::models::ssd::Quantized { index: 1, scale: 1.0, zero_point: 0 },
            scores_output: ocelli::internals::models::ssd::Quantized { index: 0, scale: 1.0, zero_point: 0 },
        };
        let input = size_hw(&p["image_hw"]);
        let anchors: Vec<[f32; 4]> =
            case.f32("anchors_xyxy").chunks_exact(4).map(|a| to_cxcywh(&BBox::new(a[0], a[1], a[2], a[3]))).collect();
        let columns = case.shape("logits")[2] as usize;
        let mut detector = SsdDetector::with_anchors(spec, anchors, levels, columns, input);
        let mut found = Vec::new();
        let least = number("score_thresh");
        detector.decode(&arrays(case, &["logits", "bbox_regression"]), &as_it_is(input), least, &mut found).unwrap();
        found.retain(|d| d.score > least);
        let mut nms = Nms::default();
        let most = p["detections_per_img"].as_u64().unwrap() as usize;
        let keep = nms.greedy(&found, number("nms_thresh"), Scope::Class, most);
        let kept: Vec<&Detection> = keep.iter().map(|&i| &found[i as usize]).collect();
        case.close("scores", &kept.iter().map(|d| d.score).collect::<Vec<_>>());
        case.close(
            "boxes",
            &kept.iter().flat_map(|d| [d.bbox.x1, d.bbox.y1, d.bbox.x2, d.bbox.y2]).collect::<Vec<_>>(),
        );
        let first = i64::from(background.is_some());
        case.equal("labels", &kept.iter().map(|d| i64::from(d.class) + first).collect::<Vec<_>>());
    });
}

#[test]
fn class_maps_from_logits() {
    let _limit = limit::within(300);
    cases("seg", |case| {
        if case.op == "seg_metrics" {
            return case.leave("checked in vectors_eval.rs");
        }
        let shape: Vec<usize> = case.shape("logits").iter().map(|&d| d as usize).collect();
        let (classes, h, w) = (shape[1], shape[2], shape[3]);
        let size = size_hw(&case.params["size"]);
        let logits = case.f32("logits");
        let scores = upsample::Scores::planes(&logits, classes, h, w);
        let (rows, columns) = (size.height as usize, size.width as usize);
        let nearest = [Axis::nearest(h, rows), Axis::nearest(w, columns)];
        let (mut best, mut out) = (Vec::new(), Vec::new());
        if case.op == "argmax_upsample_nearest" {
            scores.argmax(&mut best);
            for y in 0..rows {
                out.extend((0..columns).map(|x| best[nearest[0].nearest_cell(y) * w + nearest[1].nearest_cell(x)]));
            }
            return case.close_u8("labels", &out, 0);
        }
        let [down, across] = match (case.params["mode"].as_str(), case.params["align_corners"].as_bool()) {
            (Some("nearest"), _) => nearest,
            (_, Some(true)) => [Axis::align_corners(h, rows), Axis::align_corners(w, columns)],
            _ => [Axis::half_pixel(h, rows), Axis::half_pixel(w, columns)],
        };
        upsample::argmax(&scores, &down, &across, &mut best, &mut out);
        let (labels, safe) = (case.out_u8("labels"), case.out_u8("safe"));
        let wrong = (0..out.len()).filter(|&at| safe[at] == 1 && out[at] != labels[at]).count();
        assert_eq!(wrong, 0, "{}: {wrong} pixels", case.name);
        case.checked();
    });
}

/// Runs a graph through tract with optimisation, as sessions do.
fn run(model: &Model, input: Tensor) -> Vec<Vec<f32>> {
    let bytes = model.encode();
    let plan = tract_onnx::onnx()
        .model_for_read(&mut std::io::Cursor::new(bytes))
        .unwrap()
        .with_input_fact(0, InferenceFact::dt_shape(input.datum_type(), input.shape()))
        .unwrap()
        .into_optimized()
        .unwrap()
        .into_runnable()
        .unwrap();
    let out = plan.run(tvec![input.into_tvalue()]).unwrap();
    out.iter().map(|t| t.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec()).collect()
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(3), s: Some(value.into()), ..Default::default() }
}

/// A graph with one `Resize` node, from `[1, C, H, W]` to a size.
fn resize_graph(shape: &[usize], size: Size, attributes: Vec<AttributeProto>) -> Model {
    let sizes = [shape[0] as i64, shape[1] as i64, i64::from(size.height), i64::from(size.width)];
    let mut node = NodeProto::of("Resize", "resize", &["x", "", "", "sizes"], &["y"]);
    node.attribute = attributes;
    let value = |name: &str, shape: Option<&[Option<usize>]>| ValueInfoProto::of(name, DataType::F32, shape);
    let dims: Vec<Option<usize>> = shape.iter().map(|d| Some(*d)).collect();
    let graph = GraphProto {
        node: vec![node],
        initializer: vec![TensorProto::of_i64("sizes", &[4], &sizes)],
        input: vec![value("x", Some(&dims))],
        output: vec![value("y", None)],
        name: Some("resize".into()),
        ..Default::default()
    };
    let opset = OperatorSetId { domain: None, version: Some(18) };
    let proto = ModelProto { ir_version: Some(8), opset_import: vec![opset], graph: Some(graph), ..Default::default() };
    Model { proto, exact: true }
}

/// tract 0.23.9 turns sizes into scales, so 0.5 / (1 / 14) becomes 6.9999995. If a pixel lies exactly between two
/// others, the one before is taken instead of the one after, or the other way round.
const TIES: [&str; 4] = [
    "resize/torch_nearest-exact_None_1x1",
    "resize/onnx_nearest_half_pixel_round_prefer_floor_23x31",
    "resize/onnx_nearest_align_corners_round_prefer_floor_23x31",
    "resize/onnx_nearest_pytorch_half_pixel_round_prefer_floor_23x31",
];

fn through_tract(case: &Case, attributes: Vec<AttributeProto>) {
    if TIES.contains(&case.name.as_str()) {
        return case.leave("a bug in tract: docs/decisions/0007");
    }
    let shape: Vec<usize> = case.shape("x").iter().map(|&d| d as usize).collect();
    let model = resize_graph(&shape, size_hw(&case.params["size"]), attributes);
    let input = Tensor::from_shape(&shape, &case.f32("x")).unwrap();
    case.close("y", &run(&model, input)[0]);
}

/// Frames: pictures resized by our filters. Maps: the `Resize` nodes that PyTorch and ONNX write, run by tract, and our
/// own upsampling of logits.
#[test]
fn resizing_of_frames_and_of_maps() {
    let _limit = limit::within(300);
    cases("resize", |case| {
        let p = &case.params;
        let named = p.get("filter").or(p.get("interpolation")).and_then(Value::as_str);
        let filter = match (case.op.as_str(), named) {
            ("pil_resize_u8", Some("bilinear")) => resize::Filter::Bilinear,
            ("pil_resize_u8", Some("nearest")) => resize::Filter::Nearest,
            ("pil_resize_u8", Some("bicubic")) => resize::Filter::Bicubic,
            ("pil_resize_u8", Some("hamming")) => resize::Filter::Hamming,
            ("pil_resize_u8", Some("box")) => resize::Filter::Box,
            ("pil_resize_u8", Some("lanczos")) => resize::Filter::Lanczos,
            ("cv_resize_u8", Some("linear")) => resize::Filter::CvLinear,
            ("cv_resize_u8", Some("nearest")) => resize::Filter::CvNearest,
            ("cv_resize_u8", Some("area")) => resize::Filter::CvArea,
            ("cv_resize_u8", Some("cubic")) => resize::Filter::CvCubic,
            _ => return maps(case),
        };
        let shape = case.shape("img");
        let image = Image { size: Size::new(shape[1], shape[0]), format: PixelFormat::Rgb8, data: case.u8("img") };
        let plan = resize::plan(image.size, size_hw(&p["hw"]), resize::Fit::Stretch);
        let mut out = Image::default();
        resize::Resize::default().apply(&image, &plan, filter, 0, &mut out).unwrap();
        let smaller = shape[0] >= size_hw(&p["hw"]).height && shape[1] >= size_hw(&p["hw"]).width;
        // OpenCV's arithmetic is ours, too.
        let exact = filter == resize::Filter::CvLinear && smaller;
        case.close_u8("out", &out.data, if exact { 0 } else { case.tolerance_abs() as u8 });
    });
}

fn maps(case: &Case) {
    let p = &case.params;
    let mode = p["mode"].as_str().unwrap();
    if case.op == "onnx_resize" {
        let mut attributes = vec![
            text("mode", mode),
            text("coordinate_transformation_mode", p["coordinate_transformation_mode"].as_str().unwrap()),
        ];
        attributes.extend(p.get("nearest_mode").and_then(Value::as_str).map(|m| text("nearest_mode", m)));
        return through_tract(case, attributes);
    }
    let corners = p["align_corners"] == true;
    let where_ = if corners { "align_corners" } else { "half_pixel" };
    let flag =
        |name: &str| AttributeProto { name: Some(name.into()), r#type: Some(2), i: Some(1), ..Default::default() };
    let cubic =
        AttributeProto { name: Some("cubic_coeff_a".into()), r#type: Some(1), f: Some(-0.75), ..Default::default() };
    through_tract(
        case,
        match mode {
            "nearest" => vec![
                text("mode", "nearest"),
                text("coordinate_transformation_mode", "asymmetric"),
                text("nearest_mode", "floor"),
            ],
            "nearest-exact" => vec![
                text("mode", "nearest"),
                text("coordinate_transformation_mode", "tf_half_pixel_for_nn"),
                text("nearest_mode", "floor"),
            ],
            "bicubic" => vec![text("mode", "cubic"), text("coordinate_transformation_mode", "half_pixel"), cubic],
            _ if p["antialias"] == true => {
                vec![
                    text("mode", "linear"),
                    text("coordinate_transformation_mode", "half_pixel"),
                    flag("antialias"),
                    flag("exclude_outside"),
                ]
            }
            _ => vec![text("mode", "linear"), text("coordinate_transformation_mode", where_)],
        },
    );
    if mode != "bilinear" || p["antialias"] == true {
        return;
    }
    // Our own upsampling of logits to the size of a picture.
    let shape: Vec<usize> = case.shape("x").iter().map(|&d| d as usize).collect();
    let size = size_hw(&p["size"]);
    let axis = |cells, outputs: u32| match corners {
        true => Axis::align_corners(cells, outputs as usize),
        false => Axis::half_pixel(cells, outputs as usize),
    };
    let (down, across) = (axis(shape[2], size.height), axis(shape[3], size.width));
    let mut all = Vec::new();
    for plane in case.f32("x").chunks_exact(shape[2] * shape[3]) {
        let mut out = Vec::new();
        upsample::bilinear(plane, shape[3], &down, &across, &mut out);
        all.extend(out);
    }
    case.close("y", &all);
}

/// Keras' `UpSampling2D` (channels last): with the `Resize` that tf2onnx makes of it, and with our own upsampling.
#[test]
fn upsampling_layers_of_keras() {
    let _limit = limit::within(300);
    cases("keras_upsample", |case| {
        if case.op != "upsampling2d" {
            return case.leave("only UpSampling2D is supported");
        }
        let shape: Vec<usize> = case.shape("x").iter().map(|&d| d as usize).collect();
        let (h, w, c) = (shape[1], shape[2], shape[3]);
        let out = case.out_shape("y");
        let (rows, columns) = (out[1] as usize, out[2] as usize);
        let nearest = case.params["interpolation"] == "nearest";
        let values = case.f32("x");
        let planes: Vec<f32> = (0..c * h * w).map(|at| values[at % (h * w) * c + at / (h * w)]).collect();
        let attributes = match nearest {
            true => vec![
                text("mode", "nearest"),
                text("coordinate_transformation_mode", "asymmetric"),
                text("nearest_mode", "floor"),
            ],
            false => vec![text("mode", "linear"), text("coordinate_transformation_mode", "half_pixel")],
        };
        let model = resize_graph(&[1, c, h, w], Size::new(columns as u32, rows as u32), attributes);
        let by_tract = run(&model, Tensor::from_shape(&[1, c, h, w], &planes).unwrap()).remove(0);
        let axes = match nearest {
            true => [Axis::nearest(h, rows), Axis::nearest(w, columns)],
            false => [Axis::half_pixel(h, rows), Axis::half_pixel(w, columns)],
        };
        let mut ours = Vec::new();
        for plane in planes.chunks_exact(h * w) {
            let mut out = Vec::new();
            upsample::bilinear(plane, w, &axes[0], &axes[1], &mut out);
            ours.extend(out);
        }
        let last = |planes: &[f32]| -> Vec<f32> {
            (0..planes.len()).map(|at| planes[at % c * rows * columns + at / c]).collect()
        };
        case.close("y", &last(&by_tract));
        case.close("y", &last(&ours));
    });
}

/// The last steps of pytorch-grad-cam: ReLU, scaling to 0–1, OpenCV's linear resize to the input's size. Sizes are
/// height and width.
fn finished(map: &[f32], grid: [usize; 2], input: [usize; 2]) -> Vec<f32> {
    let mut small: Vec<f32> = map.iter().map(|v| v.max(0.0)).collect();
    let (low, _) = cam::range(&small);
    small.iter_mut().for_each(|v| *v -= low);
    let high = cam::range(&small).1;
    small.iter_mut().for_each(|v| *v /= 1e-7 + high);
    let mut out = Vec::new();
    let axis = |at: usize| Axis::half_pixel(grid[at], input[at]);
    upsample::bilinear(&small, grid[1], &axis(0), &axis(1), &mut out);
    let (low, _) = cam::range(&out);
    out.iter_mut().for_each(|v| *v -= low);
    let high = cam::range(&out).1;
    out.iter().map(|v| v / (1e-7 + high)).collect()
}

#[test]
fn class_activation_maps() {
    let _limit = limit::within(300);
    let folder = support::folder("OCELLI_VECTORS");
    cases("cam", |case| {
        let class = case.params["class"].as_u64().unwrap() as usize;
        let features = case.f32("features");
        let shape = |name: &str| -> Vec<usize> { case.shape(name).iter().map(|&d| d as usize).collect() };
        let [_, k, h, w] = shape("features")[..] else { panic!("{}: features", case.name) };
        let classes = shape("logits")[1];
        let file = folder.as_ref().unwrap().join(case.params["onnx"].as_str().unwrap());
        let model = Model::decode(std::fs::read(file).unwrap()).unwrap();
        let image = case.f32("image");
        let [_, channels, height, width] = shape("image")[..] else { panic!("{}: image", case.name) };
        let mut map = Vec::new();
        match case.op.as_str() {
            "cam" => {
                // The weights are those found in the graph, not those of the case.
                let head = head::find(&model, "logits").unwrap();
                assert_eq!((head.classes, head.channels), (classes, k));
                cam::zhou(&features, &head.weights[class * k..][..k], &mut map);
                case.close("cam_raw", &map);
                let (mut up, down, across) = (Vec::new(), Axis::half_pixel(h, height), Axis::half_pixel(w, width));
                upsample::bilinear(&map, w, &down, &across, &mut up);
                case.close("cam_up", &up);
                cam::to_unit(&mut up);
                case.close("cam_up_minmax", &up);
            }
            "eigencam" => {
                cam::eigen(&features, k, &mut map);
                // The sign of a component is arbitrary. Ours follows the sum of the features, as the reference's does
                // here.
                case.close("cam", &finished(&map, [h, w], [height, width]));
            }
            "scorecam" => {
                assert!(head::last_map(&model).is_some());
                let forward = |mask: &[f32]| {
                    let masked: Vec<f32> = image.iter().enumerate().map(|(at, v)| v * mask[at % mask.len()]).collect();
                    let input = Tensor::from_shape(&[1, channels, height, width], &masked).unwrap();
                    Ok::<f32, ()>(run(&model, input)[0][class])
                };
                cam::score(&features, (w, h), (width, height), forward, &mut map).unwrap();
                case.close("cam", &finished(&map, [h, w], [height, width]));
            }
            #[cfg(feature = "train")]
            method => {
                use ocelli::internals::train::{engine::Net, explain};
                let method = match method {
                    "gradcam" => explain::Method::Gradcam,
                    "gradcam++" => explain::Method::GradcamPlusPlus,
                    "xgradcam" => explain::Method::Xgradcam,
                    "layercam" => explain::Method::Layercam,
                    other => panic!("{other}"),
                };
                let (name, _) = head::last_map(&model).unwrap();
                let mut net = Net::build(&model, &[(&name, &shape("features"))], &["logits"], &|v| v == name).unwrap();
                net.forward(&[(&name, &features)]).unwrap();
                let wanted: Vec<f32> = (0..classes).map(|at| f32::from(u8::from(at == class))).collect();
                let gradients = net.backward(&[("logits", &wanted)]).unwrap().remove(&name).unwrap();
                map = explain::weigh(method, &features, &gradients, k);
                case.close("cam", &finished(&map, [h, w], [height, width]));
            }
            #[cfg(not(feature = "train"))]
            _ => case.leave("needs gradients: the feature `train`"),
        }
    });
}
