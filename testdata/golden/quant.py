"""Blocks of quantised weights and what they stand for, by the reference implementations: gguf and bitsandbytes.

NAME.blocks holds blocks of random bits whose scales are finite and NAME.values the float32 that they stand for; NAME.source holds float32
weights and NAME.encoded the blocks that the reference makes of them, where it makes any. gptq and awq: see grouped().
"""

import pathlib

import numpy as np
import torch
from bitsandbytes import functional as bnb
from gguf import GGMLQuantizationType as T
from gguf import quants

OUT = pathlib.Path(__file__).parent / "quant"
# bytes of a block, where its f16 scales lie, whether the reference encodes, blocks
FORMATS = {
    "q8_0": (T.Q8_0, 34, [0], True, 6), "q5_1": (T.Q5_1, 24, [0, 2], True, 6), "q5_0": (T.Q5_0, 22, [0], True, 6),
    "q4_1": (T.Q4_1, 20, [0, 2], True, 6), "q4_0": (T.Q4_0, 18, [0], True, 6), "iq4_nl": (T.IQ4_NL, 18, [0], False, 6),
    "q6_k": (T.Q6_K, 210, [208], False, 3), "q5_k": (T.Q5_K, 176, [0, 2], False, 3), "q4_k": (T.Q4_K, 144, [0, 2], False, 3),
    "q3_k": (T.Q3_K, 110, [108], False, 3), "q2_k": (T.Q2_K, 84, [80, 82], False, 3),
}


def save(name, a):
    (OUT / name).write_bytes(np.ascontiguousarray(a).tobytes())


def source(rng, n):
    """Weights as models have them, a block of zeros, one of equal weights, ties and outliers."""
    x = (rng.standard_normal((n, 64)) * 0.02).astype(np.float32)
    x[0] = 0
    x[1] = 0.25
    x[2, :8] = [1, -1, 0.5, -0.5, 0.1, -0.1, 3, -3]
    x[3, 5] = 40
    return x


def block_formats(rng):
    for name, (kind, size, scales, encodes, n) in FORMATS.items():
        blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
        for at in scales:
            d = rng.uniform(1e-5, 0.1, n).astype(np.float16)
            d[0] = np.float16(-0.01)
            blocks[:, at:at + 2] = d.view(np.uint8).reshape(n, 2)
        save(name + ".blocks", blocks)
        save(name + ".values", quants.dequantize(blocks, kind))
        if encodes:
            x = source(rng, 8)
            save(name + ".source", x)
            save(name + ".encoded", quants.quantize(x, kind))


def nf4(rng):
    x = source(rng, 8)
    q, state = bnb.quantize_4bit(torch.from_numpy(x), blocksize=64, quant_type="nf4")
    blocks = np.concatenate([state.absmax.numpy().reshape(-1, 1).view(np.uint8), q.numpy().reshape(-1, 32)], axis=1)
    save("nf4.source", x)
    save("nf4.encoded", blocks)
    save("nf4.blocks", blocks)
    save("nf4.values", bnb.dequantize_4bit(q, state).numpy())


def grouped(rng):
    """32 inputs in groups of 8 and 16 outputs, from the levels on: the words as AutoGPTQ and AutoAWQ pack them."""
    q = rng.integers(0, 16, (32, 16)).astype(np.uint32)
    zero = rng.integers(1, 16, (4, 16)).astype(np.uint32)
    scale = rng.uniform(0.001, 0.1, (4, 16)).astype(np.float16)
    order = [0, 2, 4, 6, 1, 3, 5, 7]

    def words(a, columns=range(8)):  # along the last axis
        a = a.reshape(*a.shape[:-1], -1, 8)
        return sum(a[..., c] << np.uint32(4 * i) for i, c in enumerate(columns)).astype(np.uint32)

    index = rng.permutation(np.repeat(np.arange(4), 8)).astype(np.int32)
    save("grouped.scales", scale)
    save("gptq.weights", words(q.T).T)
    save("gptq.zeros", words(zero - 1))
    save("gptq.index", index)
    save("gptq.values", (scale.astype(np.float32)[index] * (q.astype(np.float32) - zero.astype(np.float32)[index])).T)
    save("awq.weights", words(q, order))
    save("awq.zeros", words(zero, order))
    group = np.arange(32) // 8
    save("awq.values", (scale.astype(np.float32)[group] * (q.astype(np.float32) - zero.astype(np.float32)[group])).T)


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    rng = np.random.default_rng(20)
    block_formats(rng)
    nf4(rng)
    grouped(rng)
