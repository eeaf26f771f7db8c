package cpu

import "pipe.dev/compiler/op"

// table lists the kernels by op.
func table() map[string]maker {
	t := map[string]maker{
		"add": binaryOp("add", add[int32], add[int64]),
		"sub": binaryOp("sub", sub[int32], sub[int64]),
		"mul": binaryOp("mul", mul[int32], mul[int64]),
		"max": binaryOp("max", greatest[int32], greatest[int64]),
		"min": binaryOp("min", least[int32], least[int64]),
		"div": binaryOp("div", nil, nil),
		"pow": binaryOp("pow", nil, nil),

		"eq": compareOp(eq[float32], eq[int32], eq[int64], eq[uint8]),
		"ne": compareOp(ne[float32], ne[int32], ne[int64], ne[uint8]),
		"lt": compareOp(lt[float32], lt[int32], lt[int64], lt[uint8]),
		"le": compareOp(le[float32], le[int32], le[int64], le[uint8]),
		"gt": compareOp(gt[float32], gt[int32], gt[int64], gt[uint8]),
		"ge": compareOp(ge[float32], ge[int32], ge[int64], ge[uint8]),

		"not":    notOp,
		"and":    logicOp(and),
		"or":     logicOp(or),
		"select": selectOp,
		"cast":   castOp,

		"constant": constant,
		"fill":     fill,
		"iota":     iotaOp,

		"transpose":   mover(transpose),
		"broadcast":   mover(broadcast),
		"slice":       mover(sliceOf),
		"reshape":     copyOp,
		"heads":       copyOp,
		"merge_heads": copyOp,
		"concat":      concat,
		"split":       split,
		"pad":         pad,

		"gather":        gather,
		"embedding":     embedding,
		"take_along":    takeAlong,
		"pick":          pick,
		"one_hot":       oneHot,
		"scatter_add":   scatterOp(false),
		"scatter_along": scatterOp(true),

		"argmax": argmax,
		"cumsum": cumsum,
		"sort":   sortOp,
		"topk":   topK,

		"within_capacity": withinCapacity,
		"expert_choice":   expertChoice,
		"monotonic_path":  monotonicPath,

		"softmax":     softmaxOp(false),
		"log_softmax": softmaxOp(true),
		"rms_norm":    rmsNorm,
		"layer_norm":  layerNorm,

		"rms_norm_grad":   rmsNormGrad,
		"layer_norm_grad": layerNormGrad,
		"group_norm_grad": groupNormGradOp,

		"positions":      positions,
		"rope_table":     ropeTable,
		"rotate":         rotate,
		"attention":      attentionOp,
		"attention_grad": attentionGradOp,
		"cache_append":   cacheAppend,

		"linear_cross_entropy":      linearCrossEntropyOp,
		"linear_cross_entropy_grad": linearCrossEntropyOp,

		"matmul":       matmul,
		"linear":       linear,
		"gated_linear": gatedLinear,
		"gated_halves": gatedHalves,

		"expert_linear":      expertLinear,
		"expert_linear_grad": expertLinearGrad,

		"conv": convOp(false), "conv1d": convOp(false), "conv2d": convOp(false), "conv3d": convOp(false),
		"conv_transpose": convOp(true), "conv_transpose1d": convOp(true), "conv_transpose2d": convOp(true), "conv_transpose3d": convOp(true),
		"conv_weight_grad": convGradOp,

		"resample":   resampleOp,
		"window_max": windowMaxOp,
		"group_norm": groupNormOp,
		"unfold":     unfoldOp,
		"fold":       foldOp,
		"analysis":   analysisOp,
		"synthesis":  synthesisOp,

		"dropout": dropout,
		"act":     actOp,

		"gated_act":      gatedAct,
		"gated_act_grad": gatedActGrad,

		"act_grad": actGrad, "elementwise": elementwise, "elementwise_sum": elementwiseSum,
	}
	for _, name := range op.ElementwiseOps(1) {
		t[name] = unaryOp(name, nil, nil)
	}
	for name, r := range recipes() {
		t[name] = reduceOp(r)
	}
	t["neg"] = unaryOp("neg", neg[int32], neg[int64])
	t["abs"] = unaryOp("abs", absolute[int32], absolute[int64])
	t["sign"] = unaryOp("sign", sign[int32], sign[int64])
	return t
}
