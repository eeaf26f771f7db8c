// Package audio reads and writes sound: files of samples, and what is done to
// samples before a model hears them.
package audio

import (
	"fmt"
	"time"
)

// Clip is sound: samples from -1 to 1, taken so many times a second. Files of
// floats may hold larger ones.
type Clip struct {
	Rate     int       // samples a second of each channel, Hz
	Channels int       // 1 is mono, 2 is left and right
	Samples  []float32 // those of one instant beside each other
}

// Len is the number of samples of each channel.
func (c *Clip) Len() int { return len(c.Samples) / c.Channels }

// Duration is how long it sounds.
func (c *Clip) Duration() time.Duration {
	return time.Duration(float64(c.Len()) / float64(c.Rate) * float64(time.Second))
}

// Channel returns the samples of one channel, counting from 0.
func (c *Clip) Channel(i int) []float32 {
	if c.Channels == 1 {
		return c.Samples
	}
	out := make([]float32, c.Len())
	for t := range out {
		out[t] = c.Samples[t*c.Channels+i]
	}
	return out
}

// Mono returns a clip of one channel, the mean of all: c itself if it has one.
func (c *Clip) Mono() *Clip {
	if c.Channels == 1 {
		return c
	}
	out := &Clip{Rate: c.Rate, Channels: 1, Samples: make([]float32, c.Len())}
	for t := range out.Samples {
		var sum float64
		for _, v := range c.Samples[t*c.Channels:][:c.Channels] {
			sum += float64(v)
		}
		out.Samples[t] = float32(sum / float64(c.Channels))
	}
	return out
}

func (c *Clip) String() string {
	return fmt.Sprintf("%.2f s of %d Hz, %d channels", c.Duration().Seconds(), c.Rate, c.Channels)
}
