"""Rotary frequencies of transformers for every kind of scaling.

    python testdata/golden/rope.py

rope/frequencies.json: {"cases": [case, ...]}, where a case has

    name
    config             what a config.json says: head_dim, max_position_embeddings, rope_theta, rope_scaling, ...
    seq_len            tokens so far, or null; matters to dynamic and longrope only
    inv_freq           radians per position, [head_dim / 2], computed in float64
    inv_freq_f32       the same as transformers computes it, in float32
    attention_scaling  factor on cos and sin
"""

import copy
import os

import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from reference import double, folder, write_cases

LLAMA3 = dict(rope_type="llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)
LONG = dict(rope_type="longrope", original_max_position_embeddings=4096,
            short_factor=[1.0 + 0.125 * i for i in range(8)], long_factor=[1.0 + 2.5 * i for i in range(8)])

# name: (seq_len, head_dim, max_position_embeddings, rope_theta, rope_scaling)
CASES = {
    "default": (None, 64, 2048, 10000.0, None),
    "default_theta_1e6": (None, 128, 32768, 1000000.0, None),
    "linear_2": (None, 64, 4096, 10000.0, dict(rope_type="linear", factor=2.0)),
    "linear_type_key": (None, 12, 128, 10000.0, dict(type="linear", factor=2.5)),
    "dynamic_start": (None, 64, 2048, 10000.0, dict(rope_type="dynamic", factor=2.0)),
    "dynamic_within": (100, 64, 2048, 10000.0, dict(rope_type="dynamic", factor=2.0)),
    "dynamic_beyond": (5000, 64, 2048, 10000.0, dict(rope_type="dynamic", factor=2.0)),
    "dynamic_beyond_4": (8192, 32, 2048, 500000.0, dict(rope_type="dynamic", factor=4.0)),
    "llama3_8": (None, 128, 131072, 500000.0, dict(factor=8.0, **LLAMA3)),
    "llama3_32": (None, 64, 131072, 500000.0, dict(factor=32.0, **LLAMA3)),
    "llama3_small": (None, 12, 128, 500000.0, dict(factor=8.0, **LLAMA3) | dict(original_max_position_embeddings=64)),
    "yarn_4": (None, 128, 131072, 1000000.0, dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32768)),
    "yarn_16_betas": (None, 64, 65536, 10000.0, dict(rope_type="yarn", factor=16.0, beta_fast=16.0, beta_slow=2.0,
                                                    original_max_position_embeddings=4096)),
    "yarn_attention_factor": (None, 64, 8192, 10000.0, dict(rope_type="yarn", factor=4.0, attention_factor=1.25,
                                                           original_max_position_embeddings=2048)),
    "yarn_mscale": (None, 64, 163840, 10000.0, dict(rope_type="yarn", factor=40.0, mscale=1.0, mscale_all_dim=0.5,
                                                   original_max_position_embeddings=4096)),
    "yarn_no_truncate": (None, 64, 131072, 150000.0, dict(rope_type="yarn", factor=32.0, truncate=False,
                                                         original_max_position_embeddings=4096)),
    "longrope_short": (4096, 16, 131072, 10000.0, LONG),
    "longrope_long": (4097, 16, 131072, 10000.0, LONG),
}


def frequencies(config, seq_len):
    kind = config.rope_parameters["rope_type"]
    if kind == "default":
        return LlamaRotaryEmbedding.compute_default_rope_parameters(config)
    return ROPE_INIT_FUNCTIONS[kind](config, seq_len=seq_len)


def make(name, seq_len, head_dim, max_position, theta, scaling):
    written = dict(head_dim=head_dim, max_position_embeddings=max_position, rope_theta=theta, rope_scaling=scaling)
    config = LlamaConfig(hidden_size=4 * head_dim, num_attention_heads=4, **copy.deepcopy(written))
    single, attention = frequencies(config, seq_len)
    with double():
        inv_freq, attention64 = frequencies(config, seq_len)
    assert inv_freq.dtype == torch.float64 and single.dtype == torch.float32 and attention == attention64
    torch.testing.assert_close(inv_freq.float(), single, rtol=3e-6, atol=0)
    return {"name": name, "config": written, "seq_len": seq_len, "inv_freq": inv_freq.tolist(),
            "inv_freq_f32": single.tolist(), "attention_scaling": float(attention)}


if __name__ == "__main__":
    path = os.path.join(folder("rope"), "frequencies.json")
    cases = [make(name, *spec) for name, spec in CASES.items()]
    write_cases(path, {}, cases)
    print(len(cases), "cases,", os.path.getsize(path), "bytes")
