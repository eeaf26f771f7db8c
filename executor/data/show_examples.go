package data

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"pipe.dev/compiler/ir"
)

// shownNumbers is how many numbers of an input are shown of each example.
const shownNumbers = 12

// ExampleText is an example of a batch, in JSON.
type ExampleText struct {
	Batch  int64                `json:"batch"` // from 1
	Row    int                  `json:"row"`   // from 1
	Values map[string][]float64 `json:"values"`
}

// ShowExamples writes the next batches of a loader, an example in each line;
// of an input of many numbers the first, unless it is JSON.
func ShowExamples(w io.Writer, l *ExampleLoader, fields []Field, o ShowOptions) error {
	out := bufio.NewWriter(w)
	var b Batch
	for range o.Batches {
		if err := l.Next(&b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		for row := range b.Rows {
			t := ExampleText{Batch: l.pos.Step, Row: row + 1, Values: map[string][]float64{}}
			for _, f := range fields {
				t.Values[f.Name] = f.values(b.Values[f.Name], row)
			}
			var err error
			if o.JSON {
				err = json.NewEncoder(out).Encode(t)
			} else {
				_, err = fmt.Fprintln(out, t.line(fields))
			}
			if err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// values are the numbers of a row.
func (f *Field) values(data []byte, row int) []float64 {
	out := make([]float64, f.Width)
	for i := range out {
		bits := binary.LittleEndian.Uint32(data[4*(row*f.Width+i):])
		if out[i] = float64(math.Float32frombits(bits)); f.DType == ir.I32 {
			out[i] = float64(int32(bits))
		}
	}
	return out
}

func (t *ExampleText) line(fields []Field) string {
	parts := []string{fmt.Sprintf("%d.%d", t.Batch, t.Row)}
	for _, f := range fields {
		var words []string
		for i, x := range t.Values[f.Name] {
			if i == shownNumbers {
				words = append(words, fmt.Sprintf("... %d in all", f.Width))
				break
			}
			words = append(words, fmt.Sprintf("%.4g", x))
		}
		parts = append(parts, f.Name+" "+strings.Join(words, " "))
	}
	return strings.Join(parts, "  ")
}
