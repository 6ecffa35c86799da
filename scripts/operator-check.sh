#!/usr/bin/env bash
# What an operator meets: restarts, full disks, moved files, signals, closed pipes. Runs the real program on a live scene
# and prints one line per check. Usage: scripts/operator-check.sh [OCELLI]
set -uo pipefail
shopt -s nullglob

ocelli=$(realpath "${1:-target/release/ocelli}")
work=$(mktemp -d)
failed=0
trap 'kill -9 $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1

ok() { echo "ok: $1"; }
bad() { echo "FAILED: $1"; failed=1; }
# check WHAT COMMAND…: the command must succeed.
check() { local what=$1; shift; if "$@" >/dev/null 2>&1; then ok "$what"; else bad "$what"; fi; }
skip() { echo "skipped: $1"; }

# whole FILE…: every line of the files is a JSON object.
whole() {
    python3 -c 'import json, sys
for name in sys.argv[1:]:
    for line in open(name):
        assert line.endswith("\n") and isinstance(json.loads(line), dict), line' "$@"
}
# plays FILE…: reads the videos to their end; prints the number of pictures of each.
plays() {
    local file
    for file in "$@"; do
        printf 'pipeline:\n- video: { path: "%s" }\n- jsonl\n' "$(realpath "$file")" >read.yaml
        "$ocelli" run read.yaml --quiet 2>/dev/null | wc -l || return 1
    done
}
# waits SECONDS COMMAND…: waits until the command succeeds.
waits() {
    local until=$(($(date +%s) + $1)); shift
    until "$@" >/dev/null 2>&1; do [ "$(date +%s)" -lt "$until" ] || return 1; sleep 0.1; done
}
says() { grep -q -- "$1" log; }
rows_at_least() { [ "$(cat "$2" 2>/dev/null | wc -l)" -ge "$1" ]; }
alive() { kill -0 "$pid"; }
begin() { "$ocelli" run "$@" 2>log & pid=$!; }
end() { kill -INT "$pid"; wait "$pid"; }

cat >live.yaml <<'YAML'
pipeline:
- scene: { size: [160, 96], fps: 25, live: true }
- { id: rows, jsonl: { path: out/rows.jsonl } }
- { id: video, from: scene, record: { path: out/door.mp4 } }
YAML

# Killed and started again.
begin live.yaml
waits 20 rows_at_least 60 out/rows.jsonl
"$ocelli" run live.yaml 2>second; code=$?
check "a second instance is refused and the first one named" \
    test "$code" = 74 -a -n "$(grep "process $pid (.*run live.yaml) is writing to it" second)"
kill -9 "$pid"; wait "$pid" 2>/dev/null
before=$(wc -l <out/rows.jsonl)
printf '{"source":"scene","se' >>out/rows.jsonl
begin live.yaml
waits 20 rows_at_least $((before + 80)) out/rows.jsonl
check "a row that was cut off is removed and told" says "its last row had been cut off"
kill -INT "$pid"; kill -TERM "$pid" 2>/dev/null
wait "$pid"; code=$?
check "two signals in a burst end the run cleanly" test "$code" = 0
check "rows of before and after the restart are there and whole" whole out/rows.jsonl
check "the rows of before are the first ones" rows_at_least $((before + 80)) out/rows.jsonl
videos=(out/door-*.mp4)
check "each start has its own video" test "${#videos[@]}" = 2
counts=$(plays "${videos[@]}" | tr '\n' ' ')
check "both videos play to their end ($counts pictures)" test -n "$counts" -a "$(echo "$counts" | tr ' ' '\n' | grep -c '^[1-9]')" = 2
check "the run tells what files it wrote" says "video: wrote out/door-"

# Moved, deleted, and signals.
begin live.yaml
lines=$(wc -l <out/rows.jsonl)
waits 20 rows_at_least $((lines + 20)) out/rows.jsonl
mv out/rows.jsonl out/rows.1
check "a renamed file is begun anew" waits 4 rows_at_least 1 out/rows.jsonl
check "and told" says "rows.jsonl was renamed or deleted"
rm -r out
check "a deleted folder is made anew" waits 4 rows_at_least 1 out/rows.jsonl
mv out/rows.jsonl out/rows.2
kill -HUP "$pid"
check "HUP opens the outputs again" waits 2 rows_at_least 1 out/rows.jsonl
kill -USR1 "$pid"
check "USR1 prints the table" waits 2 grep -q "^rows .*%" log
check "neither of them ends the run" alive
end; code=$?
check "and it ends cleanly" test "$code" = 0
check "rows are whole in both files" whole out/rows.2 out/rows.jsonl

