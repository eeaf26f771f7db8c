"""The programs that pipe is held against: each is a process that lives as long as a comparison, so that its threads and memory are warm.

A peer reads a job as a line of JSON, [kind, arguments ...], and answers with seconds. What a kind of job is to a program is a function of this
file named PROGRAM_KIND; it returns what is timed.
"""

import ctypes
import json
import math
import os
import statistics
import subprocess
import sys
import time
import warnings


def calls(f, budget):
    """The median of the seconds that calls of f take, at least three."""
    f()
    took, begin = [], time.perf_counter()
    while len(took) < 3 or time.perf_counter() - begin < budget:
        start = time.perf_counter()
        f()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


# OpenBLAS: the library that the system has, or else the one that comes with numpy.

def openblas():
    """The system's library, or None."""
    try:
        return ctypes.CDLL("libopenblas.so.0")
    except OSError:
        return None


def openblas_version():
    import numpy
    if lib := openblas():
        lib.openblas_get_config.restype = lib.openblas_get_corename.restype = ctypes.c_char_p
        return f"{lib.openblas_get_config().split()[1].decode()} (the system's, kernels for {lib.openblas_get_corename().decode()})"
    return numpy_version()


def openblas_product(m, n, k, transposed=False):
    """x [m, k] times w, [k, n] or, transposed, [n, k]."""
    import numpy as np
    lib = openblas()
    if lib is None:
        return numpy_product(m, n, k, transposed)
    a, b, out = operands(m, n, k, transposed)
    pointer, size, real = lambda x: ctypes.c_void_p(x.ctypes.data), ctypes.c_int, ctypes.c_float
    row_major, plain, turned = 101, 111, 112
    args = (row_major, plain, turned if transposed else plain, size(m), size(n), size(k), real(1), pointer(a), size(k),
            pointer(b), size(k if transposed else n), real(0), pointer(out), size(n))
    run = lambda: lib.cblas_sgemm(*args)
    run()
    np.testing.assert_allclose(out[0], a[0] @ (b.T if transposed else b), rtol=1e-3)
    return lambda: (run(), a, b, out)  # which must stay where they are


def operands(m, n, k, transposed):
    import numpy as np
    r = np.random.default_rng(1)
    a, b = r.random((m, k), dtype=np.float32), r.random((n, k) if transposed else (k, n), dtype=np.float32)
    return a, b, np.empty((m, n), dtype=np.float32)


def numpy_version():
    import numpy
    blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{numpy.__version__} with {blas['name']} {blas['version']}"


def numpy_product(m, n, k, transposed=False):
    import numpy as np
    a, b, out = operands(m, n, k, transposed)
    return lambda: np.matmul(a, b.T if transposed else b, out=out)


# PyTorch.

def torch_version():
    import torch
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_grad_enabled(False)
    torch.manual_seed(1)
    return torch.__version__


def torch_product(m, n, k, transposed=False):
    import torch
    if transposed:
        x, w = torch.rand(m, k), torch.rand(n, k)
        return lambda: torch.nn.functional.linear(x, w)
    a, b, out = torch.rand(m, k), torch.rand(k, n), torch.empty(m, n)
    return lambda: torch.mm(a, b, out=out)


def torch_attention(causal):
    import torch
    q, k, v = (torch.rand(1, 32, 2048, 64) for _ in range(3))
    return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)


def torch_rows(kind):
    import torch
    import torch.nn.functional as F
    x, out, w, b = torch.randn(8192, 2048), torch.empty(8192, 2048), torch.rand(2048), torch.rand(2048)
    return {
        "softmax": lambda: torch.softmax(x, -1, out=out),
        "layer_norm": lambda: F.layer_norm(x, (2048,), w, b),
        "rms_norm": lambda: F.rms_norm(x, (2048,), w),
        "gelu": lambda: torch.ops.aten.gelu.out(x, out=out),
        "silu": lambda: torch.ops.aten.silu.out(x, out=out),
    }[kind]


def torch_conv(kind, x, w, padding, dilation, stride, groups=1):
    import torch
    f = getattr(torch.nn.functional, f"{kind}{len(x) - 2}d")
    value, weight, bias = torch.randn(x), torch.randn(w) / 50, torch.randn(w[0] if kind == "conv" else w[1] * groups)
    return lambda: f(value, weight, bias, padding=padding, dilation=dilation, stride=stride, groups=groups)


