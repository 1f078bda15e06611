#!/usr/bin/env python3
"""Writes what TensorFlow's own recurrent cells compute: outputs, and gradients of the sum of their squares.

    pip install tensorflow-cpu==2.15.1 'numpy<2'
    scripts/golden_cells.py > tests/goldens/cells_tf215.json

The cells are tf.compat.v1's, r1.9's BasicLSTMCell, LSTMCell and GRUCell, whose masked versions multiply the kernel with a
mask first. Every input is a formula of its index, so that the file holds results only.
"""
import json
import math
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_eager_execution()
ROWS, LENGTH, WIDTH, UNITS = 2, 4, 3, 5


def wave(shape, step, shift):
    """sin(step * i + shift) of the index, in f32."""
    count = math.prod(shape)
    return np.sin(step * np.arange(count) + shift).astype(np.float32).reshape(shape)


def mask(shape):
    """0 where the index is a multiple of 3, else 1."""
    return (np.arange(math.prod(shape)) % 3 != 0).astype(np.float32).reshape(shape)


CASES = {
    "basic_lstm": lambda: tf.nn.rnn_cell.BasicLSTMCell(UNITS, forget_bias=1.0),
    "lstm_peepholes_clipped": lambda: tf.nn.rnn_cell.LSTMCell(
        UNITS, use_peepholes=True, cell_clip=0.3, forget_bias=0.5
    ),
    "lstm_projected": lambda: tf.nn.rnn_cell.LSTMCell(
        UNITS, use_peepholes=True, num_proj=2, proj_clip=0.4
    ),
    "gru": lambda: tf.nn.rnn_cell.GRUCell(UNITS),
}


def run(make):
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant(wave((ROWS, LENGTH, WIDTH), 0.7, 0.1))
        cell = make()
        outputs, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
        weights = tf.trainable_variables()
        loss = tf.reduce_sum(outputs**2)
        gradients = tf.gradients(loss, [x] + weights)
        for i, weight in enumerate(weights):
            shape = weight.shape.as_list()
            value = 0.8 * wave(shape, 0.37, 0.2 * i)
            if "kernel" in weight.name and "projection" not in weight.name:
                value = value * mask(shape)
            weight.load(value, session)
        values = session.run([outputs] + gradients)
    names = ["outputs", "of x"] + ["of " + w.name.split("/", 1)[1].removesuffix(":0") for w in weights]
    flat = lambda v: [float(n) for n in np.asarray(v, np.float32).ravel()]
    return {name: flat(value) for name, value in zip(names, values)}


print(json.dumps({name: run(make) for name, make in CASES.items()}, indent=1))
