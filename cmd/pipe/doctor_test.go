package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// machine builds a file system; a file's text is its content.
func machine(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

const meminfo = "MemTotal:       16000 kB\nMemFree: 1 kB\nMemAvailable:    9000 kB\nHugePages_Total:       4\nHugepagesize:       2048 kB\n"

func TestReadMemory(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  memoryState
	}{
		"unknown": {nil, memoryState{}},
		"plain": {
			map[string]string{"proc/meminfo": meminfo, "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n"},
			memoryState{Total: 16000 << 10, Available: 9000 << 10, HugePages: "madvise", Reserved: 8 << 20},
		},
		"cgroup 2, the folder above is tighter": {
			map[string]string{"proc/self/cgroup": "0::/user.slice/job\n", "sys/fs/cgroup/user.slice/job/memory.max": "5000\n",
				"sys/fs/cgroup/user.slice/memory.max": "4000\n", "sys/fs/cgroup/memory.max": "max\n"},
			memoryState{Limit: 4000},
		},
		"cgroup 2, path of the host": {
			map[string]string{"proc/self/cgroup": "0::/kubepods/pod7\n", "sys/fs/cgroup/memory.max": "7000\n"},
			memoryState{Limit: 7000},
		},
		"cgroup 2, no limit": {
			map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"},
			memoryState{},
		},
		"cgroup 1": {
			map[string]string{"proc/self/cgroup": "5:cpu,cpuacct:/x\n4:hugetlb,memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "6000\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"},
			memoryState{Limit: 6000},
		},
	} {
		if got := readMemory(machine(c.files)); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestFindCUDA(t *testing.T) {
	for name, c := range map[string]struct {
		files   map[string]string
		goos    string
		path    string
		library string
		devices []string
		why     string
	}{
		"nothing":    {goos: "linux", why: "no driver"},
		"mac":        {goos: "darwin", why: "Linux only"},
		"container":  {map[string]string{"usr/local/nvidia/lib64/libcuda.so.1": "", "dev/nvidia0": "", "dev/nvidia1": "", "dev/nvidiactl": ""}, "linux", "", "/usr/local/nvidia/lib64/libcuda.so.1", []string{"/dev/nvidia0", "/dev/nvidia1"}, "a driver and a GPU are here"},
		"wsl":        {map[string]string{"usr/lib/wsl/lib/libcuda.so.1": "", "dev/dxg": ""}, "linux", "", "/usr/lib/wsl/lib/libcuda.so.1", []string{"/dev/dxg"}, "cuInit fails"},
		"nixos":      {map[string]string{"run/opengl-driver/lib/libcuda.so": ""}, "linux", "", "/run/opengl-driver/lib/libcuda.so", nil, "no /dev/nvidia*"},
		"no library": {map[string]string{"dev/nvidia0": ""}, "linux", "", "", []string{"/dev/nvidia0"}, "no libcuda.so.1"},
		"variable":   {map[string]string{"opt/x/libcuda.so.1": "", "usr/local/cuda/lib64/libcublasLt.so.12": "", "usr/lib64/libcuda.so.1": "", "dev/nvidia0": ""}, "linux", "/none:/opt/x", "/opt/x/libcuda.so.1", []string{"/dev/nvidia0"}, "a driver and a GPU are here"},
	} {
		got := findCUDA(machine(c.files), c.goos, func(string) string { return c.path }, func(library string) ([]gpuState, error) {
			if strings.Contains(library, "wsl") {
				return nil, errors.New("cuInit fails")
			}
			if strings.Contains(library, "/opt") {
				return []gpuState{{Name: "a GPU"}}, nil
			}
			return nil, nil
		})
		if got.Library != c.library || !slices.Equal(got.Devices, c.devices) || !strings.Contains(got.Why, c.why) || got.Used != (name == "variable") ||
			got.CuBLAS != map[bool]string{true: "/usr/local/cuda/lib64/libcublasLt.so.12"}[name == "variable"] {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestDoctorPrints: a machine of which nothing is known still gives a page.
func TestDoctorPrints(t *testing.T) {
	var b bytes.Buffer
	d := diagnose(machine(map[string]string{"proc/cpuinfo": "processor : 0\nmodel name\t: Some CPU\n"}), func(string) string { return "" }, nil)
	if err := d.print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cpu         Some CPU, ", "memory      unknown", "uses " + d.CPU.Tier + ": the best", "cuda        not used"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
	if d.CPU.Tier == "" || len(d.CPU.Tiers) == 0 || len(d.Problems) != 0 {
		t.Errorf("%+v", d)
	}
}
