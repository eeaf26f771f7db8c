package schema

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// header reads the shapes in all safetensors files of a folder.
func header(t *testing.T, dir string) map[string][]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "model*.safetensors"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no weights: %v", dir, err)
	}
	shapes := map[string][]int{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var tensors map[string]struct{ Shape []int }
		if err := json.Unmarshal(data[8:8+binary.LittleEndian.Uint64(data)], &tensors); err != nil {
			t.Fatal(err)
		}
		delete(tensors, "__metadata__")
		for name, x := range tensors {
			shapes[name] = x.Shape
		}
	}
	return shapes
}

// expand calls each with every op of a group, stacks expanded.
func expand(g *Group, replace func(string) string, each func(id string, n *Node, replace func(string) string)) {
	for i := range g.Nodes {
		n := &g.Nodes[i]
		switch {
		case n.Group != nil:
			expand(n.Group, replace, each)
		case n.Repeat != nil:
			for k := range n.Repeat.N {
				kind := slices.Sorted(maps.Keys(n.Repeat.Bodies))[0]
				if len(n.Repeat.Kinds) > 0 {
					kind = n.Repeat.Kinds[k%len(n.Repeat.Kinds)]
				}
				expand(n.Repeat.Bodies[kind], func(s string) string {
					return strings.ReplaceAll(replace(s), "{i}", strconv.Itoa(k))
				}, each)
			}
		default:
			each(replace(n.ID), n, replace)
		}
	}
}

func same(s string) string { return s }

// weights are the names of the tensors that a model wants, and their first size.
func weights(m *Model) map[string]int {
	out := map[string]int{}
	number := func(n *Node, field string) int {
		x, _ := n.Fields[field].(json.Number)
		i, _ := strconv.Atoi(x.String())
		return i
	}
	expand(&m.Group, same, func(_ string, n *Node, replace func(string) string) {
		prefix := replace(n.Param)
		if n.Tied != "" {
			return
		}
		switch n.Op {
		case "linear":
			out[prefix+".weight"] = number(n, "out_features")
			if n.Fields["transpose"] == true {
				out[prefix+".weight"] = 0 // as x
			}
			if n.Fields["bias"] == true {
				out[prefix+".bias"] = number(n, "out_features")
			}
		case "embedding":
			out[prefix+".weight"] = number(n, "vocab")
		case "expert_linear":
			for e := range number(n, "experts") {
				out[strings.ReplaceAll(prefix, "{e}", strconv.Itoa(e))+".weight"] = number(n, "out_features")
			}
		case "parameter":
			out[prefix+"."+fmt.Sprint(n.Fields["name"])] = 0
		case "rms_norm", "latent_attention":
			out[prefix+".weight"] = 0 // as x
		case "layer_norm":
			out[prefix+".weight"], out[prefix+".bias"] = 0, 0
		}
	})
	return out
}

// grouped is the shapes of a checkpoint, in which the four tensors of a matrix in
// GPTQ's layout are that matrix.
func grouped(have map[string][]int) map[string][]int {
	for name, shape := range maps.Clone(have) {
		base, ok := strings.CutSuffix(name, ".qweight")
		if !ok {
			continue
		}
		for _, part := range []string{".qweight", ".qzeros", ".scales", ".g_idx"} {
			delete(have, base+part)
		}
		have[base+".weight"] = []int{shape[1], 8 * shape[0]}
	}
	return have
}

// The weights that an architecture wants are those of real checkpoints, by
// name and first size, and every token names a node.
func TestLoadModelWeights(t *testing.T) {
	dirs, err := filepath.Glob(golden + "arch/*")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no models", err)
	}
	for _, dir := range dirs {
		m, err := LoadModel(dir)
		if err != nil {
			t.Error(err)
			continue
		}
		have := grouped(header(t, dir))
		for name, size := range weights(m) {
			shape, ok := have[name]
			if !ok {
				t.Errorf("%s: wants %s, which is not there", dir, name)
			} else if size != 0 && shape[0] != size {
				t.Errorf("%s: %s has size %d, wanted %d", dir, name, shape[0], size)
			}
			delete(have, name)
		}
		for name := range have {
			if strings.HasSuffix(name, "_scale_inv") {
				continue // belongs to a quantised weight
			}
			if !slices.ContainsFunc(m.Ignore, func(p string) bool { ok, _ := path.Match(p, name); return ok }) {
				t.Errorf("%s: nothing wants %s", dir, name)
			}
		}
		c, err := newCatalog(nil)
		if err != nil {
			t.Fatal(err)
		}
		if errs := checkModel(m, c); len(errs) > 0 {
			t.Error(errs)
		}
		if m.Context < 64 || m.Context > 128 || m.Name != filepath.Base(dir) {
			t.Errorf("%s: context %d, name %s", dir, m.Context, m.Name)
		}
	}
}

// Both spellings of config.json give the same model.
func TestLoadModelClassic(t *testing.T) {
	files, err := filepath.Glob(golden + "arch/*/config.classic.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := LoadModel(filepath.Dir(file))
		if err != nil {
			t.Fatal(err)
		}
		have := configure(t, string(data))
		a, _ := json.Marshal(have.Group)
		b, _ := json.Marshal(want.Group)
		if string(a) != string(b) {
			t.Errorf("%s differs from config.json:\n%s\n%s", file, a, b)
		}
		if have.Context != want.Context || !reflect.DeepEqual(have.Ignore, want.Ignore) {
			t.Errorf("%s: %d %q, want %d %q", file, have.Context, have.Ignore, want.Context, want.Ignore)
		}
	}
}
