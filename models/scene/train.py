"""Trains the bundled `scene` detector on pictures that `ocelli scene` renders.

    pip install torch onnx numpy pillow
    python models/scene/train.py --ocelli target/release/ocelli

Nothing but rendered pictures goes in, so the weights are ours to give away. The network is a small
YOLOX-like detector: plain 3x3 convolutions, three strides, one row of raw numbers for each cell:
`dx, dy, log w, log h, objectness logit, class logits` (Ge et al. 2021, YOLOX, section 2.1).
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

WIDTH, HEIGHT = 320, 192
STRIDES = (8, 16, 32)
CLASSES = ["person", "car", "dog", "ball", "cup", "book"]
# The longer side of an object, in input pixels, that each stride is responsible for.
RANGES = ((0, 48), (32, 96), (72, 10_000))


def conv(cin, cout, stride=1, kernel=3):
    return nn.Sequential(
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(cout), nn.ReLU()
    )


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 2), conv(16, 24, 2), conv(24, 24))
        self.c3 = nn.Sequential(conv(24, 48, 2), conv(48, 48))
        self.c4 = nn.Sequential(conv(48, 64, 2), conv(64, 64))
        self.c5 = nn.Sequential(conv(64, 96, 2), conv(96, 96))
        self.lateral = nn.ModuleList([conv(c, 48, kernel=1) for c in (48, 64, 96)])
        self.tower = nn.ModuleList([conv(48, 48) for _ in STRIDES])
        self.box = nn.ModuleList([nn.Sequential(conv(48, 32), nn.Conv2d(32, 5, 1)) for _ in STRIDES])
        self.cls = nn.ModuleList([nn.Sequential(conv(48, 32), nn.Conv2d(32, len(CLASSES), 1)) for _ in STRIDES])
        for box, cls in zip(self.box, self.cls):
            nn.init.constant_(box[-1].bias, 0.0)
            box[-1].bias.data[4] = -4.0
            nn.init.constant_(cls[-1].bias, -2.0)

    def forward(self, image):
        c3 = self.c3(self.stem(image))
        c4 = self.c4(c3)
        c5 = self.c5(c4)
        p5 = self.lateral[2](c5)
        p4 = self.lateral[1](c4) + F.interpolate(p5, scale_factor=2.0, mode="nearest")
        p3 = self.lateral[0](c3) + F.interpolate(p4, scale_factor=2.0, mode="nearest")
        rows = []
        for level, feature in enumerate((p3, p4, p5)):
            feature = self.tower[level](feature)
            out = torch.cat([self.box[level](feature), self.cls[level](feature)], 1)
            rows.append(out.flatten(2).transpose(1, 2))
        return torch.cat(rows, 1)


def grid():
    cells = []
    for s in STRIDES:
        ys, xs = np.mgrid[0 : HEIGHT // s, 0 : WIDTH // s]
        cells.append(np.stack([xs.ravel(), ys.ravel(), np.full(xs.size, s)], 1))
    return torch.tensor(np.concatenate(cells), dtype=torch.float32)


def boxes_of(raw, cells):
    xy = (raw[..., :2] + cells[:, :2]) * cells[:, 2:]
    wh = raw[..., 2:4].clamp(-6, 6).exp() * cells[:, 2:]
    return torch.cat([xy - wh / 2, xy + wh / 2], -1)


def assign(boxes, cells):
    """The object each cell answers for, or -1: the smallest whose middle is near and whose size fits."""
    if len(boxes) == 0:
        return torch.full((len(cells),), -1)
    points = cells[:, :2] * cells[:, 2:]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    size = boxes[:, 2:] - boxes[:, :2]
    near = ((points[:, None] - middle[None]).abs() < 1.5 * cells[:, None, 2:]).all(-1)
    longest = size.max(1).values
    low = torch.tensor([dict(zip(STRIDES, RANGES))[int(s)][0] for s in cells[:, 2]])
    high = torch.tensor([dict(zip(STRIDES, RANGES))[int(s)][1] for s in cells[:, 2]])
    fits = (longest[None] >= low[:, None]) & (longest[None] < high[:, None])
    cost = torch.where(near & fits, size.prod(1)[None].expand(len(cells), -1), torch.inf)
    best, index = cost.min(1)
    return torch.where(torch.isinf(best), torch.tensor(-1), index)


def giou(a, b):
    lt, rb = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    inter = (rb - lt).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - inter
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    iou = inter / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def loss_of(raw, targets, cells):
    boxes = boxes_of(raw, cells)
    objectness = torch.zeros_like(raw[..., 4])
    box_loss = cls_loss = raw.sum() * 0
    count = 0
    for i, (truth, classes) in enumerate(targets):
        who = assign(truth, cells)
        cell = (who >= 0).nonzero()[:, 0]
        if len(cell) == 0:
            continue
        iou, g = giou(boxes[i, cell], truth[who[cell]])
        objectness[i, cell] = iou.detach().clamp(min=0.05)
        box_loss = box_loss + (1 - g).sum()
        one_hot = F.one_hot(classes[who[cell]], len(CLASSES)).float()
        cls_loss = cls_loss + F.binary_cross_entropy_with_logits(raw[i, cell, 5:], one_hot, reduction="sum")
        count += len(cell)
    obj_loss = F.binary_cross_entropy_with_logits(raw[..., 4], objectness, reduction="sum")
    return (4 * box_loss + cls_loss + obj_loss) / max(count, 1)


def render(ocelli, folder, seeds, frames):
    """Pictures [3, 360, 640] u8 with their boxes and classes."""
    items = []
    for setting in ("street", "table"):
        for seed in seeds:
            out = pathlib.Path(folder) / f"{setting}_{seed}"
            subprocess.run(
                [ocelli, "scene", "--export", "coco", "--setting", setting, "--seed", str(seed), "--out", str(out),
                 "--frames", str(frames), "--every", "3.7", "--objects", str(4 + seed % 7)],
                check=True, stdout=subprocess.DEVNULL)
            document = json.loads((out / "annotations.json").read_text())
            found = {image["id"]: [] for image in document["images"]}
            for a in document["annotations"]:
                found[a["image_id"]].append((*a["bbox"], a["category_id"] - 1))
            for image in document["images"]:
                pixels = torch.from_numpy(np.array(Image.open(out / "images" / image["file_name"]))).permute(2, 0, 1)
                rows = torch.tensor(found[image["id"]], dtype=torch.float32).reshape(-1, 5)
                boxes = torch.cat([rows[:, :2], rows[:, :2] + rows[:, 2:4]], 1)
                items.append((pixels.contiguous(), boxes, rows[:, 4].long()))
    return items


def place(pixels, boxes, classes, rng=None):
    """A picture as the network sees it: fitted into the input from the top left, the rest grey."""
    if rng is not None:
        if rng.random() < 0.5:
            pixels = pixels.flip(2)
            boxes = torch.stack([640 - boxes[:, 2], boxes[:, 1], 640 - boxes[:, 0], boxes[:, 3]], 1)
        k = rng.uniform(0.55, 1.0)
        w, h = int(640 * k), int(360 * k)
        x, y = rng.integers(0, 641 - w), rng.integers(0, 361 - h)
        pixels = pixels[:, y : y + h, x : x + w]
        moved = boxes - torch.tensor([x, y, x, y])
        inside = torch.stack([moved[:, 0].clamp(0, w), moved[:, 1].clamp(0, h), moved[:, 2].clamp(0, w), moved[:, 3].clamp(0, h)], 1)
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        keep = (inside[:, 2:] - inside[:, :2]).clamp(min=0).prod(1) > 0.3 * area
        boxes, classes = inside[keep], classes[keep]
    _, h, w = pixels.shape
    scale = min(WIDTH / w, HEIGHT / h)
    if rng is not None:
        scale *= rng.uniform(0.6, 1.0)
    new_h, new_w = round(h * scale), round(w * scale)
    small = F.interpolate(pixels[None].float(), (new_h, new_w), mode="bilinear", antialias=True)[0]
    if rng is not None:
        small = ((small - 128) * rng.uniform(0.8, 1.2) + 128 + rng.uniform(-20, 20)).clamp(0, 255)
    canvas = torch.full((3, HEIGHT, WIDTH), 114.0)
    canvas[:, :new_h, :new_w] = small
    return (canvas - 127.5) / 64.0, boxes * scale, classes


def average_precision(model, items, cells):
    """AP at IoU 0.5, a class each, area under the precision envelope."""
    found, total = [[] for _ in CLASSES], [0] * len(CLASSES)
    model.eval()
    for picture, item in enumerate(items):
        image, truth, classes = place(*item)
        with torch.no_grad():
            raw = model(image[None])[0]
        scores = raw[:, 4:5].sigmoid() * raw[:, 5:].sigmoid()
        boxes = boxes_of(raw, cells)
        for c in range(len(CLASSES)):
            real = truth[classes == c]
            total[c] += len(real)
            order = [int(i) for i in scores[:, c].argsort(descending=True) if scores[i, c] > 0.02][:200]
            kept = []
            for i in order:
                if all(giou(boxes[i][None], boxes[j][None])[0].item() <= 0.5 for j in kept):
                    kept.append(i)
            used = set()
            for i in kept:
                iou = giou(boxes[i][None].expand(len(real), 4), real)[0] if len(real) else torch.zeros(0)
                best = int(iou.argmax()) if len(real) else -1
                good = best >= 0 and iou[best] >= 0.5 and best not in used
                if good:
                    used.add(best)
                found[c].append((scores[i, c].item(), good))
    result = {}
    for c, name in enumerate(CLASSES):
        good = np.cumsum([g for _, g in sorted(found[c], key=lambda f: -f[0])])
        recall, precision = good / max(total[c], 1), good / np.arange(1, len(good) + 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        result[name] = float(np.sum(np.diff(np.concatenate([[0], recall])) * envelope))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ocelli", default="target/release/ocelli")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).with_name("model.onnx")))
    parser.add_argument("--epochs", type=int, default=14)
    args = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        train = render(args.ocelli, folder, range(100, 120), 60)
        test = render(args.ocelli, folder, range(900, 904), 25)
    cells = grid()
    model = Detector()
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {len(train)} pictures", flush=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    batch = 16
    steps = args.epochs * (len(train) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps, pct_start=0.1)
    for epoch in range(args.epochs):
        model.train()
        order, sum_of = rng.permutation(len(train)), 0.0
        for start in range(0, len(order) - batch + 1, batch):
            views = [place(*train[i], rng) for i in order[start : start + batch]]
            raw = model(torch.stack([v[0] for v in views]))
            loss = loss_of(raw, [(v[1], v[2]) for v in views], cells)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimiser.step()
            schedule.step()
            sum_of += loss.item()
        print(f"epoch {epoch}: loss {sum_of / (len(order) // batch):.3f}", flush=True)
    precision = average_precision(model, test, cells)
    print({k: round(v, 3) for k, v in precision.items()}, "mAP50", round(float(np.mean(list(precision.values()))), 3))
    model.eval()
    torch.onnx.export(model, torch.zeros(1, 3, HEIGHT, WIDTH), args.out, input_names=["image"], output_names=["rows"],
                      opset_version=13, dynamo=False)


if __name__ == "__main__":
    main()
