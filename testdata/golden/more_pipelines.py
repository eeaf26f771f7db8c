"""Stable Diffusion 3, DiT, variations of a picture and ControlNet in guess mode: tiny random pipelines of diffusers, and what they give.

    python -P more_pipelines.py

Uses text_to_image/model, text_to_image_more/large/tokenizer_2 and control, and from_picture/in.png, and writes more_pipelines/sd3 (text_encoder,
text_encoder_2, text_encoder_3, tokenizer_3, transformer, vae, scheduler), dit (transformer, scheduler), variation (image_encoder, feature_extractor)
and values.npz: noises, and pictures [pictures, 3, height, width], 0 to 1.
"""

import pathlib
import shutil
import sys

sys.path[:] = [p for p in sys.path if pathlib.Path(p).resolve() != pathlib.Path(__file__).parent.resolve()]  # scripts beside this one have the names of packages

import numpy as np
import torch
from diffusers import (AutoencoderKL, ControlNetModel, DDIMScheduler, DiTPipeline, DiTTransformer2DModel, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, PNDMScheduler, SD3Transformer2DModel,
                       StableDiffusion3Img2ImgPipeline, StableDiffusion3InpaintPipeline, StableDiffusion3Pipeline, StableDiffusionControlNetPipeline, StableDiffusionImageVariationPipeline, UNet2DConditionModel)
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.dit import pipeline_dit
from diffusers.pipelines.stable_diffusion_3 import pipeline_stable_diffusion_3_img2img, pipeline_stable_diffusion_3_inpaint
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (CLIPImageProcessor, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionConfig, CLIPVisionModelWithProjection, PreTrainedTokenizerFast, T5Config,
                          T5EncoderModel)

sys.path.append(str(pathlib.Path(__file__).parent))
from pictures import randomise  # noqa: E402

HERE = pathlib.Path(__file__).parent
OUT, MODEL = HERE / "more_pipelines", HERE / "text_to_image" / "model"
PROMPT, NEGATIVE = "A photo of a Cat, at NIGHT!", "blurry"
WIDTH, HEIGHT, COUNT = 48, 32, 2


def planes(a):
    return np.ascontiguousarray(a.transpose(0, 3, 1, 2), np.float32)


def noise(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sized(name):
    return Image.open(HERE / "from_picture" / name).resize((WIDTH, HEIGHT), Image.LANCZOS)


def unigram():
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)] + [(chr(c), -6.0) for c in range(33, 127)] + [("▁photo", -3.0), ("▁of", -3.0), ("▁a", -3.0), ("ight", -5.0)]
    t = Tokenizer(models.Unigram(pieces, unk_id=2))
    t.pre_tokenizer, t.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=t, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"), len(pieces)


def sd3(values):
    t1, t2 = CLIPTokenizer.from_pretrained(MODEL / "tokenizer"), CLIPTokenizer.from_pretrained(HERE / "text_to_image_more" / "large" / "tokenizer_2")
    t3, pieces = unigram()
    n = t1.vocab_size

    def clip(seed, **config):
        return randomise(CLIPTextModelWithProjection(CLIPTextConfig(vocab_size=n, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, bos_token_id=n - 2, eos_token_id=n - 1, **config)), seed)

    one, two = clip(31, hidden_size=8, projection_dim=6, pad_token_id=n - 1), clip(32, hidden_size=12, projection_dim=10, hidden_act="gelu", pad_token_id=0)
    three = randomise(T5EncoderModel(T5Config(vocab_size=pieces, d_model=24, d_kv=6, d_ff=20, num_layers=2, num_heads=2, feed_forward_proj="gated-gelu")), 33)
    transformer = randomise(SD3Transformer2DModel(sample_size=8, patch_size=2, in_channels=16, out_channels=16, num_layers=2, attention_head_dim=8, num_attention_heads=2, joint_attention_dim=24,
                                                  caption_projection_dim=16, pooled_projection_dim=16, pos_embed_max_size=8), 34)
    transformer.pos_embed.pos_embed = transformer.pos_embed.pos_embed.bfloat16().float()  # as it is stored
    vae = randomise(AutoencoderKL(latent_channels=16, block_out_channels=(4, 4, 4, 4), norm_num_groups=2, layers_per_block=1, down_block_types=("DownEncoderBlock2D",) * 4,
                                  up_block_types=("UpDecoderBlock2D",) * 4, scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False), 35)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    all = dict(vae=vae, transformer=transformer, scheduler=scheduler, text_encoder=one, tokenizer=t1, text_encoder_2=two, tokenizer_2=t2, text_encoder_3=three, tokenizer_3=t3)
    values["sd3.noise"] = noise(COUNT, 16, HEIGHT // 8, WIDTH // 8, seed=7).numpy()
    start = torch.from_numpy(values["sd3.noise"])
    common = dict(negative_prompt=NEGATIVE, num_inference_steps=6, guidance_scale=4.0, output_type="np", width=WIDTH, height=HEIGHT)
    both = common | dict(num_images_per_prompt=COUNT)
    values["sd3"] = planes(StableDiffusion3Pipeline(**all)(PROMPT, latents=start.clone(), **both).images)
    less = all | dict(text_encoder_3=None, tokenizer_3=None)
    values["sd3_two"] = planes(StableDiffusion3Pipeline(**less)(PROMPT, latents=start.clone(), **both).images)
    pipeline_stable_diffusion_3_img2img.randn_tensor = pipeline_stable_diffusion_3_inpaint.randn_tensor = lambda *a, **k: start[:1].clone()
    from_picture = dict(image=sized("in.png"), strength=0.6, **common)
    values["sd3_image"] = planes(StableDiffusion3Img2ImgPipeline(**all)(PROMPT, **from_picture).images)
    # Its decoding forgets shift_factor in diffusers 0.42.1, which the other two pipelines add: latents are decoded as these do.
    latents = StableDiffusion3InpaintPipeline(**all)(PROMPT, mask_image=sized("mask.png"), **from_picture | {"output_type": "latent"}).images
    with torch.no_grad():
        values["sd3_part"] = (vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor).sample / 2 + 0.5).clamp(0, 1).numpy()
    for name, part in (("text_encoder", one), ("text_encoder_2", two), ("text_encoder_3", three), ("transformer", transformer), ("vae", vae)):
        part.to(torch.bfloat16).save_pretrained(OUT / "sd3" / name)
    scheduler.save_pretrained(OUT / "sd3" / "scheduler")
    t3.save_pretrained(OUT / "sd3" / "tokenizer_3")


