"""transformers loads what pipe writes of every model of arch/ and encoder/, with identical tensors.

    go build -o pipe ./cmd/pipe && python testdata/golden/saveback.py ./pipe

Each folder goes through `pipe convert FOLDER OUT` (another folder), by way of PyTorch's format as well; both are loaded with
from_pretrained, and every tensor of the state dict must be the same in name, shape, dtype and bits. saveback.json says of how
many tensors that holds. (Quantised models are compared file by file: what transformers makes of them wants a GPU, or other packages.)
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors import safe_open
from transformers import AutoModel, AutoModelForCausalLM
from transformers.utils import logging

from reference import HERE, write_json


def bits(t):
    return t.contiguous().view(torch.uint8) if t.dim() else t.reshape(1).view(torch.uint8)


def loaded(kind, path):
    with open(os.path.join(path, "config.json")) as f:
        packed = "quantization_config" in json.load(f)
    if packed:
        out = {}
        for f in glob.glob(os.path.join(path, "*model*.safetensors")):
            with safe_open(f, "pt") as r:
                out |= {k: r.get_tensor(k) for k in r.keys()}
        return out
    cls = AutoModelForCausalLM if kind == "arch" else AutoModel
    net, info = cls.from_pretrained(path, dtype="auto", output_loading_info=True)
    fresh = set(info["missing_keys"])  # what no file holds is drawn anew each time
    return {k: v for k, v in net.state_dict().items() if k not in fresh}


def main(pipe):
    counts = {}
    for kind in ["arch", "encoder"]:
        for name in sorted(os.listdir(os.path.join(HERE, kind))):
            path = os.path.join(HERE, kind, name)
            want = loaded(kind, path)
            with tempfile.TemporaryDirectory() as tmp:
                one, file, two = os.path.join(tmp, name), os.path.join(tmp, "x.pt"), os.path.join(tmp, "again", name)
                os.makedirs(os.path.dirname(two))
                for way in [(path, one), (one, file), (file, two)]:
                    subprocess.run([pipe, "convert", "--quiet", *way], check=True, stdout=subprocess.DEVNULL)
                shutil.copy(os.path.join(one, "config.json"), two)
                for out in [one, two]:
                    got = loaded(kind, out)
                    assert list(got) == list(want), (name, set(got) ^ set(want))
                    for k, w in want.items():
                        assert got[k].shape == w.shape and got[k].dtype == w.dtype and torch.equal(bits(got[k]), bits(w)), (name, k)
            counts[name] = len(want)
            print(f"{name:13} {len(want):4} tensors identical")
    write_json(os.path.join(HERE, "saveback.json"), {"transformers": transformers.__version__, "tensors": counts})


if __name__ == "__main__":
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    main(sys.argv[1])
