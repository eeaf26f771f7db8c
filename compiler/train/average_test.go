package train_test

import (
	"math"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
)

// averages returns the average after each step of weights w [steps, ...].
func averages(t *testing.T, a train.Average, steps int, w []float64) (out []float64) {
	t.Helper()
	n := len(w) / steps
	b := op.NewBuilder(newOps(t))
	avg, x := b.Graph.AddInput("avg", ir.T(ir.F32, n), ir.Pos{}), b.Graph.AddInput("w", ir.T(ir.F32, n), ir.Pos{})
	next := a.Next(b, avg, x, b.Graph.AddInput("step", ir.T(ir.F32), ir.Pos{}))
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	now := make([]float64, n)
	for i := range steps {
		got, err := op.Values(b.Table, b.Graph, map[string][]float64{"avg": now, "w": w[i*n : (i+1)*n], "step": {float64(i + 1)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		now = got[next]
		out = append(out, now...)
	}
	return out
}

// TestAverage holds the average after each of 20 steps against that of
// torch.optim.swa_utils.
func TestAverage(t *testing.T) {
	f := readFixture(t, golden+"/average.safetensors")
	got := averages(t, train.Average{Decay: 0.95}, 20, f.values["w"])
	near(t, "average", got, f.values["avg"], 1e-12)
}

// TestAverageWarmup checks that a warm-up begins near the newest weights: with
// decays of 2/11, 3/12, ... as long as they are below the average's own.
func TestAverageWarmup(t *testing.T) {
	w := []float64{3, 1, 4, 1, 5, 9, 2, 6}
	got := averages(t, train.Average{Decay: 0.4, Warmup: true}, len(w), w)
	want := w[0]
	for i, x := range w {
		if i > 0 {
			d := math.Min(0.4, float64(1+i)/float64(10+i))
			want = d*want + (1-d)*x
		}
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("step %d: %v, want %v", i+1, got[i], want)
		}
	}
}
