#!/usr/bin/env python3
"""Exports models as people do, gives each to `ocelli models new`, and compares what Ocelli then finds in a picture with what
the model's own package (through ONNX Runtime or PyTorch) finds. Run it through scripts/exports.sh.

Weights are random, from fixed seeds, because none can be fetched; batch statistics are those of two pictures, and heads
are biased so that some boxes stand out. Nothing of a card is changed. The table goes to docs/models.md.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import traceback

os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import cv2
import numpy as np
import onnxruntime as ort
import torch
from pycocotools import mask as coco

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target/exports"
CASES = []


class Refused(Exception):
    """What Ocelli says instead of an answer."""


class NotOffered(Exception):
    """What a package does not export."""


def case(name, package):
    def add(function):
        CASES.append((name, package, function))
        return function
    return add


# Pictures.

def street():
    from ultralytics.utils import ASSETS
    return cv2.imread(str(ASSETS / "bus.jpg"))


def picture(size=None, name="street"):
    """The path of a PNG, squeezed to `size` (width, height) if given."""
    image = street() if size is None else cv2.resize(street(), size, interpolation=cv2.INTER_AREA)
    path = WORK / "pictures" / f"{name}{'' if size is None else '-%dx%d' % size}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    return path


def tensor(size, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)):
    rgb = cv2.imread(str(picture(size)))[..., ::-1].astype(np.float32) / 255
    return torch.from_numpy(((rgb - np.float32(mean)) / np.float32(std)).transpose(2, 0, 1)[None].copy())


# Ocelli.

def ocelli(*arguments):
    run = subprocess.run([str(ROOT / "target/release/ocelli"), *arguments], cwd=WORK, capture_output=True, text=True)
    if run.returncode:
        lines = [line for line in run.stderr.splitlines() if not line.startswith("note: ")]
        raise Refused(" ".join(lines)[-400:])
    return run.stdout


def propose(path, size=None):
    """Makes a model's folder and returns its name."""
    name = path.stem
    shutil.rmtree(WORK / "models" / name, ignore_errors=True)
    (WORK / "models").mkdir(parents=True, exist_ok=True)
    ocelli("models", "new", str(path), "--name", name, *(["--size", "%dx%d" % size] if size else []))
    return name


def rows(name, image, *lines):
    text = "\n".join([f"pipeline:", f"- images: {{ path: '{image}' }}", f"- resize: {{ for: '{name}' }}", *lines, "- jsonl"])
    (WORK / "run.yaml").write_text(text + "\n")
    return json.loads(ocelli("run", "run.yaml", "-q").splitlines()[0])


def detections(name, image, least):
    return rows(name, image, f"- detect: {{ model: '{name}', min_score: {least} }}")["detections"]


# Comparisons.

def compare(right, ours, alike, pixels=0.5, score=0.002):
    """`right`: dicts with class, score, box and what else; each must be among ours. `alike`: whether there are no others."""
    left, worst = list(range(len(ours))), {"px": 0.0, "score": 0.0}
    for number, one in enumerate(right):
        def far(at):
            other = ours[at]
            if other["class"] != one["class"]:
                return 1e9
            key = "corners" if "corners" in one else "box"
            a, b = np.float64(one[key]).reshape(-1, 2), np.float64(other[key]).reshape(-1, 2)
            # Corners may begin with any of the four.
            return max(np.abs(b - corner).max(1).min() for corner in a) + 100 * abs(other["score"] - one["score"])

        def further(at):
            # Of boxes that are the same but for rounding, the one with the same points or pixels.
            off = far(at)
            if off > pixels + 100 * score:
                return 1e9
            if "points" in one:
                off += np.abs(np.float64(ours[at]["points"]) - one["points"]).max()
            if "mask" in one:
                off += 10 * (coco.decode(ours[at]["mask"]) != one["mask"]).mean()
            return off
        at = min(left, key=further, default=None)
        if at is None or further(at) > 1e8:
            raise AssertionError(f"box {number} of {len(right)} ({one['class']}, {one['score']:.3f}) is not among our {len(ours)}")
        left.remove(at)
        other = ours[at]
        worst["score"] = max(worst["score"], abs(other["score"] - one["score"]))
        worst["px"] = max(worst["px"], far(at) - 100 * abs(other["score"] - one["score"]))
        if "points" in one:
            worst["points px"] = max(worst.get("points px", 0), np.abs(np.float64(other["points"]) - one["points"]).max())
        if "mask" in one:
            mine = coco.decode(other["mask"])
            both, any_ = (mine & one["mask"]).sum(), (mine | one["mask"]).sum()
            if any_ > 100:
                worst["mask IoU"] = min(worst.get("mask IoU", 1), both / any_)
    if alike and left:
        raise AssertionError(f"{len(left)} of our {len(ours)} boxes are not among the {len(right)}")
    if not right:
        raise AssertionError("the reference finds nothing")
    if worst.get("points px", 0) > 1 or worst.get("mask IoU", 1) < 0.98:
        raise AssertionError(f"{worst}")
    figures = ", ".join(f"{key} {value:.3f}" if key != "score" else f"score {value:.4f}" for key, value in worst.items())
    return f"{len(right)} boxes; off by: {figures}"


