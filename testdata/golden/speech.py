"""Tiny random models of speech: vocoders of transformers and of their authors' repositories, with what they give.

    python -P testdata/golden/speech.py [NAME...]

Writes speech/NAME/model, a folder as programs save it, and speech/NAME/values.safetensors: inputs as in.NAME, outputs as
out.NAME, computed in float64 from the weights as stored. Names of cases as arguments make these alone.
"""

import json
import pathlib
import shutil
import sys

sys.path[:] = [p for p in sys.path if pathlib.Path(p).resolve() != pathlib.Path(__file__).parent.resolve()]  # scripts beside this one have the names of packages

import torch
import torch.nn as nn
import torch.nn.functional as F
import soundfile
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (DacConfig, DacModel, EncodecConfig, EncodecModel, FastSpeech2ConformerConfig, FastSpeech2ConformerHifiGan, FastSpeech2ConformerHifiGanConfig, FastSpeech2ConformerModel, GenerationConfig, SpeechT5HifiGan, SpeechT5HifiGanConfig, VitsConfig, VitsModel, WhisperConfig,
                          WhisperFeatureExtractor, WhisperForConditionalGeneration)
from transformers.utils import logging

sys.path.append(str(pathlib.Path(__file__).parent))
from reference import double

OUT = pathlib.Path(__file__).parent / "speech"


