"""Kernels and decoding beside OpenBLAS (in numpy) and PyTorch, in turns, as a table in Markdown.

    make compare-cpu PYTHON=venv/bin/python

Each round measures every piece of work with each program in turn, on the same number of threads; a program's time in a round is the
median of its calls, and the table has the medians over rounds, of speeds and of the ratios within a round. The other programs are
processes that live as long as the run does, so that their threads and memory are warm; pipe is `pipe bench`, which measures the
machine's own limits as well. Row-major products are `matmul`; "prepacked" ones have their weights in pipe's own order, as models have
them after loading, and in PyTorch and OpenBLAS as they have them: row-major.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings


class Work:
    """One piece of work: its name, pipe's case of it, its size in unit, and what each peer runs."""

    def __init__(self, name, case, size, unit, **peers):
        self.name, self.case, self.size, self.unit, self.peers = name, case, size, unit, peers


def product(m, n, k):
    """FLOPs of a product, in units of 10^9."""
    return 2e-9 * m * n * k


MIB64 = 2 * (64 << 20) / 1e9  # GB read and written
ATTENTION = 4e-9 * 2048 * 2048 * 64 * 32

WORK = [
    *[Work(f"product {n} x {n} x {n}", f"matmul/large {n}/f32", product(n, n, n), "GFLOP/s",
           OpenBLAS=("np_matmul", n, n, n), PyTorch=("mm", n, n, n)) for n in (1024, 2048, 4096)],
    Work("product 2048 x 2048 x 2048, prepacked", "linear/large 2048/f32", product(2048, 2048, 2048), "GFLOP/s",
         OpenBLAS=("np_linear", 2048, 2048, 2048), PyTorch=("linear", 2048, 2048, 2048)),
    Work("product 16 x 2048 x 2048, prepacked", "linear/large 16 rows/f32", product(16, 2048, 2048), "GFLOP/s",
         OpenBLAS=("np_linear", 16, 2048, 2048), PyTorch=("linear", 16, 2048, 2048)),
    Work("softmax, 64 MiB", "softmax/large 64 MiB/f32", MIB64, "GB/s", PyTorch=("softmax",)),
    Work("layer_norm, 64 MiB", "layer_norm/large 64 MiB/f32", MIB64, "GB/s", PyTorch=("layer_norm",)),
    Work("rms_norm, 64 MiB", "rms_norm/large 64 MiB/f32", MIB64, "GB/s", PyTorch=("rms_norm",)),
    Work("gelu, 64 MiB", "act/gelu large 64 MiB/f32", MIB64, "GB/s", PyTorch=("gelu",)),
    Work("silu, 64 MiB", "act/silu large 64 MiB/f32", MIB64, "GB/s", PyTorch=("silu",)),
    Work("attention, 2048 tokens, 32 heads of 64", "attention/large 2048/f32", ATTENTION, "GFLOP/s", PyTorch=("attention", False)),
    Work("causal attention, 2048 tokens, 32 heads of 64", "attention/large 2048 causal/f32", ATTENTION / 2, "GFLOP/s", PyTorch=("attention", True)),
]


# What a peer's process does: a line of JSON asks for a job, a line answers with seconds.

def calls(f, budget):
    """The median of the seconds that calls of f take, at least three."""
    f()
    took, begin = [], time.perf_counter()
    while len(took) < 3 or time.perf_counter() - begin < budget:
        start = time.perf_counter()
        f()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def numpy_job(kind, *sizes):
    import numpy as np
    m, n, k = sizes
    r = np.random.default_rng(1)
    a = r.random((m, k), dtype=np.float32)
    b = r.random((k, n) if kind == "np_matmul" else (n, k), dtype=np.float32)
    out = np.empty((m, n), dtype=np.float32)
    b = b if kind == "np_matmul" else b.T
    return lambda: np.matmul(a, b, out=out)


