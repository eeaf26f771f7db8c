package lift

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pipe.dev/compiler/op"
	"pipe.dev/executor/onnx"
)

// A file of protocol buffers, by hand: what the onnx package refuses to write.

func message(number int, parts ...string) string {
	body := strings.Join(parts, "")
	head := binary.AppendUvarint(nil, uint64(number)<<3|2)
	return string(binary.AppendUvarint(head, uint64(len(body)))) + body
}

func varint(number int, n int64) string {
	return string(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number)<<3), uint64(n)))
}

func file(graph ...string) string {
	return varint(1, 8) + message(7, graph...) + message(8, varint(2, 17))
}

func dim(n int64) string { return message(1, varint(1, n)) }

// input is of an element type and sizes.
func input(name string, elem int64, dims ...string) string {
	return message(11, message(1, name), message(2, message(1, varint(1, elem), message(2, dims...))))
}

func output(name string) string { return message(12, message(1, name)) }

func node(op, ins, out string, attrs ...string) string {
	body := ""
	for in := range strings.FieldsSeq(ins) {
		body += message(1, in)
	}
	return message(1, body, message(2, out), message(4, op), strings.Join(attrs, ""))
}

func intAttr(name string, n int64) string {
	return message(5, message(1, name), varint(3, n), varint(20, 2))
}

func graphAttr(name string, graph ...string) string {
	return message(5, message(1, name), message(6, graph...), varint(20, 5))
}

// ints is an initializer of whole numbers.
func ints(name string, shape []int64, values ...int64) string {
	body := ""
	for _, n := range shape {
		body += varint(1, n)
	}
	for _, v := range values {
		body += varint(7, v)
	}
	return message(5, body, varint(2, 7), message(8, name))
}

func lifted(t testing.TB, data []byte, fix map[string]float64) (*Model, error) {
	t.Helper()
	m, err := onnx.Read(data)
	if err != nil {
		return nil, err
	}
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	return Lift(m, Options{Table: table, Fix: fix, Values: func(t *onnx.Tensor) ([]byte, error) { return t.Data() }})
}

