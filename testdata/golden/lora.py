"""Adapters of a text-to-image pipeline in the files of diffusers, old and new, and of kohya's trainer, and pictures made with them.

    python -P lora.py          writes lora/: the files, and values.npz
    python -P lora.py FILE NPZ reads a file of adapters, and compares its picture with that in NPZ ("image")

The pipeline is that of text_to_image/model.
"""

import json
import pathlib
import re
import sys

import diffusers.loaders.lora_base
import diffusers.loaders.lora_pipeline
import diffusers.loaders.peft
import numpy as np
import torch
import transformers.integrations.peft
from diffusers import AutoencoderKL, EulerDiscreteScheduler, PNDMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

for module in (diffusers.loaders.peft, diffusers.loaders.lora_base, diffusers.loaders.lora_pipeline, transformers.integrations.peft):
    module.check_peft_version = lambda **_: None  # it asks for a later one than there is

HERE = pathlib.Path(__file__).parent
OUT = HERE / "lora"
CONFIGS = {
    "unet": LoraConfig(r=2, lora_alpha=3, target_modules=["to_q", "to_k", "to_v", "to_out.0", "conv1", "proj_in"]),
    "text_encoder": LoraConfig(r=2, lora_alpha=3, target_modules=["q_proj", "k_proj", "v_proj", "out_proj"]),
}


def pipeline():
    folder = HERE / "text_to_image" / "model"
    def load(kind, name):
        return kind.from_pretrained(folder / name).float().eval()
    p = StableDiffusionPipeline(vae=load(AutoencoderKL, "vae"), text_encoder=load(CLIPTextModel, "text_encoder"), unet=load(UNet2DConditionModel, "unet"),
                                tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"), scheduler=PNDMScheduler.from_pretrained(folder / "scheduler"),
                                safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    p.set_progress_bar_config(disable=True)
    return p


def picture(p, noise, **more):
    return p("A photo of a Cat", negative_prompt="", num_inference_steps=3, guidance_scale=4.0, latents=noise.clone(), height=32, width=32, output_type="np", **more).images.transpose(0, 3, 1, 2)


def save(file, states):
    """As diffusers' training scripts do."""
    metadata = {name: json.loads(json.dumps(c.to_dict(), default=lambda x: sorted(x) if isinstance(x, set) else str(x))) for name, c in CONFIGS.items()}
    StableDiffusionPipeline.save_lora_weights(OUT, unet_lora_layers=states["unet"], text_encoder_lora_layers=states["text_encoder"], weight_name=file,
                                              unet_lora_adapter_metadata=metadata["unet"], text_encoder_lora_adapter_metadata=metadata["text_encoder"])


def kohya(states):
    """Names as kohya's trainer writes them: underscores, and the alpha of each layer."""
    out = {}
    for name, front in (("unet", "lora_unet_"), ("text_encoder", "lora_te_text_model_")):
        for k, v in states[name].items():
            path, end = re.fullmatch(r"(.*?)\.lora_([AB])\.weight", k).groups()
            layer = front + path.removeprefix("text_model.").replace(".", "_")
            out[f"{layer}.lora_{'down' if end == 'A' else 'up'}.weight"] = v
            out[f"{layer}.alpha"] = torch.tensor(3.0)
    return out


def older(key):
    """Names of the time when attention was adapted by processors of it."""
    return "unet." + re.sub(r"\.(to_\w+)(?:\.0)?\.lora\.", r".processor.\1_lora.", key)


def write():
    OUT.mkdir(exist_ok=True)
    p, noise = pipeline(), torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(4))
    out = {"noise": noise.numpy(), "plain": picture(p, noise)}
    g = torch.Generator().manual_seed(5)
    for name, config in CONFIGS.items():
        getattr(p, name).add_adapter(config)
        for k, x in getattr(p, name).named_parameters():
            if "lora_" in k:
                x.data = (torch.randn(x.shape, generator=g) * (0.5 if "lora_B" in k else 1 / x[0].numel() ** 0.5)).half().float()
    whole = {name: {k: v.half().contiguous() for k, v in get_peft_model_state_dict(getattr(p, name)).items()} for name in CONFIGS}
    attention = {name: convert_state_dict_to_diffusers({k: v for k, v in s.items() if "attn" in k}) for name, s in whole.items()}
    save("pytorch_lora_weights.safetensors", attention)
    save("peft.safetensors", whole)
    save_file(kohya(whole), OUT / "kohya.safetensors")
    save_file({older(k): v for k, v in attention["unet"].items()}, OUT / "older.safetensors")
    for name, file, scale in (("image", "pytorch_lora_weights", 1.0), ("half", "pytorch_lora_weights", 0.5), ("peft", "peft", 1.0), ("kohya", "kohya", 1.0), ("older", "older", 1.0)):
        q = pipeline()
        q.load_lora_weights(OUT, weight_name=file + ".safetensors", local_files_only=True)
        out[name] = picture(q, noise, cross_attention_kwargs={"scale": scale})
    assert abs(out["peft"] - out["kohya"]).max() < 1e-6 < 1e-2 < abs(out["peft"] - out["image"]).max()
    np.savez_compressed(OUT / "values.npz", **{k: v.astype(np.float32) for k, v in out.items()})
    print({k: float(abs(v - out["plain"]).max()) for k, v in out.items() if k != "noise"})


