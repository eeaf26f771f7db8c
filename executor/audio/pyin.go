package audio

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"
)

// PYin describes how the pitch of a voice is found, where YIN's tones that come and go
// become a line: of all periods that a frame may have, and of none, the likeliest way through all frames is taken.
type PYin struct {
	Low, High  float64 // bounds of the pitch, Hz
	Frame, Hop int     // samples that are looked at, and from one to the next
}

// What is expected of voices, as librosa.pyin has it.
const (
	pyinThresholds = 100   // of what a period may differ, evenly from 0 to 1
	pyinBetaA      = 2     // how likely thresholds are: a beta distribution
	pyinBetaB      = 18    //
	pyinBoltzmann  = 2.0   // how much likelier shorter periods are
	pyinNoTrough   = 0.01  // how likely the best period is one where nothing is below the threshold
	pyinSteps      = 10    // of a semitone
	pyinFastest    = 35.92 // octaves a second that the pitch may change by
	pyinSwitch     = 0.01  // how likely a voice begins or ends from one frame to the next
)

// Pitch is the frequency of each frame's voice, Hz, in tenths of a semitone from Low on; 0 where there is none.
// Frames lie as Yin's. voiced is how likely each frame has one.
//
// Source: Mauch and Dixon, pYIN, 2014; as librosa.pyin.
func (a PYin) Pitch(x []float32, rate int) (hz, voiced []float64, err error) {
	bins := int(math.Floor(12*pyinSteps*math.Log2(a.High/a.Low))) + 1
	width := int(math.RoundToEven(pyinFastest*12*float64(a.Hop)/float64(rate)))*pyinSteps + 1
	if width > bins {
		return nil, nil, fmt.Errorf("pitch from %g to %g Hz may change by more from frame to frame, %d samples of %d a second later: want a smaller hop, or a wider range", a.Low, a.High, a.Hop, rate)
	}
	prior := pyinPrior()
	path := newVoicePath(bins, width)
	yin := Yin{Low: a.Low, High: a.High, Frame: a.Frame, Hop: a.Hop}
	err = yin.frames(x, rate, func(d []float64, least int) {
		seen := make([]float64, bins)
		for at, p := range periodsOf(d, prior) {
			if p == 0 {
				continue
			}
			f := float64(rate) / (float64(least+at) + vertex(d, at))
			if bin := int(max(0, math.RoundToEven(12*pyinSteps*math.Log2(f/a.Low)))); bin < bins {
				seen[bin] = p
			}
		}
		sum := 0.0
		for _, p := range seen {
			sum += p
		}
		voiced = append(voiced, min(sum, 1))
		path.add(seen, (1-min(sum, 1))/float64(bins))
	})
	if err != nil {
		return nil, nil, err
	}
	for _, state := range path.best() {
		v := 0.0
		if state < bins {
			v = a.Low * math.Exp2(float64(state)/(12*pyinSteps))
		}
		hz = append(hz, v)
	}
	return hz, voiced, nil
}

// pyinPrior is how likely each threshold is.
func pyinPrior() []float64 {
	out := make([]float64, pyinThresholds)
	before := 0.0
	for i := range out {
		now := 1.0
		if i+1 < pyinThresholds {
			now = mathext.RegIncBeta(pyinBetaA, pyinBetaB, float64(i+1)/pyinThresholds)
		}
		out[i], before = now-before, now
	}
	return out
}

// periodsOf is how likely each period is, of which d says how much a frame differs from itself then.
func periodsOf(d, prior []float64) []float64 {
	out := make([]float64, len(d))
	var troughs []int
	least := -1
	for i, v := range d {
		if trough(d, i) {
			troughs = append(troughs, i)
			if least < 0 || v < d[least] {
				least = i
			}
		}
	}
	if least < 0 {
		return out
	}
	for k, p := range prior {
		threshold, n := float64(k+1)/pyinThresholds, 0
		for _, i := range troughs {
			if d[i] < threshold {
				n++
			}
		}
		if n == 0 {
			out[least] += pyinNoTrough * p
			continue
		}
		at := 0
		for _, i := range troughs {
			if d[i] < threshold {
				out[i] += p * (1 - math.Exp(-pyinBoltzmann)) * math.Exp(-pyinBoltzmann*float64(at)) / (1 - math.Exp(-pyinBoltzmann*float64(n)))
				at++
			}
		}
	}
	return out
}

// voicePath finds the likeliest way through states: a bin of pitch each, and then the same bins without a voice.
type voicePath struct {
	bins, half int
	stays      [][]float64 // log of the probability to go from a bin to one at most half away, with the voice as it was
	turns      [][]float64 // and with a voice that begins or ends
	value      []float64   // log of the best way to each state
	from       [][]uint16  // by frame: the state before, on the best way to each
}

// never is the log of the least probability there is: nothing is impossible.
var never = math.Log(0x1p-1022)

func newVoicePath(bins, width int) *voicePath {
	p := &voicePath{bins: bins, half: width / 2}
	for i := range bins {
		row, sum := make([]float64, width), 0.0
		for k := range row {
			if j := i + k - p.half; j >= 0 && j < bins {
				row[k] = 1 - math.Abs(float64(k-p.half))/float64(p.half+1)
				sum += row[k]
			}
		}
		stay, turn := make([]float64, width), make([]float64, width)
		for k, v := range row {
			stay[k] = math.Log(v/sum*(1-pyinSwitch) + 0x1p-1022)
			turn[k] = math.Log(v/sum*pyinSwitch + 0x1p-1022)
		}
		p.stays, p.turns = append(p.stays, stay), append(p.turns, turn)
	}
	return p
}

// add goes on by a frame: how likely its pitch is each bin, and each bin without a voice.
func (p *voicePath) add(seen []float64, none float64) {
	now, from := make([]float64, 2*p.bins), make([]uint16, 2*p.bins)
	chance := func(state int) float64 {
		if state < p.bins {
			return math.Log(seen[state] + 0x1p-1022)
		}
		return math.Log(none + 0x1p-1022)
	}
	if p.value == nil {
		for s := range now {
			now[s] = chance(s) + math.Log(1/float64(2*p.bins)+0x1p-1022)
		}
		p.value, p.from = now, append(p.from, from)
		return
	}
	top := 0
	for s, v := range p.value {
		if v > p.value[top] {
			top = s
		}
	}
	for s := range now {
		bin := s % p.bins
		best, at := p.value[top]+never, top // from anywhere
		for _, base := range []int{0, p.bins} {
			moves := p.stays
			if (s < p.bins) != (base == 0) {
				moves = p.turns
			}
			for i := max(0, bin-p.half); i <= min(p.bins-1, bin+p.half); i++ {
				if v := p.value[base+i] + moves[i][bin-i+p.half]; v > best || v == best && base+i < at {
					best, at = v, base+i
				}
			}
		}
		now[s], from[s] = best+chance(s), uint16(at)
	}
	p.value, p.from = now, append(p.from, from)
}

// best is the state of each frame on the likeliest way.
func (p *voicePath) best() []int {
	out := make([]int, len(p.from))
	at := 0
	for s, v := range p.value {
		if v > p.value[at] {
			at = s
		}
	}
	for t := len(out) - 1; t >= 0; t-- {
		out[t] = at
		at = int(p.from[t][at])
	}
	return out
}
