"""pipe beside PyTorch on a GPU, in turns, as a table in Markdown.

    make compare-cuda PYTHON=venv/bin/python

One run, of 10 minutes at most: products, attention and its gradients, tokens of a model of 8B, training of one of 1B, a step of Stable Diffusion's
U-Net, and what a kernel costs in a graph. pipe is `pipe bench`, with its own kernels and, where that changes anything, with cuBLASLt: the library that
PyTorch has. Kernels are timed by CUDA events, documents and tokens by a clock, medians; the table has medians over rounds. Every round measures all
work, each with pipe and then with PyTorch; what there was no time for, and what failed, is said in its row.

--emulator DIR tries the script itself, as make compare-cuda-small does: sizes that the emulator of a GPU in that folder does in minutes, and PyTorch
on the CPU. Its figures say nothing.
"""

import argparse
import json
import os
import platform
import random
import selectors
import statistics
import subprocess
import sys
import tempfile
import time

from report import write

LLAMA_8B = {"model_type": "llama", "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0}
LLAMA_1B = {"model_type": "llama", "vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
            "num_key_value_heads": 4, "rms_norm_eps": 1e-5}
UNET = {"sample_size": 64, "cross_attention_dim": 768}
TINY = {"vocab_size": 256, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "max_position_embeddings": 128}
TINY_UNET = {"sample_size": 8, "cross_attention_dim": 32, "block_out_channels": (32, 32), "layers_per_block": 1, "attention_head_dim": 2,
             "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")}


class Failed(Exception):
    """What a program says of a measurement that it could not do."""


