"""Narrow precision and averages of weights, by PyTorch.

    python testdata/golden/precision.py

train/average.safetensors   w [20, 3, 4], weights of 20 steps, f32 (exact); avg [20, 3, 4], f64, what AveragedModel has after each with
                            get_ema_multi_avg_fn(0.95)
train/loss_scale.json       torch.amp.GradScaler over steps whose gradients are finite or not: the scale after each, and the weight after
                            each by AdamW, f64; gradients are those of the loss, not scaled
train/bf16.safetensors      arch/llama trained on row 0 of its ids for 6 steps of AdamW (0.01): losses in float64, and in f32 under
                            torch.autocast to bfloat16
"""

import os

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import AutoModelForCausalLM

from arch import load
from reference import double, folder, write_json
from train import save

OUT, ARCH, STEPS = folder("train"), folder("arch"), 6


def average():
    g = torch.Generator().manual_seed(3)
    w = torch.randn((20, 3, 4), generator=g)
    model = torch.nn.Linear(4, 3, bias=False).double()
    averaged, out = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95)), []
    for x in w:
        model.weight.data.copy_(x)
        averaged.update_parameters(model)
        out.append(averaged.module.weight.detach().clone())
    save(os.path.join(OUT, "average.safetensors"), {"w": w, "avg": torch.stack(out)}, decay=0.95)


def scales(init, interval, pattern):
    """pattern has + for a finite gradient, - for one that overflows."""
    g = torch.Generator().manual_seed(len(pattern))
    grads = [round(x, 4) for x in torch.randn(len(pattern), generator=g).tolist()]
    p = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.AdamW([p], lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=init, growth_interval=interval)
    after, weights = [], []
    for x, kind in zip(grads, pattern):
        optimizer.zero_grad()
        scaler.scale((p * x).sum() * (1 if kind == "+" else float("inf"))).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        after.append(scaler.get_scale())
        weights.append(p.item())
    return dict(init=init, interval=interval, pattern=pattern, grads=grads, scale=after, weight=weights)


def losses(model, ids, context):
    optimizer, out = torch.optim.AdamW(model.parameters(), lr=0.01), []
    for _ in range(STEPS):
        with context():
            logits = model(input_ids=ids, use_cache=False).logits
        loss = F.cross_entropy(logits[0, :-1].to(next(model.parameters()).dtype), ids[0, 1:])
        out.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.tensor(out, dtype=torch.float64)


def bf16():
    path = os.path.join(ARCH, "llama")
    ids = load_file(os.path.join(path, "expected.safetensors"))["ids"][:1].long()
    narrow = AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager", dtype=torch.float32)
    save(os.path.join(OUT, "bf16.safetensors"), {"f64": losses(load(path), ids, double),
         "bf16": losses(narrow, ids, lambda: torch.autocast("cpu", dtype=torch.bfloat16))})


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    average()
    write_json(os.path.join(OUT, "loss_scale.json"), [scales(65536.0, 3, "++--+++++++-+--+++"), scales(8.0, 2, "+++++++-"), scales(65536.0, 2000, "-" * 10 + "+")])
    bf16()
