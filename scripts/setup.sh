#!/usr/bin/env bash
# Installs what a fresh Debian or Ubuntu lacks to build and test Ocelli: a C++ compiler (to write MP4), make, libclang (for
# cameras), ffmpeg (the tests compare with it) and GStreamer's RTSP server (the tests play from it).
# Rust itself comes from https://rustup.rs. Does nothing if everything is installed.
set -euo pipefail

missing=()
command -v g++ >/dev/null || missing+=(g++)
command -v make >/dev/null || missing+=(make)
command -v ffmpeg >/dev/null || missing+=(ffmpeg)
# libclang-cpp.so, which other packages install, is a different library.
compgen -G "/usr/lib/llvm-*/lib/libclang[-.][0-9s]*" >/dev/null || compgen -G "/usr/lib/*/libclang[-.][0-9s]*" >/dev/null || missing+=(libclang-dev)
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
