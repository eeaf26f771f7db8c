//go:build !unix

package data

import "os"

// mapping is a file in memory.
type mapping struct{ data []byte }

func mapFile(path string) (*mapping, error) {
	data, err := os.ReadFile(path)
	return &mapping{data: data}, err
}

func (m *mapping) touch(n int) {}

func (m *mapping) release() {}

func (m *mapping) close() { m.data = nil }
