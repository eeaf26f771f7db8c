"""Prompts and tokens of language models in GGUF files by pipe and by llama.cpp, in turns.

    make compare-llama PYTHON=.../bin/python        or: python benchmarks/compare_llama.py [--quick]

Needs a Python with llama-cpp-python (benchmarks/requirements-llama.txt), which takes minutes to build. The models have weights that are
drawn, by `pipe quantize --random`; they are written once, to --models, and not counted.

Both compute with as many threads, from files that the system has in memory. llama.cpp is set up as its own tools do for such a
machine: threads of prompts and tokens alike, batches of 512, flash attention as it chooses, keys and values in f16, weights repacked
where it can. Its calls are llama_decode with logits of the last token only, and the likeliest token is found by NumPy where the
logits lie. Every round runs pipe and llama.cpp one after the other on one model; a figure is the median of the rounds, and the factor
the median of the rounds' factors.
"""

import argparse
import ctypes
import json
import os
import platform
import statistics
import subprocess
import sys
import time

from report import write

HERE = os.path.dirname(os.path.abspath(__file__))

# name, document, type
MODELS = [
    ("1.1B, q8_0", "llama_1b", "q8_0"),
    ("1.1B, q4_0", "llama_1b", "q4_0"),
    ("1.1B, q4_k", "llama_1b", "q4_k"),
    ("15M, q8_0", "llama_15m", "q8_0"),
    ("15M, f16", "llama_15m", "f16"),
]
SHORT = 16  # tokens before those that are made
CONTEXT = 640


def peak():
    """Most resident bytes of this process so far."""
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return 0


def serve(path, threads):
    """llama.cpp as a child: a line of JSON for each line of standard input."""
    import llama_cpp as ll
    import numpy as np

    ll.llama_backend_init()
    quiet = ll.llama_log_callback(lambda level, text, data: None)
    ll.llama_log_set(quiet, ctypes.c_void_p(0))

    def opened():
        mp = ll.llama_model_default_params()
        mp.n_gpu_layers = 0
        model = ll.llama_model_load_from_file(path.encode(), mp)
        cp = ll.llama_context_default_params()
        cp.n_ctx, cp.n_batch, cp.n_ubatch = CONTEXT, 512, 512
        cp.n_threads = cp.n_threads_batch = threads
        cp.no_perf = True
        return model, ll.llama_init_from_model(model, cp)

    def closed(model, ctx):
        ll.llama_free(ctx)
        ll.llama_model_free(model)

    start = time.perf_counter()
    model, ctx = opened()
    vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(model))
    prompt = lambda n: [(7919 * i + 1) % vocab for i in range(n)]  # the ids of pipe bench

    def decode(ids):
        tokens = (ll.llama_token * len(ids))(*ids)
        if ll.llama_decode(ctx, ll.llama_batch_get_one(tokens, len(ids))) != 0:
            raise RuntimeError("llama_decode failed")
        logits = np.ctypeslib.as_array(ll.llama_get_logits_ith(ctx, -1), shape=(vocab,))
        return int(logits.argmax())

    def clear():
        ll.llama_memory_clear(ll.llama_get_memory(ctx), True)

    decode(prompt(SHORT))
    first = time.perf_counter() - start
    print(json.dumps({"first": first, "peak": peak(), "info": ll.llama_print_system_info().decode()}), flush=True)
    for line in sys.stdin:
        ask = json.loads(line)
        out = {}
        for n in ask["prompts"]:
            clear()
            if ask.get("warm"):
                decode(prompt(n))
                clear()
            start = time.perf_counter()
            decode(prompt(n))
            out[str(n)] = time.perf_counter() - start
        clear()
        token = decode(prompt(SHORT))
        token = decode([token])
        made = [token]
        start = time.perf_counter()
        for _ in range(ask["tokens"]):
            token = decode([token])
            made.append(token)
        out["token"] = (time.perf_counter() - start) / ask["tokens"]
        out["peak"], out["made"] = peak(), made
        print(json.dumps(out), flush=True)
    closed(model, ctx)