func TestBad(t *testing.T) {
	x := input("x", 1, dim(2), dim(3))
	s := input("x", 1, message(1, message(2, "batch")), dim(3))
	y := output("y")
	call := node("If", "c", "y", graphAttr("then_branch", node("Neg", "x", "r"), output("r")), graphAttr("else_branch", node("Identity", "w", "r"), output("r")))
	loop := node("Loop", "n c x", "y", graphAttr("body", message(11, message(1, "i")), message(11, message(1, "c")), message(11, message(1, "s")),
		node("Concat", "s s", "t", intAttr("axis", 0)), node("Identity", "c", "d"), output("d"), output("t")))
	again := message(25, message(1, "F"), message(4, "a"), message(5, "r"), message(7, message(1, "a"), message(2, "r"), message(4, "F"), message(7, "d")), message(10, "d"))
	both := message(25, message(1, "F"), message(4, "a"), message(5, "r"), message(10, "d"),
		message(7, message(1, "a"), message(2, "b"), message(4, "G"), message(7, "d")), message(7, message(1, "b"), message(2, "r"), message(4, "G"), message(7, "d")))
	for name, c := range map[string]struct{ text, fact string }{
		"good":             {file(x, y, node("Neg", "x", "y")), ""},
		"no output":        {file(x, node("Neg", "x", "y")), "has no outputs"},
		"no maker":         {file(x, y, node("Neg", "x", "z")), `output "y" is made by no node`},
		"missing input":    {file(x, y, node("Add", "x w", "y")), `reads "w", which nothing before it makes`},
		"cycle":            {file(x, y, node("Add", "x y", "z"), node("Neg", "z", "y")), "the graph has a cycle, or is not in order"},
		"not enough":       {file(x, y, node("Add", "x", "y")), "lacks its input 1"},
		"unknown":          {file(x, y, node("NonZero", "x", "y"), node("Foo", "x", "z")), `operations that are not imported: NonZero "y", Foo "z"`},
		"old opset":        {varint(1, 8) + message(7, x, y, node("Neg", "x", "y")) + message(8, varint(2, 3)), "is of opset 3; opsets 7 to 24 are imported"},
		"text input":       {file(input("x", 8, dim(2)), y, node("Neg", "x", "y")), `input "x" is no tensor of numbers`},
		"no shape":         {file(message(11, message(1, "x"), message(2, message(1, varint(1, 1)))), y, node("Neg", "x", "y")), `input "x" has no shape`},
		"bool product":     {file(input("x", 9, dim(2), dim(2)), y, node("MatMul", "x x", "y")), "want floating-point numbers"},
		"wrong type":       {file(x, input("n", 7, dim(2), dim(3)), y, node("Add", "x n", "y")), "element types f32 and i32 differ"},
		"shapes":           {file(x, input("z", 1, dim(4)), y, node("Add", "x z", "y")), "do not match"},
		"2^60 sizes":       {file(x, ints("n", []int64{2}, 1<<60, 1<<60), y, node("Expand", "x n", "y")), "do not repeat to one shape"},
		"windows":          {file(input("x", 1, dim(1), dim(6), dim(4)), ints("n", []int64{2}, 3, 3), ints("k", []int64{2}, 2, 3), y, node("Col2Im", "x n k", "y")), "x has 4 windows; over [3,3] there are 2"},
		"no windows":       {file(input("x", 1, dim(1), dim(6), dim(4)), ints("n", []int64{2}, 3, -3), ints("k", []int64{2}, 2, 3), y, node("Col2Im", "x n k", "y")), "has a size of -3 and a kernel of 3 along axis 1"},
		"2^30 three times": {file(input("x", 1, dim(1)), ints("n", []int64{3}, 1<<30, 1<<30, 1<<30), y, node("Expand", "x n", "y")), "has 1.24e+27 elements"},
		"2^60 input":       {file(input("x", 1, dim(1<<30), dim(1<<30), dim(1<<30)), y, node("Neg", "x", "y")), "has 1.24e+27 elements"},
		"2^60 fill":        {file(x, ints("n", []int64{2}, 1<<30, 1<<30), y, node("ConstantOfShape", "n", "y")), "has 1.15e+18 elements"},
		"2^31 range":       {file(x, ints("a", nil, 0), ints("b", nil, math.MaxInt64), ints("c", nil, 1), y, node("Range", "a b c", "y")), ""},
		"range by 0":       {file(x, ints("a", nil, 0), ints("b", nil, 5), ints("c", nil, 0), y, node("Range", "a b c", "y")), "counts from 0 to 5 by 0"},
		"negative size":    {file(x, ints("n", []int64{1}, -7), y, node("Reshape", "x n", "y")), "has a size of -7"},
		"two rests":        {file(x, ints("n", []int64{2}, -1, -1), y, node("Reshape", "x n", "y")), "has a size of -1"},
		"bad reshape":      {file(x, ints("n", []int64{2}, 4, 2), y, node("Reshape", "x n", "y")), "has 6 elements"},
		"shape of data":    {file(x, input("n", 7, dim(2)), y, node("Reshape", "x n", "y")), "its shape follows from values of inputs"},
		"axis":             {file(x, y, node("Softmax", "x", "y", intAttr("axis", 9))), "axis 9 is out of range for 2 axes"},
		"named size":       {file(s, y, node("Split", "x", "y", intAttr("axis", 0))), "--fix NAME=NUMBER gives one a number"},
		"index":            {file(x, ints("n", nil, 5), y, node("Gather", "x n", "y", intAttr("axis", 0))), "index 5 is out of range for 2 elements"},
		"attribute kind":   {file(x, y, node("Softmax", "x", "y", message(5, message(1, "axis"), message(4, "one"), varint(20, 3)))), "attribute axis is of another kind"},
		"condition":        {file(x, input("c", 9), ints("w", []int64{1}, 1), y, call), "its condition follows from inputs"},
		"endless loop":     {file(x, ints("n", nil, math.MaxInt64), ints("c", nil, 1), y, loop), "has no known number of rounds up to 1024"},
		"doubling loop":    {file(x, ints("n", nil, 60), ints("c", nil, 1), y, loop), "elements"},
		"recursion":        {file(x, y, message(1, message(1, "x"), message(2, "y"), message(4, "F"), message(7, "d"))) + again, "functions more than 16 deep"},
		"bomb":             {bomb(file(x, y, message(1, message(1, "x"), message(2, "y"), message(4, "F"), message(7, "d")))+both, 15), "takes more than 50000 nodes"},
		"sparse steps":     {file(x, y, ints("a", []int64{1}, 0), ints("b", []int64{1}, 2), ints("c", []int64{1}, 0), node("Slice", "x a b a c", "y")), "has a step of 0"},
		"dynamic weight":   {file(input("x", 1, dim(1), dim(3), dim(9)), input("w", 1, dim(2), dim(3), dim(3)), y, node("Conv", "x w", "y")), "its weight is no constant"},
		"weight of text":   {file(input("x", 1, dim(1), dim(3), dim(9)), ints("w", []int64{1, 1, 1}, 3), y, node("Conv", "x w", "y")), "its weight is no constant"},
		"empty constant":   {file(x, ints("w", []int64{0}), y, node("Add", "x w", "y")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := lifted(t, []byte(c.text), nil)
			switch {
			case c.fact == "" && name == "good":
				if err != nil {
					t.Error(err)
				}
			case c.fact == "": // anything but a crash
			case err == nil || !strings.Contains(err.Error(), c.fact):
				t.Errorf("%v; want %q", err, c.fact)
			case strings.Contains(err.Error(), "\n") || !utf8.ValidString(err.Error()):
				t.Errorf("not one line: %q", err)
			}
		})
	}
}

// bomb adds functions each of which calls the next one twice.
func bomb(text string, levels int) string {
	name := func(i int) string { return "G" + strings.Repeat("g", i) }
	for i := range levels {
		op, domain := name(i+1), "d"
		if i == levels-1 {
			op, domain = "Neg", ""
		}
		inner := func(from, to string) string {
			return message(7, message(1, from), message(2, to), message(4, op), message(7, domain))
		}
		text += message(25, message(1, name(i)), message(4, "a"), message(5, "r"), message(10, "d"), inner("a", "b"), inner("b", "c"), inner("c", "e"), inner("e", "r"))
	}
	return text
}

// FuzzLift imports whole files: each gives a document or an error of one line.
func FuzzLift(f *testing.F) {
	files, err := filepath.Glob("../../../testdata/golden/onnx/graphs/[oc]*.onnx")
	if err != nil || len(files) < 5 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(file(input("x", 1, dim(2), dim(3)), output("y"), node("Neg", "x", "y"))))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := lifted(t, text, nil)
		if err != nil {
			if s := err.Error(); s == "" || strings.Contains(s, "\n") || len(s) > 16<<10 {
				t.Errorf("not a one-line message: %q", s)
			}
			return
		}
		if _, err := m.Document("fuzzed", ""); err != nil {
			t.Errorf("no document: %v", err)
		}
		for i := range m.Weights {
			if m.Weights[i].Bytes() > 1<<24 {
				continue
			}
			data, err := m.Weights[i].Values()
			if err != nil || int64(len(data)) != m.Weights[i].Bytes() {
				t.Errorf("%s has %d bytes, want %d: %v", m.Weights[i].Name, len(data), m.Weights[i].Bytes(), err)
			}
		}
	})
}
