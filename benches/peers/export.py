"""Nets for the comparison, with random weights: speed does not depend on them. `export.py FOLDER` writes ONNX files."""
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import nn


class UNet(nn.Module):
    """A small U-Net: 16 to 128 channels, transposed convolutions upward."""

    def __init__(self):
        super().__init__()
        sides = [16, 32, 64, 128]

        def block(a, b):
            return nn.Sequential(
                nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
                nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
            )

        self.down = nn.ModuleList([block(a, b) for a, b in zip([3] + sides[:-1], sides)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in zip(sides[:-1], sides[1:])])
        self.join = nn.ModuleList([block(2 * a, a) for a in sides[:-1]])
        self.last = nn.Conv2d(sides[0], 2, 1)

    def forward(self, x):
        kept = []
        for at, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if at else x)
            kept.append(x)
        for at in reversed(range(3)):
            x = self.join[at](torch.cat([self.up[at](x), kept[at]], 1))
        return self.last(x)


class Heads(nn.Module):
    """torchvision's SSDLite without its decoding: the raw heads."""

    def __init__(self):
        super().__init__()
        self.net = torchvision.models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)

    def forward(self, x):
        heads = self.net.head(list(self.net.backbone(x).values()))
        return heads["bbox_regression"], heads["cls_logits"]


class Yolo(nn.Module):
    """Ultralytics' YOLOv8n without its decoding: the maps of its head."""

    def __init__(self):
        super().__init__()
        from ultralytics.nn.tasks import DetectionModel

        self.net = DetectionModel("yolov8n.yaml", verbose=False).fuse(verbose=False)
        self.head = self.net.model[-1]

    def forward(self, x):
        kept = []
        for layer in self.net.model[:-1]:
            source = layer.f
            if source != -1:
                x = kept[source] if isinstance(source, int) else [x if at == -1 else kept[at] for at in source]
            x = layer(x)
            kept.append(x)
        maps = [kept[at] for at in self.head.f]
        return [torch.cat([box(m), score(m)], 1) for box, score, m in zip(self.head.cv2, self.head.cv3, maps)]


NETS = {
    "mobilenet_v2_224": (lambda: torchvision.models.mobilenet_v2(weights=None), 224),
    "ssdlite_320": (Heads, 320),
    "yolov8n_320": (Yolo, 320),
    "resnet18_224": (lambda: torchvision.models.resnet18(weights=None), 224),
    "unet_256": (UNet, 256),
}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    for name, (make, side) in NETS.items():
        path = folder / f"{name}.onnx"
        if path.exists():
            continue
        net = make().eval()
        # Running means and variances as after some training, so that activations stay finite.
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
        picture = torch.rand(1, 3, side, side)
        with torch.no_grad():
            torch.onnx.export(net, (picture,), path, opset_version=17, input_names=["images"], dynamo=False)
        print(f"exported {name}")
    rounded(folder, "yolov8n_320", 320)


class Pictures(CalibrationDataReader):
    """Noise: with random weights, no picture is better."""

    def __init__(self, side):
        random = np.random.default_rng(2)
        self.left = [{"images": random.random((1, 3, side, side), np.float32)} for _ in range(4)]

    def get_next(self):
        return self.left.pop() if self.left else None


def rounded(folder, name, side):
    """The same net by ONNX Runtime's quantizer: u8 activations, i8 weights for each channel."""
    path = folder / f"{name}_int8.onnx"
    if not path.exists():
        quantize_static(
            folder / f"{name}.onnx", path, Pictures(side), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )
        print(f"rounded {name}")


main()
