"""Stable Diffusion XL, ControlNet and weighted prompts: tiny random pipelines of diffusers, and what they give.

    python -P text_to_image_more.py

Uses text_to_image/model and from_picture/in.png, and writes text_to_image_more/large (text_encoder_2, tokenizer_2,
unet, scheduler of Stable Diffusion XL), control, control_b, large_control (ControlNets) and values.npz: noises and pictures
[pictures, 3, height, width], 0 to 1; texts.json: prompts with weights, and the hidden states that follow in values.npz.
"""

import json
import pathlib
import shutil
import sys

import numpy as np
import torch
from diffusers import (AutoencoderKL, ControlNetModel, EulerDiscreteScheduler, MultiControlNetModel, PNDMScheduler, StableDiffusionControlNetImg2ImgPipeline,
                       StableDiffusionControlNetInpaintPipeline, StableDiffusionControlNetPipeline, StableDiffusionXLControlNetPipeline, StableDiffusionXLImg2ImgPipeline,
                       StableDiffusionXLInpaintPipeline, StableDiffusionXLPipeline, UNet2DConditionModel)
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.controlnet import pipeline_controlnet_img2img, pipeline_controlnet_inpaint
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_img2img, pipeline_stable_diffusion_xl_inpaint
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

sys.path.append(str(pathlib.Path(__file__).parent))
from pictures import randomise  # noqa: E402

HERE = pathlib.Path(__file__).parent
OUT, MODEL = HERE / "text_to_image_more", HERE / "text_to_image" / "model"
PROMPT, NEGATIVE = "A photo of a Cat, at NIGHT!", "blurry"
WIDTH, HEIGHT, COUNT = 48, 32, 2
PROMPTS = ["a photo of a (cat:1.4) at [night], (((very))) \\(dark\\)", "a " + "photo of a cat, " * 22 + "at (night:0.6)", "[a photo", "a cat BREAK (at night"]


def parts():
    return {part: cls.from_pretrained(MODEL / part, torch_dtype=torch.float32).eval()
            for cls, part in ((CLIPTextModel, "text_encoder"), (UNet2DConditionModel, "unet"), (AutoencoderKL, "vae"))}


def planes(a):
    return np.ascontiguousarray(a.transpose(0, 3, 1, 2), np.float32)


def sized(name):
    return Image.open(HERE / "from_picture" / name).resize((WIDTH, HEIGHT), Image.LANCZOS)


def large(p, common, values):
    t2 = CLIPTokenizer.from_pretrained(MODEL / "tokenizer", pad_token="!")
    n = p["text_encoder"].config.vocab_size
    text_2 = randomise(CLIPTextModelWithProjection(CLIPTextConfig(vocab_size=n, hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=2, projection_dim=10, hidden_act="gelu",
                                                                  bos_token_id=n - 2, eos_token_id=n - 1, pad_token_id=0)), 11)
    unet = randomise(UNet2DConditionModel(sample_size=8, block_out_channels=(8, 16), norm_num_groups=4, cross_attention_dim=28, layers_per_block=1, attention_head_dim=(2, 4),
                     down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=(1, 2), use_linear_projection=True,
                     addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=34), 12)
    scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading")
    all = dict(vae=p["vae"], text_encoder=p["text_encoder"], tokenizer=CLIPTokenizer.from_pretrained(MODEL / "tokenizer"), text_encoder_2=text_2, tokenizer_2=t2, unet=unet, scheduler=scheduler)
    pipe = StableDiffusionXLPipeline(**all, force_zeros_for_empty_prompt=True, add_watermarker=False)
    noise = torch.from_numpy(values["noise"])
    one = common | {"num_images_per_prompt": 1}
    # One at a time: for several pictures diffusers 0.42.1 tells sizes to every other row of the batch, but texts to one half of it.
    values["large"] = np.concatenate([planes(pipe(PROMPT, negative_prompt=NEGATIVE, latents=n[None].clone(), width=WIDTH, height=HEIGHT, original_size=(100, 90), crops_coords_top_left=(5, 7),
                                                  target_size=(64, 60), negative_original_size=(20, 30), negative_crops_coords_top_left=(1, 2), negative_target_size=(40, 50),
                                                  guidance_rescale=0.7, **one).images) for n in noise])
    values["large_zeros"] = planes(pipe(PROMPT, latents=noise.clone(), width=WIDTH, height=HEIGHT, **common).images)
    pipeline_stable_diffusion_xl_img2img.randn_tensor = pipeline_stable_diffusion_xl_inpaint.randn_tensor = lambda *a, **k: noise[:1].clone()
    from_picture = dict(prompt=PROMPT, negative_prompt=NEGATIVE, image=sized("in.png"), strength=0.6, **one)
    values["large_image"] = planes(StableDiffusionXLImg2ImgPipeline(**all, add_watermarker=False)(**from_picture).images)
    values["large_part"] = planes(StableDiffusionXLInpaintPipeline(**all, add_watermarker=False)(mask_image=sized("mask.png"), width=WIDTH, height=HEIGHT, **from_picture).images)
    net = randomise(ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 4, 8, 8)), 23)
    values["large_control"] = planes(StableDiffusionXLControlNetPipeline(controlnet=net, **all, add_watermarker=False)(
        PROMPT, negative_prompt=NEGATIVE, image=sized("in.png"), controlnet_conditioning_scale=0.8, latents=noise[:1].clone(), width=WIDTH, height=HEIGHT, **one).images)
    for name, part in (("large/text_encoder_2", text_2), ("large/unet", unet), ("large_control", net)):
        part.to(torch.bfloat16).save_pretrained(OUT / name)
    scheduler.save_pretrained(OUT / "large" / "scheduler")
    t2.save_pretrained(OUT / "large" / "tokenizer_2")


