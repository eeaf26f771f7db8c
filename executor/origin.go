package executor

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/executor/data"
	"pipe.dev/executor/image"
	"pipe.dev/executor/model"
	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
)

// Files are the files that were read up to now, or are opened: of models, inputs and stages.
// Each is named once.
func (p *Pipeline) Files() []string {
	list := slices.Clone(p.reads)
	for _, m := range p.models {
		list = append(list, m.Files()...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Sum is the SHA-256 of a file of the run, which is read once.
func (p *Pipeline) Sum(file string) (data.FileSum, error) {
	if s, ok := p.sums[file]; ok {
		return s, nil
	}
	s, err := data.Sum(file)
	if err == nil {
		p.sums[file] = s
	}
	return s, err
}

// origin is the document that makes what a file holds that call c writes, which is a row of so many: where
// rows are samples by seed, the document of that sample alone.
func (p *Pipeline) origin(c *call, row, rows int, file string) (stage.Document, error) {
	d := p.opt.Document
	samples := p.samples(c, row, rows)
	var set []string
	for _, s := range samples {
		if rows > 1 {
			for _, field := range s.Set {
				set = append(set, fmt.Sprintf("nodes.%s.%s", s.stage, field))
			}
		}
	}
	if len(samples) == 1 {
		d.Seed = &samples[0].Seed
	}
	if name, ok := strings.CutPrefix(c.from["path"], "inputs."); ok && len(set) > 0 {
		set = append(set, name+"="+file)
	}
	if len(set) > 0 && p.opt.Amend != nil {
		var err error
		if d.Resolved, d.Hash, err = p.opt.Amend(d.Resolved, set); err != nil {
			return d, err
		}
	}
	for _, name := range p.Files() {
		s, err := p.Sum(name)
		if err != nil {
			return d, err
		}
		d.Files = append(d.Files, s)
	}
	return d, nil
}

// sampleAt is a sample of a stage.
type sampleAt struct {
	stage.Sample
	stage string
}

// samples are what a row of what c reads is made of; nil if it is not made of one sample of each stage
// that begins with noise, by itself.
func (p *Pipeline) samples(c *call, row, rows int) []sampleAt {
	var found []sampleAt
	if !p.follow(c, row, rows, map[*call]bool{c: true}, &found) {
		return nil
	}
	return found
}

// follow goes back from a call to the stages that begin with noise, along rows of the same number.
func (p *Pipeline) follow(c *call, row, rows int, seen map[*call]bool, found *[]sampleAt) bool {
	for _, token := range c.tokens() {
		from := p.calls[token]
		switch {
		case from != nil && !p.sampled(from):
			if rowsOf(p.promised[token]) > 1 { // rows of another kind
				return false
			}
		case from == nil:
			if rowsOf(p.known[token]) > 1 {
				return false
			}
		case seen[from]:
		case from.def.Sample != nil:
			s := from.def.Sample(&from.Call, row)
			if s.Of != rows {
				return false
			}
			seen[from] = true
			*found = append(*found, sampleAt{s, from.ID})
		default:
			seen[from] = true
			if !from.def.Rows || !p.follow(from, row, rows, seen, found) {
				return false
			}
		}
	}
	return true
}

// sampled reports whether a call begins with noise, or reads of one that does.
func (p *Pipeline) sampled(c *call) bool {
	return c.def.Sample != nil || slices.ContainsFunc(c.tokens(), func(token string) bool {
		from := p.calls[token]
		return from != nil && p.sampled(from)
	})
}

// rowsOf is the number of pictures, or of the first axis of tensors; 0 for other values.
func rowsOf(v stage.Value) int {
	n := 0
	switch v := v.(type) {
	case *model.Model:
	case tensorfile.Tensor:
		if v.Type.Rank() > 0 {
			n = v.Type.Sizes()[0]
		}
	case []tensorfile.Tensor:
		for _, t := range v {
			n = max(n, rowsOf(t))
		}
	case []*image.Picture:
		n = len(v)
	}
	return n
}
