package driver

import (
	"errors"
	"fmt"
)

// Why a device can't be used; errors wrap them.
var (
	ErrNoDriver = errors.New("no CUDA driver")
	ErrNoDevice = errors.New("no CUDA device")
	ErrTooOld   = errors.New("too old for CUDA kernels")
	ErrMemory   = errors.New("out of device memory")
	ErrLost     = errors.New("the CUDA device is lost")
)

// codes that are told apart, as cuda.h numbers them.
const (
	codeMemory       = 2
	codeStub         = 34 // a library without a driver behind it
	codeInsufficient = 35
	codeNoDevice     = 100
	codeUnsupported  = 222 // PTX is newer than the driver
	codeUnknown      = 999
)

// lost are the codes after which no call of the process on the device succeeds.
var lost = map[int]bool{
	46:  true,                                                                   // device unavailable
	214: true,                                                                   // uncorrectable ECC error
	220: true,                                                                   // NVLink
	700: true,                                                                   // illegal address
	702: true,                                                                   // timeout
	709: true,                                                                   // context destroyed
	710: true,                                                                   // assertion
	713: true, 714: true, 715: true, 716: true, 717: true, 718: true, 719: true, // faults of a kernel
	999: true, // unknown
}

// Error is a call that failed, in the driver's own words.
type Error struct {
	Call string // the function
	Code int    // CUresult
	Name string // as CUDA_ERROR_OUT_OF_MEMORY
	Text string
	Log  string // of the compiler of PTX, or ""
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s (%s, %d)", e.Call, e.Text, e.Name, e.Code)
	if w := e.Unwrap(); w != nil {
		s = w.Error() + ": " + s
	}
	if e.Log != "" {
		s += ": " + e.Log
	}
	return s
}

// Unwrap is what kind of failure it is, or nil.
func (e *Error) Unwrap() error {
	switch {
	case e.Code == codeMemory:
		return ErrMemory
	case e.Code == codeNoDevice:
		return ErrNoDevice
	case e.Code == codeStub:
		return ErrNoDriver
	case e.Code == codeInsufficient || e.Code == codeUnsupported:
		return ErrTooOld
	case lost[e.Code]:
		return ErrLost
	}
	return nil
}
