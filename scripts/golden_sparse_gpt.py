#!/usr/bin/env python3
"""Makes tests/goldens/sparse_gpt_numpy.json: SparseGPT (arXiv 2301.00774) in NumPy and f64, from the
pseudocode of the paper, on a problem that tests make again from the same random numbers.

    scripts/golden_sparse_gpt.py tests/goldens/sparse_gpt_numpy.json

It refuses where two scores at the border of a mask are closer than f32 tells apart."""
import json, sys
import numpy as np

M64 = (1 << 64) - 1
class Noise:
    def __init__(self, seed): self.s = (seed + 1) * 0x9E3779B97F4A7C15 & M64
    def next(self):
        self.s ^= self.s >> 12
        self.s = (self.s ^ (self.s << 25)) & M64
        self.s ^= self.s >> 27
        return (self.s * 0x2545F4914F6CDD1D & M64) >> 32
    def integers(self, n, most): return [float(self.next() % (2 * most + 1)) - most for _ in range(n)]
    def floats(self, n): return [(self.next() >> 8) / (1 << 23) - 1 for _ in range(n)]

ROWS, INPUTS, UNITS, UNSEEN = 300, 147, 6, 17

def problem():
    z = np.array(Noise(1).integers(ROWS * (INPUTS + 1), 4)).reshape(ROWS, INPUTS + 1)
    x = z[:, :-1] + z[:, 1:]
    x[:, UNSEEN] = 0
    w = np.array(Noise(2).floats(INPUTS * UNITS)).reshape(INPUTS, UNITS).T.copy()
    return x, w

def factor(x):
    h = x.T @ x
    dead = np.diag(h) == 0
    h[dead, dead] = np.diag(h)[~dead].mean()
    h += 0.01 * np.diag(h).mean() * np.eye(len(h))
    return np.linalg.cholesky(np.linalg.inv(h)).T, dead

def gap(low, high):
    assert high > low * (1 + 1e-4), (low, high)

def sparsegpt(x, w, share=None, nm=None):
    w = w.copy()
    u, dead = factor(x)
    w[:, dead] = 0
    units, inputs = w.shape
    width = 128 if nm is None else 128 // nm[1] * nm[1]
    keep = np.ones_like(w, bool)
    total = None if share is None else round(share * w.size)
    for a in range(0, inputs, width):
        b = min(a + width, inputs)
        if nm is None:
            count = total * b // inputs - total * a // inputs
            score = (w[:, a:b] ** 2 / np.diag(u)[a:b] ** 2)
            order = np.sort(score.ravel())
            gap(order[count - 1], order[count])
            keep[:, a:b] = score >= order[count]
        err = np.zeros((units, b - a))
        for j in range(a, b):
            if nm is not None and j % nm[1] == 0:
                e = min(j + nm[1], b)
                score = w[:, j:e] ** 2 / np.diag(u)[j:e] ** 2
                for r in range(units):
                    order = np.argsort(-score[r], kind="stable")
                    if e - j > nm[0]:
                        gap(score[r][order[nm[0]]], score[r][order[nm[0] - 1]])
                    keep[r, j:e] = False
                    keep[r, j + order[:nm[0]]] = True
            e = np.where(keep[:, j], 0, w[:, j]) / u[j, j]
            w[:, j:b] -= np.outer(e, u[j, j:b])
            w[~keep[:, j], j] = 0
            err[:, j - a] = e
        w[:, b:] -= err @ u[a:b, b:]
    return w, keep

x, w = problem()
dense = np.linalg.norm(x @ w.T)
cases = []
for what in [dict(share=0.5), dict(share=0.83), dict(nm=(2, 4)), dict(nm=(3, 5)), dict(nm=(1, 32))]:
    new, keep = sparsegpt(x, w, **what)
    naive = np.where(keep, w, 0)
    errors = [np.linalg.norm(x @ (other - w).T) / dense for other in (new, naive)]
    print(what, keep.mean(), *errors, file=sys.stderr)
    pruned = int((~keep).sum())
    cases.append(dict(nm=what.get("nm"), pruned=pruned,
        kept=["".join("01"[int(k)] for k in row) for row in keep.T],
        weights=[float(f"{v:.9g}") for v in new.T[keep.T]]))
made_by = "SparseGPT's pseudocode (arXiv 2301.00774) in NumPy, f64; weights are those kept, input by input"
golden = dict(made_by=made_by, rows=ROWS, inputs=INPUTS, units=UNITS, unseen=UNSEEN, cases=cases)
json.dump(golden, open(sys.argv[1], "w"), separators=(",", ":"))
