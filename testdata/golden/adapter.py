"""Adapters that the PEFT library makes of the models in arch/, and what the adapted models compute.

    python testdata/golden/adapter.py

adapter/<name>/ is what save_pretrained writes (adapter_config.json, adapter_model.safetensors), with `base_model_name_or_path` as a path
from the repository's root, and expected.safetensors: `ids` [2, 24] int32; `logits` [2, 24, vocab] f32 of the model with the
adapter, computed in float64; `merged.<weight>` f64: the adapted weights as PEFT's merge_and_unload gives them in float64.
"""

import json
import os
import shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

import arch
from reference import double, folder, write_json

# name: base, seed, configuration
ADAPTERS = {
    "lora": ("llama", 11, dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    "pattern": ("qwen2", 12, dict(r=4, lora_alpha=6, use_rslora=True, target_modules="all-linear",
                                  rank_pattern={"down_proj": 2, "layers.1.self_attn.k_proj": 6}, alpha_pattern={"o_proj": 16})),
    "dora": ("llama", 13, dict(r=3, lora_alpha=6, use_dora=True, target_modules=["q_proj", "down_proj", "o_proj"])),
    "half": ("llama_f16", 14, dict(r=4, lora_alpha=8, lora_dropout=0.1, target_modules=r".*layers\.1\.mlp\.\w+_proj")),
}


def make(name, base, seed, config):
    path = folder(f"adapter/{name}")
    shutil.rmtree(path)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = get_peft_model(arch.load(folder(f"arch/{base}")), LoraConfig(task_type="CAUSAL_LM", **config))
    with torch.no_grad():
        for key, p in sorted(net.named_parameters()):
            if "lora_" not in key:
                continue
            noise = torch.randn(p.shape, generator=generator)
            if "magnitude" in key:
                p.mul_(1 + 0.2 * noise)
            else:
                p.copy_((0.15 * noise).to(torch.float16 if name == "half" else torch.float32))
    net.to(torch.float32).save_pretrained(path)
    os.remove(os.path.join(path, "README.md"))
    file = os.path.join(path, "adapter_config.json")
    with open(file) as f:
        spelled = json.load(f)
    spelled["base_model_name_or_path"] = f"testdata/golden/arch/{base}"
    if isinstance(spelled["target_modules"], list):
        spelled["target_modules"].sort()  # a set, in PEFT
    write_json(file, spelled)

    net = net.double().eval()
    with double():
        net.base_model.model.model.rotary_emb = type(net.base_model.model.model.rotary_emb)(config=net.base_model.model.config)
    ids = torch.randint(3, net.base_model.model.config.vocab_size, (arch.ROWS, arch.SEQ), generator=generator)
    with torch.no_grad(), double():
        logits = net(input_ids=ids, use_cache=False).logits
        with net.disable_adapter():
            plain = net(input_ids=ids, use_cache=False).logits
    assert (logits - plain).abs().max() > 0.1
    before = {k: v.clone() for k, v in arch.load(folder(f"arch/{base}")).state_dict().items()}
    with torch.no_grad(), double():
        merged = net.merge_and_unload()
        again = merged(input_ids=ids, use_cache=False).logits
    assert (again - logits).abs().max() < 1e-9
    changed = {f"merged.{k}": v.contiguous() for k, v in merged.state_dict().items() if k in before and not torch.equal(v, before[k])}
    save_file({"ids": ids.to(torch.int32), "logits": logits.to(torch.float32).contiguous(), **changed},
              os.path.join(path, "expected.safetensors"))
    print(name, len(changed), "weights changed by", (logits - plain).abs().max().item())


def main():
    for name, a in ADAPTERS.items():
        make(name, *a)


if __name__ == "__main__":
    main()
