package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"pipe.dev/kernels/cpu"
)

// diagnosis is what pipe doctor shows.
type diagnosis struct {
	Pipe     build       `json:"pipe"`
	CPU      cpuState    `json:"cpu"`
	Memory   memoryState `json:"memory"`
	CUDA     cudaState   `json:"cuda"`
	CUECache string      `json:"cue_cache"`
	Problems []string    `json:"problems"` // what keeps pipe from running; then the exit code is not 0
}

type cpuState struct {
	Model   string      `json:"model,omitempty"`
	Cores   int         `json:"cores"`   // logical
	Threads int         `json:"threads"` // that pipe uses unless told otherwise: at most what a cgroup allows
	Tiers   []tierState `json:"tiers"`   // best first
	Tier    string      `json:"tier"`    // the one in use; "" if there is none
	Reason  string      `json:"reason"`
}

type tierState struct {
	Name      string `json:"name"`
	Available bool   `json:"available"`
	Why       string `json:"why,omitempty"`
	Chosen    bool   `json:"-"`
}

func doctorCommand(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "say what this machine offers: CPU, memory, CUDA",
		Long: "doctor says what pipe finds on this machine and what it will use.\n\n" +
			"The variable " + tierVariable + " forces a CPU tier, for tests and comparisons.",
		Args: arguments(),
		RunE: func(*cobra.Command, []string) error {
			d := diagnose(os.DirFS("/"), os.Getenv, lookCUDA)
			show := d.print
			if asJSON {
				show = func(io.Writer) error { return c.writeJSON(d) }
			}
			if err := show(c.out); err != nil || len(d.Problems) == 0 {
				return err
			}
			return failure{&usageError{}} // the report says it
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// diagnose looks at the machine: root is its file system, look asks a CUDA driver.
func diagnose(root fs.FS, getenv func(string) string, look func(library string) ([]gpuState, error)) *diagnosis {
	d := &diagnosis{
		Pipe:     thisBuild(),
		CPU:      cpuState{Model: cpuModel(root), Cores: runtime.NumCPU(), Threads: runtime.GOMAXPROCS(0)},
		Memory:   readMemory(root),
		CUDA:     findCUDA(root, runtime.GOOS, getenv, look),
		CUECache: cueCache(getenv),
		Problems: []string{},
	}
	if err := d.CPU.chooseTier(getenv(tierVariable)); err != nil {
		d.Problems = append(d.Problems, err.Error())
	}
	return d
}

// chooseTier says which tier will run and why, as cpu.New chooses.
func (s *cpuState) chooseTier(forced string) error {
	s.Tiers = []tierState{}
	best := ""
	for _, t := range cpu.Tiers() {
		s.Tiers = append(s.Tiers, tierState(t))
		if t.Chosen {
			best = t.Name
		}
	}
	b, err := cpu.New(cpu.Options{Threads: 1, Tier: forced})
	if err != nil {
		s.Reason = tierVariable + "=" + forced
		return fmt.Errorf("%s=%s: %w", tierVariable, forced, err)
	}
	defer b.Close()
	s.Tier = b.Tier()
	switch {
	case forced != "":
		s.Reason = tierVariable + " forces it; the best would be " + best
	default:
		s.Reason = "the best that this CPU has"
	}
	return nil
}

// cueCache returns the folder in which CUE tools look for modules.
func cueCache(getenv func(string) string) string {
	if dir := getenv("CUE_CACHE_DIR"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "cue")
}

// print writes the diagnosis as text, a fact a line.
func (d *diagnosis) print(w io.Writer) error {
	var err error
	line := func(label, format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, "%-11s %s\n", label, fmt.Sprintf(format, args...))
		}
	}
	line("pipe", "%s %s, %s, %s", d.Pipe.Version, d.Pipe.Revision, d.Pipe.Go, d.Pipe.Platform)
	model := d.CPU.Model
	if model == "" {
		model = runtime.GOARCH
	}
	line("cpu", "%s, %d logical cores, %d threads by default", model, d.CPU.Cores, d.CPU.Threads)
	for _, t := range d.CPU.Tiers {
		state := "available"
		switch {
		case !t.Available:
			state = "not available: " + t.Why
		case t.Why != "":
			state = "available, but only taken if it is asked for: " + t.Why
		}
		line("", "tier %s: %s", t.Name, state)
	}
	if d.CPU.Tier != "" {
		line("", "uses %s: %s", d.CPU.Tier, d.CPU.Reason)
	}
	d.Memory.print(line)
	d.CUDA.print(line)
	if d.CUECache != "" {
		line("cue cache", "%s", d.CUECache)
	}
	for _, p := range d.Problems {
		line("problem", "%s", p)
	}
	return err
}
