"""What pipe plan predicts of the time of a step, beside what steps take, in turns.

    make forecast RECIPE=recipes/shakespeare-char.cue SET="batch.batch=24"

Each round asks pipe plan for the time of a step and then trains a few steps; the table gives the medians over rounds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile


def pipe(args):
    p = subprocess.run(args, capture_output=True, text=True)
    if p.returncode != 0:
        sys.exit(p.stderr)
    return p.stdout


def main():
    a = argparse.ArgumentParser()
    a.add_argument("recipe")
    a.add_argument("--pipe", default="./pipe")
    a.add_argument("--steps", type=int, default=40)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    a.add_argument("--set", action="append", default=[])
    a = a.parse_args()
    sets = [x for s in a.set for x in ("--set", s)]
    print(f"{'threads':>8} {'predicted ms':>13} {'real ms':>9} {'ratio':>6}")
    for threads in a.threads:
        predicted, real = [], []
        for _ in range(a.rounds):
            with tempfile.TemporaryDirectory() as runs:
                base = [a.recipe, "--json", "--runs", runs, "--threads", str(threads), *sets]
                predicted.append(json.loads(pipe([a.pipe, "plan", *base]))["times"][0]["step_seconds"])
                few = ["--quiet", "--set", f"train.steps={a.steps}", "--set", "train.log_every=10", "--set", "eval.every=0",
                       "--set", "eval.batches=1", "--set", "schedule.warmup_steps=1"]
                run = json.loads(pipe([a.pipe, "run", *base, *few]))["run"]
                rows = [json.loads(line) for line in open(f"{run}/metrics.jsonl")]
                steps = [(n["tokens"] - b["tokens"]) / n["tokens_per_second"] / (n["step"] - b["step"]) for b, n in zip(rows, rows[1:])]
                real.append(statistics.median(steps[1:]))
        p, r = statistics.median(predicted), statistics.median(real)
        print(f"{threads:8} {1e3 * p:13.2f} {1e3 * r:9.2f} {p / r:6.2f}", flush=True)


if __name__ == "__main__":
    main()
