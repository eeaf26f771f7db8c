"""What training does, by PyTorch and transformers, in float64.

    python testdata/golden/train.py

train/optimizers/NAME.safetensors, one file a case; metadata case: JSON with name and attr, as in documents

    w.K         weights at the start, f32 (exact), K = 0, 1, ...
    g.K         gradients of each step, f32 (exact) [20, ...]
    lr          learning rate of each step, f64 [20]
    w.K.after   weights after the steps that STEPS names, f64 [4, ...]

train/objectives/NAME.safetensors; metadata likewise

    y, and inputs by their names    f32 (exact) or int32
    sum, count                      f64; the loss is their quotient
    d.y, d.NAME                     gradients of sum, f64

train/schedules.json      factors of the base rate over a whole run and beyond
train/helpers.safetensors clipping and averages
train/llama_grads.safetensors   gradients of arch/llama: row 0 of its ids, mean next-token cross-entropy; metadata case
                          has the norm of each gradient, tensors are some of them in full, f64
"""

import json
import os
import zlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch.optim import lr_scheduler
from torch.optim.swa_utils import get_ema_avg_fn
from transformers import optimization
from transformers.optimization import Adafactor

from arch import load
from reference import double, folder, write_cases

OUT = folder("train")
COUNT, STEPS = 20, [1, 2, 7, 20]
SHAPES = [(3, 4), (5,), (2, 3, 4), (6, 2)]


