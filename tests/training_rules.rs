//! Losses, optimisers and schedules against PyTorch and torchvision (`OCELLI_VECTORS`), and short trainings with them.
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::onnx::pb::{GraphProto, ModelProto, OperatorSetId, ValueInfoProto};
use ocelli::internals::onnx::{Model, NodeProto, TensorProto};
use ocelli::internals::train::engine::Net;
use ocelli::internals::train::linear::{Linear, Svm, ridge};
use ocelli::internals::train::loss::{
    BoxLoss, CrossEntropy, Distance, Multibox, binary, binary_dice, box_iou, class_dice, focal, regression,
};
use ocelli::internals::train::optimizer::{Memory, Rule, clip, step};
use ocelli::internals::train::schedule::{Rate, Schedule};
use std::collections::BTreeMap;
use support::vectors::{Case, cases};

/// What PyTorch's `reduction` does with the losses and gradients of single values.
fn reduced(case: &Case<'_>, (losses, gradient): (Vec<f64>, Vec<f32>)) {
    let count = losses.len() as f64;
    let sum: f64 = losses.iter().sum();
    let scaled = |factor: f64| gradient.iter().map(|g| (f64::from(*g) * factor) as f32).collect::<Vec<f32>>();
    let (loss, gradient) = match case.params["reduction"].as_str().unwrap() {
        "none" => (losses, gradient),
        "sum" => (vec![sum], gradient),
        _ => (vec![sum / count], scaled(1.0 / count)),
    };
    case.close("loss", &loss.iter().map(|v| *v as f32).collect::<Vec<f32>>());
    case.close("grad", &gradient);
}

fn floats(value: &serde_json::Value) -> Vec<f32> {
    value.as_array().map_or(Vec::new(), |list| list.iter().map(|v| v.as_f64().unwrap() as f32).collect())
}

fn targets(case: &Case<'_>) -> Vec<usize> {
    case.i64("targets").iter().map(|v| *v as usize).collect()
}

#[test]
fn losses_and_gradients_are_those_of_the_reference_programs() {
    let _limit = limit::within(120);
    cases("losses", |case| {
        let (p, number) = (&case.params, |name: &str| case.params[name].as_f64().unwrap());
        let planes = |shape: &[u32]| {
            let side = |at: usize| shape.get(at).map_or(1, |side| *side as usize);
            [side(0), side(1), shape.iter().skip(2).map(|side| *side as usize).product()]
        };
        let distance = |distance| reduced(case, regression(distance, &case.f32("x"), &case.f32("targets")));
        match case.op.as_str() {
            "sigmoid_focal_loss" => {
                reduced(case, focal(&case.f32("x"), &case.f32("targets"), number("alpha"), number("gamma")));
            }
            "bce_with_logits" => reduced(case, binary(&case.f32("x"), &case.f32("targets"), &floats(&p["pos_weight"]))),
            "smooth_l1" => distance(Distance::SmoothL1(number("beta"))),
            "huber" => distance(Distance::Huber(number("delta"))),
            "l1" => distance(Distance::L1),
            "mse" => distance(Distance::Mse),
            "cross_entropy" => {
                let entropy = CrossEntropy {
                    weights: floats(&p["weight"]),
                    ignore: p["ignore_index"].as_u64().map(|v| v as usize),
                    smoothing: p["label_smoothing"].as_f64().unwrap_or(0.0) as f32,
                };
                let (loss, gradient) = entropy.mean(&case.f32("x"), planes(&case.shape("x")), &targets(case));
                case.close("loss", &[loss as f32]);
                case.close("grad", &gradient);
            }
            "dice" => {
                let (smooth, least) = (number("smooth"), number("eps"));
                let (loss, gradient) = if p["mode"] == "binary" {
                    binary_dice(&case.f32("x"), &case.f32("targets"), smooth, least)
                } else {
                    class_dice(&case.f32("x"), planes(&case.shape("x")), &targets(case), smooth, least)
                };
                case.close("loss", &[loss as f32]);
                case.close("grad", &gradient);
            }
            "box_iou_loss" => {
                let form = match p["kind"].as_str().unwrap() {
                    "giou" => BoxLoss::Generalized,
                    "diou" => BoxLoss::Distance,
                    _ => BoxLoss::Complete,
                };
                let fours = |name: &str| case.f32(name).as_chunks::<4>().0.to_vec();
                let (loss, gradient) = box_iou(form, &fours("x"), &fours("targets"), number("eps"));
                case.close("loss", &loss.iter().map(|v| *v as f32).collect::<Vec<f32>>());
                case.close("grad", &gradient.concat());
            }
            "ssd_loss" => ssd(case),
            other => panic!("{}: {other}", case.name),
        }
    });
}

