package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mistake is a wrong recipe, and what is said of it: FILE:LINE:COL stands for
// the text that at begins with.
type mistake struct {
	change []string
	code   int
	at     string // in the changed recipe; "" if want names a file itself
	want   string
}

// told is the whole line.
func (m mistake) told(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(text), m.at)
	switch {
	case m.at == "":
		return m.want + "\n"
	case !ok:
		t.Fatalf("the recipe has no %q", m.at)
	}
	line, col := 1+strings.Count(before, "\n"), len(before)-strings.LastIndex(before, "\n")
	return fmt.Sprintf("%s:%d:%d: %s\n", file, line, col, m.want)
}

// testMistakes checks that each of the commands refuses each recipe with its
// code, one line, and nothing on stdout.
func testMistakes(t *testing.T, commands []string, mistakes []mistake) {
	t.Helper()
	for _, m := range mistakes {
		file := tinyRecipe(t, m.change...)
		want := m.told(t, file)
		for _, command := range commands {
			args := []string{command, file, "--quiet"}
			if command != "check" {
				args = append(args, "--runs", t.TempDir())
			}
			code, out, errs := pipeCommand(args...)
			if code != m.code || out != "" || errs != want {
				t.Errorf("pipe %s: exit code %d, want %d:\nhave %swant %s%s", command, code, m.code, errs, want, out[:min(len(out), 200)])
			}
		}
	}
}

// TestRecipeMistakes are those that the document alone shows.
func TestRecipeMistakes(t *testing.T) {
	t.Parallel()
	const linear = "(there are model.layers.*.self_attn.q_proj, model.layers.*.self_attn.k_proj, model.layers.*.self_attn.v_proj, " +
		"model.layers.*.self_attn.o_proj, model.layers.*.mlp.gate_proj, model.layers.*.mlp.up_proj, model.layers.*.mlp.down_proj)"
	add := func(text string) []string { return []string{"\tdata: {", "\t" + text + "\n\tdata: {"} }
	testMistakes(t, []string{"check", "plan", "run"}, []mistake{
		{add(`model: freeze: ["*.embd_tokens.*", "*.norm.*"]`), exitDocument, `"*.embd`,
			`model.freeze.0: "*.embd_tokens.*" matches no weight of the model (did you mean model.embed_tokens.weight?)`},
		{add(`model: freeze: ["*"]`), exitDocument, `["*"]`, `model.freeze: leaves no weight that is trained`},
		{add(`model: {adapter: {}, freeze: ["*.norm.*"]}`), exitDocument, `["*.norm`,
			`model.freeze: has no meaning beside model.adapter, which leaves all weights of the model as they are`},
		{add(`model: adapter: targets: ["q_proj", "kproj"]`), exitDocument, `"kproj"`,
			`model.adapter.targets.1: "kproj" is no linear layer of the model (did you mean model.layers.*.self_attn.k_proj?)`},
		{add(`model: adapter: targets: ["zzz"]`), exitDocument, `"zzz"`, `model.adapter.targets.0: "zzz" is no linear layer of the model ` + linear},
		{add(`decay: [{pattern: "*.nrm.*", decay: false}]`), exitDocument, `"*.nrm`,
			`decay.0.pattern: "*.nrm.*" matches no weight that is trained (did you mean model.norm.weight?)`},
		{add(`model: adapter: {}` + "\n\t" + `decay: [{pattern: "*.norm.*", decay: false}]`), exitDocument, `"*.norm`,
			`decay.0.pattern: "*.norm.*" matches no weight that is trained (there are model.layers.*.self_attn.q_proj.lora_A.weight, ` +
				`model.layers.*.self_attn.q_proj.lora_B.weight, model.layers.*.self_attn.k_proj.lora_A.weight, model.layers.*.self_attn.k_proj.lora_B.weight, ` +
				`model.layers.*.self_attn.v_proj.lora_A.weight, model.layers.*.self_attn.v_proj.lora_B.weight, model.layers.*.self_attn.o_proj.lora_A.weight, ` +
				`model.layers.*.self_attn.o_proj.lora_B.weight, model.layers.*.mlp.gate_proj.lora_A.weight, model.layers.*.mlp.gate_proj.lora_B.weight, ` +
				`model.layers.*.mlp.up_proj.lora_A.weight, model.layers.*.mlp.up_proj.lora_B.weight, model.layers.*.mlp.down_proj.lora_A.weight, ` +
				`model.layers.*.mlp.down_proj.lora_B.weight)`},
		{[]string{"seq: 24", "seq: 64"}, exitDocument, "64, order", `batch.seq: is 64, and the model has 32 positions (max_position_embeddings)`},
		{[]string{`kind: "text"`, `fields: {body: "b"}`}, exitDocument, `{body`, `data.train.0.fields: format text has no field body, it has text`},
		{[]string{`{name: "adamw"`, `{name: "sgd", nesterov: true, momentum: 0`}, exitDocument, `{name: "sgd"`,
			`optimizer: sgd: nesterov needs momentum above 0 and dampening 0, have 0 and 0`},
		{add(`objective: name: "dpo"`), exitDocument, `{files`, `data.train.0.format: is "text", and dpo compares two answers to a question (want format: "preference")`},
		{[]string{`kind: "text"`, `format: "preference"`}, exitDocument, `"preference"`,
			`data.train.0.format: is "preference", whose rows are pairs, and cross_entropy takes each answer alone (want objective: name: "dpo")`},
		{add(`objective: name: "mse"`), exitDocument, `name: "mse"`, `objective: mse lacks targets, what the output should be (give inputs: targets, a token of the model or a number)`},
		{[]string{"hidden_size:             32", ""}, exitDocument, "config: {", `model.config.hidden_size: is missing`},
		{[]string{"hidden_size:             32", "hidden_size: 30", "num_attention_heads:     2", "num_attention_heads: 4"}, exitDocument, "num_attention_heads: 4",
			`model.config.num_attention_heads: 4 does not divide hidden_size 30`},
	})
}

