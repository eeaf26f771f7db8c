"""Vectors of texts by sentence-transformers: of a tiny random encoder, and of all-MiniLM-L6-v2.

    python testdata/golden/embed.py [FOLDER of all-MiniLM-L6-v2]

embed/encoder/ is what SentenceTransformer.save writes of a random BERT whose vocabulary is letters and some words; its
tokenizer.json asks for a truncation and a padding that do not count, and a text may have 12 tokens. embed/texts.json holds
texts; embed/encoder.safetensors the vectors of each, f32 [texts, width]: `folder` as the folder says (mean, length 1), one of
each way of pooling without a length, `query` with the prompt of that name; and embed/minilm.safetensors those of the real model.

Values are computed in float64 from the weights as stored, all texts in one padded batch.
"""

import json
import os
import shutil
import sys

import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from transformers.utils import logging

from decoders import fill
from reference import HERE, double, folder, write_json

TEXTS = [
    "How old are you?",
    "What is your age?",
    "The cat sat on the mat.",
    "A feline rested on the rug, quite lazily, all through the long and quiet afternoon, until the rain began; then it left.",
    "Zürich is 3 km² of naïve café 東京 🙂 \t\n tabs.",
]
WAYS = {"cls": "cls", "max": "max", "mean": "mean", "mean_sqrt_len": "mean_sqrt_len_tokens", "weightedmean": "weightedmean", "last": "lasttoken"}
LIMIT = 12


def tokenizer(path):
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    words = ["the", "what", "is", "your", "age", "how", "old", "are", "you", "cat", "on", "##at", "##ing", "query", ":"]
    vocab = {t: i for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "?", ".", ",", *letters, *("##" + c for c in letters), *words])}
    t = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    t.post_processor = processors.BertProcessing(("[SEP]", vocab["[SEP]"]), ("[CLS]", vocab["[CLS]"]))
    special = dict(unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    PreTrainedTokenizerFast(tokenizer_object=t, model_max_length=64, **special).save_pretrained(path)
    return len(vocab)


def build(path):
    tmp = path + ".base"
    size = tokenizer(tmp)
    net = BertModel(BertConfig(vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
                               max_position_embeddings=64, pad_token_id=0))
    fill(net, torch.Generator().manual_seed(3))
    net.save_pretrained(tmp)
    body = Transformer(tmp, max_seq_length=LIMIT)
    made = SentenceTransformer(modules=[body, Pooling(32, "mean"), Normalize()], prompts={"query": "query: ", "document": ""}, device="cpu")
    made.save(path, create_model_card=False)
    shutil.rmtree(tmp)
    name = os.path.join(path, "tokenizer.json")
    t = Tokenizer.from_file(name)
    t.enable_truncation(8)
    t.enable_padding(length=16)
    t.save(name)


def encode(model, texts, **more):
    with torch.no_grad(), double():
        out = model.double().encode(texts, convert_to_tensor=True, batch_size=len(texts), **more)
    assert out.dtype == torch.float64
    return out.float().contiguous()


def opened(path):
    return SentenceTransformer(path, device="cpu", model_kwargs=dict(attn_implementation="eager", torch_dtype=torch.float64))


if __name__ == "__main__":
    logging.disable_progress_bar()
    path = os.path.join(folder("embed"), "encoder")
    shutil.rmtree(path, ignore_errors=True)
    build(path)
    write_json(os.path.join(HERE, "embed/texts.json"), TEXTS)
    model = opened(path)
    assert model.max_seq_length == LIMIT
    values = {"folder": encode(model, TEXTS), "query": encode(model, TEXTS, prompt_name="query")}
    for name, mode in WAYS.items():
        part = SentenceTransformer(modules=[model[0], Pooling(32, mode)], device="cpu")
        values[name] = encode(part, TEXTS)
    save_file(values, os.path.join(HERE, "embed/encoder.safetensors"))
    if len(sys.argv) > 1:
        real = opened(sys.argv[1])
        save_file({"folder": encode(real, TEXTS + [" ".join(TEXTS * 8)])}, os.path.join(HERE, "embed/minilm.safetensors"))
    for root, _, files in os.walk(os.path.join(HERE, "embed")):
        for f in sorted(files):
            print(os.path.relpath(os.path.join(root, f), HERE), os.path.getsize(os.path.join(root, f)))
