#!/usr/bin/env bash
# Installs what a fresh Debian or Ubuntu lacks to build and test Ocelli: a C++ compiler (writing MP4), make, and ffmpeg
# (the tests compare with it). Rust itself comes from https://rustup.rs. Does nothing if all is there.
set -euo pipefail

missing=()
command -v g++ >/dev/null || missing+=(g++)
command -v make >/dev/null || missing+=(make)
command -v ffmpeg >/dev/null || missing+=(ffmpeg)

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
