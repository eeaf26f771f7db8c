"""Whole models in GPTQ's layout, and their logits by PyTorch.

    python testdata/golden/gptq.py

arch/llama_gptq is arch/llama with its matrices in 4 bits by groups of 16, those of mlp.down_proj in an order of groups of their own (act-order); a folder
of arch/ like the others. gptq/ is a Llama of its own with groups of 32, which pipe multiplies as they are, with x in 8 bits: expected.safetensors has the
`logits` of the decoded weights in float64, where each linear layer whose weights are in groups rounds its x to 8 bits by block of 32 (`rounded`; as docs/design.md
says, the greatest |x| becomes 127), and those that do not round (`exact`).

The weights are rounded to the nearest code of each group and packed by NumPy as AutoGPTQ packs them: codes of 8 inputs in a word, zeros less one.
"""

import json
import os
import shutil
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
import arch  # noqa: E402  (before numpy: gguf.py beside it has the name of a package)
import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402


def words(q):
    """Packs eight along the last axis into a word, the first in the low bits."""
    q = q.reshape(*q.shape[:-1], -1, 8).astype(np.uint32)
    return torch.from_numpy(sum(q[..., i] << np.uint32(4 * i) for i in range(8)).astype(np.uint32).view(np.int32))


def quantise(w, group, order):
    """The four tensors of a matrix [outputs, inputs], and what they stand for; order is the group of each input."""
    w = w.double().numpy().T  # [inputs, outputs]
    groups = w.shape[0] // group
    q, z, s = np.zeros(w.shape, np.int64), np.zeros((groups, w.shape[1]), np.int64), np.zeros((groups, w.shape[1]), np.float16)
    for g in range(groups):
        part = w[order == g]
        low, high = np.minimum(part.min(0), 0), np.maximum(part.max(0), 0)
        s[g] = (high - low) / 15
        scale = s[g].astype(np.float64)
        z[g] = np.clip(np.round(-low / scale), 1, 15)  # stored less one
        q[order == g] = np.clip(np.round(part / scale) + z[g], 0, 15)
    dense = s[order].astype(np.float32) * (q - z[order]).astype(np.float32)
    return {"qweight": words(np.ascontiguousarray(q.T)).T.contiguous(), "qzeros": words(z - 1), "scales": torch.from_numpy(s),
            "g_idx": torch.from_numpy(order.astype(np.int32))}, torch.from_numpy(dense.T.copy())


def pack(weights, group, ordered):
    """The tensors of a checkpoint, and the weights that they stand for."""
    rng = np.random.default_rng(9)
    packed, dense = {}, {}
    for n, w in weights.items():
        if w.dim() != 2 or "proj" not in n:
            packed[n] = dense[n] = w
            continue
        order = np.arange(w.shape[1]) // group
        if ordered in n:
            order = rng.permutation(order)
        parts, dense[n] = quantise(w, group, order)
        packed.update({n.removesuffix("weight") + k: v for k, v in parts.items()})
    again = unpack(packed)
    assert again.keys() == dense.keys() and all(torch.equal(again[n], dense[n]) for n in dense)
    return packed, dense


def unpack(tensors):
    """The weights of a checkpoint in GPTQ's layout, all by name."""
    dense = {n: t for n, t in tensors.items() if n.split(".")[-1] not in ("qweight", "qzeros", "scales", "g_idx")}
    for n in [n for n in tensors if n.endswith(".qweight")]:
        q, z, s, order = (tensors[n.removesuffix("qweight") + k].numpy() for k in ("qweight", "qzeros", "scales", "g_idx"))
        codes = np.stack([q >> 4 * i & 15 for i in range(8)], 1).reshape(-1, q.shape[1])
        zeros = np.stack([z >> 4 * i & 15 for i in range(8)], 2).reshape(z.shape[0], -1) + 1
        dense[n.removesuffix("qweight") + "weight"] = torch.from_numpy((s[order].astype(np.float32) * (codes - zeros[order]).astype(np.float32)).T.copy())
    return dense


