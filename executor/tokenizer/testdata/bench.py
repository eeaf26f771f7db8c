"""Speed of the Rust tokenizers on tinyshakespeare, the peer of BenchmarkEncode and BenchmarkDecode.

    RAYON_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false python3 bench.py DATA
"""
import gzip
import sys
import time

from tokenizers import Tokenizer

data = sys.argv[1] + "/"
text = open(data + "train/tinyshakespeare.txt").read()
size = len(text.encode()) / 1e6


def best(f):
    times = []
    for _ in range(7):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return "%.2f MB/s, first %.2f" % (size / min(times), size / times[0])


for name in ["gpt2", "qwen2_5", "bert", "stories260K"]:
    if name == "stories260K":
        t = Tokenizer.from_file(data + "llm/stories260K/tokenizer.json")
    else:
        t = Tokenizer.from_str(gzip.open(data + "tokenizer/%s.tokenizer.json.gz" % name, "rt").read())
    ids = t.encode(text, add_special_tokens=False).ids
    print(name, "encode", best(lambda: t.encode(text, add_special_tokens=False)))
    print(name, "encode_batch_fast of lines", best(lambda: t.encode_batch_fast(text.splitlines(True), add_special_tokens=False)))
    print(name, "decode", best(lambda: t.decode(ids)))
