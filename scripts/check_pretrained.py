#!/usr/bin/env python3
"""Prunes tiny models with secateur, and holds the folders that come out to transformers.

    python3 scripts/check_pretrained.py SECATEUR [FOLDER ...]      (needs torch, transformers, safetensors, pillow)

Without folders: the models of tests/goldens/models. Language models and BERT are given a tokenizer of their own, whose
words are w0, w1, ..., image models pictures and a preprocessor_config.json. Each is pruned by data, evaluated by
secateur, or asked for embeddings, logits and accuracy, and loaded by transformers from the folder that came out. There
it must have the same loss, or the same answers, to 2e-4; what was pruned must be exact zeros, and nothing else may have
changed but weights of blocks. One pruned folder of each language model is then trained on by `secateur train --init`:
it must have the loss that secateur ends with, and no other zeros.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForImageClassification
from transformers import AutoModelForSequenceClassification
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

MODELS = "llama", "llama3_rope", "mistral", "qwen2", "qwen3", "gpt2"
FURTHER = "bert", "bert_classes", "vit", "resnet", "resnet_early"
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


def copied(folder, work):
    """A model's folder in another place, and its number of words."""
    source = work / folder.name
    source.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "model.safetensors"):
        (source / file).write_bytes((folder / file).read_bytes())
    words = json.loads((source / "config.json").read_text()).get("vocab_size", 0)
    if words:
        (source / "tokenizer.json").write_text(json.dumps(tokenizer(words)))
    return source, words


def with_text(folder, work):
    """The same of a language model, the options of a text of windows, and these."""
    source, words = copied(folder, work)
    ids = torch.tensor([(11 * i * i + 7 * i + 3) % words for i in range(LENGTH * WINDOWS)])
    text = work / f"{folder.name}.txt"
    text.write_text(" ".join(f"w{i}" for i in ids.tolist()))
    return source, ("--data", f"text:{text}", "--length", LENGTH), ids.view(WINDOWS, LENGTH)


def check(secateur, folder, work, how):
    (source, data, windows), out = with_text(folder, work), work / f"{folder.name}-{how[0]}"
    report = run(secateur, "prune", source, "-o", out, "--score", *how, *data, "--samples", WINDOWS)
    ours = run(secateur, "eval", out, *data)
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = model(windows).logits
        loss = F.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), windows[:, 1:].flatten()).item()
    assert abs(loss - ours["loss"]) <= 2e-4, (folder.name, how, loss, ours["loss"])
    pruned = check_files(source, out, report)
    losses = f"loss {ours['loss']:.6f}, by transformers {loss:.6f}"
    print(f"{folder.name:12} {how[0]:10} {losses}; {pruned} weights pruned")


def check_files(source, out, report):
    before, after = load_file(source / "model.safetensors"), load_file(out / "model.safetensors")
    assert before.keys() == after.keys()
    pruned = {w["name"]: w["nonzero"] for b in report["blocks"] for w in b["weights"]}
    for name, tensor in after.items():
        assert tensor.dtype == before[name].dtype and tensor.shape == before[name].shape, name
        if name in pruned:
            assert int((tensor != 0).sum()) == pruned[name], name
        else:
            assert torch.equal(tensor, before[name]), name
    assert pruned, source.name
    return len(pruned)


def texts(source, work):
    """Lines of several lengths, as words and as a batch of transformers."""
    words = json.loads((source / "config.json").read_text())["vocab_size"]
    rows = [[(7 * i * i + 5 * n * i + 11 * n) % words for i in range(3 + 4 * n)] for n in (1, 0, 4, 2, 3)]
    path = work / f"{source.name}.txt"
    path.write_text("".join(" ".join(f"w{i}" for i in row) + "\n" for row in rows))
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    seen = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, :len(row)], seen[i, :len(row)] = torch.tensor(row), 1
    return f"text:{path}", {"input_ids": ids, "attention_mask": seen}


