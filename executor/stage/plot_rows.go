package stage

import (
	"fmt"
	"math"
	"math/cmplx"

	"gonum.org/v1/gonum/dsp/fourier"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/image"
	"pipe.dev/internal/mel"
)

// labelRow is how high the row is that says what stands when, pixels.
const labelRow = 22

// draw makes the picture of a clip of one channel, with what stands at which time and how much steps
// looked at each of a row, unless these are nil.
func (a AudioPlotAttr) draw(clip *audio.Clip, times []stretchOfTime, attention [][]float32) (*image.Picture, error) {
	if a.Top > float64(clip.Rate)/2 {
		return nil, fmt.Errorf("top is %g Hz, and sound of %d samples a second has none above %g", a.Top, clip.Rate, float64(clip.Rate)/2)
	}
	if a.Top == 0 {
		a.Top = float64(clip.Rate) / 2
	}
	heights := []int{a.Height / 2, a.Height}
	if times != nil {
		heights = append(heights, labelRow)
	}
	if attention != nil {
		heights = append(heights, a.Height)
	}
	b, err := newBoard(a.Width, heights, clip.Duration().Seconds())
	if err != nil {
		return nil, err
	}
	a.waveform(b.rows[0], clip.Samples)
	a.spectrogram(b.rows[1], clip)
	if a.Pitch {
		if err := a.pitch(b.rows[1], clip); err != nil {
			return nil, err
		}
	}
	if times != nil {
		b.labels(times)
	}
	if attention != nil {
		b.attention(b.rows[len(b.rows)-1], attention)
	}
	b.seconds()
	return b.Picture, nil
}

// waveform draws the least and the greatest sample of each column, from the last of the column before on.
func (a AudioPlotAttr) waveform(r plotRow, samples []float32) {
	most := 1e-9
	for _, v := range samples {
		most = max(most, math.Abs(float64(v)))
	}
	at := func(v float64) int { return int(math.Round((1 - v/most) / 2 * float64(r.high-1))) }
	for x := range r.wide {
		from := x * len(samples) / r.wide
		to := min(len(samples), max(from+1, (x+1)*len(samples)/r.wide))
		least, greatest := samples[from], samples[from]
		for _, v := range samples[max(0, from-1):to] {
			least, greatest = min(least, v), max(greatest, v)
		}
		for y := range r.high {
			r.dot(x, y, background)
		}
		for y := at(float64(greatest)); y <= at(float64(least)); y++ {
			r.dot(x, y, rgb{110, 190, 250})
		}
	}
	r.tick(at(most), fmt.Sprintf("%.2g", most))
	r.tick(at(0), "0")
	r.tick(at(-most), fmt.Sprintf("%.2g", -most))
}

// place is how far up a frequency lies, from 0 to 1; hz is the other way round.
func (a AudioPlotAttr) place(hz float64) float64 {
	if a.Scale == "hz" {
		return hz / a.Top
	}
	return mel.FromHz(hz, "slaney") / mel.FromHz(a.Top, "slaney")
}

func (a AudioPlotAttr) hz(place float64) float64 {
	if a.Scale == "hz" {
		return place * a.Top
	}
	return mel.ToHz(place*mel.FromHz(a.Top, "slaney"), "slaney")
}

// row is the row of pixels in which a frequency lies.
func (a AudioPlotAttr) row(hz float64, high int) int {
	return int(math.Round((1 - a.place(hz)) * float64(high-1)))
}

// spectrogram draws the sizes of the transform around the middle of each column.
func (a AudioPlotAttr) spectrogram(r plotRow, clip *audio.Clip) {
	fft := fourier.NewFFT(a.NFFT)
	frame, levels := make([]float64, a.NFFT), make([][]float64, r.wide)
	most := math.Inf(-1)
	for x := range levels {
		middle := int((float64(x) + 0.5) * float64(clip.Len()) / float64(r.wide))
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
	for y := range r.high {
		place := a.hz(1-float64(y)/float64(r.high-1)) / float64(clip.Rate) * float64(a.NFFT)
		for x, column := range levels {
			i := min(int(place), len(column)-2)
			part := min(1, place-float64(i))
			r.dot(x, y, warmth(1+((1-part)*column[i]+part*column[i+1]-most)/a.Range))
		}
	}
	last := r.high
	for _, hz := range []float64{0, 100, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000} {
		if y := a.row(hz, r.high); hz <= a.Top && (y < last-13 || hz == 0) {
			r.tick(y, hertz(hz))
			last = y
		}
	}
}

func hertz(hz float64) string {
	if hz >= 1000 {
		return fmt.Sprintf("%g kHz", hz/1000)
	}
	return fmt.Sprintf("%g Hz", hz)
}

// pitch draws the pitch of frames that have a tone over the spectrogram.
func (a AudioPlotAttr) pitch(r plotRow, clip *audio.Clip) error {
	hz, hop, err := tones(a.Method, a.Low, a.High, clip)
	for x := range r.wide {
		i := x * clip.Len() / r.wide / hop
		if i < len(hz) && hz[i] > 0 && hz[i] <= a.Top {
			r.dot(x, a.row(hz[i], r.high), tone)
			r.dot(x, a.row(hz[i], r.high)-1, tone)
		}
	}
	return err
}

// tone is the colour of pitch.
var tone = rgb{120, 255, 160}

// warmth is a colour for a number from 0 to 1: from black over violet and orange to pale yellow.
func warmth(v float64) rgb {
	stops := [][3]float64{{0, 0, 4}, {60, 15, 110}, {150, 40, 110}, {225, 95, 55}, {250, 175, 50}, {252, 253, 191}}
	v = max(0, min(v, 1)) * float64(len(stops)-1)
	i := min(int(v), len(stops)-2)
	mix := func(c int) uint8 { return uint8(math.Round(stops[i][c] + (v-float64(i))*(stops[i+1][c]-stops[i][c]))) }
	return rgb{mix(0), mix(1), mix(2)}
}
