#!/usr/bin/env python3
"""Writes small sets of labels below OUT_FOLDER, and OUT_FOLDER/expected.json: the objects that the reference readers
find in them.

usage: label-numbers.py OUT_FOLDER

    pip install pycocotools==2.0.11 torch==2.15.0 torchvision==0.29.2 ultralytics==8.4.190 Pillow==13.0.0 numpy==2.4.6

The pictures (64x48 to 320x180) and labels are made here. expected.json is a list of cases:

    case, form           name; coco, voc, yolo, masks or folders
    labels, reader       the label file or folder (every path is relative to OUT_FOLDER); package and version
    objects              picture -> [[class, x1, y1, x2, y2, crowd, difficult], ...] in the reader's order, which is
                         not always the file's; null where the reader gives nothing
    sizes                picture -> [width, height], as the reader says
    classes              names in the order of their numbers; coco: [id, name]
    error, errors        what the reader raised; picture -> why the reader left this picture out
    warnings             picture -> what the reader said while it kept the picture
    mask_boxes           coco: picture -> box of the decoded segmentation of each object, or null
    torchvision          coco: what CocoDetection answers: "same" or an error
    elsewhere            yolo: what differs where the working folder is not that of data.yaml (null: nothing)
    modes, histograms    masks: picture -> Pillow's mode; -> value (or r,g,b) -> pixels
    note                 what the reader does with what is odd here

COCO boxes are [x, y, x + w, y + h] as loadAnns gives x, y, w, h. VOC numbers are as written: neither is 1 subtracted
nor is a box clipped. YOLO numbers are centre and size, which the reader holds as float32, times the picture's size,
to 3 decimals, not clipped.
"""

import argparse
import contextlib
import io
import json
import logging
import math
import os
import re
import shutil
import struct
import tempfile
import zlib
from pathlib import Path

SCRATCH = Path(tempfile.mkdtemp())
os.environ.update(YOLO_CONFIG_DIR=str(SCRATCH / "settings"), YOLO_OFFLINE="true")
(SCRATCH / "settings").mkdir()

import numpy as np  # noqa: E402
import PIL  # noqa: E402
import torchvision  # noqa: E402
import ultralytics  # noqa: E402
import ultralytics.data.utils as ultralytics_utils  # noqa: E402
from importlib.metadata import version  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402
from pycocotools import mask as rle  # noqa: E402
from pycocotools.coco import COCO  # noqa: E402
from torchvision.datasets import CocoDetection, ImageFolder, VOCDetection, VOCSegmentation  # noqa: E402
from ultralytics.data.dataset import YOLODataset  # noqa: E402
from ultralytics.utils import LOGGER  # noqa: E402

PYCOCOTOOLS = f"pycocotools {version('pycocotools')}"
TORCHVISION = f"torchvision {torchvision.__version__.split('+')[0]}"
ULTRALYTICS = f"ultralytics {ultralytics.__version__}"
PILLOW = f"Pillow {PIL.__version__}"
SIZES = {"a": (64, 48), "b": (160, 120), "c": (320, 180), "d": (100, 75)}
GROUND = {"a": (70, 90, 110), "b": (120, 110, 80), "c": (60, 100, 70), "d": (130, 130, 130)}
NOTHING = [None] * 4

ultralytics_utils.check_font = lambda *_: None  # it fetches a font for plots
ultralytics_utils.DATASETS_DIR = SCRATCH / "datasets"


