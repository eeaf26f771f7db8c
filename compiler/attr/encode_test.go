package attr

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

type encoded struct {
	Kernel Ints    `cue:"kernel!: int & >0 | [int & >0, ...int & >0]" doc:"sizes"`
	Perm   Ints    `cue:"perm: [...int] | *[]" doc:"axes"`
	Shape  Dims    `cue:"shape!: [...(int | string)]" doc:"sizes"`
	Eps    float64 `cue:"eps: number | *1e-5" doc:"added"`
	Mode   string  `cue:"mode: \"a\" | \"b\" | *\"a\"" doc:"which"`
	Inner  bool
}

// What Encode writes is read back to the same attributes, and defaults are left out.
func TestEncode(t *testing.T) {
	for _, c := range []struct {
		in   encoded
		want string
	}{
		{encoded{Kernel: "3", Shape: "", Eps: 1e-5, Mode: "a"}, "kernel: 3, shape: []"},
		{encoded{Kernel: "3,2", Perm: "0,-1", Shape: "batch,4,2*seq", Eps: 1e-12, Mode: "b"},
			`kernel: [3, 2], perm: [0, -1], shape: ["batch", 4, "2*seq"], eps: 1e-12, mode: "b"`},
	} {
		set, err := Encode(c.in)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		fields := map[string]any{}
		for _, s := range set {
			parts = append(parts, s.Name+": "+s.CUE)
			d := json.NewDecoder(strings.NewReader(s.CUE))
			d.UseNumber()
			var x any
			if err := d.Decode(&x); err != nil {
				t.Fatal(err)
			}
			fields[s.Name] = x
		}
		if got := strings.Join(parts, ", "); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
		fallback, err := Default(encoded{})
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(fallback, fields)
		if err != nil || !reflect.DeepEqual(back, c.in) {
			t.Errorf("%+v comes back as %+v, %v", c.in, back, err)
		}
	}
	if _, err := Encode(encoded{Kernel: "1", Inner: true}); err == nil || !strings.Contains(err.Error(), "encoded.Inner is true, which no document can say") {
		t.Errorf("a field that documents can't set gives %v", err)
	}
}