def torch_job(kind, *args):
    import torch
    import torch.nn.functional as F
    if kind == "mm":
        m, n, k = args
        a, b, out = torch.rand(m, k), torch.rand(k, n), torch.empty(m, n)
        return lambda: torch.mm(a, b, out=out)
    if kind == "linear":
        m, n, k = args
        x, w = torch.rand(m, k), torch.rand(n, k)
        return lambda: F.linear(x, w)
    if kind == "attention":
        q, k, v = (torch.rand(1, 32, 2048, 64) for _ in range(3))
        return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=args[0])
    x, out, w, b = torch.randn(8192, 2048), torch.empty(8192, 2048), torch.rand(2048), torch.rand(2048)
    return {
        "softmax": lambda: torch.softmax(x, -1, out=out),
        "layer_norm": lambda: F.layer_norm(x, (2048,), w, b),
        "rms_norm": lambda: F.rms_norm(x, (2048,), w),
        "gelu": lambda: torch.ops.aten.gelu.out(x, out=out),
        "silu": lambda: torch.ops.aten.silu.out(x, out=out),
    }[kind]


def decode_job(folder, past, tokens):
    """Seconds of one token after past positions, chosen as the likeliest, with the cache of transformers."""
    import torch
    from transformers import LlamaForCausalLM
    from transformers.cache_utils import DynamicCache, StaticCache
    from transformers.utils import logging
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompt = torch.tensor([[(7919 * i + 1) % model.config.vocab_size for i in range(past)]])

    def run():
        caches = [lambda: DynamicCache(config=model.config), lambda: StaticCache(config=model.config, max_cache_len=past + tokens + 1)]
        best = math.inf
        for make in caches:  # whichever is quicker
            cache = make()
            at = torch.arange(past)
            logits = model(input_ids=prompt, past_key_values=cache, use_cache=True, cache_position=at, logits_to_keep=1).logits
            start = 0.0
            for i in range(tokens + 1):
                if i == 1:
                    start = time.perf_counter()
                id = logits[:, -1].argmax(-1, keepdim=True)
                logits = model(input_ids=id, past_key_values=cache, use_cache=True, cache_position=torch.tensor([past + i])).logits
            best = min(best, (time.perf_counter() - start) / tokens)
        return best
    return run


