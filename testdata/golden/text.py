"""A whole model folder with a tokenizer, and the text that transformers makes with it.

    python testdata/golden/text.py

text/ holds a random Llama in f16 (config.json, model.safetensors), a byte-level BPE tokenizer (tokenizer.json,
tokenizer_config.json) and expected.json: for each prompt its ids, the ids that argmax gives after them in float64
until the token that ends a text or max_tokens, and their text.
"""

import json
import os
import shutil

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

import arch
from reference import folder, write_json

TEXT = """The miller had three sons, his mill, a donkey and a cat. The sons had to grind, the donkey had to haul grain
and carry flour, and the cat had to catch mice. When the miller died, the three sons divided the inheritance: the
oldest received the mill, the second the donkey, and nothing was left for the third but the cat. Grüße, naïve café, 12 345 times."""
VOCAB = 384
PROMPTS = [("The cat had", 24), ("", 12), ("naïve café: 漢字 \n\n 12", 24)]


def tokenizer(path):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator([TEXT], trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    t.save(os.path.join(path, "tokenizer.json"))
    write_json(os.path.join(path, "tokenizer_config.json"), {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
    return t


def greedy(model, prompt, most, end):
    ids, smallest = torch.tensor(prompt), float("inf")
    for _ in range(most):
        logits, _ = arch.forward(model, ids[None])
        best = logits[0, -1].topk(2)
        smallest = min(smallest, (best.values[0] - best.values[1]).item())
        if best.indices[0].item() == end:
            break
        ids = torch.cat([ids, best.indices[:1]])
    assert smallest > arch.MIN_GAP, smallest
    return ids[len(prompt):].tolist()


def main():
    path = folder("text")
    shutil.rmtree(path)
    os.makedirs(path)
    t = tokenizer(path)
    config = LlamaConfig(**arch.SIZES | dict(vocab_size=t.get_vocab_size()), rms_norm_eps=1e-5, tie_word_embeddings=True,
                         rope_parameters=dict(rope_type="default", rope_theta=10000.0))
    net = LlamaForCausalLM(config)
    arch.fill(net, torch.Generator().manual_seed(11))
    net.to(torch.float16).save_pretrained(path)
    net = arch.load(path)
    cases = []
    for prompt, most in PROMPTS:
        ids = t.encode(prompt).ids
        made = greedy(net, ids, most, 2)
        cases.append({"prompt": prompt, "max_tokens": most, "ids": ids, "made": made, "text": t.decode(made, skip_special_tokens=True)})
        print(cases[-1])
    write_json(os.path.join(path, "expected.json"), {"cases": cases})
    print(sum(os.path.getsize(os.path.join(path, f)) for f in os.listdir(path)), "bytes")


if __name__ == "__main__":
    logging.disable_progress_bar()
    torch.use_deterministic_algorithms(True)
    main()
