"""Writes trained.json.gz: what the Rust tokenizers train on a small text of many scripts, and digests of what they train
on tinyshakespeare.

    pip install tokenizers==0.23.3 && python3 gen.py DATA     # DATA/train/tinyshakespeare.txt

{"texts": [...], "held": [...], "cases": [{"name", "attr": as in a document, "result": the tokenizer.json,
"affixed": the characters with prefix or suffix in the order of their ids, which the library leaves to chance}],
"shakespeare": [{"name", "attr", "affixed", "sha256": of the tokenizer.json, "held": measures of a unigram model}]}
"""
import gzip
import hashlib
import json
import os
import random
import sys
from collections import Counter

import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
here = os.path.dirname(os.path.abspath(__file__))
rng = random.Random(11)

words = """the of and to in a is that it was for on are with as his they at be this from have or by one had not but what all were
when we there can an your which their said if do will each about how up out them then she many some so these would other into has
more her two like him see time could no make than first been its who now people my made over did down only way find use may water
long little very after words called just where most know get through back much before go good new write our used me man too any
day same right look think also around another came come work three word must because does part even place well such here take
why things help put years different away again off went old number great tell men say small every found still between name should
home big give air line set own under read last never us left end along while might next sound below saw something thought both
few those always looked show large often together asked house don't world going want school important until form food keep
children feet land side without boy once animals life enough took sometimes four head above kind began almost live page got earth
need far hand high year mother light parts country father let night following picture being study second eyes soon times story""".split()
foreign = """über Mädchen größer fließen Straße naïve café élève garçon señor mañana ångström Ελλάδα καλημέρα κόσμε φιλοσοφία
Москва привет мир хорошо человек שלום עולם مرحبا بالعالم नमस्ते दुनिया สวัสดีชาวโลก 你好 世界 中文字符 今天天气很好 日本語 こんにちは
カタカナ 東京都 안녕하세요 세계 한국어 Tiếng Việt e\u0301le\u0300ve n\u0303 \u1e69 ﬁne Ⅷ ½ x² 😀 👨‍👩‍👧 🇩🇪 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 İstanbul ΣΑΣ \u200bzero ▁meta Ġbyte""".split()
marks = [".", ",", "!", "?", ";", ":", " -", "...", "'s", "'ll", "\n", "\n\n", "\t", "  ", "\r\n", " (", ")", '"', "\\", "\u00a0", "\u3000", "\x07"]


def sentence():
    out = []
    for _ in range(rng.randrange(3, 24)):
        w = words[min(int(rng.expovariate(0.03)), len(words) - 1)] if rng.random() < 0.86 else rng.choice(foreign)
        if rng.random() < 0.06:
            w = str(rng.randrange(10 ** rng.randrange(1, 7)))
        if rng.random() < 0.1:
            w = w.capitalize() if rng.random() < 0.8 else w.upper()
        out.append(w + (rng.choice(marks) if rng.random() < 0.2 else ""))
    return " ".join(out)


texts = ["", " "] + [sentence() for _ in range(400)]
held = [sentence() for _ in range(60)]
defaults = dict(kind="bpe", vocab_size=8000, min_frequency=0, special_tokens=[], unk_token="", bos_token="", eos_token="", normalizers=[], split="auto",
                pattern="", digits=False, prefix_space="auto", byte_level=False, byte_fallback=False, initial_alphabet="", limit_alphabet=0,
                continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False, max_token_length=0)


def normalizer(name):
    return {"bert": normalizers.BertNormalizer, "lowercase": normalizers.Lowercase, "nfc": normalizers.NFC, "nfd": normalizers.NFD, "nfkc": normalizers.NFKC,
            "nfkd": normalizers.NFKD, "strip": normalizers.Strip, "strip_accents": normalizers.StripAccents}[name]()


def one(items, sequence):
    return items[0] if len(items) == 1 else sequence(items) if items else None


