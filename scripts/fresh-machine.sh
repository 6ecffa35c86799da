#!/usr/bin/env bash
# The README's two commands, as written there, on a machine that has nothing but Rust and a C compiler: a minimal Debian
# root with gcc, libc6-dev, ca-certificates and git, and the Rust of this machine. Only package registries are reached.
# Prints `skipped: …` and exits with 0 if mmdebstrap is missing or if this is not root.
#
#   apt install mmdebstrap; sudo scripts/fresh-machine.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# A function is read whole before it runs, so that the script may change meanwhile.
main() {
skip() { echo "skipped: $1 (scripts/fresh-machine.sh)"; exit 0; }
command -v mmdebstrap >/dev/null || skip "install mmdebstrap"
[ "$(id -u)" -eq 0 ] || skip "run as root"

cargo_home=${CARGO_HOME:-$HOME/.cargo}
rustup_home=${RUSTUP_HOME:-$HOME/.rustup}
root=$(mktemp -d)
mounts=()
clean() {
    for at in "${mounts[@]}"; do umount "$at" || umount -l "$at" || true; done
    rm -rf --one-file-system "$root"
}
trap clean EXIT

suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
echo "== a minimal root of ${suite:-stable}"
mmdebstrap --quiet --variant=minbase --include=gcc,libc6-dev,ca-certificates,git "${suite:-stable}" "$root"
for absent in g++ make ffmpeg python3 clang; do
    ! chroot "$root" sh -c "command -v $absent" >/dev/null || { echo "$absent is there; this root is not bare" >&2; exit 1; }
done

git clone --quiet --no-hardlinks . "$root/ocelli"
bind() { mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mounts=("$root$2" "${mounts[@]}"); }
bind "$cargo_home" /opt/cargo
bind "$rustup_home" /opt/rustup
bind /dev /dev
bind /proc /proc
cp /etc/resolv.conf "$root/etc/resolv.conf"
# Every installed system and every container has one; a root that was only unpacked has none.
[ -s "$root/etc/hosts" ] || echo "127.0.0.1 localhost" > "$root/etc/hosts"
# The registry's address and certificates of this machine, if it has its own.
passed=()
while IFS= read -r name; do passed+=("$name=${!name}"); done < <(compgen -e | grep -iE '^(CARGO_|https?_proxy|no_proxy)' | grep -vE '^CARGO_(HOME|TARGET_DIR|BUILD_)' || true)
if [ -d /usr/local/share/ca-certificates ]; then
    cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
    chroot "$root" update-ca-certificates >/dev/null 2>&1
fi

inside() {
    echo; echo "== $*"
    chroot "$root" env -i "${passed[@]}" HOME=/root CARGO_HOME=/opt/cargo RUSTUP_HOME=/opt/rustup \
        PATH=/opt/cargo/bin:/usr/bin:/bin sh -c "cd /ocelli && $*" 2>&1
}

# The commands are read from the README, so that they stay the ones that are written there.
commands=$(sed -n '/^## Two commands/,/^## /p' README.md | sed -n '/^```sh$/,/^```$/p' | grep -v '^```')
[ "$(wc -l <<<"$commands")" -eq 2 ] || { echo "README.md: expected two commands, found: $commands" >&2; exit 1; }
started=$SECONDS
{ read -r first; read -r second; } <<<"$commands"
inside "$first" | cut -c1-120 | tail -14
for made in out/street.mp4 out/street.jpg; do
    [ -s "$root/ocelli/$made" ] || { echo "$made was not written" >&2; exit 1; }
done
echo "after $((SECONDS - started)) s"
inside "$second" | tee "$root/test.log" | grep -E -A2 '^(test result|skipped:|failures:|error)|FAILED|panicked' | grep -vE '^(--)?$' || true
passed_tests=$(awk '/^test result:/ { sum += $4 } END { print sum+0 }' "$root/test.log")
failed_tests=$(awk '/^test result:/ { sum += $6 } END { print sum+0 }' "$root/test.log")
skipped_tests=$(grep -o "skipped: .*" "$root/test.log" | sort -u | wc -l)
echo "after $((SECONDS - started)) s"
echo "bare machine: $passed_tests passed, $failed_tests failed, $skipped_tests skipped"
[ "$failed_tests" -eq 0 ] && [ "$passed_tests" -gt 0 ] && ! grep -q "^error" "$root/test.log"
}
main; exit
