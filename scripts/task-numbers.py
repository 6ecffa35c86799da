#!/usr/bin/env python3
"""Writes tests/golden/tasks.json: what Ultralytics makes of the numbers of -seg, -pose and -obb models.

    pip install ultralytics pycocotools
    python3 scripts/task-numbers.py

Small made-up outputs go through `process_mask_native`, `scale_coords`, `xywhr2xyxyxyxy` and `batch_probiou`; the test
`tasks_of_ultralytics_give_its_numbers` reads the same outputs with the family `boxes`.
"""
import json
import pathlib

import numpy as np
import torch
from pycocotools import mask as coco
from ultralytics.utils import metrics, ops

random = np.random.RandomState(7)
INPUT, FRAME, CLASSES, N = (64, 80), (70, 100), 3, 24  # height, width


def rounded(array, digits=5):
    return np.round(np.asarray(array, np.float64), digits).ravel().tolist()


def boxes(n):
    centres = random.uniform((8, 10), (72, 54), (n, 2))
    sizes = random.uniform(6, 40, (n, 2))
    return np.round(np.concatenate([centres, sizes], 1), 3).astype(np.float32)


def scores(n):
    return np.round(random.uniform(0.02, 0.98, (n, CLASSES)), 4).astype(np.float32)


def corners(xywh):
    return torch.from_numpy(np.concatenate([xywh[:, :2] - xywh[:, 2:] / 2, xywh[:, :2] + xywh[:, 2:] / 2], 1))


def segment():
    xywh, probabilities = boxes(N), scores(N)
    weights = np.round(random.normal(0, 1, (N, 8)), 3).astype(np.float32)
    maps = np.round(random.normal(0, 1, (8, 16, 20)), 3).astype(np.float32)
    rows = np.concatenate([xywh, probabilities, weights], 1)
    in_frame = ops.scale_boxes(INPUT, corners(xywh), FRAME)
    masks = ops.process_mask_native(torch.from_numpy(maps), torch.from_numpy(weights), in_frame, FRAME)
    runs = [coco.encode(np.asfortranarray(mask.numpy().astype(np.uint8))) for mask in masks]
    return {
        "rows": rounded(rows), "width": rows.shape[1], "maps": rounded(maps), "maps_shape": list(maps.shape),
        "masks": [run["counts"].decode() for run in runs], "areas": [int(coco.area(run)) for run in runs],
    }


def pose():
    xywh, probabilities = boxes(N), scores(N)
    points = np.round(random.uniform((0, 0, 0), (80, 64, 1), (N, 5, 3)), 3).astype(np.float32)
    rows = np.concatenate([xywh, probabilities, points.reshape(N, -1)], 1)
    in_frame = ops.scale_coords(INPUT, torch.from_numpy(points.copy()), FRAME)
    return {"rows": rounded(rows), "width": rows.shape[1], "points": rounded(in_frame)}


def turned():
    xywh, probabilities = boxes(N), scores(N)
    angles = np.round(random.uniform(-np.pi / 4, 3 * np.pi / 4, (N, 1)), 4).astype(np.float32)
    rows = np.concatenate([xywh, probabilities, angles], 1)
    xywhr = torch.from_numpy(np.concatenate([xywh, angles], 1))
    in_frame = xywhr.clone()
    in_frame[:, :4] = ops.scale_boxes(INPUT, xywhr[:, :4].clone(), FRAME, xywh=True)
    return {
        "rows": rounded(rows), "width": rows.shape[1],
        "corners": rounded(ops.xywhr2xyxyxyxy(in_frame)), "iou": rounded(metrics.batch_probiou(in_frame, in_frame)),
    }


golden = {"input": INPUT, "frame": FRAME, "classes": CLASSES, "segment": segment(), "pose": pose(), "turned": turned()}
path = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/tasks.json"
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print(f"{path}: {path.stat().st_size} bytes")