def train(attr, corpus):
    """The tokenizer that attr describes, put together from the library's own parts, and the characters with prefix or
    suffix in the order of their ids."""
    a = dict(defaults, **attr)
    unk, kind = a["unk_token"] or None, a["kind"]
    prefix = a["continuing_subword_prefix"] or ("##" if kind == "wordpiece" else None)
    suffix = a["end_of_word_suffix"] or None
    if kind == "bpe":
        model = models.BPE(**({"unk_token": unk} if unk else {}), byte_fallback=a["byte_fallback"], fuse_unk=a["fuse_unk"])
    elif kind == "wordpiece":
        model = models.WordPiece(unk_token=a["unk_token"] or "[UNK]")
    else:
        model = models.Unigram(byte_fallback=a["byte_fallback"]) if not a["byte_fallback"] else models.Unigram([("<unk>", 0.0)], 0, True)
    t = Tokenizer(model)
    if a["normalizers"]:
        t.normalizer = one([normalizer(n) for n in a["normalizers"]], normalizers.Sequence)
    split = a["split"]
    if split == "auto":
        split = "none" if a["pattern"] else "auto" if a["byte_level"] else "bert" if kind == "wordpiece" else "metaspace"
    pre = [pre_tokenizers.Split(Regex(a["pattern"]), "isolated")] if a["pattern"] else []
    scheme = "always" if a["prefix_space"] == "auto" else a["prefix_space"]
    if split == "metaspace":
        pre.append(pre_tokenizers.Metaspace(prepend_scheme=scheme))
    elif split in ("bert", "whitespace", "whitespace_split"):
        pre.append({"bert": pre_tokenizers.BertPreTokenizer, "whitespace": pre_tokenizers.Whitespace, "whitespace_split": pre_tokenizers.WhitespaceSplit}[split]())
    if a["digits"]:
        pre.append(pre_tokenizers.Digits(True))
    if a["byte_level"]:
        pre.append(pre_tokenizers.ByteLevel(add_prefix_space=a["prefix_space"] == "always", use_regex=split == "auto"))
    if pre:
        t.pre_tokenizer = one(pre, pre_tokenizers.Sequence)
    dec = []
    if a["byte_level"]:
        dec = [decoders.ByteLevel()]
    elif prefix:
        dec = [decoders.WordPiece(prefix=prefix)]
    elif suffix:
        dec = [decoders.BPEDecoder(suffix)]
    else:
        dec += [decoders.Metaspace(prepend_scheme=scheme)] if split == "metaspace" else []
        dec += [decoders.ByteFallback()] if a["byte_fallback"] else []
        dec += [decoders.Fuse()] if split == "none" else []
    if dec:
        t.decoder = one(dec, decoders.Sequence)
    special = list(a["special_tokens"])
    bytes_too = special + ["<0x%02X>" % i for i in range(256)] if a["byte_fallback"] else special
    common = dict(vocab_size=a["vocab_size"], special_tokens=bytes_too, show_progress=False)
    initial = pre_tokenizers.ByteLevel.alphabet() if a["byte_level"] else list(a["initial_alphabet"])
    if kind == "unigram":
        trainer = trainers.UnigramTrainer(unk_token=unk, initial_alphabet=initial, **common)
    else:
        common.update(initial_alphabet=initial, min_frequency=a["min_frequency"])
        optional = dict(limit_alphabet=a["limit_alphabet"], continuing_subword_prefix=prefix, end_of_word_suffix=suffix, max_token_length=a["max_token_length"])
        common.update({k: v for k, v in optional.items() if v})
        if kind == "wordpiece":
            trainer = trainers.WordPieceTrainer(**common)
        else:
            trainer = trainers.BpeTrainer(**common)
    known = []
    for text in corpus:
        text = t.normalizer.normalize_str(text) if t.normalizer else text
        known += [w for w, _ in t.pre_tokenizer.pre_tokenize_str(text)] if t.pre_tokenizer else [text]
    if a["limit_alphabet"]:
        count = Counter(c for w in known for c in w)
        order = sorted(count.values(), reverse=True)
        assert order[a["limit_alphabet"] - 1] > order[a["limit_alphabet"]], "the library chooses at random: %s" % [i for i in range(1, len(order)) if order[i - 1] > order[i]]
    t.train_from_iterator(corpus, trainer)
    if a["bos_token"] or a["eos_token"]:
        b, e = [[a[k]] if a[k] else [] for k in ("bos_token", "eos_token")]
        t.post_processor = processors.TemplateProcessing(single=b + ["$A"] + e, pair=b + ["$A"] + e + ["$B:1"] + [x + ":1" for x in e],
                                                         special_tokens=[(x, special.index(x)) for x in dict.fromkeys(b + e)])
    full = json.loads(t.to_str())
    full["added_tokens"] = full["added_tokens"][:len(special)]  # bytes are tokens, but not special ones
    affixed = []
    if kind != "unigram" and (prefix or suffix):
        marked = {(prefix or "") * (i > 0) + c + (suffix or "") * (i == len(w) - 1) for w in known for i, c in enumerate(w)}
        vocab = full["model"]["vocab"]
        plain = set(special) | {c for w in known for c in w} | set(initial)
        affixed = sorted((m for m in marked - plain if m in vocab), key=vocab.get)
    return full, affixed


def compact(full):
    return json.dumps(full, ensure_ascii=False, separators=(",", ":"))


three = ["<unk>", "<s>", "</s>"]
lines = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
cases = []


def case(name, **attr):
    full, affixed = train(attr, texts)
    cases.append({"name": name, "attr": attr, "affixed": affixed, "result": compact(full)})


