"""Speed of the Rust trainers on tinyshakespeare, the peer of BenchmarkShakespeare: the best of five, in ms.

    python3 bench.py DATA
"""
import gzip
import json
import os
import sys
import time

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(sys.argv[1], "train", "tinyshakespeare.txt"), newline="") as f:
    play = f.read().splitlines(True)
for case in json.load(gzip.open(os.path.join(here, "trained.json.gz")))["shakespeare"]:
    a = case["attr"]
    common = dict(vocab_size=a["vocab_size"], special_tokens=a.get("special_tokens", []), show_progress=False)
    times = []
    for _ in range(5):
        if a.get("kind") == "wordpiece":
            t, trainer = Tokenizer(models.WordPiece(unk_token="[UNK]")), trainers.WordPieceTrainer(**common)
            t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        elif a.get("kind") == "unigram":
            t, trainer = Tokenizer(models.Unigram()), trainers.UnigramTrainer(unk_token="<unk>", **common)
            t.pre_tokenizer = pre_tokenizers.Metaspace()
        else:
            t, trainer = Tokenizer(models.BPE()), trainers.BpeTrainer(**common, **({"initial_alphabet": pre_tokenizers.ByteLevel.alphabet()} if a.get("byte_level") else {}))
            t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False) if a.get("byte_level") else pre_tokenizers.Metaspace()
        start = time.perf_counter()
        t.train_from_iterator(play, trainer)
        times.append(time.perf_counter() - start)
    print("%-20s %8.1f" % (case["name"], 1000 * min(times)))
