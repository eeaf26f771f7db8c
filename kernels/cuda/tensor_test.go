//go:build linux && (amd64 || arm64)

package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/cases"
	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/kernels/cuda/emulator"
)

// probeParams is Probe of source/probe.cu.
type probeParams struct {
	y, x        driver.Pointer
	what, apart uint32
}

// probe runs one form of source/tensor.h: x has 8 words for each of 32 threads, and
// the result 4.
func probe(t *testing.T, b *Backend, what, apart int, x []uint32) []uint32 {
	t.Helper()
	data, err := binary.Append(nil, binary.LittleEndian, x)
	if err != nil {
		t.Fatal(err)
	}
	in, out := put(t, b, ir.U8, "", data, len(data)), put(t, b, ir.U8, "", nil, 512)
	at, err := b.pointers(out, in)
	if err != nil {
		t.Fatal(err)
	}
	p := &probeParams{y: at[0], x: at[1], what: uint32(what), apart: uint32(apart)}
	step, err := launchRoom(b, "probe", "probe", grid{driver.Dim{X: 1, Y: 1, Z: 1}, 32}, 32*apart, p)
	if err == nil {
		err = step(t.Context())
	}
	raw, y := make([]byte, 512), make([]uint32, 128)
	if err == nil {
		err = out.Buffer.Read(0, raw)
	}
	if err == nil {
		_, err = binary.Decode(raw, binary.LittleEndian, y)
	}
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// Products of small matrices lie as source/tensor.h says: of whole numbers, whose
// sums are exact.
func TestMMA(t *testing.T) {
	b, r := open(t), rand.New(rand.NewPCG(1, 2))
	for what, c := range []struct {
		per       int      // elements of a word
		d         ir.DType // of them
		low, high int      // of a
	}{{2, ir.BF16, -9, 9}, {2, ir.F16, -9, 9}, {1, ir.F32, -9, 9}, {4, ir.I8, -128, 127}, {4, ir.I8, 0, 255}} {
		k := 8 * c.per
		left, right := make([]float64, 16*k), make([]float64, 8*k) // rows of a, columns of b
		for i := range left {
			left[i] = float64(c.low + r.IntN(c.high-c.low+1))
		}
		for i := range right {
			right[i] = float64(r.IntN(19) - 9)
		}
		x := make([]uint32, 32*8)
		word := func(d ir.DType, row []float64) uint32 {
			if c.high == 255 {
				d = ir.U8
			}
			data := cases.Encode(d, row)
			return binary.LittleEndian.Uint32(data)
		}
		for l := range 32 {
			g, t := l/4, l%4
			for i := range 4 {
				x[8*l+i] = word(c.d, left[(g+i%2*8)*k+c.per*(t+i/2*4):][:c.per])
			}
			for i := range 2 {
				x[8*l+4+i] = word(c.d, right[g*k+c.per*(t+i*4):][:c.per])
			}
		}
		for i, bits := range probe(t, b, what, 48, x) {
			row, column := i/16+i/2%2*8, i/4%4*2+i%2
			want := float64(i) // what the sum was before
			for j := range k {
				want += left[row*k+j] * right[column*k+j]
			}
			got := float64(math.Float32frombits(bits))
			if c.per == 4 {
				got = float64(int32(bits))
			}
			if got != want {
				t.Fatalf("form %d: row %d, column %d is %v, want %v", what, row, column, got, want)
			}
		}
	}
}

// tf32 has 10 bits of fraction, and is rounded to nearest.
func TestTF32(t *testing.T) {
	b := open(t)
	x := make([]uint32, 32*8)
	x[0] = math.Float32bits(1 + 3.0/2048) // a, row 0, k = 0: between 1 + 2/2048 and 1 + 4/2048
	x[4] = math.Float32bits(1)
	if got := math.Float32frombits(probe(t, b, 2, 48, x)[0]); got != 1+4.0/2048 {
		t.Errorf("%v became %v", 1+3.0/2048, got)
	}
}

// ldmatrix gives each thread a word of a row, or two elements of a column.
func TestLoadMatrices(t *testing.T) {
	b := open(t)
	x := make([]uint32, 32*8)
	for l := range 32 {
		for i := range 4 { // element e of the row that thread l puts down is 100 l + e
			x[8*l+i] = uint32(100*l+2*i) | uint32(100*l+2*i+1)<<16
		}
	}
	for n, count := range []int{1, 2, 4, 1, 2, 4} {
		y := probe(t, b, 5+n, 48, x)
		for l := range 32 {
			for i := range count {
				row := func(r int) int { return (8*i + r) ^ 5 } // who asks for row r of matrix i reads that of another
				want := x[8*row(l/4)+l%4]
				if n >= 3 {
					want = uint32(100*row(l%4*2)+l/4) | uint32(100*row(l%4*2+1)+l/4)<<16
				}
				if got := y[4*l+i]; got != want {
					t.Fatalf("%d matrices, transposed %v: thread %d has %08x of matrix %d, want %08x", count, n >= 3, l, got, i, want)
				}
			}
		}
	}
}

// cp.async brings what it is asked for and zeros after it, at once or when it is
// waited for.
func TestCopies(t *testing.T) {
	library := libcuda(t)
	b, r := open(t), rand.New(rand.NewPCG(3, 4))
	defer emulator.Set(library, "eager=0")
	for eager := range 2 {
		if err := emulator.Set(library, fmt.Sprintf("eager=%d", eager)); err != nil {
			t.Fatal(err)
		}
		x := make([]uint32, 32*8)
		for l := range 32 {
			for i := range 4 {
				x[8*l+i] = r.Uint32()
			}
			x[8*l+4] = uint32(min(l, 16))
		}
		for what := 11; what <= 13; what++ {
			y := probe(t, b, what, 48, x)
			for l := range 32 {
				raw := binary.LittleEndian.AppendUint32(nil, x[8*l])
				for i := range 3 {
					raw = binary.LittleEndian.AppendUint32(raw, x[8*l+1+i])
				}
				clear(raw[min(l, 16):])
				for i := range 4 {
					if want := binary.LittleEndian.Uint32(raw[4*i:]); y[4*l+i] != want {
						t.Fatalf("form %d: word %d of thread %d is %08x, want %08x", what, i, l, y[4*l+i], want)
					}
				}
			}
		}
	}
}

// The emulator counts rows of ldmatrix that share banks: there are none where the
// rows of a matrix are 48 bytes apart, and all of them share where it is 128.
func TestConflicts(t *testing.T) {
	if *device {
		t.Skip("the emulator counts conflicts, and a device does not")
	}
	library := libcuda(t)
	b := open(t)
	for apart, want := range map[int]uint64{48: 0, 128: 4} {
		before, err := emulator.Count(library, "conflicts")
		if err != nil {
			t.Fatal(err)
		}
		probe(t, b, 7, apart, make([]uint32, 32*8))
		after, err := emulator.Count(library, "conflicts")
		if err != nil || after-before != want {
			t.Errorf("four matrices of rows %d bytes apart met %d conflicts, want %d (%v)", apart, after-before, want, err)
		}
	}
}
