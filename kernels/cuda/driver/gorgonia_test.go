//go:build linux && gorgonia

package driver_test

import (
	"errors"
	"testing"

	"pipe.dev/kernels/cuda/driver"
)

// bound says that calls go by gorgonia.org/cu.
const bound = true

// open opens the device of the driver that the build is linked with: the emulator's,
// where LD_LIBRARY_PATH says so.
func open(t *testing.T, settings string) *driver.Device {
	t.Helper()
	d, err := driver.Open(driver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A build that is linked with a driver opens no other.
func TestLinked(t *testing.T) {
	if _, err := driver.Open(driver.Options{Library: "/none/libcuda.so.1"}); !errors.Is(err, driver.ErrNoDriver) {
		t.Error(err)
	}
}
