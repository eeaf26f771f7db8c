"""PyTorch's half of compare_cuda.py: a process that lives as long as the comparison, so that its libraries are loaded and its kernels warm.

A line of JSON on the standard input is a job, [kind, arguments ...]; the answer is a line {"seconds": ...}, or {"error": ...} of what failed. On a GPU
times are those of CUDA events; without one (--small) of a clock.
"""

import gc
import json
import os
import shutil
import statistics
import sys
import time
import traceback
import warnings

CUDA = False  # set by serve


def device():
    return "cuda" if CUDA else "cpu"


def release():
    gc.collect()
    if CUDA:
        import torch
        torch.cuda.empty_cache()


def once(f, times=1):
    """Seconds of one of some calls of f, one after the other."""
    if not CUDA:
        begin = time.perf_counter()
        for _ in range(times):
            f()
        return (time.perf_counter() - begin) / times
    import torch
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(times):
        f()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1e3 / times


def calls(f, budget=0.3):
    """The median of several measurements, of as many calls each as take 2 ms, after some that warm up."""
    for _ in range(3):
        f()
    times = max(1, min(1000, int(2e-3 / once(f))))
    took, begin = [], time.perf_counter()
    while len(took) < 5 or time.perf_counter() - begin < budget:
        took.append(once(f, times))
    return statistics.median(took)


def graphed(f):
    """f as one launch of a graph, where there are graphs."""
    import torch
    if not CUDA:
        return f
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            f()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        f()
    return graph.replay


def product(n, dtype):
    import torch
    kind = torch.float32 if dtype == "tf32" else getattr(torch, dtype)
    a, b = (torch.rand(n, n, device=device()).mul_(2).sub_(1).to(kind) for _ in range(2))
    out = torch.empty_like(a)
    torch.backends.cuda.matmul.allow_tf32 = dtype == "tf32"
    try:
        return calls(lambda: torch.mm(a, b, out=out))
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False


def attention(batch, seq, heads, size, backward):
    import torch
    import torch.nn.functional as F
    q, k, v = (torch.rand(batch, seq, heads, size, device=device()).mul_(2).sub_(1).bfloat16().transpose(1, 2).requires_grad_(backward) for _ in range(3))
    forward = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)
    if not backward:
        with torch.no_grad():
            return calls(forward)
    y = forward()
    dy = torch.rand_like(y)
    return calls(lambda: torch.autograd.grad(y, (q, k, v), dy, retain_graph=True))


def launch():
    """A kernel of one element in a graph of a thousand."""
    import torch
    x = torch.zeros(1, device=device())

    def many():
        for _ in range(1000):
            x.add_(1)
    return calls(graphed(many)) / 1000


def llama(config):
    from transformers import LlamaConfig
    return LlamaConfig(**{k: v for k, v in config.items() if k != "model_type"})


def write_llama(folder, config, tokenizer):
    """A folder of drawn weights in bf16; nothing is timed."""
    import torch
    from transformers import LlamaForCausalLM
    if not os.path.exists(f"{folder}/config.json"):
        torch.manual_seed(1)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        with torch.device(device()):
            model = LlamaForCausalLM(llama(config))
        torch.set_default_dtype(before)
        model.save_pretrained(folder)
        shutil.copy(tokenizer, f"{folder}/tokenizer.json")


def decode(folder, past, tokens, compiled):
    """A token after past positions, chosen as the likeliest, with a cache of fixed size; compiled, as transformers advises for speed."""
    import torch
    from transformers import LlamaForCausalLM
    from transformers.cache_utils import StaticCache
    with torch.no_grad():
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, device_map=device()).eval()
        prompt = torch.tensor([[(7919 * i + 1) % model.config.vocab_size for i in range(past)]], device=device())
        run = torch.compile(model.forward, mode="reduce-overhead", fullgraph=True) if compiled else model.forward
        took = []
        for _ in range(2):
            cache = StaticCache(config=model.config, max_cache_len=past + tokens + 8)
            logits = model(input_ids=prompt, past_key_values=cache, use_cache=True, cache_position=torch.arange(past, device=device()), logits_to_keep=1).logits
            at = torch.tensor([past], device=device())
            id = logits[:, -1].argmax(-1, keepdim=True)

            def token():
                nonlocal id
                id = run(input_ids=id, past_key_values=cache, use_cache=True, cache_position=at, position_ids=at[None]).logits[:, -1].argmax(-1, keepdim=True).clone()
                at.add_(1)
            for _ in range(4):
                token()
            took.append(once(token, tokens))
        return min(took)


def train(config, batch, seq, steps, compiled):
    """A step: weights and AdamW in f32, the model in bf16 by autocast, gradients clipped."""
    import torch
    from transformers import LlamaForCausalLM
    torch.manual_seed(1)
    with torch.device(device()):
        model = LlamaForCausalLM(llama(config | {"max_position_embeddings": seq}))
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=CUDA or None)
    run = torch.compile(model) if compiled else model
    ids = torch.randint(config["vocab_size"], (batch, seq + 1), device=device())

    def step():
        with torch.autocast(device(), dtype=torch.bfloat16):
            logits = run(input_ids=ids[:, :-1], use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
    for _ in range(3):
        step()
    return statistics.median(once(step) for _ in range(steps))


def unet_inputs(config):
    import numpy as np
    r = np.random.default_rng(2)
    size, cross = config["sample_size"], config["cross_attention_dim"]
    return {"sample": r.standard_normal((2, 4, size, size), dtype=np.float32), "timestep": np.full(2, 500, np.float32),
            "encoder_hidden_states": r.standard_normal((2, 77, cross), dtype=np.float32)}


def write_unet(folder, config):
    import diffusers
    import torch
    from safetensors.numpy import save_file
    if not os.path.exists(f"{folder}/config.json"):
        torch.manual_seed(1)
        with torch.device(device()):
            model = diffusers.UNet2DConditionModel(**config).half()
        model.save_pretrained(folder, max_shard_size="20GB")
        save_file(unet_inputs(config), f"{folder}.inputs.safetensors")


def unet(folder, config):
    """A call in f16, channels last, as one graph."""
    import diffusers
    import torch
    with torch.no_grad():
        dtype = torch.float16 if CUDA else torch.float32
        model = diffusers.UNet2DConditionModel.from_pretrained(folder, torch_dtype=dtype).to(device()).eval().to(memory_format=torch.channels_last)
        values = {k: torch.from_numpy(v).to(device(), dtype) for k, v in unet_inputs(config).items()}
        values["sample"] = values["sample"].to(memory_format=torch.channels_last)
        return calls(graphed(lambda: model(**values, return_dict=False)[0]))


JOBS = {f.__name__: f for f in (product, attention, launch, write_llama, decode, train, write_unet, unet)}


def serve(small):
    global CUDA
    warnings.filterwarnings("ignore")
    import torch
    CUDA = torch.cuda.is_available() and not small
    if not CUDA and not small:
        print(json.dumps({"error": "PyTorch sees no GPU"}), flush=True)
        return
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # f32 is f32
    torch.backends.cudnn.benchmark = True
    name = torch.cuda.get_device_name() if CUDA else "the CPU"
    print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "device": name}), flush=True)
    for line in sys.stdin:
        kind, *args = json.loads(line)
        try:
            answer = {"seconds": JOBS[kind](*args)}
        except Exception as e:  # the comparison says it, and goes on
            traceback.print_exc()
            answer = {"error": f"{type(e).__name__}: {e}".splitlines()[0][:200]}
        release()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve("--small" in sys.argv[1:])
