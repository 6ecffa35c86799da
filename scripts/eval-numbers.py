#!/usr/bin/env python3
"""Reference numbers for detector measures, from public packages, as one JSON file.

    python -m venv v
    v/bin/pip install tidecv==1.0.1 supervision==0.31.2 pycocotools==2.0.11 \\
        opencv-python==5.0.0.93 numpy==2.4.6
    v/bin/pip install torch==2.15.0 torchmetrics==1.9.0 ultralytics==8.4.190  # optional
    v/bin/python eval-numbers.py VECTORS_FOLDER OUT_FILE

VECTORS_FOLDER holds coco_p10_gt.json, coco_p10_dt.json, coco_p50_gt.json and
coco_p50_dt.json (COCO annotation and result files, boxes only).

Sections of the file: `problems` (TIDE by tidecv, confusion matrix by supervision,
curves over confidence by ultralytics, calibration of the matches), `calibration`
(torchmetrics) and `boundary_iou` (the definition of Cheng et al. 2021, with
opencv's erosion and pycocotools' mask IoU).  A section whose package is missing
is null.  The problems named edge* are made here from small integers: many tied
scores, IoUs equal to the thresholds, crowds, a class without ground truth, an
image with more than 100 detections; their inputs are in the file.
"""
import argparse
import importlib.metadata as meta
import json
import math
import os
import types

import cv2
import numpy as np
import pycocotools.mask as rle
import supervision as sv
import tidecv

os.environ.setdefault("YOLO_OFFLINE", "true")
try:
    import torch
    import torchmetrics.functional.classification as tm
except ImportError:
    torch = tm = None
try:
    from ultralytics.engine.validator import BaseValidator
    from ultralytics.utils import metrics as um
except ImportError:
    um = None

POS, BG, CONF = 0.5, 0.1, 0.3
KINDS = ["Cls", "Loc", "Both", "Dupe", "Bkg", "Miss"]
CURVE_AT = [0, 100, 250, 500, 750, 900, 999]  # indices into the 1000 points


class Lcg:
    """x <- (1103515245 x + 12345) mod 2^31; next(n) is (x >> 8) mod n."""

    def __init__(self, seed):
        self.x = seed

    def next(self, n):
        self.x = (1103515245 * self.x + 12345) % 2**31
        return (self.x >> 8) % n


# ---------------------------------------------------------------- problems

def edge_problem(seed, n_images, per_image, crowded_image=None):
    """gt rows [image, class, x, y, w, h, iscrowd], dt rows [image, class, x, y, w, h, score]."""
    r = Lcg(seed)
    gt, dt = [], []
    for image in range(1, n_images + 1):
        boxes = []
        for _ in range(r.next(per_image)):
            boxes.append([4 * r.next(20), 4 * r.next(15), 4 + 4 * r.next(5), 4 + 4 * r.next(5)])
            crowd = int(r.next(8) == 0)
            gt.append([image, 1 + r.next(3), *boxes[-1], crowd])
        n = 130 if image == crowded_image else r.next(3 * per_image)
        for _ in range(n):
            if boxes and r.next(5):  # near a ground truth, often at a tidy IoU
                x, y, w, h = boxes[r.next(len(boxes))]
                box = [x + 2 * r.next(3), y, max(2, w - 2 * r.next(3)), h * (1 + r.next(2))]
                near = [g for g in gt if g[0] == image and g[2:6] == [x, y, w, h]]
                cls = near[0][1] if r.next(3) else 1 + r.next(4)
            else:
                box = [4 * r.next(20), 4 * r.next(15), 4 + 4 * r.next(5), 4 + 4 * r.next(5)]
                cls = 1 + r.next(4)  # class 4 never has ground truth
            dt.append([image, cls, *box, (1 + r.next(10)) / 10])
    return list(range(1, n_images + 1)), [1, 2, 3, 4], gt, dt


def coco_problem(folder, name):
    with open(os.path.join(folder, f"coco_{name}_gt.json")) as f:
        g = json.load(f)
    with open(os.path.join(folder, f"coco_{name}_dt.json")) as f:
        d = json.load(f)
    gt = [[a["image_id"], a["category_id"], *a["bbox"], a["iscrowd"]] for a in g["annotations"]]
    dt = [[a["image_id"], a["category_id"], *a["bbox"], a["score"]] for a in d]
    return [i["id"] for i in g["images"]], [c["id"] for c in g["categories"]], gt, dt


