"""Writes testdata/golden/torch/: files of torch.save and torch.jit.save in every form, and expected.json, which says what a reader finds in them.

    pip install -r testdata/golden/requirements.txt
    python testdata/golden/torchfiles.py
"""

import argparse
import collections
import hashlib
import io
import json
import os
import pickle
import sys
import zipfile

import torch

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch")
os.makedirs(folder, exist_ok=True)
torch.manual_seed(11)
expected = {}


def raw(t):
    t = t.detach().contiguous()
    return t.flatten().view(torch.uint8).numpy().tobytes() if t.numel() else b""


NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64", torch.int32: "I32",
    torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL", torch.uint16: "U16", torch.uint32: "U32", torch.uint64: "U64",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.float8_e8m0fnu: "F8_E8M0", torch.complex64: "C64", torch.complex128: "C128",
}


def flat(x, path=""):
    if isinstance(x, torch.Tensor):
        yield path, x
    elif isinstance(x, dict):
        for k, v in x.items():
            yield from flat(v, f"{path}.{k}" if path else str(k))
    elif isinstance(x, (list, tuple)):
        for k, v in enumerate(x):
            yield from flat(v, f"{path}.{k}" if path else str(k))


def describe(name, tensors):
    expected[name] = {n: {"dtype": NAMES[t.dtype], "shape": list(t.shape), "sha256": hashlib.sha256(raw(t)).hexdigest()} for n, t in tensors}


def save(name, x, tensors=None, **options):
    torch.save(x, os.path.join(folder, name), **options)
    describe(name, flat(x) if tensors is None else tensors)


def some(dtype):
    if dtype == torch.bool:
        return torch.tensor([[True, False, True], [False, False, True]])
    if dtype.is_complex:
        return torch.randn(2, 3, dtype=dtype)
    if dtype.is_floating_point:
        return torch.randn(2, 3).to(dtype)
    return torch.randint(0, 100, (2, 3)).to(dtype)


every = {n: some(d) for d, n in NAMES.items()}
save("dtypes.pt", every)
save("dtypes_legacy.pt", every, _use_new_zipfile_serialization=False)

# Views: one storage behind several tensors, strides of all kinds, scalars, nothing at all.
base = torch.arange(60, dtype=torch.float32)
views = collections.OrderedDict(
    whole=base, rows=base[12:24].view(3, 4), turned=base.view(5, 12).t(), every_third=base[1::3], expanded=base[:3].view(3, 1).expand(3, 4),
    permuted=base.view(3, 4, 5).permute(2, 0, 1), scalar=torch.tensor(2.5), none=torch.zeros(0, 3), one=base[7:8], cube=base.view(3, 4, 5)[:, 1:3, ::2],
)
for protocol in 2, 3, 4, 5:
    save(f"views_protocol{protocol}.pt", views, pickle_protocol=protocol)
save("views_legacy.pt", views, _use_new_zipfile_serialization=False)

# Nested collections, parameters, tied weights, numbers and texts beside.
tied = torch.nn.Parameter(torch.randn(4, 2))
tagged = torch.nn.Parameter(torch.randn(3))
tagged.note = "attribute"
nested = {
    "a": {"b": [torch.ones(2), (torch.zeros(1, dtype=torch.int64), {3: torch.full((2,), 3.0)})]}, "tied.one": tied, "tied.two": tied, "tagged": tagged,
    "epoch": 7, "name": "tiny", "rate": 0.5, "none": None, "flag": True, "bytes": b"\x00\xff", "set": {1, 2}, "size": torch.Size([2, 3]),
    "device": torch.device("cpu"), "dtype": torch.float16, "big": 2**70, "args": argparse.Namespace(lr=0.1), "counter": collections.Counter("aab"),
}
save("nested.pt", nested)
save("nested_legacy.pt", nested, _use_new_zipfile_serialization=False)

# A training checkpoint, whose weights are all under one key, and a state dict as a module gives it, with its _metadata.
net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2, dtype=torch.float32).half())
save("state_dict.pth", net.state_dict())
save("wrapped.ckpt", {"state_dict": net.state_dict(), "epoch": 3}, net.state_dict().items())
optimizer = torch.optim.Adam(net[0].parameters())
net[0](torch.randn(2, 3)).sum().backward()
optimizer.step()
save("training.pt", {"model": net[0].state_dict(), "optimizer": optimizer.state_dict()})
save("list.pt", [torch.ones(1), torch.zeros(2)])
save("single.pt", torch.arange(3), [("tensor", torch.arange(3))])


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(2, 3, 2)
        self.inner = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
        self.register_buffer("seen", torch.tensor([1, 2], dtype=torch.int64))

    def forward(self, x):
        return self.inner(self.conv(x).mean(-1))


scripted = torch.jit.script(Net())
scripted.save(os.path.join(folder, "script.pt"))
describe("script.pt", scripted.state_dict().items())

# The same archive compressed, which PyTorch does not write, but repacking does.
with zipfile.ZipFile(os.path.join(folder, "views_protocol2.pt")) as old, zipfile.ZipFile(os.path.join(folder, "compressed.pt"), "w", zipfile.ZIP_DEFLATED) as new:
    for n in old.namelist():
        new.writestr(zipfile.ZipInfo(n), old.read(n), zipfile.ZIP_DEFLATED)
expected["compressed.pt"] = expected["views_protocol2.pt"]


# What must be refused: whole modules, and pickles that run something.
class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/owned",)


def stdlib(x):
    return pickle.dumps(x, protocol=2)


torch.save(torch.nn.Linear(2, 2), os.path.join(folder, "refuse_module.pt"))
torch.save({"w": torch.ones(2), "x": Bomb()}, os.path.join(folder, "refuse_call.pt"))
torch.save({"w": torch.ones(2).to_sparse()}, os.path.join(folder, "refuse_sparse.pt"))
torch.save({"w": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}, os.path.join(folder, "refuse_quantised.pt"))
with open(os.path.join(folder, "refuse_pickle.bin"), "wb") as f:
    f.write(stdlib({"a": [1, 2]}))

with open(os.path.join(folder, "expected.json"), "w") as f:
    json.dump({"torch": torch.__version__.split("+")[0], "files": expected}, f, indent=1)
    f.write("\n")
