package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
)

// standardOutput is the name of the file that stands for it.
const standardOutput = "-"

// sound is a clip in pieces, which may still be made.
type sound struct {
	samples int64 // of all channels together, or audio.Unknown
	pieces  iter.Seq2[*audio.Clip, error]
}

// soundsOf are the clips of a value: of elements one, with pauses between, in seconds. rate is that of tensors.
func soundsOf(v Value, rate int, pause float64) ([]sound, error) {
	switch v := v.(type) {
	case []*audio.Clip:
		return wholeSounds(v), nil
	case Each:
		return []sound{{samples: audio.Unknown, pieces: func(yield func(*audio.Clip, error) bool) { eachSound(v, rate, pause, yield) }}}, nil
	case Flow:
		sizes := v.Whole.Type.Sizes()
		if rank := len(sizes); (rank == 2 || rank == 3) && sizes[0] == 1 && v.Axis == rank-1 {
			return []sound{{samples: int64(size(sizes)), pieces: flowing(v, rate)}}, nil
		}
		whole, err := v.collect()
		if err != nil {
			return nil, err
		}
		return soundsOf(whole, rate, pause)
	}
	list, err := clipsOf(v, rate)
	return wholeSounds(list), err
}

func wholeSounds(list []*audio.Clip) (out []sound) {
	for _, clip := range list {
		out = append(out, sound{int64(len(clip.Samples)), func(yield func(*audio.Clip, error) bool) { yield(clip, nil) }})
	}
	return out
}

// flowing are the pieces of a tensor of one clip.
func flowing(f Flow, rate int) iter.Seq2[*audio.Clip, error] {
	return func(yield func(*audio.Clip, error) bool) {
		for t, err := range f.Parts {
			var list []*audio.Clip
			if err == nil {
				list, err = clipsOf(t, rate)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(list[0], nil) {
				return
			}
		}
	}
}

// eachSound yields the pieces of one element after the other.
func eachSound(each Each, rate int, pause float64, yield func(*audio.Clip, error) bool) {
	first := true
	for v, err := range each.Values {
		var list []sound
		if err == nil {
			list, err = soundsOf(v, rate, 0)
		}
		if err == nil && len(list) != 1 {
			err = fmt.Errorf("x has %d clips for one element, want 1", len(list))
		}
		if err != nil {
			yield(nil, err)
			return
		}
		gap := !first && pause > 0
		for clip, err := range list[0].pieces {
			if err == nil && gap {
				gap = false
				silence := &audio.Clip{Rate: clip.Rate, Channels: clip.Channels, Samples: make([]float32, int(pause*float64(clip.Rate))*clip.Channels)}
				if !yield(silence, nil) {
					return
				}
			}
			if !yield(clip, err) || err != nil {
				return
			}
		}
		first = false
	}
}

// writes reports whether sound can be written to a file of this name, and takes standard output.
func (c *Call) writes(path string) error {
	if path != standardOutput {
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
			return nil // a pipe or a device
		}
		if err := audio.Writes(path); err != nil {
			return fmt.Errorf("path is %q: %w", path, err)
		}
		return nil
	}
	if c.Out == nil {
		return nil
	}
	to, err := c.Out()
	if err != nil {
		return fmt.Errorf("path is %q: %w", path, err)
	}
	c.kept = to
	return nil
}

// soundWriter writes sounds.
type soundWriter struct {
	call    *Call
	bits    int
	clipped int
	samples int64
}

// stream opens what takes sound while it is made: standard output, a pipe, a device. Of other files it is nil.
func (w *soundWriter) stream(path string) (to io.Writer, done func() error, err error) {
	if path == standardOutput {
		to, ok := w.call.kept.(io.Writer)
		if !ok {
			return nil, func() error { return nil }, fmt.Errorf("path is %q, and there is no standard output here", path)
		}
		return to, func() error { return nil }, nil
	}
	if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() || info.IsDir() {
		return nil, nil, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, func() error { return nil }, checkpoint.FileError(path, err)
	}
	return f, f.Close, nil
}

// pour writes the pieces as they come.
func (w *soundWriter) pour(ctx context.Context, to io.Writer, s sound) error {
	var out *audio.Writer
	for clip, err := range s.pieces {
		if err == nil && out == nil {
			out, err = audio.NewWriter(to, clip.Rate, clip.Channels, w.bits, s.samples)
		}
		if err == nil {
			err = errors.Join(out.Write(clip.Samples), ctx.Err())
		}
		if err != nil {
			return err
		}
		w.clipped, w.samples = out.Clipped, w.samples+int64(len(clip.Samples))
		w.sounded(out.Seconds())
	}
	if out == nil {
		return errors.New("x has no sound")
	}
	return out.Close()
}

// files writes each sound to a file of its own, when all of it is there.
func (w *soundWriter) files(ctx context.Context, path string, list []sound) (Value, error) {
	if err := audio.Writes(path); err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	names := make([]string, len(list))
	for i, s := range list {
		if names[i] = path; len(list) > 1 {
			ext := filepath.Ext(path)
			names[i] = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, ext), i, ext)
		}
		clip, err := s.gather()
		if err == nil {
			w.samples = int64(len(clip.Samples))
			w.clipped, err = audio.Write(names[i], clip, w.bits)
		}
		if err == nil {
			w.sounded(clip.Duration().Seconds())
			w.told(names[i])
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
	}
	return strings.Join(names, "\n"), nil
}

// gather waits for all pieces.
func (s sound) gather() (*audio.Clip, error) {
	var whole *audio.Clip
	for clip, err := range s.pieces {
		switch {
		case err != nil:
			return nil, err
		case whole == nil:
			whole = &audio.Clip{Rate: clip.Rate, Channels: clip.Channels, Samples: clip.Samples}
		default:
			whole.Samples = append(whole.Samples, clip.Samples...)
		}
	}
	if whole == nil {
		return nil, errors.New("x has no sound")
	}
	return whole, nil
}

func (w *soundWriter) sounded(seconds float64) {
	if w.call.Sounded != nil {
		w.call.Sounded(seconds)
	}
}

// told warns of what was cut off.
func (w *soundWriter) told(path string) {
	if w.clipped > 0 && w.call.Warn != nil {
		w.call.Warn(fmt.Errorf("%s: %d of %d samples were beyond -1 and 1, and are cut off", path, w.clipped, w.samples))
	}
}

// clipsOf takes sound out of a tensor.
func clipsOf(v Value, rate int) ([]*audio.Clip, error) {
	x, ok := v.(tensorfile.Tensor)
	if list, many := v.([]tensorfile.Tensor); many && len(list) == 1 {
		x, ok = list[0], true
	}
	if !ok {
		return nil, fmt.Errorf("x is %s, want one tensor: the stage pick takes one of several", KindOf(v))
	}
	sizes := x.Type.Sizes()
	channels := 1
	switch {
	case len(sizes) == 3:
		channels = sizes[1]
	case len(sizes) != 2:
		return nil, fmt.Errorf("x is %v, want [clips, samples] or [clips, channels, samples]", x.Type)
	}
	samples, n := x.Float32s(), sizes[len(sizes)-1]
	var list []*audio.Clip
	for i := range sizes[0] {
		clip := &audio.Clip{Rate: rate, Channels: channels, Samples: make([]float32, channels*n)}
		for ch := range channels {
			for t, s := range samples[(i*channels+ch)*n:][:n] {
				clip.Samples[t*channels+ch] = s
			}
		}
		list = append(list, clip)
	}
	return list, nil
}
