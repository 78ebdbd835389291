"""Run an exported file with ONNX Runtime and OpenCV, without actionstream.

actionstream export motion -o motion.onnx
python demos/exported.py motion.onnx film.mp4
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime

path, video = sys.argv[1:]
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
says = json.loads(session.get_modelmeta().custom_metadata_map["actionstream"])
card, size = says["card"], says["card"]["preprocessing"]
state = {f"state_{n}": np.zeros((1, *shape), np.float32) for n, shape in enumerate(says["state"])}

capture = cv2.VideoCapture(video)
due = 0.0  # seconds of the next frame that the model wants
while True:
    there, picture = capture.read()
    if not there:
        break
    seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    if seconds < due - 0.001:
        continue
    due = max(due + card["interval_seconds"], seconds)
    if size["short_side"]:  # crop the centre so that the short side has this scale
        side = min(picture.shape[:2]) / size["short_side"]
        picture = cv2.getRectSubPix(
            picture,
            (round(size["width"] * side), round(size["height"] * side)),
            ((picture.shape[1] - 1) / 2, (picture.shape[0] - 1) / 2),
        )
    pixels = cv2.resize(picture, (size["width"], size["height"]), interpolation=cv2.INTER_AREA)
    pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    scores, *new = session.run(None, {"pixels": pixels[None, None], **state})
    state = dict(zip(state, new, strict=True))
    label = card["labels"][scores[0, 0].argmax()]
    print(f"{seconds:7.2f} s  {label}")
