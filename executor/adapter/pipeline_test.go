package adapter

import (
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
)

// partFile writes a file of adapters: two layers of a model in the folder "unet",
// with some tensors changed or added.
func partFile(t *testing.T, change map[string][]int, metadata map[string]string) string {
	t.Helper()
	shapes := map[string][]int{"unet.mid.attn.to_q.lora_A.weight": {2, 6}, "unet.mid.attn.to_q.lora_B.weight": {8, 2},
		"unet.mid.conv.lora_A.weight": {2, 3, 3, 3}, "unet.mid.conv.lora_B.weight": {4, 2, 1, 1}, "text_encoder.x.lora_A.weight": {1, 1}}
	maps.Copy(shapes, change)
	var list []checkpoint.Data
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		x := ir.T(ir.F32, shapes[name]...)
		list = append(list, checkpoint.Data{Name: name, Type: x, Bytes: make([]byte, x.Bytes())})
	}
	file := filepath.Join(t.TempDir(), "lora.safetensors")
	if err := checkpoint.Replace(file, func(w io.Writer) error { return checkpoint.Encode(w, list, metadata) }); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestOpenPart reads ranks and factors, by the metadata, and wants one line for
// each way in which tensors are none of the model's.
func TestOpenPart(t *testing.T) {
	layers := []string{"mid.attn.to_q", "mid.attn.to_out.0", "mid.conv"}
	open := func(change map[string][]int, metadata string) (*Adapter, error) {
		return OpenPart(partFile(t, change, map[string]string{metadataKey: metadata}), "unet", layers, nil, nil)
	}
	for metadata, want := range map[string]float64{`{}`: 1, `{"unet.r": 2, "unet.lora_alpha": 3}`: 1.5, `{"unet.r": 2, "unet.lora_alpha": 3, "unet.use_rslora": true}`: 2.1213203435596424,
		`{"unet.r": 2, "unet.lora_alpha": 3, "unet.alpha_pattern": {"to_q": 8}}`: 4} {
		a, err := open(nil, metadata)
		if err != nil {
			t.Fatal(err)
		}
		if l, ok := a.Layer("mid.attn.to_q"); !ok || l != (Layer{Path: "mid.attn.to_q", Rank: 2, In: 6, Out: 8, Scale: want}) {
			t.Errorf("%s: %+v", metadata, l)
		}
		if l, ok := a.Layer("mid.conv"); !ok || l.In != 27 || l.Out != 4 {
			t.Errorf("%+v", l)
		}
		if path, ok := a.LayerOf("unet.mid.conv.lora_B.weight"); !ok || path != "mid.conv" {
			t.Error(path, ok)
		}
		if _, ok := a.LayerOf("text_encoder.x.lora_A.weight"); ok {
			t.Error("a tensor of another model is one of this")
		}
		a.Close()
	}
	if a, err := OpenPart(partFile(t, nil, nil), "vae", layers, nil, nil); a != nil || err != nil {
		t.Errorf("%v, %v: the file has nothing for that model", a, err)
	}
	for want, change := range map[string]map[string][]int{
		`tensor "unet.mid.attn.to_p.lora_A.weight" adapts mid.attn.to_p, which is no layer of unet: did you mean mid.attn.to_q?`: {"unet.mid.attn.to_p.lora_A.weight": {2, 6}},
		`mid.attn.to_q: lora_A [3 6] and lora_B [8 2] are no factors of a weight`:                                                {"unet.mid.attn.to_q.lora_A.weight": {3, 6}},
		`mid.conv: lora_A [2 3 3 3] and lora_B [4 2] are no factors of a weight`:                                                 {"unet.mid.conv.lora_B.weight": {4, 2}},
		`mid.attn.to_out.0 lacks lora_A or lora_B`:                                                                               {"unet.mid.attn.processor.to_out_lora.up.weight": {8, 2}},
		`tensor "unet.mid.conv.hada_w1_a" is none of a low-rank adapter`:                                                         {"unet.mid.conv.hada_w1_a": {1}},
		`tensor "unet.mid.conv.alpha" has shape [2], want one number`:                                                            {"unet.mid.conv.alpha": {2}},
		`tensors "lora_unet_mid_conv.lora_down.weight" and "unet.mid.conv.lora_A.weight" are both of mid.conv`:                   {"lora_unet_mid_conv.lora_down.weight": {2, 3, 3, 3}},
		`mid.conv: the adapter of a convolution has a magnitude`:                                                                 {"unet.mid.conv.lora_magnitude_vector": {4}},
	} {
		if _, err := open(change, `{}`); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := open(nil, `{"unet.r": "two"}`); err == nil || !strings.Contains(err.Error(), "lora.safetensors: metadata") {
		t.Errorf("bad metadata: %v", err)
	}
}
