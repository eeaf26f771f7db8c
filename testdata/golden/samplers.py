"""Samplers of diffusers, step by step.

Writes samplers/steps.json: for each case the settings, the timesteps, what the
model is taken to predict, the noise, and the samples that the reference gives. The
model's predictions are a fixed function of its input and the timestep, in float32.
"""

import json
import pathlib

import diffusers
import numpy as np
import torch
from diffusers import schedulers as lib

OUT = pathlib.Path(__file__).parent / "samplers"
SHAPE = (2, 2, 2, 2)

CASES = [
    ("DDPMScheduler", {}, 8),
    ("DDPMScheduler", {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing", "variance_type": "fixed_large"}, 8),
    ("DDPMScheduler", {"beta_schedule": "sigmoid", "beta_start": 0.001, "timestep_spacing": "linspace", "prediction_type": "v_prediction", "variance_type": "fixed_small_log", "rescale_betas_zero_snr": True}, 7),
    ("DDPMScheduler", {"prediction_type": "sample", "thresholding": True, "sample_max_value": 2.0, "dynamic_thresholding_ratio": 0.9}, 8),
    ("DDPMScheduler", {"variance_type": "learned_range", "clip_sample": False, "beta_schedule": "laplace"}, 6),
    ("DDPMScheduler", {"num_train_timesteps": 10, "beta_end": 0.2, "clip_sample_range": 0.7}, 10),
    ("DDIMScheduler", {}, 8),
    ("DDIMScheduler", {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}, 8),
    ("DDIMScheduler", {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "eta": 0.7}, 8),
    ("DDIMScheduler", {"prediction_type": "sample", "timestep_spacing": "linspace", "eta": 1.0}, 6),
    ("PNDMScheduler", {"skip_prk_steps": True, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}, 9),
    ("PNDMScheduler", {}, 9),
    ("PNDMScheduler", {"prediction_type": "v_prediction", "set_alpha_to_one": True, "timestep_spacing": "trailing"}, 7),
    ("LMSDiscreteScheduler", {}, 8),
    ("LMSDiscreteScheduler", {"use_karras_sigmas": True, "beta_schedule": "scaled_linear", "prediction_type": "v_prediction"}, 8),
    ("EulerDiscreteScheduler", {}, 8),
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True, "timestep_spacing": "leading", "steps_offset": 1, "beta_schedule": "scaled_linear"}, 8),
    ("EulerDiscreteScheduler", {"use_exponential_sigmas": True, "final_sigmas_type": "sigma_min"}, 8),
    ("EulerDiscreteScheduler", {"use_beta_sigmas": True, "sigma_min": 0.05, "sigma_max": 12.0}, 8),
    ("EulerDiscreteScheduler", {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}, 8),
    ("EulerDiscreteScheduler", {"prediction_type": "v_prediction", "timestep_type": "continuous", "sigma_min": 0.002, "sigma_max": 80.0, "use_karras_sigmas": True}, 6),
    ("EulerDiscreteScheduler", {"interpolation_type": "log_linear", "prediction_type": "sample"}, 6),
    ("EulerAncestralDiscreteScheduler", {}, 8),
    ("EulerAncestralDiscreteScheduler", {"prediction_type": "v_prediction", "timestep_spacing": "leading", "steps_offset": 1}, 8),
    ("HeunDiscreteScheduler", {}, 6),
    ("HeunDiscreteScheduler", {"use_karras_sigmas": True, "prediction_type": "v_prediction", "beta_schedule": "scaled_linear"}, 5),
    ("HeunDiscreteScheduler", {"beta_schedule": "exp", "clip_sample": True, "timestep_spacing": "trailing"}, 5),
    ("DPMSolverMultistepScheduler", {}, 8),
    ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}, 16),
    ("DPMSolverMultistepScheduler", {"solver_order": 3, "solver_type": "heun", "timestep_spacing": "leading", "steps_offset": 1}, 16),
    ("DPMSolverMultistepScheduler", {"solver_order": 3, "prediction_type": "v_prediction", "timestep_spacing": "trailing", "euler_at_final": True}, 8),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}, 8),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 3, "solver_type": "heun", "use_exponential_sigmas": True}, 16),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min", "solver_type": "heun"}, 8),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min", "solver_order": 3, "lower_order_final": False, "prediction_type": "sample"}, 8),
    ("DPMSolverMultistepScheduler", {"use_lu_lambdas": True, "lambda_min_clipped": -5.1, "beta_schedule": "squaredcos_cap_v2"}, 8),
    ("DPMSolverMultistepScheduler", {"use_flow_sigmas": True, "flow_shift": 3.0, "prediction_type": "flow_prediction"}, 8),
    ("DPMSolverMultistepScheduler", {"lambda_min_clipped": -5.1, "beta_schedule": "squaredcos_cap_v2", "thresholding": True, "sample_max_value": 1.5}, 8),
    ("UniPCMultistepScheduler", {}, 8),
    ("UniPCMultistepScheduler", {"solver_order": 3, "use_karras_sigmas": True, "beta_schedule": "scaled_linear"}, 9),
    ("UniPCMultistepScheduler", {"solver_type": "bh1", "prediction_type": "v_prediction", "disable_corrector": [0, 2], "final_sigmas_type": "sigma_min"}, 8),
    ("UniPCMultistepScheduler", {"predict_x0": False, "final_sigmas_type": "sigma_min", "timestep_spacing": "trailing", "solver_order": 3, "lower_order_final": False}, 8),
    ("UniPCMultistepScheduler", {"use_flow_sigmas": True, "flow_shift": 3.0, "prediction_type": "flow_prediction"}, 8),
    ("LCMScheduler", {}, 4),
    ("LCMScheduler", {"prediction_type": "v_prediction", "original_inference_steps": 100, "clip_sample": True}, 7),
    ("FlowMatchEulerDiscreteScheduler", {}, 8),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0, "stochastic_sampling": True}, 8),
    ("FlowMatchEulerDiscreteScheduler", {"use_dynamic_shifting": True, "shift_terminal": 0.02}, 8),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 1.7, "use_karras_sigmas": True, "invert_sigmas": True}, 6),
]