class Peer:
    """The process of PyTorch; it is begun anew where a job takes too long."""

    def __init__(self, small):
        self.small, self.process = small, None
        self.begin()

    def begin(self):
        command = [sys.executable, os.path.join(os.path.dirname(__file__), "cuda_peer.py")] + (["--small"] if self.small else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.about = self.answer(120)
        except Failed as e:
            sys.exit(f"{sys.argv[0]}: {e}")

    def answer(self, limit):
        with selectors.DefaultSelector() as s:
            s.register(self.process.stdout, selectors.EVENT_READ)
            if not s.select(limit):
                self.process.kill()
                self.process.wait()
                raise Failed(f"more than {limit:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise Failed("PyTorch's process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def seconds(self, limit, job):
        if self.process.poll() is not None:
            self.begin()
        self.process.stdin.write(json.dumps(job).encode() + b"\n")
        self.process.stdin.flush()
        return self.answer(limit)["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Pipe:
    """pipe, and the device's limits as it measured them last."""

    def __init__(self, a):
        self.a, self.limits = a, {}

    def bench(self, limit, cublas, *args):
        command = [self.a.pipe, "bench", *args, "--json", "--device", "cuda"] + ([f"--cublas={self.a.cublas}" if self.a.cublas else "--cublas"] if cublas else [])
        try:
            env = dict(os.environ, LD_LIBRARY_PATH=self.a.emulator) if self.a.small else None
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=env)
        except subprocess.TimeoutExpired:
            raise Failed(f"more than {limit:.0f} s")
        if done.returncode != 0:
            raise Failed((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200])
        return json.loads(done.stdout)

    def kernel(self, case):
        def seconds(limit, cublas):
            out = self.bench(limit, cublas, "kernels", "--time", f"{self.a.time}s", "--filter", f"^{case}$")
            self.limits = out
            return out["kernels"][0]["seconds"]
        return seconds

    def launch(self, limit, cublas):
        self.kernel("matmul/large/bf16")(limit, cublas)
        return self.limits["launch_seconds"]

    def document(self, path, *args):
        """Seconds of path into the report."""
        def seconds(limit, cublas):
            out = self.bench(limit, cublas, *args)
            for key in path:
                out = out[key]
            return out
        return seconds


class Work:
    """A piece of work: pipe's measurement, PyTorch's job, size in unit of a second (a speed) or the factor of a second (a time), the seconds that a
    round of it may take, and what is expected of pipe's share of PyTorch's speed, own kernels and cuBLASLt."""

    def __init__(self, name, unit, size, pipe, job, expect, takes=20, cublas=True, before=None):
        self.name, self.unit, self.size, self.pipe, self.job, self.takes, self.cublas, self.before = name, unit, size, pipe, job, takes, cublas, before
        self.expect, self.took, self.wrong = expect, {"pipe": [], "cublas": [], "torch": []}, {}

    def speed(self, who):
        if not self.took[who]:
            return None
        s = statistics.median(self.took[who])
        return self.size / s if self.unit.endswith("/s") else self.size * s


def sets(values):
    return [x for k, v in values.items() for x in ("--set", f"{k}={v}")]


def large(pipe):
    for n in (4096, 8192):
        yield Work(f"product {n} x {n} x {n}, bf16", "TFLOP/s", 2e-12 * n ** 3, pipe.kernel(f"matmul/large {n}/bf16"), ["product", n, "bfloat16"], (0.7, 0.95))
    yield Work("product 4096 x 4096 x 4096, f32", "TFLOP/s", 2e-12 * 4096 ** 3, pipe.kernel("matmul/large 4096/f32"), ["product", 4096, "float32"], (None, None))
    yield Work("product 4096 x 4096 x 4096, f32 in tf32", "TFLOP/s", 2e-12 * 4096 ** 3, pipe.kernel("matmul/large 4096 tf32/f32"), ["product", 4096, "tf32"], (None, None))
    flops = 2e-12 * 8 * 16 * 4096 ** 2 * 128
    shape = [8, 4096, 16, 128]
    yield Work("causal attention, 8 x 16 heads of 128, 4096 tokens, bf16", "TFLOP/s", flops, pipe.kernel("attention/large 4096 causal/bf16"),
               ["attention", *shape, False], (0.9, None), cublas=False)
    yield Work("its gradients", "TFLOP/s", 2.5 * flops, pipe.kernel("attention_grad/large 4096 causal/bf16"), ["attention", *shape, True], (0.8, None), cublas=False)


def tiny(pipe):
    yield Work("product 512 x 512 x 512, bf16", "TFLOP/s", 2e-12 * 512 ** 3, pipe.kernel("matmul/large/bf16"), ["product", 512, "bfloat16"], (None, None))
    flops = 2e-12 * 16 * 256 ** 2 * 64
    yield Work("causal attention, 16 heads of 64, 256 tokens, bf16", "TFLOP/s", flops, pipe.kernel("attention/large/bf16"), ["attention", 1, 256, 16, 64, False], (None, None), cublas=False)
    yield Work("its gradients", "TFLOP/s", 2.5 * flops, pipe.kernel("attention_grad/large/bf16"), ["attention", 1, 256, 16, 64, True], (None, None), cublas=False)


def work(a, pipe, folder):
    small = a.small
    yield from tiny(pipe) if small else large(pipe)
    yield Work("a kernel that does next to nothing, in a graph", "µs", 1e6, pipe.launch, ["launch"], (None, None), cublas=False)
    config, past, tokens = (LLAMA_8B | TINY, 16, 4) if small else (LLAMA_8B, 512, 64)
    model = f"{folder}/llama"
    yield Work("a token of a model of 8B after 512, bf16", "tokens/s", 1,
               pipe.document(["models", 0, "decode", "seconds"], "pipelines/complete.cue", "--prompt", str(past), "--tokens", str(tokens), "--repeat", "1", *sets({"model": model, "models.llm.precision": "bf16"})),
               ["decode", model, past, tokens, not small], (None, None), 60, False, before=["write_llama", model, config, "models/tiny-llama/tokenizer.json"])
    config, batch, seq, steps = (LLAMA_1B | TINY, 2, 16, 2) if small else (LLAMA_1B, 4, 2048, 5)
    values = {f"model.config.{k}": v for k, v in config.items() if k != "model_type"}
    values |= {"model.config.max_position_embeddings": seq, "batch.batch": batch, "batch.seq": seq, "data.train.0.files": json.dumps([f"{folder}/text.txt"]), "train.steps": 3 * steps + 4}
    yield Work("training a model of 1B, 4 x 2048 tokens a step, bf16", "tokens/s", batch * seq,
               pipe.document(["training", "step", "seconds"], "benchmarks/train_1b.cue", "--runs", f"{folder}/runs", "--repeat", str(steps), *sets(values)),
               ["train", config, batch, seq, steps, not small], (0.9, 0.9), 60)
    config, model = (TINY_UNET, f"{folder}/unet") if small else (UNET, f"{folder}/unet")
    files = {"model": model} | {k: f"{model}.inputs.safetensors" for k in ("sample", "timestep", "encoder_hidden_states")}
    yield Work("Stable Diffusion's U-Net, two samples, f16", "ms", 1e3,
               pipe.document(["calls", 0, "seconds"], "benchmarks/unet.cue", "--repeat", "2" if small else "5", *sets(files | {"models.model.precision": "f16"})),
               ["unet", model, config], (1.0, 1.0), 60, before=["write_unet", model, config])


def measure(w, pipe, peer, end):
    """One round of a piece of work, as far as there is time."""
    def attempt(who, f):
        left = end - time.monotonic()
        if left < w.takes / 2:
            w.wrong.setdefault(who, "no time left")
            return
        try:
            w.took[who].append(f(min(left, 3 * w.takes)))
        except Failed as e:
            w.wrong[who] = str(e)
    if w.before:
        job, w.before = w.before, None
        try:
            peer.seconds(max(1, min(end - time.monotonic(), 4 * w.takes)), job)
        except Failed as e:
            w.wrong = {who: f"no model: {e}" for who in w.took}
            w.pipe = w.job = None
    if w.job is None:
        return
    attempt("pipe", lambda limit: w.pipe(limit, False))
    if w.cublas:
        attempt("cublas", lambda limit: w.pipe(limit, True))
    attempt("torch", lambda limit: peer.seconds(limit, w.job))


def row(w):
    def cell(who):
        v = w.speed(who)
        return f"{v:.4g}" if v is not None else "" if who == "cublas" and not w.cublas else "-"

    def ratio(who, expect):
        a, b = w.speed(who), w.speed("torch")
        if a is None or b is None:
            return ""
        r = a / b if w.unit.endswith("/s") else b / a
        return f"{r:.2f}" + (f" (want {expect})" if expect and r < expect else "")
    return f"| {w.name} | {w.unit} | {cell('pipe')} | {cell('cublas')} | {cell('torch')} | {ratio('pipe', w.expect[0])} | {ratio('cublas', w.expect[1])} |"


def bandwidth(w, pipe, folder):
    """What a token reads, beside what memory gives."""
    model = f"{folder}/llama"
    if not w.took["pipe"] or "bandwidth_gbytes" not in pipe.limits:
        return []
    with open(f"{model}/config.json") as f:
        config = json.load(f)
    size = sum(os.path.getsize(f"{model}/{n}") for n in os.listdir(model) if n.endswith(".safetensors")) - 2 * config["vocab_size"] * config["hidden_size"]
    reads = size / statistics.median(w.took["pipe"]) / 1e9
    share = reads / pipe.limits["bandwidth_gbytes"]["read"]
    return [f"A token reads {size / 1e9:.3g} GB of weights: pipe {reads:.4g} GB/s, {share:.0%} of what memory gives" + (" (want 80%)." if share < 0.8 else "."), ""]


def report(a, pipe, peer, list, folder, began):
    version = subprocess.run([a.pipe, "version"], capture_output=True, text=True).stdout.splitlines()[0]
    lines = [f"{version}; PyTorch {peer.about['version']} (CUDA {peer.about['cuda']}) on {peer.about['device']}; Python {platform.python_version()}; "
             f"{a.rounds} rounds, medians, {time.monotonic() - began:.0f} s in all." + (" **Sizes to try the script with: pipe in the emulator.**" if a.small else ""), ""]
    if l := pipe.limits:
        b = l["bandwidth_gbytes"]
        lines += [f"{l['measured_with']}: {l['peak_gflops'] / 1e3:.4g} TFLOP/s of f32 and {l.get('peak_half_gflops', 0) / 1e3:.4g} of bf16 by mma.sync; "
                  f"GB/s {b['read']:.0f} read, {b['copy']:.0f} copied, {b['triad']:.0f} triad.", ""]
    lines += ["| work | unit | pipe | with cuBLASLt | PyTorch | pipe / it | with cuBLASLt / it |", "|---|---|---|---|---|---|---|", *(row(w) for w in list), ""]
    for w in list:
        for who, why in w.wrong.items():
            lines.append(f"- {w.name}, {'PyTorch' if who == 'torch' else 'pipe' if who == 'pipe' else 'with cuBLASLt'}: "
                         + (f"measured {len(w.took[who])} of {a.rounds} times: " if w.took[who] else "not measured: ") + why)
    return lines + [""] + [l for w in list if "a token" in w.name for l in bandwidth(w, pipe, folder)]


def library():
    """The cuBLASLt of PyTorch's packages; "" to look for another."""
    for p in sys.path:
        for part in ("cu13", "cublas"):
            folder = os.path.join(p, "nvidia", part, "lib")
            if os.path.isdir(folder):
                for n in sorted(os.listdir(folder), reverse=True):
                    if n.startswith("libcublasLt.so"):
                        return os.path.join(folder, n)
    return ""


def main():
    began = time.monotonic()
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--pipe", default="./pipe")
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--time", type=float, default=0.2, help="seconds of each kernel in a round")
    a.add_argument("--limit", type=float, default=560, help="seconds for all")
    a.add_argument("--only", default="", help="only work whose name contains this")
    a.add_argument("--folder", default="", help="where models are kept, 25 GB; by default a folder that is removed at the end")
    a.add_argument("--cublas", default=library(), help="the libcublasLt; by default PyTorch's")
    a.add_argument("--emulator", metavar="DIR", help="try the script, with the libcuda and libcublasLt in this folder")
    a.add_argument("--write", metavar="FILE", help="put the table into this file, in place of what is there")
    a = a.parse_args()
    a.small = a.emulator is not None
    if a.small:
        a.cublas, a.rounds, a.time = "", 1, 0.01
    pipe, peer = Pipe(a), Peer(a.small)
    with tempfile.TemporaryDirectory() as made:
        folder = a.folder or made
        r = random.Random(1)
        with open(f"{folder}/text.txt", "w") as f:
            for _ in range(20000):
                f.write("".join(r.choice("abcdefghijklmnopqrstuvwxyz ") for _ in range(79)) + "\n")
        list = [w for w in work(a, pipe, folder) if a.only in w.name]
        for i in range(a.rounds):
            for w in list:
                measure(w, pipe, peer, began + a.limit)
                print(f"{time.monotonic() - began:.0f} s, round {i + 1} of {a.rounds}: {row(w)}", file=sys.stderr, flush=True)
        peer.close()
        write(None if a.small else a.write, "compare-cuda", report(a, pipe, peer, list, folder, began))


if __name__ == "__main__":
    main()
