"""Tiny random WaveNets of the package wavenet_vocoder: speech/wavenet*_teacher, which is told what it said, and speech/wavenet*, which speaks.

    python -P testdata/golden/wavenet.py [NAME...]

Writes model/model.cue, or config.json, model/model.safetensors, and values.safetensors as speech.py does; and sound/classes. What it draws by is given by in.noise:
numpy's choice takes the first class whose share, added up, is above one number; a mixture takes a number for each component and one for the logistic.
"""

import json
import pathlib
import shutil
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torchaudio.functional import mu_law_decoding, mu_law_encoding
from wavenet_vocoder import WaveNet, mixture

OUT = pathlib.Path(__file__).parent / "speech"
SIZES = {
    "wavenet": dict(out_channels=256, layers=6, stacks=2, residual_channels=6, gate_channels=8, skip_out_channels=7, kernel_size=3, cin_channels=5, gin_channels=4,
                    n_speakers=3, upsample_conditional_features=True, upsample_scales=[3, 2], freq_axis_kernel_size=3),
    "wavenet_mixture": dict(out_channels=12, layers=4, stacks=1, residual_channels=6, gate_channels=10, skip_out_channels=6, kernel_size=2, cin_channels=4,
                            scalar_input=True, legacy=False),
    "wavenet_alone": dict(out_channels=16, layers=3, stacks=1, residual_channels=6, gate_channels=10, skip_out_channels=6, kernel_size=2, weight_normalization=False),
}
FRAMES, SAMPLES = 9, 48

DOCUMENT = """package model

import "pipe.dev/layers/arch/wavenet"

model: wavenet.#Vocoder & {
%s	config: {
%s	}
}
"""


def cue(v):
    return str(v).lower() if isinstance(v, bool) else str(v)


def folder(name, model, sizes, more=""):
    at = OUT / name / "model"
    shutil.rmtree(at.parent, ignore_errors=True)
    at.mkdir(parents=True)
    if name == "wavenet_mixture":  # as one that a recipe leaves
        (at / "config.json").write_text(json.dumps({"model_type": "wavenet"} | sizes, indent=1) + "\n")
    else:
        (at / "model.cue").write_text(DOCUMENT % (more, "".join(f"\t\t{k}: {cue(v)}\n" for k, v in sizes.items())))
    save_file({k: v.float().contiguous() for k, v in model.state_dict().items()}, at / "model.safetensors")
    return at.parent


def write(at, inputs, outputs, file="values"):
    values = {f"in.{k}": v.contiguous() for k, v in inputs.items()} | {f"out.{k}": v.contiguous() for k, v in outputs.items()}
    save_file(values, at / f"{file}.safetensors")
    for f in at.rglob("*"):
        f.chmod(0o755 if f.is_dir() else 0o644)
    print(at.name, sum(f.stat().st_size for f in at.rglob("*") if f.is_file()))


