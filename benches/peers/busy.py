"""Ours and ONNX Runtime beside other programs that want every processor."""
import os
import subprocess
import sys
import time

NETS = ("mobilenet_v2_224", "yolox_nano", "nanodet", "ssd_mobilenet_v1")
HEAD = """
## On a busy machine

The same beside programs that never pause, one for each of the {processors} processors: mean wall time of {runs} runs, in milliseconds. Threads
that wait for each other can be many times slower there than one thread alone; ours share the parts of each step, so nobody waits
for a thread that has none in hand.

| net | ours, 1 thread | 2 threads | ONNX Runtime, 1 thread | 2 threads | ratio, 2 threads |
|---|---|---|---|---|---|"""
RUNS = 60


def table(engines, runtimes):
    """Lines of Markdown; `engines` and `runtimes` by number of threads, the latter by net."""
    processors = len(os.sched_getaffinity(0))
    lines = HEAD.format(processors=processors, runs=RUNS).splitlines()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processors)]
    try:
        for name in (name for name in NETS if name in runtimes[1]):
            runs = [lambda n=n: engines[n].run(name)[1] for n in (1, 2)] + [runtimes[n][name] for n in (1, 2)]
            sums = [0.0] * len(runs)
            for _ in range(RUNS // 4):
                for at, run in enumerate(runs):
                    time.sleep(0.02)
                    sums[at] += sum(run() for _ in range(4))
            one, two, other, others = (total / RUNS for total in sums)
            lines.append(f"| {name} | {one:.2f} | {two:.2f} | {other:.2f} | {others:.2f} | {two / others:.2f} |")
    finally:
        for process in busy:
            process.kill()
    return lines
