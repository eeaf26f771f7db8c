package train

import "strings"

// The ends of the paths of an adapter's weights, as the PEFT library has them
// in its files.
const (
	LowRankA  = ".lora_A.weight"
	LowRankB  = ".lora_B.weight"
	Magnitude = ".lora_magnitude_vector"
	ratio     = ".lora_magnitude_ratio"
)

// RowNorms is how the magnitude of a layer is filled: with the Euclidean norms
// of the rows of the weight that it belongs to.
const RowNorms = "row_norms"

// AdapterPaths are the paths of the weights that adapt one linear layer.
type AdapterPaths struct {
	A, B      string // [rank, in] and [out, rank]
	Magnitude string // [out], of an adapter that has it
	Ratio     string // [out], the magnitude over the norms of the rows, where neither changes; no file has it
}

// AdapterOf gives the paths of the adapter's weights for the weight of a layer.
func AdapterOf(weight string) AdapterPaths {
	base := strings.TrimSuffix(weight, ".weight")
	return AdapterPaths{base + LowRankA, base + LowRankB, base + Magnitude, base + ratio}
}

// AdapterLayer returns the path of the layer that the weight at path adapts, if
// it belongs to an adapter.
func AdapterLayer(path string) (layer string, ok bool) {
	for _, end := range []string{LowRankA, LowRankB, Magnitude} {
		if layer, ok = strings.CutSuffix(path, end); ok {
			return layer, true
		}
	}
	return "", false
}

// IsAdapter reports whether the weight at path belongs to an adapter.
func IsAdapter(path string) bool {
	_, ok := AdapterLayer(path)
	return ok
}
