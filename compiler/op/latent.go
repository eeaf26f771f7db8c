package op

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
)

// LatentAttentionAttr describes attention whose keys and values are made of small vectors.
type LatentAttentionAttr struct {
	Plain int     `cue:"plain!: int & >0" doc:"elements of a query and a key that are made of the small vector; the others are its rotary part"`
	Value int     `cue:"value!: int & >0" doc:"size of a head of values"`
	Scale float64 `cue:"scale: number & >=0 | *0" doc:"factor of the scores; 0 means 1/sqrt(head size)"`
	Cache bool    `cue:"cache: bool | *false" doc:"keep the small vectors and rotary parts between calls, in a run that goes token by token"`
	Whole bool    // make keys and values of what was kept, as of a whole sequence; set where an adapter changes how
}

// latentAttention: query [batch, seq, heads, plain+turned], latent [batch, t, 1,
// rank+turned], weight [heads*(plain+value), rank] -> [batch, seq, heads, value].
//
// Over a whole sequence, keys and values are made of the latents once. A run that
// goes on after what was kept makes none: with W the rows of a head's weight,
//
//	(W_k c)·q = c·(W_kᵀ q)    Σ s (W_v c) = W_v Σ s c
//
// so queries are brought to where latents are, which are keys and values of a
// single group, and results brought back.
//
// Source: arXiv:2405.04434, 2.1.2.
func latentAttention() Def {
	c := func(name string, past bool, at LatentAttentionAttr, batch, seq, keys, heads, turned, rank int) Case {
		in := []ir.Type{ir.T(ir.F32, batch, seq, heads, at.Plain+turned), ir.T(ir.F32, batch, keys, 1, rank+turned), {},
			ir.T(ir.F32, heads*(at.Plain+at.Value), rank)}
		if past {
			in[2] = ir.T(ir.I32, batch)
		}
		return Case{Name: name, In: in, Attr: at, Low: -1, High: 1, Bounds: map[int][2]float64{2: {0, float64(keys - seq)}}, Tol: 1e-5, GradTol: 1e-5}
	}
	at := LatentAttentionAttr{Plain: 5, Value: 3, Scale: 0.3}
	whole := at
	whole.Whole = true
	return Def{Name: "latent_attention", Title: "LatentAttention", Attr: LatentAttentionAttr{}, Cached: []int{1}, Inline: true,
		Doc: "y = causal attention of heads whose keys and values are W c, c the first rank elements of a latent; the others are the rotary part of every head's key.",
		Ports: []Port{{Name: "query", Doc: "[batch, seq, heads, plain+turned]; row i has position past + i"},
			{Name: "latent", Doc: "[batch, t, 1, rank+turned]; row j has position j"}, pastPort()},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			at := attr.(LatentAttentionAttr)
			s, err := latentSizes(at, in)
			return []Param{{Name: "weight", Shape: []ir.Dim{ir.D(s.heads * (at.Plain + at.Value)), ir.D(s.rank)}, Init: "uniform"}}, err
		},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(LatentAttentionAttr)
			if _, err := latentSizes(at, in); err != nil {
				return nil, err
			}
			if in[0].Shape[0] != in[1].Shape[0] {
				return nil, fmt.Errorf("query and latent have %v and %v sequences", in[0].Shape[0], in[1].Shape[0])
			}
			return []ir.Type{in[0].With(in[0].Shape[0], in[0].Shape[1], in[0].Shape[2], ir.D(at.Value))}, wantPast(in[2], in[0].Shape[0])
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(LatentAttentionAttr)
			s, err := latentSizes(at, ir.TypesOf(n.In))
			if err != nil {
				b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: err})
				return []ir.Value{n.In[0]}
			}
			if n.In[2].Valid() && !at.Whole {
				return []ir.Value{s.absorbed(b, at, n.In)}
			}
			return []ir.Value{s.made(b, at, n.In)}
		},
		Cases: []Case{c("", false, at, 2, 7, 7, 3, 2, 4), c("past", true, at, 2, 3, 9, 3, 2, 4), c("one", true, at, 1, 1, 5, 2, 4, 6), c("whole", true, whole, 2, 3, 9, 3, 2, 4)},
	}
}

