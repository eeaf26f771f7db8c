package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pipe.dev/kernels"
	"pipe.dev/kernels/bench"
)

// benchKernelsFlags are the flags of pipe bench kernels.
type benchKernelsFlags struct {
	engineFlags
	time   time.Duration
	filter string
	list   bool
	asJSON bool
}

func benchKernelsCommand(c *console) *cobra.Command {
	var f benchKernelsFlags
	cmd := &cobra.Command{
		Use:   "kernels [OP...]",
		Short: "measure the kernels of a device, beside what it can do at most",
		Long: `Measure the kernels of a device on the large cases of the op table, all of them or those of some ops: the time of a run
(the median), GFLOP/s by the op's cost, and GB/s of what is read and written.

Before that the device is measured: the float32 multiply-adds that it can do, and the bandwidth of memory beyond the
caches (reading, copying, and STREAM's triad). A kernel is limited by the one that allows it less, and the last column
says how much of that it reaches. Data that stay in the caches can have more than the bandwidth of memory. On a GPU times
are the device's own, by events, of many runs in one graph. Cases of more than 400 GFLOP, which are for GPUs, run only
where --filter matches them.`,
		Example: "  pipe bench kernels linear matmul\n  pipe bench kernels --filter '64 MB/f32$' --time 1s --json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.time <= 0 {
				return usagef(cmd, "--time is %v, want more than 0", f.time)
			}
			filter, err := regexp.Compile(f.filter)
			if err != nil {
				return usagef(cmd, "--filter: %v", err)
			}
			e, err := f.open(cmd)
			if err != nil {
				return err
			}
			defer e.close()
			list, err := chooseKernels(cmd, e, args, filter)
			if err != nil {
				return err
			}
			if f.list {
				return listKernels(c, list, f.asJSON)
			}
			if f.filter == "" {
				list = slices.DeleteFunc(list, func(c bench.Case) bool { return c.FLOPs > bench.Huge })
			}
			return f.run(cmd, c, e, list)
		},
	}
	f.addDevice(cmd)
	cmd.Flags().DurationVar(&f.time, "time", 200*time.Millisecond, "how long each case is repeated, at least three times")
	cmd.Flags().StringVar(&f.filter, "filter", "", "only cases whose OP/CASE/TYPE matches this regular expression")
	cmd.Flags().BoolVar(&f.list, "list", false, "print the names of the cases, and measure nothing")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

// chooseKernels lists the cases of some ops, or of all, that match a filter.
func chooseKernels(cmd *cobra.Command, e *engine, ops []string, filter *regexp.Regexp) ([]bench.Case, error) {
	all, err := bench.List(e.backend, e.ops)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, c := range all {
		if !slices.Contains(known, c.Op) {
			known = append(known, c.Op)
		}
	}
	for _, name := range ops {
		if _, defined := e.ops.Lookup(name); !defined {
			return nil, usagef(cmd, "there is no op %q%s", name, didYouMean(name, known))
		}
		if !slices.Contains(known, name) {
			return nil, usagef(cmd, "%s has no large case, or %s no kernel for it", name, e.backend.Name())
		}
	}
	list := slices.DeleteFunc(all, func(c bench.Case) bool {
		return len(ops) > 0 && !slices.Contains(ops, c.Op) || !filter.MatchString(c.String())
	})
	if len(list) == 0 {
		return nil, usagef(cmd, "--filter %s matches none of the cases (--list prints them)", filter)
	}
	return list, nil
}

func listKernels(c *console, list []bench.Case, asJSON bool) error {
	var names []string
	for i := range list {
		names = append(names, list[i].String())
	}
	if asJSON {
		return c.writeJSON(names)
	}
	_, err := fmt.Fprintln(c.out, strings.Join(names, "\n"))
	return err
}

