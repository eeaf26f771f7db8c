package data

import (
	"bufio"
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/audio"
	"pipe.dev/executor/augment"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/image"
)

// Sounds is the format of sound with what belongs to it.
const Sounds = "audio"

// The columns of rows of sound, besides those that files of metadata and names have.
const (
	soundColumn   = "audio"   // the clip
	samplesColumn = "samples" // how many numbers of a row are of the clip; silence follows
)

// SoundsAttr says how sound becomes numbers.
type SoundsAttr struct {
	Rate       int    `cue:"rate!: int & >0" doc:"samples a second, Hz; sound of other rates is resampled"`
	Cut        string `cue:"cut: \"begin\" | \"middle\" | *\"random\"" doc:"what is kept of a clip that is longer than the input; evaluations keep the middle instead of what is random. A shorter one is followed by silence"`
	Lengths    []int  `cue:"lengths: [...int & >0] | *[]" doc:"where the input names its size: sizes that it may have, ascending. A clip has the least into which it fits, and a batch clips of one size"`
	MaxSamples int    `cue:"max_samples: int & >0 | *268435456" doc:"a longer file, of all channels together, is an error"`
}

// SoundInput is how an input of the model is made of sound.
type SoundInput struct {
	SoundsAttr
	Train, Eval augment.Chain
}

func (in *SoundInput) chain(evaluate bool) augment.Chain {
	if evaluate {
		return in.Eval
	}
	return in.Train
}

// probeSound finds the length of a clip at the rate of the input, and gives its first bytes and the size of the file.
func (p *picture) probeSound(a *SoundsAttr) (head []byte, size int64, err error) {
	f, r, err := p.open()
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	head = make([]byte, min(r.Size(), 1<<12))
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, 0, err
	}
	i, err := audio.Probe(bufio.NewReaderSize(r, 1<<16), r.Size(), audio.Options{Samples: a.MaxSamples})
	if err != nil {
		return nil, 0, err
	}
	p.width, p.height = int((int64(i.Len)*int64(a.Rate)+int64(i.Rate)-1)/int64(i.Rate)), 1
	return head, r.Size(), nil
}

// clip reads a clip: one channel, at the rate of the input.
func (p *picture) clip(a *SoundsAttr) (*audio.Clip, error) {
	f, r, err := p.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := audio.Decode(bufio.NewReaderSize(r, 1<<16), r.Size(), audio.Options{Samples: a.MaxSamples})
	if err != nil {
		return nil, err
	}
	return c.Mono().Resample(a.Rate)
}

// sound writes a clip as the model hears it, and says how many numbers are of the clip.
//
//	to [samples] of f32
func (f *Field) sound(to []byte, p *picture, d lot) (int, error) {
	in := f.Sound
	c, err := p.clip(&in.SoundsAttr)
	if err == nil {
		err = in.chain(d.evaluate).Apply(c, d.seed, d.item)
	}
	if err != nil {
		return 0, checkpoint.FileError(p.name(), err)
	}
	x, n := c.Samples, len(to)/4
	if more := len(x) - n; more > 0 {
		from := 0
		switch {
		case in.Cut == "begin":
		case in.Cut == "random" && !d.evaluate:
			from = image.NewDice(d.seed, "cut", d.item).Int(more + 1)
		default:
			from = more / 2
		}
		x = x[from : from+n]
	}
	clear(to)
	put(to, x)
	return len(x), nil
}

// checkSound holds what is said of sound against the input.
func (f *Field) checkSound() error {
	in := f.Sound
	if len(f.Shape) != 1 || f.DType != ir.F32 {
		return fmt.Errorf("is no input of f32 [batch, samples]")
	}
	if i := in.Eval.Random(); i >= 0 {
		return fmt.Errorf("eval.%d is %s, which is random; evaluations want the same sound every time", i, in.Eval[i].Name)
	}
	named := f.Shape[0] == 0
	switch {
	case named && len(in.Lengths) == 0:
		return fmt.Errorf("have no certain length, and the input names it: give lengths")
	case !named && len(in.Lengths) > 0:
		return fmt.Errorf("have lengths, and the input always has %d samples; name its size, as shape: [\"batch\", \"samples\"]", f.Shape[0])
	case !slices.IsSorted(in.Lengths):
		return fmt.Errorf("have the lengths %v; want them ascending", in.Lengths)
	}
	if !named {
		return nil
	}
	d, err := ir.ParseDim(f.Names[0])
	if err != nil {
		return err
	}
	for _, n := range in.Lengths {
		if n%d.N != 0 {
			return fmt.Errorf("have the length %d, and the input wants multiples of %d", n, d.N)
		}
	}
	f.Shape[0] = in.Lengths[len(in.Lengths)-1]
	f.Width = f.Shape[0]
	return nil
}

// sizes are the lengths as those of pictures one pixel high.
func (a *SoundsAttr) sizes() (out [][2]int) {
	for _, n := range a.Lengths {
		out = append(out, [2]int{n, 1})
	}
	return out
}

// bucketFor is the bucket of a clip of n samples: the least into which it fits, or the last.
func (a *SoundsAttr) bucketFor(n int) int {
	i, _ := slices.BinarySearch(a.Lengths, n)
	return max(0, min(i, len(a.Lengths)-1))
}

// putNumber writes a number as the input has it.
func (f *Field) putNumber(to []byte, n int) {
	if f.DType == ir.I32 {
		putInts(to, []int32{int32(n)})
	} else {
		put(to, []float32{float32(n)})
	}
}
