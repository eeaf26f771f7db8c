"""Values and gradients of single operations by PyTorch, in float64.

    python testdata/golden/ops.py [NAME...]

ops/NAME.safetensors, one file a case:

    x0, x1, ...    inputs in the operation's natural order: f32 (exact, as computed with) or int32
    y              output, f64 or int32; y0, y1 where there are two
    dy, dy0        upstream gradient of the float output, f32 (exact)
    dx0, dx1, ...  gradients of the float inputs, f64
    metadata attr  the attributes as JSON, named as in PyTorch

Every gradient is held against central differences before it is written.
"""

import json
import os
import sys
import zlib

import torch
import torch.nn.functional as F
from monotonic_alignment_search import maximum_path_cython
from safetensors.torch import save_file
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb
from transformers.models.vits.modeling_vits import _unconstrained_rational_quadratic_spline

from reference import folder

CASES = []  # (name, attributes, inputs(generator), function, whether central differences apply)


def case(name, attr, inputs, function, smooth=True):
    CASES.append((name, attr, inputs, function, smooth))


def randn(*shape, scale=1.0):
    return lambda g: scale * torch.randn(shape, generator=g)


def ints(high, *shape):
    return lambda g: torch.randint(0, high, shape, generator=g)


def fixed(values, dtype=torch.float32):
    return lambda g: torch.tensor(values, dtype=dtype)


# Element-wise: a sweep with the tails, where exp overflows or underflows in f32; kinks (0) only where smooth.

SMOOTH = fixed([-100, -30, -12.5, -8, -5, -3.25, -2, -1, -0.5, -1e-3, 0, 1e-3, 0.25, 0.75, 1, 1.5, 2, 3, 4.5, 7, 10, 15, 19, 90])
KINKED = fixed([-100, -8, -2, -1, -0.5, -1e-3, 1e-3, 0.25, 1, 2.5, 7, 90])

case("gelu_erf", {"approximate": "none"}, [SMOOTH], F.gelu)
case("gelu_tanh", {"approximate": "tanh"}, [SMOOTH], lambda x: F.gelu(x, approximate="tanh"))
case("silu", {}, [SMOOTH], F.silu)
case("softplus", {"beta": 1.0}, [fixed([-100, -30, -8, -2, -1, -1e-3, 0, 1e-3, 0.5, 1, 3, 8, 15, 19])], F.softplus)
case("mish", {}, [fixed([-100, -30, -8, -2, -1, -1e-3, 0, 1e-3, 0.5, 1, 3, 8, 15, 19])], F.mish)
case("sigmoid", {}, [SMOOTH], torch.sigmoid)
case("tanh", {}, [SMOOTH], torch.tanh)
case("relu", {}, [KINKED], F.relu)
case("leaky_relu", {"negative_slope": 0.1}, [KINKED], lambda x: F.leaky_relu(x, 0.1))
case("elu", {"alpha": 1.5}, [KINKED], lambda x: F.elu(x, 1.5))


# Softmax and relatives. Logits may be large or masked.

def large(g):
    x = 3 * torch.randn((4, 9), generator=g)
    x[1] += 5000
    x[2] -= 5000
    x[3] *= 30
    return x


def masked(g):
    x = 2 * torch.randn((3, 7), generator=g)
    x[0, 3:] = -torch.inf
    x[1, 0] = -torch.inf
    x[2, :6] = -torch.inf
    return x


case("softmax", {"dim": -1}, [large], lambda x: F.softmax(x, -1))
case("softmax_dim1", {"dim": 1}, [randn(2, 5, 3)], lambda x: F.softmax(x, 1))
case("softmax_masked", {"dim": -1}, [masked], lambda x: F.softmax(x, -1), smooth=False)
case("log_softmax", {"dim": -1}, [large], lambda x: F.log_softmax(x, -1))
case("logsumexp", {"dim": -1, "keepdim": False}, [large], lambda x: torch.logsumexp(x, -1))
case("logsumexp_dim0", {"dim": 0, "keepdim": True}, [randn(4, 3)], lambda x: torch.logsumexp(x, 0, keepdim=True))


