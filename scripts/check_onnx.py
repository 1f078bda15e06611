#!/usr/bin/env python3
"""Trains small networks of every layer, exports them as ONNX, and runs them by onnxruntime beside `secateur predict`.

    python3 scripts/check_onnx.py target/release/secateur      (needs numpy, onnx, onnxruntime)

Each is held to 1e-5 of the largest output, on batches of other sizes than the training's. Files with sparse tensors
have the outputs of those without, to the bit.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

secateur = pathlib.Path(sys.argv[1]).resolve()
rng = np.random.default_rng(0)


def layer(kind, **settings):
    value = lambda v: str(v).lower() if isinstance(v, bool) else repr(v)
    return f"[[model]]\nkind = '{kind}'\n" + "".join(f"{k} = {value(v)}\n" for k, v in settings.items())


def residual(*layers):
    return layer("residual") + "".join(text.replace("[[model]]", "[[model.layers]]") for text in layers)


last = layer("linear", activation="identity")
ends = layer("global_mean_pool") + last
images = {
    "valid": layer("conv", outputs=5, kernel=[3, 2], stride=[2, 1], padding="valid", activation="tanh")
    + layer("pool", pooling="max", window=[2, 3], stride=[1, 2]) + layer("flatten") + last,
    "same": layer("conv", outputs=6, kernel=[4, 3], stride=[3, 2], activation="sigmoid", normalizer="batch_norm")
    + layer("pool", pooling="mean", window=[2, 2], stride=[2, 2], padding="same") + ends,
    "groups": layer("conv", outputs=6, kernel=[3, 3], dilation=[2, 1], activation="gelu")
    + layer("conv", outputs=12, kernel=[2, 3], groups=3, normalizer="layer_norm", activation="gelu_tanh")
    + layer("local_response_norm", radius=2, bias=1.5, alpha=0.3, beta=0.75)
    + layer("dropout", rate=0.3) + layer("flatten") + layer("softmax") + last,
    "residual": layer("conv", outputs=4, kernel=[1, 1])
    + residual(layer("conv", outputs=4, kernel=[3, 3], normalizer="rms_norm", activation="silu")) + ends,
    "lenet5": "model = 'lenet5'\n",
    "mlp": "model = 'mlp:20-10'\n",
}
embedding = layer("embedding", outputs=12, positions=True)
texts = {
    "lstm": layer("embedding", outputs=7) + layer("lstm", units=9) + last,
    "peepholes": embedding + layer("lstm", units=5, peepholes=True, forget_bias=0.5) + last,
    "gru": embedding + layer("gru", units=6) + layer("gru", units=4) + last,
    "attention": embedding + layer("attention", heads=3) + layer("batch_norm") + last,
    "shared": embedding + residual(
        layer("rms_norm"), layer("attention", heads=4, kv_heads=2, head_size=6, window=5, rotary=True, bias=False))
    + layer("gated", outputs=10) + last,
    "seen by all": embedding + layer("attention", heads=2, causal=False, rotary=True)
    + layer("activate", activation="relu") + last,
    "charlstm": "model = 'charlstm:8x2'\n",
    "chargpt": "model = 'chargpt:16x2x2'\n",
}


def run(*arguments):
    done = subprocess.run([secateur, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def check(folder, name, model, data, rows, features, length=None):
    named = model.startswith("model")
    (folder / "recipe.toml").write_text(
        f"data = '{data}'\nsteps = 4\nbatch = 3\nseed = 1\n{model if named else ''}"
        + (f"[data_options]\nlength = {length}\n" if length else "")
        + "[optimizer]\nname = 'adam'\nlr = 0.01\n[pruning]\ntarget_sparsity = 0.9\npruning_frequency = 1\nsparsity_function_end_step = 3\n"
        + ("" if named else model))
    logdir = folder / name.replace(" ", "-")
    run("train", folder / "recipe.toml", "--logdir", logdir)
    run("export", logdir, "-o", folder / "model.onnx", "--force")
    run("predict", logdir, "--data", rows, "-o", folder / "out.npy", "--force")
    wanted = np.load(folder / "out.npy")
    assert len(features) == len(wanted), (features.shape, wanted.shape)

    def outputs(path, full_check):
        onnx.checker.check_model(str(path), full_check=full_check)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        parts = [session.run(None, {"features": part})[0] for part in np.array_split(features, [1])]
        return np.concatenate(parts).reshape(wanted.shape)

    found = outputs(folder / "model.onnx", True)
    apart = np.abs(found - wanted).max() / np.abs(wanted).max()
    run("export", logdir, "-o", folder / "sparse.onnx", "--format", "sparse", "--force")
    sparse = len(onnx.load(folder / "sparse.onnx").graph.sparse_initializer)
    print(f"{name:12} {wanted.shape} {apart:.1e}, {sparse} sparse tensors")
    assert apart < 1e-5, name
    # Its inference of types knows no operator that takes a sparse tensor.
    assert np.array_equal(outputs(folder / "sparse.onnx", False), found), name
    smaller = (folder / "sparse.onnx").stat().st_size < (folder / "model.onnx").stat().st_size
    assert smaller == (sparse > 0), name
    return sparse


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    pictures = rng.standard_normal((20, 28, 28, 1), dtype=np.float32)
    np.savez(folder / "images.npz", x=pictures, y=rng.integers(0, 4, 20))
    data = f"npz:{folder}/images.npz"
    sparse = [check(folder, name, model, data, data, pictures.reshape(20, -1)) for name, model in images.items()]
    assert min(sparse[list(images).index(name)] for name in ("mlp", "lenet5")) > 0, sparse
    text = "".join(rng.choice(list("abcdefgh \n"), 600))
    (folder / "text.txt").write_text(text)
    # As many windows as a batch has rows, so that no state goes on from one to the next.
    (folder / "rows.txt").write_text(text[:3 * 16 + 1])
    alphabet = {c: i for i, c in enumerate(sorted(set(text)))}
    windows = np.array([alphabet[c] for c in text[:3 * 16]], np.float32).reshape(3, 16)
    for name, model in texts.items():
        check(folder, name, model, f"text:{folder}/text.txt", f"text:{folder}/rows.txt", windows, 16)
