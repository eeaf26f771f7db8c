"""Losses of routers, and gradients of a mixture of experts, by transformers and PyTorch, in float64.

    python testdata/golden/router.py

train/objectives/load_balance*, router_z*   as train.py writes them; y is [batch, seq, layers, experts] or [batch, seq, experts]
train/mixtral_grads.safetensors             gradients of arch/mixtral: row 0 of its ids, mean next-token cross-entropy
                                            + 0.02 load_balance (output_router_logits) + 0.001 router_z; metadata case has the norm
                                            of each gradient, tensors are some of them in full, f64, those of
                                            all experts in one; loss, aux, z
router/deepseek_bias.safetensors            the biases of arch/deepseek_v3 after its ids, by 0.001 a step (arXiv:2408.15664), under their
                                            paths; load [layers, experts] int32
router/experts.safetensors                  chosen, kept: what one_hot and cumsum leave of a choice, first choices first, with room for
                                            ceil(k tokens / experts) tokens of each sequence;
                                            x, targets, gate, w1, w2, w3, choice, out, loss, d.NAME: a layer whose experts choose
                                            ceil(1.5 tokens / experts) tokens of each sequence by topk, mean squared error, its gradients, f64
"""

import math
import os
import zlib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from arch import load
from reference import double, folder
from train import OUT, mask, randn, save

FAR = dict(y=randn(2, 5, 3, 6, scale=2), weights=mask(2, 5))


def layers(y):
    """One [batch*seq, experts] for each layer."""
    y = y.unsqueeze(2) if y.dim() == 3 else y
    return tuple(y[:, :, i].reshape(-1, y.shape[-1]) for i in range(y.shape[2]))


def mixtral_loss(y, k, weights=None, **_):
    with double():
        return load_balancing_loss_func(layers(y), y.shape[-1], k, weights)


def each_layer(y, k, weights=None, **_):
    with double():
        return torch.stack([load_balancing_loss_func((l,), y.shape[-1], k, weights) for l in layers(y)]).mean()


def over_sequences(y, k, scores="softmax", weights=None, **_):
    """Equations 12 to 14 of arXiv:2405.04434, 17 to 20 of arXiv:2412.19437, times k, by scatter_add and means."""
    batch, seq, n = y.shape
    s = y.softmax(-1) if scores == "softmax" else y.sigmoid() / y.sigmoid().sum(-1, keepdim=True)
    chosen = s.topk(k, dim=-1).indices.reshape(batch, seq * k)
    f = torch.zeros(batch, n, dtype=y.dtype).scatter_add_(1, chosen, torch.ones(batch, seq * k, dtype=y.dtype)) * n / (k * seq)
    return (f * s.mean(1)).sum(1).mean() * k


def z_loss(y, weights=None):
    y = y.unsqueeze(2) if y.dim() == 3 else y
    z = torch.logsumexp(y, -1).square().mean(2)
    w = torch.ones_like(z) if weights is None else weights
    return (z * w).sum(), w.sum()


CASES = {
    "load_balance": (mixtral_loss, dict(k=2), dict(y=randn(2, 5, 6, scale=2))),
    "load_balance_layers": (mixtral_loss, dict(k=2), FAR),
    "load_balance_switch": (each_layer, dict(k=1, layers="each"), FAR),
    "load_balance_sequence": (over_sequences, dict(k=3, over="sequence"), dict(y=randn(3, 7, 6, scale=2))),
    "load_balance_sigmoid": (over_sequences, dict(k=2, over="sequence", scores="sigmoid"), dict(y=randn(3, 7, 6, scale=2))),
    "router_z": (z_loss, {}, dict(y=randn(2, 5, 6, scale=2))),
    "router_z_layers": (z_loss, {}, FAR),
}


def objective(case):
    loss, attr, draws = CASES[case]
    g = torch.Generator().manual_seed(zlib.crc32(case.encode()))
    drawn = {k: f(g) for k, f in draws.items()}
    x = {k: t.double() for k, t in drawn.items()}
    x["y"].requires_grad_()
    total = loss(**x, **attr)
    total, count = total if isinstance(total, tuple) else (total, torch.ones(()))
    (dy,) = torch.autograd.grad(total, [x["y"]])
    out = drawn | {"sum": total.detach(), "count": count.double(), "d.y": dy}
    return save(os.path.join(OUT, "objectives", case + ".safetensors"), out, name=case.split("_switch")[0].split("_layers")[0]
                .split("_sequence")[0].split("_sigmoid")[0], attr=attr)


FULL = ["model.layers.0.block_sparse_moe.gate.weight", "model.layers.1.block_sparse_moe.gate.weight",
        "model.layers.1.block_sparse_moe.experts.all.w2.weight", "model.layers.0.input_layernorm.weight"]


