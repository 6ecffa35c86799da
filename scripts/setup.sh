#!/usr/bin/env bash
# Installs what the tests compare with, on Debian or Ubuntu: ffmpeg, and GStreamer's RTSP server to play from. Without
# them those tests say `skipped: …`. To build and run Ocelli, Rust (https://rustup.rs) and a C compiler are enough.
set -euo pipefail

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v ffmpeg >/dev/null || missing+=(ffmpeg)
if ! /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null || ! compgen -G "/usr/lib/*/gstreamer-1.0/libgstx264.so" >/dev/null; then
    missing+=(python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly)
fi

if [ ${#missing[@]} -gt 0 ]; then
    echo "installing: ${missing[*]}"
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if ! command -v cargo >/dev/null; then
    echo "cargo is missing: install Rust 1.92 or newer from https://rustup.rs" >&2
    exit 1
fi
cargo --version