def wanted(name):
    return not sys.argv[1:] or name in sys.argv[1:]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomise(model, seed, gain=1.0):
    """Weights of which signals neither fade nor grow."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            p.copy_(torch.randn(p.shape, generator=g) * (gain / max(1, p[0].numel()) ** 0.5 if p.ndim > 1 else 0.1))
    return model.eval()


def fresh(name):
    folder = OUT / name / "model"
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def save(name, model, config=None):
    """The folder that save_pretrained writes, its config.json with other values."""
    folder = fresh(name)
    model.save_pretrained(folder)
    for junk in folder.glob("generation_config.json"):
        junk.unlink()
    written = json.loads((folder / "config.json").read_text()) | (config or {})
    written.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(written, indent=1) + "\n")
    return folder


def write(name, inputs, outputs, file="values"):
    for k, v in outputs.items():
        assert v.isfinite().all() and v.double().std() > 0 and (v.shape[0] == 1 or (v[0] != v[-1]).any()), (name, k)  # rows that tell something
    values = {f"in.{k}": v.contiguous() for k, v in inputs.items()}
    values |= {f"out.{k}": (v.float() if v.is_floating_point() else v.int()).contiguous() for k, v in outputs.items()}
    save_file(values, OUT / name / f"{file}.safetensors")
    for f in OUT.joinpath(name).rglob("*"):
        f.chmod(0o755 if f.is_dir() else 0o644)
    print(name, sum(f.stat().st_size for f in OUT.joinpath(name).rglob("*") if f.is_file()))


VOCODER = dict(model_in_dim=6, upsample_initial_channel=16, upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], resblock_kernel_sizes=[3, 5],
               resblock_dilation_sizes=[[1, 3], [1, 2]])


def vocoder(name, cls, config, seed, norm=None, **written):
    """norm puts weight_norm around convolutions, as files have it that were not folded."""
    if not wanted(name):
        return
    m = randomise(cls(config), seed, 1.6)
    m.mean.copy_(normal(6, seed=1) * 0.3)
    m.scale.copy_(normal(6, seed=2).abs() + 0.5)
    if norm:
        for layer in [x for x in m.modules() if isinstance(x, (nn.Conv1d, nn.ConvTranspose1d))]:
            norm(layer)
    folder = save(name, m, written)
    if norm:  # lengths that are not those of the directions
        file = load_file(folder / "model.safetensors")
        for i, k in enumerate(sorted(file)):
            if k.endswith(("weight_g", "original0")):
                file[k] = file[k] * (0.6 + normal(*file[k].shape, seed=i).abs() * 0.3)
        save_file(file, folder / "model.safetensors", metadata={"format": "pt"})
        m.load_state_dict(file)
    x = normal(2, 9, 6, seed=3)
    with torch.no_grad():
        y = m.double()(x.double())
    write(name, {"spectrogram": x}, {"waveform": y})


def reference_vocoder(name, seed):
    """Two convolutions a block, as V3 of the authors' repository; generator.pth as it saves it, with lengths and directions."""
    if not wanted(name):
        return

    class Block(nn.Module):
        def __init__(self, c, k, dilations):
            super().__init__()
            self.convs = nn.ModuleList([nn.utils.weight_norm(nn.Conv1d(c, c, k, 1, dilation=d, padding=(k * d - d) // 2)) for d in dilations])

        def forward(self, x):
            for c in self.convs:
                x = c(F.leaky_relu(x, 0.1)) + x
            return x

    class Generator(nn.Module):
        def __init__(self, bins, width, rates, kernels, sizes, dilations):
            super().__init__()
            self.conv_pre = nn.utils.weight_norm(nn.Conv1d(bins, width, 7, 1, padding=3))
            self.ups = nn.ModuleList([nn.utils.weight_norm(nn.ConvTranspose1d(width >> i, width >> i + 1, k, u, padding=(k - u) // 2))
                                      for i, (u, k) in enumerate(zip(rates, kernels))])
            self.resblocks = nn.ModuleList([Block(width >> i + 1, k, d) for i in range(len(rates)) for k, d in zip(sizes, dilations)])
            self.conv_post = nn.utils.weight_norm(nn.Conv1d(width >> len(rates), 1, 7, 1, padding=3))
            self.each = len(sizes)

        def forward(self, x):
            x = self.conv_pre(x)
            for i, up in enumerate(self.ups):
                x = up(F.leaky_relu(x, 0.1))
                x = sum(b(x) for b in self.resblocks[i * self.each:(i + 1) * self.each]) / self.each
            return torch.tanh(self.conv_post(F.leaky_relu(x)))

    m = randomise(Generator(6, 16, [4, 2], [8, 4], [3, 5], [[1, 2], [2, 6]]), seed)
    with torch.no_grad():
        for k, p in m.named_parameters():
            if k.endswith("weight_g"):
                p.copy_(1.2 + 0.2 * p)
    folder = fresh(name)
    torch.save({"generator": m.state_dict()}, folder / "generator.pth")
    config = dict(resblock="2", num_gpus=0, batch_size=16, num_mels=6, upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], upsample_initial_channel=16,
                  resblock_kernel_sizes=[3, 5], resblock_dilation_sizes=[[1, 2], [2, 6]], segment_size=8192, hop_size=8, sampling_rate=22050)
    (folder / "model.cue").write_text('package model\n\nimport "pipe.dev/layers/arch/hifigan"\n\n// The configuration as its authors wrote it.\nmodel: hifigan.#Generator & {config: '
                                      + json.dumps(config) + "}\n")
    x = normal(2, 6, 9, seed=3)
    with torch.no_grad():
        y = m.double()(x.double())[:, 0]
    write(name, {"spectrogram": x}, {"waveform": y})


def folded():
    """Weights as lengths and directions, and divided by their greatest singular value: quantised/normed.safetensors, .expected."""
    if not wanted("normed"):
        return
    file, plain = {}, {}
    for i, (name, shape, keep) in enumerate([("first", (3, 4, 5), (3, 1, 1)), ("last", (3, 4, 5), (1, 1, 5)), ("whole", (3, 4), (1, 1)), ("new", (4, 3, 2), (4, 1, 1))]):
        v, g = normal(*shape, seed=i), normal(*keep, seed=10 + i).abs() + 0.2
        names = (".parametrizations.weight.original1", ".parametrizations.weight.original0") if name == "new" else (".weight_v", ".weight_g")
        file |= {name + names[0]: v, name + names[1]: g}
        axes = [a for a in range(len(shape)) if keep[a] == 1]
        plain[name + ".weight"] = (v.double() * (g.double() / torch.linalg.vector_norm(v.double(), dim=axes, keepdim=True))).float()
    layer = nn.utils.spectral_norm(nn.Conv1d(4, 3, 5))
    layer.weight_orig.data = normal(3, 4, 5, seed=20)
    for _ in range(3):
        layer(normal(1, 4, 9))
    layer.eval().double()
    layer(normal(1, 4, 9).double())
    file |= {"spectral." + k: v.float() for k, v in layer.state_dict().items() if k != "bias"}
    w, u, v = (file["spectral.weight_" + k].double() for k in ("orig", "u", "v"))
    assert (w / torch.dot(u, torch.mv(w.flatten(1), v)) - layer.weight).abs().max() < 1e-6
    plain["spectral.weight"] = (w / torch.dot(u, torch.mv(w.flatten(1), v))).float()
    file["other.weight_g"] = normal(3)  # of nothing that is folded
    plain["other.weight_g"] = file["other.weight_g"]
    for suffix, tensors in {"": file, ".expected": plain}.items():
        path = OUT.parent / "quantised" / f"normed{suffix}.safetensors"
        save_file({k: v.detach().contiguous() for k, v in tensors.items()}, path)
        path.chmod(0o644)


POSITIONS, CHARACTERS = 20, "".join(chr(c) for c in range(ord(" "), ord("Z") + 2))
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]


def whisper_tokenizer(folder):
    """A byte-level BPE without merges: each token is a character, so that a text has the tokens it was made of."""
    chars = pre_tokenizers.ByteLevel.alphabet()
    vocab = {("\u0120" if c == " " else c): i for i, c in enumerate(CHARACTERS)}
    assert set(vocab) <= set(chars)
    t = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, special=True) for s in SPECIAL])
    t.add_tokens([AddedToken(f"<|{i * 0.02:.2f}|>", special=False) for i in range(POSITIONS + 1)])
    t.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": SPECIAL[0], "eos_token": SPECIAL[0]}) + "\n")
    return t


def chirp(n, seed):
    """Tones that wander, as 16-bit samples are read."""
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(n, dtype=torch.float64) / 16000
    x = torch.zeros(n, dtype=torch.float64)
    for _ in range(3):
        f, d, a, start = (torch.rand(4, generator=g, dtype=torch.float64) * torch.tensor([2500, 2000, 0.25, 0.5])).tolist()
        x += (0.05 + a) * torch.sin(2 * torch.pi * (200 + f + d * t) * t) * torch.sin(torch.pi * ((t / t[-1] + start) % 1)) ** 2
    x += 0.01 * torch.randn(n, generator=g, dtype=torch.float64)
    return ((x * 32767).round().clamp(-32768, 32767)).to(torch.int16)


def heard(model, wave, **how):
    """What generate makes of windows of 20 positions, in float64, and by how much each choice leads."""
    features = WhisperFeatureExtractor(feature_size=model.config.num_mel_bins)
    x = wave.double().numpy() / 32768
    mel = features(x, sampling_rate=16000, padding="do_not_pad", truncation=False, return_tensors="pt")["input_features"].double()
    with torch.no_grad():
        out = model.generate(mel, return_dict_in_generate=True, output_scores=True, force_unique_generate_call=True, **how)
    scores = torch.stack(out.scores)[:, 0].topk(2, dim=-1).values
    gap = (scores[:, 0] - scores[:, 1]).min().item()
    ids = out.sequences[0].tolist()
    return ids[len(ids) - len(out.scores):], gap


def whisper(name):
    """A tiny model with its tokenizer: speech.wav of a window and 0.37 s more; texts.json, what transformers' generate makes of the first window."""
    if not wanted(name):
        return
    n = len(CHARACTERS)
    config = WhisperConfig(vocab_size=n + len(SPECIAL) + POSITIONS + 1, num_mel_bins=10, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
                           decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=20, max_source_positions=POSITIONS, max_target_positions=36,
                           decoder_start_token_id=n + 1, pad_token_id=n, bos_token_id=n, eos_token_id=n, suppress_tokens=None, begin_suppress_tokens=None)
    generation = GenerationConfig(decoder_start_token_id=n + 1, eos_token_id=n, pad_token_id=n, bos_token_id=n, is_multilingual=True, lang_to_id={"<|en|>": n + 2, "<|de|>": n + 3},
                                  task_to_id={"translate": n + 4, "transcribe": n + 5}, no_timestamps_token_id=n + 9, suppress_tokens=[3, 7, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8],
                                  begin_suppress_tokens=[0, n], max_initial_timestamp_index=8, return_timestamps=False, max_length=36)
    cases = [dict(language="en", task="transcribe"), dict(language="de", task="translate"), dict(task="transcribe"), dict(language="en", task="transcribe", return_timestamps=True)]
    for seed in range(1, 600):
        m = WhisperForConditionalGeneration(config)
        g = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for key, p in sorted(m.named_parameters()):
                noise = torch.randn(p.shape, generator=g)
                if "norm" in key and key.endswith("weight"):
                    p.copy_((1.5 if "decoder.layer_norm" in key else 1) * (1 + 0.3 * noise))
                elif "embed_positions" in key:
                    p.copy_((2.5 if "decoder" in key else 0.3) * noise)
                elif "embed_tokens" in key:
                    p.copy_(0.5 * noise)
                elif "encoder_attn" in key:
                    p.copy_(0.5 * noise)
                else:
                    p.copy_(0.5 * noise)
        m.generation_config = generation
        wave = chirp(6400 + 5920, seed)
        first = wave[:6400]
        m = m.eval().double()
        made = [heard(m, first, **cases[0])]
        if made[0][1] < 2e-3 or len(set(made[0][0])) < 6:
            continue
        made += [heard(m, first, **c) for c in cases[1:]]
        texts, gap = [x[0] for x in made], min(x[1] for x in made)
        free = [t for t in texts[:3]]
        times = [i - n - 10 for i in texts[3] if i >= n + 10]
        told = texts[2] != heard(m, first, language="en", task="transcribe")[0]
        if gap > 2e-3 and all(len(set(t)) > 5 for t in free) and sum(t[-1] == n for t in texts) in (1, 2, 3) and len(set(times)) > 2 and told and free[0] != free[1]:
            break
    else:
        raise AssertionError(f"{name}: no seed gives texts that tell something")
    print(name, "seed", seed, "gap", round(gap, 4), texts)
    folder = save(name, m.float(), {})
    generation.save_pretrained(folder)
    t = whisper_tokenizer(folder)
    m = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    soundfile.write(OUT / name / "speech.wav", wave.numpy(), 16000, subtype="PCM_16")
    cases = [c | dict(ids=ids, text=t.decode(ids, skip_special_tokens=True)) for c, ids in zip(cases, texts)]
    mel = WhisperFeatureExtractor(feature_size=10)(first.double().numpy() / 32768, sampling_rate=16000, padding="do_not_pad", truncation=False, return_tensors="pt")["input_features"]
    with torch.no_grad():
        parts = m.generate(mel.double(), return_timestamps=True, return_segments=True, language="en", task="transcribe")["segments"][0]
    plain = lambda ids: t.decode([i for i in ids if i < n], skip_special_tokens=True)
    seen = 0  # of the first window: later ones are filled up with other features
    for p in parts:
        ids = p["tokens"].tolist()
        if texts[3][seen:seen + len(ids)] != ids:
            break
        seen += len(ids)
        cases[3].setdefault("segments", []).append({"from": round(float(p["start"]), 2), "to": round(float(p["end"]), 2), "text": plain(ids)})
    (OUT / name / "texts.json").write_text(json.dumps({"window": 6400, "cases": cases}, indent=1) + "\n")
    ids = torch.randint(0, n, (2, 9), generator=torch.Generator().manual_seed(7))
    samples = torch.stack([wave[:6400], wave[5920:12320]]).double() / 32768
    features = WhisperFeatureExtractor(feature_size=10)
    mel = features(list(samples.numpy()), sampling_rate=16000, padding="do_not_pad", truncation=False, return_tensors="pt")["input_features"].double()
    with torch.no_grad(), double():
        y = m(input_features=mel, decoder_input_ids=ids)
    write(name, {"samples": samples.float(), "decoder_ids": ids.int()}, {"input_features": mel, "hidden": y.encoder_last_hidden_state, "logits": y.logits})


def codec(name, seed):
    if not wanted(name):
        return
    config = DacConfig(encoder_hidden_size=6, decoder_hidden_size=16, downsampling_ratios=[2, 4], n_codebooks=3, codebook_size=16, codebook_dim=4, sampling_rate=16000)
    m = randomise(DacModel(config), seed, 0.8)
    with torch.no_grad():
        for i, (key, p) in enumerate(sorted(m.named_parameters())):
            if key.endswith("alpha"):
                p.copy_(0.4 + normal(*p.shape, seed=i).abs())
            if "codebook" in key:
                p.copy_(normal(*p.shape, seed=i))
    m = m.double()
    x = normal(2, 8 * 23, seed=1) * 0.6
    codes = torch.randint(0, 16, (2, 3, 23), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        y = m.encode(x.double()[:, None])
        wave = m.decode(audio_codes=codes).audio_values
    assert all(len(set(y.audio_codes[:, i].flatten().tolist())) > 5 for i in range(3))
    save(name, m.float())
    write(name, {"samples": x, "codes_in": codes.int()}, {"codes": y.audio_codes, "latents": y.quantized_representation, "waveform": wave})


def encodec(name, seed, bandwidth, **more):
    """Weights as lengths and directions, as published files have them; codebooks are buffers."""
    if not wanted(name):
        return
    config = EncodecConfig(target_bandwidths=[4.0, 24.0], sampling_rate=8000, hidden_size=6, num_filters=4, upsampling_ratios=[4, 2], codebook_size=16, **more)
    m = EncodecModel(config)
    with torch.no_grad():
        for i, (key, p) in enumerate(sorted(m.named_parameters())):
            x = normal(*p.shape, seed=seed * 100 + i)
            p.copy_(0.7 + 0.2 * x.abs() if key.endswith("original0") else 0.3 * x if "lstm" in key else 0.1 * x if p.ndim == 1 else x)
        x = normal(2, 8 * 24, seed=1) * 0.6
        h = m.eval().encoder(x[:, None])
        mean, std = h.mean((0, 2)), h.std((0, 2))
        for i, b in enumerate(m.quantizer.layers):
            b.codebook.embed.copy_(normal(16, 6, seed=i) * std * 0.7 ** i + (mean if i == 0 else 0))
            b.codebook.embed_avg.copy_(b.codebook.embed)
    m = m.double()
    with torch.no_grad():
        codes = m.encode(x.double()[:, None], bandwidth=bandwidth).audio_codes[0]
        given = torch.randint(0, 16, codes.shape, generator=torch.Generator().manual_seed(2))
        wave = m.decode(given[None], [None]).audio_values[:, 0]
        latents = m.quantizer.decode(codes.transpose(0, 1))
    assert all(len(set(codes[:, i].flatten().tolist())) > 4 for i in range(codes.shape[1])), codes
    save(name, m.float(), {} if bandwidth == 24.0 else {"bandwidth": bandwidth})
    write(name, {"samples": x, "codes_in": given.int()}, {"codes": codes, "latents": latents, "waveform": wave})


def acoustic(name, seed, **more):
    if not wanted(name):
        return
    config = FastSpeech2ConformerConfig(**dict(
        hidden_size=12, vocab_size=20, num_mel_bins=6, encoder_num_attention_heads=2, encoder_layers=2, encoder_linear_units=16, decoder_layers=2, decoder_num_attention_heads=3,
        decoder_linear_units=16, speech_decoder_postnet_layers=3, speech_decoder_postnet_units=8, encoder_kernel_size=3, decoder_kernel_size=5, duration_predictor_channels=8,
        energy_predictor_channels=8, pitch_predictor_layers=3, pitch_predictor_channels=8) | more)
    m = randomise(FastSpeech2ConformerModel(config), seed)
    with torch.no_grad():
        for i, (key, p) in enumerate(sorted(m.named_parameters())):
            if "norm" in key and key.endswith("weight"):
                p.copy_(1 + 0.2 * normal(*p.shape, seed=i))
        for i, (key, b) in enumerate(sorted(m.named_buffers())):
            if "running" in key:
                b.copy_(normal(*b.shape, seed=i).abs() * 0.3 + 0.5 if key.endswith("var") else normal(*b.shape, seed=i) * 0.2)
        m.duration_predictor.linear.bias.fill_(1.1)
    m = m.double()
    ids = torch.randint(1, 20, (1, 7), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        narrow, torch.float = torch.float, torch.float64  # which frames are made in else
        y = m(ids, return_dict=True)
        torch.float = narrow
    lasting = y.duration_outputs[0].long()
    assert lasting.min() >= 0 and len(set(lasting.tolist())) > 2, lasting
    places = torch.repeat_interleave(torch.arange(7), lasting)[None]
    save(name, m.float())
    write(name, {"ids": ids.int(), "places": places.int()},
          {"durations": y.duration_outputs.long(), "pitch": y.pitch_outputs, "energy": y.energy_outputs, "spectrogram": y.spectrogram})


def vits(name, seed, **more):
    """randn and randn_like give noise that is known; weights as lengths and directions, as published files have them."""
    if not wanted(name):
        return
    config = VitsConfig(**dict(
        vocab_size=20, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, window_size=2, ffn_dim=16, flow_size=8, spectrogram_bins=9, upsample_initial_channel=16,
        upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], resblock_kernel_sizes=[3, 5], resblock_dilation_sizes=[[1, 3], [1, 2]], duration_predictor_flow_bins=5,
        duration_predictor_num_flows=3, prior_encoder_num_flows=2, prior_encoder_num_wavenet_layers=3, posterior_encoder_num_wavenet_layers=1, wavenet_dilation_rate=2) | more)
    m = randomise(VitsModel(config), seed)
    with torch.no_grad():
        for i, (key, p) in enumerate(sorted(m.named_parameters())):
            x = normal(*p.shape, seed=seed * 1000 + i)
            if "norm" in key and key.endswith("weight"):
                p.copy_(1 + 0.2 * x)
            elif key.endswith("original0"):
                p.copy_(0.6 + 0.2 * x.abs())
            elif key.startswith("duration_predictor.flows") and "conv_proj.weight" in key:
                p.copy_(x * 1.5)
        m.duration_predictor.flows[0].translate.fill_(-0.7)
        m.duration_predictor.flows[0].log_scale.copy_(torch.tensor([[0.3], [-0.2]]))
    m = m.double().eval()
    ids = torch.randint(1, 20, (1, 9), generator=torch.Generator().manual_seed(seed))
    first, noise, seen = normal(1, 2, 9, seed=1), normal(1, 8, 400, seed=2), {}
    randn, like = torch.randn, torch.randn_like
    torch.randn = lambda *size, **k: first.double() if size == (1, 2, 9) else randn(*size, **k)
    torch.randn_like = lambda x, **k: noise[:, :, :x.shape[2]].double()
    m.duration_predictor.register_forward_hook(lambda module, inputs, output: seen.update(log=output))
    speaker = {"speaker_id": 2} if config.num_speakers > 1 else {}
    with torch.no_grad():
        y = m(ids, **speaker)
    torch.randn, torch.randn_like = randn, like
    lasting = torch.ceil(torch.exp(seen["log"])[0, 0] / config.speaking_rate).long()
    places = torch.repeat_interleave(torch.arange(9), lasting)[None]
    frames = places.shape[1]
    assert len(set(lasting.tolist())) > 3 and frames < 400 and y.waveform.shape[1] == 8 * frames, lasting
    save(name, m.float())
    inputs = {"ids": ids.int(), "places": places.int(), "duration_noise": first, "noise": noise[:, :, :frames]}
    write(name, inputs | ({"speaker": torch.tensor([2], dtype=torch.int32)} if speaker else {}), {"durations": lasting[None], "waveform": y.waveform})


def converter(name, seed):
    """Speech of one speaker in the voice of another, by the parts of VITS, as the authors' voice_conversion puts them together."""
    if not wanted(name):
        return
    config = dict(
        vocab_size=20, hidden_size=12, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, flow_size=8, spectrogram_bins=9, upsample_initial_channel=16, num_speakers=4, speaker_embedding_size=6,
        upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], resblock_kernel_sizes=[3, 5], resblock_dilation_sizes=[[1, 3], [1, 2]], duration_predictor_num_flows=2,
        prior_encoder_num_flows=2, prior_encoder_num_wavenet_layers=2, posterior_encoder_num_wavenet_layers=3, wavenet_dilation_rate=2, sampling_rate=16000)
    m = randomise(VitsModel(VitsConfig(**config)), seed).double()
    x, noise, source, target = 0.3 * normal(2, 104, seed=1), normal(2, 8, 13, seed=2), torch.tensor([2, 0]), torch.tensor([1, 3])
    like, torch.randn_like = torch.randn_like, lambda *a, **k: noise.double()
    with torch.no_grad():
        wave = F.pad(x.double()[:, None], (4, 4), "reflect")[:, 0]
        z = torch.stft(wave, 16, 8, 16, torch.hann_window(16, dtype=torch.float64), center=False, return_complex=True)
        spectrogram, mask = (z.real**2 + z.imag**2 + 1e-6).sqrt(), torch.ones(2, 1, 13, dtype=torch.float64)
        before, after = m.embed_speaker(source)[..., None], m.embed_speaker(target)[..., None]
        latents, _, _ = m.posterior_encoder(spectrogram, mask, before)
        y = m.decoder(m.flow(m.flow(latents, mask, before), mask, after, reverse=True), after)[:, 0]
    torch.randn_like = like
    folder = save(name, m.float())
    (folder / "config.json").unlink()
    (folder / "model.cue").write_text('package model\n\nimport "pipe.dev/layers/arch/vits"\n\n// The config.json, of which another part is asked.\nmodel: vits.#Converter & {config: '
                                      + json.dumps(dict(model_type="vits") | config) + "}\n")
    keep = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith(("text_encoder", "duration_predictor"))}
    save_file(keep, folder / "model.safetensors", metadata={"format": "pt"})
    write(name, {"samples": x, "noise": noise, "source": source.int(), "target": target.int()}, {"waveform": y})


