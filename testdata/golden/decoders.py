"""Tiny random language models of many architectures, as arch.py makes them; expected values by the path of the module.

    python testdata/golden/decoders.py [NAME ...]

Every folder under arch/ is what save_pretrained writes, plus

    config.classic.json    the same configuration in the spelling of published models, where CLASSIC has one
    expected.safetensors   ids      int32 [2, 24]
                           logits   f32   [2, 24, vocab]
                           PATH     f32   [24, hidden], row 0 of what the module at PATH gives
                           greedy   int32 [40]: 8 ids of row 0, then 32 by argmax

Values are computed in float64 from the weights as stored.
"""

import json
import os
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import (AutoConfig, AutoModelForCausalLM, DeepseekV2Config, DeepseekV3Config, Gemma2Config, Gemma3TextConfig,
                          GemmaConfig, GPT2Config, MixtralConfig, Phi3Config, PhiConfig, Qwen2MoeConfig, Qwen3Config, Qwen3MoeConfig)
from transformers.utils import logging

from reference import double, folder, write_json

ROWS, SEQ, PROMPT, NEW = 2, 24, 8, 32
MIN_GAP = 1e-3  # between the best and the second logit at each greedy step

SIZES = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0)
PLAIN = dict(rope_type="default", rope_theta=10000.0)
SHORT, LONG = [1.0, 1.1], [1.5, 7.0]

MLA = dict(num_key_value_heads=4, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=12)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, beta_fast=32, beta_slow=1, mscale=1.0, mscale_all_dim=0.707,
            original_max_position_embeddings=32)


def phi3(**other):
    return Phi3Config(**SIZES | dict(num_attention_heads=4, sliding_window=10, tie_word_embeddings=False) | other)


