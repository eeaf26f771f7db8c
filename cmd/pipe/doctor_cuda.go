package main

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// cudaState tells whether NVIDIA's driver is here. Nothing is loaded to find
// out.
type cudaState struct {
	Library string   `json:"library,omitempty"` // the driver library
	Devices []string `json:"devices"`           // device files
	Used    bool     `json:"used"`
	Why     string   `json:"why"` // what was found, and why CUDA is not used
}

// libraryFolders are where distributions, containers, WSL and NixOS put the
// driver library.
var libraryFolders = [...]string{
	"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib",
	"/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/wsl/lib", "/run/opengl-driver/lib",
	"/usr/lib64/nvidia", "/usr/lib/nvidia", "/usr/local/cuda/compat", "/lib/x86_64-linux-gnu", "/lib64",
}

// deviceFiles are what the driver makes below /dev; dxg is WSL's.
var deviceFiles = [...]string{"dev/nvidia[0-9]*", "dev/dxg"}

// findCUDA looks for the driver in the file system root of a machine.
func findCUDA(root fs.FS, goos string, getenv func(string) string) cudaState {
	s := cudaState{Devices: []string{}}
	if goos != "linux" {
		s.Why = "it is looked for on Linux only" + notYet
		return s
	}
	for _, dir := range append(strings.Split(getenv("LD_LIBRARY_PATH"), ":"), libraryFolders[:]...) {
		for _, name := range [...]string{"libcuda.so.1", "libcuda.so"} {
			file := path.Join("/", dir, name)
			if _, err := fs.Stat(root, file[1:]); err == nil && s.Library == "" && path.IsAbs(dir) {
				s.Library = file
			}
		}
	}
	for _, pattern := range deviceFiles {
		found, _ := fs.Glob(root, pattern)
		for _, f := range found {
			s.Devices = append(s.Devices, "/"+f)
		}
	}
	switch {
	case s.Library == "" && len(s.Devices) == 0:
		s.Why = "no driver: no libcuda.so.1 in the usual folders or LD_LIBRARY_PATH, and no /dev/nvidia*"
	case s.Library == "":
		s.Why = "there is a device, but no libcuda.so.1 in the usual folders or LD_LIBRARY_PATH: a container must be started with the driver"
	case len(s.Devices) == 0:
		s.Why = "the driver library is here, but no /dev/nvidia*: there is no GPU, or its kernel module is not loaded"
	default:
		s.Why = "a driver and a GPU are here"
	}
	s.Why += notYet
	return s
}

// notYet ends every reason for now.
const notYet = "; this version of pipe computes on the CPU only"

// print writes the CUDA lines of pipe doctor.
func (s cudaState) print(line func(label, format string, args ...any)) {
	var found []string
	if s.Library != "" {
		found = append(found, s.Library)
	}
	found = append(found, s.Devices...)
	if len(found) == 0 {
		line("cuda", "not used: %s", s.Why)
		return
	}
	line("cuda", "%s", fmt.Sprintf("found %s", strings.Join(found, ", ")))
	line("", "not used: %s", s.Why)
}