def threshold(scores, least=20, most=300):
    """A threshold that about 30 boxes pass, away from any score."""
    order = np.sort(np.asarray(scores))[::-1]
    if len(order) < 2:
        return 0.05
    count = min(max(least, 30), len(order) - 1, most)
    best = max(range(min(least, count), count + 1), key=lambda at: order[at - 1] - order[at])
    return float((order[best - 1] + order[best]) / 2)


# Models.

def calibrate(net, size):
    """Batch statistics of the picture, so that values stay within bounds layer by layer."""
    x = torch.cat([tensor(size, (0, 0, 0), (1, 1, 1)), tensor(size, (0, 0, 0), (1, 1, 1)).flip(3)])
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.bias, -0.5, 0.5)
        norm.momentum = 0.5
    net.train()
    with torch.no_grad():
        for _ in range(8):
            net(x)
    net.eval()
    return net


def onnx_file(name, net, x, **options):
    path = WORK / "files" / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    options.setdefault("dynamo", False)
    options.setdefault("opset_version", 17)
    with torch.no_grad():
        torch.onnx.export(net, x, str(path), **options)
    return path


def runtime(path, x, **further):
    session = ort.InferenceSession(str(path))
    return session.run(None, {session.get_inputs()[0].name: np.asarray(x), **further})


def ultralytics(name, yaml, size=320, **options):
    """Exports a network of Ultralytics."""
    from ultralytics import RTDETR, YOLO
    torch.manual_seed(0)
    model = (RTDETR if "rtdetr" in yaml else YOLO)(yaml)
    net = model.model.float()
    if model.task != "classify" and "rtdetr" not in yaml:
        calibrate(net, (size, size))
    head = net.model[-1]
    for part in ("cv2", "cv3", "one2one_cv2", "one2one_cv3"):
        for branch in getattr(head, part, None) or []:
            last = [m for m in branch.modules() if isinstance(m, torch.nn.Conv2d)][-1]
            with torch.no_grad():
                if part.endswith("2"):
                    last.weight.mul_(0.5)
                    last.bias.fill_(2.5 if last.out_channels == 4 else 1.0)
                else:
                    last.bias.fill_(-2.0 if options.get("nms") else -5.0)
    folder = WORK / "ultralytics"
    folder.mkdir(parents=True, exist_ok=True)
    here = os.getcwd()
    os.chdir(folder)
    try:
        made = model.export(format="onnx", imgsz=size, verbose=False, **options)
    except Exception as error:
        raise NotOffered(str(error).splitlines()[0].lstrip("❌ ")[:120]) from error
    finally:
        os.chdir(here)
    path = WORK / "files" / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(folder / made, path)
    return path


def ultralytics_finds(path, image, least, size):
    from ultralytics import RTDETR, YOLO
    model = (RTDETR if "rtdetr" in path.name else YOLO)(str(path))
    found = model.predict(str(image), conf=least, iou=1.0, max_det=1000, imgsz=size, retina_masks=True, verbose=False)[0]
    boxes = found.boxes if found.obb is None else found.obb
    out = []
    for at in range(len(boxes)):
        one = {"class": int(boxes.cls[at]), "score": float(boxes.conf[at]), "box": boxes.xyxy[at].tolist()}
        if found.obb is not None:
            one["corners"] = found.obb.xyxyxyxy[at].tolist()
        if found.keypoints is not None:
            one["points"] = found.keypoints.data[at].numpy()
        if found.masks is not None:
            one["mask"] = found.masks.data[at].numpy().astype(np.uint8)
        out.append(one)
    return out


