package compiler

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// algorithms are the ways to compute a convolution, and what each costs, in
// fused multiply-adds at full speed. The figures are of vector units of 16
// lanes; only their ratios matter. Among equal costs the first is taken.
var algorithms = []struct {
	name string
	// cost is an estimate; ok is false if the way is not for such a convolution.
	cost func(c convShape) (cost float64, ok bool)
}{
	{op.Patches, patchesCost},
	{op.Lines, linesCost},
	{op.Winograd, winogradCost},
}

// convShape is a convolution in numbers.
type convShape struct {
	geometry  op.ConvAttr
	weight    ir.Type
	batch     float64
	positions float64 // of a sample
	lines     float64 // of positions of a sample, along the last axis
	rows      float64 // channels of the result, in a group
	channels  float64 // of x, in a group
	groups    float64
	kernel    float64
	across    float64 // elements of the kernel along the last axis
	high      float64 // positions along the last two axes
	wide      float64
}

// What an elementary piece of work costs.
const (
	packCost     = 18   // one element of a patch is copied
	linePace     = 4    // a multiply-add where every line of x is read again
	lineCost     = 2400 // one line of x is found and one of y begun
	fewestRows   = 384  // rows that share the patches they meet
	tileCost     = 1660 // the elements under one tile are gathered and transformed, in one channel
	untileCost   = 920  // the positions of one tile are transformed and stored, in one channel
	weightCost   = 1200 // the weights of one pair of channels are transformed
	panelColumns = 32   // positions, or tiles, of a product, of which the last are wasted
	// worthwhile is the part of another cost that a way which rounds otherwise must stay below.
	worthwhile = 0.8
)

// convolve chooses how each convolution is computed.
func convolve(c *context, g *ir.Graph) (*ir.Graph, error) {
	if !slices.ContainsFunc(g.Nodes, func(n *ir.Node) bool { _, ok := n.Attr.(op.ConvLayerAttr); return ok }) {
		return g, nil
	}
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		a, ok := n.Attr.(op.ConvLayerAttr)
		if !ok {
			return nil
		}
		geometry, err := op.ConvGeometry(a, n.In[0].Type())
		if err != nil {
			return nil // Infer reports it
		}
		a.Algorithm = cheapest(newConvShape(geometry, n.In[0].Type(), n.In[1].Type(), n.Types[0]))
		return r.Apply(n.Op, a, in...)
	})
}

// cheapest is the way of the least cost.
func cheapest(c convShape) string {
	var best string
	var least float64
	for _, a := range algorithms {
		cost, ok := a.cost(c)
		if a.name == op.Winograd {
			cost /= worthwhile
		}
		if ok && (best == "" || cost < least) {
			best, least = a.name, cost
		}
	}
	return best
}

func newConvShape(geometry op.ConvAttr, x, w, y ir.Type) convShape {
	xs, ws, ys := x.Sizes(), w.Sizes(), y.Sizes()
	c := convShape{geometry: geometry, weight: w, batch: float64(xs[0]), positions: 1, lines: 1, kernel: 1, high: 1,
		groups: float64(geometry.Groups), rows: float64(ys[1] / geometry.Groups), channels: float64(ws[1])}
	for i, k := range ws[2:] {
		c.kernel *= float64(k)
		c.positions *= float64(ys[2+i])
		c.high, c.wide, c.across = c.wide, float64(ys[2+i]), float64(k)
	}
	c.lines = c.positions / max(c.wide, 1)
	return c
}

// upTo is n rounded up to a multiple of m.
func upTo(n, m float64) float64 {
	k := int((n + m - 1) / m)
	return float64(k) * m
}

// patchesCost: products of weights and patches.
func patchesCost(c convShape) (float64, bool) {
	columns := upTo(c.batch*c.positions, panelColumns)
	perRow := columns * c.channels * c.kernel
	return c.groups * perRow * (c.rows + packCost*upTo(c.rows, fewestRows)/fewestRows), true
}

// linesCost: sums of lines of x, for each line of y.
func linesCost(c convShape) (float64, bool) {
	perRow := c.batch * c.channels * (c.positions*c.kernel*linePace + c.lines*c.kernel/c.across*lineCost)
	return c.groups * c.rows * perRow, true
}

// winogradCost: 36 products for each tile of 4 x 4 positions.
func winogradCost(c convShape) (float64, bool) {
	tiles := upTo(c.batch*upTo(c.high, 4)*upTo(c.wide, 4)/16, panelColumns)
	cost := tiles*(36*c.rows*c.channels+tileCost*c.channels+untileCost*c.rows) + weightCost*c.rows*c.channels
	return cost, op.SuitsWinograd(c.geometry, c.weight)
}
