package emit

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
)

var update = flag.Bool("update", false, "write the texts")

func ofFunctions(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../ptx/function.ptx")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// texts are chains that hold together all that is written; make ptxas asks
// NVIDIA's assembler about each.
var texts = map[string]Chain{
	"gate":      {Expr: "x0 sigmoid x0 mul x1 mul", Inputs: []Input{{ir.BF16, Whole}, {ir.BF16, Whole}}, Result: ir.BF16, Results: 1, Lanes: 4},
	"step":      {Expr: "x0 x6 mul =t0 x1 x4 mul t0 x5 mul add =y0 x2 x4 mul t0 t0 mul x5 mul add =y1 x3 y0 y1 sqrt x6 add div sub =y2", Inputs: []Input{{ir.F32, Whole}, {ir.F32, Whole}, {ir.F32, Whole}, {ir.F32, Whole}, {ir.F32, One}, {ir.F32, One}, {ir.F32, One}}, Result: ir.F32, Results: 3, Lanes: 4},
	"rounded":   {Expr: "x0 x1 mul bf16 x2 add f16 neg abs", Inputs: []Input{{ir.F32, Whole}, {ir.BF16, Repeats}, {ir.F16, Whole}}, Result: ir.F16, Results: 1, Lanes: 4},
	"sum":       {Expr: "x0 x0 mul", Inputs: []Input{{ir.BF16, Whole}}, Result: ir.F32, Results: 1, Lanes: 4, Sum: true},
	"spread":    {Expr: "x0 x1 add", Inputs: []Input{{ir.F16, Whole}, {ir.F32, Spread}}, Result: ir.F16, Results: 1, Lanes: 4},
	"functions": {Expr: "x0 sign x0 exp x0 log x0 rsqrt x0 sin x0 cos x0 tanh x0 sigmoid x0 erf x0 floor pow max min add add add add add add", Inputs: []Input{{ir.F32, Whole}}, Result: ir.F32, Results: 1, Lanes: 1},
}

// The texts of chains change only where somebody says so.
func TestTexts(t *testing.T) {
	for name, c := range texts {
		k, err := Write(ofFunctions(t), c)
		if err != nil {
			t.Fatal(name, err)
		}
		path := filepath.Join("testdata", name+".ptx")
		if *update {
			if err := os.WriteFile(path, []byte(k.Text), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if old, err := os.ReadFile(path); err != nil || string(old) != k.Text {
			t.Errorf("%s is not what is written of the chain (%v): make kernels, then make ptxas", path, err)
		}
		if strings.Contains(k.Text, "add.f32") || strings.Contains(k.Text, "mul.f32") {
			t.Errorf("%s: a product or sum without .rn, which may become one with another", name)
		}
	}
}

// What can't be written is told.
func TestRefused(t *testing.T) {
	x := []Input{{ir.F32, Whole}}
	for expr, want := range map[string]string{"x0 add": "operands", "x0 exp": "no function pipe_exp", "x0 =y0 y0 =y1": "2 results"} {
		c := Chain{Expr: expr, Inputs: x, Result: ir.F32, Results: 1, Lanes: 1}
		if expr == "x0 =y0 y0 =y1" {
			c.Results = MaxResults + 1
			want = "1 inputs and 9 results"
		}
		if _, err := Write("", c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", expr, err, want)
		}
	}
}