# ---------------------------------------------------------------- TIDE

def tide(images, classes, gt, dt):
    g, d = tidecv.Data("gt"), tidecv.Data("dt")  # at most 100 detections an image
    for i in images:
        g.add_image(i, str(i))
    for c in classes:
        g.add_class(c, str(c))
    for image, cls, x, y, w, h, crowd in gt:
        (g.add_ignore_region if crowd else g.add_ground_truth)(image, cls, [x, y, w, h])
    for image, cls, x, y, w, h, score in dt:
        d.add_detection(image, cls, score, [x, y, w, h])
    t = tidecv.TIDE(pos_threshold=POS, background_threshold=BG, mode=tidecv.TIDE.BOX)
    run = t.evaluate(g, d, name="run")
    main = {k.short_name: v for k, v in run.fix_main_errors().items()}
    special = {k.short_name: v for k, v in run.fix_special_errors().items()}
    count = {k.short_name: v for k, v in run.count_errors().items()}
    fixed_ap = {
        k.short_name: run.fix_errors(lambda e, k=k: isinstance(e, k)).get_mAP()
        for k in run.error_dict
    }
    # What became of each detection, in the order of the input: TP, an error kind,
    # an error kind with * (inside a crowd, so in no AP), or - (beyond the 100 best).
    fate = ["-"] * len(dt)
    missed = []
    for error in run.errors:
        if hasattr(error, "pred"):
            fate[error.pred["_id"]] = error.short_name + "*" * (error.pred["used"] is None)
        else:
            missed.append(error.gt["_id"])
    hits = []  # (score, matched) of the detections that count, for calibration
    for obj in run.ap_data.objs.values():
        for i, (score, ok, _) in obj.data_points.items():
            hits.append((i, score, bool(ok)))
            if ok:
                fate[i] = "TP"
    out = {
        "pos_thresh": POS, "bg_thresh": BG, "max_dets": 100,
        "ap": run.ap,
        "class_ap": {c: o.get_ap() for c, o in sorted(run.ap_data.objs.items()) if not o.is_empty()},
        "class_gt": {c: o.num_gt_positives for c, o in sorted(run.ap_data.objs.items())},
        "count": {k: count[k] for k in KINDS},
        "dap_main": {k: main[k] for k in KINDS},
        "dap_special": special,
        "ap_when_fixed": {k: fixed_ap[k] for k in KINDS},
        "ap_when_nothing_is_fixed": run.fix_errors().get_mAP(),  # not ap: ties are in another order
        "fate_of_detection": " ".join(fate),
        "missed_gt_index": missed,
        "false_negative_per_class": {c: len(v) for c, v in sorted(run.false_negatives.items())},
    }
    return out, [(s, ok) for _, s, ok in sorted(hits)]


# ---------------------------------------------------------------- confusion

def confusion(images, classes, gt, dt, keep_crowd):
    index = {c: k for k, c in enumerate(classes)}

    def rows(all_rows, image, last):
        r = [[x, y, x + w, y + h, index[c]] + [e] * last
             for i, c, x, y, w, h, e in all_rows if i == image and (last or keep_crowd or not e)]
        return np.array(r, dtype=np.float64).reshape(len(r), 5 + last)

    m = sv.ConfusionMatrix.from_tensors(
        predictions=[rows(dt, i, 1) for i in images],
        targets=[rows(gt, i, 0) for i in images],
        classes=[str(c) for c in classes], conf_threshold=CONF, iou_threshold=POS)
    return m.matrix.tolist()


# ---------------------------------------------------------------- curves over confidence

