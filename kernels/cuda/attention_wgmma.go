package cuda

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// Sizes of source/attention_wgmma.h.
const (
	asyncTile    = 128 // rows of a block, and keys of a tile
	asyncThreads = 384
	asyncLeast   = 33 // elements of a head at least: of fewer, half of what is multiplied would be zeros
	asyncMost    = 128
	asyncStatic  = 14 << 10 // bytes of shared memory beside those that are asked for, at most
	asyncKept    = 32 << 20 // bytes of keys and values that a second cache of 50 MB keeps while others pass
)

// asyncWidths are the elements that heads have at most, of which there are kernels.
var asyncWidths = []int{64, 96, asyncMost}

// ofAttention begins the names of trials of attention.
const ofAttention = "attention "

// asyncAttentionParams is AsyncForward of source/attention_wgmma.h.
type asyncAttentionParams struct {
	attentionParams
	late     driver.Pointer
	together uint32
	_        uint32
}

// asyncAttention returns the step of attention by wgmma; nil where it goes by mma. It is for scores that are products
// times a number, and for calls without a past: a run that goes token by token counts one for all of its attention,
// and there a text at once must have the bits of its tokens. So which it is does not depend on the number of rows.
func (b *Backend) asyncAttention(p *attentionParams, d ir.DType) (kernels.Step, error) {
	least, most := min(p.k.width, p.v.width), max(p.k.width, p.v.width)
	if b.device.Capability() != wgmmaCapability || p.q.code != p.k.code || p.past != 0 || p.mask != 0 || p.softcap > 0 || p.alibi > 0 || least < asyncLeast || most > asyncMost {
		return nil, nil
	}
	width := panelOf(int(most), asyncWidths...)
	t := &attentionTrial{trial: trial{b: b, family: d.String()}, dtype: d, width: width}
	good, err := b.tried(fmt.Sprint(ofAttention, d, width), fmt.Sprintf("attention of %v by wgmma (heads of up to %d)", d, width), t)
	if err != nil || !good {
		return nil, err
	}
	return b.attendAsync(&asyncAttentionParams{attentionParams: *p}, d, width, asyncSpread{b.device.Multiprocessors, asyncKept})
}

// asyncSpread is over how many blocks rows are spread at most, and how many bytes of keys and values they read at a time. It changes no bit.
type asyncSpread struct{ blocks, kept int }

// attendAsync returns the step by the kernel for heads of up to width elements.
func (b *Backend) attendAsync(p *asyncAttentionParams, d ir.DType, width int, over asyncSpread) (kernels.Step, error) {
	stage, stages := 128*asyncTile*parts(width, 64), 5
	if width == 64 {
		stages = 8
	}
	room := 1024 + stage*(1+stages) + 8*(2*stages+4)
	if p.late != 0 { // where a device takes descriptors otherwise, it reads what is there
		room = max(room, b.device.Info.SharedMemory-asyncStatic)
	}
	blocks := int(p.batch*p.groups) * parts(int(p.seq*p.share), asyncTile)
	p.together = uint32(max(1, min(int(p.batch*p.groups), over.kept/(2*max(1, int(p.keys))*int(p.k.width+p.v.width)))))
	g := grid{driver.Dim{X: min(blocks, max(1, over.blocks)), Y: 1, Z: 1}, asyncThreads}
	return launchRoom(b, fmt.Sprint("attention_wgmma_", d), fmt.Sprintf("attention_wgmma_%v_%d", d, width), g, room, p)
}

// attentionTrial is attention by which wgmma is tried: a text of some blocks of rows and tiles of keys, not all of them full
// in any direction.
type attentionTrial struct {
	trial
	dtype   ir.DType
	width   int
	q, k, v *buffer
}

const (
	trialText  = 387 // positions of a text
	trialPart  = 130 // of which some are taken alone,
	trialFirst = 69  // from there on, so that they have other places in blocks
)

// head is the elements of a head.
func (t *attentionTrial) head() int { return t.width - 8 }

// run returns what is wrong, if something is: of scores that are whole numbers, weights are powers of 2, and of values that
// are, too, all sums are exact, whatever their order; of others a row has the same bits in any company.
func (t *attentionTrial) run() (why string, err error) {
	r := rand.New(rand.NewPCG(7, 8))
	i, d := 0, t.head()
	few := func() float32 { // of each row 4 of its elements are 1 or -1
		i++
		if i%(d/4) != int(uint(i/d)*7)%(d/4) {
			return 0
		}
		return float32(r.IntN(2)*2 - 1)
	}
	if err = t.fill(few, func() float32 { return float32(r.IntN(3) - 1) }, func() float32 { return float32(r.IntN(17) - 8) }); err != nil {
		return "", err
	}
	for _, causal := range []uint32{1, 0} {
		want, why, err := t.attend(causal, 0, trialText, t.byMMA)
		if why != "" || err != nil {
			return why, err
		}
		got, why, err := t.attend(causal, 0, trialText, t.byWGMMA)
		if why != "" || err != nil {
			return why, err
		}
		if !bytes.Equal(got, want) {
			return "differs from that by mma.sync", nil
		}
	}
	normal := func() float32 { return float32(r.NormFloat64()) }
	if err = t.fill(normal, normal, normal); err != nil {
		return "", err
	}
	all, why, err := t.attend(0, 0, trialText, t.byWGMMA)
	if why != "" || err != nil {
		return why, err
	}
	some, why, err := t.attend(0, trialFirst, trialPart, t.byWGMMA)
	if why == "" && err == nil && !bytes.Equal(some[:2*trialPart*d], all[2*trialFirst*d:][:2*trialPart*d]) {
		why = "has other bits in other company"
	}
	return why, err
}

// fill makes queries, keys and values.
func (t *attentionTrial) fill(q, k, v func() float32) (err error) {
	n := trialText * t.head()
	if t.q, err = t.put(n, q); err != nil {
		return err
	}
	if t.k, err = t.put(n, k); err != nil {
		return err
	}
	t.v, err = t.put(n, v)
	return err
}

// attend returns the results of positions from first on, and the logarithms of their sums.
func (t *attentionTrial) attend(causal uint32, first, n int, bind func(p *asyncAttentionParams) (kernels.Step, error)) ([]byte, string, error) {
	d, code := t.head(), codes[t.dtype]
	operand := func(u *buffer, first int) operand {
		return operand{at: u.at + driver.Pointer(2*first*d), code: code, width: uint32(d), quads: 2}
	}
	p := &asyncAttentionParams{}
	p.attend = attend{q: operand(t.q, first), k: operand(t.k, 0), v: operand(t.v, 0), batch: 1, seq: uint32(n), heads: 1, keys: trialText, groups: 1, share: 1,
		causal: causal, scale: float32(math.Ln2)} // so that a score is the power of 2 that its weight is
	return t.product(n*(2*d+4), func(y, late driver.Pointer) (kernels.Step, error) {
		p.y, p.lse, p.late = y, y+driver.Pointer(2*n*d), late
		return bind(p)
	})
}

func (t *attentionTrial) byMMA(p *asyncAttentionParams) (kernels.Step, error) {
	text := ir.T(t.dtype, 1, trialText, 1, t.head())
	f, ok := t.b.newTensorForm([]ir.Type{text, text, text})
	if !ok {
		return nil, fmt.Errorf("cuda: no room for tiles of attention")
	}
	return t.b.attendTiles(f, &p.attentionParams)
}

func (t *attentionTrial) byWGMMA(p *asyncAttentionParams) (kernels.Step, error) {
	return t.b.attendAsync(p, t.dtype, t.width, asyncSpread{2, asyncKept}) // one of them takes rows twice
}
