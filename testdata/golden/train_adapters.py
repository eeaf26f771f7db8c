"""Adapters of linear layers, by the PEFT library, in float64.

    python testdata/golden/train_adapters.py

train/adapters/NAME.safetensors, one file a case, of a model in arch/; metadata case: JSON with model, rank, scale, dora, targets

    start.KEY, after.KEY   weights of the adapter, KEY as PEFT's files have it: f32 (exact) at the start, f64 after STEPS steps
    loss                   f64 [STEPS+1], before each step and after the last

Each step is clip_grad_norm_ of 0.5 and AdamW with a learning rate of 0.01, whose decay of 0.01 leaves vectors alone. The
loss is the mean next-token cross-entropy of row 0 of the model's ids.
"""

import json
import os

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file

from arch import load
from reference import double, folder
from train import save

OUT, ARCH, STEPS = os.path.join(folder("train"), "adapters"), folder("arch"), 3

CASES = {
    "lora": ("llama", dict(r=3, lora_alpha=6, target_modules=["q_proj", "down_proj"])),
    "rslora": ("llama", dict(r=4, lora_alpha=6, use_rslora=True, target_modules=["o_proj", "up_proj"])),
    "dora": ("llama", dict(r=3, lora_alpha=6, use_dora=True, target_modules=["q_proj", "down_proj"])),
    "dora_bias": ("qwen2", dict(r=2, lora_alpha=5, use_dora=True, target_modules=["k_proj", "v_proj", "gate_proj"])),
}


def case(name):
    arch, kw = CASES[name]
    base = load(os.path.join(ARCH, arch))
    model = get_peft_model(base, LoraConfig(lora_dropout=0.0, bias="none", task_type="CAUSAL_LM", **kw), autocast_adapter_dtype=False)
    g = torch.Generator().manual_seed(len(name))
    trained = {k: p for k, p in model.named_parameters() if p.requires_grad}
    for k, p in trained.items():  # B is zero in a new adapter, which would hide much
        r = torch.randn(p.shape, generator=g)
        p.data = (p.data.float() * (1 + 0.1 * r) if "magnitude" in k else 0.2 * r).double()
    assert all(p.dtype == torch.float64 for p in model.parameters())
    out = {"start." + k: t.float() for k, t in get_peft_model_state_dict(model).items()}
    ids = load_file(os.path.join(ARCH, arch, "expected.safetensors"))["ids"][:1].long()
    optimizer = torch.optim.AdamW([{"params": [p for p in trained.values() if p.dim() > 1]},
                                   {"params": [p for p in trained.values() if p.dim() == 1], "weight_decay": 0.0}], lr=0.01)
    losses = []
    for step in range(STEPS + 1):
        with double():
            logits = model(input_ids=ids, use_cache=False).logits
            loss = F.cross_entropy(logits[0, :-1], ids[0, 1:])
        losses.append(loss.detach())
        if step == STEPS:
            break
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 0.5)
        optimizer.step()
    out |= {"after." + k: t for k, t in get_peft_model_state_dict(model).items()}
    out["loss"] = torch.stack(losses)
    assert all(t.isfinite().all() for t in out.values()) and all(out[k].dtype == torch.float64 for k in out if not k.startswith("start."))
    scale = kw["lora_alpha"] / (kw["r"] ** 0.5 if kw.get("use_rslora") else kw["r"])
    return save(os.path.join(OUT, name + ".safetensors"), {k: t.clone() for k, t in out.items()},
                model=arch, rank=kw["r"], scale=scale, dora=kw.get("use_dora", False), targets=kw["target_modules"])


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    print(len(CASES), "adapters,", [case(c) for c in CASES], "bytes")
