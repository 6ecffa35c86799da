"""What people write instead: OpenCV, ONNX Runtime and numpy. YOLOX-nano on a video, one row of JSON a frame.

script.py MODEL VIDEO THREADS > ROWS
"""
import json
import sys

import cv2
import numpy as np
import onnxruntime as ort

SIDE, LEAST, OVERLAP = 416, 0.3, 0.45


def grids():
    centres, strides = [], []
    for stride in (8, 16, 32):
        side = SIDE // stride
        y, x = np.mgrid[:side, :side]
        centres.append(np.stack([x, y], -1).reshape(-1, 2))
        strides.append(np.full((side * side, 1), stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def main():
    model, video, threads = sys.argv[1:4]
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(threads)
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    cv2.setNumThreads(int(threads))
    centres, strides = grids()
    capture = cv2.VideoCapture(video)
    number = 0
    while True:
        good, frame = capture.read()
        if not good:
            break
        height, width = frame.shape[:2]
        ratio = min(SIDE / height, SIDE / width)
        small = cv2.resize(frame, (int(width * ratio), int(height * ratio)))
        canvas = np.full((SIDE, SIDE, 3), 114, np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small
        tensor = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None], np.float32)
        (out,) = session.run(None, {"images": tensor})
        out = out[0]
        scores = out[:, 5:] * out[:, 4:5]
        classes = scores.argmax(1)
        best = scores[np.arange(len(out)), classes]
        keep = best >= LEAST
        centre = (out[keep, :2] + centres[keep]) * strides[keep]
        size = np.exp(out[keep, 2:4]) * strides[keep]
        boxes = np.concatenate([centre - size / 2, size], 1) / ratio
        found = []
        if len(boxes):
            kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), best[keep].tolist(), classes[keep].tolist(), LEAST, OVERLAP)
            for at in np.array(kept).flatten():
                x, y, w, h = boxes[at].tolist()
                found.append({"class": int(classes[keep][at]), "score": float(best[keep][at]), "box": [x, y, x + w, y + h]})
        print(json.dumps({"frame": number, "detections": found}))
        number += 1


main()
