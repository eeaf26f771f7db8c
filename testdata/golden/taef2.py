"""What a real tiny autoencoder gives, by PyTorch.

    python -P taef2.py FOLDER

FOLDER has taef2_encoder.safetensors and taef2_decoder.safetensors. Writes
samplers/taef2.npz: a picture, its latents, latents and their picture.
"""

import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

WIDTH, LATENTS = 64, 32


class Block(nn.Module):
    def __init__(self, pooled):
        super().__init__()
        conv = lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.conv = nn.Sequential(conv(), nn.ReLU(), conv(), nn.ReLU(), conv())
        self.pool = None
        if pooled:
            self.pool = nn.Sequential(nn.Conv2d(WIDTH, 4 * WIDTH, 1, bias=False), nn.GroupNorm(4, 4 * WIDTH), nn.ReLU(), nn.Conv2d(4 * WIDTH, WIDTH, 1, bias=False))

    def forward(self, x):
        x = x if self.pool is None else x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class Clamp(nn.Module):
    def forward(self, x):
        return 3 * torch.tanh(x / 3)


def bare(stride=1):
    return nn.Conv2d(WIDTH, WIDTH, 3, padding=1, stride=stride, bias=False)


def main():
    folder = pathlib.Path(sys.argv[1])
    up = lambda: nn.Upsample(scale_factor=2)
    three = lambda pooled=False: [Block(pooled) for _ in range(3)]
    encoder = nn.Sequential(nn.Conv2d(3, WIDTH, 3, padding=1), Block(False), bare(2), *three(), bare(2), *three(), bare(2), *three(True), nn.Conv2d(WIDTH, LATENTS, 3, padding=1))
    decoder = nn.Sequential(Clamp(), nn.Conv2d(LATENTS, WIDTH, 3, padding=1), nn.ReLU(), *three(True), up(), bare(), *three(), up(), bare(), *three(), up(), bare(), Block(False), nn.Conv2d(WIDTH, 3, 3, padding=1))
    for m, name in ((encoder, "encoder"), (decoder, "decoder")):
        m.load_state_dict({k: v.float() for k, v in load_file(folder / f"taef2_{name}.safetensors").items()})
    g = torch.Generator().manual_seed(1)
    y, x = torch.meshgrid(torch.arange(40) / 40, torch.arange(48) / 48, indexing="ij")
    picture = torch.stack([0.5 + 0.5 * torch.sin(7 * x + 3 * y), 0.5 + 0.4 * torch.cos(5 * x * y), x * y])[None]
    latents = torch.randn(1, LATENTS, 5, 6, generator=g)
    with torch.no_grad():
        values = {"sample": picture, "latents": encoder(picture), "latents_in": latents, "image": decoder(latents)}
    np.savez(pathlib.Path(__file__).parent / "samplers" / "taef2.npz", **{k: v.numpy() for k, v in values.items()})


if __name__ == "__main__":
    main()