// run measures the device and then the cases, and writes what there is if it
// is interrupted.
func (f *benchKernelsFlags) run(cmd *cobra.Command, c *console, e *engine, list []bench.Case) error {
	m, ok := e.backend.(kernels.Measurer)
	if !ok {
		return usagef(cmd, "%s does not measure what it can do at most", e.backend.Name())
	}
	ctx := cmd.Context()
	limits, err := m.Limits(ctx)
	if err != nil {
		return err
	}
	bar := newProgress(c)
	defer bar.stop()
	results, err := bench.Measure(ctx, e.backend, list, bench.Options{Time: f.time, Progress: func(_ *bench.Case, done, total int) {
		bar.count("kernels", int64(done), int64(total))
	}})
	bar.stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	report := kernelsReport{Device: e.backend.Name(), Tier: limits.With, Threads: limits.Threads, limits: limits, Peak: limits.FLOPs / 1e9, PeakBytes: limits.ByteOPs / 1e9,
		PeakHalf: limits.HalfFLOPs / 1e9, Launch: limits.Launch,
		Bandwidth: bandwidths{limits.Read / 1e9, limits.Copy / 1e9, limits.Triad / 1e9}, Kernels: []kernelBench{}}
	for _, r := range results {
		report.add(r)
	}
	if f.asJSON {
		return errors.Join(err, c.writeJSON(report))
	}
	_, failed := fmt.Fprint(c.out, report.text())
	return errors.Join(err, failed)
}

// kernelsReport is what pipe bench kernels shows.
type kernelsReport struct {
	Device    string        `json:"device"`
	Tier      string        `json:"measured_with"`
	Threads   int           `json:"threads"`
	Peak      float64       `json:"peak_gflops"`
	PeakBytes float64       `json:"peak_byte_gops"`             // 0 if the device has no instructions for them
	PeakHalf  float64       `json:"peak_half_gflops,omitempty"` // of 16-bit floats
	Launch    float64       `json:"launch_seconds,omitempty"`   // of a kernel that does nothing, among others
	Bandwidth bandwidths    `json:"bandwidth_gbytes"`
	Kernels   []kernelBench `json:"kernels"`
	limits    kernels.Limits
}

// bandwidths are in GB/s.
type bandwidths struct {
	Read  float64 `json:"read"`
	Copy  float64 `json:"copy"`
	Triad float64 `json:"triad"`
}

// kernelBench is what was measured of a case.
type kernelBench struct {
	Op        string  `json:"op"`
	Case      string  `json:"case"`
	Type      string  `json:"type"`
	GFLOPs    float64 `json:"gflops"`
	GBytes    float64 `json:"gbytes"`
	Peak      float64 `json:"peak_share"`
	Bandwidth float64 `json:"bandwidth_share"`
	Limit     string  `json:"limit"`
	Roof      float64 `json:"limit_share"`
	timing
}

func (r *kernelsReport) add(x bench.Result) {
	s := bench.Of(x, r.limits)
	r.Kernels = append(r.Kernels, kernelBench{x.Op, x.Case.Case, x.Type, s.FLOPs / 1e9, s.Bytes / 1e9, s.Peak, s.Bandwidth, s.Limit, s.Roof, timingOf(x.Seconds)})
}

func (r *kernelsReport) text() string {
	var b strings.Builder
	more, launch := "", ""
	if r.PeakBytes > 0 {
		more = fmt.Sprintf(" and %.1f GOP/s of bytes", r.PeakBytes)
	}
	if r.PeakHalf > 0 {
		more += fmt.Sprintf(" and %.1f GFLOP/s of bf16", r.PeakHalf)
	}
	if r.Launch > 0 {
		launch = fmt.Sprintf("; a kernel takes %s at least", shortTime(r.Launch))
	}
	fmt.Fprintf(&b, "%s, %d threads: at most %.1f GFLOP/s of multiply-adds%s (%s); memory %.1f GB/s read, %.1f copied, %.1f triad%s\n\n",
		r.Device, r.Threads, r.Peak, more, r.Tier, r.Bandwidth.Read, r.Bandwidth.Copy, r.Bandwidth.Triad, launch)
	width := len("op/case/type")
	for _, k := range r.Kernels {
		width = max(width, len(k.name()))
	}
	fmt.Fprintf(&b, "%-*s %9s %7s %9s %6s %8s %6s  %-7s %5s\n", width, "op/case/type", "time", "spread", "GFLOP/s", "peak", "GB/s", "memory", "limit", "share")
	for _, k := range r.Kernels {
		fmt.Fprintf(&b, "%-*s %9s %6.1f%% %9.1f %5.1f%% %8.1f %5.0f%%  %-7s %4.0f%%\n", width, k.name(), shortTime(k.Median), 100*k.Spread,
			k.GFLOPs, 100*k.Peak, k.GBytes, 100*k.Bandwidth, k.Limit, 100*k.Roof)
	}
	return b.String()
}

func (k *kernelBench) name() string { return k.Op + "/" + k.Case + "/" + k.Type }
