#!/usr/bin/env bash
# A report over 5,000 pictures: under 20 MB, without requests, and open in under two seconds in headless Chromium.
# Usage: scripts/report-check.sh [FOLDER FOR SCREENSHOTS]
set -euo pipefail
cd "$(dirname "$0")/.."

browser=$(command -v chromium || command -v chromium-browser || true)
if [ -z "$browser" ]; then
    echo "skipped: install chromium"
    exit 0
fi
cargo build --release
ocelli=$PWD/target/release/ocelli
models=$PWD/models
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
shots=${1:-$work}
"$ocelli" scene --export coco --out "$work/set" --frames 5000 --size 320x180 --every 1 >/dev/null
cat > "$work/p.yaml" <<YAML
pipeline:
  - images: { path: set/images }
  - resize: { for: scene }
  - detect: { model: scene, min_score: 0.2 }
  - nms
  - jsonl: { path: rows.jsonl }
YAML
cd "$work"
"$ocelli" --models "$models" eval p.yaml --labels set/annotations.json --html report.html | sed -n 1,5p
size=$(stat -c %s report.html)
echo "report.html: $size bytes"
[ "$size" -lt 20000000 ]
if grep -oE '(src|href)="[^"]{0,40}' report.html | grep -vE '="(data:|#)' ; then
    echo "the report asks for something outside itself"
    exit 1
fi
# The page tells its own loading time, in a copy of it.
sed 's|</html>|<script>addEventListener("load",()=>{const n=performance.getEntriesByType("navigation")[0];document.title="loaded in "+Math.round(n.loadEventStart)+" ms, "+document.querySelectorAll(".shot").length+" pictures"})</script></html>|' report.html > timed.html
title=$("$browser" --headless --no-sandbox --disable-gpu --dump-dom "file://$work/timed.html" 2>/dev/null | grep -oE '<title>[^<]*' | cut -c8-)
echo "$title"
time=$(echo "$title" | grep -oE '[0-9]+ ms' | cut -d' ' -f1)
[ "$time" -lt 2000 ]
"$browser" --headless --no-sandbox --disable-gpu --window-size=412,2600 --screenshot="$shots/report-phone.png" "file://$work/report.html" >/dev/null 2>&1
"$browser" --headless --no-sandbox --disable-gpu --window-size=1200,4000 --screenshot="$shots/report.png" "file://$work/report.html" >/dev/null 2>&1
echo "the report opens in time"
