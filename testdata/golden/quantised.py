"""Writes testdata/golden/quantised/: weights as quantised checkpoints hold them, and in NAME.expected.safetensors what they stand for.

8-bit floats are cast by PyTorch, packed integers by the compressed-tensors package, GPTQ and AWQ words by NumPy as AutoGPTQ and AutoAWQ lay them out.

    pip install -r testdata/golden/requirements.txt
    python testdata/golden/quantised.py
"""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32  # noqa: E402

folder = os.path.join(here, "quantised")
os.makedirs(folder, exist_ok=True)
torch.manual_seed(5)
rng = np.random.default_rng(5)


def write(name, tensors, expected):
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, os.path.join(folder, name + ".safetensors"))
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, os.path.join(folder, name + ".expected.safetensors"))


# All codes of the 8-bit floats, and scales as files have them.
t, e = {}, {}
codes = torch.arange(256, dtype=torch.uint8)
for n, d in ("e4m3", torch.float8_e4m3fn), ("e5m2", torch.float8_e5m2):
    t[f"codes_{n}.weight"] = codes.view(d).view(16, 16)
    e[f"codes_{n}.weight"] = t[f"codes_{n}.weight"].to(torch.bfloat16)
for n, scale, size, block in (
    ("tensor", torch.tensor(0.25), (6, 10), None), ("one", torch.tensor([0.3]), (6, 10), None), ("rows", torch.rand(6, 1), (6, 10), "rows"),
    ("flat", torch.rand(6), (6, 10), "rows"), ("half", torch.rand(6, 1).to(torch.bfloat16), (6, 10), "rows"), ("blocks", torch.rand(2, 2), (130, 140), 128),
):
    w = torch.randn(size).to(torch.float8_e4m3fn)
    full = scale.float()
    if block == "rows":
        full = full.reshape(-1, 1)
    elif block:
        full = full.repeat_interleave(block, 0)[: size[0]].repeat_interleave(block, 1)[:, : size[1]]
    key = {"blocks": "blocks.weight_scale_inv", "one": "one.scale_weight"}.get(n, n + ".weight_scale")
    t[n + ".weight"], t[key] = w, scale
    e[n + ".weight"] = w.float() * full
t["tensor.input_scale"] = torch.tensor(2.0)
# Powers of two for every 4 of a row, as microscaling has them.
w = torch.randn(3, 8).to(torch.float8_e5m2)
exponents = torch.tensor([[120, 127], [128, 130], [126, 125]], dtype=torch.uint8)
t["mx.weight"], t["mx.weight_scale"] = w, exponents.view(torch.float8_e8m0fnu)
e["mx.weight"] = w.float() * exponents.view(torch.float8_e8m0fnu).float().repeat_interleave(4, 1)
# 8-bit integers with a scale for rows; integers alone stay what they are.
w = torch.randint(-128, 128, (4, 6), dtype=torch.int8)
t["int8.weight"], t["int8.weight_scale"] = w, torch.rand(4, 1)
e["int8.weight"] = w.float() * t["int8.weight_scale"]
t["counts"] = e["counts"] = torch.tensor([1, -2], dtype=torch.int8)
t["norm.weight"] = e["norm.weight"] = torch.rand(4)
write("float8", t, e)

