package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pipe.dev/executor/journal"
)

// tinyRecipe trains a small model on the characters of the licence.
func tinyRecipe(t *testing.T, change ...string) string {
	t.Helper()
	text := `package recipes

import "pipe.dev/schema/train"

tiny: train.#Recipe & {
	name: "tiny"
	model: config: {
		model_type:              "llama"
		vocab_size:              96
		hidden_size:             32
		intermediate_size:       64
		num_hidden_layers:       2
		num_attention_heads:     2
		max_position_embeddings: 32
		tie_word_embeddings:     true
	}
	data: {
		train: [{files: ["../../LICENSE"], kind: "text", validation: 0.1}]
		tokenizer: "characters"
	}
	batch: {batch: 4, seq: 24, order: "random", rows: "window"}
	optimizer: {name: "adamw", lr: 3e-3}
	schedule: {name: "cosine", warmup_steps: 5}
	train: {steps: 60, clip_norm: 1, log_every: 5}
	eval: {every: 30, batches: 4}
	save: {every: 10, keep: 2}
}
`
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(text, change[i]) {
			t.Fatalf("the recipe has no %q", change[i])
		}
		text = strings.Replace(text, change[i], change[i+1], 1)
	}
	file := filepath.Join(t.TempDir(), "tiny.cue")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// trained is what a finished run printed.
type trained struct {
	Run   string  `json:"run"`
	Model string  `json:"model"`
	Steps int     `json:"steps"`
	Loss  float64 `json:"loss"`
	Eval  float64 `json:"eval_loss"`
}

// train runs a recipe. Tests run beside each other, so each has one thread, unless its flags say another number; and no time
// is spent on predicting time, which --quiet leaves out.
func train(t *testing.T, file, runs string, flags ...string) trained {
	t.Helper()
	code, out, errs := pipeCommand(append([]string{"run", file, "--runs", runs, "--json", "--quiet", "--threads", "1"}, flags...)...)
	var r trained
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, errs)
	}
	return r
}