fn ssd(case: &Case<'_>) {
    use ocelli::internals::ops::box_coder::BoxCoder;
    use ocelli::internals::ops::iou::iou;
    use ocelli::internals::ops::matcher::ssd_matches;
    use ocelli::internals::types::BBox;
    let boxes = |name: &str| -> Vec<BBox> {
        case.f32(name).as_chunks::<4>().0.iter().map(|b| BBox::new(b[0], b[1], b[2], b[3])).collect()
    };
    let (anchors, truths, labels) = (boxes("anchors"), boxes("gt_boxes"), case.i64("gt_labels"));
    let overlaps: Vec<f32> = truths.iter().flat_map(|t| anchors.iter().map(|a| iou(t, a))).collect();
    let matched = ssd_matches(&overlaps, anchors.len(), case.params["match_thr"].as_f64().unwrap() as f32);
    assert_eq!(matched, case.out_i64("matched"), "{}", case.name);
    let weights: Vec<f32> = floats(&case.params["weights"]);
    let coder = BoxCoder::new([weights[0], weights[1], weights[2], weights[3]]);
    let wanted: Vec<Option<(usize, [f32; 4])>> = matched
        .iter()
        .zip(&anchors)
        .map(|(truth, anchor)| {
            let truth = usize::try_from(*truth).ok()?;
            Some((labels[truth] as usize, coder.encode(&truths[truth], anchor)))
        })
        .collect();
    let classes = case.shape("logits")[2] as usize;
    let multibox = Multibox { negatives: case.params["neg_to_pos_ratio"].as_f64().unwrap() };
    let (logits, offsets) = (case.f32("logits"), case.f32("bbox_regression"));
    let loss = multibox.loss((&logits, &offsets), classes, &wanted, anchors.len());
    case.close("loss_box", &[loss.boxes as f32]);
    case.close("loss_cls", &[loss.classes as f32]);
    case.close("grad_logits", &loss.by_logits);
    case.close("grad_boxes", &loss.by_offsets);
}

fn rule(case: &Case<'_>) -> Rule {
    let p = &case.params;
    let number = |name: &str| p[name].as_f64().unwrap_or_default();
    let yes = |name: &str| p[name].as_bool().unwrap_or_default();
    let kind = p["kind"].as_str().or(p["optimizer"].as_str()).unwrap();
    if kind.starts_with("sgd") {
        Rule::Sgd { momentum: number("momentum"), dampening: number("dampening"), nesterov: yes("nesterov") }
    } else if kind == "rmsprop" {
        Rule::RmsProp { alpha: number("alpha"), epsilon: number("eps"), momentum: number("momentum") }
    } else if kind == "adagrad" {
        Rule::Adagrad { epsilon: number("eps") }
    } else {
        let betas = p["betas"].as_array().map_or([0.9, 0.999], |b| [b[0].as_f64().unwrap(), b[1].as_f64().unwrap()]);
        let epsilon = p["eps"].as_f64().unwrap_or(1e-8);
        Rule::Adam { betas, epsilon, decoupled: yes("decoupled_weight_decay"), amsgrad: yes("amsgrad") }
    }
}