def ultralytics_case(name, yaml, size=320, suppressed=False, **options):
    @case(name, "ultralytics")
    def run():
        path = ultralytics(name, yaml, size, **options)
        # Of a dynamic export, the package pads a picture only to a multiple of the stride.
        given = (256, size) if options.get("dynamic") else None
        model, image = propose(path, given), picture()
        low = ultralytics_finds(path, image, 0.25 if suppressed else 0.01, size)
        least = max(threshold([one["score"] for one in low]), 0.25 if suppressed else 0.01)
        right = [one for one in low if one["score"] >= least]
        return compare(right, detections(model, image, least), alike=not suppressed, pixels=1.5 if options.get("half") else 0.5,
                       score=0.02 if options.get("half") else 0.002)


for name, yaml, options in [
    ("yolov3-tinyu", "yolov3-tiny.yaml", {}), ("yolov5nu", "yolov5n.yaml", {}), ("yolov6n", "yolov6n.yaml", {}),
    ("yolov8n", "yolov8n.yaml", {}), ("yolov8n-half", "yolov8n.yaml", {"half": True}),
    ("yolov8n-dynamic", "yolov8n.yaml", {"dynamic": True}), ("yolov8n-opset12", "yolov8n.yaml", {"opset": 12}),
    ("yolov8n-int8", "yolov8n.yaml", {"int8": True}), ("yolov8n-nms", "yolov8n.yaml", {"nms": True}),
    ("yolov8n-p2", "yolov8n-p2.yaml", {}), ("yolov8n-p6", "yolov8n-p6.yaml", {"size": 384}), ("yolov9t", "yolov9t.yaml", {}),
    ("yolov10n", "yolov10n.yaml", {}), ("yolo11n", "yolo11n.yaml", {}), ("yolo12n", "yolo12n.yaml", {}),
    ("yolo26n", "yolo26n.yaml", {}), ("yolo26n-nms", "yolo26n.yaml", {"nms": True}), ("rtdetr-l", "rtdetr-l.yaml", {}),
    ("yolov8n-seg", "yolov8n-seg.yaml", {}), ("yolo11n-seg-nms", "yolo11n-seg.yaml", {"nms": True}),
    ("yolo26n-seg", "yolo26n-seg.yaml", {}), ("yolo26n-seg-half", "yolo26n-seg.yaml", {"half": True}),
    ("yolov8n-pose", "yolov8n-pose.yaml", {}), ("yolo11n-pose-nms", "yolo11n-pose.yaml", {"nms": True}),
    ("yolo26n-pose", "yolo26n-pose.yaml", {}), ("yolov8n-obb", "yolov8n-obb.yaml", {}),
    ("yolo11n-obb-nms", "yolo11n-obb.yaml", {"nms": True}), ("yolo26n-obb", "yolo26n-obb.yaml", {}),
]:
    ultralytics_case(name, yaml, suppressed=options.get("nms", False), **options)


def classes(name, image, right, score=0.002):
    """`right`: probabilities of the classes."""
    best = rows(name, image, f"- classify: {{ model: '{name}', top: 5, min_score: 0 }}")["classes"]
    off = max(abs(one["score"] - right[one["class"]]) for one in best)
    order = np.argsort(-right)[:5]
    if abs(right[order[0]] - right[best[0]["class"]]) > score or off > score:
        raise AssertionError(f"best {best[0]}, right {order[0]} with {right[order[0]]:.4f}; off by {off:.4f}")
    return f"best class {order[0]}; scores off by {off:.4f}"


for name, yaml in [("yolov8n-cls", "yolov8n-cls.yaml"), ("yolo26n-cls", "yolo26n-cls.yaml")]:
    @case(name, "ultralytics")
    def run(name=name, yaml=yaml):
        from ultralytics import YOLO
        path = ultralytics(name, yaml, 224)
        image = picture()
        right = YOLO(str(path)).predict(str(image), imgsz=224, verbose=False)[0].probs.data.numpy()
        return classes(propose(path), image, right)


@case("yolo26n-sem", "ultralytics")
def run():
    from ultralytics import YOLO
    path = ultralytics("yolo26n-sem", "yolo26n-sem.yaml")
    right = YOLO(str(path)).predict(str(picture()), imgsz=320, verbose=False)[0].semantic_mask.data
    # The package enlarges class numbers from the upper left corner of each cell (OpenCV's INTER_NEAREST), Ocelli from its
    # centre: they differ along the edges of areas.
    return mask(propose(path), picture(), np.asarray(right).astype(np.uint8), 0.98)


