"""What diffusers gives of pictures in tiles, of the tiny autoencoders that pictures.py makes.

    python -P tiles.py

Writes tiles/values.npz: NAME.sample, NAME.latents_in, what is decoded of these in
tiles (NAME.image), and what the sample is encoded to (NAME.mean or NAME.latents).
Tiles are 8 latents, 32 pixels, with an overlap of a quarter.
"""

import pathlib

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny

HERE = pathlib.Path(__file__).parent


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def main():
    values = {}
    for name, cls in (("autoencoder_kl", AutoencoderKL), ("autoencoder_tiny", AutoencoderTiny)):
        m = cls.from_pretrained(HERE / "pictures" / name / "model", torch_dtype=torch.float32).eval()
        m.enable_tiling()
        m.tile_latent_min_size, m.tile_sample_min_size, m.tile_overlap_factor = 8, 32, 0.25
        m.spatial_scale_factor = 4  # of three levels; AutoencoderTiny takes it from the number of colours, which suits four
        sample, latents = normal(2, 3, 44, 36, seed=1).clamp(-1, 1), normal(2, m.config.latent_channels, 11, 9, seed=2)
        scale = m.config.scaling_factor
        with torch.no_grad():
            values |= {f"{name}.sample": sample, f"{name}.latents_in": latents, f"{name}.image": m.decode(latents / scale).sample}
            if cls is AutoencoderKL:
                values[f"{name}.mean"] = m.encode(sample).latent_dist.mean * scale
            else:
                values[f"{name}.latents"] = m.encode(sample).latents * scale
    (HERE / "tiles").mkdir(exist_ok=True)
    np.savez(HERE / "tiles" / "values.npz", **{k: v.numpy() for k, v in values.items()})
    print({k: tuple(v.shape) for k, v in values.items()}, (HERE / "tiles" / "values.npz").stat().st_size)


if __name__ == "__main__":
    main()
