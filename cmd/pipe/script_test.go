package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"pipe.dev/kernels/cuda/emulator"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pipe": main})
}

// TestScript runs testdata/script/*.txtar. Besides testscript's own commands
// there are those of scriptCommands; $ROOT is the repository, $DATA the folder
// of real weights, for scripts that begin with [!data] skip; [emulated] says that
// there is a device for --device cuda.
func TestScript(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	data := os.Getenv("PIPE_DATA")
	if data == "" {
		data = filepath.Join(root, "..", "shared", "data")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "testdata", "script"),
		Cmds:                scriptCommands,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("ROOT", root)
			e.Setenv("DATA", data)
			e.Setenv("HOME", filepath.Join(e.WorkDir, ".home"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, ".cache"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "data" {
				_, err := os.Stat(data)
				return err == nil, nil
			}
			if cond == "emulated" { // or on a device
				_, err := exec.LookPath("g++")
				return err == nil || *device, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

var device = flag.Bool("device", false, "scripts run on the CUDA driver that the machine has, and not in the emulator")

// emulate makes an emulator the CUDA driver of the commands that follow.
func emulate(ts *testscript.TestScript, neg bool, args []string) {
	if *device {
		for _, name := range []string{"LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"} {
			if v, ok := os.LookupEnv(name); ok { // an empty one hides all devices
				ts.Setenv(name, v)
			}
		}
		home, _ := os.UserHomeDir() // what the driver compiled is kept there
		ts.Setenv("CUDA_CACHE_PATH", filepath.Join(home, ".nv", "ComputeCache"))
		return
	}
	path, err := emulator.Build("../../kernels/cuda")
	ts.Check(err)
	ts.Setenv("LD_LIBRARY_PATH", filepath.Dir(path))
}

// alike FILE FILE N checks that two WAV files of 16-bit samples are as long, and differ by N of 65536 steps at most.
func alike(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: alike FILE FILE N")
	}
	const header = 44
	a, b := []byte(ts.ReadFile(args[0])), []byte(ts.ReadFile(args[1]))
	most, err := strconv.Atoi(args[2])
	ts.Check(err)
	if len(a) != len(b) || len(a) <= header {
		ts.Fatalf("%d and %d bytes", len(a), len(b))
	}
	loud := 0
	for i := header; i+1 < len(a); i += 2 {
		x, y := int(int16(binary.LittleEndian.Uint16(a[i:]))), int(int16(binary.LittleEndian.Uint16(b[i:])))
		if loud = max(loud, x, -x); max(x-y, y-x) > most {
			ts.Fatalf("sample %d is %d and %d", (i-header)/2, x, y)
		}
	}
	if loud <= 10*most {
		ts.Fatalf("the loudest sample is %d: too silent to say", loud)
	}
}

// learnalike FOLDER FOLDER N checks that the one run in each of two folders has as many rows of metrics, whose losses and
// gradients' norms differ by a share of N at most.
func learnalike(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: learnalike FOLDER FOLDER N")
	}
	most, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	var rows [2][]string
	for i := range rows {
		found, err := filepath.Glob(filepath.Join(ts.MkAbs(args[i]), "*", "metrics.jsonl"))
		ts.Check(err)
		if len(found) != 1 {
			ts.Fatalf("%s has %d runs, want 1", args[i], len(found))
		}
		rows[i] = strings.Split(strings.TrimSpace(ts.ReadFile(found[0])), "\n")
	}
	if len(rows[0]) != len(rows[1]) {
		ts.Fatalf("%d and %d rows", len(rows[0]), len(rows[1]))
	}
	for i := range rows[0] {
		var a, b struct {
			Loss float64
			Norm float64 `json:"grad_norm"`
		}
		ts.Check(json.Unmarshal([]byte(rows[0][i]), &a))
		ts.Check(json.Unmarshal([]byte(rows[1][i]), &b))
		if !(a.Loss > 0 && a.Norm > 0 && math.Abs(a.Loss-b.Loss) <= most*a.Loss && math.Abs(a.Norm-b.Norm) <= most*a.Norm) {
			ts.Fatalf("row %d is %+v and %+v", i, a, b)
		}
	}
}

var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"alike":       alike,
	"emulate":     emulate,
	"fails":       fails,
	"falls":       falls,
	"glob":        glob,
	"json":        jsonValue,
	"learnalike":  learnalike,
	"samejson":    sameJSON,
	"safetensors": writeSafetensors,
	"writehex":    writeHex,
}

// fails CODE PROGRAM ARGS... runs a program that must exit with CODE, write
// nothing to stdout and something to stderr.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE PROGRAM ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		ts.Fatalf("want exit code %s, got %v", args[0], err)
	}
	if got := strconv.Itoa(exit.ExitCode()); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("failed, and yet wrote to stdout: %s", out)
	}
	if errs := ts.ReadFile("stderr"); strings.TrimSpace(errs) == "" || strings.Contains(errs, "goroutine ") {
		ts.Fatalf("want an error on stderr, got %q", errs)
	}
}

