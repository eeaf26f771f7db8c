package hub

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// foreign are weights in forms that pipe does not read, and pictures and the
// like of no use to it.
var foreign = []string{"*.h5", "*.msgpack", "*.ot", "*.tflite", "*.mlmodel", "*.mlpackage/*", "*.pb", "*.onnx", "*.onnx_data", "openvino_*", "*.npz",
	"*.png", "*.jpg", "*.jpeg", "*.gif", "*.mp4", "*.webp", ".gitattributes"}

// torchFiles are weights of PyTorch, which nobody wants who has safetensors.
var torchFiles = []string{"*.bin", "*.pt", "*.pth", "*.ckpt", "*.bin.index.json", "original/*"}

// choose picks the files that match one of include and none of exclude. With
// no include it leaves out weights in other forms than the best: safetensors,
// PyTorch's, GGUF.
func choose(files []File, include, exclude []string) ([]File, error) {
	for _, p := range append(slices.Clone(include), exclude...) {
		if _, err := path.Match(strings.ReplaceAll(p, "/", "|"), ""); err != nil {
			return nil, fmt.Errorf("%q is not a pattern: a [ is not closed, or a \\ is at the end", p)
		}
	}
	out := slices.DeleteFunc(slices.Clone(files), func(f File) bool {
		return matchesAny(f.Path, exclude) || len(include) > 0 && !matchesAny(f.Path, include)
	})
	if len(include) > 0 {
		return out, nil
	}
	has := func(patterns ...string) (names []string) {
		for _, f := range out {
			if matchesAny(f.Path, patterns) {
				names = append(names, f.Path)
			}
		}
		return names
	}
	without := func(patterns ...string) {
		out = slices.DeleteFunc(out, func(f File) bool { return matchesAny(f.Path, patterns) })
	}
	switch gguf := has("*.gguf"); {
	case len(has("*.safetensors")) > 0:
		without(append(torchFiles, "*.gguf")...)
		without(foreign...)
	case len(has("*.bin", "*.pt", "*.pth")) > 0:
		without("*.gguf")
		without(foreign...)
	case len(gguf) > 1:
		return nil, fmt.Errorf("has %d files of GGUF: choose with --include, as --include '%s'", len(gguf), gguf[0])
	}
	return out, nil
}

// matchesAny reports whether a path, or its last part where the pattern has no
// slash, matches one of patterns. * goes beyond slashes, as in the Python
// library.
func matchesAny(name string, patterns []string) bool {
	flat := strings.ReplaceAll(name, "/", "|")
	for _, p := range patterns {
		if strings.HasSuffix(p, "/") {
			p += "*"
		}
		if ok, _ := path.Match(strings.ReplaceAll(p, "/", "|"), flat); ok {
			return true
		}
		if ok, _ := path.Match(p, path.Base(name)); ok && !strings.Contains(p, "/") {
			return true
		}
	}
	return false
}
