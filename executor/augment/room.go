package augment

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/image"
)

// Responses that are read: their samples, of all channels together, and how many there may be.
const (
	responseSamples = 1 << 22
	responseFiles   = 1 << 14
)

// rooms are responses of rooms, at the rates at which they were asked for.
type rooms struct {
	mu   sync.Mutex
	list []*audio.Clip
	at   map[int][][]float32
}

// loadRooms reads the responses that a room's document names; nil if it names none.
func loadRooms(attr any) (func(c *audio.Clip, d *image.Dice) error, error) {
	a := attr.(RoomAttr)
	if len(a.Files) == 0 {
		return nil, nil
	}
	var paths []string
	for _, name := range a.Files {
		found := []string{name}
		if strings.ContainsAny(name, "*?[") {
			var err error
			if found, err = filepath.Glob(name); err != nil || len(found) == 0 {
				return nil, fmt.Errorf("files: there is none like %q", name)
			}
		}
		paths = append(paths, found...)
	}
	if len(paths) > responseFiles {
		return nil, fmt.Errorf("files: there are %d; at most %d are read", len(paths), responseFiles)
	}
	r := &rooms{at: map[int][][]float32{}}
	for _, path := range paths {
		c, err := audio.Read(path, audio.Options{Samples: responseSamples})
		if err == nil {
			c = c.Mono()
			if power(c.Samples) == 0 {
				err = fmt.Errorf("%s: is silent: a room's response has an impulse", path)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("files: %w", err)
		}
		r.list = append(r.list, fromImpulse(c))
	}
	return func(c *audio.Clip, d *image.Dice) error {
		if d.Float() >= a.P || len(c.Samples) == 0 {
			return nil
		}
		list, err := r.of(c.Rate)
		if err != nil {
			return err
		}
		answer(c, list[d.Int(len(list))])
		return nil
	}, nil
}

// fromImpulse is a response from its greatest sample on, where the sound itself arrives: so nothing is delayed.
func fromImpulse(c *audio.Clip) *audio.Clip {
	most := 0
	for i, v := range c.Samples {
		if math.Abs(float64(v)) > math.Abs(float64(c.Samples[most])) {
			most = i
		}
	}
	return &audio.Clip{Rate: c.Rate, Channels: 1, Samples: slices.Clone(c.Samples[most:])}
}

// of are the responses at a rate.
func (r *rooms) of(rate int) ([][]float32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at[rate] == nil {
		var list [][]float32
		for _, c := range r.list {
			at, err := c.Resample(rate)
			if err != nil {
				return nil, err
			}
			list = append(list, at.Samples)
		}
		r.at[rate] = list
	}
	return r.at[rate], nil
}

// answer puts a clip into the room of a response, as loud as it was.
func answer(c *audio.Clip, response []float32) {
	before := power(c.Samples)
	if c.Samples = audio.Convolve(c.Samples, response); power(c.Samples) > 0 {
		scale(c, math.Sqrt(before/power(c.Samples)))
	}
}