// falls FILE NAME checks that of the rows in FILE, a metrics.jsonl, the last that
// has NAME has less of it than the first.
func falls(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: falls FILE NAME")
	}
	var values []float64
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var row map[string]any
		ts.Check(json.Unmarshal([]byte(line), &row))
		if x, ok := row[args[1]].(float64); ok {
			values = append(values, x)
		}
	}
	if len(values) < 2 || !(values[len(values)-1] < values[0]) {
		ts.Fatalf("%s: %s is %v", args[0], args[1], values)
	}
}

// glob NAME PATTERN sets the environment variable NAME to the only file that
// PATTERN matches.
func glob(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: glob NAME PATTERN")
	}
	found, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s matches %v, want one file", args[1], found)
	}
	ts.Setenv(args[0], found[0])
}

// json FILE PATH [VALUE] checks that the JSON in FILE has a value at PATH,
// names and numbers joined by dots, and that it is VALUE, itself JSON.
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: json FILE PATH [VALUE]")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	found := true
	for key := range strings.SplitSeq(args[1], ".") {
		switch in := v.(type) {
		case map[string]any:
			v, found = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if found = err == nil && i < len(in); found {
				v = in[i]
			}
		default:
			found = false
		}
		if !found {
			break
		}
	}
	same := found
	if found && len(args) == 3 {
		var want any
		ts.Check(json.Unmarshal([]byte(args[2]), &want))
		same = reflect.DeepEqual(v, want)
	}
	if same == neg {
		ts.Fatalf("%s at %s: found %v, %v", args[0], args[1], found, v)
	}
}

// samejson FILE FILE KEY checks that two JSON objects have the same value at
// KEY.
func sameJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: samejson FILE FILE KEY")
	}
	var v [2]map[string]any
	for i := range v {
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[i])), &v[i]))
	}
	a, b := v[0][args[2]], v[1][args[2]]
	if a == nil || reflect.DeepEqual(a, b) == neg {
		ts.Fatalf("%s: %v and %v", args[2], a, b)
	}
}

// safetensors FILE HEADER BYTES writes a safetensors file: the length of
// HEADER, a file, then HEADER, then so many zero bytes of data.
func writeSafetensors(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: safetensors FILE HEADER BYTES")
	}
	header := strings.TrimSpace(ts.ReadFile(args[1]))
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(append(b, header...), make([]byte, n)...)
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o755))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// writehex FILE HEX... writes bytes.
func writeHex(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: writehex FILE HEX...")
	}
	b, err := hex.DecodeString(strings.Join(args[1:], ""))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// pipeProcess returns the command as a process of its own.
func pipeProcess(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("signals are not sent on Windows")
	}
	return &exec.Cmd{Path: self, Args: append([]string{"pipe"}, args...)}
}