// latents are the sizes of attention over latents.
type latents struct{ heads, turned, rank int }

func latentSizes(at LatentAttentionAttr, in []ir.Type) (s latents, err error) {
	q, c := in[0], in[1]
	if err := first(wantFloat("query", q), wantKept("latent", c), wantRank("query", q, "[batch, seq, heads, plain+turned]", 4),
		wantRank("latent", c, "[batch, t, 1, rank+turned]", 4), wantKnown("query", q, 2), wantKnown("query", q, 3), wantKnown("latent", c, 3)); err != nil {
		return s, err
	}
	s = latents{heads: q.Shape[2].N, turned: q.Shape[3].N - at.Plain}
	s.rank = c.Shape[3].N - s.turned
	switch {
	case c.Shape[2] != ir.D(1):
		return s, fmt.Errorf("latent is %s; want one group, [batch, t, 1, rank+turned]", ir.ShapeString(c.Shape))
	case at.Plain <= 0 || at.Value <= 0 || at.Scale < 0:
		return s, fmt.Errorf("plain is %d, value %d and scale %v; want more than 0, and a scale of at least 0", at.Plain, at.Value, at.Scale)
	case s.turned <= 0 || s.rank <= 0:
		return s, fmt.Errorf("query has heads of %d and latent has vectors of %d; with plain %d, %d and %d elements are left for the rotary part and the small vector",
			q.Shape[3].N, c.Shape[3].N, at.Plain, s.turned, s.rank)
	}
	return s, nil
}

// attention is that over keys and values.
func (s latents) attention(b *Builder, at LatentAttentionAttr, query, key, value, past ir.Value) ir.Value {
	scale := at.Scale
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(at.Plain+s.turned))
	}
	return b.Apply("attention", AttentionAttr{Causal: true, Scale: scale, Cache: at.Cache}, query, key, value, ir.Value{}, past, ir.Value{}, ir.Value{})[0]
}

// made makes keys and values of all latents.
func (s latents) made(b *Builder, at LatentAttentionAttr, in []ir.Value) ir.Value {
	query, latent, w := in[0], b.Cast(in[1], in[0].Type().DType), in[3]
	shape := latent.Type().Shape
	heads := []ir.Dim{shape[0], shape[1], ir.D(s.heads)}
	small := b.Reshape(b.Slice(latent, -1, 0, s.rank), shape[0], shape[1], ir.D(s.rank))
	turned := b.Broadcast(b.Slice(latent, -1, s.rank, s.rank+s.turned), append(heads[:3:3], ir.D(s.turned))...)
	both := b.Apply("linear", LinearAttr{OutFeatures: s.heads * (at.Plain + at.Value)}, small, w)[0]
	both = b.Reshape(both, append(heads[:3:3], ir.D(at.Plain+at.Value))...)
	key := b.Concat(-1, b.Slice(both, -1, 0, at.Plain), turned)
	return s.attention(b, at, query, key, b.Slice(both, -1, at.Plain, at.Plain+at.Value), in[2])
}

// absorbed brings queries to the latents, and results back.
func (s latents) absorbed(b *Builder, at LatentAttentionAttr, in []ir.Value) ir.Value {
	query, latent := in[0], in[1]
	each := at.Plain + at.Value
	w := b.Reshape(in[3], ir.D(s.heads), ir.D(each), ir.D(s.rank))
	head := b.Iota(ir.I32, 2, query.Type().Shape[:3]...)
	plain := b.Pad(b.Slice(query, -1, 0, at.Plain), make([]int, 4), []int{0, 0, 0, at.Value}, 0)
	moved := b.Apply("expert_linear", ExpertLinearAttr{OutFeatures: s.rank, Experts: s.heads, Transpose: true}, plain, head, w)[0]
	query = b.Concat(-1, moved, b.Slice(query, -1, at.Plain, at.Plain+s.turned))
	y := b.Slice(s.attention(b, at, query, latent, latent, in[2]), -1, 0, s.rank)
	y = b.Apply("expert_linear", ExpertLinearAttr{OutFeatures: each, Experts: s.heads}, y, head, w)[0]
	return b.Slice(y, -1, at.Plain, each)
}
