#!/usr/bin/env python3
"""The JSON schema of recipes against recipes: it takes and refuses what the program does.

scripts/check_schema.py PROGRAM; needs the package jsonschema, and Python 3.11.
"""
import copy
import glob
import json
import os
import subprocess
import sys
import tempfile
import tomllib

from jsonschema import Draft7Validator

PROGRAM = sys.argv[1]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)


def printed(*arguments):
    done = run(*arguments)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


schema = json.loads(printed("train", "--recipe-schema"))
assert schema["$schema"].startswith("http://json-schema.org/draft-07/"), schema["$schema"]
Draft7Validator.check_schema(schema)
validator = Draft7Validator(schema)
folder = tempfile.mkdtemp()


def toml(value):
    """A value of TOML, tables inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(v)}" for key, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def program_takes(recipe):
    path = os.path.join(folder, "recipe.toml")
    with open(path, "w") as file:
        file.writelines(f"{key} = {toml(value)}\n" for key, value in recipe.items())
    done = run("train", path, "--init-recipe")
    assert done.returncode in (0, 2) and "panicked" not in done.stderr, done.stderr
    return done.returncode == 0, done.stderr.strip()


def both(recipe, taken, what):
    """That the schema and the program are of one opinion."""
    errors = [error.message for error in validator.iter_errors(recipe)]
    ours, said = program_takes(recipe)
    assert (not errors) == taken, f"{what}: the schema says {errors[:3] or 'nothing'}"
    assert ours == taken, f"{what}: the program says {said or 'nothing'}"


# Every recipe here, and what the program writes itself.
paths = sorted(glob.glob(os.path.join(ROOT, "recipes", "*.toml")))
assert len(paths) >= 7, paths
texts = {path: open(path).read() for path in paths}
for options in [
    "",
    "--sparsity 0.8 --steps 500",
    "--model lenet5 --optimizer lion --pruning none",
    "--data text:poem.txt --model chargpt:64x2x4 --length 32 --clip-norm 1",
    "--data csv:iris.csv --label species --ignore a,b --drop-missing --model mlp:8",
    "--data images:photos --size 32x32 --standardise --average 0.99 --accumulate 4",
    "--pruning target_sparsity=0.9,pattern=2:4,scope=layer,do_not_prune=[fc3],score=saliency",
    "--pruning weight_sparsity_map=[fc1:0.5],block_dims_map=[fc2:4x-1],groups=[a:fc],regrow=rigl",
    "--save-secs 0 --save-steps 5 --eval-steps 0 --trace-every-n-steps 9 --recompute 2 --drop-last",
    *(f"--optimizer {name}" for name in "sgd momentum adam adamw rmsprop adagrad lion".split()),
]:
    text = printed("train", *options.split(), "--init-recipe")
    texts[f"--init-recipe {options}"] = text
    # What it offers behind `#` are keys too.
    offered = [
        line[2:].split(" = ")[0]
        for line in text.splitlines()
        if line.startswith("# ") and " = " in line
    ]
    known = set(schema["properties"]) | {
        key
        for definition in schema["definitions"].values()
        for key in definition.get("properties", {})
    }
    strange = [key for key in offered if key.isidentifier() and key not in known]
    assert not strange, strange
for name, text in texts.items():
    errors = [error.message for error in validator.iter_errors(tomllib.loads(text))]
    assert not errors, f"{name}: {errors[:3]}"

base = tomllib.loads(texts["--init-recipe "])


def changed(path, value):
    recipe = copy.deepcopy(base)
    table = recipe
    *tables, last = path
    for key in tables:
        table = table.setdefault(key, {})
    if value is None:
        del table[last]
    else:
        table[last] = value
    return recipe


layers = [
    {"kind": "linear", "outputs": 8, "activation": "gelu_tanh", "init": {"normal": 0.02}},
    {"kind": "residual", "layers": [{"kind": "linear", "outputs": 8, "normalizer": "layer_norm"}]},
    {"kind": "dropout", "rate": 0.5},
]
conv = {"kind": "conv", "outputs": 4, "kernel": [3, 3]}
exponential = {"name": "exponential", "decay_steps": 10, "rate": 0.5}
right = [
    (["model"], layers),
    (["model"], [{**conv, "padding": {"explicit": [[0, 1], [2, 3]]}}]),
    (["model"], [{**conv, "padding": "valid"}]),
    (["model"], "charlstm:64x2"),
    (["optimizer", "lr"], 1),
    (["optimizer"], {"name": "adam", "lr": 0.1, "epsilon_form": "tensorflow"}),
    (["schedule"], {"decay": {"name": "steps", "boundaries": [10], "factor": 0.1}}),
    (["schedule"], {"warmup_steps": 5, "decay": {**exponential, "staircase": True}}),
    (["clip"], {"value": 1.0, "norm": 2, "global_norm": 3.0}),
    (["multipliers"], [{"name": "fc1", "factor": 0.5}]),
    (["pruning", "pattern"], "8:32x32"),
    (["pruning"], {"target_sparsity": 0.5, "prune_option": "weight"}),
    (["pruning", "score"], "first_order_gradient"),
    (["pruning", "block_pooling_function"], "AVG"),
    (["pruning", "weight_sparsity_map"], ["fc1:0.5", "", {"tensors": "fc2", "sparsity": 0.5}]),
    (["pruning", "block_dims_map"], [{"tensors": "fc2", "height": 4, "width": -1}]),
    (["pruning", "groups"], [{"name": "a", "tensors": "fc"}, "b:fc"]),
    (["pruning", "schedule"], "one_shot"),
    (["pruning", "end_pruning_step"], -1),
]
for path, value in right:
    both(changed(path, value), True, f"{path} = {value}")

wrong = [
    # Misspelt, at every depth.
    (["batchs"], 8),
    (["data_options", "lable"], "kind"),
    (["optimizer", "learning_rate"], 0.1),
    (["schedule", "warmup"], 5),
    (["schedule"], {"decay": {"name": "cosine", "steps": 5, "last": 0.1}}),
    (["clip", "global"], 1.0),
    (["pruning", "target"], 0.5),
    (["pruning", "weight_sparsity_map"], [{"tensor": "fc2", "sparsity": 0.5}]),
    (["multipliers"], [{"tensor": "fc1", "factor": 0.5}]),
    (["model"], [{"kind": "linear", "outputs": 8, "activations": "relu"}]),
    (["model"], [{"kind": "residual", "layers": [{"kind": "linear", "output": 8}]}]),
    # No such name.
    (["optimizer", "name"], "adamm"),
    (["model"], "resnet50"),
    (["model"], [{"kind": "linaer", "outputs": 8}]),
    (["model"], [{"kind": "linear", "outputs": 8, "activation": "relu6"}]),
    (["pruning", "scope"], "tensor"),
    (["pruning", "schedule"], "linear"),
    (["pruning", "pattern"], "2-4"),
    (["pruning", "score"], "random"),
    (["pruning", "regrow"], "all"),
    (["schedule"], {"decay": {"name": "linear"}}),
    # Of another type, or missing.
    (["batch"], "32"),
    (["batch"], -1),
    (["steps"], True),
    (["data"], 5),
    (["optimizer", "lr"], "0.1"),
    (["optimizer"], "adam"),
    (["drop_last"], 1),
    (["pruning"], "target_sparsity=0.9"),
    (["pruning", "target_sparsity"], "0.9"),
    (["pruning", "do_not_prune"], "fc3"),
    (["data_options", "size"], [8]),
    (["steps"], None),
    (["optimizer", "lr"], None),
    (["optimizer", "name"], None),
]
for path, value in wrong:
    both(changed(path, value), False, f"{path} = {value}")

# Editors show these: every key has a text for people.
bare = [
    (name, key)
    for name, definition in {"Recipe": schema, **schema["definitions"]}.items()
    for key, value in definition.get("properties", {}).items()
    if not value.get("description")
]
assert not bare, bare
text = json.dumps(schema)
assert "[`" not in text and "crate::" not in text and '"null"' not in text, "Rust's words"
print(
    f"{len(texts)} recipes are taken, {len(right)} changes are taken and {len(wrong)} refused, "
    "by the schema as by the program"
)
