"""What the generators share: full float64 arithmetic and file writing.

transformers computes norms, softmax, rotary tables and rotary frequencies in
float32 whatever the dtype of the model. Within `double()` the names it asks
for float32 by mean float64, so a model in float64 stays there throughout.
"""

import contextlib
import json
import os

import torch

HERE = os.path.dirname(os.path.abspath(__file__))


@contextlib.contextmanager
def double():
    """Raises every request for float32 (torch.float32, torch.float, x.float()) to float64."""
    saved = torch.float32, torch.float, torch.Tensor.float
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double
    try:
        yield
    finally:
        torch.float32, torch.float, torch.Tensor.float = saved


def folder(name):
    """The folder of that name beside the scripts, made if absent."""
    path = os.path.join(HERE, name)
    os.makedirs(path, exist_ok=True)
    return path


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def write_cases(path, head, cases):
    """JSON {head..., "cases": [...]} with one line an entry."""
    lines = [f"{json.dumps(k)}: {json.dumps(v)}," for k, v in head.items()]
    with open(path, "w") as f:
        f.write("\n".join(["{", *lines, '"cases": [', ",\n".join(json.dumps(c) for c in cases), "]", "}", ""]))