def torch_decode(folder, past, tokens):
    """Seconds of one token after past positions, chosen as the likeliest, with the cache of transformers, whichever is quicker."""
    import torch
    from transformers import LlamaForCausalLM
    from transformers.cache_utils import DynamicCache, StaticCache
    from transformers.utils import logging
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompt = torch.tensor([[(7919 * i + 1) % model.config.vocab_size for i in range(past)]])

    def run():
        caches = [lambda: DynamicCache(config=model.config), lambda: StaticCache(config=model.config, max_cache_len=past + tokens + 1)]
        best = math.inf
        for make in caches:
            cache = make()
            logits = model(input_ids=prompt, past_key_values=cache, use_cache=True, cache_position=torch.arange(past), logits_to_keep=1).logits
            start = 0.0
            for i in range(tokens + 1):
                if i == 1:
                    start = time.perf_counter()
                id = logits[:, -1].argmax(-1, keepdim=True)
                logits = model(input_ids=id, past_key_values=cache, use_cache=True, cache_position=torch.tensor([past + i])).logits
            best = min(best, (time.perf_counter() - start) / tokens)
        return best
    return run


# ONNX Runtime. Weights are constants of the graph, so it may put them in order beforehand.

def onnxruntime_version():
    import onnxruntime
    return onnxruntime.__version__


def onnx_session(op, inputs, weights, opset=20, domain="", **attrs):
    """What runs one node: inputs are given in each run, weights are its constants."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    node = helper.make_node(op, [*inputs, *weights], ["out"], domain=domain, **attrs)
    graph = helper.make_graph([node], op, [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in inputs.items()],
                              [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(v, n) for n, v in weights.items()])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = int(os.environ["OMP_NUM_THREADS"]), 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()  # no copies of what goes in
    for n, v in inputs.items():
        binding.bind_cpu_input(n, np.ascontiguousarray(v))
    binding.bind_output("out")
    return lambda: session.run_with_iobinding(binding)


def normal(*shape):
    import numpy as np
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def onnxruntime_product(m, n, k, transposed=False):
    # Without transposed both operands change in each run.
    if transposed:
        return onnx_session("MatMul", {"x": normal(m, k)}, {"w": normal(k, n)})
    return onnx_session("MatMul", {"x": normal(m, k), "w": normal(k, n)}, {})


def onnxruntime_attention(causal):
    q = normal(1, 2048, 2048)
    return onnx_session("MultiHeadAttention", {"q": q, "k": q, "v": q}, {}, domain="com.microsoft", num_heads=32, unidirectional=int(causal))


def onnxruntime_rows(kind):
    x, w, b = normal(8192, 2048), normal(2048), normal(2048)
    return {
        "softmax": lambda: onnx_session("Softmax", {"x": x}, {}, axis=-1),
        "layer_norm": lambda: onnx_session("LayerNormalization", {"x": x}, {"w": w, "b": b}, axis=-1),
        "rms_norm": lambda: onnx_session("SimplifiedLayerNormalization", {"x": x}, {"w": w}, axis=-1),
        "gelu": lambda: onnx_session("Gelu", {"x": x}, {}),
        "silu": lambda: onnx_session("QuickGelu", {"x": x}, {}, domain="com.microsoft", alpha=1.0),
    }[kind]()


def onnxruntime_conv(kind, x, w, padding, dilation, stride, groups=1):
    axes = len(x) - 2
    return onnx_session("Conv" if kind == "conv" else "ConvTranspose", {"x": normal(*x)},
                        {"w": normal(*w) / 50, "b": normal(w[0] if kind == "conv" else w[1] * groups)},
                        pads=[padding] * 2 * axes, dilations=[dilation] * axes, strides=[stride] * axes, group=groups)


PEERS = {"OpenBLAS": "openblas", "numpy": "numpy", "PyTorch": "torch", "ONNX Runtime": "onnxruntime"}


def serve(peer, budget):
    """Answers jobs until the input ends."""
    made, prefix = {}, PEERS[peer]
    print(json.dumps(globals()[f"{prefix}_version"]()), flush=True)
    for line in sys.stdin:
        kind, *args = json.loads(line)
        job = globals()[f"{prefix}_{kind}"]
        if kind == "decode":  # measures itself
            if line not in made:
                made[line] = job(*args)
                made[line]()
            seconds = made[line]()
        else:
            seconds = calls(job(*args), budget)
        print(json.dumps(seconds), flush=True)


class Peer:
    """A process that measures with another program."""

    def __init__(self, name, threads, budget):
        variables = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        env = dict(os.environ, **{v: str(threads) for v in variables})
        self.name = name
        self.process = subprocess.Popen([sys.executable, __file__, name, str(budget)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.version = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{sys.argv[0]}: {self.name} ended")
        return json.loads(line)

    def can(self, job):
        return f"{PEERS[self.name]}_{job[0]}" in globals()

    def seconds(self, job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


if __name__ == "__main__":
    serve(sys.argv[1], float(sys.argv[2]))
