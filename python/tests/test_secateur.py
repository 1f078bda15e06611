"""The Python package as its users call it, on small arrays."""
import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import secateur
from safetensors.numpy import load_file, save_file

RECIPE = {"model": "mlp:16", "batch": 32, "steps": 200, "optimizer": "adam", "lr": 0.01, "seed": 1}


def two_classes(rows=256):
    """Points left and right of a line."""
    features = np.random.default_rng(0).standard_normal((rows, 4), dtype=np.float32)
    return features, (features @ [1, -2, 0.5, 1] > 0).astype(int)


@pytest.fixture(scope="module")
def trained():
    return secateur.train(RECIPE, *two_classes(), sparsity=0.5)


def test_training_prunes_and_learns(trained):
    features, labels = two_classes()
    figures = trained.evaluate(features, labels)
    assert figures["rows"] == 256 and figures["accuracy"] > 0.9, figures
    logits = trained.predict(features)
    assert logits.shape == (256, 2) and logits.dtype == np.float32
    assert np.mean(logits.argmax(axis=1) == labels) == pytest.approx(figures["accuracy"])
    assert trained.sparsity == pytest.approx(0.5)
    assert trained.global_step == 200 and trained.feature_shape == (4,)


def test_masks_are_where_weights_are_zero(trained):
    weights, masks = trained.weights, trained.masks
    assert set(masks) == {"fc1.weight", "fc2.weight"}
    for name, mask in masks.items():
        assert mask.dtype == bool and mask.shape == weights[name].shape
        assert np.array_equal(mask, weights[name] != 0)
    # numpy computes the same answers from them.
    features, _ = two_classes()
    hidden = np.maximum(features @ weights["fc1.weight"] + weights["fc1.bias"], 0)
    logits = hidden @ weights["fc2.weight"] + weights["fc2.bias"]
    # Sums of 16 products, in another order.
    np.testing.assert_allclose(trained.predict(features), logits, rtol=1e-4, atol=1e-4)


def test_a_saved_model_answers_the_same(trained, tmp_path):
    trained.save(tmp_path / "model.safetensors")
    features, _ = two_classes()
    again = secateur.load(tmp_path / "model.safetensors", batch=10)
    assert np.array_equal(again.predict(features), trained.predict(features))
    assert again.network == trained.network == "mlp:16"
    # Others read it.
    assert set(load_file(tmp_path / "model.safetensors")) == set(trained.weights)


def test_a_weight_can_be_set(tmp_path, trained):
    trained.save(tmp_path / "model.safetensors")
    model = secateur.load(tmp_path / "model.safetensors")
    for name, values in model.weights.items():
        model.set_weight(name, np.zeros_like(values))
    assert not model.predict(two_classes()[0]).any()
    with pytest.raises(secateur.ArgumentError, match="nonesuch"):
        model.set_weight("nonesuch", [1.0])


def test_words_are_classes(tmp_path):
    features, labels = two_classes()
    words = np.array(["right", "left"])[labels]
    model = secateur.train(RECIPE, features, words)
    assert model.class_names == ["left", "right"]
    figures = model.evaluate(features, list(words))
    assert figures["accuracy"] > 0.9, figures
    answers = np.array(model.class_names)[model.predict(features).argmax(axis=1)]
    assert np.mean(answers == words) == pytest.approx(figures["accuracy"])
    model.save(tmp_path / "model.safetensors")
    assert secateur.load(tmp_path / "model.safetensors").class_names == ["left", "right"]
    with pytest.raises(secateur.ArgumentError, match="`up` is no class of the model; it has left"):
        model.evaluate(features, np.where(labels, "up", "left").astype(object))


def test_whole_floats_are_numbers_and_warned_of():
    features, labels = two_classes()
    with pytest.warns(UserWarning, match="give integers if they are classes"):
        model = secateur.train(RECIPE, features, labels.astype(float), steps=5)
    assert model.predict(features).shape == (256, 1)
    with pytest.raises(secateur.ArgumentError, match="`left`: the classes of the model have no"):
        model.evaluate(features, ["left"] * 256)


def test_numbers_are_predicted_in_their_own_units():
    features = np.random.default_rng(1).uniform(0, 100, (256, 2)).astype(np.float32)
    values = 3 * features[:, :1] + 500
    model = secateur.train({**RECIPE, "standardise": True}, features, values, steps=400)
    answers = model.predict(features)
    assert answers.shape == (256, 1)
    # A tenth of their deviation, which is 3 * 100 / sqrt(12).
    assert np.abs(answers - values).mean() < 8.7
    assert model.evaluate(features, values)["mean_absolute_error"] < 8.7


def test_bytes_are_images():
    pixels = np.random.default_rng(2).integers(0, 256, (64, 6, 6), dtype=np.uint8)
    labels = (pixels[:, 0, 0] > 127).astype(np.uint8)
    model = secateur.train(RECIPE | {"steps": 3}, pixels, labels)
    assert model.feature_shape == (6, 6)
    assert model.predict(pixels).shape == (64, 2)
    assert np.array_equal(model.predict(pixels), model.predict(pixels.astype(np.float64)))


