#!/usr/bin/env python3
"""Takes whole heads and channels out of tiny models with secateur, and holds the smaller folders to transformers.

    python3 scripts/check_removal.py SECATEUR [FOLDER ...]      (needs what check_pretrained.py needs)

Without folders: the models of tests/goldens/models, as far as each architecture's settings can say the sizes.
transformers loads the smaller folder, and it has the loss that secateur finds, the outputs of the whole model with
zeros for these units, or, where they were chosen by texts or pictures, the answers that secateur predicts.
"""
import pathlib
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageClassification

from check_pretrained import GOLDENS, MODELS, copied, rows_of, run, with_text

# What loads them, and what is taken out of each.
AUTO = dict.fromkeys(("llama", "llama3", "mistral", "qwen2", "qwen3", "gpt2"), AutoModelForCausalLM)
AUTO |= {"bert": AutoModel, "vit": AutoModelForImageClassification}
REMOVE = {"llama": "heads=0.5,channels=0.25", "llama3_rope": "heads=2", "mistral": "heads=0.5,channels=0.5",
          "qwen2": "channels=0.5", "qwen3": "heads=0.5,channels=0.5", "gpt2": "channels=0.25"}


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
    source, _ = copied(folder, work)
    _, model, report = smaller(secateur, source, work, remove)
    dense = AUTO[folder.name].from_pretrained(source, dtype=torch.float32).eval()
    tensors = load_file(source / "model.safetensors")
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


def check_answers(secateur, folder, work, remove):
    """The smaller folder by data of a model of texts or of images: its answers are those of transformers."""
    source, _ = copied(folder, work)
    data, given, _ = rows_of(source, work)
    out, model, report = smaller(secateur, source, work, remove, ("--data", data))
    array = work / "answers.npy"
    run(secateur, "predict", out, "--data", data, "-o", array, "--force")
    with torch.no_grad():
        answers = model(**given)[0]
    if "attention_mask" in given:
        seen = given["attention_mask"][..., None]
        answers = (answers * seen).sum(1) / seen.sum(1)
    apart = (answers - torch.from_numpy(np.load(array))).abs().max().item()
    assert apart <= 2e-4, (folder.name, remove, apart)
    before, after = report["bytes"]
    print(f"{folder.name:12} {remove:24} by data, answers {apart:.1e} apart; {before} -> {after} bytes")


def main():
    secateur, folders = pathlib.Path(sys.argv[1]).resolve(), [pathlib.Path(f) for f in sys.argv[2:]]
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for folder in folders or [GOLDENS / name for name in MODELS]:
            source, data, windows = with_text(folder, work)
            check_language(secateur, source, work, REMOVE.get(folder.name, "channels=0.25"), data, windows)
        if not folders:
            seen = torch.ones(2, 12, dtype=torch.long)
            words = {"input_ids": torch.arange(24).view(2, 12) * 3, "attention_mask": seen}
            pixels = {"pixel_values": torch.sin(0.05 * torch.arange(2 * 3 * 24 * 24.0)).view(2, 3, 24, 24)}
            check_outputs(secateur, GOLDENS / "bert", work, "channels=0.5", words)
            check_outputs(secateur, GOLDENS / "vit", work, "heads=0.25,channels=0.5", pixels)
            check_answers(secateur, GOLDENS / "bert", work / "by-data", "channels=0.5")
            check_answers(secateur, GOLDENS / "vit", work / "by-data", "heads=0.25,channels=0.5")


if __name__ == "__main__":
    main()
