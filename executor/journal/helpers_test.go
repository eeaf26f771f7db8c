package journal

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"pipe.dev/executor/checkpoint"
	"strings"
	"testing"
	"time"
)

const testHash = "9f86d081884c7d659a2feaa0c55ad015"

// clock is a time that moves on by a second each time it is asked for.
func clock() func() time.Time {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

// trainingRow is the row of a step of a training that looks like one. It
// depends on the step alone.
func trainingRow(step, steps int64) Row {
	rng := rand.New(rand.NewPCG(uint64(step), 7))
	at := float64(step) / float64(steps)
	loss := 1.45 + 2.75*math.Exp(-9*at) + 0.06*rng.NormFloat64()
	lr := 1e-3 * min(1, float64(step+1)/(0.05*float64(steps))) * (0.55 + 0.45*math.Cos(math.Pi*at))
	r := Row{Step: step, Values: map[string]float64{
		Loss: float64(float32(loss)), LearningRate: lr,
		GradNorm:        float64(float32((0.6 + 2*math.Exp(-20*at)) * math.Exp(0.25*rng.NormFloat64()))),
		Tokens:          float64(step * 768),
		TokensPerSecond: math.Round(41000 + 1500*rng.NormFloat64()),
		Memory:          36_412_160,
	}, Norms: map[string]float64{}}
	for l := range 12 {
		r.Norms[fmt.Sprintf("model.layers.%d", l)] = math.Exp(-0.25*float64(l)+0.3*rng.NormFloat64()) * (0.1 + math.Exp(-6*at))
	}
	r.Norms["model.embed_tokens"] = 0.02 * math.Exp(0.3*rng.NormFloat64())
	if step%max(1, steps/20) == 0 {
		r.Values[EvalLoss] = float64(float32(1.52 + 2.7*math.Exp(-9*at)))
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// isOneLine proves that err is a *checkpoint.Error of one line with text in it.
func isOneLine(t *testing.T, err error, text string) {
	t.Helper()
	var e *checkpoint.Error
	switch {
	case !errors.As(err, &e):
		t.Fatalf("%T %v is no *checkpoint.Error", err, err)
	case strings.ContainsAny(err.Error(), "\n\r"):
		t.Fatalf("%q has several lines", err.Error())
	case !strings.Contains(err.Error(), text):
		t.Fatalf("%q does not say %q", err.Error(), text)
	}
}
