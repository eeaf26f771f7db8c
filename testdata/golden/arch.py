"""Tiny random language models as Hugging Face folders, with float64 reference values.

    python testdata/golden/arch.py

Every folder under arch/ is what save_pretrained writes, plus

    config.classic.json    the same configuration in the spelling of published models (where config.json has the newer one)
    expected.safetensors   ids      int32 [2, 24]
                           logits   f32   [2, 24, vocab]
                           embedding, hidden.0, hidden.1, ..., norm   f32 [24, hidden], row 0: token embedding,
                                    output of each layer (residual stream), output of the final norm
                           greedy   int32 [40]: 8 ids of row 0, then 32 by argmax

Logits and hidden states are computed in float64 from the weights as stored.
"""

import json
import os
import shutil

import torch
from safetensors.torch import save_file
from transformers import (AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM,
                          Qwen2Config, Qwen2ForCausalLM)
from transformers.utils import logging

from reference import double, folder, write_json

ROWS, SEQ, PROMPT, NEW = 2, 24, 8, 32
MIN_GAP = 1e-3  # between the best and the second logit at each greedy step

SIZES = dict(vocab_size=96, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)

# name: model class, configuration, stored dtype, seed, whether config.json has the classic spelling, shard size.
MODELS = {
    "llama": dict(
        model=LlamaForCausalLM, seed=1,
        config=LlamaConfig(**SIZES, rms_norm_eps=1e-5, tie_word_embeddings=False,
                           rope_parameters=dict(rope_type="default", rope_theta=10000.0))),
    "llama31": dict(
        model=LlamaForCausalLM, seed=2,
        config=LlamaConfig(**SIZES | dict(num_hidden_layers=3, num_key_value_heads=1), rms_norm_eps=1e-5,
                           tie_word_embeddings=True, rope_parameters=dict(rope_theta=500000.0, **LLAMA3))),
    "llama_linear": dict(
        model=LlamaForCausalLM, seed=3, old=True,
        config=LlamaConfig(**SIZES | dict(num_key_value_heads=4), rms_norm_eps=1e-6, tie_word_embeddings=False,
                           rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=10000.0))),
    "llama_f16": dict(
        model=LlamaForCausalLM, seed=4, dtype=torch.float16,
        config=LlamaConfig(**SIZES, rms_norm_eps=1e-5, tie_word_embeddings=False,
                           rope_parameters=dict(rope_type="default", rope_theta=10000.0))),
    "mistral": dict(
        model=MistralForCausalLM, seed=5, shard="80KB",
        config=MistralConfig(**SIZES, head_dim=16, sliding_window=8, rms_norm_eps=1e-5, tie_word_embeddings=False,
                             rope_parameters=dict(rope_type="default", rope_theta=10000.0))),
    "qwen2": dict(
        model=Qwen2ForCausalLM, seed=6,
        config=Qwen2Config(**SIZES | dict(num_hidden_layers=3), rms_norm_eps=1e-6, tie_word_embeddings=True,
                           rope_parameters=dict(rope_type="default", rope_theta=1000000.0))),
    "qwen2_bf16": dict(
        model=Qwen2ForCausalLM, seed=7, dtype=torch.bfloat16,
        config=Qwen2Config(**SIZES | dict(num_hidden_layers=3), rms_norm_eps=1e-6, tie_word_embeddings=True,
                           rope_parameters=dict(rope_type="default", rope_theta=1000000.0))),
}


def fill(model, generator):
    """Random weights large enough that logits spread: matrices 0.2, biases 0.5, norms around 1."""
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            if name.endswith("bias"):
                p.copy_(0.5 * noise)
            elif p.dim() == 1:
                p.copy_(1 + 0.2 * noise)
            else:
                p.copy_(0.2 * noise)


