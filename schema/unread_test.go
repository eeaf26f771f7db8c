package schema

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnread: a misspelt optional field of a config.json is told with the field that is meant, at its line; one that
// nobody reads, or whose near name is given, is not.
func TestUnread(t *testing.T) {
	config := `{
 "_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 3, "out_channels": 3,
 "block_out_channels": [8, 16], "down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
 "norm_num_groups": 4,
 "layers_per_blok": 1, "unheard_of": 2, "in_channel": 3
}`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(fmt.Sprint(m.Unread), dir, "DIR")
	if want := "[DIR/config.json:5:3: config.layers_per_blok: is a field that the architecture does not read (did you mean layers_per_block?)]"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

// TestRecipeClass: a recipe's config names its architecture by _class_name, as those of diffusers do.
func TestRecipeClass(t *testing.T) {
	const text = `package recipes

import "pipe.dev/schema/train"

run: train.#Recipe & {
	name: "run"
	model: config: {
		"_class_name": "AutoencoderTiny"
		latent_channels: 4
		encoder_block_out_channels: [8, 8]
		decoder_block_out_channels: [8, 8]
		num_encoder_blocks: [1, 1]
		num_decoder_blocks: [1, 1]
		scaling_facter: 1
	}
	data: train: [{files: ["*.safetensors"], format: "columns"}]
	batch: batch: 4
	train: steps: 10
}
`
	d, err := Load("run.cue", Options{Source: map[string][]byte{"run.cue": []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	m := d.Recipe.Model
	if m == nil || m.OutName() != "image" || len(m.Inputs()) < 2 {
		t.Errorf("the model is %+v", m)
	}
	if m != nil && (len(m.Unread) != 1 || m.Unread[0].Hint != "did you mean scaling_factor?" || m.Unread[0].Pos.Line != 14) {
		t.Errorf("told %v", m.Unread)
	}
}
