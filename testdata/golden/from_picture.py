"""Pictures made of pictures by diffusers: image to image, and both kinds of inpainting.

    python -P from_picture.py

Uses text_to_image/model, and writes from_picture/unet (a U-Net that reads a mask and hidden latents besides),
in.png, mask.png, blur.npz (the mask blurred by Pillow: radius.R) and values.npz: the noise and what each
pipeline gives of it, [pictures, 3, height, width], 0 to 1; pasted: of an inverted mask with soft edges, put over the picture.
Encoders give the middle of latents.
"""

import pathlib
import shutil
import sys

import numpy as np
import torch
from diffusers import (AutoencoderKL, PNDMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline,
                       UNet2DConditionModel)
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img, pipeline_stable_diffusion_inpaint
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from transformers import CLIPTextModel, CLIPTokenizer

sys.path.append(str(pathlib.Path(__file__).parent))
from pictures import randomise  # noqa: E402

HERE = pathlib.Path(__file__).parent
OUT, MODEL = HERE / "from_picture", HERE / "text_to_image" / "model"
PROMPT, NEGATIVE = "A photo of a Cat, at NIGHT!", "blurry"
WIDTH, HEIGHT, COUNT = 48, 32, 2


def noise_is(noise):
    """Has pipelines draw this, and encoders the middle."""
    for module in (pipeline_stable_diffusion_img2img, pipeline_stable_diffusion_inpaint):
        module.randn_tensor = lambda *a, **k: noise.clone()
    DiagonalGaussianDistribution.sample = lambda self, generator=None: self.mode()


def picture():
    y, x = np.mgrid[0:50, 0:70]
    planes = [127 + 90 * np.sin(x / (5.0 + c) + c) * np.cos(y / (7.0 + 2 * c)) for c in range(3)]
    return Image.fromarray(np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8))


def mask():
    m = Image.new("L", (70, 50))
    ImageDraw.Draw(m).ellipse((20, 10, 50, 44), fill=255)
    return m


def main():
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    text, unet, vae = (cls.from_pretrained(MODEL / part, torch_dtype=torch.float32).eval()
                       for cls, part in ((CLIPTextModel, "text_encoder"), (UNet2DConditionModel, "unet"), (AutoencoderKL, "vae")))
    nine = randomise(UNet2DConditionModel.from_config(unet.config | {"in_channels": 9}), 5)
    shared = dict(vae=vae, text_encoder=text, tokenizer=CLIPTokenizer.from_pretrained(MODEL / "tokenizer"), scheduler=PNDMScheduler.from_pretrained(MODEL / "scheduler"),
                  safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    noise = torch.randn(COUNT, 4, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(6))
    noise_is(noise)
    picture().save(OUT / "in.png")
    mask().save(OUT / "mask.png")
    sized = picture().resize((WIDTH, HEIGHT), Image.LANCZOS)
    masked = mask().resize((WIDTH, HEIGHT), Image.LANCZOS)
    values = {"noise": noise.numpy()}
    common = dict(negative_prompt=NEGATIVE, num_images_per_prompt=COUNT, num_inference_steps=6, guidance_scale=4.0, output_type="np")
    planes = lambda a: np.ascontiguousarray(a.transpose(0, 3, 1, 2), np.float32)
    values["image_0.6"] = planes(StableDiffusionImg2ImgPipeline(unet=unet, **shared)(PROMPT, image=sized, strength=0.6, **common).images)
    for kind, strength, u in (("four", 0.6, unet), ("four", 1.0, unet), ("nine", 1.0, nine)):
        p = StableDiffusionInpaintPipeline(unet=u, **shared)
        values[f"{kind}_{strength}"] = planes(p(PROMPT, image=sized, mask_image=masked, width=WIDTH, height=HEIGHT, strength=strength, **common).images)
    soft = p.mask_processor.blur(masked, 4)
    made = planes(StableDiffusionInpaintPipeline(unet=unet, **shared)(PROMPT, image=sized, mask_image=ImageOps.invert(soft), width=WIDTH, height=HEIGHT, strength=0.6, **common).images)
    share, old = 1 - np.asarray(soft, np.float32) / 255, planes(np.asarray(sized, np.float32)[None] / 255)
    values["pasted_0.6"] = old + (made - old) * share
    np.savez_compressed(OUT / "values.npz", **values)
    np.savez_compressed(OUT / "blur.npz", **{f"radius.{r}": np.asarray(mask().filter(ImageFilter.GaussianBlur(r))) for r in (0.4, 1, 4, 7.5, 60)},
                        **{f"colour.{r}": np.asarray(picture().filter(ImageFilter.GaussianBlur(r))) for r in (2,)})
    nine.to(torch.bfloat16).save_pretrained(OUT / "unet")
    print({f.relative_to(OUT).as_posix(): f.stat().st_size for f in OUT.rglob("*") if f.is_file()}, {k: (v.min(), v.max()) for k, v in values.items()})


if __name__ == "__main__":
    main()
