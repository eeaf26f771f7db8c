package compiler

import (
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
	"pipe.dev/schema"
)

// Weights lists the weights of a model, and the paths of the linear layers
// that an adapter can be added to, without ".weight": those whose weight no
// other layer shares; losses say what of the model is judged besides its output.
// No pass is run.
func Weights(m *schema.Model, t *op.Table, losses []train.Term) (weights []*ir.State, linear []string, err error) {
	c := &context{table: t, opt: &Options{Entry: Entry{Name: "forward"}, Training: &Training{Losses: losses}}}
	g, err := elaborate(c, m)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range g.States {
		if s.Kind == ir.Weight {
			weights = append(weights, s)
		}
	}
	seen, alone := map[string]bool{}, unshared(g)
	for _, n := range g.Nodes {
		if path, ok := adaptable(n); ok && !seen[path] && alone(n) {
			seen[path] = true
			linear = append(linear, strings.TrimSuffix(path, ".weight"))
		}
	}
	return weights, linear, nil
}