def control(p, common, values):
    nets = [randomise(ControlNetModel.from_unet(p["unet"], conditioning_embedding_out_channels=(4, 4, 8, 8)), seed) for seed in (21, 22)]
    shared = dict(vae=p["vae"], text_encoder=p["text_encoder"], tokenizer=CLIPTokenizer.from_pretrained(MODEL / "tokenizer"), scheduler=PNDMScheduler.from_pretrained(MODEL / "scheduler"),
                  unet=p["unet"], safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    picture = sized("in.png")
    noise = torch.from_numpy(values["noise"])
    again = dict(negative_prompt=NEGATIVE, width=WIDTH, height=HEIGHT, latents=noise.clone(), **common)
    values["control"] = planes(StableDiffusionControlNetPipeline(controlnet=nets[0], **shared)(PROMPT, image=picture, controlnet_conditioning_scale=0.8, **again).images)
    two = StableDiffusionControlNetPipeline(controlnet=MultiControlNetModel(nets), **shared)
    values["controls"] = planes(two(PROMPT, image=[picture, picture.transpose(Image.ROTATE_180)], controlnet_conditioning_scale=[0.5, 1.5], control_guidance_start=[0.0, 0.3], control_guidance_end=[0.5, 1.0],
                                    **(again | {"latents": noise.clone()})).images)
    pipeline_controlnet_img2img.randn_tensor = pipeline_controlnet_inpaint.randn_tensor = lambda *a, **k: noise[:1].clone()
    from_picture = dict(prompt=PROMPT, negative_prompt=NEGATIVE, image=picture, control_image=picture.transpose(Image.ROTATE_180), strength=0.6, controlnet_conditioning_scale=0.8,
                        control_guidance_start=0.3, **(common | {"num_images_per_prompt": 1}))
    values["control_image"] = planes(StableDiffusionControlNetImg2ImgPipeline(controlnet=nets[0], **shared)(**from_picture).images)
    values["control_part"] = planes(StableDiffusionControlNetInpaintPipeline(controlnet=nets[0], **shared)(mask_image=sized("mask.png"), width=WIDTH, height=HEIGHT, **from_picture).images)
    for name, net in (("control", nets[0]), ("control_b", nets[1])):
        net.to(torch.bfloat16).save_pretrained(OUT / name)


def prompts(p, values):
    from diffusion_prompt_embedder import parse_prompt_attention

    t, encoder = CLIPTokenizer.from_pretrained(MODEL / "tokenizer"), p["text_encoder"]
    begin, end, comma = t.bos_token_id, t.eos_token_id, t.convert_tokens_to_ids(",</w>")
    for i, prompt in enumerate(PROMPTS):
        chunks, chunk, last = [], [], -1

        def close():
            nonlocal chunk, last
            fill = 77 - 2 - len(chunk)
            chunks.append(([begin] + [id for id, _ in chunk] + [end] * (fill + 1), [1.0] + [w for _, w in chunk] + [1.0] * (fill + 1)))
            chunk, last = [], -1

        for text, weight in parse_prompt_attention(prompt):
            if text == "BREAK" and weight == -1:
                close()
                continue
            for id in t(text, add_special_tokens=False).input_ids:
                if id == comma:
                    last = len(chunk)
                elif len(chunk) == 75 and last != -1 and len(chunk) - last <= 20:
                    rest, chunk = chunk[last + 1:], chunk[:last + 1]
                    close()
                    chunk = rest
                if len(chunk) == 75:
                    close()
                chunk.append((id, weight))
        if chunk or not chunks:
            close()
        with torch.no_grad():
            z = encoder(torch.tensor([ids for ids, _ in chunks])).last_hidden_state
        new = z * torch.tensor([w for _, w in chunks])[..., None]
        new = new * (z.mean(dim=(1, 2), keepdim=True) / new.mean(dim=(1, 2), keepdim=True))
        values[f"hidden.{i}"] = new.reshape(1, -1, new.shape[-1]).numpy()
        values[f"ids.{i}"] = np.array([ids for ids, _ in chunks], np.int32)


def main():
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    DiagonalGaussianDistribution.sample = lambda self, generator=None: self.mode()
    values = {"noise": torch.randn(COUNT, 4, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(6)).numpy()}
    common = dict(num_images_per_prompt=COUNT, num_inference_steps=6, guidance_scale=4.0, output_type="np")
    large(parts(), common, values)
    control(parts(), common, values)
    prompts(parts(), values)
    (OUT / "texts.json").write_text(json.dumps(PROMPTS, indent=1) + "\n")
    np.savez_compressed(OUT / "values.npz", **values)
    print({f.relative_to(OUT).as_posix(): f.stat().st_size for f in OUT.rglob("*") if f.is_file()})


if __name__ == "__main__":
    main()
