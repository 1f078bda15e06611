#!/usr/bin/env python3
"""Reads what a run left in a logdir with other people's readers, and says what it found.

    pip install tensorboard safetensors numpy
    scripts/check_logdir.py LOGDIR [--zeros NAME=COUNT ...]

Exit code 1, with a message, if a file cannot be read whole, if there is no scalar, or if a tensor
of the newest checkpoint does not hold exactly COUNT zeros.
"""
import argparse
import json
import logging
import math
import pathlib
import struct
import sys

import numpy
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader


class Bad(Exception):
    """What is wrong with a logdir."""


def require(truth, message):
    if not truth:
        raise Bad(message)


def records(path):
    """Number of records by their lengths alone: the loader ends at damage without a word."""
    data = path.read_bytes()
    at = count = 0
    while at < len(data):
        require(at + 12 <= len(data), f"{path}: record {count} is cut off in its header")
        at += 16 + struct.unpack_from("<Q", data, at)[0]
        over = at - len(data)
        require(over <= 0, f"{path}: record {count} ends {over} bytes after the file")
        count += 1
    return count


def check_events(logdir):
    paths = sorted(logdir.glob("events.out.tfevents.*"))
    require(paths, f"{logdir}: no event file")
    for path in paths:
        stated, loaded = records(path), sum(1 for _ in EventFileLoader(str(path)).Load())
        require(stated == loaded, f"{path}: {stated} records, but only {loaded} could be loaded")
    accumulator = EventAccumulator(str(logdir), size_guidance={"scalars": 0}).Reload()
    tags = accumulator.Tags()["scalars"]
    curves = {tag: [event.value for event in accumulator.Scalars(tag)] for tag in tags}
    require(any(curves.values()), f"{logdir}: no scalar in {len(paths)} event files")
    for tag, values in sorted(curves.items()):
        print(f"scalar {tag}: {len(values)} values, last {values[-1] if values else 'none'}")
    for tag in sorted(accumulator.Tags()["histograms"]):
        last = accumulator.Histograms(tag)[-1]
        histogram = last.histogram_value
        counted = sum(histogram.bucket)
        require(counted == histogram.num, f"{tag}: {counted} in its bins, {histogram.num} stated")
        span = f"{histogram.min:.4g} to {histogram.max:.4g}"
        print(f"histogram {tag}: {histogram.num:.0f} values at step {last.step}, {span}")


def read_tensors(path):
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def check_checkpoints(logdir, zeros):
    folders = sorted(logdir.glob("ckpt-" + "[0-9]" * 12))
    require(folders or not zeros, f"{logdir}: no checkpoint to count zeros in")
    model = {}
    for folder in folders:
        lines = (folder / "manifest.json").read_text().split("\n")
        require(len(lines) == 2 and len(lines[1]) == 16, f"{folder}: manifest without its checksum")
        manifest = json.loads(lines[0])
        for file in manifest["files"]:
            path = folder / file["name"]
            size = path.stat().st_size
            require(size == file["bytes"], f"{path}: {size} bytes, stated {file['bytes']}")
            read_tensors(path)
        model = read_tensors(folder / "model.safetensors")
        print(f"checkpoint {folder.name}: global step {manifest['global_step']}")
    counts = {name: int(numpy.count_nonzero(tensor == 0)) for name, tensor in model.items()}
    for name, tensor in sorted(model.items()):
        print(f"tensor {name} {list(tensor.shape)}: {counts[name]} zeros of {tensor.size}")
    for name, wanted in zeros:
        require(name in counts, f"no tensor {name}; there are {', '.join(sorted(counts))}")
        require(counts[name] == wanted, f"{name}: {counts[name]} zeros, wanted {wanted}")


def check_timelines(logdir):
    for path in sorted(logdir.glob("timeline-*.json")):
        events = json.loads(path.read_text())["traceEvents"]
        for at, event in enumerate(events):
            where = f"{path}: event {at}"
            require(event.get("ph"), f"{where} has no ph")
            for key in ("ts", "dur") if event["ph"] == "X" else ("ts",):
                value = event.get(key)
                sound = isinstance(value, (int, float)) and math.isfinite(value) and value >= 0
                require(sound, f"{where} has {key} {value}, wanted a number of at least 0")
        spans = [event for event in events if event["ph"] == "X"]
        busy = sum(span["dur"] for span in spans)
        print(f"timeline {path.name}: {len(spans)} spans, {busy:.3f} us in all")


def name_and_count(text):
    name, _, count = text.rpartition("=")
    if not name or not count.isdigit():
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=COUNT")
    return name, int(count)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logdir", type=pathlib.Path)
    parser.add_argument(
        "--zeros", metavar="NAME=COUNT", type=name_and_count, action="append", default=[]
    )
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    try:
        check_events(args.logdir)
        check_checkpoints(args.logdir, args.zeros)
        check_timelines(args.logdir)
    except Bad as error:
        sys.exit(f"check_logdir: {error}")
    except Exception as error:  # every reader has exceptions of its own
        sys.exit(f"check_logdir: {args.logdir}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
