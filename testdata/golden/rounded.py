"""How far models of arch/ are from themselves in float64 when transformers computes them in 16 bits.

    python testdata/golden/rounded.py

rounded.json: for each folder and type, |logits - logits in float64| / |logits in float64| (norms over all of expected.safetensors);
null where transformers gives no finite numbers.
"""

import json
import os

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from reference import HERE

SKIP = {"grok", "llama_fp8", "llama_gptq"}  # transformers can't load them, or not in another type


def main():
    out = {}
    root = os.path.join(HERE, "arch")
    for name in sorted(os.listdir(root)):
        folder = os.path.join(root, name)
        if name in SKIP:
            continue
        want = load_file(os.path.join(folder, "expected.safetensors"))
        out[name] = {}
        for label, dtype in (("bf16", torch.bfloat16), ("f16", torch.float16)):
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
            with torch.no_grad():
                logits = model(want["ids"].long()).logits.double()
            ref = want["logits"].double()
            error = float((logits - ref).norm() / ref.norm())
            out[name][label] = round(error, 6) if error == error and error != float("inf") else None
        print(name, out[name], flush=True)
    with open(os.path.join(HERE, "rounded.json"), "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
