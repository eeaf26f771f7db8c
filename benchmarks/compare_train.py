"""Training speed and memory beside PyTorch: the model, batch and optimizer of recipes/shakespeare-char.cue, in turns.

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

STEPS = 150


def torch_run(text, threads, compiled):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(threads)
    torch.manual_seed(42)
    data = open(text).read()
    chars = {c: i for i, c in enumerate(sorted(set(data)))}
    ids = torch.tensor([chars[c] for c in data[:len(data) * 9 // 10]])
    model = LlamaForCausalLM(LlamaConfig(vocab_size=65, hidden_size=128, intermediate_size=344, num_hidden_layers=4,
                                         num_attention_heads=4, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=True))
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.99))
    run = torch.compile(model) if compiled else model
    start = 0.0
    for step in range(STEPS):
        if step == STEPS // 3:
            start = time.perf_counter()
        at = torch.randint(len(ids) - 65, (12,))
        x = torch.stack([ids[i:i + 64] for i in at])
        y = torch.stack([ids[i + 1:i + 65] for i in at])
        logits = run(input_ids=x, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.view(-1, 65), y.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
    speed = (STEPS - STEPS // 3) * 12 * 64 / (time.perf_counter() - start)
    print(json.dumps({"speed": speed, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "loss": loss.item()}))


def measured(command):
    """Runs a process; its last line of output and its peak memory."""
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    if status != 0:
        sys.exit(f"{command} failed")
    return out, usage.ru_maxrss * 1024


def pipe_run(text, threads):
    with tempfile.TemporaryDirectory() as runs:
        out, memory = measured(["./pipe", "run", "recipes/shakespeare-char.cue", "--runs", runs, "--json", "--threads", str(threads),
                                "--set", f'data.train=[{{files: ["{text}"], validation: 0.1}}]', "--set", f"train.steps={STEPS}",
                                "--set", f"train.log_every={STEPS // 3}", "--set", "eval.every=0", "--set", "eval.batches=1", "--set", "save.every=0"])
        run = json.loads(out)
        rows = [json.loads(line) for line in open(os.path.join(run["run"], "metrics.jsonl"))]
        speeds = [r["tokens_per_second"] for r in rows if r["step"] == 2 * STEPS // 3]
        return {"speed": speeds[0], "memory": memory, "loss": run["loss"]}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("text")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--torch", choices=["eager", "compile"])
    a.add_argument("--no-compile", action="store_true")
    o = a.parse_args()
    if o.torch:
        return torch_run(o.text, o.threads, o.torch == "compile")
    ways = {"pipe": lambda: pipe_run(o.text, o.threads)}
    for kind in ["eager"] + ([] if o.no_compile else ["compile"]):
        ways["PyTorch " + kind] = lambda kind=kind: json.loads(measured([sys.executable, __file__, o.text, "--threads", str(o.threads), "--torch", kind])[0])
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