func weightsOf(t *testing.T, r string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r, "model", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestTrain checks that a run learns, that it has the same bits with any number
// of threads, that its folder holds what it should, and that the model runs.
func TestTrain(t *testing.T) {
	t.Parallel()
	file := tinyRecipe(t)
	a := train(t, file, t.TempDir(), "--threads", "1")
	b := train(t, file, t.TempDir(), "--threads", "3")
	if !bytes.Equal(weightsOf(t, a.Run), weightsOf(t, b.Run)) {
		t.Error("one thread and three give different weights")
	}
	if a.Steps != 60 || a.Loss > 3.2 || a.Eval > 3.3 || a.Loss != b.Loss {
		t.Errorf("%+v: want 60 steps that learn something", a)
	}
	for _, name := range []string{"resolved.cue", "plan-step.txt", "plan-evaluate.txt", "run.json", "metrics.jsonl", "plots/loss.png",
		"checkpoints/step-00000060/model.safetensors", "checkpoints/step-00000060/optimizer.safetensors", "model/config.json", "model/tokenizer.json"} {
		if info, err := os.Stat(filepath.Join(a.Run, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, _ := filepath.Glob(filepath.Join(a.Run, "checkpoints", "step-*")); len(list) != 2 {
		t.Errorf("%d checkpoints stay, want 2: %v", len(list), list)
	}
	code, out, errs := pipeCommand("run", "../../pipelines/complete.cue", "--quiet", "--set", "model="+a.Model,
		"--set", "prompt=the ", "--set", "max_tokens=10", "--set", "temperature=0")
	if code != 0 || len([]rune(strings.TrimSuffix(out, "\n"))) != 10 {
		t.Errorf("the trained model says %q: exit code %d, %s", out, code, errs)
	}
	code, _, errs = pipeCommand("run", "../../pipelines/complete.cue", "--set", "model="+a.Model, "--set", "prompt=the ñ ☃", "--set", "max_tokens=1")
	if code != 0 || !strings.Contains(errs, "has no token for 'ñ', '☃': left out of the text") {
		t.Errorf("a prompt with unknown characters: exit code %d, %s", code, errs)
	}
	code, _, errs = pipeCommand("run", file, "--runs", filepath.Dir(a.Run))
	if code != exitUsage || !strings.Contains(errs, "this run is finished") {
		t.Errorf("a second run of the same document: exit code %d, %s", code, errs)
	}
}

// plain is a finished run of the recipe as it is, which several tests compare with.
type plain struct {
	trained
	weights []byte
}

var plainRun struct {
	once sync.Once
	plain
}

func plainOf(t *testing.T) plain {
	t.Helper()
	plainRun.once.Do(func() {
		r := train(t, tinyRecipe(t), t.TempDir())
		plainRun.plain = plain{r, weightsOf(t, r.Run)}
	})
	if plainRun.weights == nil {
		t.Fatal("the run to compare with has failed")
	}
	return plainRun.plain
}

// TestTrainKilled kills a run again and again, at any moment, and takes it up
// each time: the weights are those of a run that never stopped.
func TestTrainKilled(t *testing.T) {
	t.Parallel()
	t.Run("f32", func(t *testing.T) { killed(t, tinyRecipe(t), plainOf(t)) })
	t.Run("f16", func(t *testing.T) { // with a loss scale that falls and grows, averages, and an adapter with dropout
		file := tinyRecipe(t, "model: config: {", "model: adapter: {rank: 2, alpha: 4, dropout: 0.2, dora: true}\n\tmodel: config: {", "steps: 60", "steps: 30, accumulate: 2", "eval: {every: 30", `precision: "f16", loss_scale: {init: 1e8, interval: 4}, ema: decay: 0.9
	eval: {every: 15`, "every: 10, keep", "every: 3, keep")
		r := train(t, file, t.TempDir())
		killed(t, file, plain{r, weightsOf(t, r.Run)})
	})
}

// killed takes up a run until it ends. Each process is killed a moment after so many rows of its metrics were written, be
// the machine fast or slow: the first before any, the last one beside the last step and what follows it.
func killed(t *testing.T, file string, want plain) {
	runs := t.TempDir()
	for kill, rows := range []int{0, 1, 2, 1, 2, atEnd, -1} {
		cmd := pipeProcess(t, "run", file, "--runs", runs, "--json", "--quiet", "--threads", "1")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if rows >= 0 {
			go killAfter(cmd, runs, rows, want.Steps, ended)
		}
		err := <-ended
		ended <- err // the killer looks there, too
		var r trained
		folder, _, finished := strings.Cut(errs.String(), ": this run is finished")
		switch {
		case finished: // killed after its last act
			r = want.trained
			r.Run = folder
		case err != nil && cmd.ProcessState.ExitCode() < 0 && rows >= 0:
			continue
		case err != nil || json.Unmarshal(out.Bytes(), &r) != nil:
			t.Fatalf("after %d kills: %v: %s", kill, err, &errs)
		}
		if !bytes.Equal(weightsOf(t, r.Run), want.weights) || r.Loss != want.Loss || r.Eval != want.Eval {
			t.Errorf("after %d kills the run ends with other weights: %+v, want %+v", kill, r, want.trained)
		}
		if kill < 5 {
			t.Errorf("the run has ended after %d kills", kill)
		}
		return
	}
	t.Fatal("the run never ends")
}

// atEnd stands for as many rows as there are.
const atEnd = 1 << 20

// killAfter kills a run up to 30 ms after the last step, or so many rows of its metrics more than there were. It does
// nothing once the run has ended.
func killAfter(cmd *exec.Cmd, runs string, rows, last int, ended chan error) {
	final := fmt.Appendf(nil, `"step":%d,`, last)
	if rows == 0 {
		time.Sleep(100 * time.Millisecond)
	}
	for before, seen := -1, 0; seen < rows; time.Sleep(time.Millisecond) {
		if len(ended) > 0 {
			return
		}
		files, _ := filepath.Glob(filepath.Join(runs, "tiny-*", "metrics.jsonl"))
		if len(files) == 0 {
			before = 0
			continue
		}
		text, _ := os.ReadFile(files[0])
		n := bytes.Count(text, []byte("\n"))
		if before >= 0 {
			seen += max(0, n-before)
		}
		if before = n; bytes.Contains(text, final) {
			break
		}
	}
	time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
	cmd.Process.Kill()
}

// TestTrainInterrupted checks that an interrupted run saves, exits with 130,
// and goes on where it was.
func TestTrainInterrupted(t *testing.T) {
	file := tinyRecipe(t, "steps: 60", "steps: 100000", "every: 10, keep", "every: 0, keep")
	runs := t.TempDir()
	cmd := pipeProcess(t, "run", file, "--runs", runs)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1<<16)
	for seen := ""; !strings.Contains(seen, "step=5/"); {
		n, err := stderr.Read(buffer)
		if err != nil {
			t.Fatalf("%v: %s", err, seen)
		}
		seen += string(buffer[:n])
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := stderr.Read(buffer); err != nil {
			break
		}
	}
	err = cmd.Wait()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != exitInterrupted {
		t.Fatalf("got %v, want exit code %d", err, exitInterrupted)
	}
	if list, _ := filepath.Glob(filepath.Join(runs, "tiny-*", "checkpoints", "step-*", "model.safetensors")); len(list) != 1 {
		t.Errorf("%d checkpoints, want the one of the interrupt", len(list))
	}
}

// TestTrainMistakes checks what goes wrong in a run: exit codes, one line each.
func TestTrainMistakes(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		code   int
		change []string
	}{
		"vocab_size: is 8, but the data need":                        {exitDocument, []string{"vocab_size:              96", "vocab_size: 8"}},
		"nowhere.txt: no such file":                                  {exitData, []string{"../../LICENSE", "nowhere.txt"}},
		"is NaN or infinite":                                         {exitNumeric, []string{"lr: 3e-3", "lr: 10", "clip_norm: 1", "clip_norm: 0", "steps: 60", "steps: 2000", "{name: \"adamw\"", "{name: \"sgd\""}},
		`data.tokenizer: is "model"`:                                 {exitDocument, []string{`tokenizer: "characters"`, `tokenizer: "model"`}},
		"optimizer.name: want one of":                                {exitDocument, []string{"adamw", "adamm"}},
		"num_attention_heads":                                        {exitDocument, []string{"num_attention_heads:     2", "num_attention_heads: 3"}},
		"model.config.hidden_size: want a whole number, have \"32\"": {exitDocument, []string{"hidden_size:             32", `hidden_size: "32"`}},
	} {
		code, out, errs := pipeCommand("run", tinyRecipe(t, c.change...), "--runs", t.TempDir(), "--quiet")
		if code != c.code || !strings.Contains(errs, want) || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("want exit code %d and %q, have %d: %s", c.code, want, code, errs)
		}
	}
	code, _, errs := pipeCommand("run", tinyRecipe(t), "--runs", t.TempDir(), "--mem", "100KiB")
	if code != exitFit || !strings.Contains(errs, "--mem") {
		t.Errorf("with little memory: exit code %d: %s", code, errs)
	}
}

// TestTrainPeak checks that the plan's peak is what a run allocates.
func TestTrainPeak(t *testing.T) {
	file := tinyRecipe(t)
	code, out, errs := pipeCommand("plan", file, "--json", "--runs", t.TempDir())
	var plan struct {
		Peak int64 `json:"peak_bytes"`
	}
	if err := json.Unmarshal([]byte(out), &plan); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, errs)
	}
	r := train(t, file, t.TempDir())
	rows, err := os.ReadFile(filepath.Join(r.Run, "metrics.jsonl"))
	if err != nil || !bytes.Contains(rows, fmt.Appendf(nil, `"memory":%d`, plan.Peak)) {
		t.Errorf("the plan says %d bytes, the run: %v %s", plan.Peak, err, rows[:min(300, len(rows))])
	}
}

