"""Writes testdata/golden/onnx/graphs/: small random models as both exporters of PyTorch write them, with inputs, and the outputs of onnxruntime.

    pip install -r testdata/golden/requirements.txt
    python testdata/golden/onnxgraphs.py [NAME...]

NAME.onnx is the model, NAME.safetensors holds in.X for each input and out.X for each output; cases.json says what was exported, by what.
"""

import json
import os
import sys
import warnings

here = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402
import transformers  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from torch import nn  # noqa: E402

folder = os.path.join(here, "onnx", "graphs")
os.makedirs(folder, exist_ok=True)
wanted = sys.argv[1:]
listed = os.path.join(folder, "cases.json")
cases = json.load(open(listed))["cases"] if os.path.exists(listed) else {}


def seeded(make):
    torch.manual_seed(7)
    m = make().eval()
    with torch.no_grad():
        for p in m.parameters():  # equal ones would be written once
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * 0.1)
            if p.dim() == 2 and p.std() < 0.02:  # else a classifier would say its bias
                p.mul_(20)
        for name, p in m.named_buffers():
            if "running_mean" in name:
                p.normal_(0, 0.2)
            if "running_var" in name:
                p.uniform_(0.5, 2)
    return m


def values(name, path, feeds, about):
    """Runs onnxruntime and keeps what it was given and gave."""
    s = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {i.name: feeds[i.name] for i in s.get_inputs()}
    outs = s.run(None, feeds)
    tensors = {"in." + k: np.array(v, order="C") for k, v in feeds.items()}
    tensors |= {"out." + o.name: np.array(v, order="C") for o, v in zip(s.get_outputs(), outs)}
    save_file(tensors, os.path.join(folder, name + ".safetensors"))
    cases[name] = about | {"opset": [o.version for o in onnx.load(path).opset_import if o.domain in ("", "ai.onnx")][0]}
    with open(listed, "w") as f:
        json.dump({"onnx": onnx.__version__, "onnxruntime": ort.__version__, "torch": torch.__version__, "torchvision": torchvision.__version__, "transformers": transformers.__version__,
                   "cases": dict(sorted(cases.items()))}, f, indent=1)
        f.write("\n")
    size = os.path.getsize(path) + os.path.getsize(os.path.join(folder, name + ".safetensors"))
    assert size < 300_000, (name, size)
    print(name, size, {k: v.shape for k, v in tensors.items()})


def export(name, make, inputs, outputs, dynamic, opset, dynamo, about, **options):
    """inputs are torch tensors by name; dynamic names sizes by input and axis."""
    if wanted and not any(name.startswith(w) for w in wanted):
        return
    m = seeded(make)
    path = os.path.join(folder, name + ".onnx")
    args = tuple(inputs.values())
    if dynamo:
        dims = {}
        shapes = tuple({axis: dims.setdefault(size, torch.export.Dim(size, min=1, max=64)) for axis, size in dynamic.get(k, {}).items()} for k in inputs)
        torch.onnx.export(m, args, path, input_names=list(inputs), output_names=outputs, dynamic_shapes=(shapes,) if isinstance(m, Call) else shapes, opset_version=opset, dynamo=True,
                          external_data=False, verbose=False, **options)
        slim(path)
    else:
        torch.onnx.export(m, args, path, input_names=list(inputs), output_names=outputs, dynamic_axes=dynamic, opset_version=opset, dynamo=False, **options)
    # other sizes than were traced, where they are free
    feeds = {}
    for k, x in inputs.items():
        for axis, size in dynamic.get(k, {}).items():
            n = x.shape[axis] + (1 if size == "batch" else 2)
            x = torch.cat([x, x.roll(1, axis)], axis).narrow(axis, 0, n).contiguous()
        feeds[k] = x.numpy()
    values(name, path, feeds, about | {"exporter": "torch.onnx, dynamo" if dynamo else "torch.onnx, torchscript"})


def slim(path):
    """Drops what the exporter notes of its own source: most of a small file."""
    m = onnx.load(path)

    def clean(g):
        for n in g.node:
            n.doc_string = ""
            del n.metadata_props[:]
            for a in n.attribute:
                if a.type == onnx.AttributeProto.GRAPH:
                    clean(a.g)
        del g.value_info[:]
        del g.metadata_props[:]
        for v in list(g.input) + list(g.output) + list(g.initializer):
            del v.metadata_props[:]
    clean(m.graph)
    for f in m.functions:
        for n in f.node:
            del n.metadata_props[:]
        del f.value_info[:], f.metadata_props[:]
    del m.metadata_props[:]
    onnx.save(m, path)


