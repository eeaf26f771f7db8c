package train

// OneCycleAttr describes one rise and one long fall.
type OneCycleAttr struct {
	PctStart       float64 `cue:"pct_start: number & >0 & <1 | *0.3" doc:"share of the run in which the rate rises"`
	Anneal         string  `cue:"anneal_strategy: \"cos\" | \"linear\" | *\"cos\"" doc:"the shape of rise and fall"`
	DivFactor      float64 `cue:"div_factor: number & >=1 | *25" doc:"the rate begins at the base rate divided by this"`
	FinalDivFactor float64 `cue:"final_div_factor: number & >=1 | *1e4" doc:"and ends at that divided by this"`
	ThreePhase     bool    `cue:"three_phase: bool | *false" doc:"fall back to where it began as fast as it rose, then to the end"`
}

func oneCycle() *Schedule {
	return &Schedule{
		Def: Def{Name: "one_cycle", Title: "OneCycle", Attr: OneCycleAttr{},
			Doc:    "a rise to the base rate and a fall far below where it began; the momentum stays.",
			Source: "torch.optim.lr_scheduler.OneCycleLR; arXiv:1708.07120"},
		factor: func(a any, step, steps int) float64 {
			at := a.(OneCycleAttr)
			first := 1 / at.DivFactor
			final := first / at.FinalDivFactor
			end := float64(steps - 1)
			top := at.PctStart*float64(steps) - 1
			phases := []phase{{top, first, 1}, {end, 1, final}}
			if at.ThreePhase {
				phases = []phase{{top, first, 1}, {2 * top, 1, first}, {end, first, final}}
			}
			from, now := 0.0, float64(step)
			for _, p := range phases {
				if now <= p.end && from < p.end {
					return p.at(at.Anneal, (now-from)/(p.end-from))
				}
				from = p.end
			}
			return final
		},
	}
}

// phase is a part of a run, up to the step end.
type phase struct{ end, from, to float64 }

func (p phase) at(anneal string, x float64) float64 {
	if anneal == "cos" {
		return p.to + (p.from-p.to)*halfCosine(x)
	}
	return p.from + (p.to-p.from)*x
}
