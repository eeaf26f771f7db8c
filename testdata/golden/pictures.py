"""Tiny random models of diffusers, with what they give.

Writes pictures/NAME/model (a folder as diffusers saves it) and
pictures/NAME/values.safetensors: inputs as in.NAME, outputs as out.NAME; values-CASE of
other inputs. Weights are bf16 values, kept as bf16, and computed with in float32.
Names of cases as arguments make these alone.
"""

import json
import pathlib
import shutil
import sys

sys.path[:] = [p for p in sys.path if pathlib.Path(p).resolve() != pathlib.Path(__file__).parent.resolve()]  # scripts beside this one have the names of packages

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, DiTTransformer2DModel, SD3Transformer2DModel, UNet2DConditionModel, UNet2DModel, VQModel
from safetensors.torch import save_file
from transformers import (CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection, ResNetConfig,
                          ResNetForImageClassification, ResNetModel, SwinConfig, SwinForImageClassification, SwinModel, ViTConfig, ViTForImageClassification, ViTModel)

OUT = pathlib.Path(__file__).parent / "pictures"


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        p.data = torch.randn(p.shape, generator=g) * (0.7 / max(1, p[0].numel()) ** 0.5 if p.ndim > 1 else 0.2)
        if p.ndim == 1 and ("norm" in name and name.endswith("weight")):
            p.data += 1
        p.data = p.data.bfloat16().float()
    return model.eval()


def save(name, model, inputs, outputs):
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(folder / "model")
    for junk in (folder / "model").glob("generation_config.json"):
        junk.unlink()
    config = json.loads((folder / "model" / "config.json").read_text())
    config.pop("_name_or_path", None)
    (folder / "model" / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    write_values(name, "values", inputs, outputs)
    print(name, sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()))


def write_values(name, file, inputs, outputs):
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    for k, v in outputs.items():
        assert v.float().std() > 0 and (v.float()[0] != v.float()[-1]).any() or v.shape[0] == 1, (name, k)  # rows that tell something
    values = {f"in.{k}": v.contiguous() for k, v in inputs.items()} | {f"out.{k}": v.detach().float().contiguous() for k, v in outputs.items()}
    save_file(values, OUT / name / f"{file}.safetensors")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def condition(name, seed, extra=None, **config):
    m = randomise(UNet2DConditionModel(sample_size=8, block_out_channels=(8, 16), norm_num_groups=4, cross_attention_dim=12, layers_per_block=1, **config), seed)
    inputs = {"sample": normal(2, m.config.in_channels, 8, 12), "timestep": torch.tensor([981.0, 3.0]), "encoder_hidden_states": normal(2, 5, 12, seed=1)}
    more = {}
    if extra:
        more = {"added_cond_kwargs": extra}
        inputs |= extra
    with torch.no_grad():
        y = m(inputs["sample"], inputs["timestep"], encoder_hidden_states=inputs["encoder_hidden_states"], **more).sample
        w = m.config.block_out_channels
        down = [normal(2, *s, seed=20 + i) for i, s in enumerate([(w[0], 8, 12), (w[0], 8, 12), (w[0], 4, 6), (w[1], 4, 6)])]
        mid = normal(2, w[1], 4, 6, seed=30)
        told = m(inputs["sample"], inputs["timestep"], encoder_hidden_states=inputs["encoder_hidden_states"], **more,
                 down_block_additional_residuals=down, mid_block_additional_residual=mid).sample
    save(name, m, inputs, {"logits": y})
    write_values(name, "values-control", inputs | residuals(down, mid), {"logits": told})


def residuals(down, mid):
    return {f"down_block_additional_residuals.{i}": v for i, v in enumerate(down)} | {"mid_block_additional_residual": mid}


def control(name, seed, extra=None, **config):
    m = ControlNetModel(block_out_channels=(8, 16), norm_num_groups=4, cross_attention_dim=12, layers_per_block=1, conditioning_embedding_out_channels=(4, 6, 8), **config)
    m = randomise(m, seed)
    inputs = {"sample": normal(2, m.config.in_channels, 8, 12), "timestep": torch.tensor([981.0, 3.0]), "encoder_hidden_states": normal(2, 5, 12, seed=1),
              "controlnet_cond": normal(2, 3, 32, 48, seed=5).sigmoid()}
    with torch.no_grad():
        y = m(**inputs, added_cond_kwargs=extra)
    wide = lambda t, like: t.expand(*like) if m.config.global_pool_conditions else t
    shapes = [(2, 8, 8, 12), (2, 8, 8, 12), (2, 8, 4, 6), (2, 16, 4, 6)]
    down = [wide(t, s) for t, s in zip(y.down_block_res_samples, shapes, strict=True)]
    save(name, m, inputs | (extra or {}), residuals(down, wide(y.mid_block_res_sample, shapes[-1])))


