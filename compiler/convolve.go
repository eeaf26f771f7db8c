package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// convShape is a convolution over two axes that Winograd's algorithm suits, in
// numbers: one sample, so that what is chosen does not depend on the company in the batch.
type convShape struct {
	rows, channels float64
	high, wide     float64 // positions
}

// What an elementary piece of work costs, in fused multiply-adds at full speed.
// The figures are of vector units of 16 lanes; only their ratios matter.
const (
	tileCost     = 1660 // the elements under one tile are gathered and transformed, in one channel
	untileCost   = 920  // the positions of one tile are transformed and stored, in one channel
	weightCost   = 100  // the weights of one pair of channels are transformed
	fewTiles     = 20   // of a panel that are no more than these, only so many are computed
	sharedPanels = 4    // panels of tiles that share transformed weights
	lookCost     = 12   // what one position sees of a channel is copied, once for all rows
	storeCost    = 27   // one element is stored
	panelColumns = 32   // positions, or tiles, of a product, of which the last are wasted
	// worthwhile is the part of another cost that a way which rounds otherwise must stay below.
	worthwhile = 0.8
)

// convolve chooses which convolutions are computed by Winograd's algorithm. Weights lie
// alike for both ways, since plans for several sizes share them.
func convolve(c *context, g *ir.Graph) (*ir.Graph, error) {
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		a, ok := n.Attr.(op.ConvLayerAttr)
		if !ok {
			return nil
		}
		geometry, err := op.ConvGeometry(a, n.In[0].Type())
		if err != nil || !op.SuitsWinograd(geometry, n.In[1].Type()) {
			return nil // Infer reports it
		}
		shape := newConvShape(n.In[1].Type(), n.Types[0])
		if shape.winograd() > worthwhile*shape.products() {
			return nil
		}
		a.Algorithm = op.Winograd
		return r.Apply(n.Op, a, in...)
	})
}

func newConvShape(w, y ir.Type) convShape {
	ws, ys := w.Sizes(), y.Sizes()
	return convShape{rows: float64(ws[0]), channels: float64(ws[1]), high: float64(ys[2]), wide: float64(ys[3])}
}

// upTo is n rounded up to a multiple of m.
func upTo(n, m float64) float64 {
	k := int((n + m - 1) / m)
	return float64(k) * m
}

// products is the cost of products of weights and what positions see.
func (c convShape) products() float64 {
	columns := min(c.high*upTo(c.wide, panelColumns), upTo(c.high*(c.wide+2), panelColumns))
	return columns * (c.channels*(9*c.rows+lookCost) + storeCost*c.rows)
}

// winograd is the cost of 36 products for each tile of 4 x 4 positions, and of the transforms.
func (c convShape) winograd() float64 {
	tiles := upTo(c.high, 4) * upTo(c.wide, 4) / 16
	columns := tiles
	if tiles > fewTiles {
		columns = upTo(tiles, panelColumns)
	}
	panels := upTo(tiles, panelColumns) / panelColumns
	shared := (panels + sharedPanels - 1) / sharedPanels // how often weights are transformed
	return columns*36*c.rows*c.channels + tiles*(tileCost*c.channels+untileCost*c.rows) + shared*weightCost*c.rows*c.channels
}
