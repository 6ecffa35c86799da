#!/usr/bin/env bash
# The kernels' tests on an emulated 64-bit ARM processor (NEON): random nets, nets on integers, and every operator.
# On Debian: gcc-aarch64-linux-gnu, qemu-user, libc6:arm64 (`dpkg --add-architecture arm64` first), and Rust's standard
# library for that target (`rustup target add aarch64-unknown-linux-gnu`, or libstd-rust-dev:arm64).
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
skip() { echo "skipped: $1 (scripts/arm-check.sh)"; exit 0; }
command -v qemu-aarch64 > /dev/null || skip "install qemu-user"
command -v aarch64-linux-gnu-gcc > /dev/null || skip "install gcc-aarch64-linux-gnu"
# The cross compiler's C library (/usr/aarch64-linux-gnu) will not do: with Debian 12's, pthread_create hangs under QEMU.
[ -e /lib/ld-linux-aarch64.so.1 ] || skip "install libc6:arm64"
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
echo 'fn main() {}' > "$probe/main.rs"
"${RUSTC:-rustc}" --target $target --emit metadata --out-dir "$probe" "$probe/main.rs" 2> /dev/null \
    || skip "install Rust's standard library: rustup target add $target"

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /"
"${CARGO:-cargo}" test --release --no-default-features --target $target --test blocks --test operators
