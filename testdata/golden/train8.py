"""Optimizers with 8-bit state, by NumPy in float64.

    python testdata/golden/train8.py

train/optimizers8/NAME.safetensors, as train/optimizers (see train.py), and

    w.K.full    the weights that the optimizer gives with its state in float64

AdamW and Lion keep no state in 8 bits in PyTorch, so the reference is the papers' formulas, written here a second time.
"""

import os
import zlib

import numpy as np
import torch

from train import COUNT, OUT, RATES, STEPS, save

SHAPES = [(6, 7), (4, 16), (5,)]


def encode(x, size, positive):
    """Codes of blocks and their scales. Blocks: arXiv:2110.02861; linear-square codes: arXiv:2405.18144."""
    flat = np.append(x.ravel(), np.zeros(-x.size % size)).reshape(-1, size)
    scale = np.abs(flat).max(1, keepdims=True)
    r = np.divide(flat, scale, out=np.zeros_like(flat), where=scale > 0)
    if not positive:
        return np.rint(np.copysign(127 * np.abs(r) ** 0.5, r)).astype(np.int8), scale
    codes = np.rint(255 * r**0.25)
    codes[(r > 0) & (codes == 0)] = 1
    return codes.astype(np.uint8), scale


def decode(codes, scale, shape, positive):
    c = codes.astype(np.float64)
    r = (c / 255) ** 4 if positive else np.sign(c) * (c / 127) ** 2
    return (r * scale).ravel()[: int(np.prod(shape))].reshape(shape)


class Kept:
    """A state that starts at zero; exact where size is 0."""

    def __init__(self, shape, size, positive):
        self.shape, self.size, self.positive, self.value = shape, size, positive, np.zeros(shape)

    def set(self, x):
        self.value = decode(*encode(x, self.size, self.positive), self.shape, self.positive) if self.size else x


def adamw(w, grads, rates, size, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    m, v, out = Kept(w.shape, size, False), Kept(w.shape, size, True), []
    for t, (g, lr) in enumerate(zip(grads, rates), 1):
        first, second = betas[0] * m.value + (1 - betas[0]) * g, betas[1] * v.value + (1 - betas[1]) * g**2
        m.set(first), v.set(second)
        w = w - lr * weight_decay * w - lr * (first / (1 - betas[0] ** t)) / (np.sqrt(second / (1 - betas[1] ** t)) + eps)
        out.append(w)
    return out


def lion(w, grads, rates, size, betas=(0.9, 0.99), weight_decay=0.1):
    m, out = Kept(w.shape, size, False), []
    for g, lr in zip(grads, rates):
        w = w - lr * (np.sign(betas[0] * m.value + (1 - betas[0]) * g) + weight_decay * w)
        m.set(betas[1] * m.value + (1 - betas[1]) * g)
        out.append(w)
    return out


CASES = {
    "adamw8": ("adamw8", adamw, dict(block_size=16, min_8bit_size=8)),
    "adamw8_llm": ("adamw8", adamw, dict(block_size=5, min_8bit_size=0, betas=[0.9, 0.95], eps=1e-6, weight_decay=0.1)),
    "adamw8_small": ("adamw8", adamw, dict()),
    "lion8": ("lion8", lion, dict(block_size=16, min_8bit_size=8)),
}


def make(case):
    name, run, attr = CASES[case]
    kw = dict(attr)
    size, least = kw.pop("block_size", 256), kw.pop("min_8bit_size", 4096)
    g = torch.Generator().manual_seed(zlib.crc32(case.encode()))
    rates = RATES.get(name, 0.02) * (1 + 0.5 * torch.sin(torch.arange(COUNT, dtype=torch.float64)))
    out = {"lr": rates}
    for k, shape in enumerate(SHAPES):
        w, grads = torch.randn(shape, generator=g), 0.3 * torch.randn((COUNT, *shape), generator=g)
        grads.view(COUNT, -1)[:, 0] *= 1e-4
        grads.view(COUNT, -1)[:6, 1] = 0
        args = w.double().numpy(), grads.double().numpy(), rates.numpy()
        held, full = (run(*args, n, **kw) for n in (size if w.numel() >= least else 0, 0))
        assert all(np.isfinite(x).all() for x in held), case
        picked = [torch.from_numpy(np.stack([x[s - 1] for s in STEPS])) for x in (held, full)]
        out |= {f"w.{k}": w, f"g.{k}": grads, f"w.{k}.after": picked[0], f"w.{k}.full": picked[1]}
    return save(os.path.join(OUT, "optimizers8", case + ".safetensors"), out, name=name, attr=attr)


if __name__ == "__main__":
    print(len(CASES), "cases,", sum(map(make, CASES)), "bytes")