def opened(path, load):
    """The model of a folder in GPTQ's layout, by a function that loads a folder with its weights."""
    with tempfile.TemporaryDirectory() as d:
        save_file(unpack(load_file(os.path.join(path, "model.safetensors"))), os.path.join(d, "model.safetensors"), metadata={"format": "pt"})
        with open(os.path.join(path, "config.json")) as f:
            config = json.load(f)
        del config["quantization_config"]
        with open(os.path.join(d, "config.json"), "w") as f:
            json.dump(config, f)
        return load(d)


def write(folder, config, packed, group, ordered):
    save_file(packed, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4, "group_size": group, "desc_act": ordered, "sym": False}
    with open(os.path.join(folder, "config.json"), "w") as out:
        json.dump(config, out, indent=2)
        out.write("\n")


def as_arch():
    plain, out = os.path.join(here, "arch", "llama"), os.path.join(here, "arch", "llama_gptq")
    os.makedirs(out, exist_ok=True)
    packed, dense = pack(load_file(os.path.join(plain, "model.safetensors")), 16, "down_proj")
    with open(os.path.join(plain, "config.json")) as f:
        config = json.load(f)
    with tempfile.TemporaryDirectory() as d:
        save_file(dense, os.path.join(d, "model.safetensors"), metadata={"format": "pt"})
        shutil.copy(os.path.join(plain, "config.json"), d)
        net = arch.load(d)
    write(out, config, packed, 16, True)
    shutil.copy(os.path.join(plain, "config.classic.json"), out)
    ids = load_file(os.path.join(plain, "expected.safetensors"))["ids"].long()
    logits, seen = arch.forward(net, ids)
    tokens, gap = arch.greedy(net, ids[0, : arch.PROMPT])
    save_file({"ids": ids.int(), "logits": logits.float(), "greedy": tokens.int()} | {k: v.float().contiguous() for k, v in seen.items()}, os.path.join(out, "expected.safetensors"))
    print("llama_gptq: greedy gap", gap, {f: os.path.getsize(os.path.join(out, f)) for f in os.listdir(out)})


def rounded(x, seen):
    """x in 8 bits by block of 32, computed in float32; seen gets how near to halfway between two codes a value lies."""
    b = x.numpy().astype(np.float32).reshape(*x.shape[:-1], -1, 32)
    d = np.abs(b).max(-1, keepdims=True) / np.float32(127)
    codes = b * (np.float32(1) / d)
    seen.append(np.abs(codes - np.floor(codes) - 0.5).min())
    return torch.from_numpy((np.rint(codes).astype(np.float64) * d).reshape(x.shape))


def as_blocks():
    out = os.path.join(here, "gptq")
    os.makedirs(out, exist_ok=True)
    config = LlamaConfig(vocab_size=96, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                         max_position_embeddings=128, rms_norm_eps=1e-5, rope_parameters=dict(rope_type="default", rope_theta=10000.0))
    net = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(12)
    arch.fill(net, generator)
    with tempfile.TemporaryDirectory() as d:
        net.save_pretrained(d)
        packed, dense = pack(load_file(os.path.join(d, "model.safetensors")), 32, "none")
        save_file(dense, os.path.join(d, "model.safetensors"), metadata={"format": "pt"})
        with open(os.path.join(d, "config.json")) as f:
            told = json.load(f)
        net = arch.load(d)
    write(out, told, packed, 32, False)
    near = []
    for name, m in net.named_modules():
        if "proj" in name:
            m.register_forward_pre_hook(lambda _, x: (rounded(x[0], near),) if near is not None else x)
    for _ in range(2000):  # no value may lie where float32 and float64 round it to two codes
        near.clear()
        ids = torch.randint(3, 96, (1, 5), generator=generator)
        logits, _ = arch.forward(net, ids)
        if min(near) > 1e-3:
            break
    else:
        raise SystemExit("no text found")
    farthest, near = min(near), None
    exact, _ = arch.forward(net, ids)
    print("nearest to halfway", farthest)
    save_file({"ids": ids.int(), "rounded": logits.float(), "exact": exact.float()}, os.path.join(out, "expected.safetensors"))
    print("gptq: rounding moves logits by", (logits - exact).abs().max().item(), "of", exact.std().item(), {f: os.path.getsize(os.path.join(out, f)) for f in os.listdir(out)})


if __name__ == "__main__":
    as_arch()
    as_blocks()