# name: configuration, paths whose values are kept, and, where it matters, seed, stored dtype, changes for classic spelling.
MODELS = {
    "gpt2": dict(
        config=GPT2Config(vocab_size=64, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2),
        keep=["transformer.wte", "transformer.wpe", "transformer.h.0", "transformer.h.0.attn", "transformer.ln_f"]),
    "phi": dict(
        config=PhiConfig(**SIZES, partial_rotary_factor=0.5, rope_parameters=PLAIN | dict(partial_rotary_factor=0.5)),
        keep=["model.embed_tokens", "model.layers.0", "model.final_layernorm"], classic=dict(partial_rotary_factor=0.5)),
    "phi_norm": dict(
        config=PhiConfig(**SIZES | dict(num_key_value_heads=4), qk_layernorm=True, rope_parameters=PLAIN | dict(partial_rotary_factor=0.25)),
        keep=["model.layers.0"]),
    "phi3": dict(
        config=phi3(rope_parameters=PLAIN | dict(partial_rotary_factor=1.0)),
        keep=["model.embed_tokens", "model.layers.0", "model.layers.1", "model.norm"], classic={}),
    "phi3_short": dict(dtype=torch.bfloat16,
        config=phi3(num_key_value_heads=4, original_max_position_embeddings=64,
                    rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, short_factor=SHORT, long_factor=LONG,
                                         original_max_position_embeddings=64, partial_rotary_factor=0.5)),
        keep=["model.layers.0"], classic=dict(partial_rotary_factor=0.5, original_max_position_embeddings=64)),
    "phi3_long": dict(dtype=torch.bfloat16, always_long=True,
        config=phi3(num_key_value_heads=4, original_max_position_embeddings=8, sliding_window=None,
                    rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, short_factor=SHORT, long_factor=LONG,
                                         original_max_position_embeddings=8, partial_rotary_factor=0.5)),
        keep=["model.layers.0"]),
    "qwen3": dict(
        config=Qwen3Config(**SIZES, head_dim=16, tie_word_embeddings=True, rope_parameters=PLAIN),
        keep=["model.embed_tokens", "model.layers.0", "model.layers.1", "model.norm"], classic={}),
    "gemma": dict(
        config=GemmaConfig(**SIZES, head_dim=16, rope_parameters=PLAIN),
        keep=["model.layers.0", "model.layers.1", "model.norm"], classic=dict(hidden_act="gelu")),
    "gemma2": dict(dtype=torch.bfloat16,
        config=Gemma2Config(**SIZES | dict(num_hidden_layers=3), head_dim=16, query_pre_attn_scalar=24, sliding_window=8,
                            final_logit_softcapping=5.0, attn_logit_softcapping=4.0, rope_parameters=PLAIN),
        keep=["model.layers.0", "model.layers.1", "model.norm"], classic={}),
    "gemma3": dict(dtype=torch.bfloat16,
        config=Gemma3TextConfig(**SIZES | dict(num_hidden_layers=4), head_dim=16, query_pre_attn_scalar=24, sliding_window=8,
                                sliding_window_pattern=3, rope_parameters=dict(
                                    full_attention=dict(rope_type="linear", factor=4.0, rope_theta=100000.0),
                                    sliding_attention=dict(rope_type="default", rope_theta=10000.0))),
        keep=["model.layers.0", "model.layers.2", "model.norm"],
        classic=dict(rope_theta=100000.0, rope_local_base_freq=10000.0, rope_scaling=dict(rope_type="linear", factor=4.0),
                     sliding_window_pattern=3)),
    "mixtral": dict(
        config=MixtralConfig(**SIZES, num_local_experts=4, num_experts_per_tok=2, rope_parameters=PLAIN),
        keep=["model.layers.0", "model.norm"], classic={}),
    "qwen2_moe": dict(
        config=Qwen2MoeConfig(**SIZES | dict(num_hidden_layers=3), num_experts=5, num_experts_per_tok=2, moe_intermediate_size=16,
                              shared_expert_intermediate_size=24, decoder_sparse_step=1, mlp_only_layers=[1], rope_parameters=PLAIN),
        keep=["model.layers.0", "model.layers.0.mlp", "model.layers.1", "model.norm"], classic={}),
    "qwen3_moe": dict(dtype=torch.bfloat16,
        config=Qwen3MoeConfig(**SIZES, head_dim=16, num_experts=5, num_experts_per_tok=3, moe_intermediate_size=16,
                              norm_topk_prob=True, rope_parameters=PLAIN),
        keep=["model.layers.0", "model.norm"], classic={}),
    "deepseek_v2": dict(
        config=DeepseekV2Config(**SIZES | MLA | dict(num_hidden_layers=2), q_lora_rank=None, n_routed_experts=8, num_experts_per_tok=3,
                                n_group=4, topk_group=2, topk_method="group_limited_greedy", routed_scaling_factor=1.5,
                                n_shared_experts=2, first_k_dense_replace=1, moe_intermediate_size=16, rope_parameters=YARN),
        keep=["model.layers.0.self_attn", "model.layers.0", "model.layers.1.mlp", "model.norm"], classic={}),
    "deepseek_v3": dict(dtype=torch.bfloat16,
        config=DeepseekV3Config(**SIZES | MLA | dict(num_hidden_layers=3), q_lora_rank=24, n_routed_experts=8, num_experts_per_tok=3,
                                n_group=4, topk_group=2, n_shared_experts=1, first_k_dense_replace=1, moe_intermediate_size=16,
                                num_mtp_layers=0, rope_parameters=YARN),
        keep=["model.layers.0.self_attn", "model.layers.0", "model.layers.1.mlp", "model.norm"], classic={}),
}


def fill(model, generator):
    """Random weights large enough that logits spread: matrices by their width, biases 0.5, norms around what changes nothing."""
    with torch.no_grad():
        for name, p in sorted([*model.named_parameters(), *((n, b) for n, b in model.named_buffers() if "correction_bias" in n)]):
            noise = torch.randn(p.shape, generator=generator)
            if name.endswith("bias"):
                p.copy_(0.5 * noise)
            elif p.dim() == 1:
                p.copy_(p.mean().round() + 0.6 * noise)
            else:
                p.copy_(0.25 * noise)


def classic(config, dtype, changes):
    """The configuration as published models spell it: rope_theta and rope_scaling at top level, torch_dtype, nulls."""
    c = json.loads(config.to_json_string(use_diff=False))
    rope = c.pop("rope_parameters")
    for k in ["dtype", "layer_types", "transformers_version", "_name_or_path"]:
        c.pop(k, None)
    if "rope_type" in rope:
        c["rope_theta"] = rope["rope_theta"]
        kind = rope["rope_type"]
        rope = {k: v for k, v in rope.items() if k not in ("rope_theta", "rope_type", "partial_rotary_factor")}
        c["rope_scaling"] = None if kind == "default" else {"type": kind, **rope}
    return dict(sorted((c | dict(torch_dtype=str(dtype).removeprefix("torch."), transformers_version="4.40.0", use_cache=True) | changes).items()))


