package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
)

// TestResidentMemory runs a model of 130 MB as a process of its own and
// compares the most memory that it held with what the plan says: at most 5%
// and 64 MB more.
func TestResidentMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 130 MB")
	}
	dir := largeModel(t, 1024, 2816, 5)
	args := func(command string) []string {
		return []string{command, "../../pipelines/complete.cue", "--set", "model=" + dir, "--set", "max_tokens=8", "--set", "prompt=The cat"}
	}
	code, out, errs := pipeCommand(append(args("plan"), "--json")...)
	var plan struct {
		Peak int64 `json:"peak_bytes"`
	}
	if err := json.Unmarshal([]byte(out), &plan); code != 0 || err != nil || plan.Peak < 100e6 {
		t.Fatalf("exit code %d, %v, peak %d: %s", code, err, plan.Peak, errs)
	}
	cmd := pipeProcess(t, args("run")...)
	held := mostHeld(t, cmd)
	if most := plan.Peak*105/100 + 64e6; held > most || held < plan.Peak/2 {
		t.Errorf("held %d bytes; the plan says %d, so at most %d", held, plan.Peak, most)
	}
}

// mostHeld runs a process and returns the most memory that it held, as long as
// it could be asked. What the system reports in the end counts the memory of
// the process that started it, too.
func mostHeld(t *testing.T, cmd *exec.Cmd) (bytes int64) {
	t.Helper()
	var text strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("%v: %s", err, text.String())
			}
			return bytes
		case <-time.After(5 * time.Millisecond):
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			if _, line, ok := strings.Cut(string(status), "VmHWM:"); err == nil && ok {
				var kib int64
				if _, err := fmt.Sscanf(line, "%d kB", &kib); err == nil {
					bytes = kib * 1024
				}
			}
		}
	}
}

// largeModel writes a model folder of random bf16 weights with the golden
// model's tokenizer.
func largeModel(t *testing.T, hidden, inner, layers int) string {
	t.Helper()
	dir, _ := copyModel(t)
	for _, change := range [][2]string{
		{`"hidden_size": 48`, fmt.Sprintf(`"hidden_size": %d`, hidden)},
		{`"intermediate_size": 80`, fmt.Sprintf(`"intermediate_size": %d`, inner)},
		{`"num_hidden_layers": 2`, fmt.Sprintf(`"num_hidden_layers": %d`, layers)},
		{`"head_dim": 12`, fmt.Sprintf(`"head_dim": %d`, hidden/4)},
	} {
		replace(t, dir, "config.json", change[0], change[1])
	}
	r := rand.New(rand.NewPCG(5, 6))
	var list []checkpoint.Data
	add := func(name string, sizes ...int) {
		d := checkpoint.Data{Name: name, Type: ir.T(ir.BF16, sizes...)}
		d.Bytes = make([]byte, d.Type.Bytes())
		for i := 0; i < len(d.Bytes); i += 2 { // between 2^-5 and 2^-3, either sign
			x := r.Uint32()
			d.Bytes[i], d.Bytes[i+1] = byte(x), 0x3D|byte(x>>8)&0x80
		}
		list = append(list, d)
	}
	add("model.embed_tokens.weight", 384, hidden)
	add("model.norm.weight", hidden)
	for i := range layers {
		layer := fmt.Sprintf("model.layers.%d.", i)
		add(layer+"input_layernorm.weight", hidden)
		add(layer+"post_attention_layernorm.weight", hidden)
		for name, rows := range map[string]int{"q": hidden, "k": hidden / 2, "v": hidden / 2, "o": hidden} {
			add(layer+"self_attn."+name+"_proj.weight", rows, hidden)
		}
		add(layer+"mlp.gate_proj.weight", inner, hidden)
		add(layer+"mlp.up_proj.weight", inner, hidden)
		add(layer+"mlp.down_proj.weight", hidden, inner)
	}
	if err := checkpoint.Write(filepath.Join(dir, "model.safetensors"), list, nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "model.safetensors")); err != nil || info.Size() < 100e6 {
		t.Fatalf("%v, %v", info, err)
	}
	return dir
}
