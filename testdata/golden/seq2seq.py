"""Tiny random encoder-decoder models as Hugging Face folders, with float64 reference values; beam search.

    python testdata/golden/seq2seq.py

Every folder under seq2seq/ is what save_pretrained writes, plus

    expected.safetensors   ids          int32 [2, 160]  the source; row 1 is padded from lengths[1] on
                           lengths      int32 [2]
                           decoder_ids  int32 [2, 24]
                           logits       f32   [2, 24, vocab]
                           PATH         f32   [24, d_model], row 0 of what the module at PATH gives, its first positions
                           greedy       int32 [2, 24]: the id that text begins with, and 23 by argmax, of each source
    beams.json             what generate gives by beam search for row 0 and row 1, with several settings: ids and scores

Values are computed in float64 from the weights as stored; beam search is that of transformers, on these logits.
beams/ holds the same for models of arch/: NAME.json.
"""

import json
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, T5Config
from transformers.utils import logging

from decoders import load as load_decoder
from reference import double, folder, write_cases, write_json

SIZES = dict(vocab_size=64, d_model=32, d_kv=12, d_ff=48, num_layers=3, num_decoder_layers=2, num_heads=4, decoder_start_token_id=0)
SOURCE, TEXT, SHORT = 160, 24, 11
MIN_GAP = 1e-3

MODELS = {  # name: configuration, whether logits have weights of their own
    "t5": (T5Config(**SIZES), False),
    "t5_v11": (T5Config(**SIZES | dict(num_layers=2), feed_forward_proj="gated-gelu", relative_attention_num_buckets=16,
                        relative_attention_max_distance=40), True),
}

# num_beams, length_penalty, early_stopping, max_new_tokens
SETTINGS = [(2, 1.0, False, 20), (4, 1.0, False, 20), (4, 0.0, False, 20), (4, 2.0, False, 20), (4, -1.0, False, 20), (4, 1.0, True, 20),
            (3, 2.0, "never", 20), (3, 0.6, "never", 20), (5, 0.6, True, 12), (4, 1.0, False, 6)]