def predict(x, t, channels):
    """A model: some function of its input and the timestep."""
    y = torch.tanh(0.7 * x + 0.2 * torch.roll(x, 1, -1)) * 0.8 + 0.1 * np.sin(float(t) / 90.0)
    if channels:
        y = torch.cat([y, torch.cos(x)], dim=1)
    return y.float()


def run(cls, config, steps, rng):
    kept, calls = dict(config), {}
    eta = kept.pop("eta", None)
    s = getattr(diffusers, cls)(**kept)
    if kept.get("use_dynamic_shifting"):
        slope = (1.15 - 0.5) / (4096 - 256)
        s.set_timesteps(steps, mu=0.5 + slope * (1024 - 256))
    else:
        s.set_timesteps(steps)
    used = []

    def randn(shape, **_):
        used.append(torch.from_numpy(rng.standard_normal(shape).astype(np.float32)))
        return used[-1]

    module = __import__(s.__class__.__module__, fromlist=["x"])
    if hasattr(module, "randn_tensor"):
        module.randn_tensor = randn
    if eta is not None:
        calls["eta"] = eta
    start = getattr(s, "init_noise_sigma", 1.0)
    x = torch.from_numpy(rng.standard_normal(SHAPE).astype(np.float32)) * float(start)
    case = {"class": cls, "config": config, "steps": steps, "start": float(start), "x": x.flatten().tolist(),
            "timesteps": [float(t) for t in s.timesteps], "scale": [], "out": [], "noise": [], "next": []}
    for t in s.timesteps:
        scaled = s.scale_model_input(x, t) if hasattr(s, "scale_model_input") else x
        ratio = (scaled / x).flatten()
        case["scale"].append(float(ratio[0]))
        out = predict(scaled, t, config.get("variance_type") == "learned_range")
        del used[:]
        x = s.step(out, t, x, **calls).prev_sample
        assert len(used) <= 1 and torch.isfinite(x).all(), (cls, config, t)
        case["out"].append(out.flatten().tolist())
        case["noise"].append(used[0].flatten().tolist() if used else [])
        case["next"].append(x.flatten().tolist())
    return case


def short(v):
    if isinstance(v, float):
        return float(f"{v:.9g}")
    if isinstance(v, list):
        return [short(w) for w in v]
    if isinstance(v, dict):
        return {k: short(w) for k, w in v.items()}
    return v


def main():
    OUT.mkdir(exist_ok=True)
    rng = np.random.Generator(np.random.PCG64(7))
    cases = [short(run(*c, rng)) for c in CASES]
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    (OUT / "steps.json").write_text(f'{{"diffusers": "{diffusers.__version__}", "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
