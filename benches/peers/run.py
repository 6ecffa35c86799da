"""Ocelli against ONNX Runtime on the same nets, in turns, one thread and two, and against other runtimes on one. `run.sh` calls it.

run.py ENGINE FOLDER [--field FOLDER] [--rounds N] [--only NAME] [--table FILE]
"""
import argparse
import re
import subprocess
import time
from pathlib import Path

import busy
import kernels
import numpy as np
import onnxruntime as ort
import rounding
from nets import INTEGERS, LITE, TARGETS, cards, is_rounded
from others import LiteRt, Ncnn, OpenVino, same


class Engine:
    """A process of ours that holds all nets."""

    def __init__(self, program, threads, homes):
        arguments = [program, str(threads), *(str(home) for home in homes)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.load = {}
        for _ in homes:
            _, name, load = self.process.stdout.readline().split()
            self.load[name] = float(load)

    def run(self, name):
        """CPU and wall time of a run in milliseconds."""
        self.process.stdin.write(f"run {name}\n")
        self.process.stdin.flush()
        return [float(word) / 1e3 for word in self.process.stdout.readline().split()]


class Runtime:
    """ONNX Runtime with one net."""

    def __init__(self, path, threads):
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        start = time.perf_counter()
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        kinds = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}
        self.feed, random = {}, np.random.default_rng(1)
        for given in self.session.get_inputs():
            shape = [side if isinstance(side, int) else 1 for side in given.shape]
            self.feed[given.name] = (random.random(shape) * 255).astype(np.int16).astype(kinds[given.type])
        self.outputs()
        self.load = (time.perf_counter() - start) * 1e3

    def outputs(self):
        return self.session.run(None, self.feed)

    def run(self):
        wall, cpu = time.perf_counter(), time.process_time()
        self.session.run(None, self.feed)
        return (time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3


def others(name, path, runtime, field):
    """The other runtimes that can run a net and compute the same, and what those that cannot say."""
    made = {}
    for kind in (OpenVino, Ncnn, LiteRt):
        file = path
        if kind is LiteRt:
            if name not in LITE:
                continue
            file = field / "models" / LITE[name]
        try:
            one = kind(file, 1, runtime.feed)
            # Roundings differ; and the .tflite of a detector ends with its NMS.
            if is_rounded(name) or same(runtime.outputs(), one.outputs()):
                made[kind.title] = one
            else:
                print(f"{name}: {kind.title} computes something else")
        except Exception as error:  # whatever a foreign runtime throws
            print(f"{name}: {kind.title}: {str(error).splitlines()[0][:100] if str(error) else type(error).__name__}")
    return made


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--field", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only")
    parser.add_argument("--table", type=Path, help="write docs/performance.md")
    given = parser.parse_args()
    found = cards(given.folder, given.field)
    if given.only:
        found = {name: both for name, both in found.items() if given.only in name}
    homes = [home for home, _ in found.values()]
    rows, foreign = {name: {} for name in found}, {}
    engines, runtimes = {}, {1: {}, 2: {}}
    for threads in (1, 2):
        ours = engines[threads] = Engine(given.engine, threads, homes)
        # Wall time for two threads: CPU time counts those that wait.
        clock = 0 if threads == 1 else 1
        for name, (_, path) in found.items():
            theirs = Runtime(path, threads)
            if name in busy.NETS:
                runtimes[threads][name] = lambda theirs=theirs: theirs.run()[1]
            runs = {"ours": lambda: ours.run(name), "ONNX Runtime": theirs.run}
            if threads == 1:
                runs |= {title: one.run for title, one in others(name, path, theirs, given.field).items()}
            least = dict.fromkeys(runs, 1e9)
            for _ in range(given.rounds):
                # Threads of ONNX Runtime spin for a while after a run.
                time.sleep(0.03 if threads > 1 else 0)
                # A few in a row, as with a stream: the first finds caches full of the other's weights.
                for title, run in runs.items():
                    least[title] = min(least[title], *(run()[clock] for _ in range(3)))
            rows[name][threads] = (least["ours"], least["ONNX Runtime"], ours.load[name], theirs.load)
            if threads == 1:
                foreign[name] = least
    lines = table(rows) + against(foreign) + busy.table(engines, runtimes) + rounding.table(given, found)
    lines += kernels.table(given.engine, homes) + missed(given.engine, rows, dict(zip(found, homes)))
    print("\n".join(lines))
    if given.table:
        given.table.write_text("\n".join(HEAD.format(processor=processor(), ort=ort.__version__).splitlines() + lines) + "\n")


