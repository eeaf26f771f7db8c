"""A step of Stable Diffusion's U-Net, or its decoder, beside PyTorch and ONNX Runtime, in turns, as a table in Markdown.

    make compare-diffusion PYTHON=venv/bin/python

The U-Net has the shape of Stable Diffusion 1.5 (or a half or a quarter of its channels: --scale) and drawn weights, each of them a number that
f16 has; two samples of 64 x 64 latents and 77 x 768 of context, as one step with guidance has them. The decoder (--scale decoder) is that of its
autoencoder, for one picture of 512 x 512. All compute in f32 but "PyTorch, f16". Pipe
is measured with weights in f32 and, as files in f16 are read, in f16; the peers, which hold what they compute with, in f32.

Each turn starts a program anew, which reads the weights, makes a call to warm up and then some that count; so only one is in memory at a time.
Resident memory is the most that the process had (VmHWM), with its code and with the pages of mapped files; anonymous memory is without both,
which is what the system can't drop: the most that was seen between and during calls. Turns that are done are kept beside the model, so a
comparison that was interrupted goes on; another binary, other versions or settings begin anew.
"""

import argparse
import hashlib
import json
import os
import shlex
import statistics
import subprocess
import sys
import threading
import time

from report import write

UNET = {"class": "UNet2DConditionModel", "sample_size": 64, "cross_attention_dim": 768}
SCALES = {
    "full": UNET,
    "half": UNET | {"block_out_channels": (160, 320, 640, 640), "attention_head_dim": 4},
    "quarter": UNET | {"block_out_channels": (80, 160, 320, 320), "attention_head_dim": 2, "norm_num_groups": 16},
    "decoder": {"class": "AutoencoderKL", "sample_size": 512, "latent_channels": 4, "layers_per_block": 2, "block_out_channels": (128, 256, 512, 512),
                "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4},
}
PROGRAMS = {
    "pipe": "pipe",
    "pipe_f16": "pipe, weights in f16",
    "eager": "PyTorch",
    "channels_last": "PyTorch, channels last",
    "compile": "PyTorch, compiled",
    "onnxruntime": "ONNX Runtime",
    "half": "PyTorch, f16",
}
USUAL = [n for n in PROGRAMS if n != "half"]  # which takes many times as long as the others


class Watch:
    """Looks every 20 ms at the memory of a process and of those that it started, for the most that one had, in MB."""

    def __init__(self, pid):
        self.pid, self.anonymous, self.resident, self.going = pid, 0, 0, True
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def family(self, pid):
        yield pid
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            for child in f.read().split():
                yield from self.family(child)

    def look(self):
        while self.going:
            try:
                for pid in self.family(self.pid):
                    with open(f"/proc/{pid}/status") as f:
                        lines = dict(line.split(":", 1) for line in f)
                    size = lambda k: int(lines.get(k, "0").split()[0]) * 1024 / 1e6
                    self.anonymous, self.resident = max(self.anonymous, size("RssAnon")), max(self.resident, size("VmHWM"))
            except OSError:
                pass
            time.sleep(0.02)

    def end(self):
        self.going = False
        self.thread.join()


# The peers, each in a process of its own: seconds of calls.

def inputs(scale):
    import numpy as np
    r = np.random.default_rng(2)
    if scale == "decoder":
        return {"sample": r.standard_normal((1, 4, 64, 64), dtype=np.float32)}
    return {"sample": r.standard_normal((2, 4, 64, 64), dtype=np.float32), "timestep": np.full(2, 500, np.float32),
            "encoder_hidden_states": r.standard_normal((2, 77, 768), dtype=np.float32)}


def load(folder, scale, dtype=None):
    """The model, whose forward is what is measured."""
    import diffusers
    import torch
    m = getattr(diffusers, SCALES[scale]["class"]).from_pretrained(folder, torch_dtype=dtype or torch.float32).eval()
    m.forward = (lambda sample: m.decode(sample, return_dict=False)[0]) if scale == "decoder" else lambda f=m.forward, **a: f(**a, return_dict=False)[0]
    return m


def torch_call(folder, scale, kind):
    import torch
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_grad_enabled(False)
    dtype = torch.float16 if kind == "half" else torch.float32
    m = load(folder + "-f16" if kind == "half" else folder, scale, dtype)
    values = {k: torch.from_numpy(v).to(dtype) for k, v in inputs(scale).items()}
    if kind == "channels_last":
        m, values["sample"] = m.to(memory_format=torch.channels_last), values["sample"].to(memory_format=torch.channels_last)
    if kind == "compile":
        m = torch.compile(m)
    return lambda: m(**values).numpy()


def onnx_call(folder, scale):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = int(os.environ["OMP_NUM_THREADS"]), 1
    session = onnxruntime.InferenceSession(f"{folder}.onnx/model.onnx", options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs(scale))[0]


def serve(name, folder, scale, calls):
    f = onnx_call(folder, scale) if name == "onnxruntime" else torch_call(folder, scale, name)
    took = []
    for _ in range(calls + 1):
        begin = time.perf_counter()
        out = f()
        took.append(time.perf_counter() - begin)
    print(json.dumps({"seconds": statistics.median(took[1:]), "least": min(took[1:]), "out": [float(v) for v in out.ravel()[:64]]}))


def make(folder, scale, export):
    """The model, in f32 and in f16, its inputs as files, and its export, as far as they are not there."""
    import diffusers
    import torch
    from safetensors.numpy import save_file
    if not os.path.exists(f"{folder}.inputs.safetensors"):
        torch.manual_seed(1)
        config = dict(SCALES[scale])
        m = getattr(diffusers, config.pop("class"))(**config).half()
        m.save_pretrained(folder + "-f16", max_shard_size="20GB")
        m.float().save_pretrained(folder, max_shard_size="20GB")
        save_file(inputs(scale), f"{folder}.inputs.safetensors")
    if export and not os.path.exists(f"{folder}.onnx/model.onnx"):
        os.makedirs(f"{folder}.onnx", exist_ok=True)
        values = {k: torch.from_numpy(v) for k, v in inputs(scale).items()}
        with torch.no_grad():
            torch.onnx.export(load(folder, scale), (), f"{folder}.onnx/model.onnx", kwargs=values, input_names=list(values), opset_version=18, dynamo=True, external_data=True)


# The comparison.

def run(a, command):
    """The output of a command, and the memory that it had."""
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    p = subprocess.Popen(shlex.split(a.under) + command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=dict(os.environ, **{v: str(a.threads) for v in variables}))
    watch = Watch(p.pid)
    out, err = p.communicate()
    watch.end()
    if p.returncode != 0:
        sys.exit(f"{' '.join(command)}: {err[-2000:]}")
    return out, watch


def measure(a, name, folder):
    if name.startswith("pipe"):
        file, model = f"{folder}.inputs.safetensors", folder + ("-f16" if name == "pipe_f16" else "")
        sets = [x for k in inputs(a.scale) for x in ("--set", f"{k}={file}")]
        document = "benchmarks/decoder.cue" if a.scale == "decoder" else "benchmarks/unet.cue"
        out, watch = run(a, [a.pipe, "bench", document, "--json", "--threads", str(a.threads), "--repeat", str(a.calls), "--set", f"model={model}", *sets])
        call = json.loads(out)["calls"][0]
        return {"seconds": call["seconds"], "least": call["seconds_min"], "resident": watch.resident, "anonymous": watch.anonymous, "call": call}
    out, watch = run(a, [sys.executable, os.path.abspath(__file__), "--serve", name, "--folder", folder, "--scale", a.scale, "--calls", str(a.calls)])
    return json.loads(out.splitlines()[-1]) | {"resident": watch.resident, "anonymous": watch.anonymous}


def turns(a, folder):
    """What each program did in each round: read, where it is there, else measured and kept. Every round begins with another program."""
    with open(a.pipe, "rb") as f:
        key = [hashlib.file_digest(f, "sha256").hexdigest(), versions(a), a.threads, a.calls, a.under]
    path, done = f"{folder}.turns.jsonl", {}
    if os.path.exists(path):
        with open(path) as f:
            for line in f:
                turn = json.loads(line)
                if turn["key"] == key:
                    done[turn["round"], turn["program"]] = turn["result"]
    rounds = []
    for i in range(a.rounds):
        results = {}
        for j in range(len(a.programs)):
            n = a.programs[(i + j) % len(a.programs)]
            results[n] = r = done.get((i, n)) or measure(a, n, folder)
            print(f"round {i + 1} of {a.rounds}, {n}: {r['seconds']:.3f} s, {r['resident']:.0f} MB, {r['anonymous']:.0f} MB anonymous", file=sys.stderr, flush=True)
            if (i, n) not in done:
                with open(path, "a") as f:
                    f.write(json.dumps({"key": key, "round": i, "program": n, "result": r}) + "\n")
        rounds.append(results)
    return rounds


def versions(a):
    import diffusers
    import onnxruntime
    import torch
    first = subprocess.run([a.pipe, "version"], capture_output=True, text=True).stdout.splitlines()[0]
    return f"{first}; PyTorch {torch.__version__}; diffusers {diffusers.__version__}; ONNX Runtime {onnxruntime.__version__}"


def table(a, rounds):
    base = "pipe_f16" if "pipe_f16" in a.programs else "pipe"
    lines = [f"| program | seconds | least | {PROGRAMS[base]}: times as fast | resident, MB | {PROGRAMS[base]}: share of it | anonymous, MB | share of it |",
             "|---|---|---|---|---|---|---|---|"]
    middle = lambda n, k: statistics.median(r[n][k] for r in rounds)
    for n in a.programs:
        cells = [PROGRAMS[n], f"{middle(n, 'seconds'):.2f}", f"{min(r[n]['least'] for r in rounds):.2f}", f"{statistics.median(r[n]['seconds'] / r[base]['seconds'] for r in rounds):.2f}"]
        for k in ("resident", "anonymous"):
            cells += [f"{middle(n, k):.0f}", f"{middle(base, k) / middle(n, k):.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def where(call):
    """Where the time of pipe's last call went."""
    lines = ["", "| op of pipe | calls | seconds | share | GFLOP/s |", "|---|---|---|---|---|"]
    for o in call["ops"]:
        if o["seconds"] > call["seconds"] / 200:
            lines.append(f"| {o['op']} | {o['calls']} | {o['seconds']:.3f} | {100 * o['seconds'] / call['seconds']:.1f}% | {o['flops'] / o['seconds'] / 1e9:.0f} |")
    return lines


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pipe", default="./pipe")
    p.add_argument("--scale", choices=SCALES, default="full")
    p.add_argument("--folder", default=os.path.expanduser("~/.cache/pipe/compare-diffusion"), help="where models are kept, 9 GB")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--calls", type=int, default=2, help="calls that count, in each round")
    p.add_argument("--programs", default=",".join(USUAL))
    p.add_argument("--under", default="", help="a command that runs each program, with its arguments in front")
    p.add_argument("--write", metavar="FILE", help="put the table into this file, in place of what is there")
    p.add_argument("--serve", help=argparse.SUPPRESS)  # in a process of its own: a program, or what makes the model
    a = p.parse_args()
    if a.serve == "make":
        return make(a.folder, a.scale, "onnxruntime" in a.programs)
    if a.serve:
        return serve(a.serve, a.folder, a.scale, a.calls)
    a.programs = a.programs.split(",")
    folder = f"{a.folder}/{a.scale}"
    subprocess.run([sys.executable, os.path.abspath(__file__), "--serve", "make", "--folder", folder, "--scale", a.scale, "--programs", ",".join(a.programs)],
                   check=True, stdout=sys.stderr)
    rounds = turns(a, folder)
    call = rounds[-1]["pipe"]["call"]
    lines = [f"{versions(a)}; {a.threads} threads; {a.scale}, {call['flops'] / 1e12:.2f} TFLOP a call; {a.rounds} rounds of {a.calls} calls after a first one, medians.", ""]
    write(a.write, f"compare-diffusion-{a.scale}", lines + table(a, rounds) + where(call))


if __name__ == "__main__":
    main()