# A file of the day: HUP goes on in it, and a renamed one gets its name again.
printf 'pipeline:\n- scene: { size: [64, 48], fps: 25, live: true }\n- jsonl: { path: "day/{date}.jsonl" }\n' >day.yaml
begin day.yaml
waits 20 bash -c 'cat day/*.jsonl | wc -l | grep -q ..'
kill -HUP "$pid"; sleep 1
days=(day/*.jsonl)
check "HUP goes on in the file of the day" test "${#days[@]}" = 1
mv "${days[0]}" day/old
check "and a renamed one gets its name again" waits 4 test -s "${days[0]}"
end

# Rotated and kept.
cat >kept.yaml <<'YAML'
pipeline:
- scene: { size: [320, 240], fps: 30, live: true }
- { id: video, record: { path: "kept/{seq}.avi", rotate: { time: 1s }, keep: { files: 3 } } }
- { id: pictures, from: scene, snapshot: { path: "kept/{seq}.jpg", keep: { files: 5 } } }
YAML
begin kept.yaml
sleep 6
end
videos=(kept/*.avi); pictures=(kept/*.jpg)
check "three videos and five pictures are kept (${#videos[@]}, ${#pictures[@]})" \
    test "${#videos[@]}" = 3 -a "${#pictures[@]}" = 5
check "the videos play" test "$(plays "${videos[@]}" | grep -c '^[1-9]')" = 3

# A full disk.
cat >full.sh <<'SH'
mount -t tmpfs -o size=5m tmpfs disk || exit 77
cat >full.yaml <<'YAML'
pipeline:
- scene: { size: [320, 240], fps: 25, live: true }
- { id: rows, jsonl: { path: disk/rows.jsonl } }
- { id: video, from: scene, record: { path: disk/v.mp4 } }
- { id: picture, from: scene, every: 5, snapshot: { path: disk/now.png } }
YAML
"$1" run full.yaml 2>log & pid=$!
sleep 4
head -c 10M /dev/zero >disk/filler 2>/dev/null
sleep 6
rm disk/filler
sleep 6
kill -INT $pid; wait $pid; echo $? >code
cp disk/rows.jsonl full.jsonl; cp disk/v-*.mp4 full.mp4; ls disk >left
SH
mkdir disk
unshare -rm bash full.sh "$ocelli" 2>mounted; code=$?
if [ "$code" = 77 ]; then
    skip "a full disk: cannot mount a tmpfs here ($(tail -n1 mounted))"
else
    check "a full disk does not end the run" test "$(cat code)" = 0
    check "rows are whole after a full disk ($(wc -l <full.jsonl) rows)" whole full.jsonl
    counts=$(plays full.mp4)
    # 16 s at 25 frames, less what did not fit: the first 4 s and the last 5 s must be there.
    check "the video plays to its end ($counts pictures)" test "${counts:-0}" -gt 200
    check "no part of a picture is left" test -z "$(grep part left)"
    messages=$(grep -c -E ' (WARN|ERROR|INFO) ' log)
    check "the log has $messages messages, fewer than 20" test "$messages" -lt 20
    check "it is told at first" says "No space left on device"
    check "and when it works again" says "works again"
fi

# Standard output gone.
cat >pipe.yaml <<'YAML'
pipeline:
- scene: { size: [160, 96], fps: 25, live: true }
- { id: rows, jsonl: {} }
- { id: kept, from: scene, jsonl: { path: gone.jsonl } }
YAML
{ "$ocelli" run pipe.yaml 2>log & echo $! >pid; wait; } | head -n 5 >/dev/null &
waits 20 grep -q "reader of its output went away; the other outputs go on" log
check "a live run goes on without its reader, and says so" says "the other outputs go on"
pid=$(cat pid)
lines=$(wc -l <gone.jsonl)
check "its other outputs go on" waits 5 rows_at_least $((lines + 20)) gone.jsonl
kill -INT "$pid"; waits 10 bash -c "! kill -0 $pid" || bad "it does not end"
printf 'pipeline:\n- scene: { size: [64, 48], frames: 100000 }\n- jsonl\n- { from: scene, jsonl: { path: all.jsonl } }\n' >recorded.yaml
"$ocelli" run recorded.yaml 2>log | head -n 1 >/dev/null
check "a recorded run ends when its reader is gone" test "$(wc -l <all.jsonl)" -lt 100000

# The log as JSON.
begin live.yaml --log json --status 1s
sleep 3
kill -USR1 "$pid"; sleep 0.5
end
check "every line of the log is JSON" whole log
check "the table is in it" grep -q '"lines":\[' log
check "and the status" grep -q 'frames/s' log
printf 'pipeline:\n- scene: { sise: [64, 48] }\n- jsonl: { path: "x\\e[2Jy", pth: 3 }\n' >bad.yaml
"$ocelli" run bad.yaml --log json 2>log; code=$?
check "faults of YAML are JSON with code, file, line and col" \
    test "$code" = 2 -a "$(grep -c '"code":2.*"col":.*"file":"bad.yaml".*"line":' log)" -ge 2
check "and every line is" whole log
"$ocelli" run --no-such --log json 2>log
check "and faults of the command line" whole log
printf 'pipeline:\n- scene: {}\n- jsonl: { path: "out/\\e[31m/{x}.jsonl" }\n' >escape.yaml
"$ocelli" check escape.yaml 2>log
check "no control characters reach a terminal" test -z "$(grep -P '\x1b' log)"

[ "$failed" = 0 ] && echo "operator check: all passed"
exit "$failed"
