"""A whole pipeline, ours against script.py: YOLOX-nano on a video, in turns; CPU and wall time, and memory.

pipeline.py OCELLI FIELD [ROUNDS]
"""
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINE = """pipeline:
  - video: {{ path: {video} }}
  - resize: {{ for: yolox_nano }}
  - detect: {{ model: yolox_nano, min_score: 0.3, threads: {threads} }}
  - nms: {{ iou: 0.45 }}
  - jsonl
"""


def run(command, environment, output):
    """Seconds of CPU and wall time, and MB of memory at most."""
    with open(output, "w") as file:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command} failed")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024


def main():
    program, field = sys.argv[1], Path(sys.argv[2]).resolve()
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    video, model = field / "video" / "one-by-one-person-detection.mp4", field / "models" / "yolox_nano.onnx"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "models", "yolox_nano")
        home.mkdir(parents=True)
        # The script resizes with OpenCV, so both do.
        card = Path("tests/cards/yolox_nano.yaml").read_text().replace("filter: bilinear", "filter: cv_linear")
        (home / "card.yaml").write_text(card)
        for file in re.findall(r"(?:file|labels): *([\w.\-]+)", card):
            (home / file).symlink_to(field / "models" / file)
        print("threads         ours: CPU s  wall s     MB   script: CPU s  wall s     MB   CPU ratio  wall ratio  memory ratio")
        for threads in (1, 2):
            pipeline = Path(folder, "pipeline.yaml")
            pipeline.write_text(PIPELINE.format(video=video, threads=threads))
            environment = {**os.environ, "OCELLI_MODELS": str(home.parent), "OCELLI_CACHE": folder}
            ours_by = [program, "run", str(pipeline)]
            script_by = [sys.executable, "benches/peers/script.py", str(model), str(video), str(threads)]
            rows = [Path(folder, "ours.jsonl"), Path(folder, "script.jsonl")]
            ours, script = [], []
            # Once without counting: the check of the model is cached.
            run(ours_by, environment, rows[0])
            for _ in range(rounds):
                ours.append(run(ours_by, environment, rows[0]))
                script.append(run(script_by, os.environ, rows[1]))
            a, b = ([min(column) for column in zip(*times)] for times in (ours, script))
            counts = [sum(row.count('"score"') for row in path.open()) for path in rows]
            frames = sum(1 for _ in rows[0].open())
            print(
                f"{threads:7}  {a[0]:19.2f} {a[1]:7.2f} {a[2]:6.0f} {b[0]:15.2f} {b[1]:7.2f} {b[2]:6.0f}"
                f" {a[0] / b[0]:11.2f} {a[1] / b[1]:11.2f} {a[2] / b[2]:13.2f}   {frames} frames, {counts[0]} and {counts[1]} boxes"
            )


main()
