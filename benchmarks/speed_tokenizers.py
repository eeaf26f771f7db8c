"""pipe and the Rust tokenizers, one thread each, in turns, by processor time: how fast a text becomes ids and back.

    make compare-tokenizers PYTHON=venv/bin/python

DATA is the folder of the shared data; the text is tinyshakespeare. "first" is a tokenizer that has seen no text yet.
Prints medians over rounds in MB of text for each second of processor time, and ratios of medians.
"""
import gzip
import os
import statistics
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Tokenizer  # noqa: E402

binary, data, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5
text = open(os.path.join(data, "train/tinyshakespeare.txt")).read()
size = len(text.encode()) / 1e6


def cpu(f):
    start = time.process_time()
    f()
    return size / (time.process_time() - start)


def ours(name):
    """MB/s by BenchmarkSpeed, which measures processor time."""
    env = dict(os.environ, PIPE_DATA=data, GOMAXPROCS="1")
    r = subprocess.run([binary, "-test.run", "^$", "-test.bench", "^BenchmarkSpeed/%s/" % name, "-test.benchtime", "3x"], capture_output=True, text=True, env=env)
    if r.returncode:
        sys.exit(r.stdout + r.stderr)
    out = {}
    for line in r.stdout.splitlines():
        f = line.split()
        if f and f[0].startswith("BenchmarkSpeed/"):
            out[f[0].split("/")[2].split("-")[0]] = float(f[f.index("cpu-MB/s") - 1])
    return out


def theirs(path):
    with gzip.open(path, "rt") as f:
        source = f.read()
    t = Tokenizer.from_str(source)
    out = {"first": cpu(lambda: t.encode(text, add_special_tokens=False))}
    out["encode"] = max(cpu(lambda: t.encode(text, add_special_tokens=False)) for _ in range(3))
    lines = text.splitlines(True)
    out["encode_batch_fast of lines"] = max(cpu(lambda: t.encode_batch_fast(lines, add_special_tokens=False)) for _ in range(3))
    ids = t.encode(text, add_special_tokens=False).ids
    out["decode"] = max(cpu(lambda: t.decode(ids)) for _ in range(3))
    return out


rows = {}
for _ in range(rounds):
    for name in ["gpt2", "qwen2_5", "bert"]:
        for who, result in [("pipe", ours(name)), ("tokenizers", theirs(os.path.join(data, "tokenizer", name + ".tokenizer.json.gz")))]:
            for what, speed in result.items():
                rows.setdefault((name, what), {}).setdefault(who, []).append(speed)
print("| tokenizer | | pipe, MB/s | tokenizers, MB/s | ratio |\n|---|---|---|---|---|")
for (name, what), r in rows.items():
    peer = r.get("tokenizers")
    if what.startswith("encode_batch"):
        r["pipe"] = rows[name, "encode"]["pipe"]
    if not peer or "pipe" not in r:
        continue
    a, b = statistics.median(r["pipe"]), statistics.median(peer)
    print("| %s | %s | %.1f | %.1f | %.1f |" % (name, what, a, b, a / b))
