package lift

import "maps"

// table is how each operation of ONNX is lifted: outputs from a node. An output
// that is not computed is nil.
func table() map[string]func(c *call) []*value {
	out := map[string]func(c *call) []*value{}
	for _, rows := range []map[string]func(c *call) []*value{
		elementwiseRows(), shapeRows(), indexRows(), reduceRows(), productRows(), convRows(), normRows(), recurrentRows(), controlRows(),
	} {
		maps.Copy(out, rows)
	}
	return out
}

// single is a row with one output.
func single(f func(c *call) *value) func(c *call) []*value {
	return func(c *call) []*value { return []*value{f(c)} }
}