def test_the_callback_hears_of_every_step():
    heard = []
    secateur.train(RECIPE, *two_classes(), steps=5, callback=heard.append)
    assert [event["step"] for event in heard] == [1, 2, 3, 4, 5]
    assert all(event["loss"] > 0 and 0 <= event["accuracy"] <= 1 for event in heard)


def test_an_exception_of_the_callback_ends_the_run(tmp_path):
    def angry(event):
        if event["step"] == 3:
            raise ZeroDivisionError("enough")

    with pytest.raises(ZeroDivisionError, match="enough"):
        secateur.train(
            RECIPE, *two_classes(), steps=100_000, logdir=tmp_path / "run", callback=angry
        )
    # What was reached is saved, and the next call goes on from there.
    assert 3 <= secateur.load(tmp_path / "run").global_step < 1000


def test_others_go_on_while_it_trains():
    turns, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            turns[0] += 1
            time.sleep(0.0001)

    thread = threading.Thread(target=count)
    thread.start()
    secateur.train(RECIPE, *two_classes(), steps=300)
    stop.set()
    thread.join()
    assert turns[0] > 10


def test_an_interrupt_ends_the_run():
    program = (
        "import numpy as np, secateur, signal\n"
        # A shell's background jobs ignore it, and so would what they start.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "x = np.ones((8, 2), np.float32)\n"
        "say = lambda event: print(event['step'], flush=True)\n"
        "try: secateur.train({'model': 'mlp:4', 'steps': 10**9}, x, [0, 1] * 4, callback=say)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "1\n"
    run.send_signal(2)
    assert run.communicate(timeout=60)[0].splitlines()[-1] == "interrupted"


def test_a_file_of_pytorch_is_pruned(tmp_path):
    weight = np.random.default_rng(3).standard_normal((64, 32), dtype=np.float32)
    save_file({"fc.weight": weight}, tmp_path / "in.safetensors")
    report = secateur.prune(
        tmp_path / "in.safetensors", tmp_path / "out.safetensors", sparsity=0.75
    )
    pruned = load_file(tmp_path / "out.safetensors")["fc.weight"]
    assert report["sparsity"] == 0.75
    least = np.sort(np.abs(weight), axis=None)[64 * 32 * 3 // 4]
    assert np.array_equal(pruned, np.where(np.abs(weight) < least, 0, weight))


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda x, y: secateur.train(RECIPE, x, y, colour=3), "ArgumentError", "colour"),
        (lambda x, y: secateur.train(RECIPE, x, y[:-1]), "ArgumentError", "255"),
        (lambda x, y: secateur.train(RECIPE, x, y - 1), "ArgumentError", "-1"),
        (lambda x, y: secateur.train(RECIPE, x), "ArgumentError", "both"),
        (lambda x, y: secateur.train(RECIPE, x, y.astype(complex)), "ArgumentError", "whole numbers"),
        (lambda x, y: secateur.train(RECIPE, x * np.nan, y), "ArgumentError", "NaN"),
        (lambda x, y: secateur.train(RECIPE, x[:, 0], y), "ArgumentError", "first axis"),
        (lambda x, y: secateur.train("nonesuch.toml", x, y), "FileError", "nonesuch"),
        (lambda x, y: secateur.load("nonesuch"), "FileError", "nonesuch"),
        (lambda x, y: secateur.prune("nonesuch", "out", sparsity=0.5), "Error", "nonesuch"),
        (lambda x, y: secateur.command("prune", "a", colour=3), "Error", "--colour"),
    ],
)
def test_what_cannot_be_is_said(call, kind, says):
    with pytest.raises(secateur.Error, match=says) as caught:
        call(*two_classes())
    assert type(caught.value).__name__ == kind


def test_rows_of_another_width_are_refused(trained):
    with pytest.raises(secateur.ArgumentError, match="4 features"):
        trained.predict(np.zeros((3, 5), np.float32))


def test_the_command_line_is_inside():
    run = subprocess.run(
        [sys.executable, "-m", "secateur", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == f"secateur {secateur.__version__}"
    wrong = subprocess.run([sys.executable, "-m", "secateur", "nonesuch"], capture_output=True)
    assert wrong.returncode == 2
    adapters = secateur.command("devices")["adapters"]
    assert json.dumps(adapters[0]["name"])


def test_a_sweep_starts_further_runs(tmp_path):
    (tmp_path / "recipe.toml").write_text(
        'data = "digits"\nmodel = "mlp:8"\nbatch = 64\nsteps = 4\n[optimizer]\nname = "adam"\nlr = 0.01\n'
    )
    report = secateur.command(
        "sweep", tmp_path / "recipe.toml", sparsity=[0.5, 0.75], logdir=tmp_path / "runs"
    )
    assert [trial.get("failed") for trial in report["trials"]] == [None, None], report
    results = [json.loads(path.read_text()) for path in (tmp_path / "runs").rglob("result.json")]
    # Whoever repeats a run leaves out how Python was called.
    assert [result["arguments"][0] for result in results] == ["train", "train"], results
