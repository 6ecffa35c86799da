#!/usr/bin/env bash
# Exports about 60 models with the packages that people use and compares Ocelli's answers with theirs; the table goes to
# docs/models.md. Takes about 7 minutes on two cores after the first run, which installs 6 GB of Python packages in target/exports.
#
#   scripts/exports.sh                 everything
#   scripts/exports.sh yolo11 detr     only exports whose names begin so; leaves docs/models.md as it is
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${EXPORTS_VENV:-target/exports/venv}
if [ ! -x "$venv/bin/python" ]; then
    mkdir -p target/exports
    python3 -m venv "$venv" || { echo "skipped: python3 with venv is not installed"; exit 0; }
    "$venv/bin/pip" install --quiet torch torchvision ultralytics onnx onnxruntime onnxslim onnxscript timm transformers \
        keras h5py optree pycocotools || { rm -rf "$venv"; echo "skipped: no package registry for Python"; exit 0; }
    "$venv/bin/pip" install --quiet --no-deps nudenet
fi
cargo build --release --quiet
exec "$venv/bin/python" -W ignore scripts/exports.py "$@"
