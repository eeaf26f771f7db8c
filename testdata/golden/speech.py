"""Tiny random models of speech: vocoders of transformers and of their authors' repositories, with what they give.

    python -P testdata/golden/speech.py [NAME...]

Writes speech/NAME/model, a folder as programs save it, and speech/NAME/values.safetensors: inputs as in.NAME, outputs as
out.NAME, computed in float64 from the weights as stored. Names of cases as arguments make these alone.
"""

import json
import pathlib
import shutil
import sys

sys.path[:] = [p for p in sys.path if pathlib.Path(p).resolve() != pathlib.Path(__file__).parent.resolve()]  # scripts beside this one have the names of packages

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import FastSpeech2ConformerHifiGan, FastSpeech2ConformerHifiGanConfig, SpeechT5HifiGan, SpeechT5HifiGanConfig
from transformers.utils import logging

OUT = pathlib.Path(__file__).parent / "speech"


def wanted(name):
    return not sys.argv[1:] or name in sys.argv[1:]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomise(model, seed, gain=1.0):
    """Weights of which signals neither fade nor grow."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            p.copy_(torch.randn(p.shape, generator=g) * (gain / max(1, p[0].numel()) ** 0.5 if p.ndim > 1 else 0.1))
    return model.eval()


def fresh(name):
    folder = OUT / name / "model"
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def save(name, model, config=None):
    """The folder that save_pretrained writes, its config.json with other values."""
    folder = fresh(name)
    model.save_pretrained(folder)
    for junk in folder.glob("generation_config.json"):
        junk.unlink()
    written = json.loads((folder / "config.json").read_text()) | (config or {})
    written.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(written, indent=1) + "\n")
    return folder


def write(name, inputs, outputs, file="values"):
    for k, v in outputs.items():
        assert v.isfinite().all() and v.double().std() > 0 and (v.shape[0] == 1 or (v[0] != v[-1]).any()), (name, k)  # rows that tell something
    values = {f"in.{k}": v.contiguous() for k, v in inputs.items()}
    values |= {f"out.{k}": (v.float() if v.is_floating_point() else v.int()).contiguous() for k, v in outputs.items()}
    save_file(values, OUT / name / f"{file}.safetensors")
    for f in OUT.joinpath(name).rglob("*"):
        f.chmod(0o755 if f.is_dir() else 0o644)
    print(name, sum(f.stat().st_size for f in OUT.joinpath(name).rglob("*") if f.is_file()))


VOCODER = dict(model_in_dim=6, upsample_initial_channel=16, upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], resblock_kernel_sizes=[3, 5],
               resblock_dilation_sizes=[[1, 3], [1, 2]])


def vocoder(name, cls, config, seed, norm=None, **written):
    """norm puts weight_norm around convolutions, as files have it that were not folded."""
    if not wanted(name):
        return
    m = randomise(cls(config), seed, 1.6)
    m.mean.copy_(normal(6, seed=1) * 0.3)
    m.scale.copy_(normal(6, seed=2).abs() + 0.5)
    if norm:
        for layer in [x for x in m.modules() if isinstance(x, (nn.Conv1d, nn.ConvTranspose1d))]:
            norm(layer)
    folder = save(name, m, written)
    if norm:  # lengths that are not those of the directions
        file = load_file(folder / "model.safetensors")
        for i, k in enumerate(sorted(file)):
            if k.endswith(("weight_g", "original0")):
                file[k] = file[k] * (0.6 + normal(*file[k].shape, seed=i).abs() * 0.3)
        save_file(file, folder / "model.safetensors", metadata={"format": "pt"})
        m.load_state_dict(file)
    x = normal(2, 9, 6, seed=3)
    with torch.no_grad():
        y = m.double()(x.double())
    write(name, {"spectrogram": x}, {"waveform": y})


def reference_vocoder(name, seed):
    """Two convolutions a block, as V3 of the authors' repository; generator.pth as it saves it, with lengths and directions."""
    if not wanted(name):
        return

    class Block(nn.Module):
        def __init__(self, c, k, dilations):
            super().__init__()
            self.convs = nn.ModuleList([nn.utils.weight_norm(nn.Conv1d(c, c, k, 1, dilation=d, padding=(k * d - d) // 2)) for d in dilations])

        def forward(self, x):
            for c in self.convs:
                x = c(F.leaky_relu(x, 0.1)) + x
            return x

    class Generator(nn.Module):
        def __init__(self, bins, width, rates, kernels, sizes, dilations):
            super().__init__()
            self.conv_pre = nn.utils.weight_norm(nn.Conv1d(bins, width, 7, 1, padding=3))
            self.ups = nn.ModuleList([nn.utils.weight_norm(nn.ConvTranspose1d(width >> i, width >> i + 1, k, u, padding=(k - u) // 2))
                                      for i, (u, k) in enumerate(zip(rates, kernels))])
            self.resblocks = nn.ModuleList([Block(width >> i + 1, k, d) for i in range(len(rates)) for k, d in zip(sizes, dilations)])
            self.conv_post = nn.utils.weight_norm(nn.Conv1d(width >> len(rates), 1, 7, 1, padding=3))
            self.each = len(sizes)

        def forward(self, x):
            x = self.conv_pre(x)
            for i, up in enumerate(self.ups):
                x = up(F.leaky_relu(x, 0.1))
                x = sum(b(x) for b in self.resblocks[i * self.each:(i + 1) * self.each]) / self.each
            return torch.tanh(self.conv_post(F.leaky_relu(x)))

    m = randomise(Generator(6, 16, [4, 2], [8, 4], [3, 5], [[1, 2], [2, 6]]), seed)
    with torch.no_grad():
        for k, p in m.named_parameters():
            if k.endswith("weight_g"):
                p.copy_(1.2 + 0.2 * p)
    folder = fresh(name)
    torch.save({"generator": m.state_dict()}, folder / "generator.pth")
    config = dict(resblock="2", num_gpus=0, batch_size=16, num_mels=6, upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], upsample_initial_channel=16,
                  resblock_kernel_sizes=[3, 5], resblock_dilation_sizes=[[1, 2], [2, 6]], segment_size=8192, hop_size=8, sampling_rate=22050)
    (folder / "model.cue").write_text('package model\n\nimport "pipe.dev/layers/arch/hifigan"\n\n// The configuration as its authors wrote it.\nmodel: hifigan.#Generator & {config: '
                                      + json.dumps(config) + "}\n")
    x = normal(2, 6, 9, seed=3)
    with torch.no_grad():
        y = m.double()(x.double())[:, 0]
    write(name, {"spectrogram": x}, {"waveform": y})


def folded():
    """Weights as lengths and directions, and divided by their greatest singular value: quantised/normed.safetensors, .expected."""
    if not wanted("normed"):
        return
    file, plain = {}, {}
    for i, (name, shape, keep) in enumerate([("first", (3, 4, 5), (3, 1, 1)), ("last", (3, 4, 5), (1, 1, 5)), ("whole", (3, 4), (1, 1)), ("new", (4, 3, 2), (4, 1, 1))]):
        v, g = normal(*shape, seed=i), normal(*keep, seed=10 + i).abs() + 0.2
        names = (".parametrizations.weight.original1", ".parametrizations.weight.original0") if name == "new" else (".weight_v", ".weight_g")
        file |= {name + names[0]: v, name + names[1]: g}
        axes = [a for a in range(len(shape)) if keep[a] == 1]
        plain[name + ".weight"] = (v.double() * (g.double() / torch.linalg.vector_norm(v.double(), dim=axes, keepdim=True))).float()
    layer = nn.utils.spectral_norm(nn.Conv1d(4, 3, 5))
    layer.weight_orig.data = normal(3, 4, 5, seed=20)
    for _ in range(3):
        layer(normal(1, 4, 9))
    layer.eval().double()
    layer(normal(1, 4, 9).double())
    file |= {"spectral." + k: v.float() for k, v in layer.state_dict().items() if k != "bias"}
    w, u, v = (file["spectral.weight_" + k].double() for k in ("orig", "u", "v"))
    assert (w / torch.dot(u, torch.mv(w.flatten(1), v)) - layer.weight).abs().max() < 1e-6
    plain["spectral.weight"] = (w / torch.dot(u, torch.mv(w.flatten(1), v))).float()
    file["other.weight_g"] = normal(3)  # of nothing that is folded
    plain["other.weight_g"] = file["other.weight_g"]
    for suffix, tensors in {"": file, ".expected": plain}.items():
        path = OUT.parent / "quantised" / f"normed{suffix}.safetensors"
        save_file({k: v.detach().contiguous() for k, v in tensors.items()}, path)
        path.chmod(0o644)


if __name__ == "__main__":
    logging.set_verbosity_error()
    torch.use_deterministic_algorithms(True)
    folded()
    vocoder("hifigan", SpeechT5HifiGan, SpeechT5HifiGanConfig(**VOCODER), 1)
    vocoder("hifigan_normed", SpeechT5HifiGan, SpeechT5HifiGanConfig(**VOCODER, normalize_before=False), 2, nn.utils.weight_norm)
    vocoder("hifigan_parametrized", FastSpeech2ConformerHifiGan, FastSpeech2ConformerHifiGanConfig(**VOCODER, leaky_relu_slope=0.2), 3, nn.utils.parametrizations.weight_norm)
    vocoder("hifigan_older", FastSpeech2ConformerHifiGan, FastSpeech2ConformerHifiGanConfig(**VOCODER), 4, nn.utils.weight_norm, model_type="hifigan")
    reference_vocoder("hifigan_reference", 5)
