//! Compares our ops with the numbers of well-known reference programs (`OCELLI_VECTORS`).
//!
//! The tolerances are part of the vectors; they come from the arithmetic of the reference programs.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::ops::{anchors, box_coder::BoxCoder, color, debayer, iou, matcher, nms, normalize, resize};
use ocelli::internals::types::{BBox, Detection, Image, PixelFormat, Size};
use serde_json::Value;
use support::vectors::{Case, cases};

fn boxes(values: &[f32]) -> Vec<BBox> {
    values.chunks_exact(4).map(|b| BBox::new(b[0], b[1], b[2], b[3])).collect()
}

fn flat(boxes: &[BBox]) -> Vec<f32> {
    boxes.iter().flat_map(|b| [b.x1, b.y1, b.x2, b.y2]).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn rgb(case: &Case, name: &str) -> Image {
    let (shape, data) = (case.shape(name), case.u8(name));
    let format = if shape.len() == 3 { PixelFormat::Rgb8 } else { PixelFormat::Gray8 };
    Image { size: Size::new(shape[1], shape[0]), format, data }
}

fn size_hw(value: &Value) -> Size {
    let hw = numbers(value);
    Size::new(hw[1] as u32, hw[0] as u32)
}

fn sizes_hw(value: &Value) -> Vec<Size> {
    value.as_array().unwrap().iter().map(size_hw).collect()
}

#[test]
fn iou_matrices_conversions_and_clipping() {
    let _limit = limit::within(180);
    cases("iou", |case| {
        let p = &case.params;
        match case.op.as_str() {
            "iou_matrices" => {
                let (a, b) = (boxes(&case.f32("a")), boxes(&case.f32("b")));
                let all = |f: fn(&BBox, &BBox) -> f32| -> Vec<f32> {
                    a.iter().flat_map(|x| b.iter().map(move |y| f(x, y))).collect()
                };
                case.close("iou", &all(iou::iou));
                case.close("giou", &all(iou::generalized));
                case.close("diou", &all(iou::distance));
                case.close("ciou", &all(iou::complete));
            }
            "policy" => {
                let (a, b) = (boxes(&case.f32("a")), boxes(&case.f32("b")));
                assert!(iou::iou(&a[0], &b[0]) == 0.0, "{}: no NaN", case.name);
            }
            "coco_bbox_iou" => {
                let four = |v: &[f64]| [v[0], v[1], v[2], v[3]];
                let (dt, gt, crowd) = (case.f64("dt"), case.f64("gt"), case.i64("iscrowd"));
                let mut all = Vec::new();
                for d in dt.chunks_exact(4) {
                    for (g, c) in gt.chunks_exact(4).zip(&crowd) {
                        all.push(iou::coco(four(d), four(g), *c == 1));
                    }
                }
                case.close64("iou", &all);
            }
            "box_convert" => {
                let from = boxes(&case.f32("boxes"));
                let xywh = p["to"] == "xywh";
                let to: Vec<[f32; 4]> =
                    from.iter().map(|b| if xywh { iou::to_xywh(b) } else { iou::to_cxcywh(b) }).collect();
                let back: Vec<BBox> =
                    to.iter().map(|&b| if xywh { iou::from_xywh(b) } else { iou::from_cxcywh(b) }).collect();
                case.close("boxes", &to.concat());
                case.close("back", &flat(&back));
            }
            "clip_boxes_to_image" => {
                let size = Size::new(p["w"].as_u64().unwrap() as u32, p["h"].as_u64().unwrap() as u32);
                let clipped: Vec<BBox> = boxes(&case.f32("boxes")).iter().map(|b| b.clip(size)).collect();
                case.close("boxes", &flat(&clipped));
            }
            "remove_small_boxes" => {
                let min = p["min_size"].as_f64().unwrap() as f32;
                let found = boxes(&case.f32("boxes"));
                let keep = (0..found.len()).filter(|&i| iou::is_at_least(&found[i], min));
                case.equal("keep", &keep.map(|i| i as i64).collect::<Vec<_>>());
            }
            other => panic!("unknown op {other}"),
        }
    });
}

#[test]
fn nms_hard_soft_and_of_every_program() {
    let _limit = limit::within(180);
    cases("nms", |case| {
        let p = &case.params;
        let number = |key: &str| p[key].as_f64().unwrap() as f32;
        let mut worker = nms::Nms::default();
        let (raw, scores) = (case.f32("boxes"), case.f32("scores"));
        match case.op.as_str() {
            "nms" | "policy" | "batched_nms" => {
                let scope = if case.op == "batched_nms" { nms::Scope::Class } else { nms::Scope::All };
                let classes = if scope == nms::Scope::Class { case.i64("classes") } else { vec![0; scores.len()] };
                let found = detections(&boxes(&raw), &scores, &classes);
                let keep = worker.greedy(&found, number("iou_thr"), scope, usize::MAX);
                case.equal("keep", &keep.iter().map(|&i| i64::from(i)).collect::<Vec<_>>());
            }
            "cv_nms_boxes" => {
                // OpenCV takes scores above the threshold, and the best `top_k` of those.
                let list: Vec<BBox> = raw.chunks_exact(4).map(|b| iou::from_xywh([b[0], b[1], b[2], b[3]])).collect();
                let mut order: Vec<usize> = (0..scores.len()).filter(|&i| scores[i] > number("score_thr")).collect();
                order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
                let top = p["top_k"].as_u64().unwrap() as usize;
                order.truncate(if top > 0 { top } else { usize::MAX });
                let found: Vec<Detection> = order.iter().map(|&i| Detection::new(list[i], 0, scores[i])).collect();
                let keep = worker.adaptive(&found, number("nms_thr"), number("eta"), nms::Scope::All, usize::MAX);
                case.equal("keep", &keep.iter().map(|&i| order[i as usize] as i64).collect::<Vec<_>>());
            }
            "soft_nms" => {
                // OpenCV's rectangles are integers here.
                let whole = |v: f32| v.trunc();
                let list: Vec<BBox> =
                    raw.chunks_exact(4).map(|b| iou::from_xywh([b[0], b[1], b[2], b[3]].map(whole))).collect();
                let decay = match p["method"].as_str() {
                    Some("linear") => nms::Decay::Linear { threshold: number("nms_thr") },
                    _ => nms::Decay::Gaussian { sigma: number("sigma") },
                };
                let found = detections(&list, &scores, &vec![0; scores.len()]);
                let kept = worker.soft(&found, decay, number("score_thr"), nms::Scope::All, usize::MAX);
                case.equal("keep", &kept.iter().map(|k| i64::from(k.0)).collect::<Vec<_>>());
                case.close("scores", &kept.iter().map(|k| k.1).collect::<Vec<_>>());
            }
            "onnx_nms" => {
                let shape = case.shape("scores");
                let (batches, classes, count) = (shape[0] as usize, shape[1] as usize, shape[2] as usize);
                let middle = p["center_point_box"] == 1;
                let mut selected = Vec::new();
                for batch in 0..batches {
                    let list: Vec<BBox> = raw[batch * count * 4..][..count * 4]
                        .chunks_exact(4)
                        .map(|b| match middle {
                            true => iou::from_cxcywh([b[0], b[1], b[2], b[3]]),
                            // Corners as y, x, in any order.
                            false => BBox::new(b[1].min(b[3]), b[0].min(b[2]), b[1].max(b[3]), b[0].max(b[2])),
                        })
                        .collect();
                    for class in 0..classes {
                        let row = &scores[(batch * classes + class) * count..][..count];
                        let above: Vec<usize> = (0..count).filter(|&i| row[i] > number("score_thr")).collect();
                        let found: Vec<Detection> = above.iter().map(|&i| Detection::new(list[i], 0, row[i])).collect();
                        let most = p["max_output_boxes_per_class"].as_u64().unwrap() as usize;
                        for &i in worker.greedy(&found, number("iou_thr"), nms::Scope::All, most) {
                            selected.extend([batch as i64, class as i64, above[i as usize] as i64]);
                        }
                    }
                }
                case.equal("selected", &selected);
            }
            other => panic!("unknown op {other}"),
        }
    });
}

fn detections(boxes: &[BBox], scores: &[f32], classes: &[i64]) -> Vec<Detection> {
    (0..scores.len()).map(|i| Detection::new(boxes[i], classes[i] as u16, scores[i])).collect()
}

#[test]
fn box_coder_and_matchers() {
    let _limit = limit::within(180);
    cases("boxcoder", |case| {
        let p = &case.params;
        let coder = || {
            let w = numbers(&p["weights"]);
            BoxCoder::new([w[0] as f32, w[1] as f32, w[2] as f32, w[3] as f32])
        };
        match case.op.as_str() {
            "encode" => {
                let (anchors, truth) = (boxes(&case.f32("proposals")), boxes(&case.f32("gt")));
                let all: Vec<f32> = truth.iter().zip(&anchors).flat_map(|(t, a)| coder().encode(t, a)).collect();
                case.close("deltas", &all);
            }
            "decode" => {
                let (deltas, anchors) = (case.f32("deltas"), boxes(&case.f32("anchors")));
                let a_box = deltas.len() / anchors.len();
                let mut all = Vec::new();
                for (row, anchor) in deltas.chunks_exact(a_box).zip(&anchors) {
                    for d in row.chunks_exact(4) {
                        all.push(coder().decode([d[0], d[1], d[2], d[3]], iou::to_cxcywh(anchor)));
                    }
                }
                case.close("boxes", &flat(&all));
            }
            "matcher" => {
                let rule = matcher::Matcher {
                    high: p["high"].as_f64().unwrap() as f32,
                    low: p["low"].as_f64().unwrap() as f32,
                    allow_low_quality: p["allow_low_quality"].as_bool().unwrap(),
                };
                let anchors = case.shape("iou")[1] as usize;
                case.equal("matches", &rule.matches(&case.f32("iou"), anchors));
            }
            "ssd_matcher" => {
                let anchors = case.shape("iou")[1] as usize;
                let threshold = p["thr"].as_f64().unwrap() as f32;
                case.equal("matches", &matcher::ssd_matches(&case.f32("iou"), anchors, threshold));
            }
            other => panic!("unknown op {other}"),
        }
    });
}

#[test]
fn anchors_of_all_kinds() {
    let _limit = limit::within(180);
    cases("anchors", |case| {
        let p = &case.params;
        let maps = sizes_hw(&p["feature_maps"]);
        let lists = |key: &str| -> Vec<Vec<f64>> { p[key].as_array().unwrap().iter().map(numbers).collect() };
        let narrow = |v: Vec<Vec<f64>>| -> Vec<Vec<f32>> {
            v.into_iter().map(|row| row.into_iter().map(|x| x as f32).collect()).collect()
        };
        match case.op.as_str() {
            "ssd_default_boxes" => {
                let input = size_hw(&p["image_hw"]);
                let scales = match p.get("scales") {
                    Some(v) if !v.is_null() => numbers(v),
                    _ => anchors::spread_scales(
                        maps.len(),
                        p["min_ratio"].as_f64().unwrap(),
                        p["max_ratio"].as_f64().unwrap(),
                    ),
                };
                let steps = p.get("steps").filter(|v| !v.is_null()).map(numbers);
                let clip = p.get("clip").and_then(Value::as_bool).unwrap_or(true);
                let found =
                    anchors::default_boxes(&maps, &scales, &lists("aspect_ratios"), steps.as_deref(), clip, input);
                let (w, h) = (input.width as f32, input.height as f32);
                let corners: Vec<f32> = found
                    .iter()
                    .flat_map(|&[cx, cy, bw, bh]| flat(&[iou::from_cxcywh([cx * w, cy * h, bw * w, bh * h])]))
                    .collect();
                case.close("boxes_xyxy_px", &corners);
            }
            "rpn_anchors" => {
                let input = size_hw(&p["image_hw"]);
                let found =
                    anchors::grid_anchors(&maps, &narrow(lists("sizes")), &narrow(lists("aspect_ratios")), input);
                case.close("anchors", &flat(&found));
            }
            "tf_ssd_anchors" => {
                let between = p["interpolated_scale_aspect_ratio"].as_f64().unwrap();
                if ![0.0, 1.0].contains(&between) {
                    return case.leave("boxes between two scales must be square, as in every public model");
                }
                let spec = anchors::TfSsd {
                    maps,
                    min_scale: p["min_scale"].as_f64().unwrap() as f32,
                    max_scale: p["max_scale"].as_f64().unwrap() as f32,
                    ratios: numbers(&p["aspect_ratios"]).iter().map(|&v| v as f32).collect(),
                    interpolated: between > 0.0,
                    reduce_lowest: p["reduce_boxes_in_lowest_layer"].as_bool().unwrap(),
                };
                let yxyx: Vec<f32> = anchors::tf_ssd(&spec)
                    .into_iter()
                    .flat_map(|anchor| {
                        let b = iou::from_cxcywh(anchor);
                        [b.y1, b.x1, b.y2, b.x2]
                    })
                    .collect();
                case.close("anchors_yxyx_norm", &yxyx);
            }
            other => panic!("unknown op {other}"),
        }
    });
}

#[test]
fn letterbox_and_normalisation() {
    let _limit = limit::within(180);
    cases("letterbox", |case| {
        let p = &case.params;
        let image = rgb(case, "img");
        if case.op == "normalize_to_nchw" {
            let mean = numbers(&p["mean"]).iter().map(|&v| v as f32).collect::<Vec<_>>();
            let (mean, std, order) = if p.get("div255").is_some_and(|v| v == true) {
                let std = numbers(&p["std"]).iter().map(|&v| v as f32 * 255.0).collect::<Vec<_>>();
                (mean.iter().map(|v| v * 255.0).collect(), std, normalize::ChannelOrder::Rgb)
            } else {
                let std = vec![1.0 / p["scale"].as_f64().unwrap() as f32; 3];
                (mean, std, normalize::ChannelOrder::Bgr)
            };
            let worker = normalize::Normalizer::new(
                order,
                normalize::Layout::Nchw,
                [mean[0], mean[1], mean[2]],
                [std[0], std[1], std[2]],
            );
            let mut tensor = vec![0.0; image.data.len()];
            worker.fill_f32(&image, &mut tensor);
            return case.close("out", &tensor);
        }
        let flag = |key: &str, usual: bool| p.get(key).and_then(Value::as_bool).unwrap_or(usual);
        let input = size_hw(&p["new_hw"]);
        let plan = if flag("scale_fill", false) {
            resize::plan(image.size, input, resize::Fit::Stretch)
        } else {
            let rule = resize::LetterboxRule {
                scale_up: flag("scaleup", true),
                center: flag("center", true),
                multiple: flag("auto", false).then(|| p["stride"].as_u64().unwrap() as u32),
            };
            resize::letterbox(image.size, input, &rule)
        };
        let mut out = Image::default();
        resize::Resize::default().apply(&image, &plan, resize::Filter::CvLinear, 114, &mut out).unwrap();
        assert_eq!(case.out_shape("out")[..2], [out.size.height, out.size.width], "{}: geometry", case.name);
        case.close_u8("out", &out.data, 2);
        if case.has("boxes_scaled_back") {
            let back: Vec<BBox> = boxes(&case.f32("boxes")).iter().map(|&b| plan.placement.to_frame(b)).collect();
            case.close("boxes_scaled_back", &flat(&back));
        }
    });
}

#[test]
fn colour_spaces() {
    let _limit = limit::within(180);
    cases("color", |case| {
        let p = &case.params;
        match case.op.as_str() {
            "to_rgb" => {
                let layout = match p["format"].as_str().unwrap() {
                    "nv12" => color::Raw::Nv12,
                    "nv21" => color::Raw::Nv21,
                    "i420" => color::Raw::I420,
                    "yv12" => color::Raw::Yv12,
                    "yuyv" => color::Raw::Yuyv,
                    "uyvy" => color::Raw::Uyvy,
                    other => panic!("unknown layout {other}"),
                };
                let size = Size::new(p["w"].as_u64().unwrap() as u32, p["h"].as_u64().unwrap() as u32);
                let mut out = Image::default();
                color::raw_to_rgb(&case.u8("raw"), layout, size, color::Colorimetry::BT601, &mut Vec::new(), &mut out)
                    .unwrap();
                case.close_u8("rgb", &out.data, 2);
            }
            "rgb_to_gray" => pixels(case, "gray", 1, |p| vec![color::luma(p)]),
            "rgb_to_hsv" => pixels(case, "hsv", 1, |p| color::hsv(p).to_vec()),
            "rgb_to_lab8" => pixels(case, "lab", 2, |p| color::lab(p).to_vec()),
            "debayer_bilinear" => {
                let tile = if p["opencv_code"] == "bggr" { debayer::Bayer::Rggb } else { debayer::Bayer::Bggr };
                let out = debayer::bilinear(&rgb(case, "raw"), tile);
                let (w, h) = (out.size.width as usize, out.size.height as usize);
                let expect = case.out_u8("rgb");
                for (at, level) in expect.iter().enumerate() {
                    let (x, y) = ((at / 3) % w, at / 3 / w);
                    let inside = (1..w - 1).contains(&x) && (1..h - 1).contains(&y);
                    assert!(!inside || out.data[at].abs_diff(*level) <= 1, "{}: {x},{y}", case.name);
                }
                case.checked();
            }
            other => panic!("unknown op {other}"),
        }
    });
}

fn pixels(case: &Case, out: &str, tolerance: u8, op: impl Fn([u8; 3]) -> Vec<u8>) {
    let found: Vec<u8> = case.u8("rgb").chunks_exact(3).flat_map(|p| op([p[0], p[1], p[2]])).collect();
    case.close_u8(out, &found, tolerance);
}