def make(name, sizes, seed):
    torch.manual_seed(seed)
    model = WaveNet(**sizes)
    with torch.no_grad():
        for key, p in sorted(model.named_parameters()):
            if key.startswith("upsample_conv"):
                p.copy_(torch.rand_like(p) * 0.5 + 0.2)
            elif key.endswith("weight_g"):
                p.copy_((torch.rand_like(p) + 1) * (0.3 if sizes.get("scalar_input") and "last_conv_layers.3" in key else 1))
            elif key.endswith("bias"):
                p.copy_(torch.randn_like(p) * 0.2)
            else:
                p.copy_(torch.randn_like(p))
        if sizes.get("scalar_input"):
            model.last_conv_layers[3].bias[-(sizes["out_channels"] // 3):] -= 2
    return model.eval()


def classes():
    """Samples and their classes by the mu-law, for sound/classes."""
    x = torch.cat([torch.tensor([-1, 0, 1, -1e-4, 1e-4]), torch.rand(400) * 2 - 1, torch.randn(400).clamp(-9, 9) / 100]).float()
    values = {"x": x[None], "ids": mu_law_encoding(x.double(), 256)[None].int(), "coarse": mu_law_encoding(x.double(), 33)[None].int(),
              "heard": mu_law_decoding(torch.arange(256).double(), 256), "heard_coarse": mu_law_decoding(torch.arange(33).double(), 33)}
    save_file(values, OUT.parent / "sound" / "classes" / "values.safetensors")


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    classes()
    for seed, (name, sizes) in enumerate(SIZES.items()):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        torch.manual_seed(seed)
        scalar, many = sizes.get("scalar_input", False), sizes["out_channels"]
        model = make(name, sizes, seed)
        for x in model.state_dict().values():
            x.copy_(x.float())
        up = int(np.prod(sizes.get("upsample_scales", [1])))
        length = FRAMES * up if up > 1 else SAMPLES
        inputs, given = {}, {}
        if sizes.get("cin_channels", -1) > 0:
            c = torch.rand(2, sizes["cin_channels"], length // up)
            given["c"] = c
            inputs["c"] = c.float()
        if sizes.get("gin_channels", -1) > 0:
            g = torch.tensor([2, 1])
            given["g"] = g[:, None]
            inputs["g"] = g.int()
        for k in inputs:
            if k == "c":
                given[k] = inputs[k].double()

        teacher = "\tteacher: true\n"
        with torch.no_grad():
            if scalar:
                said = torch.rand(2, length).float() * 2 - 1
                x = said.double()[:, None]
            else:
                said = torch.randint(0, many, (2, length), dtype=torch.int32)
                x = F.one_hot(said.long(), many).double().transpose(1, 2)
            y = model(x, **given)
            write(folder(name + "_teacher", model, sizes, teacher), inputs | {"samples": said}, {"logits": y.float()})

            logits = []
            last = model.last_conv_layers[3]
            step = last.incremental_forward
            last.incremental_forward = lambda x: logits.append(step(x)) or logits[-1].clone()
            if scalar:  # two at once: what is given for the first step says so
                draws = [torch.rand(2, length, many // 3 + 1) * 0.98 + 0.01]
                draws[0] = draws[0].float().double()
                told = iter([u for t in range(length) for u in (draws[0][:, t:t + 1, :-1], draws[0][:, t:t + 1, -1])])
                uniform, torch.Tensor.uniform_ = torch.Tensor.uniform_, lambda self, *a: self.copy_(next(told))
                out = model.incremental_forward(test_inputs=torch.zeros(2, 1, 1), T=length, **given)
                torch.Tensor.uniform_ = uniform
                wave, noise = out[:, 0], draws[0].permute(0, 2, 1)
                outputs = {"waveform": wave.float()}
                assert (wave.abs() < 1).double().mean() > 0.5, wave
            else:
                given = {k: v[:1] for k, v in given.items()}
                inputs = {k: v[:1] for k, v in inputs.items()}
                np.random.seed(seed)
                u = np.random.RandomState(seed).random_sample(length).astype(np.float32).astype(np.float64)
                shares = []

                def choice(a, p):  # what numpy's does, of numbers that an f32 holds
                    cdf = p.cumsum()
                    shares.append(cdf / cdf[-1])
                    assert shares[-1].searchsorted(np.random.random_sample(), side="right") == shares[-1].searchsorted(u[len(shares) - 1], side="right")
                    return a[shares[-1].searchsorted(u[len(shares) - 1], side="right")]

                np.random.choice, numpys = choice, np.random.choice
                first = F.one_hot(torch.tensor([[many // 2 - 1]]), many).double()
                out = model.incremental_forward(initial_input=first, T=length, **given)
                np.random.choice = numpys
                ids, noise = out.argmax(1), torch.tensor(u)[None, None]
                assert len(set(ids[0].tolist())) > 5 and min(np.abs(s - u[t]).min() for t, s in enumerate(shares)) > 1e-6
                outputs = {"ids": ids.int(), "waveform": mu_law_decoding(ids, many).float()}
            if not scalar:
                outputs["logits"] = torch.cat(logits, 1).transpose(1, 2).float()
            at = folder(name, model, sizes, "\tshows: true\n")
            write(at, inputs | {"noise": noise.float()}, outputs)
            if name == "wavenet_alone":  # what is likeliest
                np.random.choice = lambda a, p: a[p.argmax()]
                ids = model.incremental_forward(initial_input=first, T=length, **given).argmax(1)
                np.random.choice = numpys
                write(at, {"noise": noise.float(), "temperature": torch.tensor([1e-3], dtype=torch.float32)}, {"ids": ids.int()}, "values_greedy")


main()
