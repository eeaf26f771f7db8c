"""Probabilities after the sampling transforms of transformers, in float64.

    python testdata/golden/sampler.py

sampler/probabilities.json: {"logits": {NAME: [...]}, "cases": [case, ...]}, where a case has

    logits         the name of a vector
    ids            token ids seen so far (what a repetition penalty looks at)
    params         some of repetition_penalty, temperature, top_k, top_p, min_p, applied in this order
    probabilities  softmax after the last transform; 0 for a removed token

The order is that of transformers' generate. A case whose result hangs on rounding or on the order of equal logits
(a threshold within 1e-6 of a cumulative probability, or between two equal logits) is left out.
"""

import os

import torch
from transformers import (MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                          TopKLogitsWarper, TopPLogitsWarper)

from reference import folder, write_cases

TRANSFORMS = {
    "repetition_penalty": RepetitionPenaltyLogitsProcessor,
    "temperature": TemperatureLogitsWarper,
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
}

PARAMS = [
    {},
    *[{"temperature": t} for t in [0.1, 0.7, 1.0, 1.5, 100.0]],
    *[{"top_k": k} for k in [1, 2, 5, 40, 1000]],
    *[{"top_p": p} for p in [1e-6, 0.1, 0.5, 0.9, 0.99, 1.0]],
    *[{"min_p": p} for p in [0.0, 0.01, 0.05, 0.3, 0.95]],
    *[{"repetition_penalty": r} for r in [0.5, 1.0, 1.1, 1.8]],
    {"temperature": 0.7, "top_k": 8},
    {"temperature": 1.3, "top_p": 0.85},
    {"temperature": 2.0, "min_p": 0.1},
    {"top_k": 6, "top_p": 0.7},
    {"top_p": 0.9, "min_p": 0.2},
    {"repetition_penalty": 1.3, "top_k": 3},
    {"repetition_penalty": 1.2, "temperature": 0.8, "top_k": 10, "top_p": 0.9},
    {"repetition_penalty": 1.2, "temperature": 0.8, "top_k": 10, "top_p": 0.95, "min_p": 0.05},
    {"repetition_penalty": 0.8, "temperature": 1.7, "top_k": 12, "top_p": 0.8, "min_p": 0.02},
]


def vectors():
    """Named logits, exact in f32, each with the ids seen before it."""
    g = torch.Generator().manual_seed(11)
    spread = 3 * torch.randn(40, generator=g)
    ties = torch.tensor([1.5, 0.25, 1.5, -2, 0.25, 3, 0.25, -2, 1.5, -0.5, 3, 0])
    peaked = torch.randn(16, generator=g)
    peaked[5] += 40
    return {
        "spread": (spread, [3, 17, 3, 0, 39, spread.argmax().item()]),
        "near": (0.2 * torch.randn(24, generator=g), [1, 2, 3, 3, 3]),
        "negative": (-20 + 2 * torch.randn(20, generator=g), [0, 19, 7]),
        "large": (5000 + 2 * torch.randn(12, generator=g), [4, 4]),
        "ties": (ties, [0, 5, 11]),
        "peaked": (peaked, [5, 6]),
        "equal": (torch.zeros(8), []),
        "single": (torch.tensor([0.75]), [0]),
    }


def ambiguous(name, value, scores, after):
    """Whether rounding or the order of equal logits decides which tokens stay."""
    kept, removed = scores[after.isfinite()], scores[~after.isfinite() & scores.isfinite()]
    if removed.numel() == 0 and name != "top_p":
        return False
    if removed.numel() and kept.min() <= removed.max():
        return True
    if name == "top_p":
        rest = scores.softmax(-1).sort().values.cumsum(-1)[..., :-1]
        rest = rest[rest > 0]
        return value < 1 and bool(((rest - (1 - value)).abs() < 1e-6).any())
    if name == "min_p":
        p = scores.softmax(-1)
        return bool(((p / p.max() - value).abs() < 1e-6).any())
    return False


def transform(logits, ids, params):
    """Probabilities, or None where the case is ambiguous."""
    scores, seen = logits.double()[None], torch.tensor([ids], dtype=torch.int64)
    for name, make in TRANSFORMS.items():
        if name not in params:
            continue
        after = make(params[name])(seen, scores.clone())
        if name in ("top_k", "top_p", "min_p") and ambiguous(name, params[name], scores, after):
            return None
        scores = after
    p = scores.softmax(-1)[0]
    assert p.dtype == torch.float64 and abs(p.sum() - 1) < 1e-12
    return p


if __name__ == "__main__":
    named, cases, left_out = vectors(), [], 0
    for name, (logits, ids) in named.items():
        for params in PARAMS:
            p = transform(logits, ids, params)
            if p is None:
                left_out += 1
                continue
            cases.append({"logits": name, "ids": ids, "params": params, "probabilities": p.tolist()})
    path = os.path.join(folder("sampler"), "probabilities.json")
    write_cases(path, {"logits": {name: logits.tolist() for name, (logits, _) in named.items()}}, cases)
    print(len(cases), "cases,", left_out, "ambiguous ones left out,", os.path.getsize(path), "bytes")
