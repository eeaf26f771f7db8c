"""Batches of texts of several lengths, padded, through the models of arch/ and encoder/.

    python testdata/golden/padded.py [NAME ...]

padded/NAME.safetensors of a language model (padding on the left, as its generation wants it):

    ids     int32 [3, 17]         0 where padding is
    mask    int32 [3, 17]         1 at tokens, 0 at padding
    logits  f32   [3, 17, vocab]  of positions with a token; 0 elsewhere
    greedy  int32 [3, 8]          what argmax gives after each row, batched, each step a whole forward pass

and of an encoder (padding on the right): ids, mask, and hidden f32 [3, 17, hidden].

Values are computed in float64 from the weights as stored.
"""

import json
import os
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel
from transformers.utils import logging

import gptq
from decoders import MIN_GAP, load
from reference import HERE, double, folder

SEQ, NEW = 17, 8
LENGTHS = [17, 4, 11]
LONGER = [17, 10, 13]  # where how rotary positions are scaled goes by the length: all on one side of the border


def batch(lengths, vocab, left, generator):
    ids, mask = torch.zeros(len(lengths), SEQ, dtype=torch.long), torch.zeros(len(lengths), SEQ, dtype=torch.long)
    for row, n in enumerate(lengths):
        at = slice(SEQ - n, SEQ) if left else slice(0, n)
        ids[row, at] = torch.randint(3, vocab, (n,), generator=generator)
        mask[row, at] = 1
    return ids, mask


def logits_of(model, ids, mask):
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad(), double():
        out = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False).logits
    assert out.dtype == torch.float64
    return out


def dense(path):
    """The model that matrices in 8-bit floats with a scale for each block stand for."""
    with tempfile.TemporaryDirectory() as to:
        stored = load_file(os.path.join(path, "model.safetensors"))
        scales = {n: stored.pop(n) for n in list(stored) if n.endswith("_scale_inv")}
        for n, s in scales.items():
            w = stored[n.removesuffix("_scale_inv")].float()
            rows, columns = w.shape[0] // s.shape[0], w.shape[1] // s.shape[1]
            stored[n.removesuffix("_scale_inv")] = w * s.repeat_interleave(rows, 0).repeat_interleave(columns, 1)
        save_file(stored, os.path.join(to, "model.safetensors"), metadata={"format": "pt"})
        with open(os.path.join(path, "config.json")) as f:
            config = json.load(f)
        del config["quantization_config"]
        with open(os.path.join(to, "config.json"), "w") as f:
            json.dump(config, f)
        return load(to)


def language(name):
    path = os.path.join(HERE, "arch", name)
    model = dense(path) if name == "llama_fp8" else gptq.opened(path, load) if name == "llama_gptq" else load(path)
    long = getattr(model.config, "rope_parameters", None) or {}
    if name == "phi3_long":  # what a context longer than the trained one gives, from the first token on
        config = type(model.config).from_pretrained(path)
        config.rope_parameters["short_factor"] = long["long_factor"]
        model = load(path, config)
    for seed in range(1, 100):  # until no greedy step is a near tie
        ids, mask = batch(LONGER if name == "phi3_long" else LENGTHS, model.config.vocab_size, True, torch.Generator().manual_seed(seed))
        logits = logits_of(model, ids, mask)
        greedy, gap, now = [], float("inf"), (ids, mask)
        for _ in range(NEW):
            best = logits_of(model, *now)[:, -1].topk(2)
            gap = min(gap, (best.values[:, 0] - best.values[:, 1]).min().item())
            greedy.append(best.indices[:, :1])
            now = torch.cat([now[0], best.indices[:, :1]], 1), torch.cat([now[1], torch.ones(len(ids), 1, dtype=torch.long)], 1)
        if gap > MIN_GAP:
            break
    alone = logits_of(model, ids[1:2, SEQ - int(mask[1].sum()):], torch.ones(1, int(mask[1].sum()), dtype=torch.long))
    assert (alone[0] - logits[1, SEQ - int(mask[1].sum()):]).abs().max() < 1e-9, "padding changes nothing"
    return dict(ids=ids.int(), mask=mask.int(), logits=(logits * mask[..., None]).float(), greedy=torch.cat(greedy, 1).int())


def encoder(name):
    model = AutoModel.from_pretrained(os.path.join(HERE, "encoder", name), attn_implementation="eager", dtype=torch.float64).eval()
    ids, mask = batch(LENGTHS, model.config.vocab_size, False, torch.Generator().manual_seed(1))
    with torch.no_grad(), double():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        blind = model(input_ids=ids).last_hidden_state
    assert hidden.dtype == torch.float64
    assert (hidden - blind)[1, : LENGTHS[1]].abs().max() > 0.01, "the mask matters"
    return dict(ids=ids.int(), mask=mask.int(), hidden=(hidden * mask[..., None]).float())


if __name__ == "__main__":
    logging.disable_progress_bar()
    for kind, make in [("arch", language), ("encoder", encoder)]:
        for name in sorted(os.listdir(os.path.join(HERE, kind))):
            if len(sys.argv) > 1 and name not in sys.argv[1:] or name == "grok":  # that is grok.py's
                continue
            path = os.path.join(folder("padded"), name + ".safetensors")
            save_file({k: v.contiguous() for k, v in make(name).items()}, path)
            print(f"{name:13} {os.path.getsize(path):6} bytes")
