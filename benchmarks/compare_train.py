"""Training speed and memory beside PyTorch, in turns: recipes/shakespeare-char.cue as it is, and with 6 layers of width 384.

    make compare-train PYTHON=venv/bin/python TEXT=tinyshakespeare.txt

Each round trains with pipe, with PyTorch eager and with torch.compile, on the same number of threads; the table gives the median over
rounds of tokens a second (after the first third of the steps) and the peak resident memory of the process.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

# Layers, width, width of the MLP, heads, tokens of a row, rows of a batch, steps to take.
MODELS = {
    "char": (4, 128, 344, 4, 64, 12, 150),
    "wide": (6, 384, 1024, 6, 256, 4, 15),
}


def torch_run(text, threads, compiled, model):
    layers, width, hidden, heads, seq, batch, steps = MODELS[model]
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(threads)
    torch.manual_seed(42)
    data = open(text).read()
    chars = {c: i for i, c in enumerate(sorted(set(data)))}
    ids = torch.tensor([chars[c] for c in data[:len(data) * 9 // 10]])
    model = LlamaForCausalLM(LlamaConfig(vocab_size=65, hidden_size=width, intermediate_size=hidden, num_hidden_layers=layers,
                                         num_attention_heads=heads, max_position_embeddings=seq, rms_norm_eps=1e-5, tie_word_embeddings=True))
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.99))
    run = torch.compile(model) if compiled else model
    start = 0.0
    for step in range(steps):
        if step == steps // 3:
            start = time.perf_counter()
        at = torch.randint(len(ids) - seq - 1, (batch,))
        x = torch.stack([ids[i:i + seq] for i in at])
        y = torch.stack([ids[i + 1:i + seq + 1] for i in at])
        logits = run(input_ids=x, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.view(-1, 65), y.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
    speed = (steps - steps // 3) * batch * seq / (time.perf_counter() - start)
    print(json.dumps({"speed": speed, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "loss": loss.item()}))


def measured(command):
    """Runs a process; its last line of output and its peak memory."""
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    if status != 0:
        sys.exit(f"{command} failed")
    return out, usage.ru_maxrss * 1024


def pipe_run(text, threads, model):
    layers, width, hidden, heads, seq, batch, steps = MODELS[model]
    config = {"hidden_size": width, "intermediate_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "max_position_embeddings": seq}
    change = [f"model.config.{k}={v}" for k, v in config.items()] + [f"batch.seq={seq}", f"batch.batch={batch}", f"train.steps={steps}", f"train.log_every={steps // 3}",
        "train.histograms=none", f'data.train.0.files=["{text}"]', "eval.every=0", "eval.batches=1", "save.every=0"]
    with tempfile.TemporaryDirectory() as runs:
        out, memory = measured(["./pipe", "run", "recipes/shakespeare-char.cue", "--runs", runs, "--json", "--threads", str(threads)]
                               + [word for c in change for word in ("--set", c)])
        run = json.loads(out)
        rows = [json.loads(line) for line in open(os.path.join(run["run"], "metrics.jsonl"))]
        speeds = [r["tokens_per_second"] for r in rows if r["step"] == 2 * (steps // 3)]
        return {"speed": speeds[0], "memory": memory, "loss": run["loss"]}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("text")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--model", choices=list(MODELS), default="char")
    a.add_argument("--torch", choices=["eager", "compile"])
    a.add_argument("--no-compile", action="store_true")
    o = a.parse_args()
    if o.torch:
        return torch_run(o.text, o.threads, o.torch == "compile", o.model)
    ways = {"pipe": lambda: pipe_run(o.text, o.threads, o.model)}
    for kind in ["eager"] + ([] if o.no_compile else ["compile"]):
        ways["PyTorch " + kind] = lambda kind=kind: json.loads(measured([sys.executable, __file__, o.text, "--threads", str(o.threads), "--model", o.model, "--torch", kind])[0])
    results = {name: [] for name in ways}
    for _ in range(o.rounds):
        for name, run in ways.items():
            results[name].append(run())
    median = lambda name, key: statistics.median(r[key] for r in results[name])
    print("| | tokens/s | pipe / it | peak memory, MB | pipe / it |\n|---|---|---|---|---|")
    for name in ways:
        print(f"| {name} | {median(name, 'speed'):.0f} | {median('pipe', 'speed') / median(name, 'speed'):.2f} "
              f"| {median(name, 'memory') / 1e6:.0f} | {median('pipe', 'memory') / median(name, 'memory'):.2f} |")


if __name__ == "__main__":
    main()
