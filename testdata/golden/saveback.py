"""transformers loads what pipe writes of every model of arch/, encoder/ and seq2seq/, with identical tensors.

    go build -o pipe ./cmd/pipe && python testdata/golden/saveback.py ./pipe

Each folder goes through `pipe convert FOLDER OUT` (another folder), by way of PyTorch's format as well; both are loaded with
from_pretrained, and every tensor of the state dict must be the same in name, shape, dtype and bits. saveback.json says of how
many tensors that holds. Two kinds of models are compared as files, by the safetensors package, and counted apart: quantised ones, of
which transformers makes what wants a GPU or other packages, and those of architectures that transformers lacks.
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
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging

from reference import HERE, write_json


def bits(t):
    return t.contiguous().view(torch.uint8) if t.dim() else t.reshape(1).view(torch.uint8)


CLASSES = {"arch": AutoModelForCausalLM, "encoder": AutoModel, "seq2seq": AutoModelForSeq2SeqLM}


def as_file(path):
    with open(os.path.join(path, "config.json")) as f:
        config = json.load(f)
    return "quantization_config" in config or config["model_type"] not in CONFIG_MAPPING


def loaded(kind, path):
    if as_file(path):
        out = {}
        for f in glob.glob(os.path.join(path, "*model*.safetensors")):
            with safe_open(f, "pt") as r:
                out |= {k: r.get_tensor(k) for k in r.keys()}
        return out
    net, info = CLASSES[kind].from_pretrained(path, dtype="auto", output_loading_info=True)
    fresh = set(info["missing_keys"])  # what no file holds is drawn anew each time
    return {k: v for k, v in net.state_dict().items() if k not in fresh}


def main(pipe):
    tensors, files = {}, {}
    for kind in CLASSES:
        for path in sorted(glob.glob(os.path.join(HERE, kind, "*", ""))):
            path = path.rstrip(os.sep)
            name = os.path.basename(path)
            want = loaded(kind, path)
            assert want, name
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
            (files if as_file(path) else tensors)[name] = len(want)
            print(f"{name:13} {len(want):4} tensors identical")
    write_json(os.path.join(HERE, "saveback.json"), {"transformers": transformers.__version__, "tensors": tensors, "files": files})


if __name__ == "__main__":
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    main(sys.argv[1])
