package cpu

// table lists the kernels by op.
func table() map[string]maker {
	return map[string]maker{
		"matmul":       matmul,
		"linear":       linear,
		"gated_linear": gatedLinear,
	}
}
