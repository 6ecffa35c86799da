"""The nets of the comparison: where they come from, what we want to reach, and a card for each."""
import hashlib
import re
from pathlib import Path

# Made by export.py: name, what it reads, the side of its picture.
EXPORTED = {"mobilenet_v2_224": 224, "ssdlite_320": 320, "yolov8n_320": 320, "resnet18_224": 224, "unet_256": 256}
# Of the field: the card beside the tests.
FIELD = {
    "yolox_nano": "yolox_nano", "nanodet": "nanodet", "ultraface_raw": "ultraface_raw", "deeplab_v3_257": "deeplab_v3_257",
    "mobilenet_v2_deq": "mobilenet_v2_deq", "face_mask": "face_mask", "fastestdet": "fastestdet", "yunet": "yunet",
}
# On integers, of the field: the card, and the file that ONNX Runtime runs beside it.
INTEGERS = {
    "mobilenet_v2_quant_f32out": "mobilenet_v2_1.0_224_quant_f32out.onnx",
    "ssd_mobilenet_v1": "ssd_mobilenet_v1_coco_quant_raw.onnx",
    "deeplab_v3": "deeplabv3_mnv2_pascal_quant.onnx",
    "yolox_nano_qdq": "yolox_nano.onnx",
    "mobilenet_v1_quant_f32out": "mobilenet_v1_0.25_128_quant_f32out.onnx",
    "vww_f32out": "vww_96_int8_f32out.onnx",
}
# Rounded by export.py, beside the net in floats that they are compared with.
ROUNDED = {"yolov8n_320_int8": "yolov8n_320"}
# What LiteRT runs: the files that the ONNX files were made of.
LITE = {
    "ssd_mobilenet_v1": "ssd_mobilenet_v1_coco_quant.tflite",
    "deeplab_v3": "deeplabv3_mnv2_pascal_quant.tflite",
    "mobilenet_v1_quant_f32out": "mobilenet_v1_0.25_128_quant.tflite",
    "vww_f32out": "vww_96_int8.tflite",
}
# The nets in floats that the answers in 8 bits are compared with; the others with themselves without their roundings.
FLOATS = {"yolox_nano_qdq": "yolox_nano", "yolov8n_320_int8": "yolov8n_320"}
# What we want to reach: parts of ONNX Runtime's time on one thread.
TARGETS = {
    "mobilenet_v2_224": 0.9, "ssdlite_320": 0.95, "yolov8n_320": 0.75, "yolox_nano": 0.95, "nanodet": 0.7, "ultraface_raw": 0.6,
    "deeplab_v3_257": 0.9, "unet_256": 0.7, "ssd_mobilenet_v1": 0.45, "deeplab_v3": 0.4, "mobilenet_v2_quant_f32out": 0.35,
    "yolox_nano_qdq": 0.5, "yolov8n_320_int8": 0.5,
}
CARD = """model: {{ file: {name}.onnx, sha256: {hash}, license: none, source: benches/peers/export.py }}
input: {{ size: [{side}, {side}], fit: stretch, color: rgb, layout: nchw, dtype: f32, mean: [0, 0, 0], std: [255, 255, 255] }}
family: {{ classifier: {{ output: logits }} }}
labels: labels.txt
"""


def is_rounded(name):
    return name in INTEGERS or name in ROUNDED


def cards(folder: Path, field: Path | None):
    """Folders with a card for each net, and the path of the graph that ONNX Runtime runs."""
    found = {}
    for name, side in (EXPORTED | {name: EXPORTED[of] for name, of in ROUNDED.items()}).items():
        text = CARD.format(name=name, side=side, hash=hash_of(folder / f"{name}.onnx"))
        home = folder / "cards" / name
        write(home, text.replace("license:", "precision: int8, license:") if name in ROUNDED else text)
        (home / "labels.txt").write_text("\n".join(str(at) for at in range(1000)))
        link(home / f"{name}.onnx", folder / f"{name}.onnx")
        found[name] = (home, folder / f"{ROUNDED.get(name, name)}.onnx")
    for name, card in (FIELD | {name: name for name in INTEGERS}).items() if field else ():
        text = Path(f"tests/cards/{card}.yaml").read_text()
        home = folder / "cards" / name
        if name in INTEGERS:
            # The same without its roundings, for their accuracy.
            write(folder / "floats" / name, text.replace("\n  license:", "\n  precision: float\n  license:", 1))
            text = text.replace("\n  license:", "\n  precision: int8\n  license:", 1)
        write(home, text)
        for file in re.findall(r"(?:file|labels|values|csv): *([\w.\-]+)", text):
            for place in (home, folder / "floats" / name):
                if (field / "models" / file).exists() and place.exists():
                    link(place / file, field / "models" / file)
        file = INTEGERS.get(name) or re.search(r"file: ([\w.\-]+)", text)[1]
        found[name] = (home, field / "models" / file)
    return found


def write(home, card):
    home.mkdir(parents=True, exist_ok=True)
    (home / "card.yaml").write_text(card)


def hash_of(path: Path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def link(at: Path, to: Path):
    if not at.exists():
        at.symlink_to(to.resolve())