class Call(nn.Module):
    """A model with plain inputs and one output."""

    def __init__(self, model, call):
        super().__init__()
        self.model, self.call = model, call

    def forward(self, *args):
        return self.call(self.model, *args)


ids = torch.tensor([[5, 17, 3, 60, 2, 9], [1, 44, 3, 8, 0, 0]])
mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
picture = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
text = {"batch": "batch", "seq": "seq"}
tokens = {0: "batch", 1: "seq"}


def bert():
    c = transformers.BertConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, max_position_embeddings=16,
                                attn_implementation="eager", initializer_range=0.3)
    return transformers.BertModel(c)


def minilm():
    def call(m, i, a):
        h = m(input_ids=i, attention_mask=a).last_hidden_state
        w = a.unsqueeze(-1).to(h.dtype)
        return nn.functional.normalize((h * w).sum(1) / w.sum(1).clamp(min=1e-9), dim=1)
    return Call(bert(), call)


def gpt2():
    c = transformers.GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=16, attn_implementation="eager", initializer_range=0.2, use_cache=False)
    return Call(transformers.GPT2LMHeadModel(c), lambda m, i, a=None: m(input_ids=i, attention_mask=a, use_cache=False).logits)


def vit():
    c = transformers.ViTConfig(image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, num_labels=5,
                               attn_implementation="eager", initializer_range=0.2)
    return Call(transformers.ViTForImageClassification(c), lambda m, x: m(pixel_values=x).logits)


def resnet():
    c = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic", num_labels=5)
    return Call(transformers.ResNetForImageClassification(c), lambda m, x: m(pixel_values=x).logits)


def mobilenet_v2():
    return torchvision.models.MobileNetV2(num_classes=5, width_mult=0.25, inverted_residual_setting=[[1, 8, 1, 1], [4, 16, 2, 2], [4, 24, 2, 2]])


def mobilenet_v3():
    from functools import partial
    from torchvision.models.mobilenetv3 import InvertedResidualConfig as C
    return torchvision.models.MobileNetV3([C(16, 3, 16, 16, True, "RE", 2, 1, 1), C(16, 5, 32, 24, True, "HS", 2, 1, 1), C(24, 5, 40, 24, True, "HS", 1, 1, 1)],
                                          last_channel=32, num_classes=5, norm_layer=partial(nn.BatchNorm2d, eps=0.001, momentum=0.01))


image = {"input": {0: "batch"}}
for dynamo in (False, True):
    tail = "_dynamo" if dynamo else "_script"
    full = {"input_ids": ids, "attention_mask": mask, "token_type_ids": (ids % 2)}
    b = {"input_ids": tokens, "attention_mask": tokens, "token_type_ids": tokens}
    call = Call
    export("bert" + tail, lambda: Call(bert(), lambda m, i, a, t: (lambda o: (o.last_hidden_state, o.pooler_output))(m(input_ids=i, attention_mask=a, token_type_ids=t))),
           full, ["hidden", "pooled"], b, 18 if dynamo else 14, dynamo, {"model": "transformers BertModel"})
    export("minilm" + tail, minilm, {"input_ids": ids, "attention_mask": mask}, ["sentence"], {"input_ids": tokens, "attention_mask": tokens},
           20 if dynamo else 17, dynamo, {"model": "transformers BertModel, mean over tokens, normalised"})
    padded = {"input_ids": ids, "attention_mask": mask}
    export("gpt2" + tail, gpt2, padded, ["logits"], {k: tokens for k in padded}, 21 if dynamo else 14, dynamo, {"model": "transformers GPT2LMHeadModel"})
    if dynamo:  # the older exporter knows no aten::diff, by which documents in a row are found where there is no mask: over sizes that are no products
        export("gpt2_plain" + tail, gpt2, {"input_ids": ids}, ["logits"], {"input_ids": tokens}, 18, dynamo, {"model": "transformers GPT2LMHeadModel, no mask", "fix": ["seq=8"]})
    export("vit" + tail, vit, {"input": picture}, ["logits"], image, 18 if dynamo else 13, dynamo, {"model": "transformers ViTForImageClassification"})
    export("resnet" + tail, resnet, {"input": picture}, ["logits"], image, 18 if dynamo else 13, dynamo, {"model": "transformers ResNetForImageClassification"})
    export("mobilenet_v2" + tail, mobilenet_v2, {"input": picture}, ["logits"], image, 19 if dynamo else 13, dynamo, {"model": "torchvision MobileNetV2"})
    export("mobilenet_v3" + tail, mobilenet_v3, {"input": picture}, ["logits"], image, 18 if dynamo else 15, dynamo, {"model": "torchvision MobileNetV3"})
