package op

import "pipe.dev/compiler/ir"

// memory marks what a model that makes text of something else remembers of it:
// keys and values of the vectors of an encoder. The program "encode" computes
// it into a state; the program "step" reads it there, as often as it runs. In
// any other program it is x itself.
func memory() Def {
	return Def{Name: "memory", Title: "Memory", Cost: free, Remembered: true,
		Doc:   "y = x, which is computed once for a source and kept while text is made of it.",
		Ports: []Port{{Name: "x", Doc: "[batch, source, ...]: batch is 1 where text is made"}},
		Infer: sameAs(wantFloat),
		Lower: func(b *Builder, n *ir.Node) []ir.Value { return []ir.Value{n.In[0]} },
		Cases: []Case{{In: []ir.Type{ir.T(ir.F32, 2, 3, 5)}, Low: -1, High: 1}},
	}
}