def dit(values):
    transformer = randomise(DiTTransformer2DModel(sample_size=4, num_attention_heads=2, attention_head_dim=4, in_channels=4, out_channels=8, num_layers=2), 41)
    vae = AutoencoderKL.from_pretrained(MODEL / "vae", torch_dtype=torch.float32).eval()
    scheduler = DDIMScheduler(beta_start=0.0001, beta_end=0.02, beta_schedule="linear", clip_sample=False, set_alpha_to_one=True)
    values["dit.noise"] = noise(COUNT, 4, 4, 4, seed=8).numpy()
    start = torch.from_numpy(values["dit.noise"])
    pipeline_dit.randn_tensor = lambda *a, **k: start.clone()
    scheduler.save_pretrained(OUT / "dit" / "scheduler")
    stored = DDIMScheduler.from_pretrained(OUT / "dit" / "scheduler")  # whose defaults others take over, being written out
    for name, s in (("dit", scheduler), ("dit_dpm", DPMSolverMultistepScheduler.from_config(stored.config))):
        for guidance in (4.0, 1.0):
            made = DiTPipeline(transformer=transformer, vae=vae, scheduler=s)([207, 3], guidance_scale=guidance, num_inference_steps=6, output_type="np").images
            values[f"{name}_{guidance:g}"] = planes(made)
    transformer.to(torch.bfloat16).save_pretrained(OUT / "dit" / "transformer")


def variation(values):
    encoder = randomise(CLIPVisionModelWithProjection(CLIPVisionConfig(hidden_size=12, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8, projection_dim=16)), 51)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    unet, vae = (cls.from_pretrained(MODEL / part, torch_dtype=torch.float32).eval() for cls, part in ((UNet2DConditionModel, "unet"), (AutoencoderKL, "vae")))
    pipe = StableDiffusionImageVariationPipeline(vae=vae, image_encoder=encoder, unet=unet, scheduler=PNDMScheduler.from_pretrained(MODEL / "scheduler"), safety_checker=None, feature_extractor=processor,
                                                 requires_safety_checker=False)
    values["variation.noise"] = noise(COUNT, 4, HEIGHT // 8, WIDTH // 8, seed=9).numpy()
    values["variation"] = planes(pipe(Image.open(HERE / "from_picture" / "in.png").convert("RGB"), num_images_per_prompt=COUNT, num_inference_steps=6, guidance_scale=4.0,
                                      latents=torch.from_numpy(values["variation.noise"]).clone(), width=WIDTH, height=HEIGHT, output_type="np").images)
    encoder.to(torch.bfloat16).save_pretrained(OUT / "variation" / "image_encoder")
    processor.save_pretrained(OUT / "variation" / "feature_extractor")


def guess(values):
    unet, vae, net = (cls.from_pretrained(folder, torch_dtype=torch.float32).eval() for cls, folder in
                      ((UNet2DConditionModel, MODEL / "unet"), (AutoencoderKL, MODEL / "vae"), (ControlNetModel, HERE / "text_to_image_more" / "control")))
    pipe = StableDiffusionControlNetPipeline(vae=vae, text_encoder=CLIPTextModel.from_pretrained(MODEL / "text_encoder", torch_dtype=torch.float32).eval(), tokenizer=CLIPTokenizer.from_pretrained(MODEL / "tokenizer"),
                                             unet=unet, controlnet=net, scheduler=PNDMScheduler.from_pretrained(MODEL / "scheduler"), safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    values["guess.noise"] = noise(COUNT, 4, HEIGHT // 8, WIDTH // 8, seed=10).numpy()
    values["guess"] = planes(pipe(PROMPT, image=sized("in.png"), negative_prompt=NEGATIVE, num_images_per_prompt=COUNT, num_inference_steps=6, guidance_scale=4.0, controlnet_conditioning_scale=0.8, guess_mode=True,
                                  latents=torch.from_numpy(values["guess.noise"]).clone(), width=WIDTH, height=HEIGHT, output_type="np").images)


def main():
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    DiagonalGaussianDistribution.sample = lambda self, generator=None: self.mode()
    values = {}
    sd3(values)
    dit(values)
    variation(values)
    guess(values)
    for junk in OUT.rglob("generation_config.json"):
        junk.unlink()
    np.savez_compressed(OUT / "values.npz", **values)
    print({k: float(((v == 0) | (v == 1)).mean()) for k, v in values.items()})
    print({f.relative_to(OUT).as_posix(): f.stat().st_size for f in OUT.rglob("*") if f.is_file()}, {k: (v.min(), v.max()) for k, v in values.items()})


if __name__ == "__main__":
    main()