@case("yolo26n-depth", "ultralytics")
def run():
    raise AssertionError(f"a distance is no answer of ours: {propose(ultralytics('yolo26n-depth', 'yolo26n-depth.yaml'))}")


def softmax(values):
    e = np.exp(values - values.max())
    return e / e.sum()


def spread(net, x):
    """Scales the last layer so that the classes differ."""
    with torch.no_grad():
        values = net(x)
        values = values if torch.is_tensor(values) else values.logits
    last = [m for m in net.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        if last.weight.std() == 0:
            last.weight.normal_()
            values = net(x)
        factor = 3 / values.std().clamp(min=1e-6)
        last.weight.mul_(factor)
        if last.bias is not None:
            last.bias.mul_(factor)
    return net


def classifier_case(name, package, make, side=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), **options):
    @case(name, package)
    def run():
        torch.manual_seed(0)
        net, x = make(), tensor((side, side), mean, std)
        calibrate(net, (side, side))
        spread(net, x)
        path = onnx_file(name, net, x, **options)
        with torch.no_grad():
            values = net(x)
            values = (values if torch.is_tensor(values) else values.logits).numpy()[0]
        size = (side, side) if options.get("dynamic_axes") else None
        return classes(propose(path, size), picture((side, side)), softmax(values))


def torchvision(name):
    import torchvision
    return lambda: getattr(torchvision.models, name)(weights=None)


def timm(name):
    import timm
    return lambda: timm.create_model(name, pretrained=False)


for name in ["resnet18", "mobilenet_v3_small", "efficientnet_b0", "vit_b_16"]:
    classifier_case(name, "torchvision", torchvision(name))
classifier_case("resnet18-dynamo", "torchvision", torchvision("resnet18"), dynamo=True, opset_version=18)
classifier_case("resnet18-batch", "torchvision", torchvision("resnet18"), input_names=["x"], dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}})
for name in ["mobilenetv4_conv_small", "vit_tiny_patch16_224", "convnext_atto"]:
    classifier_case("timm-" + name, "timm", timm(name))


def mask(name, image, right, least=0.995):
    """`right`: class numbers at the picture's size."""
    (WORK / "run.yaml").write_text(
        f"pipeline:\n- images: {{ path: '{image}' }}\n- resize: {{ for: '{name}' }}\n- segment: {{ model: '{name}' }}\n"
        "- snapshot: { path: mask.png, of: mask }\n")
    ocelli("run", "run.yaml", "-q")
    from PIL import Image
    ours = np.array(Image.open(WORK / "mask.png"))
    same = (ours == right).mean()
    if ours.shape != right.shape or same < least:
        raise AssertionError(f"{same:.4f} of the pixels agree")
    return f"{len(np.unique(right))} classes; {100 * same:.2f} % of the pixels agree"


class First(torch.nn.Module):
    def __init__(self, net, key):
        super().__init__()
        self.net, self.key = net, key

    def forward(self, x):
        out = self.net(x)
        return out[self.key] if isinstance(self.key, str) and isinstance(out, dict) else getattr(out, self.key)


def segmenter_case(name, package, make, key, size=(256, 192), whole=False):
    @case(name, package)
    def run():
        torch.manual_seed(0)
        net = calibrate(make(), size)
        x = tensor(size)
        path = onnx_file(name, net if whole else First(net, key).eval(), x)
        with torch.no_grad():
            values = First(net, key).eval()(x)
            values = torch.nn.functional.interpolate(values, (size[1], size[0]), mode="bilinear", align_corners=False)
        return mask(propose(path), picture(size), values[0].argmax(0).numpy())


def segmentation(name):
    import torchvision
    return lambda: getattr(torchvision.models.segmentation, name)(weights=None, weights_backbone=None, aux_loss="fcn" in name or None)


segmenter_case("fcn_resnet50", "torchvision", segmentation("fcn_resnet50"), "out", whole=True)
segmenter_case("deeplabv3_mobilenet_v3_large", "torchvision", segmentation("deeplabv3_mobilenet_v3_large"), "out")
segmenter_case("lraspp_mobilenet_v3_large", "torchvision", segmentation("lraspp_mobilenet_v3_large"), "out")