// TestDataMistakes are those that show once the data are read, before a step.
func TestDataMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	short := filepath.Join(dir, "short.txt")
	if err := os.WriteFile(short, []byte("a\nb\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	testMistakes(t, []string{"plan", "run"}, []mistake{
		{[]string{"vocab_size:              96", "vocab_size: 8"}, exitDocument, "8\n", `model.config.vocab_size: is 8, but the data need 76`},
		{[]string{"{batch: 4", "{epochs: 1, batch: 4", `order: "random"`, `order: "file"`, "steps: 60", "steps: 6000"}, exitDocument, "6000",
			`train.steps: is 6000, and the data end after 107 with batch.epochs: 1 (batch.epochs: 0 goes through the data without end)`},
		{[]string{"validation: 0.1", "validation: 0.9999"}, exitData, "", "../../LICENSE: has 1 tokens, a window of 24 needs one more than that"},
		{[]string{"validation: 0.1", `document: "line", validation: 0.9999`}, exitDocument, "0.9999", "data.train.0.validation: leaves nothing to train on of 11156 tokens"},
		{[]string{"validation: 0.1", "validation: 0.00001"}, exitData, "",
			"../../LICENSE: what is kept for evaluation has 1 tokens, a window of 24 needs one more than that"},
		{[]string{"../../LICENSE", short, "validation: 0.1", `document: "line"`, `rows: "window"`, `rows: "pad"`, "eval: {every: 30, batches: 4}", ""},
			exitData, "", short + ": none of its 2 documents has two tokens"},
	})
}

// TestTold are what a recipe may do, but hardly means to: a warning, with its
// place.
func TestTold(t *testing.T) {
	t.Parallel()
	for want, change := range map[string][]string{
		"schedule.warmup_steps: in 60 steps, the learning rate does not exceed 0.000354, of 0.003":           {"warmup_steps: 5", "warmup_steps: 500"},
		"eval.every: is 30, but there is no data for evaluation, so that there is none (give data.eval, or ": {", validation: 0.1", ""},
	} {
		code, out, errs := pipeCommand("check", tinyRecipe(t, change...))
		if code != 0 || !strings.HasPrefix(out, "ok ") || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, want) {
			t.Errorf("exit code %d, want %q: %s%s", code, want, errs, out)
		}
	}
	if code, _, errs := pipeCommand("check", tinyRecipe(t)); code != 0 || errs != "" {
		t.Errorf("of a recipe without fault, exit code %d: %s", code, errs)
	}
}