export("resnet_batchnorm", resnet, {"input": picture}, ["logits"], image, 14, False, {"model": "transformers ResNetForImageClassification, norms not folded"},
       training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)


# Single operations, all of a kind in one file, each with its own output.
from onnx import TensorProto as T, helper as h, numpy_helper  # noqa: E402

rng = np.random.default_rng(11)
R = lambda *s: rng.standard_normal(s).astype(np.float32)  # noqa: E731
TYPES = {np.dtype("float32"): T.FLOAT, np.dtype("int64"): T.INT64, np.dtype("bool"): T.BOOL, np.dtype("int32"): T.INT32}


def ops(name, inputs, rows, opset, constants={}, extra=(), fix=()):
    """rows are (op, inputs, attributes[, number of outputs]); an input that is an array becomes a constant."""
    if wanted and not any(name.startswith(w) for w in wanted):
        return
    nodes, inits, outs = [], [numpy_helper.from_array(v, k) for k, v in constants.items()], []
    for k, (op, ins, attrs, *count) in enumerate(rows):
        names = []
        for i, x in enumerate(ins):
            if isinstance(x, str):
                names.append(x)
                continue
            names.append(f"c{k}_{i}")
            inits.append(numpy_helper.from_array(np.asarray(x), names[-1]))
        results = [f"{op.lower()}_{k}" + (f"_{j}" if j else "") for j in range(count[0] if count else 1)]
        attrs = {a: h.make_tensor_value_info(a, T.FLOAT, None) if v is None else v for a, v in attrs.items()}
        nodes.append(h.make_node(op, names, results, name=f"{op}_{k}", **attrs))
        outs += results
    g = h.make_graph(nodes, name, [h.make_tensor_value_info(k, TYPES[v.dtype], s or list(v.shape)) for k, (v, s) in inputs.items()], [onnx.ValueInfoProto(name=o) for o in outs], inits)
    m = h.make_model(g, opset_imports=[h.make_opsetid("", opset)] + [h.make_opsetid(f.domain, 1) for f in extra], ir_version=8 if opset < 19 else 10, functions=list(extra))
    m = onnx.shape_inference.infer_shapes(m)


    path = os.path.join(folder, name + ".onnx")
    onnx.save(m, path)
    values(name, path, {k: v for k, (v, s) in inputs.items()}, {"model": "onnx.helper, single operations", "fix": list(fix)})


x, y, n = R(2, 3, 5), R(3, 1), rng.integers(-7, 9, (2, 3, 5))
flags = rng.random((2, 3, 5)) > 0.5
A = {"x": (x, ["batch", 3, 5]), "y": (y, None), "p": (np.abs(R(2, 3, 5)) + 0.1, ["batch", 3, 5]), "n": (n, ["batch", 3, 5]), "b": (flags, ["batch", 3, 5])}
unary = ["Abs", "Ceil", "Cos", "Cosh", "Sinh", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Elu", "Selu", "Celu", "Mish", "Neg", "Relu", "Round", "Sigmoid", "Sign", "Sin",
         "Softplus", "Softsign", "Tan", "Tanh", "ThresholdedRelu", "IsNaN", "Shrink"]
