"""A tiny random pipeline of diffusers from text to picture, and what it gives.

    python -P text_to_image.py

Writes text_to_image/model (text_encoder, tokenizer, unet, vae, scheduler) and
text_to_image/values.npz: the noise that it begins from, and the pictures.
"""

import json
import pathlib
import shutil
import sys

import numpy as np
import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

sys.path.append(str(pathlib.Path(__file__).parent))
from pictures import randomise  # noqa: E402

OUT = pathlib.Path(__file__).parent / "text_to_image"
PROMPT, NEGATIVE = "A photo of a Cat, at NIGHT!", "blurry"


def tokenizer(folder):
    """The bytes as CLIP writes them, alone and at the end of a word, and a few merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    symbols = [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]
    merges = ["p h", "o t", "ph ot", "c a", "ca t</w>", "o f</w>", "n i", "ni g"]
    words = symbols + [s + "</w>" for s in symbols] + ["".join(m.split()) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    t = CLIPTokenizer.from_pretrained(folder)
    t.model_max_length = 77
    return t, len(words)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "vocabulary").mkdir(parents=True)
    (OUT / "vocabulary" / "config.json").write_text('{"model_type": "clip"}')
    t, n = tokenizer(OUT / "vocabulary")
    text = randomise(CLIPTextModel(CLIPTextConfig(vocab_size=n, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                                                  bos_token_id=n - 2, eos_token_id=n - 1, pad_token_id=n - 1)), 1)
    unet = randomise(UNet2DConditionModel(sample_size=8, block_out_channels=(8, 16), norm_num_groups=4, cross_attention_dim=16, layers_per_block=1, attention_head_dim=2,
                     down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")), 2)
    vae = randomise(AutoencoderKL(block_out_channels=(8, 8, 8, 8), norm_num_groups=4, layers_per_block=1, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4), 3)
    scheduler = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1)
    pipe = StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=t, unet=unet, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    noise = torch.randn(2, 4, 6, 8, generator=torch.Generator().manual_seed(4))
    pictures = pipe(PROMPT, negative_prompt=NEGATIVE, num_images_per_prompt=2, num_inference_steps=6, guidance_scale=4.0, latents=noise.clone(), height=48, width=64, output_type="np").images
    ids = [t(p, padding="max_length", max_length=77, truncation=True).input_ids for p in (PROMPT, NEGATIVE)]
    np.savez(OUT / "values.npz", noise=noise.numpy(), pictures=pictures.transpose(0, 3, 1, 2).astype(np.float32), ids=np.array(ids, np.int32))
    for name, part in (("text_encoder", text), ("unet", unet), ("vae", vae)):
        part.to(torch.bfloat16).save_pretrained(OUT / "model" / name)
        for junk in (OUT / "model" / name).glob("generation_config.json"):
            junk.unlink()
    scheduler.save_pretrained(OUT / "model" / "scheduler")
    t.save_pretrained(OUT / "model" / "tokenizer")
    shutil.rmtree(OUT / "vocabulary")
    print({f.relative_to(OUT).as_posix(): f.stat().st_size for f in OUT.rglob("*") if f.is_file()}, ids[0][:20], pictures.min(), pictures.max())


if __name__ == "__main__":
    main()
