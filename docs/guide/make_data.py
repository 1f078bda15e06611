#!/usr/bin/env python3
"""Makes small data to try the tutorials with. Needs nothing but Python.

    make_data.py table FILE.csv       400 rows: three numbers, a colour, and one of three species
    make_data.py pictures FOLDER      240 PNG files of 16x16 in a folder for each of three classes
    make_data.py llama FOLDER         the tests' Llama of two blocks, with a tokenizer of 101 words
    make_data.py texts FOLDER         train.txt and test.txt of these words
"""
import json
import math
import random
import shutil
import struct
import sys
import zlib
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "tests/goldens/models"
WORDS = 101


def table(path):
    noise = random.Random(1)
    species = {"amber": (2, 5, 1), "birch": (4, 3, 2), "cedar": (3, 4, 4)}
    rows = ["width,height,weight,colour,species"]
    for i in range(400):
        name = list(species)[i % 3]
        sizes = [f"{noise.gauss(mean, 0.6):.2f}" for mean in species[name]]
        rows.append(",".join([*sizes, noise.choice(["red", "white"]), name]))
    path.write_text("\n".join(rows) + "\n")


def png(path, rows):
    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def pictures(folder):
    noise = random.Random(1)
    waves = {"rows": (0, 1), "columns": (1, 0), "slopes": (1, 1)}
    for name, (right, down) in waves.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(80):
            begin = noise.uniform(0, 6.28)
            light = lambda x, y: 128 + 90 * math.sin(begin + right * x + down * y)
            rows = [[int(light(x, y) + noise.uniform(-37, 37)) for x in range(16)] for y in range(16)]
            png(folder / name / f"{i:02}.png", rows)


def text(count, seed):
    """Words of which each mostly says the next one, so that there is something to learn."""
    noise, word, words = random.Random(seed), 0, []
    for _ in range(count):
        word = (word * 7 + 3) % WORDS if noise.random() < 0.8 else noise.randrange(WORDS)
        words.append(f"w{word}")
    return " ".join(words)


def llama(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "model.safetensors"):
        shutil.copy(MODELS / "llama" / file, folder)
    none = ("truncation", "padding", "normalizer", "post_processor", "decoder")
    vocabulary = {f"w{i}": i for i in range(WORDS)}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w0"},
        **dict.fromkeys(none),
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def texts(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.txt").write_text(text(4000, 1))
    (folder / "test.txt").write_text(text(1000, 2))


MAKES = {"table": table, "pictures": pictures, "llama": llama, "texts": texts}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in MAKES:
        sys.exit(__doc__)
    MAKES[sys.argv[1]](Path(sys.argv[2]))