def load(path, config=None):
    """The model of a folder in float64, its weights exactly those stored, frequencies recomputed in float64."""
    model = AutoModelForCausalLM.from_pretrained(path, config=config, dtype=torch.float64, attn_implementation="eager").eval()
    if hasattr(model.config, "_experts_implementation"):
        model.set_experts_implementation("eager")
    with double():
        for m in list(model.modules()):
            for name, child in list(m.named_children()):
                if type(child).__name__.endswith("RotaryEmbedding"):
                    setattr(m, name, type(child)(config=model.config))
    for name, b in model.named_buffers():  # constants kept in float32, but for what the checkpoint holds
        assert b.dtype != torch.float32 or "correction_bias" in name, name
    return model.double()


def forward(model, ids, keep=()):
    """Logits [rows, tokens, vocab] and row 0 of what the modules in keep give."""
    seen, parts = {}, dict(model.named_modules())

    def hook(name):
        def take(module, inputs, output):
            seen[name] = (output[0] if isinstance(output, tuple) else output)[0]
        return take

    hooks = [parts[name].register_forward_hook(hook(name)) for name in keep]
    with torch.no_grad(), double():
        logits = model(input_ids=ids, use_cache=False).logits
    for h in hooks:
        h.remove()
    assert all(t.dtype == torch.float64 for t in [logits, *seen.values()]), {k: v.dtype for k, v in seen.items()}
    return logits, seen


def greedy(model, prompt):
    """The prompt and NEW ids by argmax, each step a whole forward pass; also the smallest gap between first and second."""
    ids, smallest = prompt.clone(), float("inf")
    for _ in range(NEW):
        logits, _ = forward(model, ids[None])
        best = logits[0, -1].topk(2)
        smallest = min(smallest, (best.values[0] - best.values[1]).item())
        ids = torch.cat([ids, best.indices[:1]])
    return ids, smallest


def write(name, net, dtype, generator):
    path = folder(f"arch/{name}")
    shutil.rmtree(path)
    net.to(dtype).save_pretrained(path)
    generation = os.path.join(path, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)
    return path


def make(name, config, keep, dtype=torch.float32, classic_changes=None, always_long=False):
    for seed in range(1, 100):  # until no greedy step is a near tie
        generator = torch.Generator().manual_seed(seed)
        net = AutoModelForCausalLM.from_config(config)
        fill(net, generator)
        path = write(name, net, dtype, generator)
        net = load(path)
        ids = torch.randint(3, config.vocab_size, (ROWS, SEQ), generator=generator)
        logits, seen = forward(net, ids, keep)
        if always_long:  # what a context longer than the trained one gives, from the first token on
            long = AutoConfig.from_pretrained(path)
            long.rope_parameters["short_factor"] = long.rope_parameters["long_factor"]
            net = load(path, long)
            assert torch.equal(forward(net, ids)[0], logits)
        tokens, gap = greedy(net, ids[0, :PROMPT])
        if gap > MIN_GAP and len(set(tokens[PROMPT:].tolist())) > 2:
            break
    else:
        raise AssertionError(f"{name}: no seed gives a text without near ties")
    if classic_changes is not None:
        spelled = classic(net.config, dtype, classic_changes)
        write_json(os.path.join(path, "config.classic.json"), spelled)
        again, _ = forward(load(path, type(config).from_dict(spelled)), ids)
        assert torch.equal(logits, again), "both spellings of the configuration mean the same model"

    expected = {"ids": ids.int(), "logits": logits.float(), "greedy": tokens.int()}
    expected |= {k: v.float().contiguous() for k, v in seen.items()}
    save_file(expected, os.path.join(path, "expected.safetensors"))
    size = sum(os.path.getsize(os.path.join(path, f)) for f in os.listdir(path))
    assert size < 300_000, size
    print(f"{name:13} {size:7} bytes  seed {seed}  logits std {logits.std():.2f}  greedy gap {gap:.4f}  "
          f"distinct new {len(set(tokens[PROMPT:].tolist()))}")


if __name__ == "__main__":
    logging.disable_progress_bar()
    torch.use_deterministic_algorithms(True)
    for name, spec in MODELS.items():
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            make(name, classic_changes=spec.pop("classic", None), **spec)
