package attr

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Default returns a copy of zero with the defaults that its CUE fields name
// after "| *", so that Go code gets what a document gets that says nothing.
// Fields that must be given keep what zero has. A default that is not JSON is
// an error.
func Default(zero any) (any, error) {
	fs, err := Fields(zero)
	if err != nil {
		return nil, err
	}
	m := map[string]any{}
	for _, f := range fs {
		i := strings.LastIndex(f.CUE, "| *")
		if i < 0 {
			continue
		}
		d := json.NewDecoder(strings.NewReader(f.CUE[i+3:]))
		d.UseNumber()
		var x any
		if err := d.Decode(&x); err != nil {
			return nil, fmt.Errorf("%s: default %s: %w", f.Name, f.CUE[i+3:], err)
		}
		m[f.Name] = x
	}
	return Decode(zero, m)
}
