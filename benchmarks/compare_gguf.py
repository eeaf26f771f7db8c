"""GGUF files that pipe writes, and folders that it makes of them, beside what other programs make of them.

    make compare-gguf

Every reference model of an architecture that GGUF holds is written by pipe quantize. Its tensors must have names and its
metadata keys that the gguf package knows for the architecture; transformers, where it reads such files, and llama.cpp, where
llama-cpp-python is installed, must compute the reference's logits from it; so must pipe itself, and transformers from the
folder that pipe convert makes of it. Vocabularies of ../shared/data become tokenizer.json with the ids that llama.cpp gives.
The table has the largest differences of logits, relative to max(1, |y|). Needs testdata/golden/requirements.txt.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import torch
from safetensors.numpy import load_file
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

try:
    import llama_cpp
except ImportError:
    llama_cpp = None

MODELS = ["arch/llama_f16", "arch/llama31", "arch/mistral", "arch/qwen2_bf16", "arch/mixtral", "arch/qwen3", "arch/qwen2_moe", "arch/qwen3_moe",
          "arch/gemma", "arch/gemma2", "arch/gemma3", "arch/phi3", "arch/phi3_short", "arch/phi3_long", "arch/gpt2", "encoder/bert"]
TOLERANCE = 1e-4


def pipe(program, *args):
    p = subprocess.run([program, *args], capture_output=True, text=True)
    if p.returncode != 0:
        sys.exit(f"pipe {' '.join(args)}: {p.stderr}")


def error(got, want):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return float((np.abs(got - want) / np.maximum(1, np.abs(want))).max())


def unknown(path):
    """Names of tensors and keys of metadata that the gguf package does not have."""
    r = gguf.GGUFReader(path)
    arch = str(r.fields["general.architecture"].contents())
    kind = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == arch)
    known = {gguf.TENSOR_NAMES[t] for t in gguf.MODEL_TENSORS[kind]}
    known |= {gguf.TENSOR_NAMES[getattr(gguf.MODEL_TENSOR, t)] for t in ("OUTPUT", "FFN_GATE", "FFN_UP", "FFN_DOWN")}  # untied, and layers without experts
    names = [re.sub(r"\.(weight|bias)$", "", re.sub(r"blk\.\d+\.", "blk.{bid}.", t.name)) for t in r.tensors]
    keys = set()
    for holder in vars(gguf.Keys).values():
        if isinstance(holder, type):
            keys |= {v.replace("{arch}", arch) for v in vars(holder).values() if isinstance(v, str)}
    bad = [n for n in names if n not in known]
    return bad + [k for k in r.fields if not k.startswith(("GGUF.", "tokenizer.")) and k not in keys]


def transformers_logits(load, ids):
    model = load().eval()
    with torch.no_grad():
        out = model(torch.from_numpy(ids).long())
    return (out.logits if hasattr(out, "logits") else out.last_hidden_state).numpy()


def of_folder(path, encoder, ids):
    kind = AutoModel if encoder else AutoModelForCausalLM
    return transformers_logits(lambda: kind.from_pretrained(path, attn_implementation="eager", dtype=torch.float32), ids)


def of_file(path, ids):
    """What transformers computes from the file; the reason if it reads none such."""
    try:
        return transformers_logits(lambda: AutoModelForCausalLM.from_pretrained(
            os.path.dirname(path), gguf_file=os.path.basename(path), attn_implementation="eager", dtype=torch.float32), ids)
    except Exception as e:  # whatever it lacks for an architecture or a vocabulary
        return f"{type(e).__name__}"


def of_llama(path, ids):
    m = llama_cpp.Llama(path, n_ctx=64, logits_all=True, verbose=False, n_threads=2)
    out = []
    for row in ids:
        m.reset()
        m.eval(row.tolist())
        out.append(np.array(m.scores[:len(row)]))
    return np.stack(out)


def tokenizers(program, data):
    """Texts of which tokenizer.json of a vocabulary gives other ids than llama.cpp."""
    for file in sorted(glob.glob(f"{data}/tokenizer/ggml-vocab/*.gguf")):
        name = os.path.basename(file).removeprefix("ggml-vocab-").removesuffix(".gguf")
        with tempfile.TemporaryDirectory() as tmp:
            subprocess.run(["go", "test", "-count=1", "-run", f"^TestGGUFFiles$/^{name}$", "./executor/tokenizer", "-write", tmp], check=True, capture_output=True)
            if not os.path.exists(f"{tmp}/{name}"):
                continue
            t = AutoTokenizer.from_pretrained(f"{tmp}/{name}")
            texts = open(file + ".inp", encoding="utf-8", newline="").read().split("\n__ggml_vocab_test__\n")
            want = [[int(x) for x in line.split()] for line in open(file + ".out").read().removesuffix("\n").split("\n")]
            bad = sum(t(x, add_special_tokens=False).input_ids != w for x, w in zip(texts, want))
            yield name, len(want), bad


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    a = argparse.ArgumentParser()
    a.add_argument("--pipe", default="./pipe")
    a.add_argument("--data", default="../shared/data")
    a.add_argument("--only", default="", help="only names that contain this")
    a = a.parse_args()
    bad = 0
    show = lambda x: x if isinstance(x, str) else f"{x:.1e}"  # noqa: E731
    print(f"{'model':20} {'pipe':>8} {'folder':>8} {'transformers':>14} {'llama.cpp':>10}")
    for name in MODELS:
        if a.only not in name:
            continue
        source = f"testdata/golden/{name}"
        values = load_file(f"{source}/expected.safetensors")
        ids, want = values["ids"], values["logits" if "logits" in values else "hidden"]
        with tempfile.TemporaryDirectory() as tmp:
            file = f"{tmp}/m.gguf"
            pipe(a.pipe, "quantize", source, file, "--type", "f32")
            if wrong := unknown(file):
                bad += 1
                print(f"{name}: the gguf package does not know {wrong}")
            np.save(f"{tmp}/ids.npy", ids)
            pipe(a.pipe, "run", "pipelines/forward.cue", "--quiet", "--set", f"model={file}", "--set", f"ids={tmp}/ids.npy", "--out", f"{tmp}/out.safetensors")
            own = error(load_file(f"{tmp}/out.safetensors")["logits"], want)
            pipe(a.pipe, "convert", file, f"{tmp}/folder", "--quiet")
            folder = error(of_folder(f"{tmp}/folder", "logits" not in values, ids), want)
            other = of_file(file, ids)
            other = other if isinstance(other, str) else error(other, want)
            llama = "-"
            if llama_cpp and "logits" in values:
                llama = error(of_llama(file, ids), want)
        bad += not own <= TOLERANCE
        bad += not folder <= TOLERANCE
        print(f"{name:20} {own:8.1e} {folder:8.1e} {show(other):>14} {show(llama):>10}", flush=True)
    if not a.only:
        for name, texts, wrong in tokenizers(a.pipe, a.data):
            bad += wrong > 0
            print(f"vocabulary {name}: {wrong} of {texts} texts differ in transformers")
    if bad:
        sys.exit(f"{bad} are wrong")


if __name__ == "__main__":
    main()
