package main

import (
	"fmt"
	"strings"

	"pipe.dev/executor/model"
	"pipe.dev/kernels"
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

// beyondText is what is held beside the tensors of plans, in a line; "" if that is nothing.
func beyondText(list []kernels.Beyond, device string) string {
	var parts []string
	for _, x := range list {
		at := device
		if x.Host {
			at = "host"
		}
		parts = append(parts, fmt.Sprintf("%s %s (%s)", x.What, model.Size(x.Bytes), at))
	}
	if len(parts) == 0 {
		return ""
	}
	return "\nbeside the plans: " + strings.Join(parts, ", ") + "\n"
}

// beyondJSON is what is held beside the tensors of plans.
type beyondJSON struct {
	What  string `json:"what"`
	Bytes int64  `json:"bytes"`
	Host  bool   `json:"host"`
}

func (r *planReport) beyondJSON() []beyondJSON {
	var out []beyondJSON
	for _, x := range r.beyond {
		out = append(out, beyondJSON(x))
	}
	return out
}