ops("ops_elementwise", A, [(u, ["x"], {}) for u in unary] + [(u, ["p"], {}) for u in ("Log", "Sqrt", "Reciprocal")] + [
    ("Round", [np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4], np.float32)], {}), ("Elu", ["x"], {"alpha": 0.5}), ("LeakyRelu", ["x"], {"alpha": 0.3}),
    ("HardSigmoid", ["x"], {"alpha": 0.3, "beta": 0.4}), ("Clip", ["x", np.float32(-0.5), np.float32(0.7)], {}), ("Clip", ["x", "", np.float32(0.2)], {}),
    ("Add", ["x", "y"], {}), ("Sub", ["x", "y"], {}), ("Mul", ["x", "y"], {}), ("Div", ["x", "p"], {}), ("Pow", ["p", np.float32(1.7)], {}), ("Pow", ["x", np.float32(2)], {}),
    ("Pow", ["x", np.float32(3)], {}), ("Div", ["n", np.array(3)], {}), ("Mod", ["n", np.array(4)], {}), ("Mod", ["x", "p"], {"fmod": 1}), ("Add", ["n", np.array(2)], {}),
    ("Max", ["x", "y", "p"], {}), ("Min", ["x", "y"], {}), ("Sum", ["x", "y", "p"], {}), ("Mean", ["x", "p"], {}), ("Equal", ["n", np.array(2)], {}), ("Equal", ["b", np.array(True)], {}),
    ("Greater", ["x", "y"], {}), ("GreaterOrEqual", ["n", np.array(2)], {}), ("Less", ["x", "y"], {}), ("LessOrEqual", ["x", "p"], {}), ("Not", ["b"], {}),
    ("And", ["b", np.array([True, False, True, True, False])], {}), ("Or", ["b", np.array([True, False, True, True, False])], {}), ("Xor", ["b", np.array([True, False, True, True, False])], {}),
    ("Where", ["b", "x", "y"], {}), ("Where", ["b", "n", np.array(-3)], {}), ("Cast", ["x"], {"to": T.INT64}), ("Cast", ["n"], {"to": T.FLOAT}), ("Cast", ["x"], {"to": T.BOOL}),
    ("Cast", ["b"], {"to": T.FLOAT}), ("CastLike", ["n", "x"], {}), ("PRelu", ["x", np.array([0.1, 0.2, 0.3, 0.4, 0.5], np.float32)], {}), ("Dropout", ["x"], {}),
    ("Clip", ["n", np.array(-2), np.array(5)], {}), ("Max", ["n", np.array(1)], {}), ("Abs", ["n"], {}), ("Neg", ["n"], {}), ("Sign", ["n"], {})], 18)
ops("ops_elementwise_20", A, [("Gelu", ["x"], {}), ("Gelu", ["x"], {"approximate": "tanh"}), ("IsInf", ["x"], {}), ("Equal", ["x", "p"], {})], 20)