def classic(config, dtype):
    """The configuration as published models spell it: rope_theta and rope_scaling at top level, torch_dtype, nulls."""
    c = json.loads(config.to_json_string(use_diff=False))
    rope = dict(c["rope_parameters"])
    keys = ["architectures", "attention_bias", "attention_dropout", "bos_token_id", "eos_token_id", "head_dim",
            "hidden_act", "hidden_size", "initializer_range", "intermediate_size", "max_position_embeddings",
            "max_window_layers", "mlp_bias", "model_type", "num_attention_heads", "num_hidden_layers",
            "num_key_value_heads", "pad_token_id", "rms_norm_eps", "sliding_window", "tie_word_embeddings",
            "use_sliding_window", "vocab_size"]
    out = {k: c[k] for k in keys if k in c}
    out["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    if c["model_type"] == "qwen2":  # these carry a window that use_sliding_window turns off
        out["sliding_window"] = 4096
    else:
        out["rope_scaling"] = None
    if c["model_type"] == "llama":
        out["pretraining_tp"] = 1
    if kind == "linear":
        out["rope_scaling"] = {"type": kind, **rope}  # the key of the first scaled models
        del out["head_dim"]
    elif kind != "default":
        out["rope_scaling"] = {**rope, "rope_type": kind}
    out["torch_dtype"] = str(dtype).removeprefix("torch.")
    out["transformers_version"] = "4.40.0"
    out["use_cache"] = True
    return dict(sorted(out.items()))


def load(path, config=None):
    """The model of a folder in float64, its weights exactly those stored, frequencies recomputed in float64."""
    model = AutoModelForCausalLM.from_pretrained(path, config=config, attn_implementation="eager").double().eval()
    with double():
        model.model.rotary_emb = type(model.model.rotary_emb)(config=model.config)
    assert all(t.dtype == torch.float64 for t in [*model.parameters(), *model.buffers()])
    return model


def forward(model, ids):
    """Logits [rows, tokens, vocab] and row 0 of the embedding, of each layer's output and of the final norm."""
    seen = {}

    def keep(name):
        def hook(module, inputs, output):
            seen[name] = (output[0] if isinstance(output, tuple) else output)[0]
        return hook

    core = model.model
    parts = {"embedding": core.embed_tokens, **{f"hidden.{i}": l for i, l in enumerate(core.layers)}, "norm": core.norm}
    hooks = [m.register_forward_hook(keep(name)) for name, m in parts.items()]
    with torch.no_grad(), double():
        logits = model(input_ids=ids, use_cache=False).logits
    for h in hooks:
        h.remove()
    assert all(t.dtype == torch.float64 for t in [logits, *seen.values()])
    return logits, seen


def greedy(model, prompt):
    """The prompt and NEW ids by argmax, each step a whole forward pass; also the smallest gap between first and second."""
    ids, smallest = prompt.clone(), float("inf")
    for _ in range(NEW):
        logits, _ = forward(model, ids[None])
        best = logits[0, -1].topk(2)
        smallest = min(smallest, (best.values[0] - best.values[1]).item())
        ids = torch.cat([ids, best.indices[:1]])
    assert smallest > MIN_GAP, smallest
    return ids, smallest


def check_matters(name, model, ids, logits):
    """The feature a folder exists for must change its logits, or the fixture would prove nothing."""
    kind = model.config.rope_parameters["rope_type"]
    changed = []
    if kind != "default":
        plain = type(model.config).from_dict(model.config.to_dict())
        plain.rope_parameters = {"rope_type": "default", "rope_theta": plain.rope_parameters["rope_theta"]}
        changed.append((kind, plain))
    if getattr(model.config, "sliding_window", None):
        plain = type(model.config).from_dict(model.config.to_dict())
        plain.sliding_window = None
        changed.append(("sliding_window", plain))
    for what, config in changed:
        other, _ = forward(load(folder(f"arch/{name}"), config), ids)
        assert (other - logits).abs().max() > 0.05, what
        assert what != "sliding_window" or torch.equal(other[:, :8], logits[:, :8]), "a window of 8 tokens spares the first 8"


def make(name, model, config, seed, dtype=torch.float32, old=False, shard="50GB"):
    path = folder(f"arch/{name}")
    shutil.rmtree(path)
    generator = torch.Generator().manual_seed(seed)
    net = model(config)
    fill(net, generator)
    net.to(dtype).save_pretrained(path, max_shard_size=shard)
    spelled = classic(net.config, dtype)
    write_json(os.path.join(path, "config.json" if old else "config.classic.json"), spelled)

    net = load(path)
    ids = torch.randint(3, config.vocab_size, (ROWS, SEQ), generator=generator)
    logits, seen = forward(net, ids)
    again, _ = forward(load(path, type(config).from_dict(spelled)), ids)
    assert torch.equal(logits, again), "both spellings of the configuration mean the same model"
    check_matters(name, net, ids, logits)
    tokens, gap = greedy(net, ids[0, :PROMPT])

    expected = {"ids": ids.int(), "logits": logits.float(), "greedy": tokens.int()}
    expected |= {k: v.float().contiguous() for k, v in seen.items()}
    save_file(expected, os.path.join(path, "expected.safetensors"))
    size = sum(os.path.getsize(os.path.join(path, f)) for f in os.listdir(path))
    assert size < 300_000, size
    print(f"{name:13} {size:7} bytes  logits std {logits.std():.2f}  greedy gap {gap:.4f}  "
          f"distinct new {len(set(tokens[PROMPT:].tolist()))}")


if __name__ == "__main__":
    logging.disable_progress_bar()
    torch.use_deterministic_algorithms(True)
    for name, spec in MODELS.items():
        make(name, **spec)
