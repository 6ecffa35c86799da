#!/usr/bin/env bash
# Runs `ocelli run` with `camera` against virtual cameras of Debian's kernel in an emulated machine: YUYV, NV12 and
# MJPEG, with colours compared, and a camera that is unplugged and plugged in again. Takes under five minutes. Nothing is
# installed, and no camera is needed. Prints `skipped: …` and exits with 0 if packages are missing.
#
#   apt install qemu-system-x86 busybox-static cpio kmod v4l-utils ffmpeg linux-headers-amd64 gcc make
#   bash scripts/camera-check.sh
set -euo pipefail
cd "$(dirname "$0")/.."
work=target/camera-check
mkdir -p "$work"
started=$(date +%s)

skip() { echo "skipped: camera check: $*"; exit 0; }
for program in qemu-system-x86_64 busybox cpio modprobe v4l2-ctl ffmpeg dpkg-deb gcc make; do
    PATH=$PATH:/sbin:/usr/sbin command -v $program >/dev/null || skip "$program is missing (apt install qemu-system-x86 busybox-static cpio kmod v4l-utils ffmpeg linux-headers-amd64 gcc make)"
done
export PATH=$PATH:/sbin:/usr/sbin
image=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p' | head -1)
[ -n "$image" ] || skip "apt does not know linux-image-amd64 (run apt-get update)"
version=${image#linux-image-}

# The unpacked kernel with its modules, and v4l2loopback for MJPEG, which the driver `vivid` does not produce.
if [ ! -d "$work/k/lib/modules/$version" ]; then
    (cd "$work" && apt-get download -qq "$image" 2>/dev/null && dpkg-deb -x "${image}"_*.deb k && rm -f "${image}"_*.deb) || skip "$image cannot be downloaded"
fi
headers=/usr/src/linux-headers-$version
if [ ! -f "$work/loop/v4l2loopback.ko" ]; then
    [ -d "$headers" ] || skip "$headers is missing (apt install linux-headers-$version)"
    (cd "$work" && apt-get download -qq v4l2loopback-dkms 2>/dev/null && dpkg-deb -x v4l2loopback-dkms_*.deb l) || skip "v4l2loopback-dkms cannot be downloaded"
    rm -rf "$work/loop" && cp -r "$work"/l/usr/src/v4l2loopback-* "$work/loop"
    make -s -C "$headers" M="$PWD/$work/loop" modules >"$work/loop.log" 2>&1 || { tail "$work/loop.log"; exit 1; }
fi

cargo build --release --bin ocelli
ffmpeg -v error -y -f lavfi -i smptebars=size=640x480:rate=1 -frames:v 1 -q:v 3 "$work/bars.jpg"

# A root file system: busybox, the modules, ocelli with its libraries.
root=$work/root
rm -rf "$root" && mkdir -p "$root"/{bin,dev,proc,sys,tmp,modules}
cp "$(command -v busybox)" "$root/bin/busybox"
put() {
    cp -L "$1" "$root/bin/"
    ldd "$1" | grep -o '/[^ ]*' | while read -r library; do mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library"; done
}
put target/release/ocelli
put "$(command -v v4l2-ctl)"
depmod -b "$work/k" "$version" 2>/dev/null || true
modprobe -d "$work/k" -S "$version" --show-depends vivid | while read -r kind path rest; do
    [ "$kind" = insmod ] || continue
    cp "$path" "$root/modules/" && basename "$path" >>"$root/modules/list"
done
cp "$work/loop/v4l2loopback.ko" "$root/modules/" && echo v4l2loopback.ko >>"$root/modules/list"
cp "$work/bars.jpg" "$root/bars.jpg"

camera() { # name, settings: writes a pipeline with a camera, its rows and one picture
    printf 'pipeline:\n  - camera: { %s }\n  - jsonl\n  - { snapshot: { path: "/tmp/%s.png" }, every: 1h }\n' "$2" "$1" >"$root/$1.yaml"
}
camera yuyv 'device: 0, size: [640, 360], fps: 30, formats: [yuyv]'
camera nv12 'device: 0, size: [640, 360], fps: 30, formats: [nv12]'
camera rgb 'device: 0, size: [640, 360], fps: 30, formats: [rgb], controls: { brightness: 128 }'
camera mjpeg 'device: 9, size: [640, 480], formats: [mjpeg]'
camera unplug 'device: 0, size: [640, 360], fps: 30, formats: [yuyv]'
camera fatal 'device: 0, size: [640, 360], fps: 30, formats: [yuyv]'
# A bundled pipeline, with its model.
cp -r models "$root/models" && cp pipelines/live/door.yaml "$root/door.yaml"
camera wrong 'device: 0, size: [641, 360]'

cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp
export OCELLI_LOG=warn,ocelli=info
for m in $(cat /modules/list); do
    options=""
    [ $m = vivid.ko ] && options="n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0 multiplanar=1"
    [ $m = v4l2loopback.ko ] && options="video_nr=9 card_label=loop exclusive_caps=0"
    insmod /modules/$m $options || echo "FAILED $m"
done
run() { # name, seconds
    verb="run /$1.yaml"
    case $1 in yuyv | mjpeg) verb="record /$1.yaml --to /tmp/flight-$1" ;; esac
    timeout -s INT $2 ocelli $verb >/tmp/$1.jsonl 2>/tmp/$1.log
    echo "RESULT $1 exit=$? frames=$(cat /tmp/$1.jsonl /out/$1.jsonl 2>/dev/null | wc -l)"
    sed "s/^/LOG $1 /" /tmp/$1.log
    [ -f /tmp/$1.png ] && { echo "PICTURE $1 BEGIN"; base64 /tmp/$1.png; echo "PICTURE END"; }
}
echo "== devices"; ocelli devices 2>&1 | head -40
run door 10; run yuyv 4; run nv12 4; run rgb 4; run wrong 4
# The loopback device gets one JPEG per write, from one open file, and then nothing: the camera stalls.
v4l2-ctl -d /dev/video9 --set-fmt-video-out=width=640,height=480,pixelformat=MJPG -c keep_format=1 >/dev/null 2>&1 || echo "FAILED loopback"
( exec 3>/dev/video9; n=0; while [ $n -lt 80 ]; do dd if=/bars.jpg bs=1M >&3 2>/dev/null; usleep 50000; n=$((n+1)); done; sleep 20 ) &
sleep 1; run mjpeg 9
( sleep 3; v4l2-ctl -d /dev/video0 -c disconnect=1 2>&1 ) &
run unplug 9
echo "BEFORE $(grep -c . /tmp/unplug.jsonl)"
( sleep 3; v4l2-ctl -d /dev/video0 -c inject_fatal_streaming_error=1 2>&1 ) &
run fatal 9
# The replay of a recording must produce the same rows, and JPEGs must be stored as they arrived.
for name in yuyv mjpeg; do
    ocelli replay /$name.yaml --from /tmp/flight-$name --drops -q >/tmp/replay.jsonl 2>/tmp/replay.log
    cmp -s /tmp/$name.jsonl /tmp/replay.jsonl && echo "REPLAY $name same rows=$(wc -l </tmp/replay.jsonl)" || sed "s/^/LOG replay /" /tmp/replay.log
