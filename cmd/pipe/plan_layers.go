package main

import (
	"fmt"
	"strings"

	"pipe.dev/executor/model"
)

// modelLayers are the layers of a model that is cut, and where they lie.
type modelLayers struct {
	model  string
	layers []model.Layer
}

// label is how a layer is called that may be none.
func label(l model.Layer) string {
	switch {
	case l.Name != "":
		return l.Name
	case l.Host:
		return "before the layers"
	}
	return "behind the layers"
}

// where is the device that a layer lies on.
func where(l model.Layer, device string) string {
	if l.Host {
		return "cpu"
	}
	return device
}

// text is a table of the layers.
func (m modelLayers) text(device string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-36s %-6s %10s %10s\n", "layers of "+strings.TrimPrefix(m.model, "models."), "on", "weights", "cache")
	for _, l := range m.layers {
		fmt.Fprintf(&b, "%-36s %-6s %10s %10s\n", label(l), where(l, device), model.Size(l.Weights), model.Size(l.Cache))
	}
	return b.String()
}

// layerJSON is a layer of a model that is cut, in bytes.
type layerJSON struct {
	Model   string `json:"model"`
	Layer   string `json:"layer"`
	Device  string `json:"device"`
	Weights int64  `json:"weight_bytes"`
	Cache   int64  `json:"cache_bytes"`
}

func (r *planReport) layersJSON() []layerJSON {
	var out []layerJSON
	for _, m := range r.layers {
		for _, l := range m.layers {
			out = append(out, layerJSON{m.model, label(l), where(l, r.device), l.Weights, l.Cache})
		}
	}
	return out
}