def hugging(name, **settings):
    def make():
        import transformers
        config = getattr(transformers, name + "Config")(**settings)
        kind = {"Segformer": "ForSemanticSegmentation", "Vit": "ForImageClassification"}.get(name)
        return getattr(transformers, name + kind)(config)
    return make


segmenter_case("segformer", "transformers", hugging("Segformer", num_labels=19), "logits", size=(256, 256))


def boxed(net, size):
    """What a detector of torchvision finds in the picture, in pixels of it."""
    with torch.no_grad():
        found = net([tensor(size, (0, 0, 0), (1, 1, 1))[0]])[0]
    return [{"class": int(c), "score": float(s), "box": b.tolist()}
            for b, s, c in zip(found["boxes"], found["scores"], found["labels"]) if b[2] > b[0] and b[3] > b[1]]


def torchvision_detector_case(name, size, **settings):
    @case(name, "torchvision")
    def run():
        import torchvision
        torch.manual_seed(0)
        net = getattr(torchvision.models.detection, name)(weights=None, weights_backbone=None, **settings)
        calibrate(net.backbone, size)
        net.eval()
        for name_, part in net.named_modules():
            # Scores of a trained model differ from place to place.
            if isinstance(part, torch.nn.Conv2d) and name_.endswith("cls_logits"):
                with torch.no_grad():
                    part.weight.mul_(20 if name.startswith("fcos") else 3)
        right = boxed(net, size)
        path = onnx_file(name, net, ([tensor(size, (0, 0, 0), (1, 1, 1))[0]],), output_names=["boxes", "scores", "labels"] if "ssd" in name or "retina" in name or "fcos" in name else ["boxes", "labels", "scores"])
        model = propose(path)
        least = threshold([one["score"] for one in right])
        return compare([one for one in right if one["score"] >= least], detections(model, picture(size), least), alike=False)


for name, settings in [("fasterrcnn_mobilenet_v3_large_320_fpn", {"min_size": 320, "max_size": 320, "box_score_thresh": 0.001}),
                       ("retinanet_resnet50_fpn", {"min_size": 320, "max_size": 320, "score_thresh": 0.001}),
                       ("fcos_resnet50_fpn", {"min_size": 320, "max_size": 320, "score_thresh": 0.001}),
                       ("ssdlite320_mobilenet_v3_large", {"score_thresh": 0.001}), ("ssd300_vgg16", {"score_thresh": 0.001})]:
    torchvision_detector_case(name, (300, 300) if "ssd300" in name else (320, 320), **settings)


class Heads(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, pixel_values):
        out = self.net(pixel_values)
        return out.logits, out.pred_boxes


def transformer_detector_case(name, kind, size, sigmoid, mean, std, **settings):
    @case(name, "transformers")
    def run():
        import transformers
        torch.manual_seed(0)
        net = Heads(getattr(transformers, kind + "ForObjectDetection")(getattr(transformers, kind + "Config")(**settings))).eval()
        x = tensor(size, mean, std)
        if any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules()):
            calibrate(net, size)
        for name_, part in net.named_modules():
            # Scores of a trained model differ from query to query.
            if isinstance(part, torch.nn.Linear) and ("enc_score_head" in name_ or "class_embed" in name_):
                with torch.no_grad():
                    part.weight.copy_(part.weight / part.weight.std() * (0.5 if "enc" in name_ else 0.1))
        if not sigmoid:
            # Of most queries, a trained model says that there is nothing.
            last = [m for m in net.modules() if isinstance(m, torch.nn.Linear) and m.out_features == settings["num_labels"] + 1][-1]
            with torch.no_grad():
                spread = net(x)[0][0]
                last.bias[-1] += (spread[:, :-1].max(1).values - spread[:, -1]).quantile(0.9)
        with torch.no_grad():
            logits, boxes = (value[0] for value in net(x))
        path = onnx_file(name, net, x, input_names=["pixel_values"], output_names=["logits", "pred_boxes"])
        scores = logits.sigmoid() if sigmoid else logits.softmax(-1)[:, :-1]
        best, number = scores.max(-1)
        cx, cy, w, h = (boxes * torch.tensor([size[0], size[1]] * 2)).T
        corners = torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], 1)
        corners[:, 0::2].clamp_(0, size[0])
        corners[:, 1::2].clamp_(0, size[1])
        # What lies outside the picture is no answer of ours.
        inside = ((corners[:, 2:] - corners[:, :2]) > 0).all(1)
        corners, best, number = corners[inside], best[inside], number[inside]
        right = [{"class": int(c), "score": float(s), "box": b.tolist()} for b, s, c in zip(corners, best, number)]
        model = propose(path)
        least = threshold([one["score"] for one in right])
        return compare([one for one in right if one["score"] >= least], detections(model, picture(size), least), alike=True)


