"""How far our answers in 8 bits are from those in floats, on a real picture."""
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
from nets import FLOATS, is_rounded

HEAD = """
## 8 bits against floats

Our answers of the `int8` rows on a photograph (`field/images/{picture}`), compared with those in floats of the same net: the
correlation of each output with its counterpart, the least of them; for class maps, the share of pixels with the same class.
`tests/blocks.rs` checks that 8-bit answers are those of ONNX Runtime, bit by bit: what is lost is lost by the file. (The field's
`yolox_nano_qdq` is a poor one: ONNX Runtime's answers for it correlate with those in floats by 0.925, too.)

| net | compared with | correlation or share |
|---|---|---|"""
PICTURE = "pets.jpg"


def outputs(engine, home, picture, folder):
    """What a net answers to a picture; one list of floats."""
    name = home.name
    side = [int(word) for word in (home / "card.yaml").read_text().split("size: [")[1].split("]")[0].split(",")]
    pixels, values = Path(folder, "pixels"), Path(folder, "values")
    pixels.write_bytes(cv2.cvtColor(cv2.resize(picture, side), cv2.COLOR_BGR2RGB).tobytes())
    lines = f"picture:{pixels} {name}\nlengths {name}\ndump:{values} {name}\n"
    done = subprocess.run([engine, "1", str(home)], input=lines, stdout=subprocess.PIPE, text=True, check=True)
    lengths = [int(word) for word in done.stdout.splitlines()[2].split()]
    return np.split(np.fromfile(values, np.float32), np.cumsum(lengths)[:-1])


def alike(ours, floats):
    """Correlation, which does not depend on what a level stands for, or the share of equal classes."""
    if np.array_equal(floats, np.floor(floats)) and np.array_equal(ours, np.floor(ours)) and floats.max() < 256:
        return (ours == floats).mean()
    return float(np.corrcoef(ours, floats)[0, 1])


def table(given, found):
    """Lines of Markdown."""
    if not given.field:
        return []
    picture = cv2.imread(str(given.field / "images" / PICTURE))
    lines = HEAD.format(picture=PICTURE).splitlines()
    with tempfile.TemporaryDirectory() as folder:
        for name, (home, _) in found.items():
            if not is_rounded(name):
                continue
            other = FLOATS.get(name)
            floats = home.parent / other if other else given.folder / "floats" / name
            pair = [outputs(given.engine, of, picture, folder) for of in (home, floats)]
            least = min(alike(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(*pair))
            lines.append(f"| {name} | {other or 'the same file without roundings'} | {least:.4f} |")
    return lines
