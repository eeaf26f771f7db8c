"""Kernels and decoding beside OpenBLAS, PyTorch and ONNX Runtime, in turns, as a table in Markdown.

    make compare-cpu PYTHON=venv/bin/python

Each round measures every piece of work with each program in turn, on the same number of threads; a program's time in a round is the
median of its calls, and the table has the medians over rounds, of speeds and of the ratios within a round. pipe is `pipe bench`, which
measures the machine's own limits as well. "prepacked" products have weights that do not change: pipe and ONNX Runtime have them in
their own order, as they have those of models after loading, PyTorch and OpenBLAS row-major.
"""

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from peers import PEERS, Peer
from report import write


LIMITS = ("GFLOP/s of multiply-adds", "GB/s read", "copied", "triad")


class Work:
    """One piece of work: its name, pipe's case of it, its size in unit, and the job of the peers."""

    def __init__(self, name, case, size, unit, *job):
        self.name, self.case, self.size, self.unit, self.job = name, case, size, unit, job


def product(m, n, k):
    """FLOPs of a product, in units of 10^9."""
    return 2e-9 * m * n * k


def convolution(name, case, kind, x, w, padding, dilation, stride, groups=1):
    """Its size counts the products of the plain form."""
    spread = [(n + 2 * padding - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(x[2:], w[2:])]
    size = 2e-9 * math.prod(w) * math.prod(spread if kind == "conv" else x[2:])
    return Work(name, case, size, "GFLOP/s", "conv", kind, x, w, padding, dilation, stride, groups)


MIB64 = 2 * (64 << 20) / 1e9  # GB read and written
ATTENTION = 4e-9 * 2048 * 2048 * 64 * 32

WORK = [
    *[Work(f"product {n} x {n} x {n}", f"matmul/large {n}/f32", product(n, n, n), "GFLOP/s", "product", n, n, n) for n in (1024, 2048, 4096)],
    Work("product 2048 x 2048 x 2048, prepacked", "linear/large 2048/f32", product(2048, 2048, 2048), "GFLOP/s", "product", 2048, 2048, 2048, True),
    Work("product 16 x 2048 x 2048, prepacked", "linear/large 16 rows/f32", product(16, 2048, 2048), "GFLOP/s", "product", 16, 2048, 2048, True),
    Work("softmax, 64 MiB", "softmax/large 64 MiB/f32", MIB64, "GB/s", "rows", "softmax"),
    Work("layer_norm, 64 MiB", "layer_norm/large 64 MiB/f32", MIB64, "GB/s", "rows", "layer_norm"),
    Work("rms_norm, 64 MiB", "rms_norm/large 64 MiB/f32", MIB64, "GB/s", "rows", "rms_norm"),
    Work("gelu, 64 MiB", "act/gelu large 64 MiB/f32", MIB64, "GB/s", "rows", "gelu"),
    Work("silu, 64 MiB", "act/silu large 64 MiB/f32", MIB64, "GB/s", "rows", "silu"),
    Work("attention, 2048 tokens, 32 heads of 64", "attention/large 2048/f32", ATTENTION, "GFLOP/s", "attention", False),
    Work("causal attention, 2048 tokens, 32 heads of 64", "attention/large 2048 causal/f32", ATTENTION / 2, "GFLOP/s", "attention", True),
    convolution("conv2d, 320 channels of 64 x 64 by 3 x 3, Winograd", "conv2d/picture, winograd/f32", "conv", (1, 320, 64, 64), (320, 320, 3, 3), 1, 1, 1),
    convolution("the same, plain", "conv2d/picture/f32", "conv", (1, 320, 64, 64), (320, 320, 3, 3), 1, 1, 1),
    convolution("conv1d, 512 channels of 256 by 7", "conv1d/vocoder/f32", "conv", (1, 512, 256), (512, 512, 7), 3, 1, 1),
    convolution("conv1d, 256 channels of 2048 by 7, 3 apart", "conv1d/vocoder dilated by 3/f32", "conv", (1, 256, 2048), (256, 256, 7), 9, 3, 1),
    convolution("conv1d, 64 channels of 16384 by 7, 5 apart", "conv1d/vocoder dilated by 5/f32", "conv", (1, 64, 16384), (64, 64, 7), 15, 5, 1),
    convolution("conv_transpose1d, 512 channels of 256 to 256, by 16, stride 8", "conv_transpose1d/vocoder/f32", "conv_transpose",
                (1, 512, 256), (512, 256, 16), 4, 1, 8),
    convolution("depthwise, 96 channels of 112 x 112 by 3 x 3", "conv/mobile depthwise/f32", "conv", (1, 96, 112, 112), (96, 1, 3, 3), 1, 1, 1, 96),
    convolution("depthwise, 256 channels of 8192 by 7", "conv/line depthwise/f32", "conv", (1, 256, 8192), (256, 1, 7), 3, 1, 1, 256),
]


def pipe(a, *args):
    p = subprocess.run([a.pipe, *args], capture_output=True, text=True)
    if p.returncode != 0:
        sys.exit(p.stderr)
    return p.stdout


def measure_kernels(a, peers, work):
    """One round of a piece of work: seconds by program, and the machine's limits just before."""
    out = json.loads(pipe(a, "bench", "kernels", "--json", "--threads", str(a.threads), "--time", f"{a.time}s", "--filter", f"^{work.case}$"))
    took = {"pipe": out["kernels"][0]["seconds"]}
    for peer in peers:
        if peer.can(work.job):
            time.sleep(a.rest)
            took[peer.name] = peer.seconds(work.job)
    return took, (out["peak_gflops"], *out["bandwidth_gbytes"].values())


def decoding(a, runs):
    """Models that make text: name, folder, positions before the tokens, tokens."""
    yield "decode, models/tiny-llama after 8 positions", "models/tiny-llama", 8, 16
    folder = pipe(a, "run", "benchmarks/decode.cue", "--runs", runs, "--quiet").strip()
    yield "decode after 512 positions, 15M Llama, f32", f"{folder}/model", 512, 64


def measure_decoding(a, peers, folder, past, tokens):
    out = json.loads(pipe(a, "bench", "pipelines/complete.cue", "--set", f"model={folder}", "--json", "--threads", str(a.threads),
                          "--prompt", str(past), "--tokens", str(tokens), "--repeat", "5"))
    job = ["decode", folder, past, tokens]
    return {"pipe": out["models"][0]["decode"]["seconds"], **{p.name: p.seconds(job) for p in peers if p.can(job)}}


def table(rows, names):
    lines = ["| work | unit | pipe | of its limit | " + " | ".join(f"{n} | pipe / it" for n in names) + " |",
             "|---|---|---|---|" + "---|---|" * len(names)]
    for name, unit, size, rounds, share in rows:
        speed = {n: statistics.median(size / r[n] for r in rounds) for n in ("pipe", *names) if n in rounds[0]}
        cells = [name, unit, f"{speed['pipe']:.1f}", "" if share is None else f"{100 * share:.0f}%"]
        for n in names:
            if n in speed:
                cells += [f"{speed[n]:.1f}", f"{statistics.median(r[n] / r['pipe'] for r in rounds):.2f}"]
            else:
                cells += ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def measure(a, peers, work):
    """All rounds of the work, with the machine's limits, and of decoding."""
    with tempfile.TemporaryDirectory() as runs:
        decode = [d for d in decoding(a, runs) if a.only in d[0]] if a.only in "decode" or "decode" in a.only else []
        kernels, tokens = [[] for _ in work], [[] for _ in decode]
        for i in range(a.rounds):
            print(f"round {i + 1} of {a.rounds}", file=sys.stderr, flush=True)
            for k, w in enumerate(work):
                kernels[k].append(measure_kernels(a, peers, w))
            for k, d in enumerate(decode):
                tokens[k].append(measure_decoding(a, peers, *d[1:]))
    return kernels, list(zip(decode, tokens))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--pipe", default="./pipe")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--time", type=float, default=0.5, help="seconds that each program has for a piece of work in a round")
    a.add_argument("--rest", type=float, default=0.2, help="seconds between two programs, so that threads of the one go to sleep")
    a.add_argument("--only", default="", help="only work whose name contains this")
    a.add_argument("--write", metavar="FILE", help="put the table into this file, in place of what is there")
    a = a.parse_args()
    peers = [Peer(n, a.threads, a.time) for n in PEERS]
    work = [w for w in WORK if a.only in w.name]
    kernels, decode = measure(a, peers, work)
    for p in peers:
        p.close()
    versions = [f"{p.name} {p.version}" for p in peers]
    lines = [f"{pipe(a, 'version').splitlines()[0]}; {'; '.join(versions)}; Python {platform.python_version()}; "
             f"{a.threads} threads, {a.rounds} rounds of {a.time:g} s each, medians.", ""]
    limits = [limit for rounds in kernels for _, limit in rounds]
    if limits:
        lines += ["The machine, as pipe measured it before each piece of work, least and most: "
                  + "; ".join(f"{name} {min(x):.0f} to {max(x):.0f}" for name, x in zip(LIMITS, zip(*limits))) + ".", ""]
    rows = []
    for w, rounds in zip(work, kernels):
        kind = 0 if w.unit == "GFLOP/s" else 2
        share = statistics.median(w.size / took["pipe"] / limit[kind] for took, limit in rounds)
        rows.append((w.name, w.unit, w.size, [took for took, _ in rounds], share))
    rows += [(d[0], "tokens/s", 1, rounds, None) for d, rounds in decode]
    write(a.write, "compare-cpu", lines + table(rows, list(PEERS)))


if __name__ == "__main__":
    main()
