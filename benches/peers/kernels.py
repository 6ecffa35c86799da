"""The time of each kind of step over all nets of the bench, with each kind of kernels, and its share of what the core can do.

kernels.py ENGINE CARD_FOLDER…
"""
import collections
import os
import re
import subprocess
import sys

NAMES = ["plain", "avx2", "avxvnni", "avx512", "vnni"]
HEAD = """
## Kernels

All steps of these nets on one thread, by kind: the sum of the shortest times with plain Rust, and with each kind of kernels as
a part of that. "G/s" are billions of products a second with the last kind; its share is of {floats:.0f} for floats and
{bytes:.0f} for 8-bit integers, which are what one core does with independent vectors in registers.

| step | nets | plain ms | avx2 | avxvnni | avx512 | vnni | G/s | share |
|---|---|---|---|---|---|---|---|---|"""


def ask(engine, lines, kernels=None, homes=()):
    """What the engine prints for these lines."""
    environment = {**os.environ, **({"OCELLI_KERNELS": kernels} if kernels else {})}
    command = [engine, "1", *map(str, homes)]
    done = subprocess.run(command, input="\n".join(lines) + "\n", stdout=subprocess.PIPE, env=environment, text=True, check=True)
    return done.stdout.splitlines()


def kind(name):
    """`conv 3x3/1 16->32 @80x80` is of the kind `conv 3x3/1`; the first layers stand alone."""
    name = re.sub(r"\(.*|\[.*", "", name) if not name.startswith("Act(") else name
    first = re.search(r" [13]->", name)
    return re.sub(r" \d+->.*", "", name).strip() + (" of pixels" if first and "depthwise" not in name else "")


def steps(engine, kernels, homes):
    """Nanoseconds, products and nets of each kind of step."""
    found = collections.defaultdict(lambda: [0.0, 0.0, set()])
    for home in homes:
        for line in ask(engine, [f"profile:{2 if kernels == 'plain' else 20} {home.name}"], kernels, [home]):
            step = re.match(r"(.+?) +([\d.]+) us +[\d.]+ % +([\d.]+) GMAC/s", line)
            if step:
                row = found[kind(step[1])]
                time = float(step[2]) * 1e3
                row[0], row[1] = row[0] + time, row[1] + time * float(step[3])
                row[2].add(home.name)
    return found


def table(engine, homes):
    """Lines of Markdown."""
    floats, levels = (float(line) for line in ask(engine, ["peak floats", "peak bytes"]))
    all_of = {}
    for name in NAMES:
        try:
            all_of[name] = steps(engine, name, homes)
        except subprocess.CalledProcessError:
            # A processor without it.
            pass
    lines = HEAD.format(floats=floats, bytes=levels).splitlines()
    last = all_of[[name for name in NAMES if name in all_of][-1]]
    # A strip is several kinds at once.
    for name, (time, products, nets) in sorted(last.items(), key=lambda item: -item[1][0]):
        plain = all_of["plain"].get(name, [0])[0]
        if "," in name or time < 10e3 or not plain:
            continue
        parts = [f"{all_of[of][name][0] / plain:.2f}" if of in all_of and name in all_of[of] else "" for of in NAMES[1:]]
        rate, peak = products / time, levels if name.startswith("int8") else floats
        share = f"{rate:.0f} | {rate / peak * 100:.0f} %" if rate >= 1 and peak else "|"
        lines.append(f"| {name} | {len(nets)} | {plain / 1e6:.2f} | {' | '.join(parts)} | {share} |")
    return lines


if __name__ == "__main__":
    from pathlib import Path

    print("\n".join(table(sys.argv[1], [Path(home) for home in sys.argv[2:]])))