# Norms. Row 1 is so small that eps matters, row 2 has a large mean.

def rows(g):
    x = torch.randn((4, 12), generator=g)
    x[1] *= 2e-3
    x[2] += 20
    return x


case("rms_norm", {"eps": 1e-5}, [rows, randn(12)], lambda x, w: F.rms_norm(x, (12,), w, 1e-5))
case("layer_norm", {"eps": 1e-5}, [rows, randn(12), randn(12)], lambda x, w, b: F.layer_norm(x, (12,), w, b, 1e-5))


# Rotary embedding. x0 [1, heads, tokens, head_dim], x1 [tokens] the positions.

POSITIONS = fixed([0, 1, 2, 5, 6, 100], torch.int64)


def angles(positions, dim, theta):
    return positions[:, None].double() * theta ** (-torch.arange(0, dim, 2).double() / dim)


def rope_half(x, positions, theta, dims):
    a = angles(positions, dims, theta)
    a = torch.cat([a, a], -1)[None]
    turned, _ = apply_rotary_pos_emb(x[..., :dims], x[..., :dims], a.cos(), a.sin())
    return torch.cat([turned, x[..., dims:]], -1)


def rope_interleaved(x, positions, theta):
    a = angles(positions, x.shape[-1], theta)
    z = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2)) * torch.polar(torch.ones_like(a), a)
    return torch.view_as_real(z).reshape(x.shape)


case("rope_half", {"theta": 10000.0, "dims": 8, "interleaved": False}, [randn(1, 3, 6, 8), POSITIONS],
     lambda x, p: rope_half(x, p, 10000.0, 8))
case("rope_partial", {"theta": 500.0, "dims": 4, "interleaved": False}, [randn(1, 2, 6, 10), POSITIONS],
     lambda x, p: rope_half(x, p, 500.0, 4))
case("rope_interleaved", {"theta": 10000.0, "dims": 8, "interleaved": True}, [randn(1, 3, 6, 8), POSITIONS],
     lambda x, p: rope_interleaved(x, p, 10000.0))


# Attention. x0 q [batch, heads, tokens, head_dim], x1 k and x2 v [batch, kv_heads, kv_tokens, head_dim].
# The last query stands at the last key: query i is at position i + kv_tokens - tokens. A window of w is a token and the w-1 before it.

def visible(tokens, kv_tokens, window=None):
    i = torch.arange(tokens)[:, None] + kv_tokens - tokens
    j = torch.arange(kv_tokens)[None]
    return (j <= i) & (j > i - (window or kv_tokens))


