// Package measured keeps what tests measure against references, so that a page
// can say it: testdata/golden/errors.json, by check and by fixture.
//
// A test notes each error. Usually that is compared with what the file says;
// with -record it is written there:
//
//	go test ./executor/... -p 1 -run 'TestForward|TestPadded|...' -args -record
package measured

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"
)

var record = flag.Bool("record", false, "write the errors that tests measure to testdata/golden/errors.json")

// slack is how much larger an error may be than recorded: other processors
// round elsewhere. Tests have bounds of their own besides.
const slack = 2

// File holds the errors, below testdata/golden.
const File = "errors.json"

// Errors are those of each check, by fixture.
type Errors map[string]map[string]float64

// Read reads the errors of a folder testdata/golden.
func Read(golden string) (Errors, error) {
	out := Errors{}
	data, err := os.ReadFile(golden + "/" + File)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(data, &out)
}

// Note compares an error with what is recorded of it, or records it, rounded up
// to one digit.
func Note(t *testing.T, golden, check, fixture string, err float64) {
	t.Helper()
	all, readErr := Read(golden)
	if !*record {
		want, ok := all[check][fixture]
		if readErr != nil || !ok {
			t.Errorf("%s/%s has no error of %s for %s (%v): record it with -args -record", golden, File, check, fixture, readErr)
		} else if !(err <= slack*want) {
			t.Errorf("%s of %s: the error is %.2g, recorded are %g", check, fixture, err, want)
		}
		return
	}
	if all[check] == nil {
		all[check] = map[string]float64{}
	}
	all[check][fixture] = roundUp(err)
	data, encodeErr := json.MarshalIndent(all, "", "  ")
	if encodeErr != nil {
		t.Fatal(encodeErr)
	}
	if err := os.WriteFile(golden+"/"+File, append(data, '\n'), 0o666); err != nil {
		t.Fatal(err)
	}
}

// roundUp is the next number with one digit that is not smaller.
func roundUp(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	exp := math.Floor(math.Log10(x))
	digit := math.Ceil(x/math.Pow(10, exp) - 1e-9)
	out, err := strconv.ParseFloat(fmt.Sprintf("%.0fe%.0f", digit, exp), 64)
	if err != nil {
		return x
	}
	return out
}
