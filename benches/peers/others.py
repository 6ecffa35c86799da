"""The other runtimes that people would pick: OpenVINO, ncnn, LiteRT. Each class runs one net in floats of 32 bits or, where the
file says so, in 8-bit integers; `run` gives CPU and wall time in milliseconds, `outputs` the answers as a list of arrays.

A runtime that is not installed, or that cannot read a net, gives no column for it.
"""
import subprocess
import time
from pathlib import Path

import numpy as np


class Timed:
    def run(self):
        wall, cpu = time.perf_counter(), time.process_time()
        self.once()
        return (time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3


class OpenVino(Timed):
    """Reads ONNX. Held to 32 bits: where the processor has AMX it would choose bfloat16 by itself."""

    title = "OpenVINO"

    def __init__(self, path, threads, feed):
        import openvino

        options = {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32",
        }
        core = openvino.Core()
        model = core.read_model(path)
        model.reshape({name: list(value.shape) for name, value in feed.items()})
        self.request = core.compile_model(model, "CPU", options).create_infer_request()
        self.feed = feed

    def once(self):
        self.request.infer(self.feed)

    def outputs(self):
        self.once()
        return [np.asarray(tensor.data) for tensor in self.request.output_tensors]


class Ncnn(Timed):
    """Reads what pnnx makes of an ONNX file; floats only."""

    title = "ncnn"

    def __init__(self, path, threads, feed):
        import ncnn

        home = Path("target/peers/ncnn").resolve()
        home.mkdir(parents=True, exist_ok=True)
        parameters = home / f"{path.stem}.ncnn.param"
        if not parameters.exists():
            link = home / path.name
            link.unlink(missing_ok=True)
            link.symlink_to(path.resolve())
            import pnnx

            shape = ",".join(f"[{','.join(map(str, value.shape))}]" for value in feed.values())
            command = [pnnx.EXEC_PATH, link.name, f"inputshape={shape}", "fp16=0"]
            subprocess.run(command, cwd=home, check=True, capture_output=True, timeout=300)
        self.net = ncnn.Net()
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(self.net.opt, name, False)
        self.net.opt.num_threads, self.net.opt.use_vulkan_compute = threads, False
        if self.net.load_param(str(parameters)) or self.net.load_model(str(parameters.with_suffix(".bin"))):
            raise ValueError("ncnn does not read it")
        # Without the batch.
        self.inputs = {f"in{at}": ncnn.Mat(np.ascontiguousarray(value[0])) for at, value in enumerate(feed.values())}
        self.names = list(self.net.output_names())

    def once(self):
        extractor = self.net.create_extractor()
        for name, value in self.inputs.items():
            extractor.input(name, value)
        self.last = [extractor.extract(name)[1] for name in self.names]

    def outputs(self):
        self.once()
        return [np.array(mat) for mat in self.last]


class LiteRt(Timed):
    """TensorFlow Lite with XNNPACK. Reads the .tflite that the ONNX file was made of, which the caller finds."""

    title = "LiteRT"

    def __init__(self, path, threads, feed):
        from ai_edge_litert.interpreter import Interpreter

        self.runner = Interpreter(str(path), num_threads=threads)
        self.runner.allocate_tensors()
        given = self.runner.get_input_details()[0]
        value = next(iter(feed.values()))
        if list(value.shape) != list(given["shape"]):
            value = value.transpose(0, 2, 3, 1)
        self.runner.set_tensor(given["index"], np.ascontiguousarray(value.astype(given["dtype"])))

    def once(self):
        self.runner.invoke()

    def outputs(self):
        self.once()
        return [self.runner.get_tensor(of["index"]) for of in self.runner.get_output_details()]


def same(ours, theirs):
    """Whether two runtimes compute the same: each output of the first among those of the second, within a hundredth."""
    for ours_one in ours:
        flat = np.sort(ours_one.astype(np.float64).ravel())
        most = max(np.abs(flat).max(), 1e-6)
        # Layouts differ, so values are compared in order of size.
        near = [
            other for other in theirs
            if other.size == flat.size and np.abs(np.sort(other.astype(np.float64).ravel()) - flat).max() < 0.01 * most
        ]
        if not near:
            return False
    return True