def save(path, tensors, **case):
    """Metadata has one key: safetensors does not keep the order of several, so bytes would differ from run to run."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    save_file({k: t.contiguous() for k, t in tensors.items()}, path, metadata={"case": json.dumps(case)})
    os.chmod(path, 0o644)
    return os.path.getsize(path)


# Optimizers.

def lion_numpy(w, grads, rates, betas, weight_decay):
    """Algorithm 2 of arXiv:2302.06675."""
    m, out = np.zeros_like(w), []
    for g, lr in zip(grads, rates):
        c = betas[0] * m + (1 - betas[0]) * g
        w = w - lr * (np.sign(c) + weight_decay * w)
        m = betas[1] * m + (1 - betas[1]) * g
        out.append(w)
    return out


def by_torch(make):
    """Runs a torch optimizer: make(parameters, lr) returns it."""
    def run(w, grads, rates):
        p = torch.nn.Parameter(w.clone())
        optimizer, out = make([p], 1.0), []
        for g, lr in zip(grads, rates):
            for group in optimizer.param_groups:
                group["lr"] = lr.item()
            p.grad = g.clone()
            optimizer.step()
            out.append(p.detach().clone())
        return out
    return run


def muon(w, grads, rates, **kw):
    """torch.optim.Muon iterates in bfloat16; here in float64."""
    saved, torch.bfloat16 = torch.bfloat16, torch.float64
    try:
        return by_torch(lambda p, lr: torch.optim.Muon(p, lr=lr, **kw))(w, grads, rates)
    finally:
        torch.bfloat16 = saved


def rule(name, attr):
    o = torch.optim
    simple = {"sgd": o.SGD, "adam": o.Adam, "adamw": o.AdamW, "rmsprop": o.RMSprop, "adagrad": o.Adagrad}
    if name in simple:
        return by_torch(lambda p, lr: simple[name](p, lr=lr, **attr))
    if name == "muon":
        return lambda w, g, r: muon(w, g, r, **attr)
    if name == "adafactor":
        kw = dict(attr)
        if not kw.get("beta1"):
            kw["beta1"] = None
        if "eps" in kw:
            kw["eps"] = tuple(kw["eps"])
        return by_torch(lambda p, lr: Adafactor(p, lr=lr, relative_step=False, warmup_init=False, **kw))
    if name == "lion":
        return lambda w, g, r: [torch.from_numpy(x) for x in lion_numpy(w.numpy(), g.numpy(), r.numpy(), **attr)]
    raise KeyError(name)


OPTIMIZERS = {
    "sgd_plain": ("sgd", dict(momentum=0)),
    "sgd_decay": ("sgd", dict(momentum=0, weight_decay=0.1)),
    "sgd_momentum": ("sgd", dict(momentum=0.9, weight_decay=0.05)),
    "sgd_dampening": ("sgd", dict(momentum=0.8, dampening=0.3)),
    "sgd_nesterov": ("sgd", dict(momentum=0.9, nesterov=True, weight_decay=0.01)),
    "adam": ("adam", {}),
    "adam_decay": ("adam", dict(betas=[0.8, 0.95], eps=1e-3, weight_decay=0.1)),
    "adam_amsgrad": ("adam", dict(amsgrad=True, weight_decay=0.01)),
    "adamw": ("adamw", {}),
    "adamw_llm": ("adamw", dict(betas=[0.9, 0.95], eps=1e-6, weight_decay=0.1)),
    "adamw_first_zero": ("adamw", dict(betas=[0.0, 0.99], weight_decay=0)),
    "adamw_amsgrad": ("adamw", dict(betas=[0.9, 0.9], amsgrad=True)),
    "rmsprop": ("rmsprop", {}),
    "rmsprop_momentum": ("rmsprop", dict(alpha=0.9, momentum=0.7, weight_decay=0.1)),
    "rmsprop_centered": ("rmsprop", dict(centered=True, eps=1e-4)),
    "rmsprop_both": ("rmsprop", dict(alpha=0.95, centered=True, momentum=0.9, eps=1e-3)),
    "adagrad": ("adagrad", {}),
    "adagrad_all": ("adagrad", dict(lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5, eps=1e-6)),
    "lion": ("lion", dict(betas=[0.9, 0.99], weight_decay=0.1)),
    "lion_no_decay": ("lion", dict(betas=[0.95, 0.98], weight_decay=0.0)),
    "muon": ("muon", {}),
    "muon_plain": ("muon", dict(nesterov=False, momentum=0.9, weight_decay=0, ns_steps=3, eps=1e-5)),
    "muon_rms": ("muon", dict(adjust_lr_fn="match_rms_adamw", ns_coefficients=[2.0, -1.5, 0.5], ns_steps=8)),
    "muon_spectral": ("muon", dict(adjust_lr_fn="spectral_unclamped")),
    "adafactor": ("adafactor", {}),
    "adafactor_absolute": ("adafactor", dict(scale_parameter=False, clip_threshold=0.5, weight_decay=0.1)),
    "adafactor_momentum": ("adafactor", dict(beta1=0.9, decay_rate=-0.6, eps=[1e-12, 1e-2])),
}
RATES = {"sgd": 0.1, "muon": 0.05, "lion": 0.01, "adafactor": 0.05}


def optimizer(case):
    name, attr = OPTIMIZERS[case]
    g = torch.Generator().manual_seed(zlib.crc32(case.encode()))
    rates = RATES.get(name, 0.02) * (1 + 0.5 * torch.sin(torch.arange(COUNT, dtype=torch.float64)))
    out, run = {"lr": rates}, rule(name, attr)
    for k, shape in enumerate([s for s in SHAPES if name != "muon" or len(s) == 2]):
        w = torch.randn(shape, generator=g)
        grads = torch.randn((COUNT, *shape), generator=g) * (0.05 + torch.rand((COUNT,) + (1,) * len(shape), generator=g))
        grads.view(COUNT, -1)[:, 0] *= 1e-4  # so small that eps matters
        grads.view(COUNT, -1)[:6, 1] = 0
        after = run(w.double(), grads.double(), rates)
        assert all(x.dtype == torch.float64 and x.isfinite().all() for x in after), case
        out |= {f"w.{k}": w, f"g.{k}": grads, f"w.{k}.after": torch.stack([after[s - 1] for s in STEPS])}
    return save(os.path.join(OUT, "optimizers", case + ".safetensors"), out, name=name, attr=attr)


# Objectives. Each function gives the losses of all elements or rows, and their weights (None means 1).

def randn(*shape, scale=1.0):
    return lambda g: scale * torch.randn(shape, generator=g)


def unit(*shape):
    return lambda g: torch.rand(shape, generator=g)


def ints(high, *shape, ignore=()):
    def draw(g):
        t = torch.randint(0, high, shape, generator=g)
        for i, v in ignore:
            t.view(-1)[i] = v
        return t
    return draw


def mask(*shape):
    return lambda g: (torch.rand(shape, generator=g) < 0.6).float()


def cross_entropy(y, targets, weights=None, ignore_index=-100, label_smoothing=0.0, z_loss=0.0):
    flat, t = y.reshape(-1, y.shape[-1]), targets.reshape(-1)
    loss = F.cross_entropy(flat, t, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction="none")
    valid = (t != ignore_index).double()
    loss = loss + z_loss * torch.logsumexp(flat, -1).square() * valid
    return loss, valid if weights is None else valid * weights.reshape(-1)


def focal(y, targets, weights=None, alpha=0.25, gamma=2.0):
    """Equation 5 of arXiv:1708.02002, by probabilities."""
    p = torch.sigmoid(y)
    p_t, a_t = p * targets + (1 - p) * (1 - targets), alpha * targets + (1 - alpha) * (1 - targets)
    return -a_t * (1 - p_t) ** gamma * torch.log(p_t), weights


def bce(y, targets, weights=None, pos_weight=1.0):
    return F.binary_cross_entropy_with_logits(y, targets, pos_weight=torch.tensor(pos_weight).double(), reduction="none"), weights


def kl(y, targets_, weights=None, targets="logits", temperature=1.0):
    p = F.softmax(targets_ / temperature, -1) if targets == "logits" else targets_
    return F.kl_div(F.log_softmax(y / temperature, -1), p, reduction="none").sum(-1) * temperature**2, weights


def info_nce(y, keys, temperature=0.07, normalize=True, symmetric=True):
    q, k = (F.normalize(y), F.normalize(keys)) if normalize else (y, keys)
    scores, own = q @ k.T / temperature, torch.arange(len(y))
    loss = F.cross_entropy(scores, own, reduction="none")
    return (loss + F.cross_entropy(scores.T, own, reduction="none")) / 2 if symmetric else loss, None


def triplet(y, positive, negative, weights=None, margin=1.0, swap=False, eps=1e-6):
    return F.triplet_margin_loss(y, positive, negative, margin=margin, swap=swap, eps=eps, reduction="none"), weights


def dpo(y, targets, weights, reference, beta=0.1, label_smoothing=0.0):
    logp = (F.log_softmax(y, -1).gather(-1, targets[..., None])[..., 0] * weights).sum(-1)
    d = beta * ((logp[0::2] - logp[1::2]) - (reference[0::2] - reference[1::2]))
    return -F.logsigmoid(d) * (1 - label_smoothing) - F.logsigmoid(-d) * label_smoothing, None


def gaussian_kl(y, log_variance, weights=None, free_bits=0.0):
    """Summed over all but the batch, as diffusers does; free bits are those of each element."""
    normal = torch.distributions.Normal
    each = torch.distributions.kl_divergence(normal(y, (log_variance / 2).exp()), normal(torch.zeros_like(y), torch.ones_like(y)))
    return each.clamp(min=free_bits).flatten(1).sum(1), weights


ADVERSARIAL = {
    ("hinge", "real"): lambda y: F.relu(1 - y), ("hinge", "made"): lambda y: F.relu(1 + y), ("hinge", "fooled"): lambda y: -y,
    ("logistic", "real"): lambda y: F.binary_cross_entropy_with_logits(y, torch.ones_like(y), reduction="none"),
    ("logistic", "made"): lambda y: F.binary_cross_entropy_with_logits(y, torch.zeros_like(y), reduction="none"),
    ("logistic", "fooled"): lambda y: F.binary_cross_entropy_with_logits(y, torch.ones_like(y), reduction="none"),
    ("least_squares", "real"): lambda y: F.mse_loss(y, torch.ones_like(y), reduction="none"),
    ("least_squares", "made"): lambda y: F.mse_loss(y, torch.zeros_like(y), reduction="none"),
    ("least_squares", "fooled"): lambda y: F.mse_loss(y, torch.ones_like(y), reduction="none"),
    ("wasserstein", "real"): lambda y: -y, ("wasserstein", "made"): lambda y: y, ("wasserstein", "fooled"): lambda y: -y,
}


def adversarial(y, weights=None, form="hinge", **kw):
    return ADVERSARIAL[form, kw["as"]](y), weights


def element(function):
    return lambda y, targets, weights=None, **kw: (function(y, targets, reduction="none", **kw), weights)


def soft_cross_entropy(y, targets, weights=None, label_smoothing=0.0):
    return F.cross_entropy(y, targets, label_smoothing=label_smoothing, reduction="none"), weights


LOSSES = {"cross_entropy": cross_entropy, "soft_cross_entropy": soft_cross_entropy, "mse": element(F.mse_loss), "l1": element(F.l1_loss), "huber": element(F.huber_loss), "bce": bce,
          "focal": focal, "kl": kl, "info_nce": info_nce, "triplet": triplet, "dpo": dpo, "gaussian_kl": gaussian_kl, "adversarial": adversarial, "mean": lambda y, weights=None: (y, weights)}
TOKENS = dict(y=randn(2, 5, 9, scale=3), targets=ints(9, 2, 5))
IGNORE = dict(y=randn(2, 5, 9, scale=3), targets=ints(9, 2, 5, ignore=[(1, -100), (7, -100)]), weights=unit(2, 5))
REAL, YES = dict(y=randn(3, 7), targets=randn(3, 7)), dict(y=randn(4, 6, scale=3), targets=lambda g: torch.randint(0, 2, (4, 6), generator=g).float())
LOGITS, ROWS = dict(y=randn(3, 8, scale=2), targets=randn(3, 8, scale=2)), dict(y=randn(5, 6), keys=randn(5, 6))
PROBS = dict(y=randn(3, 8, scale=2), targets=lambda g: F.one_hot(torch.randint(0, 8, (3,), generator=g), 8) * 0.5 + torch.tensor([0.5] + [0.0] * 7))
MIXED = dict(y=randn(4, 6, scale=3), targets=lambda g: F.softmax(2 * torch.randn((4, 6), generator=g), -1))
TRIPLET = dict(y=randn(6, 4), positive=randn(6, 4), negative=randn(6, 4))
PAIRS = dict(y=randn(6, 4, 7, scale=2), targets=ints(7, 6, 4), weights=mask(6, 4), reference=randn(6, scale=4))
LATENTS, JUDGED = dict(y=randn(3, 2, 2, 3), log_variance=randn(3, 2, 2, 3)), dict(y=randn(2, 1, 3, 3, scale=2))

OBJECTIVES = {
    "cross_entropy": ("cross_entropy", {}, TOKENS),
    "cross_entropy_far": ("cross_entropy", {}, dict(y=lambda g: 40 * torch.randn((3, 9), generator=g) + 5000, targets=ints(9, 3))),
    "cross_entropy_mask": ("cross_entropy", {}, TOKENS | dict(weights=mask(2, 5))),
    "cross_entropy_ignore": ("cross_entropy", dict(label_smoothing=0.1), IGNORE),
    "cross_entropy_z_loss": ("cross_entropy", dict(z_loss=1e-2, label_smoothing=0.2, ignore_index=3), IGNORE | dict(targets=ints(9, 2, 5))),
    "soft_cross_entropy": ("soft_cross_entropy", {}, MIXED),
    "soft_cross_entropy_smooth": ("soft_cross_entropy", dict(label_smoothing=0.1), MIXED | dict(weights=mask(4))),
    "mse": ("mse", {}, REAL), "mse_weights": ("mse", {}, REAL | dict(weights=unit(3, 7))),
    "l1": ("l1", {}, REAL), "huber": ("huber", {}, REAL), "huber_delta": ("huber", dict(delta=0.3), REAL | dict(weights=mask(3, 7))),
    "bce": ("bce", {}, YES), "bce_far": ("bce", {}, dict(y=randn(4, 6, scale=60), targets=unit(4, 6), weights=mask(4, 6))),
    "bce_pos_weight": ("bce", dict(pos_weight=3.0), YES),
    "focal": ("focal", {}, YES), "focal_zero": ("focal", dict(gamma=0.0, alpha=0.5), YES), "focal_one": ("focal", dict(gamma=1.0), YES),
    "focal_power": ("focal", dict(gamma=1.5, alpha=0.75), YES | dict(weights=unit(4, 6))),
    "kl": ("kl", {}, LOGITS), "kl_temperature": ("kl", dict(temperature=2.0), LOGITS | dict(weights=mask(3))),
    "kl_probabilities": ("kl", dict(targets="probabilities"), PROBS),
    "info_nce": ("info_nce", {}, ROWS), "info_nce_one_way": ("info_nce", dict(symmetric=False, temperature=0.5), ROWS),
    "info_nce_raw": ("info_nce", dict(normalize=False, temperature=1.0), ROWS),
    "triplet": ("triplet", {}, TRIPLET), "triplet_swap": ("triplet", dict(swap=True, margin=0.5), TRIPLET | dict(weights=mask(6))),
    "dpo": ("dpo", {}, PAIRS), "dpo_smooth": ("dpo", dict(beta=0.5, label_smoothing=0.1), PAIRS),
    "gaussian_kl": ("gaussian_kl", {}, LATENTS), "gaussian_kl_free": ("gaussian_kl", dict(free_bits=0.4), LATENTS | dict(weights=unit(3))),
    **{f"adversarial_{form}_{side}": ("adversarial", {"form": form, "as": side}, JUDGED) for form, side in ADVERSARIAL},
    "mean": ("mean", {}, JUDGED), "mean_weights": ("mean", {}, JUDGED | dict(weights=mask(2, 1, 3, 3))),
}
FLOW = ["y", "keys", "positive", "negative", "log_variance"]  # what may depend on weights


def objective(case):
    name, attr, draws = OBJECTIVES[case]
    g = torch.Generator().manual_seed(zlib.crc32(case.encode()))
    drawn = {k: f(g) for k, f in draws.items()}
    x = {k: t.double() if t.is_floating_point() else t for k, t in drawn.items()}
    for k in FLOW:
        if k in x:
            x[k].requires_grad_()
    if name == "kl":
        x["targets_"] = x.pop("targets")
    loss, weights = LOSSES[name](**x, **attr)
    weights = torch.ones_like(loss) if weights is None else weights
    total = (loss * weights).sum()
    leaves = [k for k in FLOW if k in x]
    grads = torch.autograd.grad(total, [x[k] for k in leaves])
    assert total.isfinite() and all(d.isfinite().all() for d in grads), case
    out = {k: t if t.is_floating_point() else t.int() for k, t in drawn.items()}
    out |= {"sum": total.detach(), "count": weights.sum().double()} | {"d." + k: d for k, d in zip(leaves, grads)}
    return save(os.path.join(OUT, "objectives", case + ".safetensors"), out, name=name, attr=attr)


# Schedules.

def factors(make, steps):
    """The factors of the base rate for updates 0, 1, ..., steps-1."""
    base = 0.5
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))], lr=base)
    scheduler, out = make(optimizer, base), []
    for _ in range(steps):
        out.append(optimizer.param_groups[0]["lr"] / base)
        optimizer.step()
        scheduler.step()
    return out


def after_warmup(make, steps):
    """A torch schedule after a linear warm-up."""
    def both(o, base):
        up = lr_scheduler.LambdaLR(o, lambda s: s / steps)
        return lr_scheduler.SequentialLR(o, [up, make(o)], milestones=[steps])
    return both


def schedules(n=60, beyond=70):
    t, s = optimization, lr_scheduler
    rows = [
        ("constant", {}, lambda o, b: t.get_constant_schedule(o), beyond),
        ("constant", dict(warmup_steps=7), lambda o, b: t.get_constant_schedule_with_warmup(o, 7), beyond),
        ("linear", dict(warmup_steps=7), lambda o, b: t.get_linear_schedule_with_warmup(o, 7, n), beyond),
        ("linear", {}, lambda o, b: t.get_linear_schedule_with_warmup(o, 0, n), beyond),
        ("cosine", dict(warmup_steps=7, min_ratio=0), lambda o, b: t.get_cosine_schedule_with_warmup(o, 7, n), n + 1),
        ("cosine", dict(warmup_steps=5), lambda o, b: t.get_cosine_with_min_lr_schedule_with_warmup(o, 5, n, min_lr_rate=0.1), n + 1),
        ("cosine_restarts", dict(warmup_steps=7, cycles=3), lambda o, b: t.get_cosine_with_hard_restarts_schedule_with_warmup(o, 7, n, 3), beyond),
        ("exponential", dict(gamma=0.95), lambda o, b: s.ExponentialLR(o, 0.95), beyond),
        ("exponential", dict(gamma=0.9, warmup_steps=6), after_warmup(lambda o: s.ExponentialLR(o, 0.9), 6), beyond),
        ("step", dict(step_size=13), lambda o, b: s.StepLR(o, 13), beyond),
        ("step", dict(step_size=10, gamma=0.5, warmup_steps=6), after_warmup(lambda o: s.StepLR(o, 10, 0.5), 6), beyond),
        ("polynomial", dict(warmup_steps=7, power=2), lambda o, b: t.get_polynomial_decay_schedule_with_warmup(o, 7, n, lr_end=0, power=2), beyond),
        ("polynomial", dict(power=0.5, min_ratio=0.2), lambda o, b: t.get_polynomial_decay_schedule_with_warmup(o, 0, n, lr_end=0.2 * b, power=0.5), beyond),
        ("cyclic", dict(step_size_up=8), lambda o, b: s.CyclicLR(o, 0.1 * b, b, 8, cycle_momentum=False), beyond),
        ("cyclic", dict(step_size_up=6, step_size_down=11, mode="triangular2", min_ratio=0.25),
         lambda o, b: s.CyclicLR(o, 0.25 * b, b, 6, 11, mode="triangular2", cycle_momentum=False), beyond),
        ("cyclic", dict(step_size_up=9, mode="exp_range", gamma=0.97, min_ratio=0),
         lambda o, b: s.CyclicLR(o, 0, b, 9, mode="exp_range", gamma=0.97, cycle_momentum=False), beyond),
        ("inverse_sqrt", dict(warmup_steps=7), lambda o, b: t.get_inverse_sqrt_schedule(o, 7), beyond),
        ("inverse_sqrt", dict(warmup_steps=5, timescale=20), lambda o, b: t.get_inverse_sqrt_schedule(o, 5, 20), beyond),
        ("inverse_sqrt", {}, lambda o, b: t.get_inverse_sqrt_schedule(o, 0), beyond),
        ("wsd", dict(warmup_steps=7, decay_steps=20), lambda o, b: t.get_wsd_schedule(o, 7, 20, n), beyond),
        ("wsd", dict(warmup_steps=10, decay_steps=15, warmup_type="cosine", decay_type="linear", min_ratio=0.1),
         lambda o, b: t.get_wsd_schedule(o, 10, 15, n, warmup_type="cosine", decay_type="linear", min_lr_ratio=0.1), beyond),
        ("wsd", dict(warmup_steps=9, decay_steps=55, warmup_type="1-sqrt", decay_type="1-sqrt", min_ratio=0.05),
         lambda o, b: t.get_wsd_schedule(o, 9, 55, n, warmup_type="1-sqrt", decay_type="1-sqrt", min_lr_ratio=0.05), beyond),
        ("one_cycle", {}, lambda o, b: s.OneCycleLR(o, b, total_steps=n, cycle_momentum=False), n),
        ("one_cycle", dict(pct_start=0.2, anneal_strategy="linear", div_factor=10, final_div_factor=100),
         lambda o, b: s.OneCycleLR(o, b, total_steps=n, pct_start=0.2, anneal_strategy="linear", div_factor=10, final_div_factor=100, cycle_momentum=False), n),
        ("one_cycle", dict(three_phase=True), lambda o, b: s.OneCycleLR(o, b, total_steps=n, three_phase=True, cycle_momentum=False), n),
    ]
    cases = [dict(name=name, attr=attr, factors=factors(make, count)) for name, attr, make, count in rows]
    write_cases(os.path.join(OUT, "schedules.json"), {"steps": n}, cases)


# Clipping and averages.

def helpers():
    g = torch.Generator().manual_seed(0)
    grads = [torch.randn(s, generator=g) for s in SHAPES]
    out = {f"g.{i}": x for i, x in enumerate(grads)}
    for label, limit in [("small", 1.5), ("large", 100.0)]:
        p = [torch.nn.Parameter(torch.zeros_like(x, dtype=torch.float64)) for x in grads]
        for q, x in zip(p, grads):
            q.grad = x.double()
        out["norm"] = torch.nn.utils.clip_grad_norm_(p, limit, foreach=False)
        out |= {f"norm.{label}.{i}": q.grad for i, q in enumerate(p)}
        for q, x in zip(p, grads):
            q.grad = x.double()
        torch.nn.utils.clip_grad_value_(p, limit / 3)
        out |= {f"value.{label}.{i}": q.grad.clone() for i, q in enumerate(p)}
    out["ema"] = get_ema_avg_fn(0.95)(grads[0].double(), 2 * grads[0].double() + 1, 3)
    save(os.path.join(OUT, "helpers.safetensors"), out, small=1.5, large=100.0)


# Gradients of a whole model.

FULL = ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.1.self_attn.k_proj.weight",
        "model.layers.0.mlp.down_proj.weight", "model.layers.0.input_layernorm.weight", "model.norm.weight", "lm_head.weight"]


def llama():
    path = folder(os.path.join("arch", "llama"))
    model = load(path)
    ids = load_file(os.path.join(path, "expected.safetensors"))["ids"][:1].long()
    with double():
        logits = model(input_ids=ids, use_cache=False).logits
    loss = F.cross_entropy(logits[0, :-1], ids[0, 1:])
    loss.backward()
    grads = {k: p.grad for k, p in model.named_parameters()}
    assert all(d.dtype == torch.float64 for d in grads.values())
    size = save(os.path.join(OUT, "llama_grads.safetensors"), {"loss": loss.detach(), **{k: grads[k] for k in FULL}},
                norms={k: d.norm().item() for k, d in grads.items()})
    assert size < 200_000, size


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    sizes = [sum(map(optimizer, OPTIMIZERS)), sum(map(objective, OBJECTIVES))]
    schedules()
    helpers()
    llama()
    print(len(OPTIMIZERS), "optimizers,", len(OBJECTIVES), "objectives,", sizes, "bytes")
