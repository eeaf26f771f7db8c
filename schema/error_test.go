package schema

import (
	"errors"
	"testing"

	"pipe.dev/compiler/ir"
)

func TestErrors(t *testing.T) {
	late := &Error{Pos: ir.Pos{File: "a.cue", Line: 10, Col: 2, Path: "nodes.x"}, Msg: "is missing", Hint: "the input"}
	early := &Error{Pos: ir.Pos{File: "a.cue", Line: 9, Col: 30}, Msg: "is odd"}
	set := &Error{Pos: ir.Pos{File: "--set n"}, Msg: "want a number"}
	whole := &Error{Pos: ir.Pos{File: "config.json", Path: "hidden_size"}, Msg: "is missing"}
	all := Errors{late, whole, early, set, late}.sorted()
	want := "--set n: want a number\na.cue:9:30: is odd\na.cue:10:2: nodes.x: is missing (the input)\nconfig.json: hidden_size: is missing"
	if all.Error() != want {
		t.Errorf("%s\nwant\n%s", all, want)
	}
	var first *Error
	if !errors.As(all.err(), &first) || first != set {
		t.Errorf("the first is %v", first)
	}
	if err := (Errors{}).err(); err != nil {
		t.Errorf("no mistakes are %v", err)
	}
}
