#!/usr/bin/env python3
"""Prunes tiny models with secateur, and holds the folders that come out to transformers.

    python3 scripts/check_pretrained.py SECATEUR [FOLDER ...]      (needs torch, transformers, safetensors)

Without folders: the language models of tests/goldens/models. Each is given a tokenizer of its own, whose words are w0,
w1, ..., is pruned, evaluated by secateur, loaded by transformers from the folder that came out, and must have the same
loss there to 2e-4; what was pruned must be exact zeros, and nothing else may have changed but weights of blocks. One
folder of each is then trained on by `secateur train --init`: it must have the loss that secateur ends with, and no
other zeros.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

MODELS = "llama", "llama3_rope", "mistral", "qwen2", "qwen3", "gpt2"
GOLDENS = pathlib.Path(__file__).parent.parent / "tests/goldens/models"
LENGTH, WINDOWS = 20, 8


def tokenizer(words):
    model = {"type": "WordLevel", "vocab": {f"w{i}": i for i in range(words)}, "unk_token": "w0"}
    none = ("truncation", "padding", "normalizer", "post_processor", "decoder")
    splits = {"type": "Whitespace"}
    return {"version": "1.0", "added_tokens": [], "pre_tokenizer": splits, "model": model, **dict.fromkeys(none)}


def run(*args):
    done = subprocess.run([str(a) for a in args] + ["--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(secateur, folder, work, how):
    source, out = work / folder.name, work / f"{folder.name}-{how[0]}"
    if not source.exists():
        source.mkdir()
        for file in ("config.json", "model.safetensors"):
            (source / file).write_bytes((folder / file).read_bytes())
    words = json.loads((source / "config.json").read_text())["vocab_size"]
    (source / "tokenizer.json").write_text(json.dumps(tokenizer(words)))
    ids = torch.tensor([(11 * i * i + 7 * i + 3) % words for i in range(LENGTH * WINDOWS)])
    text = work / f"{folder.name}.txt"
    text.write_text(" ".join(f"w{i}" for i in ids.tolist()))
    data = ("--data", f"text:{text}", "--length", LENGTH)
    report = run(secateur, "prune", source, "-o", out, "--score", *how, *data, "--samples", WINDOWS)
    ours = run(secateur, "eval", out, *data)
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    with torch.no_grad():
        windows = ids.view(WINDOWS, LENGTH)
        logits = model(windows).logits
        loss = F.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), windows[:, 1:].flatten()).item()
    assert abs(loss - ours["loss"]) <= 2e-4, (folder.name, how, loss, ours["loss"])
    before, after = load_file(source / "model.safetensors"), load_file(out / "model.safetensors")
    assert before.keys() == after.keys()
    pruned = {w["name"]: w["nonzero"] for b in report["blocks"] for w in b["weights"]}
    for name, tensor in after.items():
        assert tensor.dtype == before[name].dtype and tensor.shape == before[name].shape, name
        if name in pruned:
            assert int((tensor != 0).sum()) == pruned[name], name
        else:
            assert torch.equal(tensor, before[name]), name
    assert pruned, folder.name
    losses = f"loss {ours['loss']:.6f}, by transformers {loss:.6f}"
    print(f"{folder.name:12} {how[0]:10} {losses}; {len(pruned)} weights pruned")


def recover(secateur, folder, work):
    source, out, text = work / f"{folder.name}-wanda", work / f"{folder.name}-trained", work / f"{folder.name}.txt"
    ids = [int(word[1:]) for word in text.read_text().split()]
    data = ("--data", f"text:{text}", "--test", text, "--length", LENGTH, "--batch", 2)
    how = ("--steps", 6, "--lr", 0.003, "--accumulate", 2, "--logdir", work / f"{folder.name}-run", "-o", out)
    ours = run(secateur, "train", "--init", source, *data, *how)["test_loss"]
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    rows = torch.tensor([ids[i : i + LENGTH + 1] for i in range(0, len(ids) - LENGTH, LENGTH)])
    with torch.no_grad():
        logits = model(rows[:, :-1]).logits
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), rows[:, 1:].flatten()).item()
    assert abs(loss - ours) <= 2e-4, (folder.name, loss, ours)
    before, after = load_file(source / "model.safetensors"), load_file(out / "model.safetensors")
    assert before.keys() == after.keys()
    for name, tensor in after.items():
        assert tensor.dtype == before[name].dtype and tensor.shape == before[name].shape, name
        pruned = (before[name] == 0).float().mean() >= 0.01
        assert not pruned or torch.equal(tensor == 0, before[name] == 0), name
    print(f"{folder.name:12} {'trained':10} loss {ours:.6f}, by transformers {loss:.6f}")


secateur, folders = pathlib.Path(sys.argv[1]).resolve(), [pathlib.Path(f) for f in sys.argv[2:]]
with tempfile.TemporaryDirectory() as work:
    for folder in folders or [GOLDENS / name for name in MODELS]:
        for how in ("wanda", "--sparsity", 0.5), ("sparsegpt", "--pattern", "2:4"), ("admm", "--sparsity", 0.6):
            check(secateur, folder, pathlib.Path(work), how)
        recover(secateur, folder, pathlib.Path(work))
