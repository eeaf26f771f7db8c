"""Steps of fine-tuning a text-to-image pipeline by PyTorch, with the models of text_to_image/model.

    python -P finetune.py

Writes finetune/values.npz: the batches, the losses of three steps of the U-Net and,
ten times slower, the text encoder, and what the weights are then: some of them,
and of all the sum and the sum of squares of what changed. recipes.npz and
averaged.csv are the same of the recipes of text-to-image models.
"""

import pathlib

import diffusers.loaders.lora_base
import diffusers.loaders.lora_pipeline
import diffusers.loaders.peft
import numpy as np
import torch
import transformers.integrations.peft
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.training_utils import EMAModel, compute_snr
from transformers import CLIPTextModel

for module in (diffusers.loaders.peft, diffusers.loaders.lora_base, diffusers.loaders.lora_pipeline, transformers.integrations.peft):
    module.check_peft_version = lambda **_: None  # it asks for a later one than there is

HERE = pathlib.Path(__file__).parent
OUT = HERE / "finetune"
FOLDER = HERE / "text_to_image" / "model"
ROWS, STEPS, LR = 2, 3, 1e-3
KEPT = ["unet.conv_in.weight", "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight", "unet.conv_out.bias",
        "text_encoder.encoder.layers.0.mlp.fc1.weight", "text_encoder.embeddings.position_embedding.weight"]


def batches():
    g = torch.Generator().manual_seed(7)
    n = ROWS * STEPS
    signal = torch.rand(n, 1, 1, 1, generator=g) * 0.8 + 0.1
    return {
        "pixels": torch.rand(n, 3, 32, 32, generator=g).mul(255).round().div(127.5).sub(1),
        "ids": torch.randint(0, 300, (n, 77), generator=g),
        "spread": torch.randn(n, 4, 4, 4, generator=g),
        "noise": torch.randn(n, 4, 4, 4, generator=g),
        "time": torch.randint(0, 1000, (n,), generator=g).float(),
        "signal": signal.sqrt(),
        "share": (1 - signal).sqrt(),
    }


def load(kind, name):
    return kind.from_pretrained(FOLDER / name, torch_dtype=torch.float32)


def path(name, key):
    """Files have no more in their names than the classes of transformers 5 have."""
    return f"{name}.{key}"


