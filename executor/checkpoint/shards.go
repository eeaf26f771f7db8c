package checkpoint

import (
	"fmt"
	"io"
	"maps"
	"os"
	pathpkg "path"
	"path/filepath"
	"slices"
	"strings"
)

const (
	singleName = "model.safetensors"
	indexEnd   = ".safetensors.index.json"
	torchName  = "pytorch_model.bin"
	torchIndex = "pytorch_model.bin.index.json"
)

// maxIndex is the longest index.json that is read, in bytes.
const maxIndex = maxHeader

func isIndex(file string) bool { return strings.HasSuffix(file, ".index.json") }

// locate returns the file to open for path: itself, or what the folder holds.
func locate(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", FileError(path, err)
	}
	if !info.IsDir() {
		return path, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", FileError(path, err)
	}
	found := map[string][]string{} // by kind
	for _, e := range entries {
		kind := kindOf(e.Name())
		found[kind] = append(found[kind], e.Name())
	}
	single, index, other := found[".safetensors"], found[indexEnd], found["other"]
	choice := ""
	switch {
	case slices.Contains(single, singleName):
		choice = singleName
	case slices.Contains(index, "model"+indexEnd):
		choice = "model" + indexEnd
	case len(index) == 1:
		choice = index[0]
	case len(index) > 1:
		return "", errorf(path, "has %d index files (%s); name one of them", len(index), some(index))
	case len(single) == 1:
		choice = single[0]
	case len(single) > 1:
		return "", errorf(path, "has %d .safetensors files (%s) but neither %s nor model%s; name one of them", len(single), some(single), singleName, indexEnd)
	case slices.Contains(other, torchName):
		choice = torchName
	case len(found[torchIndex]) == 1:
		choice = torchIndex
	case len(other) == 1:
		choice = other[0]
	case len(other) > 1:
		return "", errorf(path, "has %d files of weights (%s) but neither %s nor %s; name one of them", len(other), some(other), singleName, torchName)
	case len(found[".gguf"]) > 0:
		return "", errorf(path, "has no weights in safetensors or of PyTorch (found %s)", some(found[".gguf"]))
	default:
		return "", errorf(path, "has no weights: want %s or model%s", singleName, indexEnd)
	}
	return filepath.Join(path, choice), nil
}

// beside are files that trainers leave beside weights, and that hold none.
var beside = []string{"training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.bin", "scheduler.pt", "rng_state.pth", "scaler.pt"}

// kindOf says what a file in a folder may be to a checkpoint.
func kindOf(name string) string {
	switch ext := filepath.Ext(name); {
	case strings.HasSuffix(name, indexEnd):
		return indexEnd
	case name == torchIndex:
		return torchIndex
	case ext == ".safetensors", ext == ".gguf":
		return ext
	case slices.Contains(beside, name):
		return ""
	case ext == ".bin", ext == ".pt", ext == ".pth", ext == ".npz":
		return "other"
	}
	return ""
}

// some lists at most three of names.
func some(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s, and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}

// openShards opens the shards that an index names. The index decides which
// shard a tensor comes from; a tensor that only a shard knows counts too.
func (c *Checkpoint) openShards(index string) error {
	weights, err := readIndex(index)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, shard := range weights {
		used[shard] = true
	}
	found := map[string]string{} // name to shard
	for _, shard := range slices.Sorted(maps.Keys(used)) {
		file := filepath.Join(filepath.Dir(index), filepath.FromSlash(shard))
		if _, err := os.Stat(file); err != nil {
			return &Error{File: index, Msg: fmt.Sprintf("names the shard %q: %s", short(shard), reason(err)), Err: err}
		}
		h, err := c.openFile(file)
		if err != nil {
			return err
		}
		for _, t := range h.tensors {
			if want, ok := weights[t.Name]; ok && want != shard {
				continue // the index prefers another copy
			}
			if first, ok := found[t.Name]; ok {
				return errorf(file, "tensor %q is also in %s, and the index names neither", t.Name, first)
			}
			found[t.Name] = shard
			c.tensors = append(c.tensors, t)
			c.keep(h, []Tensor{t})
		}
		for k, v := range h.metadata {
			if _, ok := c.metadata[k]; !ok {
				c.metadata[k] = v
			}
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(weights), naturalCompare) {
		if _, ok := found[name]; !ok {
			return errorf(index, "says that tensor %q is in %q, but that file lacks it", name, weights[name])
		}
	}
	return nil
}

// readIndex reads the weight_map of an index.json: the shard of each tensor.
func readIndex(file string) (map[string]string, error) {
	f, size, err := openRegular(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxIndex {
		return nil, errorf(file, "has %d bytes, more than the limit of %d", size, maxIndex)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxIndex))
	if err != nil {
		return nil, FileError(file, err)
	}
	weights, err := parseIndex(text)
	if err != nil {
		return nil, FileError(file, err)
	}
	return weights, nil
}

func parseIndex(text []byte) (map[string]string, error) {
	if len(text) == 0 {
		return nil, fmt.Errorf("is empty")
	}
	if is := lookalike(text[:min(len(text), 512)]); is != "" && text[0] != '{' {
		return nil, fmt.Errorf("%s", is)
	}
	weights := map[string]string{}
	err := readJSON(text, func(r jsonReader, key string) error {
		if key != "weight_map" {
			return r.skip()
		}
		return r.object(func(name string) error {
			shard, err := r.text(fmt.Sprintf("the shard of %q", name))
			if err != nil {
				return err
			}
			if !filepath.IsLocal(filepath.FromSlash(shard)) || strings.ContainsAny(shard, "\x00\\") {
				return fmt.Errorf("places tensor %q in %q, which is not a file inside the folder", name, short(shard))
			}
			weights[name] = pathpkg.Clean(shard) // so that each file is opened once
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if len(weights) == 0 {
		return nil, fmt.Errorf("has no weight_map, or an empty one")
	}
	return weights, nil
}
