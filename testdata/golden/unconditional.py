"""A picture from noise alone by diffusers' DDPMPipeline, of pictures/unet_plain.

    python -P unconditional.py

Writes unconditional/scheduler and values.npz: noise [pictures, ...], noises [steps, pictures, ...], and pictures
[pictures, 3, height, width], 0 to 1.
"""

import pathlib

import numpy as np
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.pipelines.ddpm import pipeline_ddpm
from diffusers.schedulers import scheduling_ddpm

HERE = pathlib.Path(__file__).parent
OUT = HERE / "unconditional"


def main():
    torch.set_num_threads(1)
    drawn, g = [], torch.Generator().manual_seed(9)

    def draw(shape, **k):
        drawn.append(torch.randn(shape, generator=g))
        return drawn[-1].clone()

    pipeline_ddpm.randn_tensor = scheduling_ddpm.randn_tensor = draw
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    unet = UNet2DModel.from_pretrained(HERE / "pictures" / "unet_plain" / "model", torch_dtype=torch.float32).eval()
    pictures = DDPMPipeline(unet=unet, scheduler=scheduler)(batch_size=2, num_inference_steps=5, output_type="np").images
    noises = torch.stack(drawn[1:] + [torch.zeros_like(drawn[0])] * (6 - len(drawn)))
    scheduler.save_pretrained(OUT / "scheduler")
    np.savez_compressed(OUT / "values.npz", noise=drawn[0].numpy(), noises=noises.numpy(), pictures=np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32))
    print(len(drawn), noises.shape, pictures.shape, pictures.min(), pictures.max())


if __name__ == "__main__":
    main()