def fill(net, generator):
    """Random weights, of a size that spreads logits and lets attention choose."""
    with torch.no_grad():
        for name, p in sorted(net.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            if p.dim() == 1:
                p.copy_((4 if name == "decoder.final_layer_norm.weight" else 1) * (1 + 0.4 * noise))
            elif "relative_attention_bias" in name:
                p.copy_(1.5 * noise)
            elif "Attention.q" in name:
                p.copy_(0.1 * noise)
            elif name == "shared.weight":
                p.copy_(0.6 * noise)
            else:
                p.copy_(0.25 * noise)


def hooks(net, keep, seen):
    def hook(name):
        def take(module, inputs, output):
            seen[name] = (output[0] if isinstance(output, tuple) else output)[0]
        return take
    parts = dict(net.named_modules())
    return [parts[name].register_forward_hook(hook(name)) for name in keep]


def masked(ids, lengths):
    return (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()


def forward(net, ids, lengths, decoder_ids, keep=()):
    seen = {}
    taken = hooks(net, keep, seen)
    with torch.no_grad(), double():
        logits = net(input_ids=ids, attention_mask=masked(ids, lengths), decoder_input_ids=decoder_ids, use_cache=False).logits
    for h in taken:
        h.remove()
    assert all(t.dtype == torch.float64 for t in [logits, *seen.values()])
    return logits, seen


def greedy(net, ids, lengths):
    rows, smallest = [], float("inf")
    for row in range(len(ids)):
        text = torch.zeros(1, 1, dtype=torch.long)
        while text.shape[1] < TEXT:
            logits, _ = forward(net, ids[row:row + 1], lengths[row:row + 1], text)
            best = logits[0, -1].topk(2)
            smallest = min(smallest, (best.values[0] - best.values[1]).item())
            text = torch.cat([text, best.indices[None, :1]], dim=1)
        rows.append(text[0])
    return torch.stack(rows), smallest


def beams(net, prompts, more=lambda row: {}, end=1):
    """What beam search gives for every prompt and setting."""
    cases = []
    for row, prompt in enumerate(prompts):
        for n, penalty, early, new in SETTINGS:
            with torch.no_grad(), double():
                out = net.generate(input_ids=prompt[None], num_beams=n, length_penalty=penalty, early_stopping=early, max_new_tokens=new,
                                   num_return_sequences=n, do_sample=False, eos_token_id=end, pad_token_id=0, min_new_tokens=0,
                                   return_dict_in_generate=True, output_scores=True, **more(row))
            skip = 1 if net.config.is_encoder_decoder else len(prompt)
            texts = []
            for ids in out.sequences[:, skip:].tolist():
                texts.append(ids[:ids.index(end) + 1] if end in ids else ids)
            cases.append(dict(row=row, num_beams=n, length_penalty=penalty, early_stopping=str(early).lower(), max_tokens=new,
                              ids=texts, scores=out.sequences_scores.tolist()))
    return cases


def telling(cases, end):
    """Whether settings matter, texts end early and late, and no two scores are near."""
    best = [{json.dumps(c["ids"][0]) for c in cases if c["row"] == row} for row in (0, 1)]
    gaps = [a - b for c in cases for a, b in zip(c["scores"], c["scores"][1:])]
    ended = [c["ids"][0][-1] == end for c in cases]
    return max(map(len, best)) > 3 and min(map(len, best)) > 1 and min(gaps) > 1e-5 and 0.2 < sum(ended) / len(ended) < 1


def with_end(net, prompts, candidates, more):
    """Beam search with the first of candidates as the id that ends a text with which settings matter."""
    for end in candidates:
        cases = beams(net, prompts, more, end)
        if telling(cases, end):
            return [c | dict(end=end) for c in cases]
    return None


def make(name, config, own_head):
    path = folder(f"seq2seq/{name}")
    for seed in range(1, 400):
        generator = torch.Generator().manual_seed(seed)
        net = AutoModelForSeq2SeqLM.from_config(config)
        fill(net, generator)
        ids = torch.randint(2, config.vocab_size, (2, SOURCE), generator=generator)
        lengths = torch.tensor([SOURCE, SHORT])
        ids[1, SHORT:] = 0
        text = torch.randint(2, config.vocab_size, (2, TEXT), generator=generator)
        text[:, 0] = 0
        with torch.no_grad():
            draft = net.eval().generate(input_ids=ids, attention_mask=masked(ids, lengths), do_sample=False, max_new_tokens=TEXT - 1, eos_token_id=None)
        if not own_head and min(len(set(t)) for t in draft.tolist()) < 5:
            continue
        shutil.rmtree(path, ignore_errors=True)
        net.save_pretrained(path)
        if os.path.exists(os.path.join(path, "generation_config.json")):
            os.remove(os.path.join(path, "generation_config.json"))
        if own_head:  # as published files have it
            file = os.path.join(path, "model.safetensors")
            weights = load_file(file)
            weights["lm_head.weight"] = 0.12 * torch.randn(config.vocab_size, config.d_model, generator=generator)
            save_file(weights, file, metadata={"format": "pt"})
            with open(os.path.join(path, "config.json")) as f:
                written = json.load(f)
            written.pop("scale_decoder_outputs")
            write_json(os.path.join(path, "config.json"), written | dict(tie_word_embeddings=False))
        net = AutoModelForSeq2SeqLM.from_pretrained(path, dtype=torch.float64, attn_implementation="eager").eval()
        assert torch.equal(net.lm_head.weight, net.shared.weight) != own_head
        tokens, gap = greedy(net, ids, lengths)
        if gap < MIN_GAP or min(len(set(t.tolist())) for t in tokens) < 5:
            continue
        made = sorted(set(tokens[:, 1:].flatten().tolist()))
        cases = with_end(net, ids, made, lambda row: dict(attention_mask=masked(ids, lengths)[row:row + 1]))
        print(name, "seed", seed, "gap", round(gap, 4), "telling" if cases else "")
        if cases:
            break
    else:
        raise AssertionError(f"{name}: no seed gives beams that differ")
    keep = ["encoder.block.1", "encoder.final_layer_norm", "decoder.block.0", "decoder.block.1", "decoder.final_layer_norm"]
    logits, seen = forward(net, ids, lengths, text, keep)
    expected = dict(ids=ids.int(), lengths=lengths.int(), decoder_ids=text.int(), logits=logits.float(), greedy=tokens.int())
    expected |= {k: v[:TEXT].float().contiguous() for k, v in seen.items()}
    save_file(expected, os.path.join(path, "expected.safetensors"))
    write_cases(os.path.join(path, "beams.json"), {}, cases)
    print(sum(os.path.getsize(os.path.join(path, f)) for f in os.listdir(path)), "bytes", [c["ids"][0] for c in cases][:4])


def make_decoder(name):
    """Beam search of a model of arch/, whose prompts are the first ids of both rows; the end is an id that texts come to."""
    path = os.path.join(folder("arch"), name)
    net = load_decoder(path)
    ids = load_file(os.path.join(path, "expected.safetensors"))["ids"].long()
    cases = with_end(net, ids[:, :7], range(1, 64), lambda row: dict(attention_mask=torch.ones(1, 7, dtype=torch.long)))
    assert cases, f"{name}: no end gives beams that differ"
    write_cases(os.path.join(folder("seq2seq"), f"{name}.beams.json"), {}, cases)
    print(name, [c["ids"][0] for c in cases][:4])


if __name__ == "__main__":
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.use_deterministic_algorithms(True)
    for name, spec in MODELS.items():
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            make(name, *spec)
    for name in ["gpt2", "mistral"]:
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            make_decoder(name)