def serve(peer, threads, budget):
    """Answers jobs until the input ends."""
    made = {}
    if peer == "PyTorch":
        import torch
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        torch.manual_seed(1)
        version = torch.__version__
    else:
        import numpy
        blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
        version = f"{blas['version']} ({blas['name']} in numpy {numpy.__version__})"
    print(json.dumps(version), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        if job[0] == "decode":
            key = tuple(job)
            if key not in made:
                made[key] = decode_job(*job[1:])
                made[key]()
            seconds = made[key]()
        else:
            seconds = calls((torch_job if peer == "PyTorch" else numpy_job)(*job), budget)
        print(json.dumps(seconds), flush=True)


class Peer:
    """A process that measures with another program."""

    def __init__(self, name, a):
        env = dict(os.environ, OPENBLAS_NUM_THREADS=str(a.threads), OMP_NUM_THREADS=str(a.threads), MKL_NUM_THREADS=str(a.threads))
        command = [sys.executable, __file__, "--serve", name, "--threads", str(a.threads), "--time", str(a.time)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.version = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{sys.argv[0]}: a peer ended")
        return json.loads(line)

    def seconds(self, job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def pipe(a, *args):
    p = subprocess.run([a.pipe, *args], capture_output=True, text=True)
    if p.returncode != 0:
        sys.exit(p.stderr)
    return p.stdout


def measure_kernels(a, peers, work):
    """One round of a piece of work: seconds by program, and pipe's report."""
    out = json.loads(pipe(a, "bench", "kernels", "--json", "--threads", str(a.threads), "--time", f"{a.time}s", "--filter", f"^{work.case}$"))
    took = {"pipe": out["kernels"][0]["seconds"]}
    for name, job in work.peers.items():
        time.sleep(a.rest)
        took[name] = peers[name].seconds(job)
    return took, out


def decoding(a, runs):
    """Models that make text: name, folder, positions before the tokens, tokens."""
    yield "decode, models/tiny-llama after 8 positions", "models/tiny-llama", 8, 16
    folder = pipe(a, "run", "benchmarks/decode.cue", "--runs", runs, "--quiet").strip()
    yield "decode after 512 positions, 15M Llama, f32", f"{folder}/model", 512, 64


def measure_decoding(a, peers, folder, past, tokens):
    out = json.loads(pipe(a, "bench", "pipelines/complete.cue", "--set", f"model={folder}", "--json", "--threads", str(a.threads),
                          "--prompt", str(past), "--tokens", str(tokens), "--repeat", "5"))
    return {"pipe": out["models"][0]["decode"]["seconds"], "PyTorch": peers["PyTorch"].seconds(["decode", folder, past, tokens])}


def table(rows, names):
    print("| work | unit | pipe | of its limit | " + " | ".join(f"{n} | pipe / it" for n in names) + " |")
    print("|---|---|---|---|" + "---|---|" * len(names))
    for name, unit, size, rounds, share in rows:
        speed = {n: statistics.median(size / r[n] for r in rounds) for n in ("pipe", *names) if n in rounds[0]}
        cells = [name, unit, f"{speed['pipe']:.1f}", "" if share is None else f"{100 * share:.0f}%"]
        for n in names:
            if n in speed:
                cells += [f"{speed[n]:.1f}", f"{statistics.median(r[n] / r['pipe'] for r in rounds):.2f}"]
            else:
                cells += ["", ""]
        print("| " + " | ".join(cells) + " |", flush=True)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--pipe", default="./pipe")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--time", type=float, default=1, help="seconds that each program has for a piece of work in a round")
    a.add_argument("--rest", type=float, default=0.2, help="seconds between two programs, so that threads of the one go to sleep")
    a.add_argument("--only", default="", help="only work whose name contains this")
    a.add_argument("--serve", help=argparse.SUPPRESS)
    a = a.parse_args()
    if a.serve:
        return serve(a.serve, a.threads, a.time)
    names = ("OpenBLAS", "PyTorch")
    peers = {n: Peer(n, a) for n in names}
    work = [w for w in WORK if a.only in w.name]
    with tempfile.TemporaryDirectory() as runs:
        decode = [d for d in decoding(a, runs) if a.only in d[0]]
        kernels, tokens, limits = [[] for _ in work], [[] for _ in decode], []
        for i in range(a.rounds):
            print(f"round {i + 1} of {a.rounds}", file=sys.stderr, flush=True)
            for k, w in enumerate(work):
                took, out = measure_kernels(a, peers, w)
                kernels[k].append((took, out))
                limits.append((out["peak_gflops"], *out["bandwidth_gbytes"].values()))
            for k, d in enumerate(decode):
                tokens[k].append(measure_decoding(a, peers, *d[1:]))
    for p in peers.values():
        p.close()
    versions = [f"{n} {p.version}" for n, p in peers.items()]
    print(f"{pipe(a, 'version').splitlines()[0]}; {'; '.join(versions)}; Python {platform.python_version()}; "
          f"{a.threads} threads, {a.rounds} rounds of {a.time:g} s each, medians.\n")
    best = [max(x) for x in zip(*limits)]
    if best:
        print("The machine, as pipe measured it (the best of all rounds): {:.0f} GFLOP/s of multiply-adds; memory {:.1f} GB/s read, "
              "{:.1f} copied, {:.1f} triad.\n".format(*best))
    rows = []
    for w, all in zip(work, kernels):
        rounds = [took for took, _ in all]
        speed = statistics.median(w.size / r["pipe"] for r in rounds)
        limit = best[0] if w.unit == "GFLOP/s" else best[2]
        rows.append((w.name, w.unit, w.size, rounds, speed / limit))
    rows += [(d[0], "tokens/s", 1, rounds, None) for d, rounds in zip(decode, tokens)]
    table(rows, names)


if __name__ == "__main__":
    main()