#[test]
fn optimisers_and_schedules_are_those_of_pytorch() {
    let _limit = limit::within(120);
    cases("optim", |case| {
        let number = |name: &str| case.params[name].as_f64().unwrap_or_default();
        match case.op.as_str() {
            "optimizer" => {
                let (mut weight, gradients) = (case.f32("p0"), case.f32("grads"));
                let (mut memory, mut path) = (Memory::default(), Vec::new());
                for gradient in gradients.chunks_exact(weight.len()) {
                    step(rule(case), &mut weight, gradient, &mut memory, number("lr"), number("weight_decay"));
                    path.extend_from_slice(&weight);
                }
                case.close("trajectory", &path);
            }
            "lr_schedule" => {
                // The numbers behind the names stand in the vectors' values only.
                let schedule = match case.params["kind"].as_str().unwrap() {
                    "step" => Schedule::Step { every: 5, gamma: 0.3 },
                    "multistep" => Schedule::MultiStep { at: vec![4, 9], gamma: 0.1 },
                    "cosine" => Schedule::Cosine { steps: 20, least: 0.001 },
                    "exponential" => Schedule::Exponential { gamma: 0.9 },
                    "onecycle" => Schedule::OneCycle { steps: 20, rise: 0.3, first: 25.0, last: 1e4 },
                    "poly" => Schedule::Poly { steps: 20, power: 0.9 },
                    _ => Schedule::Constant,
                };
                let warmup = if case.params["kind"] == "linear_warmup" { 5 } else { 0 };
                let rate = Rate { base: number("base_lr"), warmup, from: 0.1, schedule };
                case.close64("lr", &(0..20).map(|step| rate.at(step)).collect::<Vec<f64>>());
            }
            "clip_grad_norm" => {
                let mut gradient = case.f32("grad");
                let norm = clip([gradient.as_mut_slice()], number("max_norm"));
                case.close("norm", &[norm as f32]);
                case.close("clipped", &gradient);
            }
            "train_linear_head" => head(case),
            "train_cnn" => cnn(case),
            other => panic!("{}: {other}", case.name),
        }
    });
}

