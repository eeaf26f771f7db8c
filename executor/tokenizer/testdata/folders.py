"""Writes folders.json.gz: folders with a vocabulary and no tokenizer.json, and what transformers makes of texts with each.

    pip install transformers==5.24.0 tokenizers==0.23.3 && python3 folders.py

[{"name", "files": {name: text}, "texts": [[text, ids, ids without special tokens, decoded]], "pair": ids of two texts, "bos", "eos": ids or null}]
"""
import gzip
import json
import os
import tempfile

import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

assert transformers.__version__ == "5.24.0", transformers.__version__
here = os.path.dirname(os.path.abspath(__file__))
path = os.path.join(here, "folders.json.gz")

with gzip.open(os.path.join(here, "kinds.json.gz"), "rt") as f:
    kinds = json.load(f)["models"]
byte = kinds["bytes"]
texts = ["", "the cat and the other cat", " Hello  HELLO, wörld! ", "It's they'll we've 12345", "世界 x\n\ny", "<s>the</s> cat<mask> x", "[CLS] the [MASK] cat [SEP]",
         "<|endoftext|>the<|im_start|>user\nthe cat<|im_end|>", "a<extra>b the", "ÄÖ ñ éa"]


def words(tokens):
    return "".join(t + "\n" for t in tokens)


def bytes_files(*more, change=None):
    vocab = {t: i for t, i in byte["vocab"].items()}
    for t in more:
        vocab.setdefault(t, len(vocab))
    return {"vocab.json": json.dumps(vocab, ensure_ascii=False), "merges.txt": "#version: 0.2\n" + "".join("%s %s\n" % tuple(m) for m in byte["merges"])}


pieces = sorted(kinds["pieces"]["vocab"], key=kinds["pieces"]["vocab"].get)
clip = {}
for suffix in ["", "</w>"]:
    for c in sorted(pre_tokenizers.ByteLevel.alphabet()):
        clip[c + suffix] = len(clip)
merges = [("t", "h"), ("th", "e</w>"), ("c", "a"), ("ca", "t</w>"), ("a", "n"), ("an", "d</w>")]
for a, b in merges:
    clip[a + b] = len(clip)
clip["<|startoftext|>"], clip["<|endoftext|>"] = len(clip), len(clip) + 1
clip_files = {"vocab.json": json.dumps(clip, ensure_ascii=False), "merges.txt": "#version: 0.2\n" + "".join("%s %s\n" % m for m in merges)}
config = lambda **c: {"tokenizer_config.json": json.dumps(c)}
model = lambda kind: {"config.json": json.dumps({"model_type": kind})}

FOLDERS = {
    "pieces, lower case": {"vocab.txt": words(pieces), **config(tokenizer_class="BertTokenizer")},
    "pieces, cased": {"vocab.txt": words(pieces), **config(tokenizer_class="BertTokenizer", do_lower_case=False)},
    "pieces, accents and Chinese": {"vocab.txt": words(pieces), **config(tokenizer_class="BertTokenizerFast", strip_accents=False, tokenize_chinese_chars=False)},
    "pieces, by the model": {"vocab.txt": words(pieces), **model("distilbert")},
    "pieces, other tokens": {"vocab.txt": words(["<unk>", "<s>", "</s>"] + pieces), **config(tokenizer_class="ElectraTokenizer", unk_token="<unk>", cls_token="<s>", sep_token="</s>")},
    "bytes": {**bytes_files("<|endoftext|>"), **config(tokenizer_class="GPT2Tokenizer")},
    "bytes, prefix space, begins": {**bytes_files("<|endoftext|>"), **config(tokenizer_class="GPT2Tokenizer", add_prefix_space=True, add_bos_token=True)},
    "bytes, end absent": {**bytes_files(), **config(tokenizer_class="GPT2TokenizerFast")},
    "bytes, by the model": {**bytes_files("<|endoftext|>"), **model("gpt2")},
    "bytes, other end": {**bytes_files(), **config(tokenizer_class="GPT2Tokenizer", unk_token="<unk>", bos_token="<s>", eos_token={"__type": "AddedToken", "content": "</s>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False})},
    "bytes, added": {**bytes_files("<|endoftext|>"), **config(tokenizer_class="GPT2Tokenizer"), "added_tokens.json": json.dumps({"<extra>": len(byte["vocab"]) + 1})},
    "around": {**bytes_files("<pad>", "<mask>"), **config(tokenizer_class="RobertaTokenizer", mask_token={"__type": "AddedToken", "content": "<mask>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False})},
    "around, by the model": {**bytes_files("<pad>", "<mask>"), **model("roberta")},
    "around, prefix space": {**bytes_files("<pad>", "<mask>"), **config(tokenizer_class="RobertaTokenizer", add_prefix_space=True, trim_offsets=False)},
    "lines": {**bytes_files("<|endoftext|>"), **config(tokenizer_class="Qwen2Tokenizer", eos_token="<|im_end|>", pad_token="<|endoftext|>", bos_token=None, added_tokens_decoder={
        str(len(byte["vocab"]) + i): {"content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True} for i, t in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])})},
    "lines, by the model": {**bytes_files("<|endoftext|>"), **model("qwen2")},
    "ends of words": {**clip_files, **config(tokenizer_class="CLIPTokenizer")},
    "ends of words, by the model": {**clip_files, **model("clip")},
}

out = []
for name, files in FOLDERS.items():
    with tempfile.TemporaryDirectory() as d:
        for n, text in files.items():
            with open(os.path.join(d, n), "w") as f:
                f.write(text)
        t = AutoTokenizer.from_pretrained(d)
        rows = []
        for text in texts:
            ids = t(text)["input_ids"]
            rows.append([text, ids, t(text, add_special_tokens=False)["input_ids"], t.decode(ids)])
        out.append({"name": name, "files": files, "texts": rows, "pair": t("the cat", "the other")["input_ids"], "bos": t.bos_token_id, "eos": t.eos_token_id})
        print(name, type(t).__name__, rows[1][1], rows[5][1][:12], t.bos_token_id, t.eos_token_id)
with open(path, "wb") as f:
    f.write(gzip.compress(json.dumps(out, ensure_ascii=False, separators=(",", ":")).encode(), mtime=0))
print(os.path.getsize(path))
