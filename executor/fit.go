package executor

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/executor/model"
)

// Choice is what was chosen so that a run fits into memory.
type Choice struct {
	What string // "models one at a time"
	Cost string // what it costs
	Set  string // what it changes in the document, as --set has it, because results differ; or ""

	about string // a later choice about the same replaces it
}

// Chosen is what Fit chose, in order.
func (p *Pipeline) Chosen() []Choice { return p.chosen }

// Choose adds choices that were made before, in the document itself.
func (p *Pipeline) Choose(list []Choice) {
	for _, c := range list {
		p.choose(c)
	}
}

// Settings are what was chosen and is to stand in the document, as --set has it.
func (p *Pipeline) Settings() []string {
	var list []string
	for _, c := range p.chosen {
		if c.Set != "" {
			list = append(list, c.Set)
		}
	}
	return list
}

// tileSizes are those that Fit tries, where the document allows tiles.
var tileSizes = [...]int{128, 96, 64, 48, 32, 24, 16}

// Fit makes the run hold at most limit bytes, and chooses what costs least: all models are read at the beginning,
// so that what is wrong in one is told at once; or each when it is needed; then batches are computed
// in parts; then, where the document allows it, the first layers of models on the host; then pictures in tiles. It
// returns a *model.FitError if nothing of that is enough. limit is of the device's memory.
func (p *Pipeline) Fit(limit int64) error {
	if err := p.fitDevice(limit); err != nil {
		return err
	}
	top := mostBy(p.moments(), Moment.HostBytes)
	if need := top.HostBytes(); p.opt.HostMemory > 0 && need > p.opt.HostMemory {
		return &model.FitError{Name: top.Name(), Weights: top.Front, Values: top.Values + top.Own, Need: need, Limit: p.opt.HostMemory, Host: true,
			Advice: "fewer layers that stay on the host (offload), or a smaller batch, would need less"}
	}
	return nil
}

func (p *Pipeline) fitDevice(limit int64) error {
	for _, m := range p.weighted() { // what kernels take for themselves can't be used
		beyond, err := m.Rehearse()
		if err != nil {
			return err
		}
		limit -= beyond
	}
	before := p.PeakBytes()
	if before <= limit {
		return nil
	}
	p.oneByOne()
	for p.PeakBytes() > limit {
		ok, err := p.less(limit)
		if err != nil {
			return err
		}
		if !ok {
			return p.tooLarge(limit)
		}
	}
	return nil
}

// oneByOne has models be read when they are needed, if that makes a difference.
func (p *Pipeline) oneByOne() {
	before := p.PeakBytes()
	p.single = true
	if after := p.PeakBytes(); after < before {
		p.choose(Choice{What: "each model is read when it is needed, and given back after that", Cost: "what is wrong in the numbers of a model is told late"})
		return
	}
	p.single = false
}

// less changes the call at the peak, or a model that is held there, so that it needs
// less.
func (p *Pipeline) less(limit int64) (bool, error) {
	at := most(p.moments())
	c := p.calls[at.Stage]
	if c == nil {
		return p.offload(at, limit)
	}
	p.fill(c, p.promised)
	if c.def.Smaller != nil {
		ok, err := c.def.Smaller(&c.Call)
		if err != nil {
			return false, err
		}
		if ok {
			p.choose(Choice{about: c.ID + " rows", What: "nodes." + c.ID + " computes its batch in parts", Cost: "more calls of the model; the results are the same"})
			return true, nil
		}
	}
	if ok, err := p.offload(at, limit); ok || err != nil || c.def.Tiles == nil {
		return ok, err
	}
	for _, size := range tileSizes {
		made, err := c.def.Tiles(&c.Call, size)
		if err != nil {
			return false, err
		}
		if made == nil {
			continue
		}
		p.choose(Choice{about: c.ID + " tiles", What: fmt.Sprintf("nodes.%s computes %d tiles of %d", c.ID, made.Count, made.Size), Set: fmt.Sprintf("nodes.%s.tile=%d", c.ID, made.Size),
			Cost: fmt.Sprintf("%.1f times the computing, and pictures that differ a little from those that are computed whole", made.More)})
		return true, nil
	}
	return false, nil
}

// offload leaves layers on the host, of the first of the models that are held at a moment
// whose document allows it and that has any left.
func (p *Pipeline) offload(at Moment, limit int64) (bool, error) {
	for _, m := range p.models {
		if !m.Offloads() || !slices.Contains(at.Models, m.Name()) {
			continue
		}
		ok, err := m.Shrink(at.Bytes() - limit)
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		layers, host, _ := m.Layers()
		what := fmt.Sprintf("%s leaves %d of %d layers on the host, with what comes before them", m.Name(), host, layers)
		if host == 0 {
			what = fmt.Sprintf("%s leaves what comes before its %d layers on the host", m.Name(), layers)
		}
		p.choose(Choice{about: m.Name() + " offload", What: what, Set: fmt.Sprintf("%s.offload=%d", m.Name(), host),
			Cost: "these are computed at the speed of the processor; results differ by rounding"})
		return true, nil
	}
	return false, nil
}

// choose remembers a choice, which replaces one for the same stage.
func (p *Pipeline) choose(c Choice) {
	p.chosen = append(slices.DeleteFunc(p.chosen, func(old Choice) bool { return old.about == c.about }), c)
}

// tooLarge says what the run needs at least.
func (p *Pipeline) tooLarge(limit int64) error {
	if err := model.Fit(p.models, limit); err != nil && slices.ContainsFunc(p.models, (*model.Model).Texts) {
		return err
	}
	top := most(p.moments())
	advice := fmt.Sprintf("--mem %s is the least that works", model.Size(top.Bytes()))
	if len(p.chosen) > 0 {
		var what []string
		for _, c := range p.chosen {
			what = append(what, c.What)
		}
		advice += "; that is with all that was found: " + strings.Join(what, ", ")
	}
	return &model.FitError{Name: top.Name(), Weights: top.Weights, Cache: top.Cache, Work: top.Work, Values: top.Values + top.Own,
		Need: top.Bytes(), Limit: limit, Advice: advice}
}
