package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// specials are the values at which formulas break.
func specials() []float32 {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	x := []float32{0, 1, inf, nan, math.MaxFloat32, math.SmallestNonzeroFloat32, 0x1p-126, 0x1.fffffcp-127, 0.5, 0.85, 2, 3, 4, 10, 20, 40, 88.72283, 88.72284, 89, 103.97, 104, 105, 1e30}
	for _, v := range x[:len(x):len(x)] {
		x = append(x, -v)
	}
	return x
}

// sample is a row of special values and of all magnitudes.
func sample(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	special := specials()
	for i := range x {
		switch r.IntN(4) {
		case 0:
			x[i] = special[r.IntN(len(special))]
		case 1:
			x[i] = math.Float32frombits(r.Uint32())
		default:
			x[i] = float32(r.NormFloat64() * 6)
		}
	}
	return x
}

// lengths have every tail.
func lengths() []int {
	var out []int
	for n := range 150 {
		out = append(out, n)
	}
	return append(out, 1024, 1037)
}

// eachVector runs a test over the vector kernels of this machine.
func eachVector(t *testing.T, f func(t *testing.T, name string, got, want *Vector, r *rand.Rand)) {
	want := Generic().Vector
	for name, kernels := range tiers(t) {
		f(t, name, &kernels.Vector, &want, rand.New(rand.NewPCG(9, 10)))
	}
}