def picture(path, kind="a", turn=None):
    """One of the four pictures; turn is the orientation that EXIF gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = SIZES[kind]
    image = Image.new("RGB", (width, height), GROUND[kind])
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 8, height // 6, width // 2, height // 2), fill=(200, 60, 50))
    draw.rectangle((width // 2, height // 2, width * 7 // 8, height * 5 // 6), fill=(50, 60, 200))
    extra = {}
    if turn:
        exif = Image.Exif()
        exif[274] = turn
        extra["exif"] = exif
    image.save(path, **extra)


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))


def said(error, out):
    text = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else str(error)
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    for path, word in ((out, "OUT"), (SCRATCH, "ELSEWHERE")):
        text = text.replace(str(path.resolve()), word).replace(str(path), word)
    text = re.sub(r"\s*\n?Note dataset download directory.*", "", text, flags=re.S)
    return " ".join(text.split())[:300]


def finite(value):
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None


# ---- COCO ----

SQUARE = [[8, 8, 32, 8, 32, 24, 8, 24]]


def box(number=1, image=1, category=1, **more):
    row = {"id": number, "image_id": image, "category_id": category, "bbox": [8, 8, 24, 16], "area": 384, "iscrowd": 0}
    row.update(more)
    return {key: value for key, value in row.items() if value is not Ellipsis}


def coco(annotations, **more):
    """A COCO file of two pictures and three classes, one of them unused."""
    images = [("a", "a.jpg"), ("b", "sub/b.png")]
    whole = {
        "info": {"description": "made"},
        "images": [dict(zip(("id", "file_name", "width", "height"), (i + 1, name, *SIZES[kind]))) for i, (kind, name) in enumerate(images)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 7, "name": "unused"}],
        "annotations": annotations,
    }
    whole.update(more)
    return {key: value for key, value in whole.items() if value is not Ellipsis}


def image(number, name="a.jpg", kind="a", **more):
    row = {"id": number, "file_name": name, "width": SIZES[kind][0], "height": SIZES[kind][1]}
    row.update(more)
    return {key: value for key, value in row.items() if value is not Ellipsis}


def coco_cases():
    ring = np.zeros((48, 64), np.uint8, order="F")
    ring[10:30, 20:50] = 1
    ring[15:20, 30:40] = 0
    runs, last, count = [], 0, 0
    for level in ring.flatten(order="F").tolist():
        if level != last:
            runs.append(count)
            last, count = level, 0
        count += 1
    plain = {"size": [48, 64], "counts": runs + [count]}
    packed = {"size": [48, 64], "counts": rle.encode(ring)["counts"].decode()}
    two = [box(1), box(2, 2, 3, bbox=[16.5, 20.25, 64, 40.5], segmentation=[[16.5, 20.25, 80.5, 20.25, 80.5, 60.75]])]
    return {
        "plain": (coco(two), "a folder in file_name, an unused class, gaps in the ids of classes"),
        "polygons": (coco([box(segmentation=SQUARE), box(2, segmentation=SQUARE + [[40, 30, 60, 30, 50, 40]])]), "the box is bbox whatever the polygon says"),
        "crowd-rle": (coco([box(iscrowd=1, segmentation=plain, bbox=[20, 10, 30, 20]), box(2)]), "counts as a list: runs of 0 and 1 by column"),
        "crowd-rle-packed": (coco([box(iscrowd=1, segmentation=packed, bbox=[20, 10, 30, 20])]), "counts as a string"),
        "string-ids": (coco([box(1, "1"), box(2, "2")], images=[image("1"), image("2", "sub/b.png", "b")]), "works; torchvision only because each id is one character long"),
        "string-ids-long": (coco([box(1, "11"), box(2, "12")], images=[image("11"), image("12", "sub/b.png", "b")]), "pycocotools needs the ids in a list; torchvision passes a bare string, of which each character is taken as an id"),
        "string-and-number": (coco([box(1, "1"), box(2, 1)]), "\"1\" is another id than 1: the object is in no picture"),
        "mixed-ids": (coco([box(1, "x"), box(2, 2)], images=[image("x"), image(2, "sub/b.png", "b")]), "torchvision sorts the ids"),
        "float-ids": (coco([box(1.0, 1.0, 1.0), box(2.0, 2, 3.0)]), "1.0 and 1 are the same id"),
        "string-category": (coco([box(category="1"), box(2)]), "\"1\" is another class than 1: kept without a name"),
        "iscrowd-false": (coco([box(iscrowd=False), box(2, iscrowd=True)]), "kept; false is 0"),
        "iscrowd-float": (coco([box(iscrowd=0.0), box(2, iscrowd=1.0)]), "kept; 0.0 is 0"),
        "iscrowd-null": (coco([box(iscrowd=None), box(2)]), "kept; getAnnIds(iscrowd=0) leaves it out, COCOeval raises TypeError"),
        "iscrowd-missing": (coco([box(iscrowd=...), box(2)]), "kept; getAnnIds(iscrowd=0) and COCOeval raise KeyError"),
        "area-missing": (coco([box(area=...), box(2)]), "kept; COCOeval raises KeyError"),
        "bbox-missing": (coco([box(bbox=..., segmentation=SQUARE), box(2)]), "kept without a box: loadAnns never makes one of the polygon"),
        "bbox-null": (coco([box(bbox=None, segmentation=SQUARE), box(2)]), "kept without a box"),
        "bbox-empty": (coco([box(bbox=[], segmentation=SQUARE), box(2)]), "kept with an empty list"),
        "bbox-zero": (coco([box(bbox=[8, 8, 0, 0]), box(2)]), "kept"),
        "bbox-negative-width": (coco([box(bbox=[32, 8, -24, 16]), box(2)]), "kept as written: x2 is less than x1"),
        "bbox-outside": (coco([box(bbox=[50, 40, 30, 30]), box(2, bbox=[-10, -5, 30, 30]), box(3, bbox=[500, 500, 10, 10])]), "kept as written, not clipped"),
        "bbox-strings": (coco([box(bbox=["8", "8", "24", "16"]), box(2)]), "kept as written: strings, which is no box here"),
        "bbox-five": (coco([box(bbox=[8, 8, 24, 16, 0.5]), box(2)]), "kept as written: five numbers, which is no box here"),
        "bbox-nan": (json.dumps(coco([box(bbox=[8, float("nan"), 24, 16]), box(2)])), "NaN is no JSON, and Python reads it"),
        "category-null": (coco([box(category=None), box(2)]), "kept without a name"),
        "category-missing": (coco([box(category=...), box(2)]), "refused: KeyError while the index is made"),
        "category-unknown": (coco([box(category=99), box(2)]), "kept without a name"),
        "categories-missing": (coco([box()], categories=...), "kept without names"),
        "categories-twice": (coco([box()], categories=[{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]), "the later class has the id"),
        "image-unknown": (coco([box(1, 99), box(2)]), "read, and in no picture"),
        "image-null": (coco([box(1, None), box(2)]), "read, and in no picture"),
        "image-missing": (coco([box(1, ...), box(2)]), "refused: KeyError while the index is made"),
        "images-twice": (coco([box()], images=[image(1), image(1, "sub/b.png", "b")]), "the later picture has the id, and every object"),
        "files-twice": (coco([box(), box(2, 2)], images=[image(1), image(2)]), "two ids for one file: it is read twice (listed together here)"),
        "duplicates": (coco([box(), box(2), box(3)]), "equal objects under their own ids: all kept"),
        "ids-twice": (coco([box(), box(1, bbox=[1, 2, 3, 4])]), "two objects under one id: the later one twice, the earlier one lost"),
        "id-zero": (coco([box(0), box(1, 2)]), "kept; COCOeval counts a match with id 0 as none"),
        "id-missing": (coco([box(...)]), "refused: KeyError while the index is made"),
        "size-missing": (coco([box()], images=[image(1, width=..., height=...)]), "read; only decoding of polygons needs the size"),
        "size-wrong": (coco([box(segmentation=SQUARE)], images=[image(1, width=32, height=24)]), "read; polygons are decoded at the written size"),
        "annotations-missing": (coco(...), "COCO(...) reads it; getAnnIds by picture gives nothing"),
        "annotations-null": (coco(None), "refused"),
        "annotations-empty": (coco([]), "pictures without objects"),
        "file-backslash": (coco([box(1, 2)], images=[image(2, "sub\\b.png", "b")]), "read; the file is not found where / divides folders"),
        "top-list": ([box()], "results as a list: refused"),
        "byte-order-mark": (b"\xef\xbb\xbf" + json.dumps(coco([box()])).encode(), "refused by Python's json"),
    }


def read_coco(out, name, content, note):
    path = out / "coco" / f"{name}.json"
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content, separators=(",", ":"))
    write(path, content)
    case = {"case": f"coco-{name}", "labels": f"coco/{name}.json", "form": "coco", "reader": PYCOCOTOOLS}
    try:
        coco = COCO(str(path))
        objects, sizes, masks = {}, {}, {}
        for number, row in coco.imgs.items():
            at = "coco/images/" + row["file_name"]
            sizes[at] = [row.get("width"), row.get("height")]
            objects.setdefault(at, [])
            for found in coco.loadAnns(coco.getAnnIds(imgIds=[number])):
                label = coco.cats.get(found["category_id"], {}).get("name")
                numbers = found.get("bbox")
                corners = NOTHING
                if isinstance(numbers, list) and len(numbers) == 4 and not isinstance(numbers[0], str):
                    x, y, w, h = numbers
                    corners = [finite(value) for value in (x, y, x + w, y + h)]
                objects[at].append([label, *corners, int(bool(found.get("iscrowd"))), None])
                inside = None
                if found.get("segmentation"):
                    x, y, w, h = rle.toBbox(coco.annToRLE(found)).tolist()
                    inside = [x, y, x + w, y + h]
                masks.setdefault(at, []).append(inside)
        classes = [[number, row.get("name")] for number, row in coco.cats.items()]
        case.update(classes=classes, objects=objects, sizes=sizes)
        if any(value for rows in masks.values() for value in rows):
            case["mask_boxes"] = masks
    except Exception as error:
        case["error"] = said(error, out)
    try:
        data = CocoDetection(str(out / "coco/images"), str(path))
        rows = sum(len(data[i][1]) for i in range(len(data)))
        same = rows == sum(len(rows) for rows in case["objects"].values())
        case["torchvision"] = "same" if same else f"{rows} objects"
    except Exception as error:
        case["torchvision"] = said(error, out)
    case["note"] = note
    return case


# ---- Pascal VOC ----


def thing(name="cat", corners=(8, 8, 32, 24), before="", after="", difficult="<difficult>0</difficult>"):
    label = "" if name is None else f"<name>{name}</name>"
    sides = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), corners))
    return f"<object>{label}{before}{difficult}<bndbox>{sides}</bndbox>{after}</object>\n"


def voc(*things, file="a.jpg", size="<size><width>64</width><height>48</height><depth>3</depth></size>"):
    return f"<annotation>\n<folder>f</folder><filename>{file}</filename>{size}<segmented>0</segmented>\n{''.join(things)}</annotation>\n"


def voc_cases():
    part = "<part><name>head</name><bndbox><xmin>10</xmin><ymin>9</ymin><xmax>14</xmax><ymax>12</ymax></bndbox></part>"
    hand = part.replace("head", "hand")
    more = "<pose>Left</pose><truncated>1</truncated><occluded>1</occluded>"
    attributes = "<attributes><attribute><name>colour</name><value>red</value></attribute></attributes>"
    polygon = "<polygon><x1>8</x1><y1>8</y1><x2>32</x2><y2>8</y2><x3>20</x3><y3>24</y3></polygon>"
    return {
        "plain": (voc(thing(), thing("dog", (20, 10, 60, 40))), "numbers come as strings; a pixel counted from 1 stays so"),
        "parts-after": (voc(thing(after=part + hand), thing("dog")), "parts are a list under the object and no objects"),
        "parts-before": (voc(thing(before=part), thing("dog")), "the box is the object's own, not the part's; one part is a mapping and not a list"),
        "difficult": (voc(thing(difficult="<difficult>1</difficult>"), thing("dog")), "kept"),
        "difficult-missing": (voc(thing(difficult="")), "kept; no difficult"),
        "difficult-empty": (voc(thing(difficult="<difficult/>")), "kept; an empty element vanishes"),
        "difficult-word": (voc(thing(difficult="<difficult>true</difficult>"), thing(difficult="<difficult>Unspecified</difficult>")), "kept as the word"),
        "floats": (voc(thing(corners=("8.5", "8.25", "32.75", "24.0"))), "kept as written"),
        "exponents": (voc(thing(corners=("8e0", "+8", "3.2e1", "24."))), "kept as written; Python's float reads all of these"),
        "spaces": (voc(thing(" cat ", (" 8", "8 ", "\n32\n", "\t24"))), "stripped at both ends"),
        "comma-number": (voc(thing(corners=("8,5", "8", "32", "24"))), "kept as written; no number to Python's float"),
        "occluded": (voc(thing(before=more)), "kept; truncated and occluded are there"),
        "attributes-list": (voc(thing(after=attributes)), "kept; the name of the attribute is not the name of the object"),
        "attributes-xml": (voc(thing()).replace("<object>", '<object id="3" occluded="1">').replace("<name>", '<name lang="en">'), "attributes of elements vanish"),
        "polygon": (voc(thing(after=polygon)), "kept"),
        "order": (voc("<object><bndbox><ymax>24</ymax><ymin>8</ymin><xmax>32</xmax><xmin>8</xmin></bndbox><name>cat</name></object>"), "the order of elements says nothing"),
        "order-of-sides": (voc(thing()).replace("<ymin>8</ymin><xmax>32</xmax>", "<xmax>32</xmax><ymin>8</ymin>"), "as Roboflow writes: xmin, xmax, ymin, ymax"),
        "latin-1": ('<?xml version="1.0" encoding="ISO-8859-1"?>\n' + voc(thing("caf\u00e9")), "read by the declared encoding", "latin-1"),
        "latin-1-undeclared": (voc(thing("caf\u00e9")), "refused: no UTF-8", "latin-1"),
        "utf-8-mark": ("\ufeff" + voc(thing("caf\u00e9")), "read"),
        "utf-16": ('<?xml version="1.0" encoding="UTF-16"?>\n' + voc(thing("caf\u00e9")), "read", "utf-16"),
        "comments": ("<!-- made -->\n" + voc("<!-- one -->", thing("<![CDATA[cat & dog]]>")), "comments vanish, CDATA is text"),
        "comment-in-name": (voc(thing("ca<!-- x -->t")), "the text is joined over the comment"),
        "entities": (voc(thing("cat &amp; dog &#233;")), "resolved"),
        "no-object": (voc(), "an empty list"),
        "zero": (voc(thing(corners=(0, 0, 64, 48))), "kept as written"),
        "swapped": (voc(thing(corners=(32, 24, 8, 8))), "kept as written"),
        "no-area": (voc(thing(corners=(8, 8, 8, 24))), "kept as written"),
        "outside": (voc(thing(corners=(-4, -2, 80, 60)), thing(corners=(100, 100, 120, 120))), "kept as written"),
        "duplicates": (voc(thing(), thing()), "both kept"),
        "two-boxes": (voc(thing(after="<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>")), "bndbox is a list of two here, which is no box"),
        "name-missing": (voc(thing(None)), "kept without a name"),
        "name-empty": (voc(thing("")), "kept without a name"),
        "names-two": (voc(thing("cat", before="<name>dog</name>")), "name is a list of two"),
        "box-missing": (voc("<object><name>cat</name></object>"), "kept without a box"),
        "side-missing": (voc(thing(corners=(8, 8, 32))), "kept without ymax"),
        "size-missing": (voc(thing(), size=""), "read; the size is the picture's"),
        "size-wrong": (voc(thing(), size="<size><width>0</width><height>0</height></size>"), "read; the size is the picture's"),
        "file-other": (voc(thing(), file="no-such-file.png"), "filename is not looked at: the picture is the name in the list and .jpg"),
        "turned": (voc(thing()), "EXIF says a quarter turn; the picture is read unturned"),
        "root-other": (voc(thing()).replace("annotation>", "annotations>"), "parsed, under another key"),
        "namespace": (voc(thing()).replace("<annotation>", '<annotation xmlns="urn:x">'), "every tag has the namespace in its name"),
        "no-file": ("", "refused: no element"),
        "cut": (voc(thing())[:-30], "refused"),
    }


def only(mapping, key):
    """The text under key; None where there is none, or more than one."""
    value = mapping.get(key) if isinstance(mapping, dict) else None
    return value if isinstance(value, str) else None


def number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return text


def read_voc(out, name, data, index, note):
    at = f"voc/VOCdevkit/VOC2012/JPEGImages/{name}.jpg"
    case = {"case": f"voc-{name}", "labels": f"voc/VOCdevkit/VOC2012/Annotations/{name}.xml", "form": "voc", "reader": TORCHVISION}
    try:
        found, tree = data[index]
        rows = []
        for row in tree["annotation"]["object"]:
            corners = [number(only(row.get("bndbox"), tag)) for tag in ("xmin", "ymin", "xmax", "ymax")]
            rows.append([only(row, "name"), *corners, None, number(only(row, "difficult"))])
        case.update(objects={at: rows}, sizes={at: list(found.size)})
    except Exception as error:
        case["error"] = said(error, out)
    case["note"] = note
    return case


def all_voc(out):
    root = out / "voc/VOCdevkit/VOC2012"
    cases = voc_cases()
    for name, (text, _, *encoding) in cases.items():
        write(root / "Annotations" / f"{name}.xml", text, *encoding)
        picture(root / "JPEGImages" / f"{name}.jpg", "a", 6 if name == "turned" else None)
    lists = {"trainval": "\n".join(cases) + "\n", "train": "plain  \r\n\r\nfloats", "val": "plain  1\nfloats -1\n"}
    for name, text in lists.items():
        write(root / "ImageSets/Main" / f"{name}.txt", text)
    data = VOCDetection(out / "voc", "2012", "trainval")
    for index, (name, (_, note, *_)) in enumerate(cases.items()):
        yield read_voc(out, name, data, index, note)
    for name, note in (("train", "spaces and CR are stripped; a blank line is a picture without a name, which is not found"), ("val", "class lists (name and 1, -1 or 0) are not split: not found")):
        case = {"case": f"voc-list-{name}", "labels": f"voc/VOCdevkit/VOC2012/ImageSets/Main/{name}.txt", "form": "voc", "reader": TORCHVISION}
        data = VOCDetection(out / "voc", "2012", name)
        try:
            case["objects"] = {Path(data.images[i]).relative_to(out).as_posix(): [] for i in range(len(data)) if data[i]}
        except Exception as error:
            case["error"] = said(error, out)
        yield {**case, "note": note}


# ---- YOLO ----

NAMES = "names: [cat, dog]\n"
LINE = "0 0.5 0.5 0.25 0.5\n"
OTHER = "1 0.25 0.25 0.2 0.1\n"
TRIANGLE = "0 0.1 0.1 0.6 0.1 0.3 0.7\n"
PENTAGON = "1 0.2 0.2 0.5 0.1 0.8 0.3 0.7 0.8 0.3 0.7\n"
LINES = {  # name: (label file, kind of picture)
    "box": (LINE + OTHER, "b"),
    "box-six": (LINE.strip() + " 0.9\n", "a"),
    "box-six-among-five": (LINE + OTHER.strip() + " 0.9\n", "a"),
    "box-four": ("0 0.5 0.5 0.25\n", "a"),
    "polygon": (TRIANGLE + PENTAGON, "c"),
    "polygon-two-points": ("0 0.1 0.2 0.6 0.7\n", "a"),
    "polygon-odd": ("0 0.1 0.1 0.6 0.1 0.3 0.7 0.5\n", "a"),
    "polygon-outside": ("0 -0.2 0.1 0.5 0.1 0.3 1.1\n", "a"),
    "polygon-outside-size": ("0 -0.2 0.1 1.2 0.1 0.5 0.7\n", "a"),
    "polygon-box-mixed": (LINE + PENTAGON, "c"),
    "polygon-duplicates": (TRIANGLE + TRIANGLE + PENTAGON, "a"),
    "polygon-same-box": ("0 0.1 0.1 0.6 0.1 0.3 0.7\n0 0.1 0.1 0.6 0.1 0.6 0.7 0.1 0.7\n", "a"),
    "crlf": (LINE.replace("\n", "\r\n") + OTHER.replace("\n", "\r\n"), "a"),
    "blank-lines": ("\n" + LINE + "\n  \n" + OTHER + "\n\n", "a"),
    "trailing-spaces": ("  0\t0.5  0.5 0.25 0.5   \n" + OTHER.strip() + "\t", "a"),
    "duplicates": (OTHER + LINE + OTHER + LINE, "d"),
    "duplicates-far": (PENTAGON.replace("1 ", "0 ", 1) + TRIANGLE + TRIANGLE, "d"),
    "negative": ("0 -0.1 0.5 0.25 0.5\n" + OTHER, "a"),
    "negative-little": ("0 -0.005 0.5 0.25 0.5\n" + OTHER, "a"),
    "negative-width": ("0 0.5 0.5 -0.005 0.5\n" + OTHER, "a"),
    "above-one": ("0 1.2 0.5 0.25 0.5\n" + OTHER, "a"),
    "above-one-little": ("0 1.005 0.5 0.25 0.5\n" + OTHER, "a"),
    "over-the-edge": ("0 0.95 0.5 0.4 0.5\n0 0.05 0.02 0.3 0.2\n", "c"),
    "zero-size": ("0 0.5 0.5 0 0\n" + OTHER, "a"),
    "pixels": ("0 32 24 16 24\n", "a"),
    "class-float": ("0.0 0.5 0.5 0.25 0.5\n1.0 0.25 0.25 0.2 0.1\n", "a"),
    "class-half": ("0.5 0.5 0.5 0.25 0.5\n", "a"),
    "class-beyond": ("2 0.5 0.5 0.25 0.5\n" + LINE, "a"),
    "class-negative": ("-1 0.5 0.5 0.25 0.5\n", "a"),
    "class-name": ("cat 0.5 0.5 0.25 0.5\n", "a"),
    "exponents": ("0 5e-1 .5 +0.25 0.5\n", "a"),
    "nan": ("0 nan 0.5 0.25 0.5\n", "a"),
    "commas": ("0,0.5,0.5,0.25,0.5\n", "a"),
    "comment": ("# class x y w h\n" + LINE, "a"),
    "byte-order-mark": ("\ufeff" + LINE, "a"),
    "empty": ("", "a"),
    "only-spaces": (" \n\t\n", "a"),
    "missing": (None, "d"),
    "turned": (LINE, "a"),
}
LINES_NOTE = (
    "One fault drops the whole picture and its other lines. Dropped: columns other than 5 (6 too), boxes and polygons in one file, "
    "an odd number of polygon columns, above 1.01, below -0.01, a width below 0, class 0.5, beyond the names, below 0, nan, words. "
    "Kept: up to 1.01 and down to -0.01, boxes that reach over the edge, no area. Polygons become their bounding box, and the limits are on that box's centre and size, not on the points. Equal lines "
    "(equal polygons, or equal boxes) are kept once, and then the objects come in the sorted order of their rows (of polygons: of "
    "their bytes). A missing or empty file is a picture without objects. EXIF's turn counts in the size."
)
TREES = {  # name: (data.yaml, [pictures with label files], other files, note)
    "names-list": ("train: images\nval: images\nnc: 2\n" + NAMES, ["images/a.png"], {}, "without path: the folder of data.yaml"),
    "names-map": ("train: images\nval: images\nnames:\n  1: dog\n  0: cat\n", ["images/a.png"], {}, "the order of the map says nothing"),
    "names-map-strings": ("train: images\nval: images\nnames: {'0': cat, '1': dog}\n", ["images/a.png"], {}, "numbers in quotes are numbers"),
    "names-map-gap": ("train: images\nval: images\nnames: {0: cat, 2: dog}\n", ["images/a.png"], {}, "refused: ids have to be 0 to n - 1"),
    "names-from-one": ("train: images\nval: images\nnames: {1: cat, 2: dog}\n", ["images/a.png"], {}, "refused"),
    "names-numbers": ("train: images\nval: images\nnames: [1, 2.50, yes, null]\n", ["images/a.png"], {}, "names that YAML reads as numbers and so on become Python's words for them"),
    "names-text": ("train: images\nval: images\nnames: cat\n", ["images/a.png"], {}, "one name without a list"),
    "nc-only": ("train: images\nval: images\nnc: 2\n", ["images/a.png"], {}, "names are class_0, class_1"),
    "nc-other": ("train: images\nval: images\nnc: 3\n" + NAMES, ["images/a.png"], {}, "refused: nc has to be the number of names"),
    "val-missing": ("train: images\n" + NAMES, ["images/a.png"], {}, "refused: train and val are both needed"),
    "validation": ("train: images\nvalidation: images\n" + NAMES, ["images/a.png"], {}, "validation is val"),
    "val-not-there": ("train: images\nval: none\n" + NAMES, ["images/a.png"], {}, "refused: val is looked for first"),
    "train-list": ("train: [images/p, images/q]\nval: images/p\n" + NAMES, ["images/p/a.png", "images/q/b.png", "images/r/d.png"], {}, "each folder with all below it"),
    "train-text": ("train: train.txt\nval: train.txt\n" + NAMES, ["images/a.png", "images/b.png"], {"train.txt": "./images/b.png\r\n\n./images/a.png\n"}, "./ is the folder of the list; sorted by name"),
    "train-text-bare": ("train: train.txt\nval: train.txt\n" + NAMES, ["images/a.png", "images/b.png"], {"train.txt": "images/a.png\nimages/b.png\n"}, "a path without ./ is looked for in the working folder; found there, images/a.png has no /images/ in it, so its labels are looked for beside it: pictures without objects"),
    "train-text-extra": ("train: train.txt\nval: train.txt\n" + NAMES, ["images/a.png", "images/b.png"], {"train.txt": "# list\n./images/a.png\n./images/a.png\n./images/none.png\n./images/b.png 3\n"}, "a picture listed twice is read twice (one here); one that is not there is left out with a warning; a line that does not end in a picture's suffix is no picture"),
    "train-text-data": ("train: train.txt\nval: train.txt\n" + NAMES, ["data/images/a.png"], {"train.txt": "data/images/a.png\n"}, "relative to the working folder; data/labels/a.txt is found"),
    "cvat": ("names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\n", ["images/train/a.png"], {"train.txt": "data/images/train/a.png\n"}, "as CVAT writes Ultralytics YOLO: refused, there is no val"),
    "cvat-val": ("names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\nval: train.txt\n", ["images/train/a.png"], {"train.txt": "data/images/train/a.png\n"}, "as CVAT writes Ultralytics YOLO, with val: path puts train.txt into the working folder, its lines a folder data into the same"),
    "path-dot": ("path: .\ntrain: images\nval: images\n" + NAMES, ["images/a.png"], {}, "path is relative to the working folder, not to data.yaml"),
    "path-name": ("path: path-name\ntrain: images\nval: images\n" + NAMES, ["images/a.png"], {}, "path is relative to the working folder, else to the folder of datasets in the settings: here neither"),
    "path-empty": ("path: ''\ntrain: images\nval: images\n" + NAMES, ["images/a.png"], {}, "as without path"),
    "parent": ("train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\nroboflow:\n  workspace: w\n", ["train/images/a.png", "valid/images/b.png"], {}, "../ is dropped where the folder is not there with it"),
    "parent-list": ("train: [../train/images]\nval: [../train/images]\n" + NAMES, ["train/images/a.png"], {}, "in a list ../ is not dropped"),
    "split-inside": ("train: images/train\nval: images/val\n" + NAMES, ["images/train/a.png", "images/train/deep/b.png", "images/val/d.png"], {}, "folders below are read too; labels/train/deep/b.txt"),
    "split-outside": ("train: train/images\nval: val/images\n" + NAMES, ["train/images/a.png", "val/images/b.png"], {}, "train/labels/a.txt"),
    "split-above": ("train: train\nval: train\n" + NAMES, ["train/images/a.png"], {}, "train holds images and labels: found below"),
    "images-twice": ("train: images/images\nval: images/images\n" + NAMES, ["images/images/a.png"], {}, "only the last folder named images becomes labels: images/labels/a.txt"),
    "images-part": ("train: my-images\nval: my-images\n" + NAMES, ["my-images/a.png"], {}, "a folder has to be named images as a whole: here the labels lie beside the pictures"),
    "beside": ("train: pics\nval: pics\n" + NAMES, ["pics/a.png", "pics/b.png"], {}, "no folder images: labels beside the pictures"),
    "suffixes": ("train: images\nval: images\n" + NAMES, ["images/a.b.png", "images/A.PNG", "images/d.jpeg", "images/d.png"], {"images/e.gif": "GIF89a", "images/notes.txt": "x"}, "a.b.png has a.b.txt; suffixes in any case; d.jpeg and d.png share d.txt; gif is no picture"),
    "one-class": ("train: images\nval: images\nnames: [cat]\n", ["images/a.png", "images/b.png"], {"labels/b.txt": LINE + OTHER}, "b is dropped whole: its class 1 is beyond the names"),
    "all-dropped": ("train: images\nval: images\n" + NAMES, ["images/a.png"], {"labels/a.txt": "7 0.5 0.5 0.5 0.5\n"}, "refused: no picture is left"),
    "all-empty": ("train: images\nval: images\n" + NAMES, ["images/a.png"], {"labels/a.txt": ""}, "read"),
    "segments-and-boxes": ("train: images\nval: images\n" + NAMES, ["images/a.png", "images/b.png"], {"labels/b.txt": PENTAGON}, "one file of boxes, one of polygons: boxes are kept, polygons forgotten (task detect)"),
}


def label_of(at):
    """Where the labels of a picture are looked for."""
    head, sep, tail = f"/{at}".rpartition("/images/")
    return (f"{head}/labels/{tail}" if sep else f"/{at}")[1:].rsplit(".", 1)[0] + ".txt"


class Ears(logging.Handler):
    def __init__(self):
        super().__init__()
        self.heard = []

    def emit(self, record):
        self.heard.append(record.getMessage())


def read_yolo(out, root, data, where):
    """What Ultralytics finds. data is data.yaml's path, or (pictures' folder, names)."""
    answer = {"classes": [], "objects": {}, "sizes": {}, "errors": {}, "warnings": {}}
    before, ears = os.getcwd(), Ears()
    handlers, LOGGER.handlers = LOGGER.handlers, [ears]
    os.chdir(where)
    try:
        if isinstance(data, tuple):
            names = dict(enumerate(data[1]))
            data = {"names": names, "nc": len(names), "channels": 3, "train": str(data[0])}
        else:
            data = ultralytics_utils.check_det_dataset(str(data), autodownload=False)
        answer["classes"] = [data["names"][number] for number in range(data["nc"])]
        for split in ("train", "val"):
            if data.get(split):
                found = YOLODataset(img_path=data[split], data=data, task="detect", augment=False, cache=False)
                for row in found.labels:
                    at = (where / row["im_file"]).resolve().relative_to(out).as_posix()
                    height, width = row["shape"]
                    answer["sizes"][at] = [width, height]
                    answer["objects"][at] = rows = []
                    for label, numbers in zip(row["cls"].ravel(), row["bboxes"].astype(float).tolist()):
                        x, y, w, h = numbers
                        corners = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
                        rows.append([data["names"][int(label)], *(round(value, 3) for value in corners), None, None])
    except Exception as error:
        answer = {"error": said(error, out)}
    finally:
        os.chdir(before)
        LOGGER.handlers = handlers
        for cache in list(root.rglob("*.cache")):
            cache.unlink()
    if "error" not in answer:
        for text in "\n".join(ears.heard).splitlines():
            told = re.search(r"(\S+?\.\w+): (ignoring corrupt image/label: .*|\d+ duplicate labels removed)", text)
            if told:
                at = (where / told[1]).resolve().relative_to(out).as_posix()
                which = "errors" if told[2].startswith("ignoring") else "warnings"
                answer[which][at] = said(told[2].removeprefix("ignoring corrupt image/label: "), out)
        answer["objects"] = dict(sorted(answer["objects"].items()))
    return {key: value for key, value in answer.items() if value}


def all_yolo(out):
    def case(name, labels, answer, note):
        return {"case": f"yolo-{name}", "labels": f"yolo/{labels}", "form": "yolo", "reader": ULTRALYTICS, **answer, "note": note}

    elsewhere = SCRATCH / "nowhere"
    elsewhere.mkdir()
    trees = {"lines": ("train: images\nval: images\n" + NAMES, [], {}, LINES_NOTE), **TREES}
    for name, (yaml, pictures, files, note) in trees.items():
        root = out / "yolo" / name
        write(root / "data.yaml", yaml)
        for at in pictures:
            kind = Path(at).name[0].lower()
            picture(root / at, kind if kind in SIZES else "a")
            write(root / label_of(at), LINE + OTHER if kind == "b" else LINE)
        if name == "lines":
            for stem, (text, kind) in LINES.items():
                turned = stem == "turned"
                picture(root / "images" / f"{stem}.{'jpg' if turned else 'png'}", kind, 6 if turned else None)
                if text is not None:
                    write(root / "labels" / f"{stem}.txt", text)
        for at, text in files.items():
            write(root / at, text)
        here = read_yolo(out, root, root / "data.yaml", root)
        there = read_yolo(out, root, root / "data.yaml", elsewhere)
        yield case(name, f"{name}/data.yaml", {**here, "elsewhere": None if there == here else there}, note)

    root = out / "yolo/darknet"  # as CVAT writes YOLO 1.1
    write(root / "obj.data", "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    write(root / "obj.names", "cat\ndog\n")
    write(root / "train.txt", "data/obj_train_data/a.png\ndata/obj_train_data/sub/b.png\n")
    for at, text in (("a", LINE + OTHER), ("sub/b", "")):
        picture(root / f"obj_train_data/{at}.png", at[-1])
        write(root / f"obj_train_data/{at}.txt", text)
    note = "Ultralytics reads no obj.data: it is given the folder and the names of obj.names; labels lie beside the pictures"
    yield case("darknet", "darknet/obj.data", read_yolo(out, root, (root / "obj_train_data", ["cat", "dog"]), root), note)

    root = out / "yolo/classes"  # as Label Studio writes YOLO
    write(root / "classes.txt", "cat\ndog\n")
    write(root / "notes.json", json.dumps({"categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}], "info": {"contributor": "Label Studio"}}, indent=2))
    for at, text in (("0a1b2c3d-a", LINE + OTHER), ("4e5f6a7b-b", "")):
        picture(root / f"images/{at}.png", at[-1])
        write(root / f"labels/{at}.txt", text)
    note = "Ultralytics reads no classes.txt: it is given images and the names of classes.txt"
    yield case("classes", "classes/classes.txt", read_yolo(out, root, (root / "images", ["cat", "dog"]), root), note)


# ---- masks ----


def png(levels, bits=8, colour=0, palette=None, more=b""):
    """A PNG of rows of samples: colour 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha."""

    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    height, width = levels.shape[:2]
    rows = b""
    for row in levels.reshape(height, -1):
        text = "".join(f"{int(value):0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    table = chunk(b"PLTE", bytes(sum(palette, []))) if palette else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + table + more + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def transparent():
    data = b"tRNS" + bytes([0, 255, 255])
    return struct.pack(">I", 3) + data + struct.pack(">I", zlib.crc32(data))


def mask_cases():
    base = np.zeros((48, 64), int)
    base[8:24, 8:32] = 1
    base[24:40, 32:56] = 2
    edge = base.copy()
    edge[7:8, 8:32] = 255
    colours = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    rgb = np.array(colours)[base]
    full = colours + [[i, i, i] for i in range(4, 256)]
    alpha = np.concatenate([rgb, np.full((48, 64, 1), 255)], 2)
    return {
        "palette-8": (png(edge, 8, 3, full), "indices; 255 is void"),
        "palette-8-short": (png(base, 8, 3, colours[:3]), "indices"),
        "palette-4": (png(base, 4, 3, colours), "indices, not scaled"),
        "palette-2": (png(base, 2, 3, colours), "indices, not scaled"),
        "palette-1": (png(base.clip(0, 1), 1, 3, colours[:2]), "indices, not scaled"),
        "palette-transparent": (png(base, 8, 3, colours, transparent()), "indices; transparency says nothing"),
        "grey-1": (png(base.clip(0, 1), 1), "mode 1: 0 and 1 (numpy: False and True)"),
        "grey-2": (png(base, 2), "scaled by 85: 0, 1, 2 become 0, 85, 170"),
        "grey-4": (png(base, 4), "scaled by 17: 0, 1, 2 become 0, 17, 34"),
        "grey-8": (png(edge), "as written"),
        "grey-16": (png(base * 1000, 16), "as written: numpy uint16"),
        "grey-alpha": (png(np.stack([base, np.full_like(base, 255)], 2), 8, 4), "two channels: keys are value,alpha"),
        "rgb": (png(rgb, 8, 2), "three channels: the class has to be found by its colour"),
        "rgba": (png(alpha, 8, 6), "four channels"),
        "grey-size-other": (png(base[:24, :32]), "smaller than its picture, and no error"),
    }


def histogram(image):
    levels = np.asarray(image)
    levels = levels.reshape(levels.shape[0] * levels.shape[1], -1).astype(int)
    values, counts = np.unique(levels, axis=0, return_counts=True)
    return {",".join(map(str, value)): int(count) for value, count in zip(values.tolist(), counts)}


def all_masks(out):
    root = out / "masks/VOCdevkit/VOC2012"
    cases = mask_cases()
    for name, (data, _) in cases.items():
        write(root / "SegmentationClass" / f"{name}.png", data)
        picture(root / "JPEGImages" / f"{name}.jpg")
    write(root / "ImageSets/Segmentation/train.txt", "\n".join(cases) + "\n")
    write(root / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\ndog:0,128,0::\n")
    data = VOCSegmentation(out / "masks", "2012", "train")

    def case(name, at, labels, reader, mask, note):
        known = {"modes": {at: mask.mode}, "sizes": {at: list(mask.size)}, "histograms": {at: histogram(mask)}}
        return {"case": f"masks-{name}", "labels": labels, "form": "masks", "reader": reader, **known, "note": note}

    for index, (name, (_, note)) in enumerate(cases.items()):
        at = f"masks/VOCdevkit/VOC2012/SegmentationClass/{name}.png"
        yield case(name, at, at, TORCHVISION, data[index][1], note)
    folder = "masks/roboflow/train"  # as Roboflow writes semantic masks
    picture(out / folder / "a_jpg.rf.0123.jpg")
    write(out / folder / "_classes.csv", "Pixel Value, Class\n0, background\n1, cat\n2, dog\n")
    at = f"{folder}/a_jpg.rf.0123_mask.png"
    levels = np.zeros((48, 64), int)
    levels[8:24, 8:32] = 2
    write(out / at, png(levels))
    yield case("roboflow", at, f"{folder}/_classes.csv", PILLOW, Image.open(out / at), "values are those of _classes.csv, whose fields start with a space")


# ---- folders ----


def all_folders(out):
    files = ["10/a.png", "2/b.png", "Zebra/d.PNG", "apple/a.jpg", "apple/deep/b.png", "apple/.hidden.png", ".dot/a.png", "\u00e9t\u00e9/a.png"]
    trees = {
        "train": (files, "classes are the folders in the order of code points, hidden ones too; pictures below count, hidden ones too; other files do not"),
        "empty-class": (["cat/a.png", "dog/notes.txt"], "refused: a class without a picture"),
        "no-folders": (["a.png"], "refused: no classes"),
    }
    for name, (files, note) in trees.items():
        root = out / "folders" / name
        for at in files:
            if at.endswith(".txt"):
                write(root / at, "no picture\n")
            else:
                picture(root / at, Path(at).stem if Path(at).stem in SIZES else "a")
        if name == "train":
            write(root / "apple/notes.txt", "no picture\n")
            write(root / "notes.txt", "no picture\n")
        case = {"case": f"folders-{name}", "labels": f"folders/{name}", "form": "folders", "reader": TORCHVISION}
        try:
            data = ImageFolder(str(root))
            objects, sizes = {}, {}
            for index, (path, number) in enumerate(data.samples):
                at = Path(path).relative_to(out).as_posix()
                sizes[at] = list(data[index][0].size)
                objects[at] = [[data.classes[number], 0, 0, *sizes[at], None, None]]
            case.update(classes=data.classes, objects=objects, sizes=sizes)
        except Exception as error:
            case["error"] = said(error, out)
        yield {**case, "note": note}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", metavar="OUT_FOLDER", type=Path)
    out = parser.parse_args().out.resolve()
    for part in ("coco", "voc", "yolo", "masks", "folders"):
        shutil.rmtree(out / part, ignore_errors=True)
    picture(out / "coco/images/a.jpg")
    picture(out / "coco/images/sub/b.png", "b")
    with contextlib.redirect_stdout(io.StringIO()):  # what the readers print of their progress
        cases = [read_coco(out, name, content, note) for name, (content, note) in coco_cases().items()]
        for make in (all_voc, all_yolo, all_masks, all_folders):
            cases += make(out)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, allow_nan=False) for case in cases)
    write(out / "expected.json", f"[\n{lines}\n]\n")
    shutil.rmtree(SCRATCH)
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    main()
