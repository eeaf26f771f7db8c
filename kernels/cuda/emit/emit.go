// Package emit writes kernels for NVIDIA's GPUs as PTX text: one for each chain
// of elementwise ops of a plan, so that what lies between them stays in
// registers.
//
// A chain computes what its ops compute one by one, bit by bit but for what a
// NaN holds: each operation is rounded as written (.rn, so that no product and
// sum are made one), and functions are those of kernels/cuda/source/function.cu,
// taken from its PTX.
package emit

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// MaxInputs and MaxResults are the most operands of a chain; MostInputs are those
// of one whose inputs a table says, as the squares of all gradients that are added up.
const (
	MaxInputs  = 24
	MostInputs = 4096
	MaxResults = 8
)

// Params is the parameter of a chain's kernel. Addresses and sizes of inputs and
// results in order; N and sizes are counted in runs of Lanes elements.
type Params struct {
	N       uint64
	Inputs  [MaxInputs]Place // of more inputs the first is the table
	Results [MaxResults]uint64
}

// Place is where an input lies.
type Place struct {
	At   uint64
	Size uint32 // of an input that repeats
	Each uint32 // of one that is spread, how many runs an element stands for
}

const (
	inputsAt   = 8
	resultsAt  = inputsAt + 16*MaxInputs
	paramBytes = resultsAt + 8*MaxResults
)

// Reach says how an input lies beside the results.
type Reach int

// An input has the shape of the results, or of their last axes, or one element; or
// it is spread: each of its elements stands for a run of the results', as that of a
// channel does or of a row, and all of it may repeat.
const (
	Whole Reach = iota
	Repeats
	One
	Spread
)

// Input is an operand of a chain.
type Input struct {
	DType ir.DType
	Reach Reach
}

// Chain is what a kernel is written of. Inputs and results are f32, bf16 or f16.
type Chain struct {
	Expr    string
	Inputs  []Input
	Result  ir.DType
	Results int
	Lanes   int // elements that a thread takes at once: 4, where all lie so, or 1
	// Sum has each warp add up its elements, in f64, and write the sum at its number
	// in the one result, instead of what the chain gives.
	Sum bool
}

// Kernel is a text and the name of its one kernel, which differs from that of
// every other text.
type Kernel struct{ Name, Text string }

// Write makes the kernel of a chain; functions is the PTX of
// source/function.cu. It fails for an expression that ParseExpr refuses, and for
// too many operands.
func Write(functions string, c Chain) (Kernel, error) {
	tokens, err := op.ParseExpr(c.Expr, len(c.Inputs))
	if err != nil {
		return Kernel{}, err
	}
	if len(c.Inputs) > MostInputs || c.Results > MaxResults || c.Results != op.Results(tokens) || c.Lanes != 1 && c.Lanes != 4 || c.Sum && c.Results != 1 {
		return Kernel{}, fmt.Errorf("a chain of %d inputs and %d results, %d at once", len(c.Inputs), c.Results, c.Lanes)
	}
	w := &writer{chain: c, calls: map[string]bool{}}
	w.loop(tokens)
	called, err := library(functions, w.calls)
	if err != nil {
		return Kernel{}, err
	}
	body := w.registers() + w.text.String()
	name := fmt.Sprintf("chain_%x", sha256.Sum256([]byte(called+body)))[:6+24]
	return Kernel{name, fmt.Sprintf("// %s\n.version 8.0\n.target sm_80\n.address_size 64\n\n%s.visible .entry %s(\n\t.param .align 8 .b8 p[%d]\n)\n{\n%s}\n",
		c.Expr, called, name, paramBytes, body)}, nil
}

// library returns the functions that are called, and the arrays that these read.
func library(text string, calls map[string]bool) (string, error) {
	var out strings.Builder
	var names []string
	for name := range calls {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		head := strings.Index(text, ".visible .func  (.param .b32 func_retval0) "+name+"(")
		if head < 0 {
			return "", fmt.Errorf("no function %s", name)
		}
		end := strings.Index(text[head:], "\n}\n")
		if end < 0 {
			return "", fmt.Errorf("function %s has no end", name)
		}
		out.WriteString(text[head:head+end] + "\n}\n")
	}
	arrays := ""
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, ".global "); ok {
			words := strings.Fields(rest[:strings.Index(rest, "[")])
			if strings.Contains(out.String(), words[len(words)-1]) {
				arrays += line
			}
		}
	}
	return arrays + out.String(), nil
}