torch.backends.mha.set_fastpath_enabled(False)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
transformer_detector_case("detr", "Detr", (320, 256), False, *IMAGENET, use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config={"model_type": "resnet"}, num_labels=20)
transformer_detector_case("yolos", "Yolos", (320, 256), False, *IMAGENET, image_size=[256, 320], num_labels=20, hidden_size=192, num_attention_heads=3, intermediate_size=768)
transformer_detector_case("rt_detr", "RTDetr", (320, 320), True, (0, 0, 0), (1, 1, 1), num_labels=20)
transformer_detector_case("d_fine", "DFine", (320, 320), True, (0, 0, 0), (1, 1, 1), num_labels=20)


@case("nudenet-320n", "nudenet 3.4.2 (trained)")
def run():
    import nudenet
    path = WORK / "files/nudenet-320n.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(pathlib.Path(nudenet.__file__).parent / "320n.onnx", path)
    from ultralytics.utils import ASSETS
    zidane = WORK / "pictures/zidane.png"
    zidane.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(zidane), cv2.imread(str(ASSETS / "zidane.jpg")))
    # The file leaves its size open, so the package pads the picture only to a multiple of the stride.
    found = ultralytics_finds(path, zidane, 0.01, 320)
    least = threshold([one["score"] for one in found])
    return compare([one for one in found if one["score"] >= least], detections(propose(path, (320, 192)), zidane, least), alike=True)


def keras_case(name, make, side=224):
    @case("keras-" + name, "keras")
    def run():
        import keras
        keras.utils.set_random_seed(0)
        net = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3))
        rgb = cv2.imread(str(picture((side, side))))[..., ::-1].astype(np.float32)[None]
        logs = np.log(np.asarray(net(make(rgb)).detach()))
        last = net.get_layer("predictions")
        last.kernel.assign(last.kernel * float(3 / logs.std()))
        path = WORK / "files" / f"keras-{name}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        net.export(str(path), format="onnx", verbose=False)
        model = propose(path)
        session = ort.InferenceSession(str(path))
        right = session.run(None, {session.get_inputs()[0].name: make(rgb)})[0][0]
        return classes(model, picture((side, side)), right)


keras_case("MobileNetV2", lambda rgb: rgb / 127.5 - 1)
keras_case("EfficientNetB0", lambda rgb: rgb)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", help="only cases whose names begin so")
    chosen = arguments.parse_args().names
    table, counts = [], {"right": 0, "refused": 0, "wrong": 0, "not offered": 0}
    for name, package, run in CASES:
        if chosen and not any(name.startswith(word) for word in chosen):
            continue
        began = time.time()
        try:
            verdict, said = "right", run()
        except Refused as error:
            verdict, said = "refused", str(error)
        except NotOffered as error:
            verdict, said = "not offered", str(error)
        except AssertionError as error:
            verdict, said = "wrong", str(error)
        except Exception as error:
            verdict, said = "not offered", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]
            if chosen:
                traceback.print_exc()
        counts[verdict] += 1
        said = said.replace(str(WORK), "").replace("|", "/")
        table.append(f"| {name} | {package} | {verdict} | {said} |")
        print(f"{verdict:12} {name}: {said} ({time.time() - began:.0f} s)", flush=True)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    print(summary)
    if not chosen:
        text = "\n".join(["| export | package | verdict | measured |", "|---|---|---|---|", *table, "", summary + "."])
        (WORK / "table.md").write_text(text + "\n")
        docs = ROOT / "docs/models.md"
        before, rest = docs.read_text().split("<!-- exports -->\n", 1)
        _, after = rest.split("<!-- end of exports -->", 1)
        docs.write_text(f"{before}<!-- exports -->\n{text}\n<!-- end of exports -->{after}")
    sys.exit(1 if counts["wrong"] else 0)


main()