i64 = lambda *v: np.array(v, np.int64)  # noqa: E731
S = {"x": (R(2, 4, 6), ["batch", 4, 6]), "z": (R(1, 8, 4, 6), None), "n": (rng.integers(0, 4, (2, 4, 6)), ["batch", 4, 6])}
ops("ops_shape", S, [
    ("Shape", ["x"], {}), ("Shape", ["x"], {"start": 1, "end": -1}), ("Size", ["x"], {}), ("Reshape", ["x", i64(0, -1)], {}), ("Reshape", ["x", i64(-1, 3, 2, 4)], {}), ("Flatten", ["x"], {"axis": 2}),
    ("Flatten", ["x"], {"axis": 0}), ("Transpose", ["x"], {"perm": [2, 0, 1]}), ("Transpose", ["x"], {}), ("Squeeze", ["z", i64(0)], {}), ("Squeeze", ["z"], {}), ("Unsqueeze", ["x", i64(0, -1)], {}),
    ("Concat", ["x", "x", np.ones((2, 1, 6), np.float32)], {"axis": 1}), ("Split", ["x", i64(1, 3)], {"axis": 1}, 2), ("Split", ["x"], {"axis": 2, "num_outputs": 3}, 3), ("Expand", ["x", i64(3, 1, 1, 1)], {}),
    ("Tile", ["x", i64(2, 1, 3)], {}), ("ConstantOfShape", [i64(2, 3)], {"value": h.make_tensor("v", T.FLOAT, [1], [2.5])}), ("Range", [np.array(3), np.array(14), np.array(4)], {}),
    ("Range", [np.float32(1), np.float32(2), np.float32(0.25)], {}), ("EyeLike", ["dummy"], {"k": 1}), ("DepthToSpace", ["z"], {"blocksize": 2}), ("DepthToSpace", ["z"], {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", ["z"], {"blocksize": 2}), ("Pad", ["x", i64(0, 1, 2, 0, 3, 1), np.float32(1.5)], {}), ("Pad", ["x", i64(0, 0, 2, 0, 0, 3)], {"mode": "reflect"}), ("Pad", ["x", i64(0, 2, 0, 0, 1, 1)], {"mode": "edge"}),
    ("Pad", ["x", i64(2, 1, 1, 2), np.float32(-1), i64(1, 2)], {}), ("Pad", ["x", i64(0, -1, 0, 0, 0, 2), np.float32(0)], {}),
    ("Gather", ["x", np.array(-1)], {"axis": 1}), ("Gather", ["x", i64(0, 3, -2)], {"axis": 1}), ("Gather", ["table", "n"], {}), ("GatherElements", ["x", "n"], {"axis": 1}), ("Gather", ["x", np.array(-1)], {"axis": 0}),
    ("GatherND", ["x", np.array([[0, 1], [1, -1]])], {}), ("Slice", ["x", i64(1), i64(3), i64(1)], {}), ("Slice", ["x", i64(-1, 0), i64(-100, 100), i64(1, 2), i64(-1, 2)], {}),
    ("Slice", ["x", i64(1, 2), i64(2**62, -1), i64(1, 2)], {}), ("Slice", ["x", i64(-1), i64(2**62), i64(0)], {}), ("Slice", ["x", i64(0), i64(1), i64(0)], {}),
    ("OneHot", ["n", np.array(4), np.array([0.5, 2.0], np.float32)], {"axis": 1}), ("Trilu", ["x"], {}), ("Trilu", ["x", np.array(-1)], {"upper": 0}), ("Trilu", ["n", np.array(1)], {})], 18,
    {"dummy": np.zeros((3, 4), np.float32), "table": R(4, 3)}, fix=["batch=2"])
ops("ops_reduce", S, [(r, ["x"], {"keepdims": k}) for r in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp") for k in (0, 1)] + [
    ("ReduceSum", ["x", i64(-1)], {}), ("ReduceSum", ["x"], {}), ("ReduceSum", ["x"], {"noop_with_empty_axes": 1}), ("ReduceMean", ["x"], {"axes": [1, 2]}), ("ReduceMax", ["n"], {"axes": [2]}), ("ReduceProd", ["x"], {"axes": [1]}),
    ("ReduceSum", ["n", i64(1)], {}), ("ArgMax", ["x"], {"axis": 2}), ("ArgMin", ["x"], {"axis": 1, "keepdims": 0}), ("Softmax", ["x"], {}), ("Softmax", ["x"], {"axis": 1}), ("LogSoftmax", ["x"], {}), ("Hardmax", ["x"], {}),
    ("CumSum", ["x", np.array(1)], {}), ("CumSum", ["x", np.array(-1)], {"exclusive": 1}), ("CumSum", ["n", np.array(2)], {}), ("TopK", ["x", i64(3)], {}, 2), ("TopK", ["x", i64(2)], {"largest": 0}, 2)], 13)
ops("ops_old", {"x": (R(2, 4, 6), ["batch", 4, 6]), "z": (R(1, 8, 4, 6), None)}, [
    ("Softmax", ["x"], {}), ("Clip", ["x"], {"min": -0.3, "max": 0.4}), ("Slice", ["x"], {"starts": [1, 0], "ends": [3, -1], "axes": [1, 2]}), ("Pad", ["x"], {"pads": [0, 1, 0, 0, 0, 2], "value": 0.5}),
    ("Squeeze", ["z"], {"axes": [0]}), ("Unsqueeze", ["x"], {"axes": [1]}), ("ReduceSum", ["x"], {"axes": [1]}), ("Split", ["x"], {"axis": 2}, 3), ("Upsample", ["z", np.array([1, 1, 2, 2], np.float32)], {"mode": "nearest"})], 9)

M = {"x": (R(2, 3, 8), ["batch", 3, 8]), "q": (R(2, 3, 5, 8), ["batch", 3, 5, 8]), "k": (R(2, 3, 7, 8), ["batch", 3, 7, 8]), "m": (R(4, 8), None), "v": (R(8), None)}
ops("ops_product", M, [
    ("MatMul", ["x", R(8, 4)], {}), ("MatMul", ["q", R(3, 8, 2)], {}), ("MatMul", ["m", "v"], {}), ("MatMul", ["v", R(8, 2)], {}), ("MatMul", ["v", "v"], {}), ("MatMul", [R(2, 3), R(3, 8).T[:3]], {}), ("MatMul", ["x", "v"], {}),
    ("Gemm", ["m", R(8, 5), R(5)], {}), ("Gemm", ["m", R(5, 8), R(5)], {"transB": 1}), ("Gemm", ["m", R(5, 8)], {"transB": 1, "alpha": 0.5}), ("Gemm", ["m", R(4, 5), R(1, 5)], {"transA": 1, "beta": 2.0}), ("Gemm", ["m", R(8, 5), R(4, 1)], {}),
    ("Einsum", ["q", "k"], {"equation": "bhqd,bhkd->bhqk"}), ("Einsum", ["x", R(8, 2, 3)], {"equation": "bsd,dhe->bhse"}), ("Einsum", ["x", "x"], {"equation": "bij,bkj->kbi"})], 17)

C = {"x": (R(2, 4, 9), ["batch", 4, 9]), "z": (R(2, 4, 9, 8), ["batch", 4, 9, 8]), "w": (R(1, 2, 5, 4, 4), None)}
ops("ops_conv", C, [
    ("Conv", ["x", R(6, 4, 3), R(6)], {"pads": [1, 1]}), ("Conv", ["z", R(6, 2, 3, 2), R(6)], {"group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 2]}), ("Conv", ["z", R(4, 1, 3, 3)], {"group": 4, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ("Conv", ["z", R(3, 4, 3, 3)], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}), ("Conv", ["w", R(3, 2, 2, 2, 2), R(3)], {}), ("ConvTranspose", ["x", R(4, 3, 3), R(3)], {"strides": [2]}),
    ("ConvTranspose", ["z", R(4, 2, 3, 3)], {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1], "group": 2}), ("MaxPool", ["z"], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0]}),
    ("MaxPool", ["z"], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}), ("MaxPool", ["x"], {"kernel_shape": [3]}), ("AveragePool", ["z"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}),
    ("AveragePool", ["z"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}), ("AveragePool", ["x"], {"kernel_shape": [2]}), ("GlobalAveragePool", ["z"], {}), ("GlobalMaxPool", ["x"], {}),
    ("Resize", ["z", "", np.array([1, 1, 2, 3], np.float32)], {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}), ("Resize", ["z", "", "", i64(2, 4, 5, 12)], {"mode": "linear"}),
    ("Resize", ["z", "", "", i64(2, 4, 5, 12)], {"mode": "linear", "coordinate_transformation_mode": "align_corners"}), ("Resize", ["z", "", np.array([1, 1, 2, 2], np.float32)], {"mode": "cubic"})], 17)
