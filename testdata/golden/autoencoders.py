"""Training of autoencoders and of what judges them, by PyTorch, diffusers, lpips and vector-quantize-pytorch, in float64.

    python -P testdata/golden/autoencoders.py [NAME...]

autoencoder/NAME/values.safetensors, for the model autoencoder/NAME/model.cue: three steps of SGD

    in.X [3, ...]        inputs, f32 (exact)
    NAME, NAME.after     weights at first, f32 (exact), and after the steps, f64; statistics among them
    loss, mean.X [3]     the loss of each step, and its terms, f64

Metadata case: JSON with lr, the losses as recipes spell them, and update, what the steps change.

hifigan/values.safetensors are three steps of recipes/hifigan.cue with the settings of TestVocoderRecipe: the sound of all steps (audio), what
is made small in each (generator, critics), its terms, and the weights then. They begin as hifigan/first.safetensors, which is a
checkpoint of the recipe itself after one step of rate 1e-30. hifigan/normed.safetensors are the same with settings.weight_norm.
"""

import json
import math
import pathlib
import sys

sys.path[:] = [p for p in sys.path if pathlib.Path(p).resolve() != pathlib.Path(__file__).parent.resolve()]  # scripts beside this one have the names of packages

import librosa
import lpips
import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution, VectorQuantizer
from safetensors.torch import load_file, save_file
from monotonic_alignment_search import maximum_path_cython
from torch.nn.utils import parametrize
from torchaudio.functional import mu_law_encoding
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig, VitsConfig, VitsModel
from wavenet_vocoder import WaveNet

OUT = pathlib.Path(__file__).parent / "autoencoder"
LR = 0.05


def randomise(model, g, scale=0.3):
    with torch.no_grad():
        for name, p in [*model.named_parameters(), *model.named_buffers()]:
            if "num_batches" in name:
                continue
            x = scale * torch.randn(p.shape, generator=g)
            if name.endswith("running_var") or p.ndim == 1 and "weight" in name:
                x = x.abs() + 0.5
            p.copy_(x)
    return model.double()


def run(name, model, inputs, losses, terms, update=("*",), trained=None):
    """terms(model, step, inputs) gives the terms by name, and what is made small."""
    state = lambda: {k: v.detach().clone() for k, v in model.state_dict().items() if "num_batches" not in k}
    file = {k: v.to(torch.float32) for k, v in state().items()}
    optimizer = torch.optim.SGD([p for k, p in model.named_parameters() if trained is None or trained(k)], lr=LR)
    log = {}
    for step in range(3):
        optimizer.zero_grad()
        each, loss = terms(model, step, {k: v[step].double() for k, v in inputs.items()})
        loss.backward()
        optimizer.step()
        for k, v in {**{"mean." + k: v for k, v in each.items()}, "loss": loss}.items():
            log.setdefault(k, []).append(v.detach())
    file |= {k + ".after": v for k, v in state().items()}
    file |= {"in." + k: v for k, v in inputs.items()} | {k: torch.stack(v) for k, v in log.items()}
    assert all(v.isfinite().all() for v in file.values()), name
    path = OUT / name / "values.safetensors"
    save_file({k: v.contiguous() for k, v in file.items()}, path,
              metadata={"case": json.dumps(dict(lr=LR, losses=losses, update=list(update)))})
    path.chmod(0o644)


def discriminator(g):
    """NLayerDiscriminator of pix2pix with two layers that halve, on real pictures."""
    c = lambda i, o, s, b: nn.Conv2d(i, o, 4, s, 1, bias=b)
    main = nn.Sequential(c(2, 4, 2, True), nn.LeakyReLU(0.2), c(4, 8, 2, False), nn.BatchNorm2d(8), nn.LeakyReLU(0.2),
                         c(8, 16, 1, False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2), c(16, 1, 1, True))
    model = nn.Module()
    model.critic = nn.Module()
    model.critic.main = main
    randomise(model, g)
    run("discriminator", model, dict(x=torch.randn((3, 2, 2, 16, 16), generator=g)), [{"name": "adversarial", "as": "real"}],
        lambda m, step, x: ({}, F.relu(1 - m.critic.main(x["x"])).mean()))