def explicit(q, k, v, ok, scale, softcap):
    """softmax(softcap * tanh(q kT scale / softcap) where visible) v, key-value heads repeated for their group."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    s = softcap * torch.tanh(q @ k.mT * scale / softcap)
    return F.softmax(s.masked_fill(~ok, -torch.inf), -1) @ v


QKV = [randn(1, 4, 6, 8), randn(1, 4, 6, 8), randn(1, 4, 6, 8)]
GROUPED = [randn(2, 4, 5, 6), randn(2, 2, 5, 6), randn(2, 2, 5, 6)]
OFFSET = [randn(1, 4, 3, 8), randn(1, 2, 7, 8), randn(1, 2, 7, 8)]
sdpa = F.scaled_dot_product_attention

case("attention_causal", {"causal": True}, QKV, lambda q, k, v: sdpa(q, k, v, is_causal=True))
case("attention_full", {"causal": False}, OFFSET, lambda q, k, v: sdpa(q, k, v, enable_gqa=True))
case("attention_grouped", {"causal": True}, GROUPED, lambda q, k, v: sdpa(q, k, v, is_causal=True, enable_gqa=True))
case("attention_offset", {"causal": True}, OFFSET, lambda q, k, v: sdpa(q, k, v, visible(3, 7), enable_gqa=True))
case("attention_window", {"causal": True, "window": 3}, QKV, lambda q, k, v: sdpa(q, k, v, visible(6, 6, 3)))
case("attention_mask", {"causal": False}, QKV + [randn(1, 4, 6, 6)], lambda q, k, v, m: sdpa(q, k, v, m))
case("attention_scale", {"causal": True, "scale": 0.7}, QKV, lambda q, k, v: sdpa(q, k, v, is_causal=True, scale=0.7))
case("attention_softcap", {"causal": True, "scale": 1.0, "softcap": 2.0}, GROUPED,
     lambda q, k, v: explicit(q, k, v, visible(5, 5), 1.0, 2.0))


def far(tokens, kv_tokens):
    """How far a key is from a query, the last of which stands at the last key."""
    return (torch.arange(kv_tokens)[None] - (torch.arange(tokens)[:, None] + kv_tokens - tokens)).abs().double()


def slopes(heads):
    """Those of transformers' Bloom: its biases at position 1."""
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    return build_alibi_tensor(torch.ones(1, 2), heads, torch.float64).reshape(heads, 2)[:, 1]


def alibi(q, k, v, causal):
    bias = -slopes(q.shape[1])[:, None, None] * far(q.shape[2], k.shape[2])
    return sdpa(q, k, v, bias.masked_fill(~visible(q.shape[2], k.shape[2]), -torch.inf) if causal else bias, enable_gqa=True)


def documents(q, k, v, segments, causal):
    own = (segments[:, :, None] == segments[:, None, :])[:, None]
    return sdpa(q, k, v, own & visible(q.shape[2], k.shape[2]) if causal else own, enable_gqa=True)


def padded(q, k, v, lengths):
    return sdpa(q, k, v, (torch.arange(k.shape[2])[None] < lengths[:, None])[:, None, None], enable_gqa=True)


SEGMENTS = fixed([[4, 4, 5, 5, 5], [7, 9, 9, 7, 9]], torch.int32)
case("attention_bias", {"causal": True}, QKV + [randn(4, 6, 6)], lambda q, k, v, b: sdpa(q, k, v, b.masked_fill(~visible(6, 6), -torch.inf)))
case("attention_alibi", {"causal": True, "alibi": 8.0}, OFFSET, lambda q, k, v: alibi(q, k, v, True))
case("attention_alibi_6", {"causal": False, "alibi": 8.0}, [randn(1, 6, 5, 4), randn(1, 3, 5, 4), randn(1, 3, 5, 4)], lambda q, k, v: alibi(q, k, v, False))
case("attention_segments", {"causal": True}, GROUPED + [SEGMENTS], lambda q, k, v, s: documents(q, k, v, s, True))
case("attention_segments_full", {"causal": False}, GROUPED + [SEGMENTS], lambda q, k, v, s: documents(q, k, v, s, False))
case("attention_lengths", {"causal": False}, GROUPED + [fixed([3, 5], torch.int32)], padded)


# Matrices.

case("linear", {}, [randn(2, 3, 7), randn(5, 7), randn(5)], F.linear)
case("matmul", {}, [randn(4, 6), randn(6, 5)], torch.matmul)
case("matmul_broadcast", {}, [randn(2, 1, 3, 4), randn(5, 4, 6)], torch.matmul)


# Indexing and order. sort is stable (its input has ties); topk and argmax have none.

TIES = fixed([[0.5, -1.5, 2, 0.5, 2, -3, 0.25], [1, 1, 1, -1, -1, 4, 4]])

