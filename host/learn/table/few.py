"""Fits the constants of src/calibration.rs for lessons of few lines.

    cargo run --release -p kgents-learn --example clinc -- --train T --data V --model M --few > few.jsonl
    python3 few.py few.jsonl

Prints, for each tier, the two logistic models with the greatest likelihood (weights not below zero), and how well the
probabilities hold: out of scope counts a fifth, nine tenths of that for lines that nobody takes and one for lines of
routes left out. Each model drawn counts the same.
"""
import collections, json, sys
import numpy as np
from scipy.optimize import minimize


def fit(X, is_one, w):
    B = np.concatenate([X, np.ones((len(X), 1))], 1)

    def loss(v):
        z = B @ v
        p = 1 / (1 + np.exp(-z))
        return (w * (np.logaddexp(0, z) - is_one * z)).sum() + 1e-5 * (v[:-1] ** 2).sum(), B.T @ (w * (p - is_one)) + 2e-5 * np.r_[v[:-1], 0]

    bounds = [(0, None)] * X.shape[1] + [(None, None)]
    v = minimize(loss, np.zeros(B.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 2000}).x
    return v, 1 / (1 + np.exp(-(B @ v)))


def log_odds(p):
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def error(p, is_one, w):
    b = np.minimum((p * 15).astype(int), 14)
    return sum(abs((w[b == i] * (p - is_one)[b == i]).sum()) for i in range(15)) / w.sum()


rows = [json.loads(line) for line in open(sys.argv[1])]
for tier in ("words", "sentences"):
    of_tier = [r for r in rows if r["tier"] == tier]
    if not of_tier:
        continue
    sizes = collections.Counter((r["routes"], r["lines"], r["kind"]) for r in of_tier)
    count = {"own": .8, "far": .18, "near": .02}
    w = np.array([count[r["kind"]] / sizes[r["routes"], r["lines"], r["kind"]] for r in of_tier])
    w /= w.sum()
    X = np.array([r["features"] for r in of_tier])
    own = np.array([r["kind"] == "own" for r in of_tier], float)
    right = np.array([r["is_right"] for r in of_tier], float)
    v, p = fit(X, own, w)
    u, c = fit(np.stack([log_odds(p), [r["share"] for r in of_tier]], 1), right, w)
    print(tier, "in scope", np.round(v, 3).tolist(), "right", np.round(u, 3).tolist(), "(intercept last)")
    now = np.array([r["confidence"] for r in of_tier])
    for size in sorted({(r["routes"], r["lines"]) for r in of_tier}):
        m = np.array([(r["routes"], r["lines"]) == size for r in of_tier])
        print("  routes, lines", size, f"share right {(w * right)[m].sum() / w[m].sum():.3f}; error of these constants {error(c[m], right[m], w[m]):.3f}, of the models as they were {error(now[m], right[m], w[m]):.3f}")