def generator(g):
    """An autoencoder with a divergence that grows, and an adversarial loss from step 1 on, whose weight adapts as in VQGAN's
    and latent diffusion's code."""
    model = nn.Module()
    model.enc, model.dec = nn.Conv2d(2, 6, 3, 2, 1), nn.ConvTranspose2d(3, 2, 4, 2, 1)
    model.critic = nn.Module()
    model.critic.main = nn.Sequential(nn.Conv2d(2, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 8, 4, 1, 1), nn.GroupNorm(2, 8), nn.LeakyReLU(0.2),
                                      nn.Conv2d(8, 1, 4, 1, 1))
    randomise(model, g)
    inputs = dict(x=torch.randn((3, 2, 2, 8, 8), generator=g), noise=torch.randn((3, 2, 3, 4, 4), generator=g))

    def terms(m, step, x):
        posterior = DiagonalGaussianDistribution(m.enc(x["x"]))
        made = m.dec(posterior.mean + posterior.std * x["noise"])
        l1, kl, fooled = F.l1_loss(made, x["x"]), posterior.kl().mean(), -m.critic.main(made).mean()
        rest = torch.autograd.grad(l1, m.dec.weight, retain_graph=True)[0]
        own = torch.autograd.grad(fooled, m.dec.weight, retain_graph=True)[0]
        factor = (torch.norm(rest) / (torch.norm(own) + 1e-4)).clamp(0, 1e4).detach()
        loss = l1 + min(1, (step + 1) / 2) * 0.1 * kl + (step >= 1) * 0.8 * factor * fooled
        return dict(l1=l1, kl=kl, fooled=fooled, factor=factor), loss

    run("generator", model, inputs, [
        {"name": "l1", "inputs": {"targets": "x"}}, {"name": "gaussian_kl", "label": "kl", "y": "middle", "inputs": {"log_variance": "log_variance"}, "weight": 0.1, "ramp": 2},
        {"name": "adversarial", "label": "fooled", "as": "fooled", "y": "critic", "weight": 0.8, "from": 1, "adaptive": "dec.weight"},
    ], terms, update=("enc.*", "dec.*"), trained=lambda k: not k.startswith("critic"))


def perceptual(g):
    """lpips over a small network that stays as it is, and features of two pictures matched."""
    model = nn.Module()
    model.dec = nn.Conv2d(2, 3, 3, 1, 1)
    model.net = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, 1, 1), nn.ReLU())
    model.distance = nn.Module()
    for i, c in enumerate((4, 6)):
        setattr(model.distance, f"lin{i}", lpips.NetLinLayer(c, use_dropout=True))
    randomise(model, g)
    inputs = dict(x=torch.randn((3, 2, 2, 6, 6), generator=g), y=torch.randn((3, 2, 3, 6, 6), generator=g))

    def features(m, x):
        first = m.net[1](m.net[0](x))
        return [first, m.net[4](m.net[3](m.net[2](first)))]

    def terms(m, step, x):
        a, b = features(m, m.dec(x["x"])), features(m, x["y"])
        apart = [(lpips.normalize_tensor(p) - lpips.normalize_tensor(q)) ** 2 for p, q in zip(a, b)]
        lins = [m.distance.lin0.eval(), m.distance.lin1.eval()]
        far = sum(lpips.spatial_average(lin(d), keepdim=True) for lin, d in zip(lins, apart)).mean()
        matched = sum(F.l1_loss(p, q.detach()) for p, q in zip(a, b)) / 2
        return dict(lpips=far, matched=matched), far + 0.3 * matched

    run("perceptual", model, inputs, [{"name": "mean", "label": "lpips", "y": "distance"}, {"name": "mean", "label": "matched", "y": "matched", "weight": 0.3}],
        terms, update=("dec.*",), trained=lambda k: k.startswith("dec"))


def quantizer(g):
    """diffusers' quantiser, whose gradients go straight through."""
    model = nn.Module()
    model.enc, model.dec = nn.Conv2d(2, 3, 3, 1, 1), nn.Conv2d(3, 2, 3, 1, 1)
    model.quantize = VectorQuantizer(7, 3, beta=0.25, legacy=False)
    randomise(model, g, 0.5)

    def terms(m, step, x):
        z = m.enc(x["x"])
        q, _, (_, _, taken) = m.quantize(z)
        table = m.quantize.embedding(taken).view(2, 5, 5, 3).permute(0, 3, 1, 2)
        mse = F.mse_loss(m.dec(q), x["x"])
        shares = F.one_hot(taken, 7).double().mean(0)
        each = dict(mse=mse, commitment=F.mse_loss(z, table.detach()), codebook=F.mse_loss(table, z.detach()), perplexity=torch.exp(-(shares * (shares + 1e-10).log()).sum()))
        return each, mse + m.quantize(z)[1]

    run("quantizer", model, dict(x=torch.randn((3, 2, 2, 5, 5), generator=g)), [
        {"name": "mse", "inputs": {"targets": "x"}}, {"name": "mean", "label": "commitment", "y": "quantize.commitment", "weight": 0.25},
        {"name": "mean", "label": "codebook", "y": "quantize.table"}, {"name": "mean", "label": "perplexity", "y": "quantize.perplexity", "weight": 0},
    ], terms)