case("embedding", {}, [ints(9, 2, 6), randn(9, 5)], F.embedding)
case("gather", {"dim": 1}, [randn(3, 6, 2), ints(6, 3, 4, 2)], lambda x, i: torch.gather(x, 1, i))
case("topk", {"k": 3, "dim": -1, "largest": True, "sorted": True}, [randn(3, 8)], lambda x: torch.topk(x, 3, -1))
case("sort", {"dim": -1, "descending": False, "stable": True}, [TIES], lambda x: torch.sort(x, dim=-1, stable=True), smooth=False)
case("sort_descending", {"dim": -1, "descending": True, "stable": True}, [TIES],
     lambda x: torch.sort(x, dim=-1, stable=True, descending=True), smooth=False)
case("argmax", {"dim": -1, "keepdim": False}, [randn(4, 9)], lambda x: torch.argmax(x, -1), smooth=False)
case("one_hot", {"num_classes": 6}, [ints(6, 2, 5)], lambda i: F.one_hot(i, 6), smooth=False)
case("pad", {"pad": [1, 2, 0, 3], "mode": "constant", "value": -0.5}, [randn(2, 3, 4)],
     lambda x: F.pad(x, (1, 2, 0, 3), value=-0.5))
case("pad_reflect", {"pad": [3, 2], "mode": "reflect"}, [randn(2, 2, 5)], lambda x: F.pad(x, (3, 2), "reflect"))


# Reductions and scans.

case("cumsum", {"dim": 1}, [randn(2, 6, 3)], lambda x: torch.cumsum(x, 1))
case("var", {"dim": -1, "correction": 1, "keepdim": False}, [rows], lambda x: torch.var(x, -1))
case("var_biased", {"dim": -1, "correction": 0, "keepdim": True}, [rows],
     lambda x: torch.var(x, -1, correction=0, keepdim=True))


# Cross entropy. x0 logits [tokens, vocab], x1 targets [tokens]; ignored targets count neither above nor below the fraction.

LOGITS = randn(7, 9, scale=3.0)
TARGETS = fixed([3, 0, -100, 8, 5, -100, 2], torch.int64)

case("cross_entropy", {"reduction": "mean"}, [LOGITS, ints(9, 7)], F.cross_entropy)
for reduction in ["mean", "sum", "none"]:
    case(f"cross_entropy_ignore_smooth_{reduction}", {"ignore_index": -100, "label_smoothing": 0.1, "reduction": reduction},
         [LOGITS, TARGETS],
         lambda x, t, r=reduction: F.cross_entropy(x, t, ignore_index=-100, label_smoothing=0.1, reduction=r))


# Convolutions. x0 the input, x1 the weight, x2 the bias if there is one. padding_sides is as F.pad has it, applied before.

def convolve(function, attr):
    def run(x, w, b=None):
        a = dict(attr)
        sides = a.pop("padding_sides", None)
        return function(F.pad(x, sides) if sides else x, w, b, **a)
    return run


