#!/usr/bin/env python3
"""Writes tests/golden/operators.json: graphs of one operator each, and what ONNX's own reference evaluator says of them.

usage: scripts/operator-sweep.py

Each graph takes a picture x of [1, 3, 6, 8]; its levels are (37 column + 59 row + 83 channel) mod 256, divided by 255.
It needs onnx (with its reference evaluator), onnxruntime and numpy. ONNX Runtime answers where the evaluator cannot; where
the two disagree, both answers are kept. Cases that neither can run are left out and named.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

H, W = 6, 8
LEVELS = np.fromfunction(lambda n, c, y, x: (37 * x + 59 * y + 83 * c) % 256, (1, 3, H, W))
X = (LEVELS / 255).astype(np.float32)
rng = np.random.default_rng(7)
found, left_out = {}, []


def weight(*shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


def i64(*values):
    return np.array(values, np.int64)


def fail(why):
    raise RuntimeError(why)


def case(name, nodes, weights=None, opset=17, out=TensorProto.FLOAT):
    """`nodes` are (operator, inputs, attributes); the last one makes y. `c` is x - 0.5."""
    weights = dict(weights or {})
    weights["half"] = np.array(0.5, np.float32)
    made = [helper.make_node("Sub", ["x", "half"], ["c"])]
    for at, (op, inputs, attributes) in enumerate(nodes):
        output = "y" if at == len(nodes) - 1 else f"t{at}"
        outputs = attributes.pop("outputs", [output]) if isinstance(attributes, dict) else [output]
        made.append(helper.make_node(op, inputs, outputs, **attributes))
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, H, W])],
        [helper.make_tensor_value_info("y", out, None)],
        [value if isinstance(value, TensorProto) else numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    small = any(isinstance(value, TensorProto) for value in weights.values())
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10 if small else 8)
    title = f"{name} ({opset})"
    answers = []
    try:
        answers.append(np.asarray(ReferenceEvaluator(model).run(None, {"x": X})[0]))
    except Exception as error:
        why = str(error).splitlines()[0][:90]
    try:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {"x": X})[0])
    except Exception as error:
        why = str(error).splitlines()[0][:90]
    try:
        y = answers[0] if answers else fail(why)
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", out, y.shape))
        checker.check_model(model)
    except Exception as error:
        left_out.append(f"{title}: {str(error).splitlines()[0][:90]}")
        return
    values = [float(f"{v:.6g}") for v in y.astype(np.float64).ravel()]
    if not all(np.isfinite(values)) or len(values) > 1200:
        left_out.append(f"{title}: {len(values)} values, not all finite" if len(values) <= 1200 else f"{title}: too large")
        return
    assert title not in found, title
    found[title] = {}
    if len(answers) == 2 and (answers[1].shape != y.shape or not np.allclose(answers[1], y, 1e-3, 1e-4)):
        # The two disagree: either will do.
        found[title] = {"other": {"shape": list(answers[1].shape), "values": [float(f"{v:.6g}") for v in answers[1].astype(np.float64).ravel()]}}
    found[title] |= {"model": model.SerializeToString().hex(), "shape": list(y.shape), "values": values}


def unary(op, opset=17, **attributes):
    words = "".join(f" {key}={value}" for key, value in attributes.items())
    case(op + words, [(op, ["c"], attributes)], opset=opset)


for op in "Relu Sigmoid Tanh Exp Abs Neg Floor Ceil Round Sign Erf Softplus Softsign HardSwish Elu Selu Celu LeakyRelu HardSigmoid ThresholdedRelu Sin Cos Atan Identity".split():
    unary(op)
for op, alpha in (("Elu", 0.7), ("Celu", 0.7), ("Celu", 2.0), ("LeakyRelu", 0.2), ("ThresholdedRelu", 0.1)):
    unary(op, alpha=alpha)
unary("HardSigmoid", alpha=0.3, beta=0.4)
unary("Selu", alpha=1.2, gamma=0.9)
unary("Gelu", 20)
unary("Gelu", 20, approximate="tanh")
unary("Mish", 18)
unary("Softmax", axis=1)
unary("Softmax", axis=-1)
unary("Softmax", 11, axis=1)
unary("Softmax", 11, axis=2)
unary("LogSoftmax", axis=1)
unary("LogSoftmax", 11, axis=1)
unary("Hardmax", axis=1)
unary("LpNormalization", axis=1, p=2)
unary("LpNormalization", axis=1, p=1)
unary("MeanVarianceNormalization", 13)
unary("LRN", size=3, alpha=0.1, beta=0.75, bias=1.0)
unary("GlobalAveragePool")
unary("GlobalMaxPool")
unary("GlobalLpPool", p=2)
unary("GlobalLpPool", p=1)
unary("GlobalLpPool", p=3)
unary("Flatten", axis=2)
unary("Flatten", axis=-1)
unary("Transpose", perm=[0, 2, 3, 1])
unary("Transpose")
for op in ("Log", "Sqrt", "Reciprocal"):
    case(op, [("Add", ["x", "half"], {}), (op, ["t0"], {})])
other = {"w": weight(1, 3, 1, 1), "v": weight(W)}
for op in ("Add", "Sub", "Mul", "Min", "Max"):
    for key in ("w", "v"):
        case(f"{op} {key}", [(op, ["c", key], {})], other)
case("Div", [("Div", ["c", "w"], {})], {"w": np.array([0.5, -2, 3], np.float32).reshape(1, 3, 1, 1)})
case("Pow 2", [("Pow", ["c", "w"], {})], {"w": np.array(2, np.float32)})
case("Pow 0.5", [("Pow", ["x", "w"], {})], {"w": np.array(0.5, np.float32)})
case("Pow integer", [("Pow", ["c", "w"], {})], {"w": np.array(3, np.int64)})
case("PRelu", [("PRelu", ["c", "w"], {})], {"w": weight(3, 1, 1)})
case("Clip", [("Clip", ["c", "lo", "hi"], {})], {"lo": np.array(-0.2, np.float32), "hi": np.array(0.3, np.float32)})
case("Clip low only", [("Clip", ["c", "lo"], {})], {"lo": np.array(-0.2, np.float32)})
case("Clip", [("Clip", ["c"], {"min": -0.2, "max": 0.3})], opset=7)
integers = [("Mul", ["c", "ten"], {}), ("Cast", ["t0"], {"to": TensorProto.INT64})]
for by in (3, -3):
    case(f"Mod {by}", [*integers, ("Mod", ["t1", "by"], {}), ("Cast", ["t2"], {"to": 1})], {"ten": np.float32(10).reshape(()), "by": i64(by)})
case("Mod fmod", [("Mod", ["c", "by"], {"fmod": 1})], {"by": np.array([0.3], np.float32)})
case("Div integers", [*integers, ("Div", ["t1", "by"], {}), ("Cast", ["t2"], {"to": 1})], {"ten": np.float32(10).reshape(()), "by": i64(3)})
for op in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceProd", "ReduceLogSumExp", "ReduceSumSquare", "ReduceLogSum"):
    source = "x" if op in ("ReduceProd", "ReduceLogSum") else "c"
    for keep in (0, 1):
        case(f"{op} keep={keep}", [(op, [source], {"axes": [2, 3], "keepdims": keep})], opset=11)
    case(f"{op} -1", [(op, [source], {"axes": [-1]})], opset=11)
    case(op, [(op, [source, "axes"], {"keepdims": 0})], {"axes": i64(1)}, opset=18)
    case(f"{op} all", [(op, [source], {})], opset=18)
case("ReduceSum", [("ReduceSum", ["c", "axes"], {})], {"axes": i64(1, -1)}, opset=13)
shapes = {"to": i64(1, -1, 0, 4)}
case("Reshape", [("Reshape", ["c", "to"], {})], {"to": i64(0, -1, 4)})
case("Squeeze", [("ReduceMean", ["c"], {"axes": [2]}), ("Squeeze", ["t0", "axes"], {})], {"axes": i64(2)}, opset=13)
case("Squeeze", [("ReduceMean", ["c"], {"axes": [2]}), ("Squeeze", ["t0"], {"axes": [2]})], opset=11)
case("Unsqueeze", [("Unsqueeze", ["c", "axes"], {})], {"axes": i64(-1, 0)}, opset=13)
case("Concat", [("Concat", ["c", "x", "c"], {"axis": 1})])
case("Concat -1", [("Concat", ["c", "x"], {"axis": -1})])
case("Split", [("Split", ["c", "parts"], {"axis": 3, "outputs": ["a", "b"]}), ("Relu", ["b"], {})], {"parts": i64(3, 5)}, opset=13)
case("Split", [("Split", ["c"], {"axis": 3, "split": [3, 5], "outputs": ["a", "b"]}), ("Relu", ["b"], {})], opset=11)
case("Split uneven", [("Split", ["c"], {"axis": 3, "num_outputs": 3, "outputs": ["a", "b", "d"]}), ("Relu", ["d"], {})], opset=18)
for name, start, end, axis, step in (("plain", 1, 5, 3, 1), ("behind", 2, 99, 3, 1), ("negative", -3, 2**62, 3, 1), ("steps", 0, 8, 3, 3), ("back", -1, -99, 3, -1), ("back by 2", 5, 0, 2, -2)):
    case(f"Slice {name}", [("Slice", ["c", "s", "e", "a", "p"], {})], {"s": i64(start), "e": i64(end), "a": i64(axis), "p": i64(step)})
case("Slice", [("Slice", ["c"], {"starts": [1], "ends": [4], "axes": [2]})], opset=9)
case("Gather", [("Gather", ["c", "i"], {"axis": 3})], {"i": i64(0, -1, 3)})
case("Gather one", [("Gather", ["c", "i"], {"axis": 1})], {"i": np.array(-1, np.int64)})
case("GatherElements", [("GatherElements", ["c", "i"], {"axis": 3})], {"i": rng.integers(-8, 8, (1, 3, H, 2))})
case("GatherND", [("GatherND", ["c", "i"], {})], {"i": np.array([[0, 1], [0, 2]], np.int64)})
case("ScatterND", [("ScatterND", ["c", "i", "u"], {})], {"i": np.array([[0, 1], [0, 2]], np.int64), "u": weight(2, H, W)})
case("ScatterElements", [("ScatterElements", ["c", "i", "u"], {"axis": 3})], {"i": np.tile(np.array([0, 5], np.int64), (1, 3, H, 1)), "u": weight(1, 3, H, 2)})
case("ScatterElements add", [("ScatterElements", ["c", "i", "u"], {"axis": 3, "reduction": "add"})], {"i": np.tile(np.array([2, 2], np.int64), (1, 3, H, 1)), "u": weight(1, 3, H, 2)}, opset=18)
case("Expand", [("ReduceMean", ["c"], {"axes": [2, 3]}), ("Expand", ["t0", "to"], {})], {"to": i64(1, 3, 2, 4)})
case("Tile", [("Tile", ["c", "by"], {})], {"by": i64(1, 1, 2, 3)})
for mode in ("constant", "reflect", "edge"):
    case(f"Pad {mode}", [("Pad", ["c", "p"], {"mode": mode})], {"p": i64(0, 0, 1, 2, 0, 0, 2, 1)})
case("Pad value", [("Pad", ["c", "p", "half"], {})], {"p": i64(0, 1, 0, 2, 0, 0, 1, 0)})
case("Pad negative", [("Pad", ["c", "p"], {})], {"p": i64(0, 0, -1, 2, 0, 0, 1, -3)})
case("Pad axes", [("Pad", ["c", "p", "", "a"], {})], {"p": i64(1, 2), "a": i64(3)}, opset=18)
case("Pad wrap", [("Pad", ["c", "p"], {"mode": "wrap"})], {"p": i64(0, 0, 1, 2, 0, 0, 2, 1)}, opset=19)
case("Pad", [("Pad", ["c"], {"pads": [0, 0, 1, 2, 0, 0, 2, 1], "value": 0.3})], opset=10)
four = [("Concat", ["c", "x", "c", "x"], {"axis": 1})]
for mode in ("DCR", "CRD"):
    case(f"DepthToSpace {mode}", [*four, ("DepthToSpace", ["t0"], {"blocksize": 2, "mode": mode})])
case("SpaceToDepth", [("SpaceToDepth", ["c"], {"blocksize": 2})])
for mode in ("nearest", "linear", "cubic"):
    for how in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
        near = ("floor", "round_prefer_floor") if mode == "nearest" else (None,)
        for rounding in near:
            words = {"mode": mode, "coordinate_transformation_mode": how} | ({"nearest_mode": rounding} if rounding else {})
            name = f"Resize {mode} {how} {rounding or ''}".strip()
            case(f"{name} to 12x4", [("Resize", ["c", "", "", "to"], words)], {"to": i64(1, 3, 12, 4)}, opset=13)
            case(f"{name} to 9x11", [("Resize", ["c", "", "", "to"], words)], {"to": i64(1, 3, 9, 11)}, opset=13)
            case(f"{name} by 2", [("Resize", ["c", "", "by"], words)], {"by": np.array([1, 1, 2, 2], np.float32)}, opset=13)
case("Resize ceil", [("Resize", ["c", "", "", "to"], {"nearest_mode": "ceil"})], {"to": i64(1, 3, 9, 11)}, opset=13)
case("Resize", [("Resize", ["c", "by"], {"mode": "nearest"})], {"by": np.array([1, 1, 2, 3], np.float32)}, opset=10)
for mode in ("nearest", "linear"):
    case(f"Upsample {mode}", [("Upsample", ["c", "by"], {"mode": mode})], {"by": np.array([1, 1, 2, 3], np.float32)}, opset=9)
case("TopK", [("TopK", ["c", "k"], {"axis": 3, "outputs": ["y", "i"]})], {"k": i64(3)})
case("TopK smallest", [("TopK", ["c", "k"], {"axis": 2, "largest": 0, "outputs": ["y", "i"]})], {"k": i64(2)})
case("TopK indices", [("TopK", ["c", "k"], {"axis": 3, "outputs": ["v", "i"]}), ("Cast", ["i"], {"to": 1})], {"k": i64(3)})
for op in ("ArgMax", "ArgMin"):
    for last in (0, 1):
        case(f"{op} last={last}", [("Floor", ["c"], {}), (op, ["t0"], {"axis": 3, "keepdims": 0, "select_last_index": last}), ("Cast", ["t1"], {"to": 1})])
case("CumSum", [("CumSum", ["c", "a"], {})], {"a": np.array(3, np.int64)})
case("CumSum reverse", [("CumSum", ["c", "a"], {"reverse": 1, "exclusive": 1})], {"a": np.array(3, np.int64)})
case("Where", [("Greater", ["c", "w"], {}), ("Where", ["t0", "c", "x"], {})], other)
for op in ("Less", "GreaterOrEqual", "Equal"):
    case(op, [(op, ["c", "zero"], {}), ("Cast", ["t0"], {"to": 1})], {"zero": np.array(0, np.float32)})
case("Not And", [("Less", ["c", "half"], {}), ("Greater", ["x", "half"], {}), ("And", ["t0", "t1"], {}), ("Not", ["t2"], {}), ("Cast", ["t3"], {"to": 1})])
case("Trilu", [("Trilu", ["c"], {"upper": 0})])
case("OneHot", [*integers, ("Slice", ["t1", "s", "e", "a"], {}), ("OneHot", ["t2", "d", "v"], {"axis": 1})], {"ten": np.float32(3).reshape(()), "s": i64(0), "e": i64(1), "a": i64(1), "d": i64(4), "v": np.array([0, 1], np.float32)})
case("ConstantOfShape", [("ConstantOfShape", ["s"], {}), ("Add", ["c", "t0"], {})], {"s": i64(1, 3, H, W)})
case("Shape", [("Shape", ["c"], {}), ("Cast", ["t0"], {"to": 1})])
case("NonZero", [("Relu", ["c"], {}), ("NonZero", ["t0"], {}), ("Cast", ["t1"], {"to": 1})])
w = {"w": weight(4, 3, 3, 3), "b": weight(4)}
case("Conv", [("Conv", ["c", "w", "b"], {})], w)
case("Conv pads", [("Conv", ["c", "w", "b"], {"pads": [1, 0, 2, 1], "strides": [2, 1]})], w)
case("Conv dilated", [("Conv", ["c", "w"], {"dilations": [2, 2], "pads": [2, 2, 2, 2]})], w)
for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
    case(f"Conv {auto}", [("Conv", ["c", "w"], {"auto_pad": auto, "strides": [2, 2]})], w)
case("Conv groups", [("Conv", ["c", "w"], {"group": 3, "pads": [1, 1, 1, 1]})], {"w": weight(6, 1, 3, 3)})
t = {"w": weight(3, 2, 3, 3), "b": weight(2)}
case("ConvTranspose", [("ConvTranspose", ["c", "w", "b"], {})], t)
case("ConvTranspose strides", [("ConvTranspose", ["c", "w"], {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]})], t)
case("ConvTranspose dilated", [("ConvTranspose", ["c", "w"], {"dilations": [2, 2]})], t)
case("ConvTranspose groups", [("ConvTranspose", ["c", "w"], {"group": 3, "strides": [2, 2]})], {"w": weight(3, 1, 2, 2)})
for auto in ("SAME_UPPER", "SAME_LOWER"):
    case(f"ConvTranspose {auto}", [("ConvTranspose", ["c", "w"], {"auto_pad": auto, "strides": [2, 2]})], t)
    case(f"ConvTranspose {auto} shape", [("ConvTranspose", ["c", "w"], {"auto_pad": auto, "output_shape": [12, 16], "strides": [2, 2]})], t)
case("ConvTranspose shape", [("ConvTranspose", ["c", "w"], {"output_shape": [12, 16], "strides": [2, 2]})], t)
for op in ("MaxPool", "AveragePool"):
    case(op, [(op, ["c"], {"kernel_shape": [2, 2], "strides": [2, 2]})])
    case(f"{op} pads", [(op, ["c"], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})])
    case(f"{op} ceil", [(op, ["c"], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1})])
    for auto in ("SAME_UPPER", "SAME_LOWER"):
        case(f"{op} {auto}", [(op, ["c"], {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": auto})])
case("MaxPool dilated", [("MaxPool", ["c"], {"kernel_shape": [2, 2], "dilations": [2, 2]})])
case("AveragePool include", [("AveragePool", ["c"], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1})])
case("AveragePool ceil include", [("AveragePool", ["c"], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1, "ceil_mode": 1})], opset=19)
case("LpPool", [("LpPool", ["c"], {"kernel_shape": [2, 2], "strides": [2, 2], "p": 2})])
norm = {"s": weight(3), "b": weight(3), "m": weight(3), "v": np.abs(weight(3)) + 0.5}
case("BatchNormalization", [("BatchNormalization", ["c", "s", "b", "m", "v"], {"epsilon": 0.01})], norm)
case("InstanceNormalization", [("InstanceNormalization", ["c", "s", "b"], {})], norm)
case("LayerNormalization", [("LayerNormalization", ["c", "s", "b"], {"axis": -1})], {"s": weight(W), "b": weight(W)})
case("LayerNormalization 2", [("LayerNormalization", ["c", "s"], {"axis": 2})], {"s": weight(H, W)})
case("GroupNormalization", [*four, ("GroupNormalization", ["t0", "s", "b"], {"num_groups": 3})], {"s": weight(12), "b": weight(12)}, opset=21)
case("MatMul", [("MatMul", ["c", "w"], {})], {"w": weight(W, 5)})
case("MatMul batch", [("Transpose", ["x"], {"perm": [0, 1, 3, 2]}), ("MatMul", ["c", "t0"], {})])
flat = [("Flatten", ["c"], {"axis": 3})]
case("Gemm", [*flat, ("Gemm", ["t0", "w", "b"], {"alpha": 0.5, "beta": 2.0, "transB": 1})], {"w": weight(5, W), "b": weight(5)})
case("Gemm transA", [*flat, ("Gemm", ["t0", "w"], {"transA": 1})], {"w": weight(18, 4)})
case("Einsum", [("Einsum", ["c", "w"], {"equation": "nchw,wk->nhkc"})], {"w": weight(W, 4)})
grid = {"g": rng.uniform(-1.2, 1.2, (1, 4, 5, 2)).astype(np.float32)}
for mode in ("bilinear", "nearest", "bicubic"):
    for pad in ("zeros", "border", "reflection"):
        for corners in (0, 1):
            case(f"GridSample {mode} {pad} {corners}", [("GridSample", ["c", "g"], {"mode": mode, "padding_mode": pad, "align_corners": corners})], grid, opset=16)
case("GridSample linear", [("GridSample", ["c", "g"], {"mode": "linear"})], grid, opset=20)
rois = {"r": np.array([[0, 0, 4, 4], [1, 1, 7, 5]], np.float32), "i": i64(0, 0)}
for mode in ("avg", "max"):
    case(f"RoiAlign {mode}", [("RoiAlign", ["c", "r", "i"], {"output_height": 2, "output_width": 2, "sampling_ratio": 2, "mode": mode})], rois, opset=16)
scale = {"s": np.array(0.02, np.float32), "z": np.array(128, np.uint8)}
case("QuantizeLinear", [("QuantizeLinear", ["c", "s", "z"], {}), ("DequantizeLinear", ["t0", "s", "z"], {})], scale)
case("DynamicQuantizeLinear", [("DynamicQuantizeLinear", ["c"], {"outputs": ["q", "qs", "qz"]}), ("DequantizeLinear", ["q", "qs", "qz"], {})])
case("MatMulInteger", [("QuantizeLinear", ["c", "s", "z"], {}), ("MatMulInteger", ["t0", "w", "z"], {}), ("Cast", ["t1"], {"to": 1})], scale | {"w": rng.integers(-128, 127, (W, 4)).astype(np.int8)})
case("ConvInteger", [("QuantizeLinear", ["c", "s", "z"], {}), ("ConvInteger", ["t0", "w", "z"], {}), ("Cast", ["t1"], {"to": 1})], scale | {"w": rng.integers(-128, 127, (2, 3, 3, 3)).astype(np.int8)})
# As ONNX Runtime's quantize_dynamic writes it.
dynamic = lambda: [("DynamicQuantizeLinear", ["c"], {"outputs": ["q", "qs", "qz"]}), ("Mul", ["qs", "ws"], {})]
case("DynamicQuantizeLinear conv", [*dynamic(), ("ConvInteger", ["q", "w", "qz"], {"pads": [1, 1, 1, 1]}), ("Cast", ["t2"], {"to": 1}), ("Mul", ["t3", "t1"], {})],
     {"ws": np.array(0.002, np.float32), "w": rng.integers(-128, 127, (2, 3, 3, 3)).astype(np.int8)})
case("DynamicQuantizeLinear product", [*dynamic(), ("MatMulInteger", ["q", "w", "qz", "wz"], {}), ("Cast", ["t2"], {"to": 1}), ("Mul", ["t3", "t1"], {})],
     {"ws": np.array(0.002, np.float32), "w": rng.integers(0, 255, (W, 4)).astype(np.uint8), "wz": np.array([120, 130, 128, 128], np.uint8)})
for kind, low in ((TensorProto.INT4, -8), (TensorProto.UINT4, 0)):
    name = TensorProto.DataType.Name(kind)
    four_bits = lambda key, shape: helper.make_tensor(key, kind, shape, rng.integers(low, low + 16, int(np.prod(shape))).tolist())
    case(f"{name} per tensor", [("DequantizeLinear", ["w", "s"], {}), ("MatMul", ["c", "t0"], {})], {"w": four_bits("w", [W, 5]), "s": np.array(0.1, np.float32)}, opset=21)
    case(f"{name} per channel", [("DequantizeLinear", ["w", "s", "z"], {"axis": 1}), ("MatMul", ["c", "t0"], {})], {"w": four_bits("w", [W, 5]), "s": np.abs(weight(5)), "z": four_bits("z", [5])}, opset=21)
    case(f"{name} blocks", [("DequantizeLinear", ["w", "s", "z"], {"axis": 0, "block_size": 4}), ("MatMul", ["c", "t0"], {})], {"w": four_bits("w", [W, 5]), "s": np.abs(weight(2, 5)), "z": four_bits("z", [2, 5])}, opset=21)
for mode in ("nearest", "linear", "cubic"):
    for how in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
        words = {"mode": mode, "coordinate_transformation_mode": how} | ({"nearest_mode": "floor"} if mode == "nearest" else {})
        for across, down in ((1.3, 1.7), (0.6, 0.8)):
            by = np.array([1, 1, down, across], np.float32)
            case(f"Resize {mode} {how} by {across} {down}", [("Resize", ["c", "", "by"], dict(words))], {"by": by}, opset=13)

text = ",\n".join(f"{json.dumps(name)}: {json.dumps(kept)}" for name, kept in found.items())
Path(__file__).parent.parent.joinpath("tests/golden/operators.json").write_text("{\n" + text + "\n}\n")
print(f"{len(found)} cases; left out:", *left_out, sep="\n  ", file=sys.stderr)
