package data

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"pipe.dev/executor/checkpoint"
)

// FileSum tells what a file holds.
type FileSum struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"` // of its bytes, as digits
}

// Sum reads a file.
func Sum(file string) (FileSum, error) {
	f, err := os.Open(file)
	if err != nil {
		return FileSum{}, checkpoint.FileError(file, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err = io.Copy(h, f); err != nil {
		return FileSum{}, checkpoint.FileError(file, err)
	}
	return FileSum{file, hex.EncodeToString(h.Sum(nil))}, nil
}

// Sums reads the files of sources.
func Sums(sources []Attr, o Options) ([]FileSum, error) {
	var all []FileSum
	for _, a := range sources {
		files, err := o.files(&a)
		if err != nil {
			return nil, err
		}
		sums, err := sumsOf(files)
		if err != nil {
			return nil, err
		}
		all = append(all, sums...)
	}
	return all, nil
}

func sumsOf(files []string) ([]FileSum, error) {
	var sums []FileSum
	for _, path := range files {
		s, err := Sum(path)
		if err != nil {
			return nil, err
		}
		sums = append(sums, s)
	}
	return sums, nil
}

// Files are the files of all sources as they were when they were opened.
func (d *Dataset) Files() []FileSum {
	var all []FileSum
	for _, p := range d.parts {
		all = append(all, p.files...)
	}
	return all
}
