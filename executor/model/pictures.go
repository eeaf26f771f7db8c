package model

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"

	"pipe.dev/executor/checkpoint"
)

// Pictures says how a picture becomes what a model reads: preprocessor_config.json
// of its folder, as transformers writes it.
type Pictures struct {
	Width, Height int    // pictures are brought to this size; 0: as Shortest says
	Shortest      int    // the length of the shorter side; 0: sizes stay
	Filter        string // how they are resized, a name of image.Filters
	CropWidth     int    // of the part in the middle that is kept; 0: all
	CropHeight    int
	Mean, Std     []float64 // of the numbers from 0 to 1
}

// resamplings are Pillow's numbers of filters.
var resamplings = []string{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"}

// PicturesConfig is the file that says how pictures are prepared.
const PicturesConfig = "preprocessor_config.json"

// ReadPictures reads how pictures are prepared, in a folder. That it does not say it is an
// error, and so is a field that means what is not done here.
func ReadPictures(folder string) (*Pictures, error) {
	config := struct {
		DoResize    *bool     `json:"do_resize"`
		Size        any       `json:"size"`
		Resample    int       `json:"resample"`
		DoCrop      *bool     `json:"do_center_crop"`
		CropSize    any       `json:"crop_size"`
		CropShare   float64   `json:"crop_pct"`
		DoRescale   *bool     `json:"do_rescale"`
		Factor      float64   `json:"rescale_factor"`
		DoNormalize *bool     `json:"do_normalize"`
		Mean        []float64 `json:"image_mean"`
		Std         []float64 `json:"image_std"`
	}{Resample: 2, Factor: 1.0 / 255}
	file := filepath.Join(folder, PicturesConfig)
	bad := func(format string, args ...any) (*Pictures, error) {
		return nil, &checkpoint.Error{File: file, Msg: fmt.Sprintf(format, args...)}
	}
	found, err := readJSON(file, &config)
	if err != nil {
		return nil, err
	}
	if !found {
		return bad("is missing: the folder does not say how pictures are prepared; use image.resize and image.tensor instead")
	}
	p := &Pictures{Mean: []float64{0}, Std: []float64{1}}
	if config.Resample < 0 || config.Resample >= len(resamplings) {
		return bad("resample is %d; want 0 to %d", config.Resample, len(resamplings)-1)
	}
	p.Filter = resamplings[config.Resample]
	cut := config.CropSize != nil && on(config.DoCrop)
	if on(config.DoResize) {
		if p.Width, p.Height, p.Shortest, err = sizesIn(config.Size, cut || config.CropShare > 0); err != nil {
			return bad("size: %v", err)
		}
	}
	if share := config.CropShare; share > 0 && share <= 1 && p.Shortest > 0 { // large pictures are not cut, as such configs mean it
		if p.Shortest >= 384 {
			p.Width, p.Height, p.Shortest = p.Shortest, p.Shortest, 0
		} else {
			p.CropWidth, p.CropHeight = p.Shortest, p.Shortest
			p.Shortest = int(float64(p.Shortest) / share)
		}
	}
	if cut {
		var shortest int
		if p.CropWidth, p.CropHeight, shortest, err = sizesIn(config.CropSize, false); err != nil || shortest != 0 {
			return bad("crop_size is %v; want width and height", config.CropSize)
		}
	}
	if !on(config.DoRescale) || math.Abs(config.Factor*255-1) > 1e-6 {
		return bad("do_rescale and rescale_factor do not bring samples to 0 to 1, which is what is done here")
	}
	if on(config.DoNormalize) && len(config.Mean) > 0 {
		p.Mean, p.Std = config.Mean, config.Std
		if len(p.Std) != len(p.Mean) {
			return bad("image_mean has %d numbers and image_std %d", len(p.Mean), len(p.Std))
		}
	}
	return p, nil
}

// on is a switch that is on where it is left out.
func on(b *bool) bool { return b == nil || *b }

// sizesIn reads a size: width and height, or the shorter side alone. Older files have one
// number: of the shorter side where pictures are cut afterwards, of both sides otherwise.
func sizesIn(v any, cut bool) (width, height, shortest int, err error) {
	switch v := v.(type) {
	case float64:
		if cut {
			shortest = int(v)
		} else {
			width, height = int(v), int(v)
		}
	case map[string]any:
		w, _ := v["width"].(float64)
		h, _ := v["height"].(float64)
		s, _ := v["shortest_edge"].(float64)
		width, height, shortest = int(w), int(h), int(s)
	}
	if (width <= 0 || height <= 0) && shortest <= 0 || max(width, height, shortest) > 1<<15 {
		return 0, 0, 0, fmt.Errorf("is %v; want width and height, or shortest_edge", v)
	}
	return width, height, shortest, nil
}

// Labels are the names of a model's classes, of id2label in its config.json; a class that has
// none is called by its number.
func (m *Model) Labels(classes int) ([]string, error) {
	var config struct {
		Names map[string]string `json:"id2label"`
	}
	for _, file := range []string{"config.json", "labels.json"} { // the second is what a recipe's run leaves of a graph
		if _, err := m.readJSON(file, &config); err != nil {
			return nil, err
		}
		if len(config.Names) > 0 {
			break
		}
	}
	out := make([]string, classes)
	for i := range out {
		name, ok := config.Names[strconv.Itoa(i)]
		if !ok {
			name = strconv.Itoa(i)
		}
		out[i] = name
	}
	return out, nil
}