ops("ops_norm", C, [
    ("BatchNormalization", ["z", R(4), R(4), R(4), np.abs(R(4)) + 0.3], {"epsilon": 0.001}), ("LayerNormalization", ["x", R(9), R(9)], {}), ("LayerNormalization", ["z", R(9, 8), R(9, 8)], {"axis": 2, "epsilon": 1e-3}),
    ("LayerNormalization", ["x", R(9)], {}), ("InstanceNormalization", ["z", R(4), R(4)], {}), ("LpNormalization", ["x"], {}), ("LpNormalization", ["x"], {"axis": 1, "p": 1}), ("LRN", ["z"], {"size": 3, "alpha": 0.2, "beta": 0.6, "bias": 1.1})], 17)
ops("ops_groupnorm", C, [("GroupNormalization", ["z", R(4), R(4)], {"num_groups": 2})], 21)

Q = {"x": (R(5, 2, 3), [5, "batch", 3]), "h": (R(1, 2, 4), [1, "batch", 4]), "c": (R(1, 2, 4), [1, "batch", 4])}
ops("ops_recurrent", Q, [
    ("LSTM", ["x", R(1, 16, 3), R(1, 16, 4), R(1, 32), "", "h", "c"], {"hidden_size": 4}, 3), ("LSTM", ["x", R(2, 16, 3), R(2, 16, 4), R(2, 32)], {"hidden_size": 4, "direction": "bidirectional"}, 3),
    ("LSTM", ["x", R(1, 16, 3), R(1, 16, 4), "", "", "h", "c", R(1, 12)], {"hidden_size": 4, "direction": "reverse"}, 1), ("GRU", ["x", R(1, 12, 3), R(1, 12, 4), R(1, 24), "", "h"], {"hidden_size": 4}, 2),
    ("GRU", ["x", R(2, 12, 3), R(2, 12, 4), R(2, 24)], {"hidden_size": 4, "linear_before_reset": 1, "direction": "bidirectional"}, 2), ("RNN", ["x", R(1, 4, 3), R(1, 4, 4), R(1, 8)], {"hidden_size": 4, "activations": ["Relu"]}, 2)], 14)


