"""What a denoiser learns, by diffusers and PyTorch's autograd.

    python -P testdata/golden/noise.py

noise/unet/               a tiny UNet2DModel with classes, as diffusers writes it
noise/cases.safetensors   for each case of noise/noise.cue, CASE.loss and CASE.grad.NAME, f64, of the inputs CASE.clean,
                          CASE.noise, CASE.timestep (or CASE.place) and so on, as their definitions call them, f32 or i32
noise/schedules.json      alphas_cumprod of schedules at some steps, with their settings
"""

import json
import pathlib

import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler, UNet2DModel
from diffusers.training_utils import compute_density_for_timestep_sampling, compute_loss_weighting_for_sd3, compute_snr
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parent / "noise"
ROWS, SHAPE = 3, (1, 8, 8)
GRADS = ["conv_in.weight", "class_embedding.weight", "time_embedding.linear_1.bias", "mid_block.resnets.1.conv2.weight", "conv_out.weight"]
COSINE = {"beta_schedule": "squaredcos_cap_v2"}

CASES = {
    "epsilon": {},
    "snr": {"scheduler": COSINE, "snr_gamma": 5.0},
    "velocity": {"scheduler": {"prediction_type": "v_prediction", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}},
    "velocity_snr": {"scheduler": {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, **COSINE}, "snr_gamma": 5.0, "timestep": [999, 0, 500]},
    "original": {"scheduler": {"prediction_type": "sample", "beta_schedule": "sigmoid"}, "snr_gamma": 2.0},
    "offset": {"noise_offset": 0.1, "input_perturbation": 0.1},
    "dropped": {"drop": [0.05, 0.5, 0.0999]},
    "flow": {"flow": {"shift": 3.0}, "times": "logit_normal"},
    "flow_sigma": {"flow": {}, "times": "logit_normal", "weighting": "sigma_sqrt", "logit_mean": 0.5, "logit_std": 0.7},
    "flow_cosmap": {"flow": {"shift": 2.0}, "times": "mode", "weighting": "cosmap"},
    "flow_uniform": {"flow": {}, "times": "uniform"},
}


def model():
    torch.manual_seed(7)
    m = UNet2DModel(sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
                    down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
                    attention_head_dim=4, num_class_embeds=4)
    with torch.no_grad():
        for p in m.parameters():
            p.add_(torch.randn_like(p) * 0.05)
    return m


def noisy(case, x, draw):
    """The training step of diffusers' examples: what the model reads, its time, its target and the weight of each row."""
    s = DDPMScheduler(**case.get("scheduler", {}))
    t = torch.tensor(case.get("timestep", [3, 410, 870]))
    draw["timestep"] = t.int()
    noise = draw["noise"] = torch.randn(ROWS, *SHAPE)
    noise, x = noise.double(), x.double()
    if k := case.get("noise_offset"):
        draw["offset"] = torch.randn(ROWS, SHAPE[0], 1, 1)
        noise = noise + k * draw["offset"].double()
    read = noise
    if k := case.get("input_perturbation"):
        draw["perturbation"] = torch.randn(ROWS, *SHAPE)
        read = noise + k * draw["perturbation"].double()
    kind, weight = s.config.prediction_type, torch.ones(ROWS)
    target = {"epsilon": noise, "sample": x, "v_prediction": s.get_velocity(x, noise, t)}[kind]
    if gamma := case.get("snr_gamma"):
        snr = compute_snr(s, t)
        weight = torch.minimum(snr, torch.full_like(snr, gamma)) / {"epsilon": snr, "sample": 1, "v_prediction": snr + 1}[kind]
    return s.add_noise(x, read, t), t, target, weight


def flowing(case, x, draw):
    s = FlowMatchEulerDiscreteScheduler(**case["flow"])
    scheme = {"uniform": "none"}.get(case["times"], case["times"])
    options = {"logit_mean": case.get("logit_mean", 0.0), "logit_std": case.get("logit_std", 1.0), "mode_scale": 1.29}
    u = compute_density_for_timestep_sampling(scheme, ROWS, generator=torch.Generator().manual_seed(5), device="cpu", **options)
    raw = torch.randn if scheme == "logit_normal" else torch.rand
    draw["place"] = raw(ROWS, generator=torch.Generator().manual_seed(5))
    if scheme == "logit_normal":
        assert torch.allclose(u, torch.sigmoid(draw["place"] * options["logit_std"] + options["logit_mean"]))
    index = (u * s.config.num_train_timesteps).long()
    t, sigma = s.timesteps[index], s.sigmas[index]
    noise = draw["noise"] = torch.randn(ROWS, *SHAPE)
    weight = compute_loss_weighting_for_sd3(case.get("weighting", "none"), sigma)
    sigma, noise, x = sigma.double().view(-1, 1, 1, 1), noise.double(), x.double()
    return (1 - sigma) * x + sigma * noise, t, noise - x, weight


def run(m, name, case, out):
    torch.manual_seed(sum(map(ord, name)))
    draw = {"clean": torch.rand(ROWS, *SHAPE) * 2 - 1, "label": torch.tensor([0, 2, 1], dtype=torch.int32)}
    sample, t, target, weight = (flowing if "flow" in case else noisy)(case, draw["clean"], draw)
    draw["drop"] = torch.tensor(case.get("drop", [1.0] * ROWS))
    label = torch.where(draw["drop"] < 0.1, 3, draw["label"])
    m.zero_grad()
    # The time's waves are float32 in diffusers, whatever the model is.
    predicted = m(sample, t, class_labels=label).sample
    loss = (((predicted - target) ** 2).mean(dim=(1, 2, 3)) * weight.double()).mean()
    loss.backward()
    for k, v in draw.items():
        out[f"{name}.{k}"] = v
    out[f"{name}.loss"] = loss.detach()
    for g in GRADS:
        out[f"{name}.grad.{g}"] = m.get_parameter(g).grad.clone()
    print(name, float(loss))


def schedules():
    cases = [{}, {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}, COSINE, {"beta_schedule": "sigmoid"},
             {"beta_schedule": "laplace"}, {"beta_schedule": "linear", "num_train_timesteps": 100, "beta_end": 0.2}]
    rows = []
    for c in cases:
        for zero in (False, True) if c.get("beta_schedule") != "laplace" else (False,):
            s = DDPMScheduler(**c, rescale_betas_zero_snr=zero)
            at = sorted({*range(0, s.config.num_train_timesteps, 37), s.config.num_train_timesteps - 1})
            rows.append({"settings": {**c, "rescale_betas_zero_snr": zero}, "at": at, "alphas": [float(s.alphas_cumprod[i]) for i in at]})
    (OUT / "schedules.json").write_text(json.dumps(rows) + "\n")


def main():
    OUT.mkdir(exist_ok=True)
    m = model()
    m.save_pretrained(OUT / "unet")
    m, out = m.double(), {}
    for name, case in CASES.items():
        run(m, name, case, out)
    save_file({k: v.contiguous() for k, v in out.items()}, OUT / "cases.safetensors")
    schedules()


if __name__ == "__main__":
    main()