case("byte level", byte_level=True, vocab_size=700)
case("byte level, frequent", byte_level=True, vocab_size=3000, min_frequency=4, special_tokens=["<|endoftext|>"], eos_token="<|endoftext|>")
case("byte level, exhausted", byte_level=True, vocab_size=20000, prefix_space="always")
case("byte level, no split", byte_level=True, split="none", vocab_size=400, normalizers=["nfc"])
case("byte level, whitespace", byte_level=True, split="whitespace", vocab_size=400, digits=True)
case("byte level, pattern", byte_level=True, pattern=lines, vocab_size=500, special_tokens=["<s>", "</s>"], bos_token="<s>", eos_token="</s>")
case("byte level, no merges", byte_level=True, vocab_size=256)
case("metaspace", vocab_size=900, special_tokens=three, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
case("metaspace, bytes", vocab_size=1000, special_tokens=three, unk_token="<unk>", byte_fallback=True, fuse_unk=True, prefix_space="first", limit_alphabet=61, bos_token="<s>")
case("metaspace, same ends", vocab_size=600, special_tokens=["<e>"], bos_token="<e>", eos_token="<e>", prefix_space="never", digits=True)
case("no split", split="none", vocab_size=600, normalizers=["nfkc", "lowercase"], initial_alphabet="ABCxyzŒ")
case("no split, exhausted", split="none", vocab_size=100000, normalizers=["strip"], min_frequency=2)
case("white space", split="whitespace_split", vocab_size=800, min_frequency=3, normalizers=["nfkd", "strip_accents"])
case("short tokens", vocab_size=4000, max_token_length=4, min_frequency=2)
case("short tokens, bytes", byte_level=True, vocab_size=1000, max_token_length=7)
case("single characters as special tokens", vocab_size=700, special_tokens=["e", "the", "▁t", "Q"], limit_alphabet=40)
case("suffix", split="whitespace", end_of_word_suffix="</w>", vocab_size=900)
case("prefix", split="whitespace", continuing_subword_prefix="@", vocab_size=700, special_tokens=["<unk>", "@e", "@a"], unk_token="<unk>")
case("prefix and suffix", split="bert", continuing_subword_prefix="##", end_of_word_suffix="</w>", vocab_size=1200, normalizers=["bert"], limit_alphabet=45)
case("prefix of letters", split="whitespace", continuing_subword_prefix="e", vocab_size=2500)
bert = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
case("word piece", kind="wordpiece", vocab_size=1000, special_tokens=bert, unk_token="[UNK]", bos_token="[CLS]", eos_token="[SEP]", normalizers=["bert"])
case("word piece, frequent", kind="wordpiece", vocab_size=5000, min_frequency=3, special_tokens=bert, unk_token="[UNK]", limit_alphabet=52)
case("word piece, marked letters given", kind="wordpiece", vocab_size=600, special_tokens=["[UNK]"] + ["##" + c for c in "abcdefghijklmnopqrstuvwxyz"], unk_token="[UNK]", normalizers=["bert"])
case("word piece, bytes", kind="wordpiece", vocab_size=900, byte_level=True)

shakespeare = []


def measure(full, corpus):
    """Tokens of the held-out texts, and their log-likelihood in nats by the best segmentation."""
    t = Tokenizer.from_str(json.dumps(full))
    scores = [s for _, s in full["model"]["vocab"]]
    low = min(scores) - 10
    tokens, nats = 0, 0.0
    for text in corpus:
        for i in t.encode(text, add_special_tokens=False).ids:
            tokens += 1
            nats += low if i == full["model"]["unk_id"] else scores[i]
    return {"tokens": tokens, "nats": nats}


def unigram(name, corpus, out, **attr):
    full, _ = train(dict(attr, kind="unigram"), corpus)
    return dict({"name": name, "attr": dict(attr, kind="unigram")}, held=measure(full, out), size=len(full["model"]["vocab"]))


unigrams = [
    unigram("small", texts, held, vocab_size=500, special_tokens=three, unk_token="<unk>"),
    unigram("medium", texts, held, vocab_size=1000, special_tokens=three, unk_token="<unk>"),
    unigram("bytes", texts, held, vocab_size=800, byte_level=True),
    unigram("fallback", texts, held, vocab_size=1000, special_tokens=three, unk_token="<unk>", byte_fallback=True),
    unigram("whole texts", texts, held, vocab_size=700, special_tokens=three, unk_token="<unk>", split="none"),
]

with open(os.path.join(sys.argv[1], "train", "tinyshakespeare.txt"), newline="") as f:
    play = f.read().splitlines(True)
for size in 512, 2048, 8000:
    for name, attr in [("byte level", dict(byte_level=True)), ("metaspace", dict(special_tokens=three, unk_token="<unk>")),
                       ("word piece", dict(kind="wordpiece", special_tokens=bert, unk_token="[UNK]", normalizers=["bert"]))]:
        attr["vocab_size"] = size
        full, affixed = train(attr, play)
        shakespeare.append({"name": "%s %d" % (name, size), "attr": attr, "affixed": affixed, "sha256": hashlib.sha256(compact(full).encode()).hexdigest()})
    out = play[1::10]
    shakespeare.append(unigram("unigram %d" % size, [l for i, l in enumerate(play) if i % 10 != 1], out, vocab_size=size, special_tokens=three, unk_token="<unk>"))

with open(os.path.join(here, "trained.json.gz"), "wb") as f:
    f.write(gzip.compress(json.dumps({"texts": texts, "held": held, "cases": cases, "unigrams": unigrams, "shakespeare": shakespeare}, ensure_ascii=False, indent=0).encode(), 9, mtime=0))