def curves(images, classes, gt, dt):
    """Crowds are left out; the hits are at IoU 0.5; classes are the ones with ground truth.

    The package's sort leaves the order of equal scores to the machine, so each
    score is first lowered by 1e-9 times its position (from 0) in a stable sort of
    all detections by falling score.
    """
    if um is None:
        return None
    tp = np.zeros((len(dt), 1), dtype=bool)
    score = [d[6] for d in dt]
    for position, k in enumerate(sorted(range(len(dt)), key=lambda k: -dt[k][6])):
        score[k] -= 1e-9 * position
    validator = types.SimpleNamespace(iouv=torch.tensor([POS]))
    gt = [g for g in gt if not g[6]]

    def boxes(rows):
        return torch.tensor([[x, y, x + w, y + h] for _, _, x, y, w, h, _ in rows]).reshape(-1, 4)

    for image in images:
        order = [k for k, d in enumerate(dt) if d[0] == image]
        order.sort(key=lambda k: -score[k])
        g = [x for x in gt if x[0] == image]
        d = [dt[k] for k in order]
        if g and d:
            hit = BaseValidator.match_predictions(
                validator, torch.tensor([x[1] for x in d]), torch.tensor([x[1] for x in g]),
                um.box_iou(boxes(g), boxes(d)))
            tp[order] = np.asarray(hit)
    r = um.ap_per_class(tp, np.array(score), np.array([d[1] for d in dt]),
                        np.array([g[1] for g in gt]))
    n_tp, n_fp, p, rec, f1, ap, cls, pc, rc, fc, x = r[:11]
    at = CURVE_AT
    return {
        "score_lowered_by": "1e-9 * position",
        "hit": "".join("01"[int(t)] for t in tp[:, 0]),
        "classes": cls.tolist(), "index": at, "confidence": np.asarray(x)[at].tolist(),
        "precision": pc[:, at].tolist(), "recall": rc[:, at].tolist(), "f1": fc[:, at].tolist(),
        "best": {"precision": p.tolist(), "recall": rec.tolist(), "f1": f1.tolist(),
                 "tp": n_tp.tolist(), "fp": n_fp.tolist(),
                 "index": [int(i) for i in range(1000)
                           if np.array_equal(pc[:, i], p) and np.array_equal(rc[:, i], rec)]},
        "ap50": ap[:, 0].tolist(),
    }


# ---------------------------------------------------------------- calibration

def ece(confidence, hit, dtype, norm="l1"):
    return float(tm.binary_calibration_error(
        torch.tensor(confidence, dtype=dtype), torch.tensor(hit, dtype=torch.int64),
        n_bins=15, norm=norm))


def calibration_case(name, confidence, hit):
    return {"name": name, "bins": 15, "confidence": confidence, "hit": hit,
            "float64": {n: ece(confidence, hit, torch.float64, n) for n in ("l1", "l2", "max")},
            "float32": {n: ece(confidence, hit, torch.float32, n) for n in ("l1", "l2", "max")}}


def calibration():
    if tm is None:
        return None
    r = Lcg(7)
    conf, hit = [], []
    while len(conf) < 200:
        c = r.next(10001) / 10000
        if abs(c * 15 - round(c * 15)) > 0.01:  # keep away from the bins' edges
            conf.append(c)
            hit.append(int(r.next(10000) / 10000 < c * c))
    edges = [k / 15 for k in range(16)] + [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 0.0]
    edge_hit = [int(r.next(2)) for _ in edges]
    probs, target = [], []
    for _ in range(60):
        p = [1 + r.next(50) for _ in range(4)]
        s = sum(p)
        probs.append([v / s for v in p])
        target.append(r.next(4) if r.next(2) else p.index(max(p)))
    return {
        "edges_float64": torch.linspace(0, 1, 16, dtype=torch.float64).tolist(),
        "edges_float32": torch.linspace(0, 1, 16, dtype=torch.float32).tolist(),
        "cases": [calibration_case("200 spread", conf, hit),
                  calibration_case("on the edges", edges, edge_hit),
                  calibration_case("one value", [0.37], [1])],
        "multiclass": {
            "bins": 15, "probabilities": probs, "target": target,
            **{n: float(tm.multiclass_calibration_error(
                torch.tensor(probs, dtype=torch.float64), torch.tensor(target),
                num_classes=4, n_bins=15, norm=n)) for n in ("l1", "l2", "max")}},
    }


# ---------------------------------------------------------------- boundary IoU

def boundary(mask, ratio=0.02):
    """The mask's pixels within d (chessboard distance) of a pixel outside it."""
    h, w = mask.shape
    d = max(1, int(round(ratio * math.hypot(h, w))))  # round: half to even
    padded = np.pad(mask, 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=d)[1:-1, 1:-1]
    return mask & (1 - inner), d