def averages(g):
    """A table that follows the averages of what it stands for, by lucidrains' quantiser."""
    from vector_quantize_pytorch import VectorQuantize
    model = nn.Module()
    model.enc, model.dec = nn.Conv2d(2, 3, 3, 1, 1), nn.Conv2d(3, 2, 3, 1, 1)
    vq = VectorQuantize(3, 7, decay=0.8, eps=1e-5, kmeans_init=False, commitment_weight=1.0, accept_image_fmap=True, rotation_trick=False, threshold_ema_dead_code=0)
    randomise(model, g, 0.5)
    book = vq.double()._codebook
    embed, size = 0.5 * torch.randn((7, 3), generator=g), torch.rand(7, generator=g) + 0.5
    smooth = lambda n: (n + 1e-5) * n.sum() / (n.sum() + 7e-5)
    book.embed.copy_(embed[None].double())
    book.cluster_size.copy_(size[None].double())
    book.embed_avg.copy_((embed.double() * smooth(size.double())[:, None])[None])

    def terms(m, step, x):
        vq.train()
        z = m.enc(x["x"])
        before = book.embed[0].clone()
        narrow, torch.Tensor.float = torch.Tensor.float, torch.Tensor.double  # which it computes in else
        q, taken, commit = vq(z)
        torch.Tensor.float = narrow
        table = before[taken].permute(0, 3, 1, 2)
        mse, commitment = F.mse_loss(m.dec(z + (table - z).detach()), x["x"]), F.mse_loss(z, table)
        shares = F.one_hot(taken.reshape(-1), 7).double().mean(0)
        assert (q - table).abs().max() < 1e-12 and (commit - commitment).abs() < 1e-12
        model.table = dict(embed=book.embed[0].clone(), cluster_size=book.cluster_size[0].clone())
        return dict(mse=mse, commitment=commitment, perplexity=torch.exp(-(shares * (shares + 1e-10).log()).sum())), mse + 0.25 * commitment

    state = model.state_dict
    model.table = dict(embed=embed, cluster_size=size)
    model.state_dict = lambda: {**state(), **{"quantize.codebook." + k: v for k, v in model.table.items()}}
    run("averages", model, dict(x=torch.randn((3, 2, 2, 5, 5), generator=g)), [
        {"name": "mse", "inputs": {"targets": "x"}}, {"name": "mean", "label": "commitment", "y": "quantize.commitment", "weight": 0.25},
        {"name": "mean", "label": "perplexity", "y": "quantize.perplexity", "weight": 0},
    ], terms)