for name, function, x, w, bias, attr in [
    ("conv1d", F.conv1d, (2, 3, 9), (4, 3, 3), True, {}),
    ("conv1d_same", F.conv1d, (1, 2, 7), (3, 2, 4), False, {"padding": "same", "dilation": 2}),
    ("conv1d_strided", F.conv1d, (2, 2, 12), (3, 2, 4), True, {"stride": 3, "padding": 2}),
    ("conv1d_causal", F.conv1d, (1, 2, 8), (3, 2, 3), True, {"padding_sides": [4, 0], "dilation": 2}),
    ("conv1d_grouped", F.conv1d, (2, 6, 7), (9, 2, 3), True, {"padding": 1, "groups": 3}),
    ("conv2d", F.conv2d, (2, 3, 5, 6), (4, 3, 3, 3), True, {"padding": 1}),
    ("conv2d_mixed", F.conv2d, (1, 4, 7, 8), (6, 2, 3, 2), True, {"stride": [2, 1], "padding": [2, 1], "dilation": [1, 3], "groups": 2}),
    ("conv2d_depthwise", F.conv2d, (1, 4, 6, 5), (8, 1, 3, 3), False, {"stride": 2, "padding": 1, "groups": 4}),
    ("conv2d_1x1", F.conv2d, (2, 3, 4, 3), (5, 3, 1, 1), True, {}),
    ("conv2d_large_kernel", F.conv2d, (1, 1, 3, 2), (2, 1, 5, 6), True, {"padding": 2}),
    ("conv3d", F.conv3d, (1, 2, 3, 4, 5), (3, 2, 2, 3, 2), True, {"stride": [1, 2, 1], "padding": [1, 0, 1], "dilation": [2, 1, 1]}),
    ("conv_transpose1d", F.conv_transpose1d, (2, 3, 5), (3, 4, 4), True, {"stride": 2, "padding": 1}),
    ("conv_transpose1d_mixed", F.conv_transpose1d, (1, 4, 5), (4, 3, 3), False,
     {"stride": 3, "padding": 2, "output_padding": 2, "dilation": 2, "groups": 2}),
    ("conv_transpose2d", F.conv_transpose2d, (1, 3, 3, 4), (3, 2, 3, 3), True, {"stride": 2, "padding": 1, "output_padding": 1}),
    ("conv_transpose2d_mixed", F.conv_transpose2d, (2, 4, 3, 2), (4, 2, 2, 3), True,
     {"stride": [1, 3], "padding": [0, 2], "output_padding": [0, 1], "groups": 2}),
    ("conv_transpose3d", F.conv_transpose3d, (1, 2, 2, 3, 2), (2, 2, 2, 1, 3), True, {"stride": [2, 1, 1], "padding": [0, 0, 1]}),
]:
    case(name, attr, [randn(*x), randn(*w)] + ([randn(w[0] if function in (F.conv1d, F.conv2d, F.conv3d) else w[1] * attr.get("groups", 1))] if bias else []),
         convolve(function, attr))


# Pooling, interpolation and norms of pictures. x0 the input; weights follow.

