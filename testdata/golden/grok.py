"""A tiny random Grok-1 as a Hugging Face folder, with float64 reference values.

    python testdata/golden/grok.py

No release of transformers has Grok-1: the values are NOT by transformers, but by this script, written in torch from what the
published code (github.com/xai-org/grok-1, model.py) says: norms before and after each part, scores times a factor and
bounded by 30 tanh(s/30), rotary positions of base 10000 that pair halves, the two experts of the greatest softmax with
the probabilities they have among all, gelu by tanh, the embedding as the head, factors on embeddings and logits. Names
are those of its conversion to PyTorch. The folder arch/grok is laid out as decoders.py says.
"""

import math
import os
import shutil

import torch
from safetensors.torch import save_file

from reference import folder, write_json

VOCAB, WIDTH, HIDDEN, LAYERS, HEADS, GROUPS, EXPERTS, TOP = 64, 32, 40, 2, 4, 2, 4, 2
ROWS, SEQ, PROMPT, NEW, MIN_GAP = 2, 24, 8, 32, 1e-3
CONFIG = dict(architectures=["Grok1ModelForCausalLM"], model_type="grok-1", vocab_size=VOCAB, hidden_size=WIDTH, intermediate_size=HIDDEN,
              num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=GROUPS, attn_output_multiplier=0.6, max_attn_value=3.0,
              embedding_multiplier_scale=1.5, output_multiplier_scale=1.7, max_position_embeddings=128, rms_norm_eps=1e-5, num_experts=EXPERTS,
              num_experts_per_tok=TOP, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=0, torch_dtype="float32")


def shapes():
    yield "model.embed_tokens.weight", (VOCAB, WIDTH)
    yield "model.norm.scale", (WIDTH,)
    kv = WIDTH // HEADS * GROUPS
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        for name in ("pre_attn_norm", "post_attn_norm", "pre_moe_norm", "post_moe_norm"):
            yield f"{at}{name}.scale", (WIDTH,)
        for name, rows in (("q", WIDTH), ("k", kv), ("v", kv), ("o", WIDTH)):
            yield f"{at}attn.{name}_proj.weight", (rows, WIDTH)
        yield at + "moe_block.gate.weight", (EXPERTS, WIDTH)
        for e in range(EXPERTS):
            for name, shape in (("linear", (HIDDEN, WIDTH)), ("linear_v", (HIDDEN, WIDTH)), ("linear_1", (WIDTH, HIDDEN))):
                yield f"{at}moe_block.experts.{e}.{name}.weight", shape


def norm(x, scale):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + CONFIG["rms_norm_eps"]) * scale


def turned(x):
    """Rotary positions of x [rows, tokens, heads, d], from 0."""
    half = x.shape[-1] // 2
    angle = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * 10000.0 ** (-torch.arange(half, dtype=x.dtype) / half)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def attention(x, w, at):
    rows, tokens, _ = x.shape
    d = WIDTH // HEADS
    q, k, v = ((x @ w[f"{at}{name}_proj.weight"].T).view(rows, tokens, -1, d) for name in "qkv")
    q, k = turned(q), turned(k)
    out = torch.zeros_like(q)
    unseen = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    for head in range(HEADS):
        group = head // (HEADS // GROUPS)
        s = CONFIG["attn_output_multiplier"] * q[:, :, head] @ k[:, :, group].transpose(1, 2)
        s = CONFIG["max_attn_value"] * torch.tanh(s / CONFIG["max_attn_value"])
        out[:, :, head] = s.masked_fill(unseen, -math.inf).softmax(-1) @ v[:, :, group]
    return out.reshape(rows, tokens, WIDTH) @ w[at + "o_proj.weight"].T


def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def experts(x, w, at):
    chances = (x @ w[at + "gate.weight"].T).softmax(-1)
    best = chances.topk(TOP, dim=-1)
    out = torch.zeros_like(x)
    for e in range(EXPERTS):
        part = f"{at}experts.{e}."
        y = (gelu(x @ w[part + "linear.weight"].T) * (x @ w[part + "linear_v.weight"].T)) @ w[part + "linear_1.weight"].T
        out = out + y * (best.values * (best.indices == e)).sum(-1, keepdim=True)
    return out


