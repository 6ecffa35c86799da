"""Trains a classifier's last layer in PyTorch on the features that a run of `ocelli train` kept, with the same recipe,
random numbers and order, and compares the weights.

    ocelli train flowers.yaml --set freeze=backbone
    python scripts/train-numbers.py runs/flowers photos/train --classes roses,sunflowers

Needs torch and numpy. The recipe must have the default schedule: AdamW, 30 epochs, batches of 16, a cosine.
Result of 2026-11-28 (PyTorch 2.15, MobileNetV2 on roses and sunflowers): see docs/training.md.
"""
import argparse, json, math, pathlib, struct, time
import numpy as np, torch, torch.nn.functional as F

MASK = (1 << 64) - 1


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Random:
    """src/train/random.rs"""

    def __init__(self, keys):
        self.state = 0
        for key in keys:
            self.state = mix(((self.state + 0x9E3779B97F4A7C15) & MASK) ^ mix(key))

    def bits(self, at):
        return mix((self.state + (at + 1) * 0x9E3779B97F4A7C15) & MASK)

    def unit(self, at):
        return (self.bits(at) >> 11) / float(1 << 53)

    def normal(self, at):
        a, b = 1.0 - self.unit(2 * at), self.unit(2 * at + 1)
        return math.sqrt(-2.0 * math.log(a)) * math.cos(math.tau * b)

    def order(self, count):
        order = list(range(count))
        for at in range(count - 1, 0, -1):
            other = self.bits(at) % (at + 1)
            order[at], order[other] = order[other], order[at]
        return order


def safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    body = data[8 + length:]
    read = lambda t: np.frombuffer(body[t["data_offsets"][0]:t["data_offsets"][1]], "<f4")
    return header.get("__metadata__", {}), {k: read(v) for k, v in header.items() if k != "__metadata__"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("photos", type=pathlib.Path)
    parser.add_argument("--classes", required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    classes = options.classes.split(",")
    torch.set_num_threads(1)

    meta, _ = safetensors(options.run / "last.safetensors")
    progress = json.loads(meta["progress"])
    _, ours = safetensors(options.run / "best.safetensors")
    best = progress["best"]["epoch"]
    names = sorted(ours, key=lambda name: ours[name].size)
    bias, weight = ours[names[0]], ours[names[1]]
    width, count = weight.size // len(classes), len(classes)

    # The pictures in the order of their paths, as labels call them.
    files = sorted(f"{c}/{p.name}" for c in classes for p in (options.photos / c).iterdir())
    labels = torch.tensor([classes.index(f.split("/")[0]) for f in files])
    variants, record = 4, width * 2 + 4
    kept = [p for p in (options.run / "features").iterdir() if p.stat().st_size == len(files) * variants * record]
    raw = np.frombuffer(kept[0].read_bytes(), np.uint8).reshape(len(files), variants, record)[..., :-4]
    features = torch.from_numpy(np.ascontiguousarray(raw).view("<f2").astype(np.float32))

    random = Random([options.seed, 3])
    start = [[0.01 * random.normal(c * width + k) for k in range(width)] for c in range(count)]
    w = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    b = torch.zeros(count, requires_grad=True)
    optimiser = torch.optim.AdamW([{"params": [w], "weight_decay": 0.01}, {"params": [b], "weight_decay": 0.0}], lr=1e-3)
    size, epochs, rate = min(16, len(files)), 30, 1e-3
    steps = -(-len(files) // size)
    warmup, total = steps, epochs * steps - steps
    began, losses = time.perf_counter(), []
    for epoch in range(best + 1):
        order = Random([2, options.seed, 0, epoch]).order(len(files))
        order += order[:(size - len(files) % size) % size]
        mean = 0.0
        for at in range(steps):
            step = epoch * steps + at
            if step < warmup:
                now = rate * (0.01 + 0.99 * step / warmup)
            else:
                now = rate / 2 * (1 + math.cos(math.pi * (step - warmup) / total))
            for group in optimiser.param_groups:
                group["lr"] = now
            pick = order[at * size:(at + 1) * size]
            loss = F.cross_entropy(features[pick, epoch % variants] @ w.T + b, labels[pick])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([w, b], 10.0)
            optimiser.step()
            mean += loss.item() / steps
        losses.append(mean)
    took = time.perf_counter() - began
    rows = progress["history"][:best + 1]
    far = max(abs(row["train"][0][1] - mean) / mean for row, mean in zip(rows, losses))
    difference = max(np.abs(w.detach().numpy().ravel() - weight).max(), np.abs(b.detach().numpy() - bias).max())
    print(f"epochs {best + 1}; losses differ by at most {far:.2e} of themselves")
    print(f"weights differ by at most {difference:.2e}; the largest is {np.abs(weight).max():.3f}")
    print(f"PyTorch took {took:.2f} s for these epochs")


main()
