package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/image"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
)

// The sizes of previews: what is larger is averaged before it is decoded, or shrunk.
const (
	previewLatents = 32  // on the longer side
	previewPixels  = 256 // of samples that are pictures themselves
)

// preview writes small pictures of what a walk is about to make.
type preview struct {
	every   int // calls of the model
	file    string
	decoder *model.Model // nil where samples are pictures
	plan    *plan.Plan   // of one sample
	shape   []int        // of one sample, as it is decoded
	divide  int          // values of samples on a side that become one
}

// preparePreview makes the plan of one picture of a preview.
func (w *walk) preparePreview(c *Call) error {
	a := w.attr
	if a.Preview == 0 {
		return nil
	}
	if err := image.Writes(a.PreviewTo); err != nil {
		return fmt.Errorf("preview_to is %q: %w", a.PreviewTo, err)
	}
	if len(w.shape) != 4 {
		return fmt.Errorf("preview: samples are %v; previews are of [channels, rows, columns]", w.shape[1:])
	}
	p := &preview{every: a.Preview * w.sampler.Order(), file: a.PreviewTo, decoder: c.Model("decoder"), shape: append([]int{1}, w.shape[1:]...), divide: 1}
	w.preview = p
	if p.decoder == nil {
		if n := w.shape[1]; n > 4 {
			return fmt.Errorf("preview: samples have %d channels, which are no picture's: decoder is missing, an autoencoder that makes pictures of them", n)
		}
		return nil
	}
	p.divide = (max(p.shape[2], p.shape[3]) + previewLatents - 1) / previewLatents
	p.shape[2], p.shape[3] = (p.shape[2]+p.divide-1)/p.divide, (p.shape[3]+p.divide-1)/p.divide
	wants, err := p.decoder.Inputs()
	if err != nil {
		return err
	}
	sizes, err := sizesOf(wants, map[string]tensorfile.Tensor{decoderInput: {Name: decoderInput, Type: ir.T(ir.F32, p.shape...)}})
	if err != nil {
		return fmt.Errorf("preview: decoder: %w", err)
	}
	p.plan, err = p.decoder.Call(sizes, []string{decoderOutput}, nil, decoderInput)
	return err
}

// What autoencoders read and give.
const decoderInput, decoderOutput = "latents_in", "image"

// ownBytes is what a preview of samples holds while it is made: what is wanted, what the decoder reads and gives,
// and the pictures, alone and in rows.
func (p *preview) ownBytes(shape []int) int64 {
	if p == nil {
		return 0
	}
	bytes := 4 * int64(size(shape)+size(p.shape))
	pixels := int64(min(previewPixels, p.shape[2]) * min(previewPixels, p.shape[3]) * p.shape[1])
	if p.decoder != nil {
		out := p.decoder.Results(p.plan)[0].Type
		bytes += 2 * out.Bytes() // as they are copied
		pixels = out.Bytes() / 4
	}
	return bytes + 2*pixels*int64(shape[0])
}

// shows reports whether the preview is written after a step.
func (p *preview) shows(made, of int) bool { return p != nil && made%p.every == 0 && made < of }

// show writes a preview of samples: of step i, x, of which the model made out.
func (w *walk) show(ctx context.Context, i int, x, out []float32) error {
	p := w.preview
	wanted := make([]float32, len(x))
	w.sampler.Original(i, wanted, x, out)
	var list []*image.Picture
	n := len(x) / w.shape[0]
	for row := range w.shape[0] {
		one, err := p.picture(ctx, wanted[row*n:(row+1)*n], w.shape[1:])
		if err != nil {
			return err
		}
		list = append(list, one)
	}
	sheet, err := image.Grid(list, int(math.Ceil(math.Sqrt(float64(len(list))))), 0)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.file), 0o777); err != nil {
		return checkpoint.FileError(p.file, err)
	}
	return checkpoint.Replace(p.file, func(to io.Writer) error { return image.Write(&interruptible{ctx, to}, p.file, sheet, 90) })
}

// picture is that of one sample [channels, rows, columns].
func (p *preview) picture(ctx context.Context, x []float32, shape []int) (*image.Picture, error) {
	t := tensorfile.FromFloat32s(decoderInput, averaged(x, shape, p.divide), p.shape...)
	if p.decoder != nil {
		outs, err := p.decoder.Run(ctx, p.plan, map[string]tensorfile.Tensor{decoderInput: t})
		if err != nil {
			return nil, err
		}
		t = outs[0]
	}
	size := t.Type.Sizes()
	if len(size) != 4 {
		return nil, errors.New("preview: the decoder gives " + t.Type.String() + ", which is no picture")
	}
	list, err := image.FromTensor(planes(t), [4]int(size), image.Normal{Mean: []float64{0.5}, Std: []float64{0.5}}, 8)
	if err != nil {
		return nil, err
	}
	if long := max(size[2], size[3]); p.decoder == nil && long > previewPixels {
		return list[0].Resize(max(1, size[3]*previewPixels/long), max(1, size[2]*previewPixels/long), "box")
	}
	return list[0], nil
}

// averaged is x [channels, rows, columns] with the mean of n by n values for each; fewer at the end.
func averaged(x []float32, shape []int, n int) []float32 {
	if n == 1 {
		return x
	}
	rows, columns := shape[1], shape[2]
	var out []float32
	for c := range shape[0] {
		for top := 0; top < rows; top += n {
			for left := 0; left < columns; left += n {
				sum, count := 0.0, 0.0
				for y := top; y < min(top+n, rows); y++ {
					for _, v := range x[(c*rows+y)*columns:][left:min(left+n, columns)] {
						sum, count = sum+float64(v), count+1
					}
				}
				out = append(out, float32(sum/count))
			}
		}
	}
	return out
}

// noteOf says what previews cost.
func noteOf(c *Call) string {
	w, ok := c.kept.(*walk)
	if !ok || w.preview == nil {
		return ""
	}
	p, calls := w.preview, len(w.sampler.Timesteps())-w.first
	shown := (calls - 1) / p.every
	text := fmt.Sprintf("a preview after every %d of %d steps, in %s", w.attr.Preview, calls/w.sampler.Order(), p.file)
	if p.decoder == nil {
		return text + ": it costs next to nothing"
	}
	step := float64(w.calls.plan.FLOPs()) * float64(w.calls.total) / float64(w.calls.rows)
	made := shown * w.shape[0]
	return fmt.Sprintf("%s: %d calls of %s, %.0f%% more computing than the steps alone", text, made, p.decoder.Name(),
		100*float64(made)*float64(p.plan.FLOPs())/(float64(calls)*step))
}