if __name__ == "__main__":
    logging.set_verbosity_error()
    torch.use_deterministic_algorithms(True)
    folded()
    vocoder("hifigan", SpeechT5HifiGan, SpeechT5HifiGanConfig(**VOCODER), 1)
    vocoder("hifigan_normed", SpeechT5HifiGan, SpeechT5HifiGanConfig(**VOCODER, normalize_before=False), 2, nn.utils.weight_norm)
    vocoder("hifigan_parametrized", FastSpeech2ConformerHifiGan, FastSpeech2ConformerHifiGanConfig(**VOCODER, leaky_relu_slope=0.2), 3, nn.utils.parametrizations.weight_norm)
    vocoder("hifigan_older", FastSpeech2ConformerHifiGan, FastSpeech2ConformerHifiGanConfig(**VOCODER), 4, nn.utils.weight_norm, model_type="hifigan")
    reference_vocoder("hifigan_reference", 5)
    whisper("whisper")
    codec("dac", 6)
    acoustic("fastspeech2", 9)
    acoustic("fastspeech2_before", 10, encoder_normalize_before=True, decoder_normalize_before=True, convolution_bias=False, reduction_factor=2, energy_embed_kernel_size=3)
    vits("vits", 11)
    vits("vits_speakers", 12, num_speakers=4, speaker_embedding_size=6, ffn_kernel_size=4, speaking_rate=0.8, use_bias=False)
    converter("vits_converter", 13)
    encodec("encodec", 7, 24.0)
    encodec("encodec_narrow", 8, 4.0, num_residual_layers=2, use_conv_shortcut=False, num_lstm_layers=1)