def numbered(key):
    """Names of a U-Net of one layer a level as its first code numbers blocks: output_blocks.1.0.in_layers.2."""
    key = re.sub(r"down_blocks\.(\d)\.(resnets|attentions)\.(\d)", lambda m: f"input_blocks.{1 + 2 * int(m[1]) + int(m[3])}.{int(m[2] == 'attentions')}", key)
    key = re.sub(r"up_blocks\.(\d)\.(resnets|attentions)\.(\d)", lambda m: f"output_blocks.{2 * int(m[1]) + int(m[3])}.{int(m[2] == 'attentions')}", key)
    key = re.sub(r"mid_block\.(resnets|attentions)\.(\d)", lambda m: f"middle_block.{1 if m[1] == 'attentions' else 2 * int(m[2])}", key)
    return key.replace("conv1", "in_layers.2").replace("conv2", "out_layers.3").replace("time_emb_proj", "emb_layers.1")


def large():
    """The same of Stable Diffusion XL, with two text encoders, in kohya's file."""
    folder, more = HERE / "text_to_image" / "model", HERE / "text_to_image_more" / "large"

    def pipe():
        def load(kind, name, of=more):
            return kind.from_pretrained(of / name).float().eval()
        p = StableDiffusionXLPipeline(vae=load(AutoencoderKL, "vae", folder), text_encoder=load(CLIPTextModel, "text_encoder", folder), text_encoder_2=load(CLIPTextModelWithProjection, "text_encoder_2"), unet=load(UNet2DConditionModel, "unet"),
                                      tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"), tokenizer_2=CLIPTokenizer.from_pretrained(more / "tokenizer_2"), scheduler=EulerDiscreteScheduler.from_pretrained(more / "scheduler"), add_watermarker=False)
        p.set_progress_bar_config(disable=True)
        return p

    def draw(p):
        return p("A photo of a Cat", num_inference_steps=3, guidance_scale=4.0, latents=noise.clone(), height=32, width=32, output_type="np").images.transpose(0, 3, 1, 2).astype(np.float32)

    p, noise, g, out = pipe(), torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(4)), torch.Generator().manual_seed(6), {}
    plain = draw(p)
    attention = ["q_proj", "k_proj", "v_proj", "out_proj"]
    for name, front, targets in (("unet", "lora_unet_", ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "ff.net.0.proj", "conv1", "conv2", "time_emb_proj"]),
                                 ("text_encoder", "lora_te1_text_model_", attention), ("text_encoder_2", "lora_te2_text_model_", attention)):
        model = getattr(p, name)
        model.add_adapter(LoraConfig(r=2, lora_alpha=3, target_modules=targets))
        for k, x in model.named_parameters():
            if "lora_" in k:
                x.data = (torch.randn(x.shape, generator=g) * (0.3 if "lora_B" in k else 1 / x[0].numel() ** 0.5)).half().float()
        for k, v in get_peft_model_state_dict(model).items():
            path, end = re.fullmatch(r"(.*?)\.lora_([AB])\.weight", k).groups()
            layer = front + (numbered(path) if name == "unet" else path.removeprefix("text_model.")).replace(".", "_")
            out[f"{layer}.lora_{'down' if end == 'A' else 'up'}.weight"] = v.half().contiguous()
            out[f"{layer}.alpha"] = torch.tensor(3.0)
    save_file(out, OUT / "large.safetensors")
    q = pipe()
    q.load_lora_weights(OUT, weight_name="large.safetensors", local_files_only=True)
    values = dict(np.load(OUT / "values.npz")) | {"large": draw(q)}
    assert abs(values["large"] - draw(p)).max() < 1e-5 < 1e-2 < abs(values["large"] - plain).max()
    np.savez_compressed(OUT / "values.npz", **values)
    print("large", abs(values["large"] - plain).max(), (OUT / "large.safetensors").stat().st_size)


def check(file, values):
    q, v = pipeline(), np.load(values)
    file = pathlib.Path(file)
    q.load_lora_weights(file.parent, weight_name=file.name, local_files_only=True)
    made = picture(q, torch.from_numpy(v["noise"]))
    print("worst", float(abs(made - np.clip(v["image"] / 2 + 0.5, 0, 1)).max()))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        check(*sys.argv[1:])
    else:
        write()
        large()