def counts(mask):
    """COCO run lengths: down the columns, starting with the zeros."""
    out, value, n = [], 0, 0
    for v in mask.T.flatten().tolist():
        if v != value:
            out.append(n)
            value, n = v, 0
        n += 1
    return out + [n]


def rect(h, w, x0, y0, x1, y1):
    m = np.zeros((h, w), np.uint8)
    m[y0:y1, x0:x1] = 1
    return m


def disc(h, w, cx, cy, radius):
    y, x = np.mgrid[:h, :w]
    return ((x - cx) ** 2 + (y - cy) ** 2 <= radius**2).astype(np.uint8)


def iou(a, b):
    enc = [rle.encode(np.asfortranarray(m)) for m in (a, b)]
    return float(rle.iou(enc[:1], enc[1:], [0])[0, 0])


def boundary_iou():
    cases = []
    for h, w, shapes in [
        (48, 64, [("rectangle", rect(48, 64, 10, 8, 40, 36)), ("shifted rectangle", rect(48, 64, 11, 9, 41, 37)),
                  ("disc", disc(48, 64, 25, 22, 15)), ("at the border", rect(48, 64, 0, 0, 30, 48)),
                  ("ring", disc(48, 64, 30, 24, 18) & (1 - disc(48, 64, 30, 24, 12))),
                  ("thin", rect(48, 64, 12, 20, 40, 23)), ("empty", rect(48, 64, 0, 0, 0, 0))]),
        (15, 20, [("small a", rect(15, 20, 3, 3, 12, 11)), ("small b", disc(15, 20, 8, 7, 5))]),
        (75, 100, [("wide a", rect(75, 100, 20, 10, 70, 60)), ("wide b", disc(75, 100, 46, 36, 26))]),
    ]:
        marked = [(name, m, *boundary(m)) for name, m in shapes]
        cases.append({
            "height": h, "width": w, "dilation_ratio": 0.02, "distance": marked[0][3],
            "masks": [{"name": n, "counts": counts(m), "area": int(m.sum()),
                       "boundary_counts": counts(b), "boundary_area": int(b.sum())}
                      for n, m, b, _ in marked],
            "mask_iou": [[iou(m, m2) for _, m2, _, _ in marked] for _, m, _, _ in marked],
            "boundary_iou": [[iou(b, b2) for _, _, b2, _ in marked] for _, _, b, _ in marked],
        })
    return cases


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    a.add_argument("vectors_folder")
    a.add_argument("out_file")
    a = a.parse_args()
    problems = []
    for name, p, made in [
        ("p10", coco_problem(a.vectors_folder, "p10"), False),
        ("p50", coco_problem(a.vectors_folder, "p50"), False),
        ("edge1", edge_problem(11, 12, 6), True),
        ("edge2", edge_problem(2024, 30, 5), True),
        ("edge3", edge_problem(5, 3, 8, crowded_image=2), True),
    ]:
        t, hits = tide(*p)
        entry = {"name": name, "tide": t}
        if made:
            entry["input"] = {"images": p[0], "classes": p[1], "gt": p[2], "dt": p[3]}
        entry["confusion"] = {
            "conf_threshold": CONF, "iou_threshold": POS,
            "rows": [f"gt {c}" for c in p[1]] + ["no gt (false positives)"],
            "columns": [f"detected {c}" for c in p[1]] + ["not detected (false negatives)"],
            "crowds_left_out": confusion(*p, keep_crowd=False),
            "crowds_as_gt": confusion(*p, keep_crowd=True)}
        entry["curves"] = curves(*p)
        entry["ece15_of_tide_matches"] = tm and ece(*zip(*hits), torch.float64)
        problems.append(entry)
    out = {
        "packages": {p: meta.version(p) for p in (
            "tidecv", "supervision", "pycocotools", "opencv-python", "numpy")}
        | {p: meta.version(p) for p in ("torch", "torchmetrics", "ultralytics")
           if (um if p == "ultralytics" else tm) is not None},
        "problems": problems, "calibration": calibration(), "boundary_iou": boundary_iou()}
    text = json.dumps(out, separators=(",", ":"))
    text = text.replace('],"', '],\n"').replace('},{"', '},\n{"').replace('},"', '},\n"')
    json.loads(text)
    with open(a.out_file, "w") as f:
        f.write(text + "\n")


if __name__ == "__main__":
    main()
