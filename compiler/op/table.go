package op

import "slices"

// New returns the table of all operations, in documentation order.
func New() (*Table, error) {
	return NewTable(slices.Concat(
		elementwiseDefs(),
		compareDefs(),
		[]Def{constant(), fill(), iotaDef(), detach()},
		[]Def{matmul(), linear(), gatedLinear(), gatedHalves(), expertLinear(), expertLinearGrad(), embedding(), parameter()},
		convDefs(),
		poolDefs(),
		[]Def{unfold(), foldDef(), pixelShuffle(), pixelUnshuffle()},
		signalDefs(),
		melDefs(),
		shapeDefs(),
		indexDefs(),
		reduceDefs(),
		[]Def{sortDef(), topk(), withinCapacity(), expertChoice(), monotonicPath(), rationalSpline()},
		[]Def{softmax(), logSoftmax(), act(), actGrad(), gatedAct(), gatedActGrad(), dropout(), elementwise(), elementwiseSum(), scan()},
		[]Def{rmsNorm(), rmsNormGrad(), layerNorm(), layerNormGrad()},
		[]Def{groupNorm(), groupNormGrad(), instanceNorm(), batchNorm(), batchNormTrain()},
		[]Def{codebook(), codebookTrain()},
		[]Def{positions(), rope(), ropeTable(), rotate(), attention(), attentionGrad(), latentAttention(), cacheAppend(), memory(), distanceBuckets(), noiseSchedule()},
		[]Def{crossEntropy(), linearCrossEntropy(), linearCrossEntropyGrad()},
		plusDefs(),
	)...)
}
