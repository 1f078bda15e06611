#!/usr/bin/env python3
"""Draws loss, accuracy and sparsity of a run, beside those of its dense baseline if there is one.

    pip install tensorboard matplotlib
    scripts/plot_logdir.py LOGDIR -o OUT.png
"""
import argparse
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def curve(logdir, tag):
    events = EventAccumulator(str(logdir), size_guidance={"scalars": 0}).Reload()
    if tag not in events.Tags()["scalars"]:
        return [], []
    points = events.Scalars(tag)
    return [p.step for p in points], [p.value for p in points]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logdir", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    args = parser.parse_args()
    runs = [("pruned", args.logdir, "tab:blue")]
    if (args.logdir / "dense").is_dir():
        runs.append(("dense", args.logdir / "dense", "tab:gray"))
    figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
    for name, logdir, colour in reversed(runs):
        axes[0].semilogy(*curve(logdir, "loss"), color=colour, label=name)
        axes[1].plot(*curve(logdir, "accuracy"), color=colour, label=name)
    steps, asked = curve(args.logdir, "model_pruning_summaries/sparsity")
    axes[2].step(steps, asked, where="post", color="tab:orange", label="asked")
    steps, reached = curve(args.logdir, "model_pruning_summaries/mask_sparsity")
    axes[2].step(steps, reached, where="post", color="tab:blue", linestyle=":", label="reached")
    for axis, title in zip(axes, ["loss of the batch", "accuracy of the batch", "sparsity"]):
        axis.set(title=title, xlabel="global step")
        axis.grid(alpha=0.3)
        axis.legend(loc="lower right" if title != "loss of the batch" else "upper right")
    # What a good classifier does happens near 1; a language model is never there.
    last = max(curve(logdir, "accuracy")[1][-1] for _, logdir, _ in runs)
    axes[1].set_ylim(0.7 if last > 0.9 else 0, 1.01)
    axes[2].set_ylim(0, 1)
    figure.savefig(args.output, dpi=90)


if __name__ == "__main__":
    main()
