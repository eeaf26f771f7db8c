"""Convolutions of pipe, ONNX Runtime and PyTorch, in turns, on 2 threads.

    make compare-conv PYTHON=venv/bin/python

Prints a table of medians over rounds; GFLOP/s counts a multiplication and an addition for each product of the plain form.
The cases are the large ones of conv1d, conv2d and conv_transpose1d in the table of operations.
"""

import re
import statistics
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

THREADS = 2
# name in the table, kind, x, weight, padding, dilation, stride, groups of channels
CASES = [
    ("conv2d/picture", "conv", (1, 320, 64, 64), (320, 320, 3, 3), 1, 1, 1, 1),
    ("conv1d/vocoder", "conv", (1, 512, 256), (512, 512, 7), 3, 1, 1, 1),
    ("conv1d/vocoder_dilated_by_3", "conv", (1, 256, 2048), (256, 256, 7), 9, 3, 1, 1),
    ("conv1d/vocoder_dilated_by_5", "conv", (1, 64, 16384), (64, 64, 7), 15, 5, 1, 1),
    ("conv/mobile_depthwise", "conv", (1, 96, 112, 112), (96, 1, 3, 3), 1, 1, 1, 96),
    ("conv/line_depthwise", "conv", (1, 256, 8192), (256, 1, 7), 3, 1, 1, 256),
    ("conv_transpose1d/vocoder", "transpose", (1, 512, 256), (512, 256, 16), 4, 1, 8, 1),
]


def onnx_session(kind, x, w, padding, dilation, stride, groups):
    axes = len(x) - 2
    rng = np.random.default_rng(0)
    out = w[0] if kind == "conv" else w[1]
    weight = helper.make_tensor("w", TensorProto.FLOAT, w, (rng.standard_normal(w) / 50).astype(np.float32).ravel())
    bias = helper.make_tensor("b", TensorProto.FLOAT, (out,), rng.standard_normal(out).astype(np.float32))
    node = helper.make_node("Conv" if kind == "conv" else "ConvTranspose", ["x", "w", "b"], ["y"], pads=[padding] * 2 * axes,
                            dilations=[dilation] * axes, strides=[stride] * axes, group=groups)
    graph = helper.make_graph([node], "conv", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [weight, bias])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    value = rng.standard_normal(x).astype(np.float32)
    return lambda: session.run(None, {"x": value})


def torch_call(kind, x, w, padding, dilation, stride, groups):
    f = torch.nn.functional
    name = ("conv%dd" if kind == "conv" else "conv_transpose%dd") % (len(x) - 2)
    value, weight = torch.randn(x), torch.randn(w) / 50
    bias = torch.randn(w[0] if kind == "conv" else w[1])
    return lambda: getattr(f, name)(value, weight, bias, padding=padding, dilation=dilation, stride=stride, groups=groups)


def seconds(f, budget=0.4):
    f()
    times, end = [], time.perf_counter() + budget
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def pipe_seconds(binary, name):
    pattern = "^BenchmarkKernels$/^threads=2$/^" + "$/^".join(name.split("/")) + "$/^f32$"
    out = subprocess.run([binary, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", "400ms"], capture_output=True, text=True).stdout
    return float(re.search(r"(\d+(?:\.\d+)?) ns/op", out).group(1)) / 1e9


def main(binary, rounds=5):
    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(False)
    print("onnxruntime", onnxruntime.__version__, "torch", torch.__version__, "onnx", onnx.__version__)
    for name, *shape in CASES:
        kind, x, w = shape[:3]
        names = {"pipe": name}
        if name == "conv2d/picture":
            names["pipe winograd"] = "conv2d/picture,_winograd"
        ort, eager = onnx_session(*shape), torch_call(*shape)
        taken = {}
        for _ in range(rounds):
            for who, bench in names.items():
                taken.setdefault(who, []).append(pipe_seconds(binary, bench))
            taken.setdefault("ONNX Runtime", []).append(seconds(ort))
            taken.setdefault("PyTorch", []).append(seconds(eager))
        work = 2 * np.prod(w) * (np.prod(ort()[0].shape[2:]) if kind == "conv" else np.prod(x[2:]))
        base = statistics.median(taken["ONNX Runtime"])
        for who, times in taken.items():
            t = statistics.median(times)
            print(f"| {name} | {who} | {1e3 * t:.2f} ms | {work / t / 1e9:.0f} GFLOP/s | {base / t:.2f} | best {1e3 * min(times):.2f} ms", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
