package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"pipe.dev/executor/model"
)

// memoryState is in bytes; 0 means that this system does not say.
type memoryState struct {
	Total     int64  `json:"total"`
	Available int64  `json:"available"`           // without swapping
	Limit     int64  `json:"limit"`               // of the cgroup; 0 if it sets none
	HugePages string `json:"huge_pages"`          // transparent: always, madvise or never
	Reserved  int64  `json:"huge_pages_reserved"` // bytes of huge pages set aside
}

// readMemory reads what Linux says below /proc and /sys; elsewhere all stays
// unknown.
func readMemory(root fs.FS) memoryState {
	info := fields(root, "proc/meminfo")
	m := memoryState{
		Total:     kibibytes(info["MemTotal"]),
		Available: kibibytes(info["MemAvailable"]),
		Limit:     cgroupLimit(root),
	}
	pages, _ := strconv.ParseInt(info["HugePages_Total"], 10, 64)
	m.Reserved = pages * kibibytes(info["Hugepagesize"])
	modes, _ := fs.ReadFile(root, "sys/kernel/mm/transparent_hugepage/enabled")
	if _, rest, ok := strings.Cut(string(modes), "["); ok {
		m.HugePages, _, _ = strings.Cut(rest, "]")
	}
	return m
}

// availableMemory returns the bytes that a run may use unless it is told
// otherwise: what is available without swapping, or less where a cgroup limits
// it; no limit where the system does not say.
func availableMemory() int64 {
	m := readMemory(os.DirFS("/"))
	limit := int64(math.MaxInt64)
	for _, n := range []int64{m.Available, m.Limit} {
		if n > 0 {
			limit = min(limit, n)
		}
	}
	return limit
}

// residentMemory returns the bytes of memory that the process has in use, and
// the most it ever had, files that it mapped among them; 0 where the system
// does not say.
func residentMemory(root fs.FS) (now, most int64) {
	status := fields(root, "proc/self/status")
	return kibibytes(status["VmRSS"]), kibibytes(status["VmHWM"])
}

// cgroupLimit returns the lowest memory limit of the process's cgroup and of
// those above it; 0 if there is none.
func cgroupLimit(root fs.FS) int64 {
	var lowest int64
	consider := func(file string) {
		data, err := fs.ReadFile(root, file)
		if err != nil {
			return
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		const none = 1 << 60 // version 1 writes no limit as a number beyond all memory
		if err == nil && limit > 0 && limit < none && (lowest == 0 || limit < lowest) {
			lowest = limit
		}
	}
	groups, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path
		if len(parts) < 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		if parts[1] != "" {
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// In a container the path may be that of the host: then only the mount itself is there.
		for dir := path.Join("/", parts[2]); ; dir = path.Dir(dir) {
			consider(path.Join(mount, dir, file))
			if dir == "/" {
				break
			}
		}
	}
	return lowest
}

// cpuModel returns the name of the processor, "" if the system does not say.
func cpuModel(root fs.FS) string { return fields(root, "proc/cpuinfo")["model name"] }

// fields reads "name: value" lines; of equal names the first counts.
func fields(root fs.FS, file string) map[string]string {
	out := map[string]string{}
	f, err := root.Open(file)
	if err != nil {
		return out
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), ":")
		name = strings.TrimSpace(name)
		if _, twice := out[name]; ok && !twice {
			out[name] = strings.TrimSpace(value)
		}
	}
	return out
}

// kibibytes reads "1234 kB".
func kibibytes(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(s, " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// print writes the memory lines of pipe doctor.
func (m memoryState) print(line func(label, format string, args ...any)) {
	if m.Total == 0 {
		line("memory", "unknown on this system")
		return
	}
	limit := "no cgroup limit"
	if m.Limit > 0 {
		limit = "cgroup limit " + model.Size(m.Limit)
	}
	line("memory", "%s, %s available, %s", model.Size(m.Total), model.Size(m.Available), limit)
	pages := m.HugePages
	if pages == "" {
		pages = "not supported"
	}
	reserved := ""
	if m.Reserved > 0 {
		reserved = fmt.Sprintf(", %s reserved", model.Size(m.Reserved))
	}
	line("huge pages", "%s%s", pages, reserved)
}