HEAD = """# Speed against other runtimes

Written by `benches/peers/run.sh`. The nets of torchvision and Ultralytics have random weights; the others are public ones
(`OCELLI_FIELD`). Both engines run each net in turns, three times in a row, and the shortest run of each counts: CPU time with
one thread, wall time with two. Ours includes turning the picture's bytes into a tensor; ONNX Runtime gets a tensor. "Ratio" is
our time divided by that of ONNX Runtime, so less is better; "target" is the ratio that we want with one thread. "Load" lasts
from opening the file to the first answer. Rows marked `int8` compare with ONNX Runtime on the same file, except
`yolox_nano_qdq` and `yolov8n_320_int8`, which compare with the same net in floats. On a processor without VNNI, ONNX Runtime's
sums of bytes saturate: there, its time for those rows is that of another, less exact computation.

* Processor: {processor}
* ONNX Runtime {ort}
"""


def processor():
    text = Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", text)[1].strip()
    wanted = ["fma", "avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8"]
    flags = set(re.search(r"flags\s*: (.*)", text)[1].split())
    return f"{name}: {', '.join(flag for flag in wanted if flag in flags)}"


def table(rows):
    lines = [
        "",
        "| net | ours ms | ONNX Runtime ms | ratio | target | 2 threads ms | ONNX Runtime ms | ratio | gain of 2 threads | load ms | ONNX Runtime ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        a, b, load, other = row[1]
        c, d, *_ = row[2]
        target = TARGETS.get(name, "–")
        lines.append(
            f"| {name}{' (int8)' if is_rounded(name) else ''} | {a:.2f} | {b:.2f} | {a / b:.2f} | {target} | {c:.2f} | {d:.2f}"
            f" | {c / d:.2f} | {a / c:.2f} | {load:.0f} | {other:.0f} |"
        )
    return lines


def missed(engine, rows, homes):
    """Lines of Markdown: where the time goes in nets that take longer than we want."""
    late = [name for name, row in rows.items() if name in TARGETS and row[1][0] / row[1][1] > TARGETS[name]]
    if not late:
        return ["", "All targets are met."]
    lines = ["", "## Targets missed", "", "Where the time goes on one thread; docs/kernels.md says what was tried.", ""]
    lines += ["| net | step | ms | share |", "|---|---|---|---|"]
    for name in late:
        steps = {kind: row[0] / 1e6 for kind, row in kernels.steps(engine, None, [homes[name]]).items()}
        whole = sum(steps.values())
        for kind, time in sorted(steps.items(), key=lambda step: -step[1]):
            if time > 0.02 * whole:
                lines.append(f"| {name} | {kind} | {time:.2f} | {time / whole:.0%} |")
    return lines


AGAINST = """
## Other runtimes

One thread, in the same turns: milliseconds of CPU time. OpenVINO is held to floats of 32 bits; ncnn reads what pnnx made of the
file; LiteRT runs the .tflite that the ONNX file was made of. A column is empty where a runtime cannot read the net or, in
floats, computes something else. In the rows marked `int8`, ONNX Runtime, OpenVINO and LiteRT run in 8 bits, too, but for the two
that compare with floats. "Ratio" is our time divided by the shortest of the others.

| net | ours | ONNX Runtime | OpenVINO | ncnn | LiteRT | ratio |
|---|---|---|---|---|---|---|"""


def against(foreign):
    """Lines of Markdown."""
    lines = AGAINST.splitlines()
    for name, least in foreign.items():
        columns = [least.get(title) for title in ("ours", "ONNX Runtime", "OpenVINO", "ncnn", "LiteRT")]
        best = min(column for column in columns[1:] if column)
        cells = " | ".join(f"{column:.2f}" if column else "" for column in columns)
        lines.append(f"| {name}{' (int8)' if is_rounded(name) else ''} | {cells} | {columns[0] / best:.2f} |")
    return lines


main()
