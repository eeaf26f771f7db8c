"""Writes tiny models as GGUF files by the gguf package, and proves that transformers reads them as they were meant.

    python testdata/golden/gguf_models.py

    gguf/llama_f16.gguf, gguf/llama31.gguf, gguf/qwen2_bf16.gguf   the folders of those names in arch/; expected values are there
    gguf/blocks.gguf      a Llama whose matrices are in blocks of several types; blocks.safetensors has ids int32 [1, 24], and
                          logits f32 [1, 24, vocab], computed in float64 with the decoded weights
    gguf/mixtral_f16.gguf, gguf/mixtral_q8.gguf   arch/mixtral, the experts of a layer one tensor each of gate, up and down, f16; in the second
                          gate and up are q8_0; .safetensors of their names likewise

Rows of query and key of "llama" lie as pairs, as convert_hf_to_gguf.py of llama.cpp has them.
"""

import importlib
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
saved = sys.path
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]  # gguf.py has the name of the package
gguf = importlib.import_module("gguf")
sys.path = saved

import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM  # noqa: E402

from arch import fill  # noqa: E402
from reference import double, folder  # noqa: E402

T = gguf.GGMLQuantizationType
LAYER = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "block_sparse_moe.gate": "ffn_gate_inp", "block_sparse_moe.experts.{e}.w1": "ffn_gate_exps",
         "block_sparse_moe.experts.{e}.w2": "ffn_down_exps", "block_sparse_moe.experts.{e}.w3": "ffn_up_exps"}


def rename(name):
    if name.startswith("model.layers."):
        _, _, i, rest = name.split(".", 3)
        part, kind = rest.rsplit(".", 1)
        return f"blk.{i}.{LAYER[part]}.{kind}"
    return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}[name]