def main():
    OUT.mkdir(exist_ok=True)
    text, unet, vae = load(CLIPTextModel, "text_encoder"), load(UNet2DConditionModel, "unet"), load(AutoencoderKL, "vae").requires_grad_(False)
    data = batches()
    before = {path(n, k): p.detach().clone() for n, m in (("unet", unet), ("text_encoder", text)) for k, p in m.named_parameters()}
    optimizer = torch.optim.AdamW([{"params": unet.parameters(), "lr": LR}, {"params": text.parameters(), "lr": LR / 10}], weight_decay=0, eps=1e-3)
    losses = []
    for step in range(STEPS):
        b = {k: v[step * ROWS:(step + 1) * ROWS] for k, v in data.items()}
        q = vae.encode(b["pixels"]).latent_dist
        latents = (q.mean + q.std * b["spread"]) * vae.config.scaling_factor
        noisy = latents * b["signal"] + b["noise"] * b["share"]
        said = text(b["ids"])[0]
        loss = torch.nn.functional.mse_loss(unet(noisy, b["time"], said).sample, b["noise"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    after = {path(n, k): p.detach() for n, m in (("unet", unet), ("text_encoder", text)) for k, p in m.named_parameters()}
    names = sorted(after)
    moved = [(after[k].double() - before[k].double()) for k in names]
    out = {k: v.numpy().astype(np.int32 if k == "ids" else np.float32) for k, v in data.items()}
    out["losses"] = np.array(losses)
    for k in KEPT:
        out["after." + k] = after[k].numpy()
    np.savez_compressed(OUT / "values.npz", **out)
    (OUT / "moved.csv").write_text("".join(f"{k},{m.sum().item():.9g},{m.square().sum().item():.9g}\n" for k, m in zip(names, moved)))
    print(losses, {k: float(m.abs().max()) for k, m in list(zip(names, moved))[:3]}, (OUT / "values.npz").stat().st_size)


def dreambooth(data):
    """The whole U-Net by pictures of a thing, and beside them four of its kind, over and over, whose loss counts 0.7, as train_dreambooth.py adds them up. Those of the kind are the batches backwards."""
    text, unet, vae = (load(kind, name).requires_grad_(name == "unet") for kind, name in ((CLIPTextModel, "text_encoder"), (UNet2DConditionModel, "unet"), (AutoencoderKL, "vae")))
    scheduler = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    before = {k: p.detach().clone() for k, p in unet.named_parameters()}
    optimizer = torch.optim.AdamW(unet.parameters(), lr=LR, weight_decay=0, eps=1e-3)
    kind = {k: v.flip(0)[:4] for k, v in data.items()}
    losses = []
    for step in range(STEPS):
        rows = range(step * ROWS, (step + 1) * ROWS)
        b = {k: torch.cat([v[list(rows)], kind[k][[i % 4 for i in rows]]]) for k, v in data.items()}
        q = vae.encode(b["pixels"]).latent_dist
        latents = (q.mean + q.std * b["spread"]) * vae.config.scaling_factor
        prediction = unet(scheduler.add_noise(latents, b["noise"], b["timestep"]), b["timestep"], text(b["ids"])[0]).sample
        (thing, other), (wanted, beside) = prediction.chunk(2), b["noise"].chunk(2)
        loss = torch.nn.functional.mse_loss(thing, wanted) + 0.7 * torch.nn.functional.mse_loss(other, beside)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    (OUT / "dreambooth.csv").write_text("".join(f"unet.{k},{d.sum().item():.9g},{d.square().sum().item():.9g}\n" for k, p in sorted(unet.named_parameters()) for d in [p.detach().double() - before[k].double()]))
    print("dreambooth", losses)
    return np.array(losses)


def recipes():
    """What recipes/stable-diffusion-*.cue do, by the steps of diffusers' training scripts: with min-SNR weights, on the batches of main."""
    data = batches()
    data["timestep"] = torch.randint(0, 1000, (ROWS * STEPS,), generator=torch.Generator().manual_seed(8))
    out = {"timestep": data["timestep"].numpy().astype(np.int32)}
    for case, prediction in (("lora", "epsilon"), ("finetune", "v_prediction")):
        text, unet, vae = load(CLIPTextModel, "text_encoder"), load(UNet2DConditionModel, "unet"), load(AutoencoderKL, "vae").requires_grad_(False)
        scheduler = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type=prediction)
        models = {"unet": unet, "text_encoder": text}
        if case == "lora":
            pipe = StableDiffusionPipeline(vae=vae, text_encoder=text, unet=unet, tokenizer=None, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
            unet.requires_grad_(False), text.requires_grad_(False)
            pipe.load_lora_weights(HERE / "lora", weight_name="peft.safetensors", local_files_only=True)
            for m in models.values():
                for k, p in m.named_parameters():
                    p.requires_grad_("lora_" in k)
        else:
            text.requires_grad_(False)
        learning = {f"{n}.{k}": p for n, m in models.items() for k, p in m.named_parameters() if p.requires_grad}
        before = {k: p.detach().clone() for k, p in learning.items()}
        optimizer = torch.optim.AdamW([{"params": [p for p in m.parameters() if p.requires_grad], "lr": LR if n == "unet" else LR / 10} for n, m in models.items()], weight_decay=0, eps=1e-3)
        average = EMAModel(list(learning.values()), decay=0.9999)
        losses = []
        for step in range(STEPS):
            b = {k: v[step * ROWS:(step + 1) * ROWS] for k, v in data.items()}
            q = vae.encode(b["pixels"]).latent_dist
            latents = (q.mean + q.std * b["spread"]) * vae.config.scaling_factor
            noisy = scheduler.add_noise(latents, b["noise"], b["timestep"])
            target = b["noise"] if prediction == "epsilon" else scheduler.get_velocity(latents, b["noise"], b["timestep"])
            snr = compute_snr(scheduler, b["timestep"])
            weights = snr.clamp(max=5.0) / (snr if prediction == "epsilon" else snr + 1)
            loss = torch.nn.functional.mse_loss(unet(noisy, b["timestep"], text(b["ids"])[0]).sample, target, reduction="none")
            loss = (loss.mean(dim=[1, 2, 3]) * weights).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.step(list(learning.values()))
            losses.append(loss.item())
        out[case + ".losses"] = np.array(losses)
        if case == "lora":
            for k, p in learning.items():
                out["lora." + k.replace(".default_0", "")] = p.detach().numpy()
        else:
            average.copy_to(list(learning.values()))
            (OUT / "averaged.csv").write_text("".join(f"{k},{d.sum().item():.9g},{d.square().sum().item():.9g}\n" for k in sorted(learning) for d in [learning[k].detach().double() - before[k].double()]))
        print(case, losses, len(learning))
    out["dreambooth.losses"] = dreambooth(data)
    np.savez_compressed(OUT / "recipes.npz", **out)
    print((OUT / "recipes.npz").stat().st_size)


if __name__ == "__main__":
    main()
    recipes()
