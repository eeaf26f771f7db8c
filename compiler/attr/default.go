package attr

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Default returns a copy of zero with the defaults that its CUE fields mark
// by *, so that Go code gets what a document gets that says nothing.
// Fields that must be given keep what zero has. A default that is not JSON is
// an error.
func Default(zero any) (any, error) {
	fs, err := Fields(zero)
	if err != nil {
		return nil, err
	}
	m := map[string]any{}
	for _, f := range fs {
		_, fallback := f.split()
		if fallback == "" {
			continue
		}
		d := json.NewDecoder(strings.NewReader(fallback))
		d.UseNumber()
		var x any
		if err := d.Decode(&x); err != nil {
			return nil, fmt.Errorf("%s: default %s: %w", f.Name, fallback, err)
		}
		m[f.Name] = x
	}
	return Decode(zero, m)
}
