package cuda

import "pipe.dev/compiler/op"

// table lists the kernels by op.
func table() map[string]maker {
	t := map[string]maker{
		"not":    logicOp("not"),
		"and":    logicOp("and"),
		"or":     logicOp("or"),
		"select": selectOp,
		"cast":   castOp,

		"constant": constant,
		"fill":     fillOp,
		"iota":     iotaOp,

		"transpose":   mover(transpose),
		"broadcast":   mover(broadcast),
		"slice":       mover(sliceOf),
		"reshape":     mover(same),
		"heads":       mover(same),
		"merge_heads": mover(same),
		"concat":      concat,
		"split":       split,
		"pad":         pad,

		"reduce_sum":  reduceOp(0),
		"reduce_max":  reduceOp(1),
		"reduce_min":  reduceOp(2),
		"softmax":     softmaxOp(false),
		"log_softmax": softmaxOp(true),
		"argmax":      argmax,
		"cumsum":      cumsum,

		"rms_norm":        rmsNorm,
		"layer_norm":      layerNorm,
		"rms_norm_grad":   rmsNormGrad(false),
		"layer_norm_grad": layerNormGrad(false),
		"group_norm":      groupNorm,
		"group_norm_grad": groupNormGrad,

		"linear_cross_entropy":      linearCrossEntropy,
		"linear_cross_entropy_grad": linearCrossEntropy,

		"act":            actOp,
		"act_grad":       actGradOp,
		"gated_act":      actOp,
		"gated_act_grad": actGradOp,

		"gather":        gather,
		"embedding":     embedding,
		"take_along":    takeAlong,
		"pick":          pick,
		"one_hot":       oneHot,
		"scatter_add":   scatterOp(false),
		"scatter_along": scatterOp(true),
		"cache_append":  cacheAppend,

		"rope_table": ropeTable,
		"rotate":     rotate,

		"attention":      attention,
		"attention_grad": attentionGrad,

		"elementwise":     chainOp,
		"elementwise_sum": sumOp,

		"matmul": matmul(false),
		"linear": linear(false),

		"gated_linear":  gatedLinear,
		"gated_halves":  gatedHalves,
		"expert_linear": expertLinear,

		"expert_linear_grad": expertLinearGrad,

		"dropout":         dropout,
		"sort":            sortOp,
		"topk":            topK,
		"expert_choice":   expertChoice,
		"within_capacity": withinCapacity,
		"monotonic_path":  monotonicPath,

		"window_max": windowMax,
		"unfold":     unfold,
		"fold":       fold,
		"resample":   resample,

		"conv_weight_grad": convWeightGrad,
		"analysis":         analysis,
		"synthesis":        synthesis,
	}
	for _, name := range []string{"conv", "conv_transpose"} {
		for _, axes := range []string{"", "1d", "2d", "3d"} {
			t[name+axes] = conv(name == "conv_transpose", false)
			t[name+axes+op.Plus] = conv(name == "conv_transpose", true)
		}
	}
	for name, m := range map[string]maker{"matmul": matmul(true), "linear": linear(true), "rms_norm_grad": rmsNormGrad(true), "layer_norm_grad": layerNormGrad(true)} {
		t[name+op.Plus] = m
	}
	for name := range floats {
		t[name] = elementwiseOp(name)
	}
	for name := range compares {
		t[name] = compareOp(name)
	}
	return t
}
