package train

import "strings"

// ReferencePrefix begins the paths of the weights of a reference model: copies
// of those that training began with, which do not change.
const ReferencePrefix = "reference#"

// ReferenceOf gives the path of the weight that a reference model's weight is a
// copy of; false if path is no such weight.
func ReferenceOf(path string) (string, bool) { return strings.CutPrefix(path, ReferencePrefix) }
