package train

import "strings"

// Norm is how a weight is written while it is trained.
type Norm string

// The ways: as it is, as a length of each row and a direction, or divided by its greatest singular value.
const (
	NoNorm       Norm = ""
	WeightNorm   Norm = "weight"
	SpectralNorm Norm = "spectral"
)

// Singular is how the vectors of a spectral norm are filled: by fifteen steps of the power
// iteration on the weight that they belong to.
const Singular = "singular"

// The ends of the paths of what belongs to a weight that is written otherwise, as PyTorch's
// parametrizations have them.
const (
	parametrized = ".parametrizations.weight."
	length       = parametrized + "original0"
	direction    = parametrized + "original1"
	original     = parametrized + "original"
	leftVector   = parametrized + "0._u"
	rightVector  = parametrized + "0._v"
)

// LengthOf is the path of the lengths of the rows of a weight.
func LengthOf(weight string) string { return strings.TrimSuffix(weight, ".weight") + length }

// SingularOf are the paths of the vectors of the spectral norm of a weight: [rows], [elements of a row].
func SingularOf(weight string) [2]string {
	base := strings.TrimSuffix(weight, ".weight")
	return [2]string{base + leftVector, base + rightVector}
}

// IsNorm reports whether what is at path belongs to the norm of a weight.
func IsNorm(path string) bool {
	return strings.HasSuffix(path, length) || strings.HasSuffix(path, leftVector) || strings.HasSuffix(path, rightVector)
}

// NormedName is what files call a weight that is written otherwise: has says which paths there are.
func NormedName(path string, has func(path string) bool) string {
	base := strings.TrimSuffix(path, ".weight")
	switch {
	case has(LengthOf(path)):
		return base + direction
	case has(SingularOf(path)[0]):
		return base + original
	}
	return path
}
