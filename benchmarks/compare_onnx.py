"""What ONNX Runtime computes from files that pipe convert writes, beside what pipe computes from their models.

    make compare-onnx

Every model folder under testdata/golden is written as .onnx, proven by onnx.checker, and run with the reference's ids, whole
and in part, so that other sizes of batch and sequence are tried, too. Encoders with decoders are held against the reference alone. --ops is a folder that the Go test TestExportCases
wrote: the cases of the op table with their results in float64. The table gives the largest difference, relative to
max(1, |y|). Needs testdata/golden/requirements.txt.
"""

import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from safetensors.numpy import load_file

TOLERANCE = 1e-4


def pipe(program, *args):
    p = subprocess.run([program, *args], capture_output=True, text=True)
    if p.returncode != 0:
        sys.exit(f"pipe {' '.join(args)}: {p.stderr}")
    return p.stdout


def session(path):
    onnx.checker.check_model(path, full_check=True)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def error(got, want):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if got.shape != want.shape or not np.array_equal(np.isfinite(got), np.isfinite(want)):
        return float("inf")
    finite = np.isfinite(want)
    return float((np.abs(got - want)[finite] / np.maximum(1, np.abs(want[finite]))).max(initial=0))


def model(program, path, values, tmp, flags):
    """The largest differences from pipe and from the reference, None where there is nothing to compare with."""
    out = os.path.join(tmp, "m.onnx")
    pipe(program, "convert", path, out, "--force", "--quiet", *flags)
    run = session(out)
    names = [i.name for i in run.get_inputs()]
    ids, reference = values[names[-1]], values.get("logits", values.get("hidden"))
    near = far = None
    for rows, seq in ((ids.shape[0], ids.shape[1]), (1, 7), (2, 1)):
        given = {n: np.ascontiguousarray(values[n][:rows], np.int64) for n in names}
        given[names[-1]] = part = np.ascontiguousarray(given[names[-1]][:, :seq])
        got = run.run(["logits"], given)[0]
        if names == ["ids"]:
            np.save(os.path.join(tmp, "ids.npy"), part.astype(np.int32))
            pipe(program, "run", "pipelines/forward.cue", "--quiet", "--set", f"model={path}", "--set", f"ids={tmp}/ids.npy",
                 "--out", f"{tmp}/out.safetensors")
            near = max(near or 0.0, error(got, load_file(f"{tmp}/out.safetensors")["logits"]))
            if seq < ids.shape[1]:  # encoders see what comes behind
                continue
        if reference is not None:  # a decoder's logits do not
            far = max(far or 0.0, error(got, reference[:rows, :seq]))
    return near, far


def models():
    """Names, paths, and inputs with reference logits of everything that can be exported."""
    for file in sorted(glob.glob("testdata/golden/*/*/expected.safetensors")):
        folder, values = os.path.dirname(file), load_file(file)
        if os.path.exists(f"{folder}/config.json") and "ids" in values:
            yield folder.removeprefix("testdata/golden/"), folder, values
    for name in ("llama_f16", "llama31", "qwen2_bf16"):
        yield f"gguf/{name}.gguf", f"testdata/golden/gguf/{name}.gguf", load_file(f"testdata/golden/arch/{name}/expected.safetensors")


def shown(difference):
    return "-" if difference is None else f"{difference:.1e}"


def ops(folder):
    """The largest difference of each case, by name."""
    for file in sorted(glob.glob(f"{folder}/*.onnx")):
        values = load_file(file.removesuffix(".onnx") + ".safetensors")
        run = session(file)
        given = {i.name: values["in." + i.name] for i in run.get_inputs()}
        results = run.run(None, given)
        yield os.path.basename(file).removesuffix(".onnx"), max(
            error(got, values["out." + o.name]) for o, got in zip(run.get_outputs(), results))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--pipe", default="./pipe")
    a.add_argument("--ops")
    a.add_argument("--only", default="", help="only names that contain this")
    a = a.parse_args()
    bad = 0
    if a.ops:
        tolerances = json.load(open(f"{a.ops}/tolerances.json"))
        count, worst = 0, 0.0
        for name, e in ops(a.ops):
            count, worst = count + 1, max(worst, e)
            if not e <= max(TOLERANCE, tolerances[name]):
                bad += 1
                print(f"{name}: {e:.2e}", flush=True)
        print(f"{count} cases of operations, largest difference {worst:.1e}")
    print(f"{'model':28} {'from pipe':>10} {'from transformers':>18}")
    for name, path, values in models():
        if a.only not in name:
            continue
        for flags in ([], ["--external"]) if name == "arch/llama" else ([],):
            with tempfile.TemporaryDirectory() as tmp:
                differences = model(a.pipe, path, values, tmp, flags)
            bad += any(d is not None and not d <= TOLERANCE for d in differences) or differences == (None, None)
            print(f"{' '.join([name, *flags]):28} {shown(differences[0]):>10} {shown(differences[1]):>18}", flush=True)
    if bad:
        sys.exit(f"{bad} differ by more than {TOLERANCE}")


if __name__ == "__main__":
    main()
