"""Trains the three small models that show maps, on rendered scenes: what each pixel is (scene_mask), which things are in
the picture and why (scene_tags), and twice the size (scene_x2).

    cargo build --release
    python models/train_maps.py --ocelli target/release/ocelli --work /tmp/maps

Needs torch, numpy, pillow and onnx. About fifteen minutes on one core. Writes model.onnx into each folder and prints the
scores that stand in the cards; the cards' hashes must be set to those it prints.
"""
import argparse, hashlib, json, pathlib, subprocess
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F
from PIL import Image

HERE = pathlib.Path(__file__).parent
SIZE = (256, 144)
CLASSES = 7


def render(ocelli, work, seeds, frames):
    """Frames, class maps; two settings for each seed."""
    pictures, masks = [], []
    for setting in ["street", "table"]:
        for seed in seeds:
            out = work / f"{setting}-{seed}"
            if not out.exists():
                subprocess.run([ocelli, "scene", "--export", "masks", "--setting", setting, "--seed", str(seed), "--frames",
                                str(frames), "--every", "1.7", "--size", "512x288", "--format", "png", "--out", out], check=True)
            for path in sorted((out / "images").iterdir()):
                pictures.append(np.array(Image.open(path)))
                masks.append(np.array(Image.open(out / "masks" / path.name)))
    return np.stack(pictures), np.stack(masks)


def small(pictures):
    return np.stack([np.array(Image.fromarray(p).resize(SIZE, Image.BILINEAR)) for p in pictures])


def tensor(pictures):
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127.5) / 64


def block(cin, cout, stride=1, groups=1):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, groups=groups, bias=False), nn.BatchNorm2d(cout), nn.ReLU())


class Backbone(nn.Module):
    """To strides 4, 8 and 16."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(block(3, 16, 2), block(16, 24, 2), block(24, 24))
        self.b = nn.Sequential(block(24, 40, 2), block(40, 40))
        self.c = nn.Sequential(block(40, 64, 2), block(64, 64))

    def forward(self, x):
        a = self.a(x)
        b = self.b(a)
        return a, b, self.c(b)


class Masks(nn.Module):
    """Logits of the classes at stride 4."""

    def __init__(self):
        super().__init__()
        self.body = Backbone()
        self.c, self.b = nn.Conv2d(64, 40, 1), block(40, 24)
        self.head = nn.Sequential(block(24, 24), nn.Conv2d(24, CLASSES, 1))

    def forward(self, x):
        a, b, c = self.body(x)
        up = lambda t, like: F.interpolate(t, size=like.shape[-2:], mode="nearest")
        b = self.b(up(self.c(c), b) + b)
        return self.head(up(b, a) + a)


class Tags(nn.Module):
    """A logit for each class of thing: the mean of a map, and one linear layer."""

    def __init__(self):
        super().__init__()
        self.body, self.last = Backbone(), block(64, 64)
        self.linear = nn.Linear(64, CLASSES - 1)

    def forward(self, x):
        return self.linear(self.last(self.body(x)[2]).mean((2, 3)))


class Twice(nn.Module):
    """FSRCNN, small: brightness at twice the size. Dong et al. 2016."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 20, 5, padding=2), nn.ReLU(), nn.Conv2d(20, 8, 1), nn.ReLU(),
                                 nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 20, 1), nn.ReLU(),
                                 nn.Conv2d(20, 4, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x):
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False) + self.net(x)


def fit(name, net, x, y, loss, epochs, batch=16, rate=3e-3, flip=True):
    torch.manual_seed(1)
    steps = epochs * (len(x) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    net.train()
    for epoch in range(epochs):
        order, total = torch.randperm(len(x)), 0.0
        for at in range(0, len(x) - batch + 1, batch):
            pick = order[at:at + batch]
            a, b = x[pick], y[pick]
            if flip and torch.rand(()) < 0.5:
                a, b = a.flip(-1), (b.flip(-1) if b.dim() > 2 else b)
            optimiser.zero_grad()
            value = loss(net(a), b)
            value.backward()
            optimiser.step()
            schedule.step()
            total += value.item()
        print(f"{name} {epoch + 1}/{epochs}: {total / (len(x) // batch):.4f}", flush=True)
    net.eval()


def write(name, net, shape, output):
    path = HERE / name / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    torch.onnx.export(net, torch.zeros(shape), path, input_names=["image"], output_names=[output], opset_version=13, dynamo=False)
    print(f"{name}: sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}, {path.stat().st_size} bytes", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ocelli", default="target/release/ocelli")
    parser.add_argument("--work", default="/tmp/maps", type=pathlib.Path)
    parser.add_argument("--epochs", default=12, type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    options.work.mkdir(exist_ok=True)
    big, masks = render(options.ocelli, options.work, range(20, 26), 120)
    big_test, masks_test = render(options.ocelli, options.work, range(90, 92), 60)
    x, x_test = tensor(small(big)), tensor(small(big_test))
    shrink = lambda m: torch.from_numpy(m[:, 4::8, 4::8].copy()).long()

    net = Masks()
    fit("scene_mask", net, x, shrink(masks), nn.CrossEntropyLoss(), options.epochs)
    with torch.no_grad():
        found = torch.cat([net(x_test[i:i + 16]).argmax(1) for i in range(0, len(x_test), 16)])
    real, scores = shrink(masks_test), []
    for c in range(CLASSES):
        both, either = ((found == c) & (real == c)).sum(), ((found == c) | (real == c)).sum()
        scores.append((both / either).item())
    print("scene_mask: mIoU", round(float(np.mean(scores)), 3), [round(s, 3) for s in scores], flush=True)
    write("scene_mask", net, (1, 3, 144, 256), "logits")

    present = lambda m: torch.from_numpy(np.stack([[(f == c).sum() > 40 for c in range(1, CLASSES)] for f in m])).float()
    net = Tags()
    fit("scene_tags", net, x, present(masks), nn.BCEWithLogitsLoss(), options.epochs)
    with torch.no_grad():
        found = torch.cat([net(x_test[i:i + 16]) for i in range(0, len(x_test), 16)]) > 0
    print("scene_tags: right", round((found == present(masks_test).bool()).float().mean().item(), 3), flush=True)
    write("scene_tags", net, (1, 3, 144, 256), "logits")

    # Brightness as Pillow and ocelli see it; half size by Pillow.
    grey = lambda pictures: np.stack([np.array(Image.fromarray(p).convert("L")) for p in pictures])
    half = lambda pictures: np.stack([np.array(Image.fromarray(p).resize((256, 144), Image.BILINEAR)) for p in pictures])
    unit = lambda g: torch.from_numpy(g)[:, None].float() / 255
    high, high_test = grey(big[::3]), grey(big_test)
    low, low_test = half(high), half(high_test)
    net = Twice()
    fit("scene_x2", net, unit(low), unit(high), nn.MSELoss(), options.epochs, rate=1e-3)
    error = lambda a, b: 10 * np.log10(1 / float(((a - b) ** 2).mean()))
    with torch.no_grad():
        found = torch.cat([net(unit(low_test)[i:i + 16]) for i in range(0, len(low_test), 16)]).clamp(0, 1)
        plain = F.interpolate(unit(low_test), scale_factor=2, mode="bilinear", align_corners=False)
    print("scene_x2: PSNR", round(error(found, unit(high_test)), 2), "bilinear", round(error(plain, unit(high_test)), 2), flush=True)
    write("scene_x2", net, (1, 1, 144, 256), "picture")


main()
