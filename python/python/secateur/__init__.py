"""Train and prune neural networks on any GPU.

    import secateur

    secateur.prune("model.safetensors", "pruned.safetensors", sparsity=0.5)

    model = secateur.train({"model": "mlp:64-32", "steps": 600, "sparsity": 0.9}, features, labels)
    model.predict(features).argmax(axis=1)

Everything that the command line `secateur` does is there as `python -m secateur`, too.
"""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version as _version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _secateur
from ._secateur import ArgumentError, DeviceError, Error, FileError

__all__ = [
    "ArgumentError",
    "DeviceError",
    "Error",
    "FileError",
    "Model",
    "command",
    "load",
    "prune",
    "train",
]
__version__ = _version("secateur")

Path = str | os.PathLike[str]


class Model:
    """A network on the device: what :func:`train` has trained, or :func:`load` has read."""

    def __init__(self, native: _secateur.Model) -> None:
        self._native = native

    @property
    def network(self) -> str:
        """What the network is, like ``mlp:64-32``."""
        return self._native.network

    @property
    def adapter(self) -> str:
        """The adapter that it is on."""
        return self._native.adapter

    @property
    def global_step(self) -> int:
        """The steps that its weights have seen."""
        return self._native.global_step

    @property
    def sparsity(self) -> float:
        """The share of zeros among the weights that pruning may take."""
        return self._native.sparsity

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape of a row of features."""
        return tuple(self._native.feature_shape)

    @property
    def class_names(self) -> list[str]:
        """The names of its classes, where the data had any."""
        return self._native.class_names

    def predict(self, features: ArrayLike) -> NDArray[np.float32]:
        """What it answers for each row: logits ``[rows, classes]``, or values in the units of the
        targets. Features are given as they were measured."""
        return self._native.predict(_features(features))

    def evaluate(self, features: ArrayLike, answers: ArrayLike) -> dict[str, float]:
        """Loss and figures, like ``accuracy``, on rows with known answers: numbers, or names of
        classes where it was trained on those."""
        known, _ = _answers(answers, self.class_names)
        return self._native.evaluate(_features(features), known)

    @property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The tensors by name, as they are now: pruned weights are 0."""
        return self._native.weights()

    @property
    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """Of each weight that has a mask: True where it is kept."""
        return self._native.masks()

    def set_weight(self, name: str, values: ArrayLike) -> None:
        """Puts ``values`` into the tensor ``name``. Weights that are pruned stay 0."""
        self._native.set_weight(name, np.asarray(values, np.float32))

    def save(self, path: Path) -> None:
        """Writes a safetensors file that :func:`load` and ``secateur eval`` open."""
        self._native.save(path)

    def __repr__(self) -> str:
        return f"<secateur.Model {self.network}, {self.sparsity:.1%} pruned, on {self.adapter}>"


def load(path: Path, *, batch: int = 256) -> Model:
    """Opens what secateur has written: a logdir, a checkpoint, or a file of ``export`` or
    :meth:`Model.save`. It answers ``batch`` rows at a time."""
    return Model(_secateur.load(path, batch))


def train(
    recipe: Mapping[str, Any] | Path,
    features: ArrayLike | None = None,
    answers: ArrayLike | None = None,
    *,
    standardise: bool = False,
    logdir: Path | None = None,
    callback: Callable[[dict[str, float]], object] | None = None,
    **settings: Any,
) -> Model:
    """Trains a network, and prunes it meanwhile where the recipe says so.

    ``recipe`` is a TOML file, or a dictionary of settings by the names that recipes and the command
    line have: ``model``, ``steps``, ``batch``, ``optimizer``, ``lr``, ``sparsity``, ``pruning``...
    Further ``settings`` go before those of the recipe.

    ``features`` are rows: floats, or bytes of images. ``answers`` are whole numbers or words for
    classes, floats for numbers to predict. Words become the ``class_names`` of the model, sorted.
    Without arrays the recipe's own data is opened.
    ``standardise`` brings each feature and each target to mean 0 and deviation 1; the model keeps
    the scaling, and takes and gives numbers in their own units.

    With a ``logdir`` there are checkpoints, and a call with the same logdir goes on from the newest.
    ``callback`` is called after each step with ``step``, ``loss``, the metric, ``learning_rate``,
    ``seconds``, and ``sparsity`` where masks were updated. An exception in it, or an interrupt, ends
    the run after the step in hand and is raised.
    """
    path, given = (None, dict(recipe)) if isinstance(recipe, Mapping) else (recipe, {})
    given |= settings
    standardise = bool(given.pop("standardise", standardise))
    if (features is None) != (answers is None):
        raise ArgumentError("features and answers: give both, or neither")
    arrays = None
    class_names: list[str] = []
    if features is not None and answers is not None:
        known, class_names = _answers(answers)
        arrays = (_features(features), known)
    texts = [(name, _text(value)) for name, value in given.items()]
    return Model(_secateur.train(path, texts, arrays, class_names, standardise, logdir, callback))


