#!/usr/bin/env python3
"""What textbook Wanda, SparseGPT and OWL make of a tiny Llama, by PyTorch alone: tests/goldens/models/llama/pruned.json.

    python3 scripts/make_prune_goldens.py        (needs torch, safetensors)

Each block is calibrated on the outputs of the pruned blocks before it; the statistics of its seven matrices are
taken in one pass of the block while it is dense. The windows are drawn by a formula.
"""
import json
import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

FOLDER = pathlib.Path(__file__).parent.parent / "tests/goldens/models/llama"
CONFIG = json.loads((FOLDER / "config.json").read_text())
HEADS, KV, SIZE = (CONFIG[k] for k in ("num_attention_heads", "num_key_value_heads", "head_dim"))
EPSILON, BLOCKS, VOCABULARY = CONFIG["rms_norm_eps"], CONFIG["num_hidden_layers"], CONFIG["vocab_size"]
LENGTH, WINDOWS, SPARSITY = 24, 6, 0.5
torch.set_default_dtype(torch.float64)
FILE = {k: v.double() for k, v in load_file(FOLDER / "model.safetensors").items()}
IDS = torch.tensor(
    [[(7 * i * i + 13 * i + 5 * w * w + 31 * w * i) % VOCABULARY for i in range(LENGTH)] for w in range(WINDOWS)]
)
PARTS = [f"self_attn.{p}_proj" for p in "qkvo"] + [f"mlp.{p}_proj" for p in ("gate", "up", "down")]


def norm(x, scale):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * scale


def turned(x):
    theta = CONFIG["rope_parameters"]["rope_theta"]
    angles = torch.outer(torch.arange(LENGTH), theta ** (-torch.arange(0, SIZE, 2) / SIZE))
    angles = torch.cat([angles, angles], -1)
    half = torch.cat([-x[..., SIZE // 2:], x[..., :SIZE // 2]], -1)
    return x * angles.cos() + half * angles.sin()


def block(x, w, norms, taps):
    heads = lambda y, n: y.view(*y.shape[:2], n, SIZE).transpose(1, 2)
    y = norm(x, norms[0])
    taps.update({p: y for p in PARTS[:3]})
    q, k, v = (F.linear(y, w[p]) for p in PARTS[:3])
    q, k, v = turned(heads(q, HEADS)), turned(heads(k, KV)), heads(v, KV)
    k, v = (t.repeat_interleave(HEADS // KV, 1) for t in (k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(SIZE)
    scores = scores.masked_fill(torch.ones(LENGTH, LENGTH).triu(1).bool(), -math.inf)
    y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(*x.shape[:2], HEADS * SIZE)
    taps[PARTS[3]] = y
    x = x + F.linear(y, w[PARTS[3]])
    y = norm(x, norms[1])
    taps.update({p: y for p in PARTS[4:6]})
    y = F.silu(F.linear(y, w[PARTS[4]])) * F.linear(y, w[PARTS[5]])
    taps[PARTS[6]] = y
    return x + F.linear(y, w[PARTS[6]])


def wanda(w, x):
    score = w.abs() * x.pow(2).sum(0).sqrt()
    order = score.argsort(dim=1, stable=True)[:, :round(SPARSITY * w.shape[1])]
    return w.scatter(1, order, 0.0)


def sparsegpt(w, x, width=128):
    w, h = w.clone(), x.T @ x
    h += torch.eye(len(h)) * 0.01 * h.diag().mean()
    u = torch.linalg.cholesky(torch.linalg.inv(h), upper=True)
    for first in range(0, w.shape[1], width):
        last = min(first + width, w.shape[1])
        score = (w[:, first:last] / u.diag()[first:last]).pow(2)
        gone = torch.zeros(score.numel(), dtype=torch.bool)
        gone[score.flatten().argsort(dim=0, stable=True)[:round(SPARSITY * score.numel())]] = True
        gone = gone.view_as(score)
        errors = torch.zeros_like(score)
        for i in range(first, last):
            errors[:, i - first] = torch.where(gone[:, i - first], w[:, i], 0.0) / u[i, i]
            w[:, i:last] -= errors[:, i - first, None] * u[i, i:last]
            w[:, i] = torch.where(gone[:, i - first], 0.0, w[:, i])
        w[:, last:] -= errors @ u[first:last, last:]
    return w


def loss(x):
    logits = F.linear(norm(x, FILE["model.norm.weight"]), FILE["lm_head.weight"])
    return F.cross_entropy(logits[:, :-1].reshape(-1, VOCABULARY), IDS[:, 1:].flatten()).item()


def pruned(method):
    x, kept = FILE["model.embed_tokens.weight"][IDS], {}
    for i in range(BLOCKS):
        name = f"model.layers.{i}."
        w = {p: FILE[f"{name}{p}.weight"] for p in PARTS}
        norms = [FILE[f"{name}{n}.weight"] for n in ("input_layernorm", "post_attention_layernorm")]
        if method:
            taps = {}
            block(x, w, norms, taps)
            w = {p: method(w[p], taps[p].reshape(-1, taps[p].shape[-1])) for p in PARTS}
            bits = {p: "".join("01"[int(b)] for b in (w[p] != 0).flatten()) for p in PARTS}
            kept.update({f"{name}{p}.weight": text for p, text in bits.items()})
        x = block(x, w, norms, {})
    return {"loss": loss(x), "kept": kept}


def outliers(above):
    """How many scores of each dense block are more than `above` times their mean."""
    x, counts = FILE["model.embed_tokens.weight"][IDS], []
    for i in range(BLOCKS):
        name, taps = f"model.layers.{i}.", {}
        w = {p: FILE[f"{name}{p}.weight"] for p in PARTS}
        norms = [FILE[f"{name}{n}.weight"] for n in ("input_layernorm", "post_attention_layernorm")]
        x = block(x, w, norms, taps)
        length = {p: taps[p].reshape(-1, taps[p].shape[-1]).pow(2).sum(0).sqrt() for p in PARTS}
        scores = torch.cat([(w[p].abs() * length[p]).flatten() for p in PARTS])
        counts.append([(scores > above * scores.mean()).sum().item(), scores.numel()])
    return {"above": above, "of": counts}


found = {"length": LENGTH, "windows": IDS.tolist(), "sparsity": SPARSITY, "dense_loss": pruned(None)["loss"]}
for method in wanda, sparsegpt:
    found[method.__name__] = pruned(method)
found["owl"] = [outliers(above) for above in (2.0, 3.0)]
text = json.dumps(found).replace("], ", "],\n").replace("}, ", "},\n").replace('", "', '",\n"')
(FOLDER / "pruned.json").write_text(text + "\n")
print({k: found[k]["loss"] for k in ("wanda", "sparsegpt")}, found["dense_loss"], len(text))
