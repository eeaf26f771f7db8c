package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor"
	"pipe.dev/executor/adapter"
	"pipe.dev/executor/model"
	"pipe.dev/executor/stage"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu"
	"pipe.dev/kernels/cuda"
	"pipe.dev/schema"
)

// tierVariable forces a tier of CPU kernels: generic, avx2, avx512, avx512bf16 or amx. It
// is the only environment variable that changes what is computed with.
const tierVariable = "PIPE_CPU_TIER"

// backends are the devices that --device names.
var backends = map[string]func(f *engineFlags) (kernels.Backend, error){
	"cpu": func(f *engineFlags) (kernels.Backend, error) {
		if f.cublas != "" {
			return nil, errors.New("--cublas is for --device cuda")
		}
		tier := os.Getenv(tierVariable)
		b, err := cpu.New(cpu.Options{Threads: f.threads, Tier: tier})
		if err != nil && tier != "" {
			err = fmt.Errorf("%s=%s: %w", tierVariable, tier, err)
		}
		return b, err
	},
	"cuda": func(f *engineFlags) (kernels.Backend, error) { return cuda.New(cuda.Options{CuBLAS: f.cublas}) },
}

// engineFlags are the flags of commands that compile or run.
type engineFlags struct {
	set     []string
	device  string
	cublas  string // cuda.Options.CuBLAS
	threads int
	mem     string
}

func (f *engineFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "set an input or a path of the document: NAME=VALUE, may be repeated")
	cmd.Flags().Var(setFile{cmd, &f.set}, "set-file", "set an input to the text of a file, or of stdin for -: NAME=PATH, may be repeated")
	f.addDevice(cmd)
	cmd.Flags().StringVar(&f.mem, "mem", "", "memory the run may use, as 500MiB or 2GB; by default what is available")
}

// addDevice adds the flags of commands that have no document.
func (f *engineFlags) addDevice(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.device, "device", "cpu", "device to compute on: cpu or cuda")
	cmd.Flags().StringVar(&f.cublas, "cublas", "", "on cuda: large products by cuBLASLt, looked for or at --cublas=PATH; a row's last bits may then depend on how many there are")
	cmd.Flags().Lookup("cublas").NoOptDefVal = cuda.FindCuBLAS
	cmd.Flags().IntVar(&f.threads, "threads", 0, "threads to compute with; 0 means one for each core")
}

// engine is a device, and the tables that documents are compiled by.
type engine struct {
	backend kernels.Backend
	host    kernels.Backend // the processor, where the device has memory of its own; else nil
	ops     *op.Table
	stages  *stage.Table
	limit   int64 // bytes, of the device's memory
	memory  int64 // bytes of the machine's that are available
}

// maxThreads bounds --threads: each has memory of its own.
const maxThreads = 1024

// open makes the engine ready. Close it.
func (f *engineFlags) open(cmd *cobra.Command) (*engine, error) {
	make, ok := backends[f.device]
	if !ok {
		var known []string
		for name := range backends {
			known = append(known, name)
		}
		slices.Sort(known)
		return nil, usagef(cmd, "unknown device %q%s; there is %s", f.device, didYouMean(f.device, known), strings.Join(known, ", "))
	}
	if f.threads < 0 || f.threads > maxThreads {
		return nil, usagef(cmd, "--threads is %d, want 0 to %d", f.threads, maxThreads)
	}
	e := &engine{memory: availableMemory()}
	e.limit = e.memory
	if f.mem != "" {
		limit, err := parseBytes(f.mem)
		if err != nil {
			return nil, usagef(cmd, "--mem: %v", err)
		}
		e.limit = limit
	}
	var err error
	if e.ops, err = op.New(); err != nil {
		return nil, err
	}
	if e.stages, err = stage.New(); err != nil {
		return nil, err
	}
	if e.backend, err = make(f); err != nil {
		return nil, usagef(cmd, "%v", err)
	}
	if own, ok := e.backend.(kernels.OwnMemory); ok {
		if err := e.besides(own, f); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	return e, nil
}

// keptFree is what a run leaves of a device's memory, or a 64th of it if that is less: for graphs, and for what the driver
// rounds up. --mem counts without.
const keptFree = 64 << 20

// besides makes the processor ready beside a device with memory of its own.
func (e *engine) besides(own kernels.OwnMemory, f *engineFlags) (err error) {
	if f.mem == "" {
		if e.limit, err = own.FreeMemory(); err != nil {
			return err
		}
		e.limit -= min(e.limit/64, keptFree)
	}
	e.host, err = backends["cpu"](&engineFlags{threads: f.threads})
	return err
}

// close gives the devices back.
func (e *engine) close() error {
	err := e.backend.Close()
	if e.host != nil {
		err = errors.Join(err, e.host.Close())
	}
	return err
}

// compile returns what compiles a model for the engine's device; trace may be nil.
func (e *engine) compile(trace func(pass string, g *ir.Graph)) model.Compile {
	return func(m *schema.Model, entry plan.Entry, w model.Weights) (model.Program, error) {
		target := e.backend
		if entry.Side == plan.Front {
			target = e.host
		}
		o := compiler.Options{Entry: entry, Target: target, Weight: w.DType, Blocks: w.Blocks, Layout: w.Layout, Pairs: w.Pairs, Precision: w.Precision, TF32: w.TF32, Trace: trace}
		o.Adapter = adapterOf(w.Adapter)
		return compiler.Compile(m, e.ops, o)
	}
}

// adapterOf is an adapter as the compiler adds it; nil for none.
func adapterOf(a *adapter.Adapter) *compiler.Adapter {
	if a == nil {
		return nil
	}
	return &compiler.Adapter{Fixed: true, Layer: func(path string) (compiler.AdaptedLayer, bool) {
		l, ok := a.Layer(path)
		return compiler.AdaptedLayer{Rank: l.Rank, Scale: l.Scale, Magnitude: l.Magnitude}, ok
	}}
}

// prepare opens the models of a pipeline and makes its plans.
func (e *engine) prepare(doc *schema.Document, o executor.Options) (*executor.Pipeline, error) {
	o.Backend, o.Host, o.Stages, o.HostMemory = e.backend, e.host, e.stages, e.memory
	o.Document.Resolved, o.Document.Hash = doc.Resolved(), doc.Hash
	o.Amend = amended
	if o.Compile == nil {
		o.Compile = e.compile(nil)
	}
	return executor.Prepare(doc.Pipeline, o)
}

// parseBytes reads a size: a number with an optional decimal (kB, MB, GB) or
// binary (KiB, MiB, GiB) unit.
func parseBytes(s string) (int64, error) {
	units := []struct {
		name string
		size float64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
		{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"B", 1}}
	number, size := strings.TrimSpace(s), 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, size = strings.TrimSpace(rest), u.size
			break
		}
	}
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || x <= 0 || x*size > 1<<62 {
		return 0, fmt.Errorf("%q is not a size: want a number with kB, MB, GB, KiB, MiB or GiB", s)
	}
	return int64(x * size), nil
}
