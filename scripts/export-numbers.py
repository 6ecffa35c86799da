#!/usr/bin/env python3
"""Writes tests/golden/exports.json: what ONNX Runtime says of models as people export them.

usage: scripts/export-numbers.py FIELD

FIELD is the folder of OCELLI_FIELD. Each model of FIELD/cases/models is run on FIELD/images/pets.jpg, squeezed to its
input by Pillow (BILINEAR); levels are divided by 255 for inputs of floats. Of each output its shape and 60 values in
even steps are kept. It needs onnxruntime, numpy and Pillow.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image

KEPT = 60
CONSTANTS = {"orig_target_sizes": [[64, 64]], "im_shape": [[64, 64]], "scale_factor": [[1, 1]]}
SIDE = 64  # where a graph leaves it open


def feed(given, picture):
    sides = [side if isinstance(side, int) else None for side in given.shape]
    kind = np.int64 if "int64" in given.type else np.float32
    if given.name in CONSTANTS:
        return np.array(CONSTANTS[given.name], kind)
    flat = len(sides) == 3
    last = sides[-1] == 3
    height, width = (sides[-3], sides[-2]) if last else (sides[-2], sides[-1])
    small = picture.resize((width or SIDE, height or SIDE), Image.BILINEAR)
    levels = np.asarray(small)
    if "float" in given.type:
        levels = (levels / 255).astype(np.float16 if "float16" in given.type else np.float32)
    if not last:
        levels = levels.transpose(2, 0, 1)
    return np.ascontiguousarray(levels if flat else levels[None])


def main():
    field = Path(sys.argv[1])
    picture = Image.open(field / "images/pets.jpg").convert("RGB")
    found = {}
    for path in sorted((field / "cases/models").glob("*/*.onnx")):
        try:
            options = ort.SessionOptions()
            options.log_severity_level = 4
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            outputs = session.run(None, {given.name: feed(given, picture) for given in session.get_inputs()})
        except Exception as error:
            print(f"{path.name}: {str(error)[:120]}", file=sys.stderr)
            continue
        kept = []
        for output in outputs:
            values = np.asarray(output, np.float64).ravel()
            at = np.linspace(0, values.size - 1, min(KEPT, values.size)).astype(int) if values.size else []
            kept.append({"shape": list(output.shape), "at": [int(i) for i in at], "values": [round(float(values[i]), 6) for i in at]})
        found[f"{path.parent.name}/{path.name}"] = kept
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(kept)}" for name, kept in found.items())
    Path(__file__).parent.parent.joinpath("tests/golden/exports.json").write_text("{\n" + text + "\n}\n")


main()