def prune(path: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Prunes a safetensors file, or a folder of a pretrained model, into ``out``.

    The options are those of ``secateur prune``, with ``_`` for ``-``: ``sparsity=0.5``,
    ``pattern="2:4"``, ``scope="global"``, ``score="wanda"``, ``data="text:train.txt"``,
    ``samples=128``, ``force=True``... The report of ``--json`` comes back.
    """
    return command("prune", path, output=out, **options)


def command(name: str, *arguments: Path, **options: Any) -> dict[str, Any]:
    """Runs a command of the command line in a process of its own, and returns what ``--json``
    prints: ``command("eval", "logs/run", data="digits")``. An interrupt ends it, and leaves nothing
    half written.

    ``True`` sets a flag, ``False`` and ``None`` leave an option out.
    """
    words = [sys.executable, "-m", "secateur", name, *(os.fspath(path) for path in arguments)]
    for option, value in options.items():
        if value is None or value is False:
            continue
        words.append("--" + option.replace("_", "-"))
        if value is not True:
            words[-1] += "=" + _text(value)
    words.append("--json")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        try:
            answer, said = run.communicate()
        except BaseException:
            run.send_signal(signal.SIGINT)
            run.communicate()
            raise
    if run.returncode != 0:
        raise _refused(run.returncode, said)
    report: dict[str, Any] = json.loads(answer)
    return report


def _refused(code: int, said: str) -> Error:
    """The exception of a command that failed: what it said last, without its name."""
    blocks = said.replace("\n  ", "\0").splitlines()
    last = next((b for b in reversed(blocks) if b.startswith(("secateur: ", "error: "))), said)
    message = last.replace("\0", "\n  ").split(": ", 1)[-1].strip() or f"exit code {code}"
    kind = {72: DeviceError, 73: FileError, 74: FileError}.get(code, Error)
    return kind(message)


def _text(value: Any) -> str:
    """A setting as command lines have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ",".join(f"{name}={_text(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _features(features: ArrayLike) -> NDArray[Any]:
    array = np.asarray(features)
    return array if array.dtype == np.uint8 else array.astype(np.float32, copy=False)


def _answers(
    answers: ArrayLike, class_names: list[str] | None = None
) -> tuple[NDArray[Any], list[str]]:
    """What the native module takes, and the names of classes where they were words. To train
    there are no ``class_names`` yet."""
    array = np.asarray(answers)
    kind = array.dtype.kind
    if kind in "iub":
        return array.astype(np.int64, copy=False), []
    if kind == "f":
        whole = array.ndim == 1 and array.size > 20 and bool(np.all(array == np.round(array)))
        if whole and class_names is None and len(np.unique(array)) <= 20:
            warnings.warn(
                "answers are floats, so they are learnt as numbers; their few values are whole: "
                "give integers if they are classes",
                stacklevel=3,
            )
        return array.astype(np.float32, copy=False), []
    if kind == "U" or (kind == "O" and all(isinstance(word, str) for word in array.flat)):
        words, places = np.unique(array.astype(np.str_), return_inverse=True)
        places = places.reshape(array.shape).astype(np.int64)
        if class_names is None:
            return places, [str(word) for word in words]
        known = {name: place for place, name in enumerate(class_names)}
        for word in words:
            if str(word) not in known:
                raise ArgumentError(
                    f"answers: `{word}` is no class of the model; it has {', '.join(class_names)}"
                    if class_names
                    else f"answers: `{word}`: the classes of the model have no names, give numbers"
                )
        return np.array([known[str(word)] for word in words], np.int64)[places], []
    raise ArgumentError(
        f"answers are {array.dtype}: give whole numbers or words for classes, floats for numbers "
        "to predict"
    )
