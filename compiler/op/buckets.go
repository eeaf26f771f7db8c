package op

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
)

// DistanceBucketsAttr describes classes of distances between positions.
type DistanceBucketsAttr struct {
	Distances int  `cue:"distances!: int & >0 & <=65536" doc:"the greatest distance that is told from greater ones"`
	Buckets   int  `cue:"buckets!: int & >=2" doc:"how many classes there are"`
	Both      bool `cue:"both: bool | *false" doc:"half of the classes are for keys after a row; else these share class 0"`
}

// distanceBuckets: -> i32 [2*distances+1], from keys that many before a row to
// keys that many after it. Of the classes of a side, the first half are single
// distances from 0 on; the others grow by a factor up to the greatest distance.
//
// Source: arXiv:1910.10683, section 2.1; in float32, as its published code has it.
func distanceBuckets() Def {
	return Def{Name: "distance_buckets", Title: "DistanceBuckets", NoGrad: true, Cost: free, Attr: DistanceBucketsAttr{},
		Doc: "y = classes of the distances of keys from a row, from distances before it to distances after it: near ones alone, far ones by their logarithm.",
		Infer: func(_ []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(DistanceBucketsAttr)
			if side := at.side(); at.Distances <= side/2 || side < 2 {
				return nil, fmt.Errorf("%d classes for distances up to %d: want at least 2 on a side, and more distances than half of these", at.Buckets, at.Distances)
			}
			return []ir.Type{ir.T(ir.I32, 2*at.Distances+1)}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(DistanceBucketsAttr)
			var places []int
			for far := -at.Distances; far <= at.Distances; far++ {
				places = append(places, at.bucket(far))
			}
			return []ir.Value{b.indices(places)}
		},
		Cases: []Case{
			{Attr: DistanceBucketsAttr{Distances: 128, Buckets: 32}},
			{Name: "both ways", Attr: DistanceBucketsAttr{Distances: 128, Buckets: 32, Both: true}},
			{Name: "few", Attr: DistanceBucketsAttr{Distances: 5, Buckets: 8, Both: true}},
		},
	}
}

// side is the number of classes of one direction.
func (at DistanceBucketsAttr) side() int {
	if at.Both {
		return at.Buckets / 2
	}
	return at.Buckets
}

// bucket is the class of a key that is far positions after a row.
func (at DistanceBucketsAttr) bucket(far int) int {
	side, first, n := at.side(), 0, -far
	if at.Both && far > 0 {
		first, n = side, far
	}
	n = max(n, 0)
	single := side / 2
	if n < single {
		return first + n
	}
	grown := float32(math.Log(float64(float32(n)/float32(single)))) / float32(math.Log(float64(at.Distances)/float64(single))) * float32(side-single)
	return first + min(single+int(grown), side-1)
}