def pairs(x, heads):
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def rope_factors(rope, dim):
    freq = 1 / rope["rope_theta"] ** (np.arange(0, dim, 2) / dim)
    turns = rope["original_max_position_embeddings"] * freq / (2 * np.pi)
    keep = np.clip((turns - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"]), 0, 1)
    return (1 / ((1 - keep) / rope["factor"] + keep)).astype(np.float32)


def as_stored(model):
    """The weights of a model by their names in a checkpoint; those of experts are one tensor, {e} in its name."""
    out = {}
    for name, x in model.state_dict().items():
        x = x.float().numpy()
        name = name.replace(".mlp.gate.", ".block_sparse_moe.gate.")
        if name.endswith("experts.gate_up_proj"):
            for part, half in zip(("w1", "w3"), np.split(x, 2, axis=1)):
                out[name.replace("mlp.experts.gate_up_proj", "block_sparse_moe.experts.{e}.%s.weight" % part)] = half
        else:
            out[name.replace("mlp.experts.down_proj", "block_sparse_moe.experts.{e}.w2.weight")] = x
    return out


def write(path, model, config, arch, type_of):
    """Writes a model; returns the weights as they are stored, decoded."""
    w = gguf.GGUFWriter(path, arch)
    dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    w.add_block_count(config.num_hidden_layers)
    w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(config.num_attention_heads)
    w.add_head_count_kv(config.num_key_value_heads)
    w.add_layer_norm_rms_eps(config.rms_norm_eps)
    w.add_rope_freq_base(config.rope_parameters["rope_theta"])
    w.add_rope_dimension_count(dim)
    w.add_vocab_size(config.vocab_size)
    words = ["<unk>", "<s>", "</s>"] + [chr(ord("!") + i) for i in range(config.vocab_size - 3)]
    w.add_tokenizer_model("llama")
    w.add_token_list(words)
    w.add_token_scores([-float(i) for i in range(len(words))])
    w.add_token_types([gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * (len(words) - 3))
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    stored = {}
    if config.rope_parameters["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", rope_factors(config.rope_parameters, dim))
    if getattr(config, "num_local_experts", None):
        w.add_expert_count(config.num_local_experts)
        w.add_expert_used_count(config.num_experts_per_tok)
    for name, x in as_stored(model).items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if arch == "llama" and heads:
            x = pairs(x, heads)
        kind = T.F32 if x.ndim == 1 else type_of(name)
        data = gguf.quants.quantize(np.ascontiguousarray(x), kind)
        w.add_tensor(rename(name), data, raw_dtype=kind)
        stored[rename(name)] = gguf.quants.dequantize(data, kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return stored


def logits(path, name, ids):
    """What transformers computes with a GGUF file, in float64 but for its norms and rotary tables."""
    model = AutoModelForCausalLM.from_pretrained(path, gguf_file=name, attn_implementation="eager", dtype=torch.float32).double().eval()
    with torch.no_grad():
        return model(ids, use_cache=False).logits


def main():
    from safetensors.torch import load_file
    out = folder("gguf")
    for name, arch, kind in ("llama_f16", "llama", T.F16), ("llama31", "llama", T.F32), ("qwen2_bf16", "qwen2", T.BF16):
        model = AutoModelForCausalLM.from_pretrained(folder(f"arch/{name}"), dtype=torch.float32)
        write(os.path.join(out, name + ".gguf"), model, model.config, arch, lambda _: kind)
        want = load_file(os.path.join(folder(f"arch/{name}"), "expected.safetensors"))
        try:
            have = logits(out, name + ".gguf", want["ids"])
            error = (have - want["logits"].double()).abs().max().item()
            assert error < 1e-4 or name == "llama31", error  # transformers leaves out rope_freqs.weight
            print(name, "transformers differs by", error)
        except (KeyError, ValueError, ImportError, AttributeError) as e:
            print(name, "transformers can't read it:", e)

    config = LlamaConfig(vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                         max_position_embeddings=128, bos_token_id=1, eos_token_id=2, rms_norm_eps=1e-5, tie_word_embeddings=False,
                         rope_parameters=dict(rope_type="default", rope_theta=10000.0))
    generator = torch.Generator().manual_seed(11)
    net = LlamaForCausalLM(config).eval()
    fill(net, generator)
    kinds = {"q_proj": T.Q4_0, "k_proj": T.Q8_0, "v_proj": T.Q5_1, "o_proj": T.Q5_0, "gate_proj": T.Q4_1, "up_proj": T.Q8_0, "down_proj": T.Q8_0,
             "embed_tokens": T.Q8_0, "lm_head": T.Q8_0}
    stored = write(os.path.join(out, "blocks.gguf"), net, config, "llama", lambda n: kinds[n.split(".")[-2]])
    state = {}
    for name in net.state_dict():
        x = torch.from_numpy(stored[rename(name)].copy())
        heads = {"q_proj": 4, "k_proj": 2}.get(name.split(".")[-2])
        if heads:  # the pairs apart again
            x = x.reshape(heads, x.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(x.shape)
        state[name] = x
    net.load_state_dict(state)
    net = net.double()
    with double():
        net.model.rotary_emb = type(net.model.rotary_emb)(config=config)
        ids = torch.randint(3, 64, (1, 24), generator=generator)
        with torch.no_grad():
            want = net(ids, use_cache=False).logits
    save_file({"ids": ids.int(), "logits": want.float()}, os.path.join(out, "blocks.safetensors"))
    try:
        print("blocks: transformers differs by", (logits(out, "blocks.gguf", ids) - want).abs().max().item(), "std", want.std().item())
    except (KeyError, ValueError, ImportError, AttributeError) as e:
        print("blocks: transformers can't read it:", e)


def mixtral(file, kinds):
    out = folder("gguf")
    net = AutoModelForCausalLM.from_pretrained(folder("arch/mixtral"), dtype=torch.float32, attn_implementation="eager").eval()
    net.set_experts_implementation("eager")
    config = net.config
    stored = write(os.path.join(out, file + ".gguf"), net, config, "llama", lambda n: kinds.get(n.split(".")[-2], T.F16))
    state, decoded = {}, {}
    for name in as_stored(net):
        x = torch.from_numpy(stored[rename(name)].copy()).float()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if heads:
            x = x.reshape(heads, x.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(x.shape)
        decoded[name] = x
    for name in net.state_dict():
        base = name.replace("mlp.", "block_sparse_moe.")
        if name.endswith("gate_up_proj"):
            state[name] = torch.cat([decoded[base.replace("gate_up_proj", "{e}.%s.weight" % part)] for part in ("w1", "w3")], 1)
        else:
            state[name] = decoded[base.replace("experts.down_proj", "experts.{e}.w2.weight")]
    net.load_state_dict(state)
    net = net.double()
    with double():
        net.model.rotary_emb = type(net.model.rotary_emb)(config=config)
        ids = torch.randint(3, config.vocab_size, (1, 24), generator=torch.Generator().manual_seed(12))
        with torch.no_grad():
            want = net(ids, use_cache=False).logits
    save_file({"ids": ids.int(), "logits": want.float()}, os.path.join(out, file + ".safetensors"))
    print(file, "std", want.std().item())


if __name__ == "__main__":
    main()
    mixtral("mixtral_f16", {"gate": T.F32})
    mixtral("mixtral_q8", {"w1": T.Q8_0, "w3": T.Q8_0, "gate": T.F32})
