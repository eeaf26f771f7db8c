package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"pipe.dev/executor/learn"
	"pipe.dev/executor/pace"
	"pipe.dev/kernels"
	"pipe.dev/kernels/bench"
)

func TestKernelsReport(t *testing.T) {
	l := kernels.Limits{FLOPs: 200e9, ByteOPs: 800e9, Read: 30e9, Copy: 24e9, Triad: 27e9, Threads: 3, With: "avx9"}
	r := kernelsReport{Device: "cpu", Tier: l.With, Threads: l.Threads, Peak: 200, PeakBytes: 800, Bandwidth: bandwidths{30, 24, 27}, limits: l}
	r.add(bench.Result{Case: &bench.Case{Op: "linear", Case: "large", Type: "f32", FLOPs: 3e9, Read: 10e6, Written: 2e6}, Seconds: bench.Summary{Median: 0.02, Least: 0.01, Spread: 0.05, Runs: 7}})
	r.add(bench.Result{Case: &bench.Case{Op: "act", Case: "large", Type: "f16", FLOPs: 6e6, Read: 6e6, Written: 6e6}, Seconds: bench.Summary{Median: 0.001, Least: 0.001, Runs: 3}})
	r.add(bench.Result{Case: &bench.Case{Op: "linear", Case: "large", Type: "q4_k", FLOPs: 3e9, Read: 10e6, Written: 2e6, Bytes: true}, Seconds: bench.Summary{Median: 0.01, Least: 0.01, Runs: 3}})
	want := `cpu, 3 threads: at most 200.0 GFLOP/s of multiply-adds and 800.0 GOP/s of bytes (avx9); memory 30.0 GB/s read, 24.0 copied, 27.0 triad

op/case/type           time  spread   GFLOP/s   peak     GB/s memory  limit   share
linear/large/f32       20ms    5.0%     150.0  75.0%      0.6     2%  compute   75%
act/large/f16           1ms    0.0%       6.0   3.0%     12.0    50%  memory    50%
linear/large/q4_k      10ms    0.0%     300.0  37.5%      1.2     4%  compute   38%
`
	if got := r.text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What an interruption left is written, and the command says that there was one.
func TestBenchReport(t *testing.T) {
	s := bench.Summary{Median: 0.25, Least: 0.125, Spread: 0.5, Runs: 3}
	text := &pace.Text{Context: 100, First: 8, Cold: s, Warm: s, Prompts: []pace.Prompt{{Tokens: 8, Seconds: s}}, Past: 8, Tokens: 4}
	r := benchReport{Document: "a.cue", Name: "a", Device: "cpu", Memory: memoryUse{Predicted: 1 << 20, Resident: 1 << 21, Most: 1 << 22},
		Models: []modelBench{textBench("models.m", text)}}
	var out bytes.Buffer
	if err := r.end(newConsole(nil, &out, &out), true, context.Canceled); exitCode(err) != exitInterrupted {
		t.Errorf("error %v", err)
	}
	var got struct {
		Memory struct {
			Predicted int64 `json:"predicted_bytes"`
		}
		Models []struct {
			Cold    *timing `json:"first_token_cold"`
			Prefill []struct {
				Tokens int
				Speed  float64 `json:"tokens_per_second"`
				Runs   int
			}
			Decode *decodeBench
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	m := got.Models[0]
	if got.Memory.Predicted != 1<<20 || m.Cold == nil || m.Cold.Median != 0.25 || len(m.Prefill) != 1 || m.Prefill[0].Speed != 32 || m.Prefill[0].Runs != 3 || m.Decode != nil {
		t.Errorf("%s", out.String())
	}
	r.Models, r.Training = nil, trainBench(&learn.Tried{Steps: []float64{2, 2, 2}, Trained: 10, Unit: "examples", Evals: []float64{1}})
	out.Reset()
	if err := r.end(newConsole(nil, &out, &out), false, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"memory predicted 1.0MiB, resident 2.0MiB, at most 4.0MiB\n",
		"step                               2s         2s    0.0%     3  5 examples/s\n",
		"batch of an evaluation             1s         1s    0.0%     1  \n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	// Before anything is measured there is nothing to write.
	r.Training, r.Models = nil, []modelBench{{}}
	out.Reset()
	if err := r.end(newConsole(nil, &out, &out), true, context.Canceled); exitCode(err) != exitInterrupted || out.Len() > 0 {
		t.Errorf("error %v, output %s", err, out.String())
	}
}
