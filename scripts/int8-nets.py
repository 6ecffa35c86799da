#!/usr/bin/env python3
"""Writes tests/golden/int8_nets.json: small random nets that ONNX Runtime's quantizer made, and its answers on integers.

usage: scripts/int8-nets.py
       scripts/int8-nets.py COUNT SEED FILE   others, for OCELLI_INT8_NETS=FILE cargo test --release --test blocks integers

It needs onnx, onnxruntime and numpy, and a processor with AVX-VNNI or AVX-512 VNNI: without it, ONNX Runtime's sums of bytes
saturate and are no oracle. Each net takes x of [1, 3, H, W]; x = ((n * n * 31) mod 253 - 127) / 127 for the n-th byte of the
picture, which lies as [H, W, 3].
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

COUNT, SEED, FILE = (int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]) if sys.argv[1:] else (52, 5, "tests/golden/int8_nets.json")
rng = np.random.default_rng(SEED)


def picture(h, w):
    n = np.arange(h * w * 3, dtype=np.int64)
    x = (((n * n * 31) % 253 - 127) / 127).astype(np.float32)
    return np.ascontiguousarray(x.reshape(1, h, w, 3).transpose(0, 3, 1, 2))


class Net:
    def __init__(self):
        self.h, self.w = int(rng.integers(7, 20)), int(rng.integers(7, 20))
        self.nodes, self.weights = [], []
        self.last, self.shape, self.older = "x", (3, self.h, self.w), []

    def weight(self, *shape, spread=1.0):
        name = f"w{len(self.weights)}"
        values = rng.uniform(-spread, spread, shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def node(self, op, inputs, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv(self):
        c, h, w = self.shape
        depthwise = c >= 8 and rng.random() < 0.4
        k, stride = int(rng.choice([1, 3, 3, 5])), int(rng.choice([1, 1, 2]))
        n = c if depthwise else int(rng.integers(4, 40))
        inputs = 1 if depthwise else c
        weight = self.weight(n, inputs, k, k, spread=1.5 / np.sqrt(inputs * k * k))
        self.last = self.node(
            "Conv", [self.last, weight, self.weight(n, spread=0.3)], kernel_shape=[k, k], strides=[stride] * 2,
            pads=[k // 2] * 4, group=c if depthwise else 1,
        )
        self.shape = (n, (h - 1) // stride + 1, (w - 1) // stride + 1)
        act = rng.choice(["Relu", "Relu", "silu", "none"])
        if act == "Relu":
            self.last = self.node("Relu", [self.last])
        elif act == "silu":
            self.last = self.node("Mul", [self.last, self.node("Sigmoid", [self.last])])
        self.older.append((self.last, self.shape))

    def focus(self):
        """Even and odd rows and columns on top of each other, as YOLOX begins."""
        self.h, self.w = self.h & ~1, self.w & ~1

        def half(axis, start):
            numbers = []
            for value in (start, 1 << 30, axis, 2):
                numbers.append(f"w{len(self.weights)}")
                self.weights.append(numpy_helper.from_array(np.array([value], np.int64), numbers[-1]))
            return numbers

        parts = [
            self.node("Slice", [self.node("Slice", ["x", *half(2, down)]), *half(3, across)])
            for across in (0, 1) for down in (0, 1)
        ]
        self.last = self.node("Concat", parts, axis=1)
        self.shape = (12, self.h // 2, self.w // 2)

    def grow(self):
        alike = [name for name, shape in self.older if shape == self.shape and name != self.last]
        what = rng.choice(["conv", "conv", "conv", "add", "concat", "max", "resize"])
        c, h, w = self.shape
        if what == "add" and alike:
            self.last = self.node("Add", [self.last, str(rng.choice(alike))])
        elif what == "concat" and alike:
            self.last = self.node("Concat", [self.last, str(rng.choice(alike))], axis=1)
            self.shape = (2 * c, h, w)
        elif what == "max" and min(h, w) > 3:
            self.last = self.node("MaxPool", [self.last], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
            self.shape = (c, (h - 1) // 2 + 1, (w - 1) // 2 + 1)
        else:
            self.conv()

    def model(self):
        info = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes, "net", [info("x", TensorProto.FLOAT, [1, 3, self.h, self.w])],
            [info(self.last, TensorProto.FLOAT, [1, *self.shape])], self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Reader(CalibrationDataReader):
    def __init__(self, x):
        self.left = [{"x": x}]

    def get_next(self):
        return self.left.pop() if self.left else None


def main():
    found = []
    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = Path(folder, "plain.onnx"), Path(folder, "quantized.onnx")
        for number in range(COUNT):
            net = Net()
            # The last ones have activations in floats between their convolutions.
            only = number >= COUNT * 3 // 4 + 1
            if only:
                net.focus()
            net.conv()
            for _ in range(int(rng.integers(1, 6))):
                net.grow()
            plain.write_bytes(net.model().SerializeToString())
            x = picture(net.h, net.w)
            activations, weights = [
                (QuantType.QUInt8, QuantType.QInt8), (QuantType.QUInt8, QuantType.QUInt8), (QuantType.QInt8, QuantType.QInt8),
            ][number % 3]
            quantize_static(
                plain, quantized, Reader(x), quant_format=QuantFormat.QDQ, per_channel=bool(number % 2),
                activation_type=activations, weight_type=weights, op_types_to_quantize=["Conv"] if only else None,
            )
            options, optimized = ort.SessionOptions(), Path(folder, "optimized.onnx")
            options.optimized_model_filepath = str(optimized)
            session = ort.InferenceSession(quantized, options, providers=["CPUExecutionProvider"])
            # Some it computes in floats after all, and then halves may be rounded another way.
            floats = only or any(node.op_type in ("Conv", "Add") for node in onnx.load(optimized).graph.node)
            (answer,) = session.run(None, {"x": x})
            if answer.size > 4000:
                continue
            found.append({
                "name": f"{number}: {activations.name} {weights.name}",
                "size": [net.w, net.h],
                "floats": floats,
                "model": quantized.read_bytes().hex(),
                "answer": [float(f"{value:.9g}") for value in answer.ravel()],
            })
    Path(FILE).write_text(json.dumps(found))
    print(len(found), "nets")


main()
