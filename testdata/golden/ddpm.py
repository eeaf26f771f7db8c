"""A digit drawn by a real denoiser, in float64 and NumPy alone.

    python ddpm.py yichizz_ddpm_mnist_starter.safetensors

Writes samplers/digit.npy: what pipelines/mnist-ddpm.cue draws with count 1 and seed 3.
The noise is that of pipe: Philox4x32-10 (Salmon et al., SC11) and Box and Muller.
"""

import pathlib
import sys

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.numpy import load_file
from scipy.special import erf

STEPS, SEED = 1000, 3


def philox(counter, key):
    c = [np.asarray(v, np.uint64) for v in counter]
    k = [np.uint64(v) for v in key]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> np.uint64(32)) ^ c[1] ^ k[0], b & low, (a >> np.uint64(32)) ^ c[3] ^ k[1], a & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return c


def noise(stream, n):
    i = np.arange(n, dtype=np.uint64)
    r = philox([i, np.full(n, stream, np.uint64), np.full(n, 1, np.uint64), np.zeros(n, np.uint64)], [SEED, 0])
    u = ((r[0] << np.uint64(21) | r[1] >> np.uint64(11)).astype(np.float64) + 1) * 2.0**-53
    v = (r[2] << np.uint64(21) | r[3] >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return (np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)).astype(np.float32).astype(np.float64)


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def conv(x, w, b):
    p = w.shape[-1] // 2
    windows = sliding_window_view(np.pad(x, ((0, 0), (p, p), (p, p))), w.shape[2:], (1, 2))
    return np.tensordot(w, windows, ([1, 2, 3], [0, 3, 4])) + b[:, None, None]


def predict(W, x, t):
    a = t / STEPS * W["gt.frequencies"]
    h = np.concatenate([np.sin(a), np.cos(a) - 1])
    for i in (0, 2, 4, 6):
        h = W[f"gt.time_embed.{i}.weight"] @ h + W[f"gt.time_embed.{i}.bias"]
        h = gelu(h) if i < 6 else h
    for i in range(4):
        p = f"gt.blocks.{i}.net"
        x = conv(x, W[p + ".0.weight"], W[p + ".0.bias"])
        x = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * W[p + ".1.weight"] + W[p + ".1.bias"]
        x = gelu(x)
        x = x + h[:, None, None] if i == 0 else x
    return conv(x, W["gt.blocks.4.weight"], W["gt.blocks.4.bias"])


def main():
    W = {k: v.astype(np.float64) for k, v in load_file(sys.argv[1]).items()}
    bar = W["alpha_t"]
    x = noise(0, 784).reshape(1, 28, 28)
    for i, t in enumerate(range(STEPS, 0, -1)):
        a, before = bar[t], bar[t - 1] if t > 1 else 1.0
        beta = 1 - a / before
        x0 = np.clip((x - np.sqrt(1 - a) * predict(W, x, t)) / np.sqrt(a), -0.5, 0.5)
        x = np.sqrt(before) * beta / (1 - a) * x0 + np.sqrt(1 - beta) * (1 - before) / (1 - a) * x
        x = x + np.sqrt(max((1 - before) / (1 - a) * beta, 1e-20)) * noise(i + 1, 784).reshape(x.shape)
    np.save(pathlib.Path(__file__).parent / "samplers" / "digit.npy", x.astype(np.float32)[None])


if __name__ == "__main__":
    main()
