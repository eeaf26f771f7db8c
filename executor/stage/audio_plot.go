package stage

import (
	"context"
	"fmt"
	"math"
	"math/cmplx"

	"gonum.org/v1/gonum/dsp/fourier"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/image"
)

// AudioPlotAttr describes pictures of sound.
type AudioPlotAttr struct {
	Width  int     `cue:"width: int & >=64 & <=16384 | *1024" doc:"of the picture, pixels"`
	Height int     `cue:"height: int & >=32 & <=4096 | *256" doc:"of the spectrogram; the waveform has half of it"`
	NFFT   int     `cue:"n_fft: int & >=16 & <=32768 | *1024" doc:"samples of a frame"`
	Range  float64 `cue:"range: number & >0 | *80" doc:"what is so many dB softer than the loudest is black"`
	Top    float64 `cue:"top: number & >=0 | *0" doc:"the highest frequency that is shown, Hz; 0 is half the rate"`
	Pitch  bool    `cue:"pitch: bool | *true" doc:"draw the pitch of frames that have a tone"`
	Low    float64 `cue:"low: number & >0 | *65" doc:"the lowest pitch, Hz"`
	High   float64 `cue:"high: number & >0 | *1000" doc:"the highest pitch, Hz"`
}

func audioPlot() *Def {
	return &Def{
		Name: "audio.plot", Title: "AudioPlot", Result: Images, Early: true,
		Doc:   "draws sound: its waveform, and below it its spectrogram with the pitch of its tones; of channels their mean.",
		Ports: []Port{{Name: "x", Doc: "the sound", Kinds: []Kind{Audio}}},
		Attr:  AudioPlotAttr{},
		Run: func(ctx context.Context, c *Call) (Value, error) {
			list, ok := c.In["x"].([]*audio.Clip)
			if !ok {
				return nil, errKind(c.In["x"], Audio)
			}
			var out []*image.Picture
			for _, clip := range list {
				p, err := c.Attr.(AudioPlotAttr).draw(clip.Mono())
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					return nil, err
				}
				out = append(out, p)
			}
			return out, nil
		},
	}
}

// draw makes the picture of a clip of one channel.
func (a AudioPlotAttr) draw(clip *audio.Clip) (*image.Picture, error) {
	if a.Top > float64(clip.Rate)/2 {
		return nil, fmt.Errorf("top is %g Hz, and sound of %d samples a second has none above %g", a.Top, clip.Rate, float64(clip.Rate)/2)
	}
	p := image.New(a.Width, a.Height+a.Height/2, 3, false)
	a.waveform(p, clip.Samples)
	a.spectrogram(p, clip)
	if !a.Pitch {
		return p, nil
	}
	y := yin(a.Low, a.High, clip.Rate)
	y.Hop = max(1, clip.Len()/a.Width)
	hz, clear, err := y.Pitch(clip.Samples, clip.Rate)
	for i, v := range hz {
		if x := i * y.Hop * a.Width / clip.Len(); clear[i] < mostlyNoise && x < a.Width {
			a.dot(p, x, a.row(v, clip.Rate), 120, 255, 160)
			a.dot(p, x, a.row(v, clip.Rate)-1, 120, 255, 160)
		}
	}
	return p, err
}

func (a AudioPlotAttr) dot(p *image.Picture, x, y int, red, green, blue uint8) {
	if y >= 0 && y < p.Height {
		copy(p.Pix[3*(y*p.Width+x):], []uint8{red, green, blue})
	}
}

// waveform draws the least and the greatest sample of each column.
func (a AudioPlotAttr) waveform(p *image.Picture, samples []float32) {
	h := a.Height / 2
	most := 1e-9
	for _, v := range samples {
		most = max(most, math.Abs(float64(v)))
	}
	at := func(v float32) int { return int(math.Round((1 - float64(v)/most) / 2 * float64(h-1))) }
	for x := range a.Width {
		from := x * len(samples) / a.Width
		to := min(len(samples), max(from+1, (x+1)*len(samples)/a.Width))
		least, greatest := samples[from], samples[from]
		for _, v := range samples[from:to] {
			least, greatest = min(least, v), max(greatest, v)
		}
		for y := range h {
			a.dot(p, x, y, 16, 16, 24)
		}
		for y := at(greatest); y <= at(least); y++ {
			a.dot(p, x, y, 110, 190, 250)
		}
	}
}

// row is where a frequency lies.
func (a AudioPlotAttr) row(hz float64, rate int) int {
	top := a.Top
	if top == 0 {
		top = float64(rate) / 2
	}
	return a.Height/2 + int(math.Round((1-hz/top)*float64(a.Height-1)))
}

// spectrogram draws the sizes of the transform around the middle of each column.
func (a AudioPlotAttr) spectrogram(p *image.Picture, clip *audio.Clip) {
	fft := fourier.NewFFT(a.NFFT)
	frame, levels := make([]float64, a.NFFT), make([][]float64, a.Width)
	most := math.Inf(-1)
	for x := range levels {
		middle := int((float64(x) + 0.5) * float64(clip.Len()) / float64(a.Width))
		for t := range frame {
			frame[t] = 0
			if i := middle - a.NFFT/2 + t; i >= 0 && i < clip.Len() {
				frame[t] = float64(clip.Samples[i]) * (0.5 - 0.5*math.Cos(2*math.Pi*float64(t)/float64(a.NFFT)))
			}
		}
		for _, v := range fft.Coefficients(nil, frame) {
			db := 20 * math.Log10(max(cmplx.Abs(v), 1e-12))
			levels[x], most = append(levels[x], db), max(most, db)
		}
	}
	top := a.Top
	if top == 0 {
		top = float64(clip.Rate) / 2
	}
	for x, column := range levels {
		for y := range a.Height {
			place := (1 - float64(y)/float64(a.Height-1)) * top / float64(clip.Rate) * float64(a.NFFT)
			i := min(int(place), len(column)-2)
			part := min(1, place-float64(i))
			red, green, blue := warmth(1 + ((1-part)*column[i]+part*column[i+1]-most)/a.Range)
			a.dot(p, x, a.Height/2+y, red, green, blue)
		}
	}
}

// warmth is a colour for a number from 0 to 1: from black over violet and orange to pale yellow.
func warmth(v float64) (red, green, blue uint8) {
	stops := [][3]float64{{0, 0, 4}, {60, 15, 110}, {150, 40, 110}, {225, 95, 55}, {250, 175, 50}, {252, 253, 191}}
	v = max(0, min(v, 1)) * float64(len(stops)-1)
	i := min(int(v), len(stops)-2)
	mix := func(c int) uint8 { return uint8(math.Round(stops[i][c] + (v-float64(i))*(stops[i+1][c]-stops[i][c]))) }
	return mix(0), mix(1), mix(2)
}