for name, function, x, attr in [
    ("max_pool1d", F.max_pool1d, (2, 3, 9), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("max_pool2d", F.max_pool2d, (2, 2, 7, 8), {"kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 0], "ceil_mode": True}),
    ("max_pool2d_dilated", F.max_pool2d, (1, 2, 9, 8), {"kernel_size": 3, "padding": 1, "dilation": [2, 1], "stride": 1}),
    ("max_pool3d", F.max_pool3d, (1, 2, 4, 5, 6), {"kernel_size": 2}),
    ("avg_pool1d", F.avg_pool1d, (2, 3, 10), {"kernel_size": 4, "stride": 3, "padding": 2, "ceil_mode": True}),
    ("avg_pool2d", F.avg_pool2d, (1, 2, 7, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": True}),
    ("avg_pool2d_inside", F.avg_pool2d, (1, 2, 7, 8), {"kernel_size": [3, 2], "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
    ("avg_pool3d", F.avg_pool3d, (1, 2, 4, 5, 3), {"kernel_size": 2, "stride": 1, "padding": 1, "count_include_pad": False}),
    ("adaptive_avg_pool1d", F.adaptive_avg_pool1d, (2, 3, 7), {"output_size": 3}),
    ("adaptive_avg_pool2d", F.adaptive_avg_pool2d, (1, 2, 7, 5), {"output_size": [3, 4]}),
    ("adaptive_avg_pool3d", F.adaptive_avg_pool3d, (1, 2, 3, 4, 5), {"output_size": 2}),
    ("adaptive_max_pool1d", F.adaptive_max_pool1d, (2, 3, 7), {"output_size": 3}),
    ("adaptive_max_pool2d", F.adaptive_max_pool2d, (1, 2, 7, 5), {"output_size": [3, 4]}),
    ("adaptive_max_pool3d", F.adaptive_max_pool3d, (1, 2, 3, 4, 5), {"output_size": 2}),
    ("interpolate_nearest", F.interpolate, (1, 2, 5, 7), {"size": [8, 4], "mode": "nearest"}),
    ("interpolate_nearest_scale", F.interpolate, (1, 2, 7), {"scale_factor": 1.7, "mode": "nearest"}),
    ("interpolate_nearest_exact", F.interpolate, (1, 2, 5, 7), {"size": [8, 4], "mode": "nearest-exact"}),
    ("interpolate_linear", F.interpolate, (2, 2, 6), {"size": 11, "mode": "linear"}),
    ("interpolate_bilinear", F.interpolate, (1, 2, 4, 5), {"scale_factor": 2.3, "mode": "bilinear"}),
    ("interpolate_bilinear_corners", F.interpolate, (1, 2, 4, 5), {"size": [7, 3], "mode": "bilinear", "align_corners": True}),
    ("interpolate_bilinear_smooth", F.interpolate, (1, 2, 9, 8), {"size": [4, 11], "mode": "bilinear", "antialias": True}),
    ("interpolate_trilinear", F.interpolate, (1, 1, 3, 4, 2), {"size": [5, 3, 4], "mode": "trilinear"}),
    ("interpolate_bicubic", F.interpolate, (1, 2, 5, 6), {"size": [8, 9], "mode": "bicubic"}),
    ("interpolate_bicubic_scale", F.interpolate, (1, 2, 5, 6), {"scale_factor": 0.6, "mode": "bicubic"}),
    ("interpolate_bicubic_corners", F.interpolate, (1, 2, 5, 6), {"size": [8, 9], "mode": "bicubic", "align_corners": True}),
    ("interpolate_bicubic_smooth", F.interpolate, (1, 2, 9, 8), {"size": [4, 5], "mode": "bicubic", "antialias": True}),
    ("interpolate_area", F.interpolate, (1, 2, 7, 5), {"size": [3, 4], "mode": "area"}),
]:
    case(name, attr, [randn(*x)], lambda x, f=function, a=attr: f(x, **a))

case("group_norm", {"num_groups": 3, "eps": 1e-5}, [randn(2, 6, 3, 4), randn(6), randn(6)], lambda x, w, b: F.group_norm(x, 3, w, b, 1e-5))
case("group_norm_plain", {"num_groups": 2, "eps": 1e-3}, [randn(2, 4, 5)], lambda x: F.group_norm(x, 2, eps=1e-3))
case("instance_norm", {"eps": 1e-5}, [randn(2, 3, 4, 3)], lambda x: F.instance_norm(x, eps=1e-5))
case("instance_norm_affine", {"eps": 1e-5}, [randn(2, 3, 7), randn(3), randn(3)], lambda x, w, b: F.instance_norm(x, weight=w, bias=b, eps=1e-5))
case("batch_norm", {"eps": 1e-5}, [randn(2, 3, 4, 2), randn(3), randn(3)],
     lambda x, w, b: F.batch_norm(x, torch.tensor([0.5, -1, 2.0]).double(), torch.tensor([0.25, 2, 1.5]).double(), w, b, eps=1e-5))




def batch_norm_train(x, w, b):
    """y, and the running statistics that come after it; only y has gradients."""
    mean, var = torch.tensor([0.5, -1, 2.0]).double(), torch.tensor([0.25, 2, 1.5]).double()
    y = F.batch_norm(x, mean, var, w, b, training=True, momentum=0.3, eps=1e-5)
    return torch.cat([y.flatten(), mean.detach(), var.detach()])


case("batch_norm_train", {"eps": 1e-5, "momentum": 0.3}, [randn(2, 3, 4, 2), randn(3), randn(3)], batch_norm_train, smooth=False)


# Windows side by side and back, pixels and channels.

case("unfold", {"kernel_size": [3, 2], "dilation": [1, 2], "padding": [1, 0], "stride": [2, 1]}, [randn(2, 3, 6, 7)], lambda x: F.unfold(x, (3, 2), (1, 2), (1, 0), (2, 1)))
case("fold", {"output_size": [6, 7], "kernel_size": [3, 2], "dilation": [1, 2], "padding": [1, 0], "stride": [2, 1]}, [randn(2, 18, 15)],
     lambda x: F.fold(x, (6, 7), (3, 2), (1, 2), (1, 0), (2, 1)))
case("pixel_shuffle", {"factor": 3}, [randn(2, 18, 2, 3)], lambda x: F.pixel_shuffle(x, 3))
case("pixel_unshuffle", {"factor": 2}, [randn(2, 3, 4, 6)], lambda x: F.pixel_unshuffle(x, 2))


# Short-time Fourier transforms. y of stft is [2, ...]: the real and the imaginary parts. x0 a signal, or of istft the real and x1 the imaginary parts [channels, bins, frames].

WINDOWS = {"hann": torch.hann_window, "hamming": torch.hamming_window, "blackman": torch.blackman_window}


def window(attr):
    return WINDOWS[attr["window"]](attr["win_length"], periodic=attr["periodic"], dtype=torch.float64)


def stft(x, attr):
    z = torch.stft(x, attr["n_fft"], attr["hop_length"], attr["win_length"], window(attr), attr["center"], "reflect", attr["normalized"], True, return_complex=True)
    return z.real, z.imag


def istft(re, im, attr):
    return torch.istft(torch.complex(re, im), attr["n_fft"], attr["hop_length"], attr["win_length"], window(attr), attr["center"], attr["normalized"], True, attr.get("length"))


for name, x, attr in [
    ("stft", (2, 60), {"n_fft": 20, "hop_length": 6, "win_length": 16, "window": "hann", "periodic": True, "center": True, "normalized": False}),
    ("stft_inside", (70,), {"n_fft": 15, "hop_length": 7, "win_length": 15, "window": "hamming", "periodic": False, "center": False, "normalized": True}),
    ("spectrogram", (2, 50), {"n_fft": 16, "hop_length": 4, "win_length": 16, "window": "blackman", "periodic": True, "center": True, "normalized": False, "power": 2}),
    ("spectrogram_magnitude", (1, 50), {"n_fft": 14, "hop_length": 5, "win_length": 14, "window": "hann", "periodic": True, "center": True, "normalized": False, "power": 1}),
]:
    def run(x, attr=attr):
        re, im = stft(x, attr)
        return torch.stack([re, im]) if "power" not in attr else (re**2 + im**2) ** (attr["power"] / 2)
    case(name, attr, [randn(*x)], run)

for name, shape, attr in [
    ("istft", (2, 9, 7), {"n_fft": 16, "hop_length": 4, "win_length": 12, "window": "hann", "periodic": True, "center": True, "normalized": False}),
    ("istft_length", (8, 6), {"n_fft": 15, "hop_length": 4, "win_length": 15, "window": "hamming", "periodic": True, "center": True, "normalized": True, "length": 17}),
    ("istft_whole", (6, 5), {"n_fft": 10, "hop_length": 3, "win_length": 10, "window": "hamming", "periodic": True, "center": False, "normalized": False}),
]:
    case(name, attr, [randn(*shape), randn(*shape)], lambda re, im, a=attr: istft(re, im, a))

# The best monotonic path, by the Cython code of VITS. Scores are whole numbers, so that sums are exact; in the second case many paths are alike.


def monotonic_path(scores, frames=None, places=None):
    b, f, s = scores.shape
    frames = torch.full((b,), f) if frames is None else frames
    places = torch.full((b,), s) if places is None else places
    mask = (torch.arange(f)[:, None] < frames[:, None, None]) & (torch.arange(s) < places[:, None, None])
    path = maximum_path_cython(scores.detach().mT.contiguous(), mask.mT.contiguous().double())  # [batch, seq, frames]
    assert (path.sum(1) == (torch.arange(f) < frames[:, None])).all()
    return torch.where(torch.arange(f) < frames[:, None], path.argmax(1), places[:, None] - 1)


case("monotonic_path", {}, [lambda g: torch.randint(-50, 50, (3, 17, 6), generator=g).float()], monotonic_path, smooth=False)
case("monotonic_path_lengths", {}, [lambda g: torch.randint(-1, 2, (5, 19, 8), generator=g).float(), fixed([19, 8, 11, 1, 13], torch.int64), fixed([8, 8, 3, 1, 7], torch.int64)],
     monotonic_path, smooth=False)

# A monotonic spline and its inverse; x on both sides of the outermost knots. y is y and the logarithm of the slope, one after the other.


def rational_spline(x, numbers, attr):
    bins = (numbers.shape[-1] + 1) // 3
    scaled = attr["scale"] * numbers[..., :2 * bins]
    return torch.stack(_unconstrained_rational_quadratic_spline(x, scaled[..., :bins], scaled[..., bins:], numbers[..., 2 * bins:], attr["inverse"], attr["bound"]))


for name, attr in [("rational_spline", {"bound": 3.0, "scale": 0.5, "inverse": False}), ("rational_spline_inverse", {"bound": 2.0, "scale": 1.0, "inverse": True})]:
    case(name, attr, [randn(4, 9, scale=2.0), randn(4, 9, 14, scale=1.5)], lambda x, n, attr=attr: rational_spline(x, n, attr))


def make(name, attr, inputs, function, smooth):
    """Runs one case and writes its file; returns the bytes written."""
    g = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    drawn = [draw(g) for draw in inputs]
    x = [t.double().requires_grad_() if t.is_floating_point() else t for t in drawn]
    floats = [t for t in x if t.is_floating_point()]
    out = function(*x)
    out = list(out) if isinstance(out, tuple) else [out]
    suffix = [""] if len(out) == 1 else [str(i) for i in range(len(out))]

    file = {f"x{i}": t if t.is_floating_point() else t.int() for i, t in enumerate(drawn)}
    for s, y in zip(suffix, out):
        if not y.is_floating_point():
            file["y" + s] = y.int()
            continue
        assert y.dtype == torch.float64
        dy = torch.randn(y.shape, generator=g)
        file |= {"y" + s: y.detach(), "dy" + s: dy}
        grads = iter(torch.autograd.grad(y, floats, dy.double()))
        file |= {f"dx{i}": next(grads) for i, t in enumerate(x) if t.is_floating_point()}
        assert all(t.isfinite().all() for k, t in file.items() if k[0] in "yd"), name
    if smooth:
        first = (lambda *a: function(*a)[0]) if len(out) > 1 else function
        assert torch.autograd.gradcheck(first, x, eps=1e-6, atol=1e-5, rtol=1e-5), name

    path = os.path.join(folder("ops"), name + ".safetensors")
    save_file({k: t.contiguous() for k, t in file.items()}, path, metadata={"attr": json.dumps(attr)})
    os.chmod(path, 0o644)
    return os.path.getsize(path)


def check_attention():
    """PyTorch's kernels and the explicit formula agree where both apply (softcap so large that tanh is the identity)."""
    g = torch.Generator().manual_seed(0)
    q, k, v = [draw(g).double() for draw in OFFSET]
    for ok in [visible(3, 7), visible(3, 7, 2)]:
        torch.testing.assert_close(sdpa(q, k, v, ok, enable_gqa=True), explicit(q, k, v, ok, 8**-0.5, 1e6), rtol=1e-9, atol=1e-9)


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    check_attention()
    total = sum(make(*c) for c in CASES if not sys.argv[1:] or c[0] in sys.argv[1:])
    assert total < 320_000, total
    print(len(CASES), "cases,", total, "bytes")