// alike compares bits, but for what a NaN carries.
func alike(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
			t.Fatalf("%s: element %d is %g (%#x), want %g (%#x)", what, i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// Every tier gives the bits of the Go loops at every length, and writes
// nothing beyond the end.
func TestMaps(t *testing.T) {
	eachVector(t, func(t *testing.T, name string, got, want *Vector, r *rand.Rand) {
		for _, c := range exactly {
			f, g := c.pick(got), c.pick(want)
			for _, n := range append(lengths(), 20_000) {
				x := sample(r, n)
				a, b := make([]float32, n+17), make([]float32, n+17)
				f(a[:n], x)
				g(b[:n], x)
				alike(t, fmt.Sprintf("%s %s of %d", name, c.name, n), a, b)
				f(x, x)
				alike(t, fmt.Sprintf("%s %s of %d in place", name, c.name, n), x, b[:n])
			}
		}
	})
}

func TestJoins(t *testing.T) {
	joins := map[string]func(v *Vector) Join{
		"Add": func(v *Vector) Join { return v.Add }, "Sub": func(v *Vector) Join { return v.Sub }, "Mul": func(v *Vector) Join { return v.Mul },
		"Div": func(v *Vector) Join { return v.Div }, "Max": func(v *Vector) Join { return v.Max }, "Min": func(v *Vector) Join { return v.Min },
		"MixS":      func(v *Vector) Join { return func(y, a, b []float32) { v.MixS(y, a, b, 0.3, -1.7) } },
		"Leaky":     func(v *Vector) Join { return v.Leaky },
		"RoundBF16": func(v *Vector) Join { return func(y, a, _ []float32) { v.RoundBF16(y, a) } },
		"RoundF16":  func(v *Vector) Join { return func(y, a, _ []float32) { v.RoundF16(y, a) } },
		"Turn": func(v *Vector) Join {
			return func(y, a, b []float32) { z := make([]float32, len(y)); v.Turn(z, y, a, b, b, a); v.Add(y, y, z) }
		},
		"TurnPairs": func(v *Vector) Join {
			return func(y, a, b []float32) { n := len(y) / 2; v.TurnPairs(b[:n], a[:n], y, a) }
		},
		"ScaleMul":  func(v *Vector) Join { return func(y, a, b []float32) { v.ScaleMul(y, a, b, 0.3) } },
		"Normalize": func(v *Vector) Join { return func(y, a, b []float32) { v.Normalize(y, a, b, a, 0.3, 0.02, 1.7) } },
	}
	numbers := map[string]func(v *Vector) JoinNumber{
		"AddS": func(v *Vector) JoinNumber { return v.AddS }, "SubS": func(v *Vector) JoinNumber { return v.SubS },
		"SSub": func(v *Vector) JoinNumber { return v.SSub }, "MulS": func(v *Vector) JoinNumber { return v.MulS },
		"DivS": func(v *Vector) JoinNumber { return v.DivS }, "SDiv": func(v *Vector) JoinNumber { return v.SDiv },
		"MaxS": func(v *Vector) JoinNumber { return v.MaxS }, "MinS": func(v *Vector) JoinNumber { return v.MinS },
		"LeakyS": func(v *Vector) JoinNumber { return v.LeakyS },
		"Elu":    func(v *Vector) JoinNumber { return v.Elu },
		"Center": func(v *Vector) JoinNumber { return func(y, x []float32, b float32) { v.Center(y, x, b, 0.01, 0.7) } },
		"Fill":   func(v *Vector) JoinNumber { return func(y, _ []float32, b float32) { v.Fill(y, b) } },
	}
	eachVector(t, func(t *testing.T, name string, got, want *Vector, r *rand.Rand) {
		for _, n := range lengths() {
			x, z := sample(r, n), sample(r, n)
			a, b := make([]float32, n+17), make([]float32, n+17)
			for op, pick := range joins {
				pick(got)(a[:n], x, z)
				pick(want)(b[:n], x, z)
				alike(t, fmt.Sprintf("%s %s of %d", name, op, n), a, b)
			}
			for op, pick := range numbers {
				v := sample(r, 1)[0]
				pick(got)(a[:n], x, v)
				pick(want)(b[:n], x, v)
				alike(t, fmt.Sprintf("%s %s of %d with %g", name, op, n, v), a, b)
			}
		}
	})
}

// aligned is memory at a multiple of 64 bytes.
func aligned(n int) []float32 {
	x := make([]float32, n+16)
	for uintptr(unsafe.Pointer(&x[0]))%64 != 0 {
		x = x[1:]
	}
	return x[:n]
}

// What is written past the caches is what is written to them.
func TestStreams(t *testing.T) {
	eachVector(t, func(t *testing.T, name string, got, want *Vector, r *rand.Rand) {
		for _, n := range lengths() {
			x, w := sample(r, n), sample(r, n)
			a, b := aligned(n+17), aligned(n+17)
			check := func(op string, f func(y []float32), g func(y []float32)) {
				f(a[:n])
				got.Stream.Fence()
				g(b[:n])
				alike(t, fmt.Sprintf("%s: %s of %d past the caches", name, op, n), a, b)
			}
			s := &got.Stream
			check("copy", func(y []float32) { s.Copy(y, x) }, func(y []float32) { copy(y, x) })
			check("exp", func(y []float32) { s.Exp(y, x) }, func(y []float32) { want.Exp(y, x) })
			check("silu", func(y []float32) { s.Silu(y, x) }, func(y []float32) { want.Silu(y, x) })
			check("gelu", func(y []float32) { s.Gelu(y, x) }, func(y []float32) { want.Gelu(y, x) })
			check("gelu_tanh", func(y []float32) { s.GeluTanh(y, x) }, func(y []float32) { want.GeluTanh(y, x) })
			check("add", func(y []float32) { s.Add(y, x, w) }, func(y []float32) { want.Add(y, x, w) })
			check("mul", func(y []float32) { s.Mul(y, x, w) }, func(y []float32) { want.Mul(y, x, w) })
			check("muls", func(y []float32) { s.MulS(y, x, 0.3) }, func(y []float32) { want.MulS(y, x, 0.3) })
			check("scalemul", func(y []float32) { s.ScaleMul(y, x, w, 3) }, func(y []float32) { want.ScaleMul(y, x, w, 3) })
			check("normalize", func(y []float32) { s.Normalize(y, x, w, x, 1, 0.1, 3) }, func(y []float32) { want.Normalize(y, x, w, x, 1, 0.1, 3) })
			low := make([]float32, n)
			want.MinS(low, x, 80)
			e, f := make([]float32, n+17), make([]float32, n+17)
			var sum, sum2 float64
			check("sumexp", func(y []float32) { sum = s.SumExp(e[:n], low, 0.7, y, w, 3, w) },
				func(y []float32) { sum2 = want.Stream.SumExp(f[:n], low, 0.7, y, w, 3, nil) })
			alike(t, fmt.Sprintf("%s: exponentials of %d", name, n), e, f)
			sameSum(t, fmt.Sprintf("%s: sum of exponentials of %d", name, n), sum, sum2)
			x2 := sample(r, n)
			check("squares", func(y []float32) { sum = s.Squares(x2, y, x, w, 3) }, func(y []float32) { sum2 = want.Stream.Squares(x2, y, x, w, 3) })
			sameSum(t, fmt.Sprintf("%s: sum of squares of %d", name, n), sum, sum2)
			var squares, squares2 float64
			check("moments", func(y []float32) { sum, squares = s.Moments(x2, 0.3, y, x, w, x, 1, 0.1, 3) },
				func(y []float32) { sum2, squares2 = want.Stream.Moments(x2, 0.3, y, x, w, x, 1, 0.1, 3) })
			sameSum(t, fmt.Sprintf("%s: moment of %d", name, n), sum, sum2)
			sameSum(t, fmt.Sprintf("%s: second moment of %d", name, n), squares, squares2)
			check("centred moments", func(y []float32) { sum, squares = s.MomentsCenter(x2, 0.3, y, x, 1, 0.1, 3) },
				func(y []float32) { sum2, squares2 = want.Stream.MomentsCenter(x2, 0.3, y, x, 1, 0.1, 3) })
			sameSum(t, fmt.Sprintf("%s: moment of %d, centred", name, n), sum, sum2)
			sameSum(t, fmt.Sprintf("%s: second moment of %d, centred", name, n), squares, squares2)
			check("center", func(y []float32) { s.Center(y, x, 1, 0.1, 3) }, func(y []float32) { want.Center(y, x, 1, 0.1, 3) })
		}
	})
}

// Rotations have the same bits in every tier, for angles of any quarter.
func TestRotations(t *testing.T) {
	eachVector(t, func(t *testing.T, name string, got, want *Vector, r *rand.Rand) {
		for n := 0; n <= 96; n += 16 {
			freq := make([]float64, n)
			for i := range freq {
				freq[i] = math.Pow(10, 1-6*r.Float64())
			}
			for _, position := range []float64{0, 1, 2, 77, 4095, 131071} {
				var c, s [2][]float32
				for k, v := range []*Vector{got, want} {
					c[k], s[k] = make([]float32, n+17), make([]float32, n+17)
					v.Rotations(c[k][:n], s[k][:n], freq, position, 1.25)
				}
				alike(t, fmt.Sprintf("%s: cosines of %d", name, n), c[0], c[1])
				alike(t, fmt.Sprintf("%s: sines of %d", name, n), s[0], s[1])
				for i, f := range freq {
					if x := 1.25 * math.Cos(position*f); off(c[0][i], x) > 0.5001 {
						t.Errorf("%s: cosine of %g is %g, want %g", name, position*f, c[0][i], x/1.25)
					}
				}
			}
		}
	})
}

// sameSum compares bits, but for what a NaN carries.
func sameSum(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Float64bits(got) != math.Float64bits(want) && (got == got || want == want) {
		t.Fatalf("%s is %g, want %g", what, got, want)
	}
}

func TestFolds(t *testing.T) {
	eachVector(t, func(t *testing.T, name string, got, want *Vector, r *rand.Rand) {
		for _, n := range lengths() {
			for kind, x := range map[string][]float32{"normal": random(r, n), "any": sample(r, n), "zero": make([]float32, n)} {
				what := fmt.Sprintf("%s: %d %s numbers: ", name, n, kind)
				sameSum(t, what+"sum", got.Sum(x), want.Sum(x))
				sameSum(t, what+"squares of x", got.Squares(x), want.Squares(x))
				first, second := got.Moments(x, 0.3)
				first2, second2 := want.Moments(x, 0.3)
				sameSum(t, what+"first moment", first, first2)
				sameSum(t, what+"second moment", second, second2)
				if kind != "any" {
					alike(t, what+"highest", []float32{got.Highest(x)}, []float32{want.Highest(x)})
				}
				sameSum(t, what+"squares", got.SumSquares(x, 0.3), want.SumSquares(x, 0.3))
				a, b := make([]float32, n+17), make([]float32, n+17)
				low := make([]float32, n) // up to 80
				want.MinS(low, x, 80)
				sameSum(t, what+"exponentials", got.SumExp(a[:n], low, 0.7), want.SumExp(b[:n], low, 0.7))
				alike(t, what+"exponentials", a, b)
				alike(t, what+"greatest", []float32{got.Greatest(x)}, []float32{want.Greatest(x)})
				alike(t, what+"least", []float32{got.Least(x)}, []float32{want.Least(x)})
				acc, mean := make([]float64, n+9), make([]float64, n)
				for i := range mean {
					acc[i], mean[i] = r.NormFloat64(), r.NormFloat64()
				}
				same := append([]float64(nil), acc...)
				got.SumInto(acc[:n], x)
				got.SquaresInto(acc[:n], mean, x)
				want.SumInto(same[:n], x)
				want.SquaresInto(same[:n], mean, x)
				for i := range same {
					sameSum(t, fmt.Sprintf("%scolumn %d", what, i), acc[i], same[i])
				}
			}
		}
	})
}

// The conversions are those of package half, for every value of 16 bits and a
// dense sample of float32.
func TestConversions(t *testing.T) {
	narrow := make([]uint16, 1<<16)
	for i := range narrow {
		narrow[i] = uint16(i)
	}
	var wide []float32
	for bits := uint64(0); bits < 1<<32; bits += 9973 {
		wide = append(wide, math.Float32frombits(uint32(bits)))
	}
	eachVector(t, func(t *testing.T, name string, got, want *Vector, r *rand.Rand) {
		for _, f := range []struct{ got, want func(y []float32, x []uint16) }{{got.WidenBF16, want.WidenBF16}, {got.WidenF16, want.WidenF16}} {
			for _, n := range append(lengths(), len(narrow)) {
				a, b := make([]float32, n+17), make([]float32, n+17)
				f.got(a[:n], narrow[len(narrow)-n:])
				f.want(b[:n], narrow[len(narrow)-n:])
				alike(t, fmt.Sprintf("%s: widen %d", name, n), a, b)
			}
		}
		for i, f := range []struct{ got, want func(y []uint16, x []float32) }{{got.NarrowBF16, want.NarrowBF16}, {got.NarrowF16, want.NarrowF16}} {
			for _, n := range append(lengths(), len(wide)) {
				x := wide[len(wide)-n:]
				if n < len(wide) {
					x = sample(r, n)
				}
				a, b := make([]uint16, n+17), make([]uint16, n+17)
				f.got(a[:n], x)
				f.want(b[:n], x)
				for j := range b {
					if a[j] != b[j] {
						t.Fatalf("%s: narrow %d of %d to format %d: element %d is %#x, want %#x", name, n, len(x), i, j, a[j], b[j])
					}
				}
			}
		}
	})
}

// Weights, sums and what they are relative to are those of the Go loop, from
// whatever came before, for rows that see different keys; no row touches others.
func TestWeigh(t *testing.T) {
	inf := float32(math.Inf(-1))
	eachVector(t, func(t *testing.T, name string, got, want *Vector, r *rand.Rand) {
		for m := 1; m <= 6; m++ {
			for _, n := range lengths() {
				ld := n + 5
				x, seen := random(r, m*ld), make([][2]int, m)
				for i := range x {
					switch r.IntN(8) {
					case 0:
						x[i] = []float32{inf, -1e30, 88, -100, 0}[r.IntN(5)]
					case 1:
						x[i] *= 40
					}
				}
				before, totals := make([]float32, m+16), make([]float64, m)
				for i := range m {
					before[i], totals[i] = []float32{-1e29, 1, 1000}[r.IntN(3)], 1.25
					seen[i][1] = n - r.IntN(min(n, 3)+1)
					seen[i][0] = r.IntN(seen[i][1]/2 + 1)
				}
				what := fmt.Sprintf("%s: %d rows of %d scores: ", name, m, n)
				weigh := func(v *Vector, x []float32) (shrink, greatest []float32, sums []float64) {
					shrink, greatest, sums = make([]float32, 16), slices.Clone(before), slices.Clone(totals)
					v.Weigh(m, &x[0], ld, &seen[0], &greatest[0], &sums[0], &shrink[0])
					return shrink[:m], greatest, sums
				}
				p, q := slices.Clone(x), slices.Clone(x)
				shrink, greatest, sums := weigh(got, p)
				wantShrink, wantGreatest, wantSums := weigh(want, q)
				alike(t, what+"weights", p, q)
				alike(t, what+"greatest", greatest, wantGreatest)
				alike(t, what+"shrink", shrink, wantShrink)
				for i := range sums {
					sameSum(t, what+"sum", sums[i], wantSums[i])
				}
				if s := seen[m-1]; s[0] < s[1] {
					x[(m-1)*ld+s[0]] = float32(math.NaN())
					if _, _, sums := weigh(got, x); sums[m-1] == sums[m-1] {
						t.Fatalf("%ssum is %g with a NaN among the scores", what, sums[m-1])
					}
				}
			}
		}
	})
}

func TestWidenQ8(t *testing.T) {
	eachVector(t, func(t *testing.T, name string, got, want *Vector, r *rand.Rand) {
		for blocks := range 5 {
			x := make([]byte, 34*blocks)
			for i := range x {
				x[i] = byte(r.Uint32())
			}
			a, b := make([]float32, 32*blocks+16), make([]float32, 32*blocks+16)
			got.WidenQ8(a[:32*blocks], x)
			want.WidenQ8(b[:32*blocks], x)
			alike(t, fmt.Sprintf("%s: %d blocks", name, blocks), a, b)
		}
	})
}
