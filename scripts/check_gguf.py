#!/usr/bin/env python3
"""Exports golden models as GGUF files, and reads them back by llama.cpp's own package `gguf`.

    python3 scripts/check_gguf.py target/release/secateur [FOLDER...]

Needs gguf, numpy, safetensors and torch. Each tensor is named by the package's own table of names,
and held against the folder's bit for bit. Further folders are checked alike.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import torch
from safetensors.torch import load_file

secateur = pathlib.Path(sys.argv[1]).resolve()
root = pathlib.Path(__file__).resolve().parent.parent
goldens = root / "tests/goldens"
ARCHITECTURES = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
TORCH = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def pairs(rows, heads):
    """Rows of heads whose halves become neighbours."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def bits(tensor):
    """Elements as they lie."""
    return tensor.contiguous().view(torch.uint8).numpy().reshape(-1)


def check(folder, values, out):
    report = subprocess.run(
        [secateur, "export", folder, "-o", out, "--values", values, "--force", "--json"],
        check=True, capture_output=True,
    )
    report = json.loads(report.stdout)
    config = json.loads((folder / "config.json").read_text())
    reader = gguf.GGUFReader(out)
    field = lambda name: reader.fields[name].contents()
    kind = field("general.architecture")
    assert kind == {"mistral": "llama"}.get(config["model_type"], config["model_type"])
    blocks = field(f"{kind}.block_count")
    names = gguf.get_tensor_name_map(ARCHITECTURES[kind], blocks)
    heads = config.get("num_attention_heads", config.get("n_head"))
    kv_heads = config.get("num_key_value_heads") or heads
    assert field(f"{kind}.attention.head_count") == heads
    found = {tensor.name: tensor for tensor in reader.tensors}
    tied = config.get("tie_word_embeddings", config["model_type"] == "gpt2")
    seen = {"rope_freqs.weight"} & found.keys()
    for name, tensor in load_file(folder / "model.safetensors").items():
        buffer = name.endswith((".attn.bias", ".attn.masked_bias"))
        if buffer or (tied and name == "lm_head.weight"):
            continue
        theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert theirs in found, (name, theirs)
        seen.add(theirs)
        if kind == "llama" and ".q_proj." in name:
            tensor = pairs(tensor, heads)
        if kind == "llama" and ".k_proj." in name:
            tensor = pairs(tensor, kv_heads)
        if kind == "gpt2" and name.endswith(TRANSPOSED):
            tensor = tensor.T
        wide = tensor.dim() < 2 or theirs == "position_embd.weight"
        wanted = tensor.to(torch.float32 if wide else TORCH[values])
        ours = found[theirs]
        assert tuple(reversed(ours.shape.tolist())) == tuple(wanted.shape), (name, ours.shape)
        kind_of = ours.tensor_type.name
        assert kind_of == ("F32" if wide else values.upper()), (name, kind_of)
        assert np.array_equal(ours.data.view(np.uint8).reshape(-1), bits(wanted)), name
    assert seen == found.keys(), found.keys() - seen
    assert {t["name"] for t in report["tensors"]} == found.keys()
    if config.get("rope_parameters", {}).get("rope_type") == "llama3":
        factors = found["rope_freqs.weight"].data
        assert factors.min() >= 1 and factors.max() > 1, factors
    if (folder / "tokenizer.json").exists():
        check_tokenizer(folder, field, config)
    return len(found)


def check_tokenizer(folder, field, config):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokens, kinds = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    assert len(tokens) == len(kinds) == config["vocab_size"]
    assert field("tokenizer.ggml.model") == "gpt2"
    for text, id in tokenizer["model"]["vocab"].items():
        assert tokens[id] == text, (id, text)
    for added in tokenizer["added_tokens"]:
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        assert (tokens[added["id"]], kinds[added["id"]]) == (added["content"], kind)
    merges = [" ".join(m) if isinstance(m, list) else m for m in tokenizer["model"]["merges"]]
    assert field("tokenizer.ggml.merges") == merges


with tempfile.TemporaryDirectory() as temporary:
    temporary = pathlib.Path(temporary)
    folders = []
    for name in ("llama", "llama3_rope", "llama_biases", "mistral", "qwen2", "qwen3", "gpt2"):
        folder = temporary / name
        shutil.copytree(goldens / "models" / name, folder)
        config = json.loads((folder / "config.json").read_text())
        # Windows and other activations have no key there, and are refused.
        config.pop("sliding_window", None), config.pop("layer_types", None)
        config["use_sliding_window"] = False
        if "hidden_act" in config:
            config["hidden_act"] = "silu"
        (folder / "config.json").write_text(json.dumps(config))
        folders.append(folder)
    tokenizer = json.loads((goldens / "tokenizers/bpe.json").read_text())
    rows = load_file(folders[0] / "model.safetensors")["model.embed_tokens.weight"].shape[0]
    # As many tokens as the model has.
    vocab = {text: id for text, id in tokenizer["model"]["vocab"].items() if id < rows}
    tokenizer["model"]["vocab"] = vocab
    merges = [m.split(" ") if isinstance(m, str) else m for m in tokenizer["model"]["merges"]]
    tokenizer["model"]["merges"] = [m for m in merges if "".join(m) in vocab]
    tokenizer["added_tokens"] = [a for a in tokenizer["added_tokens"] if a["id"] < rows]
    (folders[0] / "tokenizer.json").write_text(json.dumps(tokenizer))
    folders += [pathlib.Path(folder) for folder in sys.argv[2:]]
    for folder in folders:
        for values in TORCH:
            count = check(folder, values, temporary / "model.gguf")
        print(f"{folder.name}: {count} tensors, in {', '.join(TORCH)}")
print("GGUF files are read by gguf as their folders are")
