#!/usr/bin/env python3
"""Compares what `ocelli` reads from recordings with what ffmpeg and OpenCV read: counts, sizes, times and pixels.

usage: scripts/compare-media.py [--ocelli target/release/ocelli] [FILE ...]

Without files, it compares the clips of the repository and about 60 files that it makes with ffmpeg: codecs, containers,
turned pictures, edit lists, variable rates, matrices, ranges, cuts. It needs ffmpeg, numpy and opencv-python.

The reference is ffmpeg's RGB (accurate_rnd+full_chroma_int+bilinear), and for counts and sizes also OpenCV. Files that we
decode ourselves interpolate no chroma, which makes up to 4 levels on average on these pictures; times are equal within
1 ms. The exit status is 1 if a file differs by more.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
MOST = 4.0  # levels, mean absolute difference of a frame
MS = 1.0
SOURCE = "testsrc2=size=320x240:rate=25:duration=2"


def run(*words, **more):
    return subprocess.run([str(w) for w in words], capture_output=True, **more)


def ffmpeg(*words):
    done = run("ffmpeg", "-y", "-v", "error", "-nostdin", *words)
    if done.returncode:
        raise RuntimeError(f"ffmpeg {' '.join(map(str, words))}: {done.stderr.decode()[-300:]}")


def make(folder):
    """Makes the files; a name says what is special about each."""
    made = []

    def one(name, *words, source=SOURCE):
        path = folder / name
        try:
            ffmpeg("-f", "lavfi", "-i", source, *words, path)
            made.append(path)
        except RuntimeError as error:
            print(f"left out: {name}: {error}", file=sys.stderr)

    x264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast"]
    x265 = ["-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none"]
    one("h264.mp4", *x264)
    one("h264_baseline.mp4", *x264, "-profile:v", "baseline")
    one("h264_faststart.mp4", *x264, "-movflags", "+faststart")
    one("h264_fragments.mp4", *x264, "-g", "12", "-movflags", "frag_keyframe+empty_moov")
    one("h264_cmaf.mp4", *x264, "-g", "12", "-movflags", "cmaf")
    one("h264_dash.mp4", *x264, "-g", "12", "-movflags", "dash+frag_keyframe")
    one("h264_separate.mp4", *x264, "-g", "12", "-movflags", "frag_keyframe+separate_moof+omit_tfhd_offset")
    one("h264.mov", *x264)
    one("h264.mkv", *x264)
    one("h264_live.mkv", *x264, "-live", "1")
    one("h264_open_gop.mp4", *x264, "-x264-params", "open-gop=1:keyint=10")
    one("h264_intra_refresh.mp4", *x264, "-x264-params", "intra-refresh=1:keyint=10")
    one("h264_interlaced.mp4", *x264, "-x264-params", "tff=1")
    one("h264_422.mp4", "-c:v", "libx264", "-pix_fmt", "yuv422p")
    one("h264_10bit.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p10le")
    one("h264_444.mp4", "-c:v", "libx264", "-pix_fmt", "yuv444p")
    one("h264_lossless.mp4", *x264, "-qp", "0")
    one("h264_gray.mp4", "-c:v", "libx264", "-pix_fmt", "gray")
    one("h264_odd.mp4", *x264, "-vf", "scale=318:238")
    one("h264_one.mp4", *x264, "-frames:v", "1")
    one("h264.ts", *x264)
    one("h264.flv", *x264)
    one("raw.h264", *x264)
    one("h264_audio.mp4", "-f", "lavfi", "-i", "sine", *x264, "-shortest")
    for audio in ("mp4", "mov"):
        one(f"h264_audio_first.{audio}", "-f", "lavfi", "-i", "sine", *x264, "-map", "1:a", "-map", "0:v", "-shortest")
    one("hevc.mp4", *x265)
    one("hevc.mkv", *x265)
    one("vp9.webm", "-c:v", "libvpx-vp9", "-b:v", "500k")
    one("vp8.webm", "-c:v", "libvpx", "-b:v", "500k")
    one("av1.mp4", "-c:v", "libsvtav1", "-preset", "10")
    one("mpeg4.avi", "-c:v", "mpeg4", "-q:v", "3")
    one("mpeg2.mpg", "-c:v", "mpeg2video", "-q:v", "3")
    one("mjpeg.avi", "-c:v", "mjpeg", "-q:v", "3")
    one("mjpeg_422.avi", "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj422p")
    one("mjpeg.mkv", "-c:v", "mjpeg", "-q:v", "3")
    one("prores.mov", "-c:v", "prores")
    one("ffv1.mkv", "-c:v", "ffv1")
    one("raw.y4m", "-pix_fmt", "yuv420p")
    one("anim.gif", "-vf", "scale=160:-1,fps=10")
    for matrix in ("bt709", "smpte170m", "bt2020nc"):
        for codec, name in ((x264, "h264"), (x265, "hevc")):
            if codec is x265:
                words = [*x265[:-1], f"log-level=none:colormatrix={matrix}"]
            else:
                words = codec
            one(f"{name}_{matrix}.mp4", *words, "-vf", f"scale=out_color_matrix={matrix}", "-colorspace", matrix)
    one("h264_709_720.mp4", *x264, "-vf", "scale=1280:720:out_color_matrix=bt709", "-colorspace", "bt709", "-frames:v", "10")
    one("h264_601_720.mp4", *x264, "-vf", "scale=1280:720:out_color_matrix=smpte170m", "-colorspace", "smpte170m", "-frames:v", "10")
    one("hevc_601_720.mp4", *x265, "-vf", "scale=1280:720:out_color_matrix=smpte170m", "-colorspace", "smpte170m", "-frames:v", "10")
    one("h264_untagged_720.mp4", *x264, "-vf", "scale=1280:720", "-frames:v", "10")
    one("hevc_untagged_720.mp4", *x265, "-vf", "scale=1280:720", "-frames:v", "10")
    one("h264_full.mp4", "-c:v", "libx264", "-pix_fmt", "yuvj420p", "-color_range", "pc")
    one("hevc_full.mp4", "-c:v", "libx265", "-pix_fmt", "yuvj420p", "-color_range", "pc", "-x265-params", "log-level=none:range=full")
    variable = "select='not(between(mod(n,10),3,6))',setpts=PTS+0.01*gt(N\\,5)/TB"
    for name, words in (("vfr_h264.mp4", x264), ("vfr_h264.mkv", x264), ("vfr_hevc.mp4", x265), ("vfr_vp9.webm", ["-c:v", "libvpx-vp9"])):
        one(name, "-vf", variable, "-vsync", "vfr", *words)
    one("gap_hevc.mp4", "-vf", "setpts=PTS+3*gt(N\\,20)/TB", "-vsync", "vfr", *x265)
    # Only the container says the matrix or the range.
    base = folder / "h264.mp4"
    for name, words in (
        ("said_outside_709.mp4", ["-colorspace", "bt709", "-movflags", "+write_colr"]),
        ("said_outside_2020.mkv", ["-colorspace", "bt2020nc"]),
        ("said_outside_full.mkv", ["-color_range", "pc"]),
    ):
        path = folder / name
        ffmpeg("-i", base, "-c", "copy", *words, path)
        made.append(path)
    one("raw_gray.avi", "-c:v", "rawvideo", "-pix_fmt", "gray")
    one("ffv1_gray.nut", "-c:v", "ffv1", "-pix_fmt", "gray")
    for turn in (90, 180, 270):
        path = folder / f"h264_turned_{turn}.mp4"
        ffmpeg("-i", base, "-c", "copy", "-metadata:s:v", f"rotate={turn}", path)
        made.append(path)
    for name, words in (
        ("edit_start.mp4", ["-ss", "0.72"]),
        ("edit_both.mp4", ["-ss", "0.5", "-t", "0.9"]),
        ("edit_delay.mp4", ["-itsoffset", "0.5"]),
    ):
        path = folder / name
        ffmpeg(*words, "-i", base, "-c", "copy", path)
        made.append(path)
    for source in ("h264_faststart.mp4", "h264_fragments.mp4", "h264.mkv", "mjpeg.avi"):
        whole = (folder / source).read_bytes()
        for part in (0.4, 0.77):
            path = folder / f"cut_{int(part * 100)}_{source}"
            path.write_bytes(whole[: int(len(whole) * part)])
            made.append(path)
    for name, tail in (("tail_zeros.mp4", bytes(7)), ("tail_text.mp4", b"\nmade by a camera\n")):
        path = folder / name
        path.write_bytes(base.read_bytes() + tail)
        made.append(path)
    return made


def reference(path):
    """Frames and times by ffmpeg."""
    show = run("ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time,width,height", "-of", "json", path)
    shown = json.loads(show.stdout or b"{}").get("frames", [])
    with tempfile.TemporaryDirectory() as out:
        run("ffmpeg", "-v", "error", "-nostdin", "-i", path, "-map", "0:v:0", "-vsync", "0", "-pix_fmt", "rgb24", "-sws_flags", "accurate_rnd+full_chroma_int+bilinear", "-compression_level", "0", f"{out}/%05d.png")
        frames = [cv2.imread(str(p)) for p in sorted(Path(out).iterdir())]
    times = [float(f["best_effort_timestamp_time"]) for f in shown if "best_effort_timestamp_time" in f]
    return frames, [(t - times[0]) * 1000 for t in times]


def ours(program, path):
    with tempfile.TemporaryDirectory() as out:
        pipeline = Path(out) / "p.yaml"
        pipeline.write_text(
            f"pipeline:\n- video: {{ path: '{path.resolve()}' }}\n- jsonl: {{ path: '{out}/rows.jsonl' }}\n"
            f"- {{ from: video, snapshot: {{ path: '{out}/{{seq}}.png' }} }}\n"
        )
        done = run(program, "run", "--quiet", pipeline)
        rows = Path(out) / "rows.jsonl"
        if not rows.exists():
            return [], [], done.stderr.decode().strip().splitlines()[-1:]
        times = [json.loads(line)["pts_ms"] for line in rows.read_text().splitlines()]
        frames = [cv2.imread(f"{out}/{n:06d}.png") for n in range(len(times))]
        return frames, times, done.stderr.decode().strip().splitlines()[-1:] if done.returncode else []


def opencv(path):
    capture = cv2.VideoCapture(str(path))
    count, size = 0, None
    while True:
        good, frame = capture.read()
        if not good:
            return count, size
        count, size = count + 1, frame.shape[:2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ocelli", default=ROOT / "target/release/ocelli")
    parser.add_argument("files", nargs="*", type=Path)
    args = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        files = args.files
        if not files:
            clips = [p for p in (ROOT / "examples").rglob("*") if p.suffix in (".mp4", ".mkv", ".avi", ".y4m")]
            files = sorted(clips) + make(Path(folder))
        print("| file | ffmpeg | OpenCV | ocelli | size | levels off | ms off | |\n|---|---|---|---|---|---|---|---|")
        for path in files:
            frames, times = reference(path)
            mine, when, said = ours(args.ocelli, path)
            count, _ = opencv(path)
            sizes = {f.shape[:2] for f in mine if f is not None}
            # A picture that was cut itself is not shown.
            if path.name.startswith("cut_") and len(mine) == len(frames) - 1:
                frames, times = frames[:-1], times[:-1]
            same = len(mine) == len(frames) and sizes == {f.shape[:2] for f in frames}
            off = late = None
            if same and frames:
                off = max(float(np.abs(a.astype(int) - b).mean()) for a, b in zip(mine, frames))
                if len(times) == len(when):
                    late = max(abs(a - b) for a, b in zip(times, when))
            right = same and (off or 0) <= MOST and (late or 0) <= MS
            bad += not right
            size = ", ".join(f"{w}x{h}" for h, w in sizes)
            number = lambda v, d: "–" if v is None else f"{v:.{d}f}"
            print(f"| {path.name} | {len(frames)} | {count} | {len(mine)} | {size} | {number(off, 2)} | {number(late, 2)} | {'' if right else 'DIFFERS ' + ' '.join(said)[:160]} |", flush=True)
    print(f"\n{len(files)} files, {bad} differ", file=sys.stderr)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