t, e = {}, {}
for bits in 4, 8:
    for group in 8, 24:
        q = torch.randint(-(1 << bits - 1), 1 << bits - 1, (5, 24), dtype=torch.int8)
        n = f"w{bits}_g{group}"
        t[n + ".weight_packed"] = pack_to_int32(q, bits)
        t[n + ".weight_scale"] = torch.rand(5, 24 // group).to(torch.bfloat16)
        t[n + ".weight_shape"] = torch.tensor([5, 24])
        e[n + ".weight"] = q.float() * t[n + ".weight_scale"].float().repeat_interleave(group, 1)
write("packed", t, e)


# 4-bit words of GPTQ and AWQ: groups of 32 and of 16, and an order of groups.
def words(q):
    """Packs eight along the last axis into a word, the first in the low bits."""
    q = q.reshape(*q.shape[:-1], -1, 8).astype(np.uint32)
    return torch.from_numpy(sum(q[..., i] << np.uint32(4 * i) for i in range(8)).astype(np.uint32).view(np.int32))


t, e = {}, {}
for n, inputs, outputs, group, order in ("gptq32", 64, 16, 32, False), ("gptq16", 32, 8, 16, False), ("ordered", 64, 8, 32, True), ("awq32", 64, 16, 32, None):
    q = rng.integers(0, 16, (inputs, outputs))
    z = rng.integers(0, 16, (inputs // group, outputs))
    s = rng.random((inputs // group, outputs)).astype(np.float16)
    if order is None:
        lane = [0, 2, 4, 6, 1, 3, 5, 7]
        t[n + ".qweight"] = words(q.reshape(inputs, -1, 8)[..., lane].reshape(inputs, outputs))
        t[n + ".qzeros"] = words(z.reshape(len(z), -1, 8)[..., lane].reshape(len(z), outputs))
        index, zero = np.arange(inputs) // group, z
    else:
        t[n + ".qweight"] = words(np.ascontiguousarray(q.T)).T
        t[n + ".qzeros"] = words(z)
        index, zero = rng.permutation(inputs) // group if order else np.arange(inputs) // group, z + 1
        t[n + ".g_idx"] = torch.from_numpy(index.astype(np.int32))
    t[n + ".scales"] = torch.from_numpy(s)
    e[n + ".weight"] = torch.from_numpy((s[index].astype(np.float32) * (q - zero[index]).astype(np.float32)).T)
    t[n + ".bias"] = e[n + ".bias"] = torch.rand(outputs)
write("grouped", t, e)


# A whole model: arch/llama with its matrices in 8-bit floats and a scale for blocks of 8 x 16; a folder of arch/ like the others, whose expected
# values are those of the weights that these stand for.
import json  # noqa: E402
import shutil  # noqa: E402
import tempfile  # noqa: E402

sys.path.insert(0, here)
import arch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

plain, packed, dense = os.path.join(here, "arch", "llama"), os.path.join(here, "arch", "llama_fp8"), tempfile.mkdtemp()
os.makedirs(packed, exist_ok=True)
t, e = {}, {}
for n, w in load_file(os.path.join(plain, "model.safetensors")).items():
    if w.dim() != 2 or "proj" not in n:
        t[n] = e[n] = w
        continue
    o, i = w.shape
    blocks = w.reshape(o // 8, 8, i // 16, 16)
    scale = blocks.abs().amax((1, 3)) / 448
    t[n] = (blocks / scale[:, None, :, None]).reshape(o, i).to(torch.float8_e4m3fn)
    t[n + "_scale_inv"] = scale
    e[n] = (t[n].float().reshape(blocks.shape) * scale[:, None, :, None]).reshape(o, i)
save_file(t, os.path.join(packed, "model.safetensors"), metadata={"format": "pt"})
save_file(e, os.path.join(dense, "model.safetensors"), metadata={"format": "pt"})
with open(os.path.join(plain, "config.json")) as f:
    config = json.load(f)
shutil.copy(os.path.join(plain, "config.json"), dense)
config["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [8, 16]}
for f, c in ("config.json", config),:
    with open(os.path.join(packed, f), "w") as out:
        json.dump(c, out, indent=2)
        out.write("\n")
shutil.copy(os.path.join(plain, "config.classic.json"), packed)
model = arch.load(dense)
ids = load_file(os.path.join(plain, "expected.safetensors"))["ids"].long()
logits, seen = arch.forward(model, ids)
tokens, _ = arch.greedy(model, ids[0, : arch.PROMPT])
expected = {"ids": ids.int(), "logits": logits.float(), "greedy": tokens.int()} | {k: v.float().contiguous() for k, v in seen.items()}
save_file(expected, os.path.join(packed, "expected.safetensors"))
shutil.rmtree(dense)