class Llama:
    def __init__(self, path, threads):
        self.child = subprocess.Popen([sys.executable, __file__, "--serve", path, "--threads", str(threads)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.start = self.answer()

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            sys.exit("llama.cpp ended: is llama-cpp-python installed?")
        return json.loads(line)

    def ask(self, **what):
        self.child.stdin.write(json.dumps(what) + "\n")
        self.child.stdin.flush()
        return self.answer()

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def pipe(a, *args):
    done = subprocess.run([a.pipe, *args], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{a.pipe} {' '.join(args)}\n{done.stderr}")
    return done.stdout


def measure_pipe(a, path, prompts, tokens):
    args = ["bench", os.path.join(HERE, "..", "pipelines", "complete.cue"), "--set", f"model={path}", "--set", f"models.llm.context={CONTEXT}", "--json",
            "--threads", str(a.threads), "--past", str(SHORT), "--tokens", str(tokens), "--repeat", "1"]
    for n in prompts:
        args += ["--prompt", str(n)]
    out = json.loads(pipe(a, *args, "--prompt", str(SHORT)))
    m = out["models"][0]
    took = {str(p["tokens"]): p["seconds"] for p in m["prefill"]}
    return took | {"token": m["decode"]["seconds"], "first": m["first_token_cold"]["seconds"], "peak": out["memory"]["resident_peak_bytes"]}


def make(a, document, kind):
    """The file of a model: what is drawn is q8_0 or f16, the others are made of q8_0."""
    path = os.path.join(a.models, f"{document}-{kind}.gguf")
    if not os.path.exists(path):
        source = ["--random", "1"] if kind in ("q8_0", "f16") else []
        of = os.path.join(HERE, document + ".cue") if source else make(a, document, "q8_0")
        os.makedirs(a.models, exist_ok=True)
        print(f"writing {path}", file=sys.stderr, flush=True)
        pipe(a, "quantize", of, path, "--type", kind, *source)
    return path


def read_once(path):
    """Seconds to read a file that the system has in memory, as a program does that copies it."""
    best = float("inf")
    buffer = bytearray(1 << 22)
    for _ in range(3):
        start = time.perf_counter()
        with open(path, "rb", buffering=0) as f:
            while f.readinto(buffer):
                pass
        best = min(best, time.perf_counter() - start)
    return best


def versions(a):
    import llama_cpp
    return {"pipe": pipe(a, "version").splitlines()[0], "llama-cpp-python": llama_cpp.__version__, "python": platform.python_version(), "threads": a.threads}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pipe", default="./pipe")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--tokens", type=int, default=64)
    p.add_argument("--models", default=os.path.join(os.path.expanduser("~"), ".cache", "pipe", "compare-llama"), help="folder of the models")
    p.add_argument("--only", default="", help="only models whose name contains this")
    p.add_argument("--quick", action="store_true", help="one round, 16 tokens, prompts of 128")
    p.add_argument("--json", default="", help="file for all measurements")
    p.add_argument("--write", metavar="FILE", help="put the tables into this file, in place of what is there")
    p.add_argument("--serve", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.serve:
        return serve(a.serve, a.threads)
    prompts = [128, 512]
    if a.quick:
        a.rounds, a.tokens, prompts = 1, 16, [128]
    models = [(name, make(a, doc, kind), doc) for name, doc, kind in MODELS if a.only in name]
    rows, record = [], {"versions": versions(a), "rounds": a.rounds, "models": {}}
    for name, path, doc in models:
        lengths = prompts if doc == "llama_1b" else []
        llama = Llama(path, a.threads)
        record["versions"]["llama.cpp"] = llama.start["info"]
        rounds = []
        for i in range(a.rounds):
            print(f"{name}: round {i + 1} of {a.rounds}", file=sys.stderr, flush=True)
            rounds.append({"pipe": measure_pipe(a, path, lengths, a.tokens), "llama.cpp": llama.ask(prompts=lengths, tokens=a.tokens, warm=i == 0)})
        llama.close()
        firsts = []
        for i in range(min(3, a.rounds)):  # a new process, the file in memory
            again = Llama(path, a.threads)
            firsts.append(again.start["first"])
            again.close()
        record["models"][name] = {"rounds": rounds, "first": firsts, "file_bytes": os.path.getsize(path), "read_seconds": read_once(path)}
        rows.append((name, lengths, rounds, firsts, record["models"][name]))
    if a.json:
        with open(a.json, "w") as f:
            json.dump(record, f, indent=1)
    write(a.write, "compare-llama", table(a, rows, record))


def table(a, rows, record):
    v, median = record["versions"], statistics.median
    out = [f"{v['pipe']}; llama-cpp-python {v['llama-cpp-python']}; Python {v['python']}; {a.threads} threads, {a.rounds} rounds, medians. llama.cpp has keys and "
           f"values in f16 and says of itself: `{v['llama.cpp'].strip()}`", "",
           "| model | work | pipe, tokens/s | llama.cpp, tokens/s | pipe / it |", "|---|---|---|---|---|"]
    for name, lengths, rounds, _, _ in rows:
        for what, key, n in [(f"prompt of {n}", str(n), n) for n in lengths] + [(f"{a.tokens} tokens after {SHORT}", "token", 1)]:
            mine, theirs = [n / r["pipe"][key] for r in rounds], [n / r["llama.cpp"][key] for r in rounds]
            out.append(f"| {name} | {what} | {median(mine):.1f} | {median(theirs):.1f} | {median(m / t for m, t in zip(mine, theirs)):.2f} |")
    out += ["", "| model | file, MB | peak memory, MB: pipe | llama.cpp | first token, s: pipe | llama.cpp | reading the file, s |", "|---|---|---|---|---|---|---|"]
    for name, _, rounds, firsts, m in rows:
        mine, theirs = max(r["pipe"]["peak"] for r in rounds), max(r["llama.cpp"]["peak"] for r in rounds)
        out.append(f"| {name} | {m['file_bytes'] / 1e6:.0f} | {mine / 1e6:.0f} | {theirs / 1e6:.0f} | {median(r['pipe']['first'] for r in rounds):.2f} | "
                   f"{median(firsts):.2f} | {m['read_seconds']:.2f} |")
    return out


if __name__ == "__main__":
    main()