// TestGradientNorms checks that rows have the norms of layers, which make that
// of all together, that TensorBoard gets them and the distributions, and that
// those of gradients change nothing of what is learnt.
func TestGradientNorms(t *testing.T) {
	t.Parallel()
	file := tinyRecipe(t)
	var weights [][]byte
	for _, kind := range []string{"weights", "gradients", "none"} {
		r := train(t, file, t.TempDir(), "--set", "train.histograms="+kind, "--set", "train.steps=12", "--set", "train.clip_norm=0.1")
		weights = append(weights, weightsOf(t, r.Run))
		rows, err := journal.ReadMetrics(r.Run)
		if err != nil || len(rows) != 4 { // 1, 5, 10, 12
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, row := range rows {
			var sum float64
			for _, x := range row.Norms {
				sum += x * x
			}
			if want := row.Values[journal.GradNorm]; len(row.Norms) != 1+2*9+1 || math.Abs(math.Sqrt(sum)-want) > 1e-5*want || want < 0.1 {
				t.Errorf("step %d: %d norms, together %v, want %v", row.Step, len(row.Norms), math.Sqrt(sum), want)
			}
		}
		events, err := filepath.Glob(filepath.Join(r.Run, "events.*"))
		if err != nil || len(events) != 1 {
			t.Fatal(events, err)
		}
		data, err := os.ReadFile(events[0])
		if err != nil {
			t.Fatal(err)
		}
		for tag, want := range map[string]bool{
			"grad_norm/model.layers.1.mlp.up_proj":            true,
			"weights/model.layers.1.mlp.up_proj.weight":       kind != "none",
			"gradients/model.layers.0.input_layernorm.weight": kind == "gradients",
		} {
			if bytes.Contains(data, []byte(tag)) != want {
				t.Errorf("histograms: %s: the events have %s: %v, want %v", kind, tag, !want, want)
			}
		}
		if _, err := os.Stat(filepath.Join(r.Run, "plots", "grad_norm_layers.png")); err != nil {
			t.Error(err)
		}
	}
	if !bytes.Equal(weights[0], weights[1]) || !bytes.Equal(weights[0], weights[2]) {
		t.Error("looking at the run has changed it")
	}
}
