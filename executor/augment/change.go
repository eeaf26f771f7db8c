package augment

import (
	"fmt"
	"math"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/image"
)

// ordered wants the lesser bound first.
func ordered(name string, bounds [2]float64) error {
	if bounds[0] > bounds[1] {
		return fmt.Errorf("%s is %v; want the lesser first", name, bounds)
	}
	return nil
}

// GainAttr describes how loud sound becomes.
type GainAttr struct {
	P  float64    `cue:"p: number & >=0 & <=1 | *0.5" doc:"how likely it is done"`
	DB [2]float64 `cue:"db: [number, number] | *[-6, 6]" doc:"bounds of what it is louder by, dB"`
}

func gain() Def {
	return Def{Name: "gain", Title: "SoundGain", Attr: GainAttr{}, Random: true, Doc: "makes sound louder or softer.",
		Check: func(a any) error { return ordered("db", a.(GainAttr).DB) },
		Apply: func(a any, c *audio.Clip, d *image.Dice) error {
			at := a.(GainAttr)
			if d.Float() >= at.P {
				return nil
			}
			scale(c, math.Pow(10, d.Between(at.DB[0], at.DB[1])/20))
			return nil
		},
	}
}

func scale(c *audio.Clip, by float64) {
	for i, v := range c.Samples {
		c.Samples[i] = float32(by * float64(v))
	}
}

// power is the mean of squares.
func power(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum / float64(max(1, len(x)))
}

// NoiseAttr describes noise that is added.
type NoiseAttr struct {
	P   float64    `cue:"p: number & >=0 & <=1 | *0.5" doc:"how likely it is done"`
	SNR [2]float64 `cue:"snr: [number, number] | *[10, 40]" doc:"bounds of how much louder the sound is than the noise, dB"`
}

func noise() Def {
	return Def{Name: "noise", Title: "SoundNoise", Attr: NoiseAttr{}, Random: true, Doc: "adds white noise.",
		Check: func(a any) error { return ordered("snr", a.(NoiseAttr).SNR) },
		Apply: func(a any, c *audio.Clip, d *image.Dice) error {
			at := a.(NoiseAttr)
			if d.Float() >= at.P {
				return nil
			}
			root := math.Sqrt(power(c.Samples) / math.Pow(10, d.Between(at.SNR[0], at.SNR[1])/10))
			for i := range c.Samples {
				c.Samples[i] += float32(root * d.Normal())
			}
			return nil
		},
	}
}

// ShiftAttr describes how sound is moved.
type ShiftAttr struct {
	P       float64 `cue:"p: number & >=0 & <=1 | *0.5" doc:"how likely it is done"`
	Seconds float64 `cue:"seconds: number & >=0 | *0.1" doc:"how far at most, to either side"`
}

func shift() Def {
	return Def{Name: "shift", Title: "SoundShift", Attr: ShiftAttr{}, Random: true, Doc: "moves sound in time; what comes in is silence.",
		Apply: func(a any, c *audio.Clip, d *image.Dice) error {
			at := a.(ShiftAttr)
			if d.Float() >= at.P {
				return nil
			}
			by := int(math.Round(d.Between(-at.Seconds, at.Seconds) * float64(c.Rate)))
			moved := make([]float32, len(c.Samples))
			if by >= 0 {
				copy(moved[min(by, len(moved)):], c.Samples)
			} else {
				copy(moved, c.Samples[min(-by, len(moved)):])
			}
			c.Samples = moved
			return nil
		},
	}
}

// FactorAttr describes how much faster sound becomes.
type FactorAttr struct {
	P      float64    `cue:"p: number & >=0 & <=1 | *0.5" doc:"how likely it is done"`
	Factor [2]float64 `cue:"factor: [number & >=0.25 & <=4, number & >=0.25 & <=4] | *[0.9, 1.1]" doc:"bounds of how many times as fast it goes"`
}

func (a FactorAttr) draw(d *image.Dice) (float64, bool) {
	if d.Float() >= a.P {
		return 1, false
	}
	return math.Exp(d.Between(math.Log(a.Factor[0]), math.Log(a.Factor[1]))), true
}

func speed() Def {
	return Def{Name: "speed", Title: "SoundSpeed", Attr: FactorAttr{}, Random: true, Doc: "plays sound faster or slower, so that it is higher or lower, too.",
		Check: func(a any) error { return ordered("factor", a.(FactorAttr).Factor) },
		Apply: func(a any, c *audio.Clip, d *image.Dice) (err error) {
			if factor, done := a.(FactorAttr).draw(d); done {
				c.Samples, err = audio.Speed(c.Samples, factor, 0)
			}
			return err
		},
	}
}

