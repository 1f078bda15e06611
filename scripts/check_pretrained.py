#!/usr/bin/env python3
"""Prunes tiny models with secateur, and holds the folders that come out to transformers.

    python3 scripts/check_pretrained.py SECATEUR [FOLDER ...]      (needs torch, transformers, safetensors)

Without folders: the language models of tests/goldens/models. Each is given a tokenizer of its own, whose words are w0,
w1, ..., is pruned, evaluated by secateur, loaded by transformers from the folder that came out, and must have the same
loss there to 2e-4; what was pruned must be exact zeros, and nothing else may have changed but weights of blocks.
Then whole heads and channels are taken out, as far as each architecture's settings can say it: transformers loads the
smaller folder, and it has the loss that secateur finds, or the outputs of the whole model with zeros for these units.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageClassification

MODELS = "llama", "llama3_rope", "mistral", "qwen2", "qwen3", "gpt2"
# What loads them, and what is taken out of each.
AUTO = dict.fromkeys(("llama", "llama3", "mistral", "qwen2", "qwen3", "gpt2"), AutoModelForCausalLM)
AUTO |= {"bert": AutoModel, "vit": AutoModelForImageClassification}
REMOVE = {"llama": "heads=0.5,channels=0.25", "llama3_rope": "heads=2", "mistral": "heads=0.5,channels=0.5",
          "qwen2": "channels=0.5", "qwen3": "heads=0.5,channels=0.5", "gpt2": "channels=0.25"}
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
    return data, windows


def smaller(secateur, source, work, remove, data=()):
    """What transformers loads of the folder without these units, and the report; all tensors must have their places."""
    out = work / f"{source.name}-smaller"
    report = run(secateur, "prune", source, "-o", out, "--remove", remove, *data)
    model, loading = AUTO[source.name.split("_")[0]].from_pretrained(out, dtype=torch.float32, output_loading_info=True)
    wrong = {key: names for key, names in loading.items() if names and "position_ids" not in str(names)}
    assert not wrong, (source.name, wrong)
    return out, model.eval(), report


def check_language(secateur, source, work, remove, data, windows):
    out, model, report = smaller(secateur, source, work, remove, data)
    ours = run(secateur, "eval", out, *data)
    with torch.no_grad():
        logits = model(windows).logits
        loss = F.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), windows[:, 1:].flatten()).item()
    assert abs(loss - ours["loss"]) <= 2e-4, (source.name, remove, loss, ours["loss"])
    before, after = report["bytes"]
    losses = f"loss {ours['loss']:.6f}, by transformers {loss:.6f}"
    print(f"{source.name:12} {remove:24} {losses}; {before} -> {after} bytes")


# Of a block: what its names end in, the axis, and places of a unit, or of a head as the settings say it.
ENCODER = {
    "channels": (("intermediate.dense.weight", 0), ("intermediate.dense.bias", 0), ("output.dense.weight", 1)),
    "heads": tuple((f"attention.attention.{part}.{kind}", 0) for part in ("query", "key", "value") for kind in
                   ("weight", "bias")) + (("attention.output.dense.weight", 1),),
}


def check_outputs(secateur, folder, work, remove, inputs):
    """The smaller folder against the whole one with zeros for what was taken out, both by transformers."""
    source = work / folder.name
    source.mkdir()
    for file in ("config.json", "model.safetensors"):
        (source / file).write_bytes((folder / file).read_bytes())
    _, model, report = smaller(secateur, source, work, remove)
    tensors = load_file(source / "model.safetensors")
    dense = AUTO[folder.name].from_pretrained(source, dtype=torch.float32).eval()
    for block in report["blocks"]:
        for group in block["kept"]:
            gone = torch.tensor([i not in group["kept"] for i in range(group["of"])])
            for end, axis in ENCODER[group["kind"]]:
                tensor = tensors[f"{block['name']}.{end}"]
                units = gone.repeat_interleave(tensor.shape[axis] // group["of"])
                tensor[(slice(None),) * axis + (units,)] = 0
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    whole = AUTO[folder.name].from_pretrained(source, dtype=torch.float32).eval()
    with torch.no_grad():
        got, want, before = (m(**inputs)[0] for m in (model, whole, dense))
    furthest, moved = ((a - want).abs().max().item() for a in (got, before))
    assert furthest <= 2e-5 and moved > 1e-3, (folder.name, remove, furthest, moved)
    before, after = report["bytes"]
    print(f"{folder.name:12} {remove:24} outputs {furthest:.1e} apart; {before} -> {after} bytes")


secateur, folders = pathlib.Path(sys.argv[1]).resolve(), [pathlib.Path(f) for f in sys.argv[2:]]
with tempfile.TemporaryDirectory() as work:
    for folder in folders or [GOLDENS / name for name in MODELS]:
        for how in ("wanda", "--sparsity", 0.5), ("sparsegpt", "--pattern", "2:4"), ("admm", "--sparsity", 0.6):
            data, windows = check(secateur, folder, pathlib.Path(work), how)
        remove = REMOVE.get(folder.name, "channels=0.25")
        check_language(secateur, pathlib.Path(work) / folder.name, pathlib.Path(work), remove, data, windows)
    if not folders:
        words = {"input_ids": torch.arange(24).view(2, 12) * 3, "attention_mask": torch.ones(2, 12, dtype=torch.long)}
        pixels = {"pixel_values": torch.sin(0.05 * torch.arange(2 * 3 * 24 * 24.0)).view(2, 3, 24, 24)}
        check_outputs(secateur, GOLDENS / "bert", pathlib.Path(work), "channels=0.5", words)
        check_outputs(secateur, GOLDENS / "vit", pathlib.Path(work), "heads=0.25,channels=0.5", pixels)
