package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"pipe.dev/executor/onnx"
)

// isONNX goes by the name alone, since these files have nothing to know them by.
func isONNX(_ []byte, file string) bool { return strings.EqualFold(filepath.Ext(file), ".onnx") }

// readONNX reads the initializers and constants of an ONNX file. What the graph
// is stands in the metadata.
func readONNX(in contents, size int64, file string) (layout, error) {
	data, err := in.view(0, size)
	if err != nil {
		return layout{}, err
	}
	m, err := onnx.Read(data)
	if err != nil {
		return layout{}, err
	}
	l := layout{metadata: m.About(), made: map[string]func() ([]byte, error){}}
	for _, t := range m.Tensors {
		d, _ := parseDType(t.DType)
		l.tensors = append(l.tensors, Tensor{Name: t.Name, Raw: t.DType, DType: d, Shape: t.Shape, Bytes: t.Bytes, Offset: t.Offset})
		switch {
		case t.External != "":
			read, err := valuesBeside(file, t)
			if err != nil {
				return layout{}, err
			}
			l.made[t.Name] = read
		case t.Make != nil:
			l.made[t.Name] = func() ([]byte, error) {
				data := t.Make()
				if int64(len(data)) != t.Bytes {
					return nil, fmt.Errorf("its values are damaged")
				}
				return data, nil
			}
		}
	}
	return l, nil
}

// valuesBeside reads the values of a tensor from a file beside the model's.
func valuesBeside(file string, t onnx.Tensor) (func() ([]byte, error), error) {
	other := filepath.Join(filepath.Dir(file), filepath.FromSlash(t.External))
	info, err := os.Stat(other)
	switch {
	case err != nil:
		return nil, fmt.Errorf("tensor %q is in %q: %s", short(t.Name), short(t.External), reason(err))
	case !info.Mode().IsRegular() || t.Bytes > info.Size() || t.Offset > info.Size()-t.Bytes:
		return nil, fmt.Errorf("tensor %q takes bytes %d to %d of %q, which has %d", short(t.Name), t.Offset, t.Offset+t.Bytes, short(t.External), info.Size())
	}
	return func() ([]byte, error) {
		f, err := os.Open(other)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		data := make([]byte, t.Bytes)
		_, err = f.ReadAt(data, t.Offset)
		return data, err
	}, nil
}