def audiocraft_quantizer():
    """audiocraft.quantization.core_vq alone: the rest of the package wants others that have no part in it, and of flashy only broadcasts to other machines."""
    import importlib.util
    import types
    flashy = sys.modules.setdefault("flashy", types.ModuleType("flashy"))
    flashy.distrib = types.SimpleNamespace(broadcast_tensors=lambda tensors: None)
    path = pathlib.Path(importlib.util.find_spec("audiocraft").origin).parent / "quantization" / "core_vq.py"
    spec = importlib.util.spec_from_file_location("core_vq", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def log_mel(x, rate, size, hop, mels):
    """That of HiFi-GAN's authors, up to the highest frequency."""
    x = F.pad(x[:, None], ((size - hop) // 2,) * 2, "reflect")[:, 0]
    y = torch.stft(x, size, hop, size, torch.hann_window(size, dtype=x.dtype), center=False, return_complex=True)
    bank = librosa.filters.mel(sr=rate, n_fft=size, n_mels=mels, fmin=0, fmax=None, dtype="float64")
    return (torch.from_numpy(bank).float().double() @ (y.real ** 2 + y.imag ** 2 + 1e-9).sqrt()).clamp(min=1e-5).log()


def residual(g):
    """A codec of three tables in audiocraft's residual quantiser, each example with as many as its number says: those of a batch of one are
    n_q of the reference. Its averages begin with no point at all; a table that learns of both examples has them in one call."""
    core = audiocraft_quantizer()
    model = nn.Module()
    model.enc, model.dec = nn.Conv1d(1, 3, 4, 4), nn.ConvTranspose1d(3, 1, 4, 4)
    randomise(model, g, 0.5)
    rvq = core.ResidualVectorQuantization(num_quantizers=3, dim=3, codebook_size=5, decay=0.8, threshold_ema_dead_code=0).double()
    tables = [0.7 * torch.randn((5, 3), generator=g) * 0.6**i for i in range(3)]
    sizes = [torch.rand(5, generator=g) + 0.5 for _ in range(3)]
    smooth = lambda n: (n + 1e-5) * n.sum() / (n.sum() + 5e-5)
    for layer, table, size in zip(rvq.layers, tables, sizes):
        book = layer._codebook
        book.embed.copy_(table.double())
        book.cluster_size.copy_(size.double())
        book.embed_avg.copy_(table.double() * smooth(size.double())[:, None])
    inputs = dict(x=torch.randn((3, 2, 48), generator=g), draw=torch.tensor([[0.7, 0.1], [0.2, 0.4], [0.34, 0.9]]))
    counts = [[3, 1], [2, 3], [3, 3]]  # floor(3 u / 0.5) + 1, or all

    def terms(m, step, x):
        z = m.enc(x["x"][:, None])
        rvq.train()
        held = {k: v.clone() for k, v in rvq.state_dict().items()}
        rows, losses = [], []
        for b, n in enumerate(counts[step]):  # the output and the losses, of the tables as they are
            q, _, commit = rvq(z[b:b + 1], n_q=n)
            rows.append(q)
            losses.append(commit.sum() / 3)
            rvq.load_state_dict(held)
        _, codes, _ = rvq(z.detach())  # then they move
        q, commitment = torch.cat(rows), sum(losses) / 2
        made = m.dec(q)[:, 0]
        each = dict(l1=F.l1_loss(made, x["x"]), commitment=commitment)
        for n in (16, 32):
            each[f"mel{n}"] = F.l1_loss(log_mel(made, 8000, n, n // 4, 4), log_mel(x["x"], 8000, n, n // 4, 4))
        shares = [F.one_hot(c.reshape(-1), 5).double().mean(0) for c in codes]
        each["perplexity"] = sum(torch.exp(-(s * (s + 1e-10).log()).sum()) for s in shares) / 3
        each["used"] = sum((s > 0).double().sum() for s in shares) / 3
        for i, layer in enumerate(rvq.layers):
            model.tables[f"{i}.codebook.embed"] = layer._codebook.embed.clone()
            model.tables[f"{i}.codebook.cluster_size"] = layer._codebook.cluster_size.clone()
        return each, 0.1 * each["l1"] + each["mel16"] + each["mel32"] + 0.25 * commitment

    torch.set_default_dtype(torch.float64)  # of the zero that the reference adds losses to
    state = model.state_dict
    model.tables = {f"{i}.codebook.{k}": v for i, (e, n) in enumerate(zip(tables, sizes)) for k, v in (("embed", e), ("cluster_size", n))}
    model.state_dict = lambda: {**state(), **{"quantizer.layers." + k: v for k, v in model.tables.items()}}
    run("residual", model, inputs, [
        {"name": "l1", "inputs": {"targets": "x"}, "weight": 0.1}, *[{"name": "l1", "label": f"mel{n}", "y": f"made_mel{n}", "inputs": {"targets": f"real_mel{n}"}} for n in (16, 32)],
        {"name": "mean", "label": "commitment", "y": "quantizer.commitment", "weight": 0.25},
        *[{"name": "mean", "label": k, "y": f"quantizer.{k}", "weight": 0} for k in ("perplexity", "used")],
    ], terms)
    torch.set_default_dtype(torch.float32)


def spectral(g):
    """The critics of encodec, which look at Fourier transforms, with features matched by their share of the real ones."""
    from encodec.msstftd import MultiScaleSTFTDiscriminator
    model = nn.Module()
    model.gen = nn.ConvTranspose1d(3, 1, 5, 3, padding=1)
    model.critic = MultiScaleSTFTDiscriminator(2, n_ffts=[16, 12], hop_lengths=[4, 3], win_lengths=[16, 12], kernel_size=(3, 5), dilations=[1, 2], norm="none")
    randomise(model, g)
    for d in model.critic.discriminators:
        d.spec_transform.window.copy_(torch.hann_window(d.win_length, dtype=torch.float64))

    def terms(m, step, x):
        (judged, made), (_, real) = m.critic(m.gen(x["x"])), m.critic(x["real"])
        each = {f"fooled{i}": -y.mean() for i, y in enumerate(judged)}
        pairs = [(a.detach(), b) for r, f in zip(real, made) for a, b in zip(r, f)]
        each["matched"] = sum(F.l1_loss(b, a) / a.abs().mean() for a, b in pairs) / len(pairs)
        return each, each["fooled0"] + each["fooled1"] + 3 * each["matched"]

    run("spectral", model, dict(x=torch.randn((3, 2, 3, 18), generator=g), real=torch.randn((3, 2, 1, 54), generator=g)), [
        *[{"name": "adversarial", "label": f"fooled{i}", "as": "fooled", "y": f"critic.discriminators.{i}.conv_post"} for i in range(2)],
        {"name": "mean", "label": "matched", "y": "matched", "weight": 3},
    ], terms)


class Periods(nn.Module):
    """HiFi-GAN's discriminators by periods (arXiv:2010.05646); each gives its logits and the features of its layers."""

    def __init__(self, periods, widths, kernel, stride):
        super().__init__()
        self.periods = periods
        self.discriminators = nn.ModuleList()
        for _ in periods:
            d = nn.Module()
            steps = [stride] * (len(widths) - 1) + [1]
            d.convs = nn.ModuleList([nn.Conv2d(i, o, (kernel, 1), (s, 1), (kernel // 2, 0)) for i, o, s in zip([1, *widths], widths, steps)])
            d.conv_post = nn.Conv2d(widths[-1], 1, (3, 1), 1, (1, 0))
            self.discriminators.append(d)

    def forward(self, x):
        out = []
        for p, d in zip(self.periods, self.discriminators):
            y = F.pad(x, (0, -x.shape[2] % p), "reflect")
            y = y.view(len(x), 1, -1, p)
            features = []
            for c in d.convs:
                y = F.leaky_relu(c(y), 0.1)
                features.append(y)
            out.append((d.conv_post(y), [*features, d.conv_post(y)]))
        return out


class Scales(nn.Module):
    def __init__(self, scales, convs):
        super().__init__()
        self.discriminators = nn.ModuleList()
        for _ in range(scales):
            d = nn.Module()
            d.convs = nn.ModuleList([nn.Conv1d(i, o, k, s, k // 2, groups=g) for (i, (o, k, s, g)) in zip([1, *(c[0] for c in convs)], convs)])
            d.conv_post = nn.Conv1d(convs[-1][0], 1, 3, 1, 1)
            self.discriminators.append(d)

    def forward(self, x):
        out = []
        for i, d in enumerate(self.discriminators):
            if i > 0:
                x = F.avg_pool1d(x, 4, 2, padding=2)
            y, features = x, []
            for c in d.convs:
                y = F.leaky_relu(c(y), 0.1)
                features.append(y)
            out.append((d.conv_post(y), [*features, d.conv_post(y)]))
        return out


def names(periods, scales, of=""):
    return [f"{k}{of}.discriminators.{i}.conv_post" for k, n in (("mpd", periods), ("msd", scales)) for i in range(n)]


def vocoder(g):
    """A generator of sound: for critics of periods and scales to take for real, by least squares; their features matched; spectra at two resolutions."""
    model = nn.Module()
    model.gen = nn.ConvTranspose1d(3, 1, 5, 3, padding=1)
    model.mpd, model.msd = Periods([2, 3], [4, 6], 5, 3), Scales(2, [(4, 5, 1, 1), (4, 7, 2, 2)])
    randomise(model, g)

    def spectrum(x, n, hop, win):
        y = torch.stft(x, n, hop, win, torch.hann_window(win, dtype=x.dtype), center=True, pad_mode="reflect", return_complex=True)
        return (y.real ** 2 + y.imag ** 2).clamp(min=1e-7)

    def terms(m, step, x):
        made, real = m.gen(x["x"]), x["real"]
        judged, known = m.mpd(made) + m.msd(made), m.mpd(real) + m.msd(real)
        each = {f"fooled{i}": ((1 - y) ** 2).mean() for i, (y, _) in enumerate(judged)}
        pairs = [(a.detach(), b) for (_, r), (_, f) in zip(known, judged) for a, b in zip(r, f)]
        each["matched"] = sum(F.l1_loss(b, a) for a, b in pairs) / len(pairs)
        each["stft"] = 0
        for n, hop, win in ((16, 4, 12), (8, 3, 8)):
            a, b = spectrum(made[:, 0], n, hop, win).sqrt(), spectrum(real[:, 0], n, hop, win).sqrt()
            each["stft"] = each["stft"] + (torch.norm(b - a) / torch.norm(b) + F.l1_loss(a.log(), b.log())) / 2
        return each, sum(each[f"fooled{i}"] for i in range(4)) + 2 * len(pairs) * each["matched"] + 3 * each["stft"]

    run("vocoder", model, dict(x=torch.randn((3, 2, 3, 15), generator=g), real=torch.randn((3, 2, 1, 45), generator=g)), [
        *[{"name": "adversarial", "label": f"fooled{i}", "as": "fooled", "form": "least_squares", "y": y} for i, y in enumerate(names(2, 2))],
        {"name": "mean", "label": "matched", "y": "matched", "weight": 2 * 12}, {"name": "mean", "label": "stft", "y": "stft", "weight": 3},
    ], terms, update=("gen.*",), trained=lambda k: k.startswith("gen"))


def critics(g):
    """Critics of periods and scales, by least squares."""
    model = nn.Module()
    model.mpd, model.msd = Periods([2, 3], [4, 6], 3, 2), Scales(3, [(4, 5, 1, 1)])
    randomise(model, g)

    def terms(m, step, x):
        each = {f"real{i}": ((1 - y) ** 2).mean() for i, (y, _) in enumerate(m.mpd(x["real"]) + m.msd(x["real"]))}
        each |= {f"made{i}": (y ** 2).mean() for i, (y, _) in enumerate(m.mpd(x["made"]) + m.msd(x["made"]))}
        return each, sum(each.values())

    run("critics", model, dict(made=torch.randn((3, 2, 1, 46), generator=g), real=torch.randn((3, 2, 1, 46), generator=g)), [
        {"name": "adversarial", "label": f"{kind}{i}", "as": kind, "form": "least_squares", "y": y} for kind, of in (("real", "_real"), ("made", "")) for i, y in enumerate(names(2, 3, of))
    ], terms)


def fastspeech2(g):
    """FastSpeech 2 with conformers, of transformers, in the mode of training: rows of several lengths, told durations, pitch and energy."""
    from transformers import FastSpeech2ConformerConfig, FastSpeech2ConformerModel
    config = FastSpeech2ConformerConfig(
        hidden_size=4, vocab_size=7, num_mel_bins=4, encoder_num_attention_heads=2, encoder_layers=1, encoder_linear_units=6, encoder_kernel_size=3,
        decoder_num_attention_heads=1, decoder_layers=1, decoder_linear_units=6, decoder_kernel_size=3, speech_decoder_postnet_layers=2, speech_decoder_postnet_units=5,
        speech_decoder_postnet_kernel=3, duration_predictor_layers=2, duration_predictor_channels=4, energy_predictor_channels=4, pitch_predictor_layers=2,
        pitch_predictor_channels=4, pitch_predictor_kernel_size=3,
        **{f"{part}_{kind}_rate": 0.0 for part in ("encoder", "decoder") for kind in ("dropout", "positional_dropout", "attention_dropout")},
        duration_predictor_dropout_rate=0.0, energy_predictor_dropout=0.0, pitch_predictor_dropout=0.0, energy_embed_dropout=0.0, pitch_embed_dropout=0.0,
        speech_decoder_postnet_dropout=0.0)
    model = nn.Module()
    model.acoustic = FastSpeech2ConformerModel(config)
    model.train()
    randomise(model, g)
    ids = torch.tensor([[[3, 1, 6, 2, 4], [5, 2, 1, 0, 0]], [[1, 2, 0, 0, 0], [6, 6, 3, 4, 5]], [[2, 4, 6, 1, 0], [3, 5, 1, 2, 6]]])
    durations = torch.tensor([[[2, 1, 3, 0, 3], [4, 1, 2, 0, 0]], [[3, 1, 0, 0, 0], [1, 2, 2, 3, 1]], [[1, 1, 1, 1, 0], [5, 0, 1, 1, 2]]])
    real, heard = ids != 0, torch.arange(9) < durations.sum(-1, keepdim=True)
    inputs = dict(ids=ids.int(), durations=durations.int(), pitch=torch.randn((3, 2, 5), generator=g), energy=torch.randn((3, 2, 5), generator=g),
                  mel=torch.randn((3, 2, 9, 4), generator=g))
    each = []
    for part in (model.acoustic.criterion.l1_criterion, model.acoustic.criterion.duration_criterion, model.acoustic.criterion.mse_criterion):
        part.register_forward_hook(lambda _, given, out: each.append(out))

    def terms(m, step, x):
        each.clear()
        out = m.acoustic(ids[step], attention_mask=real[step].long(), spectrogram_labels=x["mel"].masked_fill(~heard[step][..., None], -100),
                         duration_labels=durations[step], pitch_labels=x["pitch"][..., None], energy_labels=x["energy"][..., None])
        return dict(zip(("before", "after", "durations", "pitch", "energy"), each, strict=True)), out.loss

    at = lambda label, name, y, target, weights: {"name": name, "label": label, "y": y, "inputs": {"targets": target, "weights": "acoustic.teacher." + weights}}
    floats, torch.Tensor.float, torch.float = (torch.Tensor.float, torch.float), torch.Tensor.double, torch.float64  # which it computes in else
    torch.set_default_dtype(torch.float64)
    for part in (model.acoustic.encoder, model.acoustic.decoder):
        part.pos_enc.pos_enc = part.pos_enc.extend_pos_enc(torch.zeros(1, 50))
    run("fastspeech2", model, inputs, [
        at("before", "l1", "acoustic.speech_decoder_postnet.before", "mel", "heard"), at("after", "l1", "acoustic", "mel", "heard"),
        at("durations", "mse", "acoustic.duration_predictor", "acoustic.teacher.log_durations", "said"),
        at("pitch", "mse", "acoustic.pitch_predictor", "acoustic.pitch_column", "said"), at("energy", "mse", "acoustic.energy_predictor", "acoustic.energy_column", "said"),
    ], terms)
    (torch.Tensor.float, torch.float), _ = floats, torch.set_default_dtype(torch.float32)


def vits(g):
    """VITS of transformers as its authors train it: rows of several lengths and speakers, aligned by their Cython code; its weights as they are, not as
    lengths and directions. The piece that is made is held against another by l1."""
    config = VitsConfig(
        vocab_size=9, hidden_size=6, num_hidden_layers=1, num_attention_heads=2, window_size=2, ffn_dim=8, flow_size=4, spectrogram_bins=5, num_speakers=3, speaker_embedding_size=4,
        upsample_initial_channel=8, upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 2]], depth_separable_num_layers=2,
        duration_predictor_flow_bins=4, duration_predictor_num_flows=3, prior_encoder_num_flows=2, prior_encoder_num_wavenet_layers=2, posterior_encoder_num_wavenet_layers=2,
        wavenet_kernel_size=3, wavenet_dilation_rate=2, layerdrop=0.0, wavenet_dropout=0.0, duration_predictor_dropout=0.0, hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0)
    model = nn.Module()
    model.speech = VitsModel(config)
    for part in [p for p in model.modules() if parametrize.is_parametrized(p, "weight")]:
        parametrize.remove_parametrizations(part, "weight")
    model.train()
    randomise(model, g)
    ids = torch.tensor([[[3, 1, 6, 2, 4], [5, 2, 8, 0, 0]], [[1, 2, 0, 0, 0], [6, 6, 3, 4, 5]], [[2, 4, 6, 1, 0], [3, 5, 1, 2, 7]]])
    frames, hop, piece = torch.tensor([[11, 7], [3, 11], [9, 10]]), 8, 4
    inputs = dict(ids=ids.int(), spectrogram=torch.randn((3, 2, 5, 11), generator=g).abs(), sounding=frames.int(), speaker=torch.tensor([[0, 2], [1, 1], [2, 0]]).int(),
                  noise=torch.randn((3, 2, 4, 11), generator=g), duration_noise=torch.randn((3, 2, 2, 5), generator=g), cuts=torch.rand((3, 2), generator=g),
                  real=torch.rand((3, 2, hop * piece), generator=g) - 0.5)

    def terms(whole, step, x):
        m = whole.speech
        said, heard = (ids[step] != 0).double()[:, None], (torch.arange(11) < frames[step][:, None]).double()[:, None]
        voice = m.embed_speaker(x["speaker"].long())[..., None]
        text = m.text_encoder(ids[step], said.mT, attention_mask=said[:, 0].long())
        m_p, logs_p = text.prior_means.mT, text.prior_log_variances.mT
        randn, like = torch.randn, torch.randn_like
        torch.randn, torch.randn_like = lambda *size, **k: x["duration_noise"], lambda *a, **k: x["noise"]
        z, _, logs_q = m.posterior_encoder(x["spectrogram"], heard, voice)
        z_p = m.flow(z, heard, voice)
        with torch.no_grad():
            r = torch.exp(-2 * logs_p)
            scores = (-0.5 * math.log(2 * math.pi) - logs_p).sum(1, keepdim=True) + (-0.5 * z_p**2).mT @ r + z_p.mT @ (m_p * r) + (-0.5 * m_p**2 * r).sum(1, keepdim=True)
            path = maximum_path_cython(scores.mT.contiguous(), said.mT * heard)  # [batch, seq, frames]
        lasting = path.sum(2)[:, None]
        nll = m.duration_predictor(text.last_hidden_state.mT, said, voice, durations=lasting)
        torch.randn, torch.randn_like = randn, like
        m_p, logs_p = m_p @ path, logs_p @ path
        kl = (logs_p - logs_q - 0.5 + 0.5 * (z_p - m_p) ** 2 * torch.exp(-2 * logs_p)) * heard
        starts = (x["cuts"] * (frames[step] - piece + 1).clamp(min=1)).long()
        made = m.decoder(torch.stack([row[:, i:i + piece] for row, i in zip(z, starts)]), voice)[:, 0]
        each = dict(divergence=kl.sum() / heard.sum(), durations=nll.sum() / said.sum(), piece=F.l1_loss(made, x["real"]))
        return each, each["divergence"] + each["durations"] + 3 * each["piece"]

    mean = lambda label, y, weights: {"name": "mean", "label": label, "y": y, "inputs": {"weights": "speech." + weights}}
    run("vits", model, inputs, [mean("divergence", "speech.divergence", "heard"), mean("durations", "speech.duration_predictor", "said"),
                                {"name": "l1", "label": "piece", "y": "speech", "inputs": {"targets": "real"}, "weight": 3}], terms)


class Vocoder(nn.Module):
    """SpeechT5HifiGan of transformers, critics, and the log-mel spectrogram of the authors' code."""

    RATE, SIZE, MELS = 22050, 64, 8

    def __init__(self):
        super().__init__()
        self.config = SpeechT5HifiGanConfig(model_in_dim=self.MELS, sampling_rate=self.RATE, upsample_initial_channel=8, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8], resblock_kernel_sizes=[3],
                                            resblock_dilation_sizes=[[1, 3, 5]], normalize_before=False)
        self.vocoder = SpeechT5HifiGan(self.config)
        self.mpd, self.msd = Periods([2, 3], [2, 4], 5, 3), Scales(2, [(4, 5, 1, 1), (4, 7, 2, 2)])
        self.vocoder.mean = self.vocoder.scale = None

    def mel(self, x, high):
        hop = math.prod(self.config.upsample_rates)
        x = F.pad(x[:, None], ((self.SIZE - hop) // 2,) * 2, "reflect")[:, 0]
        y = torch.stft(x, self.SIZE, hop, self.SIZE, torch.hann_window(self.SIZE, dtype=x.dtype), center=False, return_complex=True)
        bank = librosa.filters.mel(sr=self.RATE, n_fft=self.SIZE, n_mels=self.MELS, fmin=0, fmax=high, dtype="float64")
        return (torch.from_numpy(bank) @ (y.real ** 2 + y.imag ** 2 + 1e-9).sqrt()).clamp(min=1e-5).log()

    def judge(self, x):
        return self.mpd(x[:, None]) + self.msd(x[:, None])


def normed(model):
    """Weights as lengths and directions, those of the first scale divided by their greatest singular value, whose vectors begin with cosines."""
    for name, m in [*model.named_modules()]:
        if not isinstance(m, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d)):
            continue
        if not name.startswith("msd.discriminators.0."):
            nn.utils.parametrizations.weight_norm(m)
            continue
        nn.utils.parametrizations.spectral_norm(m)
        p, w = m.parametrizations.weight[0], m.parametrizations.weight.original.detach().flatten(1)
        p._v = F.normalize(torch.cos(torch.arange(w.shape[1], dtype=w.dtype)), dim=0)
        p._power_method(w, 15)
    return model.train()


def hifigan_normed(g):
    """The same with settings.weight_norm. A module is what it is until its part has changed, so the power iteration goes on once in each part."""
    hifigan(torch.Generator().manual_seed(9), "normed", normed)


def hifigan(g, name="values", change=lambda model: model):
    """What recipes/hifigan.cue does, as the authors' training loop does it."""
    folder = pathlib.Path(__file__).parent / "hifigan"
    model = Vocoder().double()
    model.load_state_dict({k: v.double() for k, v in load_file(folder / "first.safetensors").items()})
    model = change(model)
    time = torch.arange(512) / Vocoder.RATE
    tones = torch.rand((6, 3, 1), generator=g) * 3000 + 100
    audio = 0.2 * torch.sin(2 * torch.pi * tones * time).sum(1) + 0.05 * torch.randn((6, 512), generator=g)
    parts = {"critics": [*model.mpd.parameters(), *model.msd.parameters()], "generator": [*model.vocoder.parameters()]}
    optimizers = {k: torch.optim.AdamW(v, lr=2e-4, betas=(0.8, 0.99), weight_decay=0.01) for k, v in parts.items()}
    schedules = [torch.optim.lr_scheduler.StepLR(o, 2, 0.999) for o in optimizers.values()]
    log = {}

    def update(part, terms, loss):
        optimizers[part].zero_grad()
        loss.backward()
        optimizers[part].step()
        for k, v in {**{f"{part}/{k}": v for k, v in terms.items()}, part: loss}.items():
            log.setdefault(k, []).append(v.detach())

    for step in range(3):
        real = audio[2 * step:2 * step + 2].double()
        with parametrize.cached():
            made = model.vocoder(model.mel(real, 8000).transpose(1, 2))
            terms = {f"real{i}": ((1 - y) ** 2).mean() for i, (y, _) in enumerate(model.judge(real))}
            terms |= {f"made{i}": (y ** 2).mean() for i, (y, _) in enumerate(model.judge(made.detach()))}
        update("critics", terms, sum(terms.values()))
        with parametrize.cached():
            known, judged = model.judge(real), model.judge(made)
        fooled = {f"fooled{i}": ((1 - y) ** 2).mean() for i, (y, _) in enumerate(judged)}
        pairs = [(a.detach(), b) for (_, r), (_, f) in zip(known, judged) for a, b in zip(r, f)]
        matched, mel = sum(F.l1_loss(b, a) for a, b in pairs), F.l1_loss(model.mel(made, None), model.mel(real, None))
        update("generator", fooled | {"matched": matched / len(pairs), "mel": mel}, sum(fooled.values()) + 2 * matched + 45 * mel)
        for s in schedules:
            s.step()
    file = {"audio": audio} | {k: torch.stack(v) for k, v in log.items()} | {"after." + k: v.detach() for k, v in model.state_dict().items()}
    save_file({k: v.contiguous() for k, v in file.items()}, folder / f"{name}.safetensors")
    print("hifigan", {k: [x.item() for x in v] for k, v in log.items()}, (folder / f"{name}.safetensors").stat().st_size)


def wavenet(g):
    """A WaveNet, of a mel spectrogram and of who speaks: what is said after each sample is the next one."""
    g = torch.Generator().manual_seed(10)
    torch.set_default_dtype(torch.float64)
    net = WaveNet(out_channels=16, layers=4, stacks=2, residual_channels=4, gate_channels=6, skip_out_channels=5, kernel_size=2, dropout=0, cin_channels=3,
                  gin_channels=2, n_speakers=3, upsample_conditional_features=True, upsample_scales=[3, 2])
    net.make_generation_fast_()  # weights as they are, not by their lengths
    torch.set_default_dtype(torch.float32)
    model = nn.Module()
    model.net = net
    randomise(model, g)
    with torch.no_grad():
        for x in net.upsample_conv.parameters():
            x.abs_()

    def terms(m, step, x):
        ids = mu_law_encoding(x["audio"], 16)
        said = m.net(F.one_hot(ids, 16).double().transpose(1, 2), c=x["mel"], g=x["speaker"].long()[:, None])
        loss = F.cross_entropy(said[:, :, :-1], ids[:, 1:])
        return {}, loss

    run("wavenet", model, {"audio": torch.rand((3, 2, 24), generator=g) * 2 - 1, "mel": torch.rand((3, 2, 3, 4), generator=g), "speaker": torch.tensor([[0, 2], [1, 1], [2, 0]], dtype=torch.int32)},
        [dict(name="cross_entropy", label="next", y="said", inputs={"targets": "next"})], terms, update=["net.*"])


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    for seed, make in enumerate([discriminator, generator, perceptual, quantizer, averages, vocoder, critics, fastspeech2, hifigan, vits, wavenet, hifigan_normed, residual, spectral]):
        if not sys.argv[1:] or make.__name__ in sys.argv[1:]:
            make(torch.Generator().manual_seed(seed + 1))