def images(source, work, side):
    """Two pictures of each class in a folder of its name, and the same as transformers prepares them."""
    if source.name == "vit":
        processor = ViTImageProcessorPil(size={"height": side, "width": side}, resample=3)
    else:
        processor = ConvNextImageProcessorPil(size={"shortest_edge": side}, crop_pct=0.9, resample=2)
    processor.save_pretrained(source)
    names = AutoConfig.from_pretrained(source).id2label
    noise, pictures = np.random.default_rng(side), {}
    for number, name in names.items():
        folder = work / f"{source.name}-images" / name
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(2):
            low = noise.integers(256, size=(5, 6, 3), dtype=np.uint8)
            picture = Image.fromarray(low).resize((side + 9 * i, side + 5), Image.Resampling.BICUBIC)
            picture.save(folder / f"{i}.png")
            pictures[folder / f"{i}.png"] = (picture, int(number))
    pictures = [pictures[path] for path in sorted(pictures)]
    pixels = processor([picture for picture, _ in pictures], return_tensors="pt")["pixel_values"]
    return f"images:{work / f'{source.name}-images'}", {"pixel_values": pixels}, [number for _, number in pictures]


def rows_of(source, work):
    """Rows of a model of texts or of images: for secateur, for transformers, and of images their classes."""
    sides = {"vit": 24, "resnet": 37, "resnet_early": 33}
    return images(source, work, sides[source.name]) if source.name in sides else (*texts(source, work), None)


def check_rows(secateur, folder, work, how):
    """A model of texts or of images: its answers to the rows that it was pruned by."""
    (source, _), out, array = copied(folder, work), work / f"{folder.name}-{how[0]}", work / "answers.npy"
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    data, given, labels = rows_of(source, work)
    report = run(secateur, "prune", source, "-o", out, "--score", *how, "--data", data)
    run(secateur, "predict", out, "--data", data, "-o", array, "--force")
    head = AutoModelForSequenceClassification if folder.name == "bert_classes" else AutoModel
    of = AutoModelForImageClassification if kind != "bert" else head
    with torch.no_grad():
        answers = of.from_pretrained(out, dtype=torch.float32).eval()(**given)
        if head is AutoModel and kind == "bert":
            seen = given["attention_mask"][..., None]
            answers = (answers.last_hidden_state * seen).sum(1) / seen.sum(1)
        else:
            answers = answers.logits
    apart = (answers - torch.from_numpy(np.load(array))).abs().max().item()
    assert apart <= 2e-4, (folder.name, how, apart)
    told = f"answers {apart:.1e} apart"
    if labels:
        ours = run(secateur, "eval", out, "--data", data)
        loss = F.cross_entropy(answers, torch.tensor(labels)).item()
        right = (answers.argmax(-1) == torch.tensor(labels)).float().mean().item()
        assert abs(loss - ours["test_loss"]) <= 2e-4, (folder.name, how, loss, ours)
        assert abs(right - ours["test_accuracy"]) <= 1e-6, (folder.name, how, right, ours)
        told += f", loss {loss:.6f}, accuracy {right:.3f}"
    print(f"{folder.name:12} {how[0]:10} {told}; {check_files(source, out, report)} weights pruned")


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


def main():
    secateur, folders = pathlib.Path(sys.argv[1]).resolve(), [pathlib.Path(f) for f in sys.argv[2:]]
    with tempfile.TemporaryDirectory() as work:
        for folder in folders or [GOLDENS / name for name in MODELS + FURTHER]:
            language = folder.name not in FURTHER
            # Some of a small network's matrices have inputs that groups of four do not divide.
            groups = ("--pattern", "2:4") if language else ("--sparsity", 0.55)
            for how in ("wanda", "--sparsity", 0.5), ("sparsegpt", *groups), ("admm", "--sparsity", 0.6):
                (check if language else check_rows)(secateur, folder, pathlib.Path(work), how)
            if language:
                recover(secateur, folder, pathlib.Path(work))


if __name__ == "__main__":
    main()
