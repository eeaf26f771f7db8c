"""Writes testdata/golden/gguf/small.gguf by the gguf package: metadata of every kind, tensors of several types.

    pip install -r testdata/golden/requirements.txt
    python testdata/golden/gguf.py
"""

import importlib
import json
import os
import sys

# This file has the name of the package that it wants.
here = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
gguf = importlib.import_module("gguf")

import numpy as np  # noqa: E402

folder = os.path.join(here, "gguf")
os.makedirs(folder, exist_ok=True)
rng = np.random.default_rng(7)

w = gguf.GGUFWriter(os.path.join(folder, "small.gguf"), "test")
w.add_uint8("a.u8", 200)
w.add_int8("a.i8", -100)
w.add_uint16("a.u16", 60000)
w.add_int16("a.i16", -30000)
w.add_uint32("a.u32", 4000000000)
w.add_int32("a.i32", -2000000000)
w.add_float32("a.f32", 1.5)
w.add_bool("a.bool", True)
w.add_string("a.text", "größe")
w.add_uint64("a.u64", 2**63 + 5)
w.add_int64("a.i64", -(2**62))
w.add_float64("a.f64", 0.1)
w.add_array("b.texts", ["a", "", "ü"])
w.add_array("b.ints", [1, -2, 3])
w.add_array("b.floats", [0.5, 2.0])

tensors = {"x.f32": rng.standard_normal((3, 5)).astype(np.float32), "x.f16": rng.standard_normal((2, 3, 4)).astype(np.float16),
           "x.i32": np.arange(7, dtype=np.int32)}
for name, x in tensors.items():
    w.add_tensor(name, x)
q = rng.standard_normal((2, 64)).astype(np.float32)
w.add_tensor("x.q8_0", gguf.quants.quantize(q, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()

r = gguf.GGUFReader(os.path.join(folder, "small.gguf"))
expected = [{"name": t.name, "type": t.tensor_type.name.lower(), "shape": [int(n) for n in reversed(t.shape)], "bytes": int(t.n_bytes), "offset": int(t.data_offset)}
            for t in r.tensors]
with open(os.path.join(folder, "small.json"), "w") as f:
    json.dump(expected, f, indent=1)
    f.write("\n")
