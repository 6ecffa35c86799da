#!/usr/bin/env bash
# The two H.264 encoders of `record`, side by side: scripts/encoders.sh [VIDEO…]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench --quiet --bench encode --no-default-features --features h264 -- "$@"
cargo bench --quiet --bench encode --no-default-features --features h264,openh264 -- "$@" | tail -n +2
