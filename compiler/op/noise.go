package op

import (
	"encoding/binary"
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/internal/noise"
)

// NoiseScheduleAttr describes how much noise each step of a diffusion adds, in
// the words of a scheduler_config.json.
type NoiseScheduleAttr struct {
	Steps   int     `cue:"num_train_timesteps: int & >0 & <=1048576 | *1000" doc:"how many steps there are"`
	Name    string  `cue:"beta_schedule: \"scaled_linear\" | \"squaredcos_cap_v2\" | \"sigmoid\" | \"laplace\" | \"exp\" | *\"linear\"" doc:"how the variance that a step adds, beta, grows"`
	Start   float64 `cue:"beta_start: number & >=0 & <=1 | *0.0001" doc:"the first beta, of linear, scaled_linear and sigmoid"`
	End     float64 `cue:"beta_end: number & >=0 & <=1 | *0.02" doc:"the last beta, of these"`
	Betas   Floats  `cue:"trained_betas: [...number & >=0 & <=1] | *[]" doc:"all betas, instead"`
	ZeroSNR bool    `cue:"rescale_betas_zero_snr: bool | *false" doc:"betas are changed so that the last step has no signal"`
}

// noiseSchedule: -> f32 [num_train_timesteps], the same numbers by which
// samplers walk back.
//
// Source: arXiv:2006.11239, section 2; with the schedules of diffusers.
func noiseSchedule() Def {
	return Def{Name: "noise_schedule", Title: "NoiseSchedule", NoGrad: true, Cost: free, Attr: NoiseScheduleAttr{},
		Doc: "y = products of 1 - beta up to each step of a diffusion: how much of a sample's variance is left there (alphas_cumprod).",
		Infer: func(_ []ir.Type, attr any) ([]ir.Type, error) {
			list, err := attr.(NoiseScheduleAttr).alphas()
			return []ir.Type{ir.T(ir.F32, len(list))}, err
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			list, err := n.Attr.(NoiseScheduleAttr).alphas()
			if err != nil {
				b.Fail(err)
			}
			var data []byte
			for _, x := range list {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(x)))
			}
			return []ir.Value{b.one("constant", ConstantAttr{DType: "f32", Shape: MakeDims(ir.D(len(list))), Data: string(data)})}
		},
		Cases: []Case{
			{Attr: NoiseScheduleAttr{Steps: 17, Name: "linear", Start: 0.0001, End: 0.2}},
			{Name: "cosine to no signal", Attr: NoiseScheduleAttr{Steps: 100, Name: "squaredcos_cap_v2", ZeroSNR: true}},
			{Name: "given", Attr: NoiseScheduleAttr{Steps: 3, Name: "linear", Betas: "0.1,0.2,0.3"}},
		},
	}
}

// alphas are the numbers.
func (at NoiseScheduleAttr) alphas() ([]float64, error) {
	betas := at.Betas.Slice()
	if len(betas) > 0 && len(betas) != at.Steps {
		return nil, fmt.Errorf("trained_betas are %d, and num_train_timesteps is %d", len(betas), at.Steps)
	}
	return noise.Schedule{Steps: at.Steps, Name: at.Name, Start: at.Start, End: at.End, Betas: betas, ZeroSNR: at.ZeroSNR}.Alphas()
}