def sd3(name, seed, size=(8, 12), tokens=5, **config):
    m = SD3Transformer2DModel(sample_size=8, in_channels=4, out_channels=4, attention_head_dim=8, num_attention_heads=2, joint_attention_dim=12, caption_projection_dim=16,
                              pooled_projection_dim=10, pos_embed_max_size=8, **config)
    m = randomise(m, seed)
    m.pos_embed.pos_embed.data = m.pos_embed.pos_embed.data.bfloat16().float()
    inputs = {"hidden_states": normal(2, 4, *size), "encoder_hidden_states": normal(2, tokens, 12, seed=1), "pooled_projections": normal(2, 10, seed=2), "timestep": torch.tensor([981.0, 3.0])}
    with torch.no_grad():
        y = m(**inputs).sample
    save(name, m, inputs, {"logits": y})


def dit(name, seed, size=(8, 8), **config):
    m = randomise(DiTTransformer2DModel(sample_size=8, num_attention_heads=2, attention_head_dim=8, in_channels=4, num_layers=2, num_embeds_ada_norm=10, **config), seed)
    inputs = {"hidden_states": normal(2, 4, *size), "timestep": torch.tensor([981.0, 3.0]), "class_labels": torch.tensor([10, 3], dtype=torch.int32)}
    large = inputs | {"hidden_states": normal(2, 4, 12, 12)}
    with torch.no_grad():
        y, wide = m(**inputs).sample, m(**large).sample
    save(name, m, inputs, {"logits": y})
    write_values(name, "values-large", large, {"logits": wide})


def quantised(name, seed, **config):
    m = randomise(VQModel(block_out_channels=(8, 12), norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, num_vq_embeddings=16, **config), seed)
    image, s = normal(1, 3, 16, 24).clamp(-1, 1), m.config.scaling_factor
    inputs = {"sample": image, "latents_in": normal(1, m.quantize.vq_embed_dim, 8, 12, seed=1), "indices_in": torch.randint(0, 16, (1, 8, 12), generator=torch.Generator().manual_seed(2), dtype=torch.int32)}
    with torch.no_grad():
        h = m.encode(image).latents
        codes = m.quantize.get_codebook_entry(inputs["indices_in"].long().flatten(), (1, 8, 12, m.quantize.vq_embed_dim))
        indices = m.quantize(h)[2][2].reshape(1, 8, 12)
        assert len(indices.unique()) > 3
        outputs = {"latents": h * s, "indices": indices, "codes": codes * s, "image": m.decode(inputs["latents_in"] / s).sample}
    save(name, m, inputs, outputs)


def vision(name, cls, config, seed, size, outputs):
    m = randomise(cls(config), seed)
    for key, b in m.named_buffers():
        if "running" in key:
            drawn = normal(*b.shape, seed=len(key))
            b.data = (drawn.abs() * 0.1 + 0.05 if key.endswith("var") else drawn * 0.2).bfloat16().float()
    inputs = {"pixel_values": normal(2, 3, *size)}
    with torch.no_grad():
        y = m(inputs["pixel_values"], output_hidden_states=True)
    save(name, m, inputs, outputs(y))


def plain(name, seed, labels=None, **config):
    m = randomise(UNet2DModel(sample_size=8, block_out_channels=(8, 16, 16), norm_num_groups=4, layers_per_block=1, **config), seed)
    inputs = {"sample": normal(2, m.config.in_channels, 8, 16), "timestep": torch.tensor([981.0, 3.0])}
    if labels is not None:
        inputs["class_labels"] = labels
    with torch.no_grad():
        y = m(inputs["sample"], inputs["timestep"], class_labels=labels).sample
    save(name, m, inputs, {"logits": y})


def autoencoder(name, m):
    image, latents, noise = normal(1, 3, 16, 24).clamp(-1, 1), normal(1, m.config.latent_channels, 4, 6, seed=1), normal(1, m.config.latent_channels, 4, 6, seed=2)
    scale, shift = m.config.scaling_factor, getattr(m.config, "shift_factor", None) or 0
    inputs = {"sample": image, "latents_in": latents}
    with torch.no_grad():
        outputs = {"image": m.decode(latents / scale + shift).sample}
        if isinstance(m, AutoencoderKL):
            inputs["noise"] = noise
            d = m.encode(image).latent_dist
            outputs |= {"mean": (d.mean - shift) * scale, "latents": (d.mean + d.std * noise - shift) * scale}
        else:
            outputs["latents"] = m.encode(image).latents * scale
    save(name, m, inputs, outputs)


def clip(name, cls, **config):
    c = CLIPTextConfig(vocab_size=90, hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=20, projection_dim=10, **config)
    m = randomise(cls(c), 7)
    end = 89
    ids = torch.tensor([[3, 17, 5, end, end, end], [3, 80, 21, 44, 8, end]], dtype=torch.int32)
    with torch.no_grad():
        y = m(ids.long(), output_hidden_states=True)
    pooled = y.text_embeds if cls is CLIPTextModelWithProjection else y.pooler_output
    save(name, m, {"ids": ids}, {"hidden": y.last_hidden_state, "penultimate": y.hidden_states[-2], "pooled": pooled})


