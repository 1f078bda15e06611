#!/usr/bin/env python3
"""Writes what runs of 30 steps do under TensorFlow's own optimizers, with masks by the rules of r1.9's pruning library.

    pip install tensorflow-cpu==2.15.1 'numpy<2'
    scripts/golden_training.py tests/goldens

TensorFlow 2.15 has the optimizers of `tf.train`, but no `tf.contrib` any more: schedule, gate, histogram and mask are written
out here, in its own f32. The schedule ends at step 20, which the frequency of 3 passes over. A state is what there is just
before a step, after the mask update of the step before.
"""
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_eager_execution()
ROWS, WIDTH, STEPS, NBINS = 16, 8, 30, 256
FREQUENCY, ARRIVES, TARGET, DECAY = 3, 20, 0.6, 0.5
HPARAMS = (
    f"pruning_frequency={FREQUENCY},sparsity_function_end_step={ARRIVES},"
    f"target_sparsity={TARGET},threshold_decay={DECAY}"
)
# Adam's epsilon is added to the root before the bias correction; one this large shows where.
RUNS = {
    "momentum": (lambda: tf.train.MomentumOptimizer(0.3, 0.9), {"name": "momentum", "lr": 0.3}),
    "adam": (
        lambda: tf.train.AdamOptimizer(0.1, beta2=0.95, epsilon=1e-4),
        {"name": "adam", "lr": 0.1, "beta2": 0.95, "epsilon": 1e-4, "epsilon_form": "tensorflow"},
    ),
}


def wave(count, step, shift):
    """sin(step * i + shift) of the index, in f32."""
    return np.sin(step * np.arange(count) + shift).astype(np.float32)


def update(w, mask, threshold, step):
    """r1.9's mask update: nbins bins up to the largest magnitude, and a threshold that lags."""
    left = 1.0 - tf.minimum(1.0, tf.cast(step, tf.float32) / ARRIVES)
    sparsity = -TARGET * left**3.0 + TARGET
    a = tf.abs(w)
    peak = tf.reduce_max(a)
    below = tf.cumsum(tf.cast(tf.histogram_fixed_width(a, [0.0, peak], NBINS), tf.float32))
    bins = tf.reduce_sum(tf.cast(below / tf.reduce_max(below) < sparsity, tf.float32))
    found = threshold.assign(bins / NBINS * peak * (1.0 - DECAY) + threshold * DECAY)
    return mask.assign(tf.cast(a > found, tf.float32))


def run(make, optimizer):
    x = wave(ROWS * WIDTH, 0.7, 0.3).reshape(ROWS, WIDTH) * 2.0
    true = wave(WIDTH, 1.9, 0.5)[:, None] * 1.5
    y = (x @ true + 4.0 * wave(ROWS, 5.3, 0.0)[:, None] > 0).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.Variable(wave(WIDTH, 2.3, 1.0)[:, None] * 0.8)
        b = tf.Variable(np.zeros(1, np.float32))
        mask, threshold = tf.Variable(tf.ones([WIDTH, 1]), False), tf.Variable(0.0, False)
        p = tf.sigmoid(x @ (mask * w) + b)
        loss = tf.losses.log_loss(y, p)
        train = make().minimize(loss, var_list=[w, b])
        step = tf.placeholder(tf.int32, [])
        new_mask = update(w, mask, threshold, step)
        session.run(tf.global_variables_initializer())
        flat = lambda v: [float(n) for n in np.asarray(v, np.float32).ravel()]
        states, last = [], 0
        for k in range(STEPS):
            now = [flat(v) for v in session.run([w, b, mask, threshold])]
            names = ["w", "b", "mask0", "threshold0"]
            states.append(dict(zip(names, now)) | {"last_mask_update_step": last})
            states[-1]["loss_of_next_step"] = flat(session.run([loss, train])[0])
            if last + FREQUENCY <= k + 1:
                session.run(new_mask, {step: k + 1})
                last = k + 1
        end = dict(zip(["fc/weights", "fc/biases"], map(flat, session.run([w, b]))))
    columns = {"X": flat(x), "Y": flat(y), "final_checkpoint": end, "state_before_step": states}
    return {"hparams": HPARAMS, "optimizer": optimizer} | columns


for name, (make, optimizer) in RUNS.items():
    recorded = run(make, optimizer)
    for state in recorded["state_before_step"]:
        print(name, state["last_mask_update_step"], state["mask0"], state["threshold0"], state["loss_of_next_step"])
    with open(f"{sys.argv[1]}/train_logistic_{name}_tf215.json", "w") as file:
        json.dump(recorded, file, indent=None, separators=(",", ":"))
        file.write("\n")
