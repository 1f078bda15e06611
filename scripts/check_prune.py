#!/usr/bin/env python3
"""Checks `secateur prune` on its own terms, with numpy: the masks recomputed by sorting, bit for bit.

    check_prune.py IN.safetensors OUT.safetensors REPORT.json --sparsity 0.5 [--scope layer|global] [--block 4x4]
    check_prune.py IN.safetensors OUT.safetensors REPORT.json --nm 2:4

REPORT.json is what `secateur prune --json` printed: it says which tensors were pruned, and along which axis.
Needs numpy and safetensors. Exits with 1 and names the tensor at the first difference.
"""
import argparse
import json
import struct
import sys

import numpy as np
from safetensors import safe_open

WIDTH = {"F32": 4, "F16": 2, "BF16": 2}


def header(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length)), 8 + length


def raw(path, info, start):
    begin, end = info["data_offsets"]
    return np.fromfile(path, dtype=np.uint8, count=end - begin, offset=start + begin)


def magnitudes(data, dtype):
    """|w| as integers that order as |w| does; f16 and bf16 widened to f32 first."""
    if dtype == "F32":
        bits = data.view(np.uint32)
    elif dtype == "BF16":
        bits = data.view(np.uint16).astype(np.uint32) << 16
    else:
        bits = data.view(np.float16).astype(np.float32).view(np.uint32)
    return bits & 0x7FFFFFFF


def block_means(scores, shape, block):
    """Mean magnitude of each block, as bits of an f32; the last axis is the columns."""
    values = scores.view(np.float32).astype(np.float64).reshape(-1, shape[-1])
    rows, columns = (np.arange(0, n, size) for n, size in zip(values.shape, block))
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    heights, widths = (np.diff(np.append(edges, n)) for edges, n in zip((rows, columns), values.shape))
    return (sums / np.outer(heights, widths)).astype(np.float32).view(np.uint32).reshape(-1)


def spread(mask, shape, block):
    """The mask of blocks as one of elements."""
    columns = shape[-1]
    rows = int(np.prod(shape)) // columns
    grid = mask.reshape(-(-rows // block[0]), -(-columns // block[1]))
    return grid.repeat(block[0], axis=0)[:rows].repeat(block[1], axis=1)[:, :columns].reshape(-1)


def keep_groups(scores, shape, axis, n, m):
    """N:M along an axis: of every m the n highest stay, of equal scores the first."""
    moved = np.moveaxis(scores.reshape(shape).astype(np.int64), axis, -1)
    order = np.argsort(-moved.reshape(-1, m), axis=1, kind="stable")
    kept = np.zeros(order.shape, dtype=bool)
    np.put_along_axis(kept, order[:, :n], True, axis=1)
    return np.moveaxis(kept.reshape(moved.shape), -1, axis).reshape(-1)


def keep(scores, sparsity):
    """True for what stays: of equal scores the first."""
    count = int(np.round(np.float64(len(scores)) * sparsity))
    # Stable on the reversed array: of equal scores the last come first, and go first.
    order = len(scores) - 1 - np.argsort(scores[::-1], kind="stable")
    kept = np.ones(len(scores), dtype=bool)
    kept[order[:count]] = False
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("report")
    parser.add_argument("--sparsity", type=float)
    parser.add_argument("--scope", choices=["layer", "global"], default="layer")
    parser.add_argument("--nm", type=lambda text: tuple(int(n) for n in text.split(":")))
    parser.add_argument("--block", type=lambda text: tuple(int(n) for n in text.split("x")))
    args = parser.parse_args()
    if (args.sparsity is None) == (args.nm is None):
        parser.error("one of --sparsity and --nm")
    (before, start), (after, start_after) = header(args.before), header(args.after)
    if before != after or start != start_after:
        sys.exit("the headers differ")
    before.pop("__metadata__", None)
    names = sorted(before, key=lambda n: before[n]["data_offsets"])
    with open(args.report) as file:
        plans = {t["name"]: t for t in json.load(file)["tensors"]}
    chosen = [n for n in names if plans[n]["fate"] == "pruned"]
    scores = {n: magnitudes(raw(args.before, before[n], start), before[n]["dtype"]) for n in chosen}
    if args.block:
        scores = {n: block_means(scores[n], before[n]["shape"], args.block) for n in chosen}
    if args.nm:
        masks = {n: keep_groups(scores[n], before[n]["shape"], plans[n]["axis"], *args.nm) for n in chosen}
    elif args.scope == "global":
        kept = keep(np.concatenate([scores[n] for n in chosen]), args.sparsity)
        ends = np.cumsum([len(scores[n]) for n in chosen])
        masks = dict(zip(chosen, np.split(kept, ends[:-1])))
    else:
        masks = {n: keep(scores[n], args.sparsity) for n in chosen}
    if args.block:
        masks = {n: spread(masks[n], before[n]["shape"], args.block) for n in chosen}
    for name in names:
        want = raw(args.before, before[name], start)
        if name in masks:
            want = want.reshape(-1, WIDTH[before[name]["dtype"]]).copy()
            want[~masks[name]] = 0
            want = want.reshape(-1)
        if not np.array_equal(want, raw(args.after, before[name], start)):
            sys.exit(f"{name} differs")
    with safe_open(args.after, framework="numpy") as file:
        if set(file.keys()) != set(names):
            sys.exit("safetensors reads other names")
    weights = sum(len(masks[n]) for n in chosen)
    zeros = sum(int((~masks[n]).sum()) for n in chosen)
    print(f"{len(chosen)} of {len(names)} tensors, {weights} weights, {zeros} pruned: masks identical")


if __name__ == "__main__":
    main()
