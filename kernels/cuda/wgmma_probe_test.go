//go:build linux && (amd64 || arm64)

package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/kernels/cuda/emulator"
	"pipe.dev/kernels/half"
)

// asyncProbe is ProbeAsync of source/probe_wgmma.cu.
type asyncProbe struct {
	y, x driver.Pointer
	what uint32
}

// probeAsync multiplies operands that lie as an image of shared memory: what threads have of the sums.
func probeAsync(t *testing.T, b *Backend, lies string, what int, image []byte) ([]float64, error) {
	t.Helper()
	x, y := put(t, b, ir.U8, "", image, len(image)), put(t, b, ir.U8, "", nil, 4*128*96)
	at, err := b.pointers(y, x)
	if err != nil {
		t.Fatal(err)
	}
	p := &asyncProbe{at[0], at[1], uint32(what)}
	step, err := launchRoom(b, "probe_wgmma", "probe_wgmma_"+lies, grid{driver.Dim{X: 1, Y: 1, Z: 1}, 128}, 1024+len(image)+8, p)
	if err == nil {
		err = step(t.Context())
	}
	raw, out := make([]byte, 4*128*96), make([]float64, 128*96)
	if err == nil {
		err = y.Buffer.Read(0, raw)
	}
	for i := range out {
		out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	return out, err
}

// lay puts a matrix of 16 places of k by rows where the PTX ISA has it for a 128-byte swizzle: lines of 64
// elements, of which the 16 bytes c of line r are at place c ^ r % 8. A line is a row, with the first
// 16 places of k; or, if it does not lie along k, a place of k, with 64 rows.
func lay(image []byte, rows int, along bool, value func(row, k int) float64) {
	for row := range rows {
		for k := range 16 {
			line, place := row, k
			if !along {
				line, place = row/64*64+k, row%64
			}
			at := line*128 + (place/8^line%8)*16 + place%8*2
			binary.LittleEndian.PutUint16(image[at:], half.F32ToBF16(float32(value(row, k))))
		}
	}
}

// A product by wgmma is that of operands that lie as source/wgmma.h says, and threads have the
// sums that it says: of whole numbers, which are exact.
func TestWGMMA(t *testing.T) {
	b, r := openAs(t, "capability=90"), rand.New(rand.NewPCG(9, 10))
	var x, w [192][16]float64
	for i := range w {
		for k := range 16 {
			x[i][k], w[i][k] = float64(r.IntN(19)-9), float64(r.IntN(19)-9)
		}
	}
	for _, lies := range []string{"kk", "kn", "mn"} {
		image := make([]byte, 4*8192)
		lay(image, 64, lies[0] == 'k', func(row, k int) float64 { return x[row][k] })
		lay(image[8192:], 192, lies[1] == 'k', func(row, k int) float64 { return w[row][k] })
		sums, err := probeAsync(t, b, lies, 0, image)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range sums {
			thread, place := i/96, i%96
			row, column := thread/32*16+thread%32/4+place/2%2*8, place/4*8+thread%4*2+place%2
			want := 0.0
			for k := range 16 {
				want += x[row][k] * w[column][k]
			}
			if got != want {
				t.Fatalf("%s: row %d, column %d is %v, want %v", lies, row, column, got, want)
			}
		}
	}
}

// So is one of an operand in registers, where each warp has 16 rows as mma lays them out.
func TestWGMMAHeld(t *testing.T) {
	b, r := openAs(t, "capability=90"), rand.New(rand.NewPCG(11, 12))
	var x, w [128][16]float64
	for i := range w {
		for k := range 16 {
			x[i][k], w[i][k] = float64(r.IntN(19)-9), float64(r.IntN(19)-9)
		}
	}
	image := make([]byte, 4*8192)
	lay(image[8192:], 128, false, func(row, k int) float64 { return w[row][k] })
	for i := range 128 * 8 {
		thread, word, e := i/8, i/2%4, i%2
		row, k := thread/32*16+thread%32/4+word%2*8, word/2*8+thread%4*2+e
		binary.LittleEndian.PutUint16(image[2*i:], half.F32ToBF16(float32(x[row][k])))
	}
	sums, err := probeAsync(t, b, "held", 0, image)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range sums {
		thread, place := i/96, i%96
		if place >= 64 {
			continue
		}
		row, column := thread/32*16+thread%32/4+place/2%2*8, place/4*8+thread%4*2+place%2
		want := 0.0
		for k := range 16 {
			want += x[row][k] * w[column][k]
		}
		if got != want {
			t.Fatalf("row %d, column %d is %v, want %v", row, column, got, want)
		}
	}
}

// The emulator refuses what is undefined, and says why.
func TestWGMMARefuses(t *testing.T) {
	if *device {
		t.Skip("a device does as it likes")
	}
	path := emulator.Own(t, ".", "capability=90")
	b, err := New(Options{Library: path})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for what, why := range []string{"",
		"wgmma without wgmma.fence since its registers were waited for",
		"wgmma reads what cp.async wrote, and no fence.proxy.async came between",
		"a thread ends, and has wgmma that it never waited for",
		"the warps of a group call different wgmma",
		"a descriptor with a base offset, which the emulator does not know",
		"wgmma reads beyond the shared memory of the launch",
		"a barrier that mbarrier.init did not make",
		"a descriptor whose stride is no multiple of its pattern",
		"registers of an operand of wgmma change before it is waited for",
	} {
		lies, form := "kk", what
		if what == 9 {
			lies, form = "held", 1
		}
		_, err := probeAsync(t, b, lies, form, make([]byte, 4*8192))
		n, failed := emulator.Count(path, why)
		if (err != nil) != (what > 0) || failed != nil || what > 0 && n != 1 {
			t.Errorf("form %d: %v, and %d times %q (%v)", what, err, n, why, failed)
		}
		if err := emulator.Set(path, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// doubts is a computation that goes by wgmma only on a device where that proves itself.
type doubts struct {
	trial, kernel    string // their names
	differs, company string // what is said of sums that are wrong, and of bits that are others in other company
	fault            int    // of the emulator: such bits
}

// try calls compute with devices on which wgmma is right, is not there, or is wrong in some way, and holds what is said of it
// to what should be.
func (d doubts) try(t *testing.T, compute func(t *testing.T, b *Backend, good, told bool)) {
	for name, c := range map[string]struct{ settings, says string }{
		"right":                 {"", ""},
		"another device":        {"capability=100", ""},
		"lies otherwise":        {"wgmma_fault=1", d.differs},
		"never arrives":         {"wgmma_fault=2", "waited for what never came"},
		"a wrong sum":           {"wgmma_fault=3", d.differs},
		"other bits in company": {fmt.Sprint("wgmma_fault=", d.fault), d.company},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := openAs(t, "capability=90,"+c.settings)
			var said strings.Builder
			b.wgmma.warn = &said
			good, told := name == "right", c.says != ""
			compute(t, b, good, told)
			if !told && said.Len() > 0 || !strings.Contains(said.String(), c.says) || strings.Count(said.String(), "\n") > 1 {
				t.Errorf("it said %q, want %q", said.String(), c.says)
			}
			if _, taken := b.functions[d.kernel]; b.wgmma.good[d.trial] != good || good && !taken {
				t.Errorf("wgmma proved itself: %v, want %v", !good, good)
			}
		})
	}
}
