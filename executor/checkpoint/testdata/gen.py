"""Makes the fixtures of this folder with the reference implementation.

    pip install numpy==2.4.6 safetensors==0.8.0 ml_dtypes==0.6.0
    python gen.py

all.safetensors holds one tensor of each element type; want.json its values, as
float64, of the types that pipe computes with. sharded/ is a folder of two
shards with an index.
"""

import json
import os
import pathlib

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

os.chdir(pathlib.Path(__file__).parent)


ramp = (np.arange(6).reshape(2, 3) - 2.5) * 1.37
whole = np.arange(6).reshape(3, 2) - 2
arrays = {
    "f64": ramp.astype(np.float64),
    "f32": ramp.astype(np.float32),
    "f16": ramp.astype(np.float16),
    "bf16": ramp.astype(ml_dtypes.bfloat16),
    "i64": whole.astype(np.int64),
    "i32": whole.astype(np.int32),
    "i8": whole.astype(np.int8),
    "u8": (whole + 2).astype(np.uint8),
    "bool": whole > 0,
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 4), np.float32),
}
others = {
    "i16": whole.astype(np.int16),
    "u16": (whole + 2).astype(np.uint16),
    "u32": (whole + 2).astype(np.uint32),
    "u64": (whole + 2).astype(np.uint64),
    "f8_e4m3": ramp.astype(ml_dtypes.float8_e4m3fn),
    "f8_e5m2": ramp.astype(ml_dtypes.float8_e5m2),
}
# One key only: the reference writes metadata in no fixed order.
save_file(arrays | others, "all.safetensors", {"note": 'a "quoted" \u00fc'})
want = {
    name: {"shape": list(a.shape), "values": a.astype(np.float64).ravel().tolist()}
    for name, a in arrays.items()
}
pathlib.Path("want.json").write_text(json.dumps(want, indent=1) + "\n")

pathlib.Path("sharded").mkdir(exist_ok=True)
layers = {
    f"model.layers.{i}.w.weight": np.full((2, 2), i, np.float32) for i in (0, 2, 10)
}
layers["model.norm.weight"] = np.ones(2, np.float32)
files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
weight_map = {name: files[i // 2] for i, name in enumerate(layers)}
for file in files:
    save_file(
        {n: a for n, a in layers.items() if weight_map[n] == file},
        "sharded/" + file,
        {"format": "pt"},
    )
total = sum(a.nbytes for a in layers.values())
index = {"metadata": {"total_size": total}, "weight_map": weight_map}
pathlib.Path("sharded/model.safetensors.index.json").write_text(
    json.dumps(index, indent=2) + "\n"
)
