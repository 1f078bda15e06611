#!/usr/bin/env python3
"""Many small weights as a safetensors file, for docs/benchmarks.md: tiny_tensors.py FILE [N]"""
import array
import json
import random
import struct
import sys

SIDE = 16

count = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
size = SIDE * SIDE * 4
header = {}
for i in range(count):
    offsets = [i * size, (i + 1) * size]
    tensor = {"dtype": "F32", "shape": [SIDE, SIDE], "data_offsets": offsets}
    header[f"layers.{i:05}.weight"] = tensor
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
noise = random.Random(1)
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    for _ in range(count):
        file.write(array.array("f", (noise.gauss(0, 1) for _ in range(SIDE * SIDE))).tobytes())
