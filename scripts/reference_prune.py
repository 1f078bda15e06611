#!/usr/bin/env python3
"""What textbook Wanda and SparseGPT make of a language model's folder, by PyTorch and transformers alone.

    python3 scripts/reference_prune.py FOLDER TRAIN.txt TEST.txt      (needs torch, transformers)
    python3 scripts/reference_prune.py FOLDER TRAIN.txt TEST.txt --method wanda --sparsity 0.5
    python3 scripts/reference_prune.py FOLDER TRAIN.txt TEST.txt --method wanda --sparsity 0.5 --noise 1
    python3 scripts/reference_prune.py PRUNED TRAIN.txt TEST.txt --dense

The figures that `secateur prune` and `secateur eval` are held to in docs/results.md: the first 16 windows of 512 tokens
of TRAIN.txt calibrate, the first 8 of TEST.txt are evaluated. Each block is calibrated on the outputs of the pruned
blocks before it, every window by itself: no cache of keys and values goes from one to the next.
"""
import argparse
import math
import pathlib
import time

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("train")
parser.add_argument("test")
parser.add_argument("--method", choices=["wanda", "sparsegpt"])
parser.add_argument("--sparsity", help="a share, or 2:4")
parser.add_argument("--dense", action="store_true", help="only the folder as it is, as one that secateur has pruned")
parser.add_argument("--length", type=int, default=512)
parser.add_argument("--noise", type=int, metavar="SEED",
                    help="weights differ by about a millionth: how far such differences carry")
args = parser.parse_args()


def windows(tokenizer, path, count):
    text = pathlib.Path(path).read_text()
    ids = torch.tensor(tokenizer(text, add_special_tokens=True, verbose=False).input_ids)
    return [ids[i * args.length:(i + 1) * args.length][None] for i in range(count)]


def gone_in_groups(score, m, n):
    groups = score.unflatten(1, (-1, m))
    order = groups.argsort(dim=2, stable=True)[..., :m - n]
    return torch.zeros_like(groups, dtype=torch.bool).scatter(2, order, True).flatten(1)


def wanda(w, gram, sparsity):
    score = w.abs() * gram.diag().sqrt()
    if sparsity == "2:4":
        return w.masked_fill(gone_in_groups(score, 4, 2), 0.0)
    order = score.argsort(dim=1, stable=True)[:, :round(sparsity * w.shape[1])]
    return w.scatter(1, order, 0.0)


def sparsegpt(w, gram, sparsity, width=128):
    w, h = w.double(), gram.double()
    silent = h.diag() == 0
    h[silent, silent] = 1.0
    w[:, silent] = 0.0
    h += torch.eye(len(h), dtype=h.dtype) * 0.01 * h.diag().mean()
    u = torch.linalg.cholesky(torch.linalg.inv(h), upper=True)
    for first in range(0, w.shape[1], width):
        last = min(first + width, w.shape[1])
        gone = torch.zeros(w.shape[0], last - first, dtype=torch.bool)
        if sparsity != "2:4":
            score = (w[:, first:last] / u.diag()[first:last]).pow(2)
            low = score.flatten().argsort(stable=True)[:round(sparsity * score.numel())]
            gone.view(-1)[low] = True
        errors = torch.zeros_like(w[:, first:last])
        for i in range(first, last):
            if sparsity == "2:4" and i % 4 == 0:
                score = (w[:, i:i + 4] / u.diag()[i:i + 4]).pow(2)
                gone[:, i - first:i - first + 4] = gone_in_groups(score, 4, 2)
            lost = gone[:, i - first]
            errors[:, i - first] = torch.where(lost, w[:, i], 0.0) / u[i, i]
            w[:, i:last] -= errors[:, i - first, None] * u[i, i:last]
            w[:, i] = torch.where(lost, 0.0, w[:, i])
        w[:, last:] -= errors @ u[first:last, last:]
    return w.float()


def prune(model, calibration, method, sparsity):
    """Catches what goes into the first block, then takes block after block."""
    blocks, caught = model.model.layers, []

    def catch(_, given, named):
        caught.append((given[0], named))
        raise StopIteration

    hook = blocks[0].register_forward_pre_hook(catch, with_kwargs=True)
    for ids in calibration:
        try:
            model.model(ids, use_cache=False)
        except StopIteration:
            pass
    hook.remove()
    states, rest = [x for x, _ in caught], caught[0][1]
    def forward(block, x):
        y = block(x, **rest)
        return y if torch.is_tensor(y) else y[0]

    for block in blocks:
        products = [m for m in block.modules() if isinstance(m, torch.nn.Linear)]
        grams = {m: torch.zeros(m.in_features, m.in_features) for m in products}

        def look(module, given, _):
            x = given[0].flatten(0, -2)
            grams[module] += x.T @ x

        hooks = [m.register_forward_hook(look) for m in products]
        for x in states:
            forward(block, x)
        for hook in hooks:
            hook.remove()
        for m in products:
            # Files keep the dtype that they had.
            m.weight.data = method(m.weight.data, grams[m], sparsity).bfloat16().float()
        states = [forward(block, x) for x in states]


@torch.no_grad()
def main():
    tokenizer = AutoTokenizer.from_pretrained(args.folder)
    calibration, test = windows(tokenizer, args.train, 16), windows(tokenizer, args.test, 8)
    rows = [(None, None)]
    methods = {"wanda": wanda, "sparsegpt": sparsegpt}
    for name in [] if args.dense else [args.method] if args.method else methods:
        sparsities = [args.sparsity] if args.sparsity else ["0.5", "0.6", "2:4"]
        rows += [(name, s if ":" in s else float(s)) for s in sparsities]
    for name, sparsity in rows:
        model = AutoModelForCausalLM.from_pretrained(args.folder, dtype=torch.float32)
        if args.noise is not None:
            torch.manual_seed(args.noise)
            for weight in model.parameters():
                weight *= 1 + 1e-6 * torch.randn_like(weight)
        began = time.time()
        if name:
            prune(model, calibration, methods[name], sparsity)
        seconds = time.time() - began
        losses = []
        for ids in test:
            logits = model(ids, use_cache=False).logits[0, :-1]
            losses.append(F.cross_entropy(logits, ids[0, 1:]).item())
        perplexity = math.exp(sum(losses) / len(losses))
        print(f"{name or 'as it is':<10} {sparsity or '':<5} {perplexity:9.4f}   {seconds:6.1f} s", flush=True)


main()
