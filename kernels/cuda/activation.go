package cuda

// activations number the functions that products end with, as source/activation.h
// does.
var activations = map[string]uint32{"": 0, "silu": 1, "gelu": 2, "gelu_tanh": 3, "quick_gelu": 4, "relu": 5, "leaky_relu": 6,
	"sigmoid": 7, "tanh": 8, "softplus": 9, "mish": 10, "elu": 11, "relu2": 12}