def mixtral():
    path = folder(os.path.join("arch", "mixtral"))
    model = load(path)
    model.set_experts_implementation("eager")
    ids = load_file(os.path.join(path, "expected.safetensors"))["ids"][:1].long()
    with double():
        out = model(input_ids=ids, use_cache=False, output_router_logits=True)
        z = torch.stack([torch.logsumexp(l, -1).square().mean() for l in out.router_logits]).mean()
        loss = F.cross_entropy(out.logits[0, :-1], ids[0, 1:]) + 0.02 * out.aux_loss + 0.001 * z
    loss.backward()
    grads = {}
    for name, p in model.named_parameters():
        name = name.replace(".mlp.", ".block_sparse_moe.")
        if name.endswith("experts.gate_up_proj"):
            gate, up = p.grad.chunk(2, dim=1)
            grads |= {name.replace("gate_up_proj", "all.w1.weight"): gate, name.replace("gate_up_proj", "all.w3.weight"): up}
        else:
            grads[name.replace("experts.down_proj", "experts.all.w2.weight")] = p.grad
    assert all(d.dtype == torch.float64 for d in grads.values())
    size = save(os.path.join(OUT, "mixtral_grads.safetensors"),
                {"loss": loss.detach(), "aux": out.aux_loss.detach(), "z": z.detach(), **{k: grads[k] for k in FULL}},
                norms={k: d.norm().item() for k, d in grads.items()})
    assert size < 200_000, size


def deepseek(rate=0.001):
    path = folder(os.path.join("arch", "deepseek_v3"))
    model = load(path)
    model.set_experts_implementation("eager")
    ids = load_file(os.path.join(path, "expected.safetensors"))["ids"].long()
    chosen, hooks = {}, []
    for name, m in model.named_modules():
        if hasattr(m, "e_score_correction_bias"):
            hooks.append(m.register_forward_hook(lambda m, x, y, name=name: chosen.update({name: y[2]})))
    with torch.no_grad(), double():
        model(input_ids=ids, use_cache=False)
    out, loads, buffers = {}, [], dict(model.named_buffers())
    for name, indices in chosen.items():
        bias = buffers[name + ".e_score_correction_bias"]
        got = torch.bincount(indices.flatten(), minlength=len(bias))
        out[name + ".e_score_correction_bias"] = bias + rate * torch.sign(got.double().mean() - got.double())
        loads.append(got)
    save(os.path.join(folder("router"), "deepseek_bias.safetensors"), out | {"load": torch.stack(loads).int()}, rate=rate)


def experts():
    g = torch.Generator().manual_seed(11)
    batch, seq, n, k, width, hidden = 2, 9, 4, 2, 6, 5
    chosen = torch.stack([torch.randperm(n, generator=g)[:k] for _ in range(batch * seq)]).reshape(batch, seq, k)
    room = math.ceil(k * seq / n)
    flat = F.one_hot(chosen.transpose(1, 2).reshape(batch, k * seq), n)  # first choices first
    place = (flat.cumsum(1) * flat).sum(-1)
    kept = torch.where((place <= room).reshape(batch, k, seq).transpose(1, 2), chosen, -1)
    assert (kept < 0).any()
    drawn = {"x": torch.randn(batch, seq, width, generator=g), "targets": torch.randn(batch, seq, width, generator=g),
             "gate": torch.randn(n, width, generator=g), "w1": torch.randn(n, hidden, width, generator=g),
             "w3": torch.randn(n, hidden, width, generator=g), "w2": torch.randn(n, width, hidden, generator=g)}
    p = {name: t.double().requires_grad_(name not in ("x", "targets")) for name, t in drawn.items()}
    scores = F.linear(p["x"], p["gate"]).softmax(-1)
    takes = math.ceil(1.5 * seq / n)
    weight, token = scores.transpose(1, 2).topk(takes, dim=-1)  # [batch, n, takes]
    out, choice = torch.zeros_like(p["x"]), torch.full((batch, seq, n), -1)
    for b in range(batch):
        for e in range(n):
            rows = p["x"][b, token[b, e]]
            y = F.linear(F.silu(F.linear(rows, p["w1"][e])) * F.linear(rows, p["w3"][e]), p["w2"][e])
            out = out.index_put((torch.tensor(b), token[b, e]), y * weight[b, e, :, None], accumulate=True)
            choice[b, token[b, e], e] = e
    loss = F.mse_loss(out, p["targets"])
    loss.backward()
    grads = {"d." + name: t.grad for name, t in p.items() if t.requires_grad}
    save(os.path.join(folder("router"), "experts.safetensors"), drawn | grads | {
        "chosen": chosen.int(), "kept": kept.int(), "choice": choice.int(), "out": out.detach(), "loss": loss.detach()}, factor=1.5)


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    print(len(CASES), "objectives,", sum(map(objective, CASES)), "bytes")
    mixtral()
    deepseek()
    experts()
