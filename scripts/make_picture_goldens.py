#!/usr/bin/env python3
"""What Pillow, transformers and torchvision make of a tiny picture: tests/goldens/pictures.json.

    python3 scripts/make_picture_goldens.py        (needs pillow, torchvision, transformers)

The picture is drawn by a formula. timm evaluates by torchvision's transforms, which stand for it here. Of the
processors of transformers the ones on Pillow are taken; those on torchvision are up to 1 of 255 apart, which is
printed.
"""
import json
import pathlib

import numpy as np
import torch
from PIL import Image
from torchvision import transforms as tv
from transformers.models.bit import image_processing_bit, image_processing_pil_bit
from transformers.models.convnext import image_processing_convnext, image_processing_pil_convnext
from transformers.models.deit import image_processing_deit, image_processing_pil_deit
from transformers.models.vit import image_processing_pil_vit, image_processing_vit

HEIGHT, WIDTH = 11, 16
y, x, c = np.meshgrid(range(HEIGHT), range(WIDTH), range(3), indexing="ij")
PICTURE = Image.fromarray(((37 * y * y + 23 * x * x + 71 * c + 11 * x * y) % 256).astype(np.uint8))
SIZES = [6, 5], [11, 7], [24, 16], [19, 31], [30, 5]
PROCESSORS = [
    ("ViT", image_processing_pil_vit, image_processing_vit, {"size": {"height": 7, "width": 7}, "resample": 2}),
    ("ViT", image_processing_pil_vit, image_processing_vit, {"size": 6, "do_normalize": False, "resample": 3}),
    ("ConvNext", image_processing_pil_convnext, image_processing_convnext,
     {"size": {"shortest_edge": 7}, "crop_pct": 0.7}),
    ("DeiT", image_processing_pil_deit, image_processing_deit, {"size": [9, 9], "crop_size": 6, "do_rescale": False}),
    ("Bit", image_processing_pil_bit, image_processing_bit, {"size": 9, "crop_size": {"height": 6, "width": 6}}),
]


def values(array):
    """Channels last."""
    return [round(float(v), 6) for v in np.moveaxis(np.asarray(array), 0, -1).flatten()]


resized = []
for how in range(6):
    for height, width in SIZES:
        pixels = np.asarray(PICTURE.resize((width, height), how))
        resized.append({"resample": how, "size": [height, width], "bytes": pixels.tobytes().hex()})
prepared = []
for name, on_pillow, on_torch, settings in PROCESSORS:
    if isinstance(settings["size"], list):
        settings["size"] = dict(zip(("height", "width"), settings["size"]))
    of = getattr(on_pillow, f"{name}ImageProcessorPil")(**settings)
    pixels = of(PICTURE)["pixel_values"][0]
    other = getattr(on_torch, f"{name}ImageProcessor")(**settings)(PICTURE)["pixel_values"][0]
    by = 1.0 if not of.do_rescale else 1 / 255
    apart = np.abs(np.asarray(other) - pixels) * (np.asarray(of.image_std)[:, None, None] if of.do_normalize else 1)
    print(name, pixels.shape, "by torchvision apart", apart.max() / by, "of 255")
    file = {k: v for k, v in of.to_dict().items() if k != "rescale_factor"}
    prepared.append({"model_type": "vit", "file": file, "side": pixels.shape[1], "values": values(pixels)})
for interpolation, share, side in ("bicubic", 0.7, 7), ("bilinear", 1.0, 8):
    mean, std = [0.4, 0.5, 0.45], [0.2, 0.3, 0.25]
    steps = [
        tv.Resize(int(side / share), tv.InterpolationMode(interpolation)),
        tv.CenterCrop(side),
        tv.ToTensor(),
        tv.Normalize(torch.tensor(mean), torch.tensor(std)),
    ]
    file = {"input_size": [3, side, side], "interpolation": interpolation, "crop_pct": share, "mean": mean, "std": std}
    pixels = tv.Compose(steps)(PICTURE)
    prepared.append({"timm": file, "side": side, "values": values(pixels)})
path = pathlib.Path(__file__).parent.parent / "tests/goldens/pictures.json"
text = json.dumps({"resized": resized, "prepared": prepared}, separators=(",", ":"))
path.write_text(text.replace("},{", "},\n{") + "\n")
print(len(text))