def main():
    cross, up = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
    condition("unet_condition", 1, down_block_types=cross, up_block_types=up, attention_head_dim=2)
    text = {"text_embeds": normal(2, 8, seed=3), "time_ids": torch.tensor([[64.0, 96, 0, 0, 64, 96], [32, 32, 4, 8, 32, 32]])}
    condition("unet_large", 2, text, down_block_types=cross[::-1], up_block_types=up[::-1], attention_head_dim=[2, 4], transformer_layers_per_block=[1, 2],
              use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=32, in_channels=5)
    control("control", 11, down_block_types=cross, attention_head_dim=2)
    control("control_large", 12, text, down_block_types=cross[::-1], attention_head_dim=[2, 4], transformer_layers_per_block=[1, 2], use_linear_projection=True,
            addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=32, controlnet_conditioning_channel_order="bgr")
    control("control_pooled", 13, down_block_types=("DownBlock2D",) * 2, mid_block_type="UNetMidBlock2D", global_pool_conditions=True)
    sd3("sd3", 14, num_layers=3)
    sd3("sd35", 15, size=(16, 6), num_layers=3, qk_norm="rms_norm", dual_attention_layers=(0, 1))
    sd3("sd35_dual_last", 16, tokens=16, num_layers=1, qk_norm="rms_norm", dual_attention_layers=(0,))
    dit("dit", 17, out_channels=8)
    quantised("vq", 18, vq_embed_dim=4)
    sizes = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=12, patch_size=4)
    clip_vision = CLIPVisionConfig(projection_dim=10, **sizes)
    vision("clip_vision", CLIPVisionModel, clip_vision, 19, (12, 12), lambda y: {"hidden": y.last_hidden_state, "penultimate": y.hidden_states[-2], "pooled": y.pooler_output})
    vision("clip_vision_projected", CLIPVisionModelWithProjection, clip_vision, 20, (12, 12), lambda y: {"hidden": y.last_hidden_state, "pooled": y.image_embeds})
    vision("vit", ViTModel, ViTConfig(**sizes), 21, (12, 12), lambda y: {"hidden": y.last_hidden_state, "pooled": y.pooler_output})
    names = {0: "cat", 1: "dog", 2: "tree"}
    vision("vit_classes", ViTForImageClassification, ViTConfig(qkv_bias=False, id2label=names, **sizes), 22, (12, 12), lambda y: {"logits": y.logits})
    windows = dict(image_size=32, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 4], window_size=4)
    vision("swin", SwinModel, SwinConfig(**windows), 25, (32, 32), lambda y: {"hidden": y.last_hidden_state, "pooled": y.pooler_output})
    vision("swin_classes", SwinForImageClassification, SwinConfig(id2label=names, **(windows | {"window_size": 8, "mlp_ratio": 2.5})), 26, (32, 32), lambda y: {"logits": y.logits})
    small = dict(embedding_size=4, hidden_sizes=[8, 12], depths=[1, 2])
    vision("resnet", ResNetModel, ResNetConfig(**small), 23, (16, 24), lambda y: {"hidden": y.last_hidden_state, "pooled": y.pooler_output[:, :, 0, 0]})
    vision("resnet_classes", ResNetForImageClassification, ResNetConfig(layer_type="basic", downsample_in_first_stage=True, id2label=names, **small), 24, (16, 32), lambda y: {"logits": y.logits})
    plain("unet_plain", 3, down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"), attention_head_dim=4)
    plain("unet_classes", 4, torch.tensor([7, 0], dtype=torch.int32), down_block_types=("DownBlock2D",) * 3, up_block_types=("UpBlock2D",) * 3, attention_head_dim=None, num_class_embeds=10,
          in_channels=1, out_channels=1, freq_shift=1, flip_sin_to_cos=False, downsample_padding=0, mid_block_scale_factor=1.5, norm_eps=1e-6)
    autoencoder("autoencoder_kl", randomise(AutoencoderKL(block_out_channels=(8, 12, 12), norm_num_groups=4, layers_per_block=1, down_block_types=("DownEncoderBlock2D",) * 3,
                up_block_types=("UpDecoderBlock2D",) * 3, sample_size=16), 5))
    autoencoder("autoencoder_kl_shift", randomise(AutoencoderKL(block_out_channels=(8, 8, 8), norm_num_groups=4, layers_per_block=2, down_block_types=("DownEncoderBlock2D",) * 3, latent_channels=6,
                up_block_types=("UpDecoderBlock2D",) * 3, sample_size=16, use_quant_conv=False, use_post_quant_conv=False, mid_block_add_attention=False, scaling_factor=0.36, shift_factor=0.12), 6))
    autoencoder("autoencoder_tiny", randomise(AutoencoderTiny(encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8), num_encoder_blocks=(1, 2, 1), num_decoder_blocks=(2, 1, 1)), 8))
    clip("clip_text", CLIPTextModel, bos_token_id=3, eos_token_id=89)
    clip("clip_text_old", CLIPTextModel, bos_token_id=0, eos_token_id=2)
    clip("clip_text_projected", CLIPTextModelWithProjection, hidden_act="gelu", bos_token_id=3, eos_token_id=89)


if __name__ == "__main__":
    main()
