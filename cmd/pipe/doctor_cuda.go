package main

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"pipe.dev/executor/model"
	"pipe.dev/kernels/cuda/cublas"
	"pipe.dev/kernels/cuda/driver"
)

// cudaState tells whether NVIDIA's driver is here, and what it says of the
// devices. No context is made to find out.
type cudaState struct {
	Library string     `json:"library,omitempty"` // the driver library
	CuBLAS  string     `json:"cublas,omitempty"`  // the library of products
	Devices []string   `json:"devices"`           // device files
	GPUs    []gpuState `json:"gpus"`              // what the driver says of each
	Used    bool       `json:"used"`              // whether --device cuda would run
	Why     string     `json:"why"`               // what was found, or why it would not
}

// gpuState is a device, as its driver sees it.
type gpuState struct {
	Name       string `json:"name"`
	Memory     int64  `json:"memory"`     // bytes
	Capability string `json:"capability"` // as "8.0"
	Driver     string `json:"driver"`     // the version of CUDA that it serves
}

// lookCUDA asks the driver in a file what devices it has.
func lookCUDA(library string) ([]gpuState, error) {
	n, err := driver.Count(library)
	if err != nil {
		return nil, err
	}
	var list []gpuState
	for i := range n {
		d, err := driver.Look(driver.Options{Library: library, Ordinal: i})
		if err != nil {
			return nil, err
		}
		list = append(list, gpuState{d.Name, d.Memory, fmt.Sprintf("%d.%d", d.Major, d.Minor), d.Version()})
	}
	return list, nil
}

// deviceFiles are what the driver makes below /dev; dxg is WSL's.
var deviceFiles = [...]string{"dev/nvidia[0-9]*", "dev/dxg"}

// findCUDA looks for the driver in the file system root of a machine, and asks
// it by look.
func findCUDA(root fs.FS, goos string, getenv func(string) string, look func(library string) ([]gpuState, error)) cudaState {
	s := cudaState{Devices: []string{}, GPUs: []gpuState{}}
	if goos != "linux" {
		s.Why = "it is looked for on Linux only"
		return s
	}
	own := strings.Split(getenv("LD_LIBRARY_PATH"), ":")
	s.Library = findLibrary(root, append(own, driver.Folders[:]...), "libcuda.so.1", "libcuda.so")
	s.CuBLAS = findLibrary(root, append(own, cublas.Folders()...), cublas.Names[:]...)
	for _, pattern := range deviceFiles {
		found, _ := fs.Glob(root, pattern)
		for _, f := range found {
			s.Devices = append(s.Devices, "/"+f)
		}
	}
	if s.Library != "" {
		gpus, err := look(s.Library)
		if err != nil {
			s.Why = err.Error()
			return s
		}
		s.GPUs = append(s.GPUs, gpus...)
	}
	switch {
	case s.Library == "" && len(s.Devices) == 0:
		s.Why = "no driver: no libcuda.so.1 in the usual folders or LD_LIBRARY_PATH, and no /dev/nvidia*"
	case s.Library == "":
		s.Why = "there is a device, but no libcuda.so.1 in the usual folders or LD_LIBRARY_PATH: a container must be started with the driver"
	case len(s.Devices) == 0 && len(s.GPUs) == 0:
		s.Why = "the driver library is here, but no /dev/nvidia*: there is no GPU, or its kernel module is not loaded"
	default:
		s.Why = "a driver and a GPU are here; kernels for CUDA have only been emulated so far, on no GPU"
	}
	s.Used = len(s.GPUs) > 0
	return s
}

// findLibrary is the first of the names that is in one of the folders; "" if none is.
func findLibrary(root fs.FS, folders []string, names ...string) string {
	for _, dir := range folders {
		for _, name := range names {
			file := path.Join("/", dir, name)
			if _, err := fs.Stat(root, file[1:]); err == nil && path.IsAbs(dir) {
				return file
			}
		}
	}
	return ""
}

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
	for i, g := range s.GPUs {
		line("", "device %d: %s, %s, compute capability %s, driver for CUDA %s", i, g.Name, model.Size(g.Memory), g.Capability, g.Driver)
	}
	use := "not used"
	if s.Used {
		use = "used with --device cuda"
	}
	line("", "%s: %s", use, s.Why)
	if s.CuBLAS != "" {
		line("", "%s: used with --device cuda --cublas", s.CuBLAS)
	}
}
