package learn

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/model"
)

// LossScaleAttr says how the loss of a model in f16 is scaled.
type LossScaleAttr struct {
	Init     float64 `cue:"init: number & >=1 | *65536" doc:"factor of the loss at the beginning; it is halved when a gradient is not finite, and the step changes nothing then"`
	Interval int     `cue:"interval: int & >0 | *2000" doc:"good steps in a row after which the factor is doubled"`
}

// EMAAttr describes averages of weights.
type EMAAttr struct {
	Decay    float64 `cue:"decay: number & >0 & <1 | *0.999" doc:"share of the average that stays at each step"`
	Warmup   bool    `cue:"warmup: bool | *true" doc:"the decay is at most (1 + n)/(10 + n) after n steps, so that the first weights are soon forgotten"`
	Evaluate bool    `cue:"evaluate: bool | *true" doc:"evaluations use the average"`
	Export   bool    `cue:"export: bool | *true" doc:"the model that a finished run writes is the average"`
}

// precision reads in which type a model computes, and what goes with it.
func (d *decoder) precision(r *Recipe) {
	r.Precision = ir.F32
	if s, ok := d.fields["precision"].(string); ok {
		var err error
		if r.Precision, r.TF32, err = model.ParsePrecision(s); err != nil {
			d.fail("precision", err)
		}
	}
	if r.Precision == ir.F16 {
		a := part[LossScaleAttr](d, "loss_scale")
		r.LossScale = &train.LossScale{Init: a.Init, Interval: a.Interval}
	}
	if _, ok := d.fields["ema"].(map[string]any); ok {
		a := part[EMAAttr](d, "ema")
		r.Average = &train.Average{Decay: a.Decay, Warmup: a.Warmup, Evaluate: a.Evaluate}
		r.ExportAverage = a.Export
	}
}

// BalanceAttr describes biases that follow the load of experts.
type BalanceAttr struct {
	Bias  string  `cue:"bias!: string & !=\"\"" doc:"pattern of the paths of the biases, one for each layer, as \"*.e_score_correction_bias\"; no gradient changes them"`
	Taken string  `cue:"taken!: string & !=\"\"" doc:"tokens of what is 1 for the experts that a token of the text goes through, else 0, one for each bias, as \"*.gate.taken\""`
	Rate  float64 `cue:"rate: number & >0 | *0.001" doc:"by how much a bias changes at a step"`
}

// balance reads how biases follow the load of experts.
func (d *decoder) balance(r *Recipe) {
	if _, ok := d.fields["balance"].(map[string]any); ok {
		a := part[BalanceAttr](d, "balance")
		r.Balance = &train.Balance{Bias: a.Bias, Taken: a.Taken, Rate: a.Rate, Pos: d.place("balance")}
	}
}
