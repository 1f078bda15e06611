#!/usr/bin/env python3
"""What textbook Wanda and SparseGPT make of a tiny BERT, ViT and ResNet: pruned.json in tests/goldens/models.

    python3 scripts/make_further_prune_goldens.py        (needs torch, transformers)

The networks are those of transformers, in f64, on the rows of their golden.json. A block is calibrated on what comes to
it through the pruned blocks before it: the whole network runs, and hooks tell what goes into the block's matrices, of
texts only at positions that are no padding. A convolution is a matrix over patches of its input. Its inputs are in the
order of kernel row, kernel column, channel, which matters to SparseGPT, as that goes from input to input.
"""
import json
import pathlib

import torch
import torch.nn.functional as F
import transformers as t

GOLDENS = pathlib.Path(__file__).parent.parent / "tests/goldens/models"
SPARSITY = 0.5
VIT = ["attention.attention." + p for p in ("query", "key", "value")] + ["attention.output.dense"]
VIT += ["intermediate.dense", "output.dense"]
torch.set_default_dtype(torch.float64)


def wanda(w, x):
    score = w.abs() * x.pow(2).sum(0).sqrt()
    # Of equal scores, as those of inputs that are always 0, the later goes first.
    order = w.shape[1] - 1 - score.flip(1).argsort(dim=1, stable=True)
    return w.scatter(1, order[:, :round(SPARSITY * w.shape[1])], 0.0)


def sparsegpt(w, x):
    """At most 128 inputs: one block of them. The damping is by the mean of those inputs that are ever other than 0."""
    w, h = w.clone(), x.T @ x
    dead = h.diag() == 0
    h[dead, dead] = h.diag()[~dead].mean()
    w[:, dead] = 0
    h += torch.eye(len(h)) * 0.01 * h.diag().mean()
    u = torch.linalg.cholesky(torch.linalg.inv(h), upper=True)
    score = (w / u.diag()).pow(2)
    gone = torch.zeros(score.numel(), dtype=torch.bool)
    gone[score.flatten().argsort(dim=0, stable=True)[:round(SPARSITY * score.numel())]] = True
    gone = gone.view_as(score)
    for i in range(w.shape[1]):
        error = torch.where(gone[:, i], w[:, i], 0.0) / u[i, i]
        w[:, i:] -= error[:, None] * u[i, i:]
        w[:, i] = torch.where(gone[:, i], 0.0, w[:, i])
    return w


def rows(module, x, seen):
    if not isinstance(module, torch.nn.Conv2d):
        return (x if seen is None else x[seen.bool()]).reshape(-1, x.shape[-1])
    patches = F.unfold(x, module.kernel_size, module.dilation, module.padding, module.stride)
    patches = patches.transpose(1, 2).reshape(-1, x.shape[1], module.weight[0, 0].numel())
    return patches.transpose(1, 2).flatten(1)


def matrix(weight):
    return weight if weight.dim() == 2 else weight.permute(0, 2, 3, 1).flatten(1)


def back(matrix, weight):
    if weight.dim() == 2:
        return matrix
    outputs, inputs, height, width = weight.shape
    return matrix.view(outputs, height, width, inputs).permute(0, 3, 1, 2)


def pruned(model, blocks, given, seen, method):
    kept = {}
    for prefix, block, names in blocks(model):
        of = [(n, m) for n, m in block.named_modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d))]
        taps, hooks = {}, []
        for name, module in of:
            hook = lambda module, args, name=name: taps.update({name: rows(module, args[0], seen)})
            hooks.append(module.register_forward_pre_hook(hook))
        model(**given)
        [hook.remove() for hook in hooks]
        for i, (name, module) in enumerate(of):
            w = method(matrix(module.weight), taps[name])
            module.weight.copy_(back(w, module.weight))
            bits = "".join("01"[int(b)] for b in (module.weight != 0).flatten())
            kept[f"{prefix}{names[i] if names else name}.weight"] = f"{int(bits[::-1], 2):x}"
    return {"kept": kept}


def vit(model):
    return [(f"vit.encoder.layer.{i}.", block, VIT) for i, block in enumerate(model.vit.layers)]


def bert(model):
    return [(f"encoder.layer.{i}.", block, None) for i, block in enumerate(model.encoder.layer)]


def resnet(model):
    stages = enumerate(model.resnet.encoder.stages)
    return [(f"resnet.encoder.stages.{s}.layers.{i}.", b, None) for s, of in stages for i, b in enumerate(of.layers)]


def images(side):
    return {"pixel_values": torch.sin(0.05 * torch.arange(6.0 * side * side)).reshape(2, 3, side, side)}


with torch.no_grad():
    texts = json.loads((GOLDENS / "bert/golden.json").read_text())
    texts = {k: torch.tensor(texts[k]) for k in ("input_ids", "attention_mask", "token_type_ids")}
    for name, of, blocks, given in (
        ("bert", t.BertModel, bert, texts),
        ("vit", t.ViTForImageClassification, vit, images(24)),
        ("resnet_early", t.ResNetForImageClassification, resnet, images(33)),
    ):
        found = {"sparsity": SPARSITY}
        for method in wanda, sparsegpt:
            model = of.from_pretrained(GOLDENS / name, dtype=torch.float64, attn_implementation="eager").eval()
            found[method.__name__] = pruned(model, blocks, given, given.get("attention_mask"), method)
        text = json.dumps(found).replace("}, ", "},\n").replace('", "', '",\n"')
        (GOLDENS / name / "pruned.json").write_text(text + "\n")
        print(name, len(text), sum(len(k) for k in found["wanda"]["kept"].values()))
