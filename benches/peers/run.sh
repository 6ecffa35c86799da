#!/usr/bin/env bash
# Ocelli against ONNX Runtime, OpenVINO, ncnn and LiteRT: nets and a whole pipeline, side by side in one run. Takes about 15
# minutes after the first run, which installs Python packages (PyTorch for the nets of torchvision and Ultralytics, 3 GB) in
# target/peers.
#
#   benches/peers/run.sh                    writes docs/performance.md
#   benches/peers/run.sh --only yolox       one net, to the screen
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=${PEERS_VENV:-target/peers/venv}
if [ ! -x "$venv/bin/python" ]; then
    mkdir -p target/peers
    python3 -m venv "$venv" || { echo "skipped: python3 with venv is not installed"; exit 0; }
    "$venv/bin/pip" install --quiet torch torchvision ultralytics onnx onnxruntime opencv-python-headless \
        openvino ncnn pnnx ai-edge-litert \
        || { rm -rf "$venv"; echo "skipped: no package registry for Python"; exit 0; }
fi
cargo build --release --quiet
engine=$(cargo bench --bench peers --no-run 2>&1 | sed -n 's/.*(\(.*\))$/\1/p' | tail -1)
YOLO_OFFLINE=true "$venv/bin/python" -W ignore benches/peers/export.py target/peers
field=${OCELLI_FIELD:-}
arguments=("$engine" target/peers ${field:+--field "$field"})
if [ $# -eq 0 ]; then
    "$venv/bin/python" -W ignore benches/peers/run.py "${arguments[@]}" --table docs/performance.md
    if [ -n "$field" ]; then
        echo | tee -a docs/performance.md
        { echo "## A whole pipeline"; echo
          echo "YOLOX-nano on a public video (decoding, letterbox, inference, NMS, JSON): Ocelli against"
          echo "\`benches/peers/script.py\`, which uses OpenCV, ONNX Runtime and numpy. Both run in turns; the least of three runs counts."
          echo "The numbers of boxes differ by objects with scores near the threshold: OpenCV converts colours faster and less exactly,"
          echo "and the script cuts the letterbox of this video to 233 rows, where Ocelli rounds to 234."
          echo; echo '```'
          "$venv/bin/python" -W ignore benches/peers/pipeline.py target/release/ocelli "$field"
          echo '```'; } | tee -a docs/performance.md
    fi
else
    "$venv/bin/python" -W ignore benches/peers/run.py "${arguments[@]}" "$@"
fi