def forward(ids, w):
    """Logits [rows, tokens, vocab] and row 0 of some states."""
    seen = {}
    x = w["model.embed_tokens.weight"][ids] * CONFIG["embedding_multiplier_scale"]
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        x = x + norm(attention(norm(x, w[at + "pre_attn_norm.scale"]), w, at + "attn."), w[at + "post_attn_norm.scale"])
        y = experts(norm(x, w[at + "pre_moe_norm.scale"]), w, at + "moe_block.")
        seen[at + "moe_block"] = y[0]
        x = x + norm(y, w[at + "post_moe_norm.scale"])
        seen[at[:-1]] = x[0]
    x = norm(x, w["model.norm.scale"])
    seen["model.norm"] = x[0]
    return x @ w["model.embed_tokens.weight"].T * CONFIG["output_multiplier_scale"], seen


def greedy(prompt, w):
    ids, smallest = prompt.clone(), math.inf
    for _ in range(NEW):
        best = forward(ids[None], w)[0][0, -1].topk(2)
        smallest = min(smallest, (best.values[0] - best.values[1]).item())
        ids = torch.cat([ids, best.indices[:1]])
    return ids, smallest


def padded(w):
    """padded/grok.safetensors as padded.py says: each row is computed alone, from its first token on."""
    for seed in range(1, 100):
        generator, smallest = torch.Generator().manual_seed(seed), math.inf
        ids, mask = torch.zeros(3, 17, dtype=torch.int32), torch.zeros(3, 17, dtype=torch.int32)
        logits, made = torch.zeros(3, 17, VOCAB), torch.zeros(3, 8, dtype=torch.int32)
        for row, n in enumerate([17, 4, 11]):
            text = torch.randint(3, VOCAB, (n,), generator=generator)
            ids[row, 17 - n:], mask[row, 17 - n:] = text, 1
            logits[row, 17 - n:] = forward(text[None], w)[0][0]
            for i in range(8):
                best = forward(text[None], w)[0][0, -1].topk(2)
                smallest = min(smallest, (best.values[0] - best.values[1]).item())
                text = torch.cat([text, best.indices[:1]])
            made[row] = text[n:]
        if smallest > MIN_GAP:
            return dict(ids=ids, mask=mask, logits=logits, greedy=made)
    raise AssertionError("no seed gives texts without near ties")


def draw(seed):
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes():
        noise = torch.randn(shape, generator=generator)
        weights[name] = 1 + 0.5 * noise if len(shape) == 1 else 0.25 * noise
    return weights, torch.randint(3, VOCAB, (ROWS, SEQ), generator=generator)


if __name__ == "__main__":
    path = folder("arch/grok")
    for seed in range(1, 200):  # until no greedy step is a near tie
        weights, ids = draw(seed)
        wide = {k: v.double() for k, v in weights.items()}
        tokens, gap = greedy(ids[0, :PROMPT], wide)
        if gap > MIN_GAP and len(set(tokens[PROMPT:].tolist())) > 4:
            break
    else:
        raise AssertionError("no seed gives a text without near ties")
    shutil.rmtree(path)
    os.makedirs(path)
    write_json(os.path.join(path, "config.json"), CONFIG)
    save_file(weights, os.path.join(path, "model.safetensors"), metadata={"format": "pt"})
    logits, seen = forward(ids, wide)
    expected = {"ids": ids.int(), "logits": logits.float(), "greedy": tokens.int()} | {k: v.float().contiguous() for k, v in seen.items()}
    save_file(expected, os.path.join(path, "expected.safetensors"))
    save_file(padded(wide), os.path.join(folder("padded"), "grok.safetensors"))
    print("seed", seed, "gap", gap, sum(os.path.getsize(os.path.join(path, f)) for f in os.listdir(path)), "bytes")
