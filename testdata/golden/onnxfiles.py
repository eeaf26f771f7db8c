"""Writes testdata/golden/onnx/: files with tensors of every type and place, and expected.json: what the onnx package finds in them.

    pip install -r testdata/golden/requirements.txt
    python testdata/golden/onnxfiles.py
"""

import hashlib
import json
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]

import numpy as np  # noqa: E402
import onnx  # noqa: E402
from onnx import TensorProto as T, helper as h, numpy_helper  # noqa: E402

folder = os.path.join(here, "onnx")
os.makedirs(folder, exist_ok=True)
rng = np.random.default_rng(3)
NAMES = {T.FLOAT: "F32", T.UINT8: "U8", T.INT8: "I8", T.UINT16: "U16", T.INT16: "I16", T.INT32: "I32", T.INT64: "I64", T.BOOL: "BOOL", T.FLOAT16: "F16",
         T.DOUBLE: "F64", T.UINT32: "U32", T.UINT64: "U64", T.COMPLEX64: "C64", T.COMPLEX128: "C128", T.BFLOAT16: "BF16", T.FLOAT8E4M3FN: "F8_E4M3",
         T.FLOAT8E5M2: "F8_E5M2"}
expected = {}


def note(name, tensors):
    expected[name] = {n: {"dtype": NAMES[t.data_type], "shape": list(t.dims), "sha256": hashlib.sha256(numpy_helper.to_array(t).tobytes()).hexdigest()} for n, t in tensors}


def save(name, graph, opset, tensors, **options):
    m = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=8 if opset < 19 else 10, producer_name="onnxfiles.py")
    m.metadata_props.add(key="note", value="a test")
    onnx.save(m, os.path.join(folder, name), **options)
    note(name, tensors)


# Every type, raw and in fields of numbers.
initial = []
for code, name in NAMES.items():
    d = h.tensor_dtype_to_np_dtype(code)
    x = (rng.standard_normal((2, 3)) * 3).astype(np.float32)
    x = (np.abs(x) if name.startswith("U") or name == "BOOL" else x).astype(d) if name != "BOOL" else x > 0
    raw = numpy_helper.from_array(x, "raw." + name)
    assert raw.data_type == code, name
    initial.append(raw)
    if name.startswith("F8"):
        continue
    typed = h.make_tensor("typed." + name, code, x.shape, x.flatten().tolist() if not name.startswith("C") else x.flatten())
    assert not typed.HasField("raw_data") and np.array_equal(numpy_helper.to_array(typed), numpy_helper.to_array(raw)), name
    initial.append(typed)
out = h.make_tensor_value_info("y", T.FLOAT, ["batch", 3])
x = h.make_tensor_value_info("x", T.FLOAT, ["batch", 3])
save("types.onnx", h.make_graph([h.make_node("Identity", ["x"], ["y"])], "types", [x], [out], initial), 21, [(t.name, t) for t in initial])

# Constants, branches, values in a file beside.
w = numpy_helper.from_array(rng.standard_normal((3, 3)).astype(np.float32), "w")
b = numpy_helper.from_array(rng.standard_normal(3).astype(np.float32), "b")
c = numpy_helper.from_array(rng.standard_normal((1, 3)).astype(np.float32))
one = numpy_helper.from_array(np.array(1.0, np.float32))


def branch(name, t):
    return h.make_graph([h.make_node("Constant", [], ["c"], value=t), h.make_node("Add", ["hidden", "c"], ["sum"])], name, [], [h.make_tensor_value_info("sum", T.FLOAT, None)])


nodes = [
    h.make_node("Gemm", ["x", "w", "b"], ["hidden"], name="gemm"), h.make_node("Constant", [], ["scale"], value=one), h.make_node("Constant", [], ["offset"], value=c),
    h.make_node("ReduceSum", ["hidden"], ["total"], keepdims=0), h.make_node("Cast", ["total"], ["flag"], to=T.BOOL),
    h.make_node("If", ["flag"], ["z"], then_branch=branch("then", c), else_branch=branch("else", numpy_helper.from_array(-numpy_helper.to_array(c)))),
    h.make_node("Mul", ["z", "scale"], ["y"]),
]
inner = [("w", w), ("b", b), ("offset", c), ("z.then_branch.c", c), ("z.else_branch.c", numpy_helper.from_array(-numpy_helper.to_array(c)))]
save("branches.onnx", h.make_graph(nodes, "branches", [x], [out], [w, b]), 13, inner)
onnx.checker.check_model(os.path.join(folder, "branches.onnx"))
save("beside.onnx", h.make_graph(nodes, "branches", [x], [out], [w, b]), 17, inner, save_as_external_data=True, location="beside.data", size_threshold=0, convert_attribute=False)

# What must be refused.
cycle = h.make_graph([h.make_node("Add", ["x", "q"], ["p"], name="first"), h.make_node("Add", ["p", "x"], ["q"])], "cycle", [x], [out])
onnx.save(h.make_model(cycle), os.path.join(folder, "refuse_cycle.onnx"))
text = h.make_graph([], "text", [x], [x], [h.make_tensor("words", T.STRING, [1], [b"a"])])
onnx.save(h.make_model(text), os.path.join(folder, "refuse_text.onnx"))

with open(os.path.join(folder, "expected.json"), "w") as f:
    json.dump({"onnx": onnx.__version__, "files": expected}, f, indent=1)
    f.write("\n")