done
echo "JPEGS $(cat /tmp/flight-mjpeg/*.flight | grep -a -o '"form":"jpeg"' | wc -l)"
echo "== done"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/root.gz"

# Guest time follows executed instructions, and idle time is skipped, so a busy host cannot make this flaky.
timeout 280 qemu-system-x86_64 -M q35 -accel tcg -cpu max -smp 1 -m 768 -icount shift=2,sleep=off -nographic -nic none \
    -no-reboot -kernel "$work/k/boot/vmlinuz-$version" -initrd "$work/root.gz" -append "console=ttyS0 quiet panic=-1" \
    </dev/null 2>&1 | tr -d '\r' >"$work/console.log" || true
sed '/^PICTURE .* BEGIN$/,/^PICTURE END$/d' "$work/console.log" | grep -E '^(RESULT|LOG|FAILED|==|/dev|  )' || true

fail() { echo "camera check failed: $*"; exit 1; }
grep -q '^== done' "$work/console.log" || fail "the machine did not finish; see $work/console.log"
! grep -q '^FAILED' "$work/console.log" || fail "a module or device failed; see $work/console.log"
frames() { sed -n "s/^RESULT $1 .*frames=//p" "$work/console.log"; }
for name in yuyv nv12 rgb mjpeg; do
    [ "$(frames $name)" -ge 20 ] || fail "$name: $(frames $name) frames"
    sed -n "/^PICTURE $name BEGIN$/,/^PICTURE END$/p" "$work/console.log" | grep -v ^PICTURE | base64 -d >"$work/$name.png"
    # 75 % colour bars: 8 columns from vivid (the last is black), 7 from ffmpeg. JPEG and YUV round: 6 levels.
    columns=8; [ $name = mjpeg ] && columns=7
    bars=$(ffmpeg -v error -i "$work/$name.png" -vf "crop=iw:8:0:ih/2,format=rgb24" -f rawvideo - | od -An -v -tu1 -w3 | awk -v columns=$columns '
        { x = (NR - 1) % 640; b = int(x * columns / 640); middle = (b + 0.5) * 640 / columns
          if (x > middle - 8 && x < middle + 8) { r[b] += $1; g[b] += $2; u[b] += $3; n[b]++ } }
        function off(v, want) { return v > want + 6 || v < want - 6 }
        END { split("1 1 0 0 1 1 0", R, " "); split("1 1 1 1 0 0 0", G, " "); split("1 0 1 0 1 0 1", B, " ")
              for (b = 0; b < 7; b++) { r[b] /= n[b]; g[b] /= n[b]; u[b] /= n[b]; printf "%d/%d/%d ", r[b], g[b], u[b]
                  if (off(r[b], 191 * R[b + 1]) || off(g[b], 191 * G[b + 1]) || off(u[b], 191 * B[b + 1])) printf "WRONG " } }')
    echo "$name: $(frames $name) frames; bars $bars"
    [[ $bars != *WRONG* ]] || fail "$name: expected white, yellow, cyan, green, magenta, red and blue at level 191"
done
grep -q '^LOG wrong .*does not offer 641x360' "$work/console.log" || fail "the log does not explain the wrong size"
[ "$(frames door)" -ge 3 ] || fail "door: $(frames door) frames"
for name in unplug fatal; do
    grep -q "^LOG $name .*back after" "$work/console.log" || fail "$name: the camera did not come back"
done
grep -q '^LOG mjpeg .*stalled' "$work/console.log" || fail "mjpeg: the stall was not detected"
for name in yuyv mjpeg; do
    grep -q "^REPLAY $name same" "$work/console.log" || fail "$name: the replay produced different rows"
done
[ "$(sed -n 's/^JPEGS //p' "$work/console.log")" = "$(frames mjpeg)" ] || fail "mjpeg: JPEGs were not stored as they arrived"
echo "camera check passed in $(($(date +%s) - started)) s"
