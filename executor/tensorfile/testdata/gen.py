"""Makes the fixtures of this folder with NumPy and safetensors.

    pip install numpy==2.4.6 safetensors==0.8.0 ml_dtypes==0.6.0
    python gen.py

good/ holds files to read, want.json what they hold: for each file its tensors
in order, with the element type in memory, shape and values. refused/ holds
files that must not be read.
"""

import json
import os
import pathlib

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

os.chdir(pathlib.Path(__file__).parent)
for folder in ("good", "refused"):
    pathlib.Path(folder).mkdir(exist_ok=True)

names = {"f2": "f16", "f4": "f32", "f8": "f64", "i1": "i8", "i2": "i32", "i4": "i32"}
names |= {"i8": "i64", "u1": "u8", "u2": "i32", "u4": "i64", "b1": "bool"}
want = {}


def item(name, a):
    return {
        "name": name,
        "dtype": names[a.dtype.str[1:]],
        "shape": list(a.shape),
        "values": a.astype(np.float64).ravel().tolist(),
    }


def npy(name, a, version=(1, 0)):
    with open(f"good/{name}.npy", "wb") as f:
        np.lib.format.write_array(f, a, version)
    want[f"{name}.npy"] = [item(name, a)]


ramp = (np.arange(6).reshape(2, 3) - 2.5) * 1.37
whole = np.arange(-3, 3).reshape(3, 2)
for d in ("<f2", "<f4", "<f8", ">f2", ">f4", ">f8"):
    npy(("le_" if d[0] == "<" else "be_") + d[1:], ramp.astype(d))
for d in ("|i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8"):
    npy(("be_" if d[0] == ">" else "le_") + d[1:], whole.astype(d))
npy("u1", np.array([0, 1, 255], "|u1"))
npy("u2", np.array([0, 1, 65535], "<u2"))
npy("u4", np.array([0, 1, 4294967295], "<u4"))
npy("b1", np.array([[True, False], [False, True]]))
npy("i8_extreme", np.array([-(2**53), 2**53], "<i8"))
npy("scalar", np.array(2.5, "<f4"))
npy("empty", np.zeros((0, 3), "<f4"))
npy("fortran", np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4)))
npy("fortran_be_i2", np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)))
npy("version2", ramp.astype("<f4"), (2, 0))
npy("version3", ramp.astype("<f4"), (3, 0))

parts = {"ids": whole.astype("<i8"), "a/b.weight": ramp.astype("<f4").T, "t": np.array(7, "|u1")}
np.savez("good/stored.npz", **parts)
np.savez_compressed("good/deflated.npz", zeros=np.zeros((50, 50), "<f4"), **parts)
want["stored.npz"] = [item(n, a) for n, a in parts.items()]
want["deflated.npz"] = [item("zeros", np.zeros((50, 50), "<f4"))] + want["stored.npz"]

tensors = {"x.10": ramp.astype("<f2"), "x.9": whole.astype("<i2"), "mask": np.array([True, False])}
save_file(tensors, "good/three.safetensors")
want["three.safetensors"] = [item(n, tensors[n]) for n in ("mask", "x.9", "x.10")]
pathlib.Path("want.json").write_text(json.dumps(want, indent=None) + "\n")

np.save("refused/object.npy", np.array([{"a": 1}], dtype=object))
np.save("refused/complex.npy", np.array([1j], "<c8"))
np.save("refused/text.npy", np.array(["ab"]))
np.save("refused/structured.npy", np.zeros(2, [("a", "<f4"), ("b", "<i4")]))
np.save("refused/bfloat16.npy", ramp.astype(ml_dtypes.bfloat16))
np.save("refused/datetime.npy", np.array(["2020-01-01"], "datetime64[D]"))
save_file({"w": ramp.astype(ml_dtypes.float8_e4m3fn)}, "refused/float8.safetensors")
