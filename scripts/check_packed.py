#!/usr/bin/env python3
"""Packs a file of pruned matrices, and reads it back by PyTorch and NumPy alone, by the lines of docs/format.md.

    python3 scripts/check_packed.py target/release/secateur      (needs torch, safetensors, numpy)
    python3 scripts/check_packed.py target/release/secateur --compressed-tensors

The latter also reads it by compressed-tensors 0.14.0.1, the last version that knows bit masks.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file

secateur = pathlib.Path(sys.argv[1]).resolve()
docs = (pathlib.Path(__file__).parent.parent / "docs/format.md").read_text()
lines = re.findall(r"```python\n(.*?)```", docs, re.DOTALL)
by_torch = next(text for text in lines if "import torch" in text)
for text in lines:
    if "import numpy" in text:
        exec(text)

torch.manual_seed(0)
ninety = torch.rand(300, 784) < 0.1
blocks = (torch.rand(8, 16) < 0.25).repeat_interleave(16, 0).repeat_interleave(16, 1)
half = torch.rand(64, 16, 4).argsort(2).argsort(2).flatten(1) < 2
# A product with 0 would leave some zeros a sign, which packing drops.
kept = lambda mask: torch.where(mask, torch.randn(mask.shape), 0.0)
tensors = {
    "fc1.weight": kept(ninety),
    "half.weight": kept(ninety).half(),
    "brain.weight": kept(torch.rand(61, 203) < 0.03).bfloat16(),
    "blocks.weight": kept(blocks),
    "two_four.weight": kept(half),
    "dense.weight": torch.randn(8, 8),
    "none.weight": torch.zeros(7, 9),
    "thin.weight": kept(torch.rand(53, 400) < 0.015),
    "rare.weight": kept(torch.rand(3, 9000) < 0.0007),
    "eighth.weight": kept(torch.rand(48, 6, 8).argsort(2).argsort(2).flatten(1) < 1),
    "fifth.weight": kept((torch.rand(40, 12, 5).argsort(2).argsort(2).flatten(1) < 1).T.contiguous()),
    "fc1.bias": torch.randn(300),
    "conv.weight": torch.zeros(4, 3, 2, 2),
}
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    save_file(tensors, folder / "in.safetensors", metadata={"format": "pt"})

    def export(source, out, form, *more):
        command = [secateur, "export", source, "-o", out, "--format", form, "--json", *more]
        return json.loads(subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout)

    expected = {
        "sparse": {"fc1": "csr", "half": "csr", "brain": "csr", "blocks": "bsr 16x16", "two_four": None, "none": "csr",
                   "thin": "csr", "rare": "csr", "eighth": "csr", "fifth": "csr"},
        "bitmask": {"fc1": "bitmask", "half": "bitmask", "brain": "bitmask", "blocks": "bitmask",
                    "two_four": "2:4 bitmask", "none": "bitmask", "thin": "bitmask", "rare": "bitmask",
                    "eighth": "bitmask", "fifth": "bitmask"},
        "smallest": {"fc1": "gaps of 4 bits", "half": "gaps of 4 bits", "brain": "gaps of 8 bits",
                     "blocks": "bsr 16x16",
                     "two_four": "bits", "none": "gaps of 4 bits", "conv": "gaps of 4 bits",
                     "thin": "gaps of 8 bits", "rare": "columns", "eighth": "1:8 in rows", "fifth": "1:5 in columns"},
    }
    for form, packings in expected.items():
        report = export("in.safetensors", f"{form}.safetensors", form)
        found = {t["name"]: t["packing"] for t in report["tensors"]}
        for name in tensors:
            wanted = packings.get(name.split(".")[0]) if name.endswith("weight") else None
            assert found[name] == wanted, (form, name, found[name], wanted)
        size = (folder / f"{form}.safetensors").stat().st_size
        assert size < (folder / "in.safetensors").stat().st_size
        fc1 = next(t for t in report["tensors"] if t["name"] == "fc1.weight")
        share = fc1["bytes"] / fc1["dense_bytes"]
        print(f"{form}: {report['bytes']} of {report['dense_bytes']} bytes, fc1 {share:.1%}")
        export(f"{form}.safetensors", f"{form}-dense.safetensors", "dense")
        again = load_file(folder / f"{form}-dense.safetensors")
        assert again.keys() == tensors.keys() and all(torch.equal(again[k], tensors[k]) for k in tensors), form

    packed = load_file(folder / "sparse.safetensors")
    for name in ("fc1.weight", "half.weight", "brain.weight", "blocks.weight"):
        code = by_torch.replace('"packed.safetensors"', "folder / 'sparse.safetensors'").replace("fc1.weight", name)
        scope = {"folder": folder}
        exec(code, scope)
        assert torch.equal(scope["weight"].to_dense(), tensors[name]), name
    # NumPy has no bfloat16: its elements are compared as they lie.
    plain = lambda t: (t.view(torch.int16) if t.dtype == torch.bfloat16 else t).numpy()
    file = {name: plain(tensor) for name, tensor in load_file(folder / "bitmask.safetensors").items()}
    for stem in ("fc1", "half", "brain", "blocks", "two_four"):
        assert np.array_equal(dense(file, stem), plain(tensors[f"{stem}.weight"])), stem
    # The same of the smallest forms, and of codes of eight bits in every form.
    read = lambda name: {k: plain(t) for k, t in load_file(folder / name).items()}
    file = read("smallest.safetensors")
    packed = [name for name in tensors if f"{name}.values" in file]
    assert len(packed) == 11, packed
    for name in packed:
        assert np.array_equal(unpacked(file, name), plain(tensors[name])), name
    for form in ("dense", "sparse", "smallest"):
        report = export("in.safetensors", "int8.safetensors", form, "--values", "int8", "--force")
        file, losses = read("int8.safetensors"), {t["name"]: t["loss"] for t in report["tensors"]}
        for name, tensor in tensors.items():
            found = unpacked(file, name)
            if tensor.dim() < 2 or found is None:
                continue
            scales, exact = file[f"{name}.scales"], tensor.float().numpy()
            units = exact.reshape(len(exact), -1) if scales.shape[0] > 1 or exact.shape[0] == 1 else exact.T
            # Half a scale, and the roundings of the scale and of the product.
            bound = np.abs(units).max(1) * (0.5 / 127 + 2**-22)
            error = np.abs(found - exact)
            of_unit = error.reshape(len(units), -1) if units.shape[0] == exact.shape[0] else error.T
            assert (of_unit.max(1) <= bound).all(), (form, name)
            assert np.isclose(losses[name]["largest"], error.max(), rtol=1e-5, atol=1e-12), (form, name)
        share = report["bytes"] / report["dense_bytes"]
        print(f"{form} int8: {report['bytes']} of {report['dense_bytes']} bytes, {share:.1%}")
    if "--compressed-tensors" in sys.argv:
        from compressed_tensors.compressors.sparse_compressors.sparse_bitmask import BitmaskTensor
        from compressed_tensors.compressors.sparse_compressors.sparse_24_bitmask import Sparse24BitMaskTensor
        packed = load_file(folder / "bitmask.safetensors")
        part = lambda stem, *names: {name: packed[f"{stem}.{name}"] for name in names}
        for stem in ("fc1", "half", "brain", "blocks"):
            read = BitmaskTensor(**part(stem, "shape", "compressed", "bitmask", "row_offsets")).decompress()
            assert torch.equal(read, tensors[f"{stem}.weight"]), stem
        read = Sparse24BitMaskTensor.from_compressed_data(**part("two_four", "shape", "compressed", "bitmask"))
        assert torch.equal(read.decompress(), tensors["two_four.weight"])
        print("compressed-tensors reads the same")
print("packed files are read by PyTorch and NumPy")