def vi(name, t=T.FLOAT, shape=None):
    return h.make_tensor_value_info(name, t, shape)


then = h.make_graph([h.make_node("Mul", ["x", "two"], ["r"])], "then", [], [vi("r")])
other = h.make_graph([h.make_node("Sub", ["x", "two"], ["r"])], "else", [], [vi("r")])
body = h.make_graph([h.make_node("Add", ["s", "x"], ["t"]), h.make_node("Mul", ["t", "two"], ["u"]), h.make_node("Identity", ["t"], ["scan"]), h.make_node("Identity", ["cond"], ["go"])], "body",
                    [vi("i", T.INT64, []), vi("cond", T.BOOL, []), vi("s")], [vi("go", T.BOOL, []), vi("u"), vi("scan")])
scale = h.make_function("test", "Scaled", ["a", "b"], ["r"], [h.make_node("Mul", ["a", "b"], ["m"]), h.make_node("LeakyRelu", ["m"], ["l"]), h.make_node("Add", ["l", "b"], ["r"])], [h.make_opsetid("", 18)], ["alpha"])
ref = scale.node[1].attribute.add()
ref.name, ref.ref_attr_name, ref.type = "alpha", "alpha", onnx.AttributeProto.FLOAT
outer = h.make_function("test", "Twice", ["a", "b"], ["r"], [h.make_node("Scaled", ["a", "b"], ["once"], domain="test", alpha=0.25), h.make_node("Scaled", ["once", "b"], ["r"], domain="test", alpha=0.5)],
                        [h.make_opsetid("", 18), h.make_opsetid("test", 1)])
ops("control", {"x": (R(2, 3), ["batch", 3]), "rate": (np.array(16000), []), "flag": (np.array(True), [])}, [
    ("Equal", ["rate", np.array(16000)], {}), ("If", ["equal_0"], {"then_branch": then, "else_branch": other}), ("If", ["flag"], {"then_branch": then, "else_branch": other}),
    ("Loop", [np.array(3), np.array(True), "x"], {"body": body}, 2), ("Twice", ["x", "two"], {"domain": "test"})], 18, {"two": np.float32(2)}, [scale, outer], fix=["rate=16000"])

own = np.random.default_rng(12)  # so that values above and below stay
W = {"x": (own.standard_normal((2, 18, 35)).astype(np.float32), ["batch", 18, 35]), "z": (own.standard_normal((2, 15, 18)).astype(np.float32), ["batch", 15, 18])}
ops("ops_windows", W, [
    ("Col2Im", ["x", i64(5, 6), i64(3, 2)], {"pads": [1, 1, 1, 1]}), ("Col2Im", ["x", i64(11, 13), i64(3, 2)], {"strides": [2, 2], "dilations": [1, 2], "pads": [0, 1, 0, 2]}),
    ("Col2Im", ["z", i64(37), i64(5)], {"strides": [2], "pads": [0, 3]})], 18)

# The voice detector of Silero, if its file is given: both of its branches, with a state.
real = os.environ.get("SILERO_VAD", "")
if real:
    for rate, size in ((16000, 576), (8000, 288)):
        s = ort.InferenceSession(real)
        feeds = {"input": R(2, size) * np.float32(0.1), "state": R(2, 2, 128) * np.float32(0.3), "sr": np.array(rate)}
        outs = s.run(None, feeds)
        save_file({"in.input": feeds["input"], "in.state": feeds["state"]} | {"out." + o.name: v for o, v in zip(s.get_outputs(), outs)}, os.path.join(folder, f"silero_{rate}.safetensors"))