fn model(nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> Model {
    let value = |name: &str| ValueInfoProto { name: Some(name.into()), ..Default::default() };
    let graph = GraphProto {
        node: nodes,
        initializer,
        input: vec![value("x")],
        output: vec![value("y")],
        ..Default::default()
    };
    let opset = OperatorSetId { domain: None, version: Some(21) };
    Model { proto: ModelProto { graph: Some(graph), opset_import: vec![opset], ..Default::default() }, exact: true }
}

/// Trains a net with softmax cross-entropy: the loss of each batch.
fn train(case: &Case<'_>, net: &mut Net, batches: &[(Vec<f32>, Vec<usize>)], classes: usize) -> Vec<f64> {
    let (rate, decay) = (case.params["lr"].as_f64().unwrap(), case.params["weight_decay"].as_f64().unwrap_or(0.0));
    let mut memories: BTreeMap<String, Memory> = BTreeMap::new();
    batches
        .iter()
        .map(|(x, y)| {
            net.forward(&[("x", x)]).unwrap();
            let logits = net.value("y").unwrap().values.clone();
            let (loss, gradient) = CrossEntropy::default().mean(&logits, [y.len(), classes, 1], y);
            for (name, gradient) in net.backward(&[("y", &gradient)]).unwrap() {
                let weight = net.weight_mut(&name).unwrap();
                let memory = memories.entry(name).or_default();
                step(rule(case), &mut weight.values, &gradient, memory, rate, decay);
            }
            loss
        })
        .collect()
}

fn head(case: &Case<'_>) {
    let (all, y, order) = (case.f32("X"), case.i64("y"), case.i64("order"));
    let (wide, classes) = (case.shape("X")[1] as usize, case.shape("W0")[0] as usize);
    let batch = case.params["batch"].as_u64().unwrap() as usize;
    let weights = vec![
        TensorProto::of_f32("w", &[classes, wide], &case.f32("W0")),
        TensorProto::of_f32("b", &[classes], &case.f32("b0")),
    ];
    let node = NodeProto::of("Gemm", "n", &["x", "w", "b"], &["y"]).with_int("transB", 1);
    let mut net = Net::build(&model(vec![node], weights), &[("x", &[batch, wide])], &["y"], &|_| true).unwrap();
    let row = |at: usize| &all[at * wide..][..wide];
    let batches: Vec<_> = order
        .chunks_exact(batch)
        .map(|pick| {
            let x: Vec<f32> = pick.iter().flat_map(|at| row(*at as usize)).copied().collect();
            (x, pick.iter().map(|at| y[*at as usize] as usize).collect::<Vec<usize>>())
        })
        .collect();
    let losses = train(case, &mut net, &batches, classes);
    case.close64("losses", &losses);
    case.close("W", &net.value("w").unwrap().values);
    case.close("b", &net.value("b").unwrap().values);
}

fn cnn(case: &Case<'_>) {
    let shape = |name: &str| case.shape(name).iter().map(|side| *side as usize).collect::<Vec<usize>>();
    let names = ["conv_w", "conv_b", "fc_w", "fc_b"];
    let weights = names.map(|name| TensorProto::of_f32(name, &shape(name), &case.f32(name))).to_vec();
    let nodes = vec![
        NodeProto::of("Conv", "c", &["x", "conv_w", "conv_b"], &["c"]).with_ints("pads", &[1; 4]),
        NodeProto::of("Relu", "r", &["c"], &["r"]),
        NodeProto::of("GlobalAveragePool", "p", &["r"], &["p"]),
        NodeProto::of("Flatten", "f", &["p"], &["f"]),
        NodeProto::of("Gemm", "g", &["f", "fc_w", "fc_b"], &["y"]).with_int("transB", 1),
    ];
    let mut net = Net::build(&model(nodes, weights), &[("x", &shape("x"))], &["y"], &|_| true).unwrap();
    let y: Vec<usize> = case.i64("y").iter().map(|v| *v as usize).collect();
    let steps = case.params["steps"].as_u64().unwrap() as usize;
    let losses = train(case, &mut net, &vec![(case.f32("x"), y); steps], 3);
    case.close64("losses", &losses);
    for name in names {
        case.close(name, &net.value(name).unwrap().values);
    }
}

/// R-CNN's linear models: scores and objectives equal scikit-learn's, and our own training reaches as low an objective.
#[test]
fn linear_models_on_features() {
    let _limit = limit::within(120);
    cases("svm", |case| {
        let rows = case.f64("X");
        let width = case.shape("X")[1] as usize;
        let classes = 4;
        if case.op == "ridge" {
            let values = case.f64("Y");
            let lambda = case.params["lambda"].as_f64().unwrap();
            let one = |class: usize| {
                let own: Vec<f64> = values.iter().skip(class).step_by(classes).copied().collect();
                ridge(&rows, width, &own, lambda)
            };
            let models: Vec<Linear> = (0..classes).map(one).collect();
            case.close64("W", &models.iter().flat_map(|model| model.weights.clone()).collect::<Vec<_>>());
            case.close64("b", &models.iter().map(|model| model.bias).collect::<Vec<_>>());
            let scores = rows.chunks(width).flat_map(|row| models.iter().map(move |model| model.score(row)));
            case.close64("pred", &scores.collect::<Vec<_>>());
            return;
        }
        let squared = case.params["loss"] == "squared_hinge";
        let svm = Svm { cost: case.params["C"].as_f64().unwrap(), squared };
        let (weights, biases) = (case.f64("W"), case.f64("b"));
        let given = |class: usize| Linear { weights: weights[class * width..][..width].to_vec(), bias: biases[class] };
        let given: Vec<Linear> = (0..classes).map(given).collect();
        let scores: Vec<f64> =
            rows.chunks(width).flat_map(|row| given.iter().map(move |model| model.score(row))).collect();
        case.close64("decision", &scores);
        let real = case.i64("y");
        let is = |class: usize| -> Vec<bool> { real.iter().map(|y| *y == class as i64).collect() };
        let objectives: Vec<f64> = (0..classes).map(|class| svm.objective(&given[class], &rows, &is(class))).collect();
        case.close64("objective_per_class", &objectives);
        for (class, reference) in objectives.iter().enumerate() {
            let ours = svm.objective(&svm.train(&rows, width, &is(class)), &rows, &is(class));
            assert!(ours <= reference * 1.001, "{} {class}: {ours} {reference}", case.name);
        }
    });
}