func stretch() Def {
	return Def{Name: "stretch", Title: "SoundStretch", Attr: FactorAttr{}, Random: true, Source: "librosa.effects.time_stretch", Doc: "makes sound faster or slower at the same pitch.",
		Check: func(a any) error { return ordered("factor", a.(FactorAttr).Factor) },
		Apply: func(a any, c *audio.Clip, d *image.Dice) error {
			if factor, done := a.(FactorAttr).draw(d); done {
				c.Samples = audio.Stretch(c.Samples, factor)
			}
			return nil
		},
	}
}

// PitchAttr describes how much higher sound becomes.
type PitchAttr struct {
	P         float64    `cue:"p: number & >=0 & <=1 | *0.5" doc:"how likely it is done"`
	Semitones [2]float64 `cue:"semitones: [number & >=-24 & <=24, number & >=-24 & <=24] | *[-2, 2]" doc:"bounds of how much higher it becomes"`
}

func pitch() Def {
	return Def{Name: "pitch", Title: "SoundPitch", Attr: PitchAttr{}, Random: true, Source: "librosa.effects.pitch_shift", Doc: "makes sound higher or lower, as long as it was.",
		Check: func(a any) error { return ordered("semitones", a.(PitchAttr).Semitones) },
		Apply: func(a any, c *audio.Clip, d *image.Dice) (err error) {
			at := a.(PitchAttr)
			if d.Float() < at.P {
				c.Samples, err = audio.Pitch(c.Samples, d.Between(at.Semitones[0], at.Semitones[1]))
			}
			return err
		},
	}
}

// RoomAttr describes a room that sound is heard in.
type RoomAttr struct {
	P       float64    `cue:"p: number & >=0 & <=1 | *0.5" doc:"how likely it is done"`
	Seconds [2]float64 `cue:"seconds: [number & >0 & <=10, number & >0 & <=10] | *[0.1, 0.6]" doc:"bounds of the time after which its echo is 60 dB softer"`
	Wet     [2]float64 `cue:"wet: [number & >=0 & <=1, number & >=0 & <=1] | *[0.05, 0.5]" doc:"bounds of the echo's share of the power"`
	Files   []string   `cue:"files: [...string & !=\"\"] | *[]" doc:"responses of rooms, recordings of an impulse, or patterns of their names: one of them is drawn, and seconds and wet are of no account"`
}

// room draws a response: noise that fades, behind the sound itself.
//
// Source: Moorer, About this reverberation business, 1979.
func room() Def {
	return Def{Name: "room", Title: "SoundRoom", Attr: RoomAttr{}, Random: true, Doc: "puts sound into a room: its response is noise that fades exponentially, or that of a recording. It stays as loud as it was.",
		Check: func(a any) error {
			at := a.(RoomAttr)
			if err := ordered("seconds", at.Seconds); err != nil {
				return err
			}
			return ordered("wet", at.Wet)
		},
		Load: loadRooms,
		Apply: func(a any, c *audio.Clip, d *image.Dice) error {
			at := a.(RoomAttr)
			if d.Float() >= at.P || len(c.Samples) == 0 {
				return nil
			}
			seconds, wet := d.Between(at.Seconds[0], at.Seconds[1]), d.Between(at.Wet[0], at.Wet[1])
			h := make([]float32, max(2, int(seconds*float64(c.Rate))))
			for i := range h {
				h[i] = float32(d.Normal() * math.Pow(10, -3*float64(i)/float64(len(h))))
			}
			h[0] = 0
			level := math.Sqrt(wet / (power(h) * float64(len(h))))
			for i := range h {
				h[i] *= float32(level)
			}
			h[0] = float32(math.Sqrt(1 - wet))
			answer(c, h)
			return nil
		},
	}
}

// NormalizeAttr describes a loudness that all sound gets.
type NormalizeAttr struct {
	Peak float64 `cue:"peak: number & >0 | *1" doc:"the greatest size of a sample"`
}

func normalize() Def {
	return Def{Name: "normalize", Title: "SoundNormalize", Attr: NormalizeAttr{}, Doc: "brings the loudest sample to a size; silence stays.",
		Apply: func(a any, c *audio.Clip, _ *image.Dice) error {
			most := 0.0
			for _, v := range c.Samples {
				most = max(most, math.Abs(float64(v)))
			}
			if most > 0 {
				scale(c, a.(NormalizeAttr).Peak/most)
			}
			return nil
		},
	}
}
