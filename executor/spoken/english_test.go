package spoken

import (
	"encoding/json"
	"os"
	"testing"
)

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"Dr. Smith paid $3.50 on 2024-05-03.":           "doctor Smith paid three dollars, fifty cents on May third, twenty twenty-four.",
		"It costs $1,234.05 or €2.5 million; £1.01.":    "It costs one thousand two hundred thirty-four dollars, five cents or two point five million euros; one pound, one penny.",
		"$0.99, $5k, -$3, ¥500, $1":                     "ninety-nine cents, five thousand dollars, minus three dollars, five hundred yen, one dollar",
		"At 10:30, 7:00 and 9:05 pm; 3 p.m. too":        "At ten thirty, seven o'clock and nine oh five p m; three p m too",
		"May 3, 2024 and 4th of July 1776, Sept. 1":     "May third, twenty twenty-four and the fourth of July, seventeen seventy-six, September first",
		"12/25/2010 is Christmas, 25/12/2010 as well":   "December twenty-fifth, twenty ten is Christmas, December twenty-fifth, twenty ten as well",
		"in 1999, 2000, 2005, 1900, 1905 and the 1980s": "in nineteen ninety-nine, two thousand, two thousand five, nineteen hundred, nineteen oh five and the nineteen eighties",
		"3.14 is 22/7, 1/2, 3/4, 2 1/2 and 50%":         "three point one four is twenty-two sevenths, one half, three quarters, two and a half and fifty percent",
		"5 km at 60 mph, 1 kg, 6 ft, -5 °C, 2.5GB":      "five kilometers at sixty miles per hour, one kilogram, six feet, minus five degrees Celsius, two point five gigabytes",
		"The 1st, 2nd, 3rd, 21st and 100th":             "The first, second, third, twenty-first and one hundredth",
		"Call 555-1234, pages 10-20, No. 5":             "Call five five five, one two three four, pages ten to twenty, number five",
		"1,000,000 and 12345678901234567890":            "one million and twelve quintillion three hundred forty-five quadrillion six hundred seventy-eight trillion nine hundred one billion two hundred thirty-four million five hundred sixty-seven thousand eight hundred ninety",
		"Tom & Jerry, 2+2=4, a@b":                       "Tom and Jerry, two plus two equals four, a at b",
		"e.g. this, i.e. that, etc. U.S.A. vs. us":      "for example, this, that is, that, et cetera U S A versus us",
		"St. John lives on Main St. — really…":          "saint John lives on Main street, really...",
		"“Quoted” it’s ½ 4x4 B2B":                       `"Quoted" it's one half four x four B two B`,
		"":                                              "",
		"  nothing   to\ndo ":                           "nothing to do",
		"99/99/9999 25:61 13pm":                         "ninety-nine ninety-ninths slash nine thousand nine hundred ninety-nine twenty-five:sixty-one thirteen pm",
	} {
		if got := Normalize(in); got != want {
			t.Errorf("%q\n is %q\nwant %q", in, got, want)
		}
	}
}

// TestNumbers reads numbers as the Python library inflect does (testdata/golden/spoken.py).
func TestNumbers(t *testing.T) {
	data, err := os.ReadFile("../../testdata/golden/spoken.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][3]string
	if err := json.Unmarshal(data, &rows); err != nil || len(rows) < 100 {
		t.Fatalf("%d numbers: %v", len(rows), err)
	}
	for _, r := range rows {
		if got := Cardinal(r[0]); got != r[1] {
			t.Errorf("%s is %q, want %q", r[0], got, r[1])
		}
		if got := Ordinal(r[0]); got != r[2] {
			t.Errorf("the %s. is %q, want %q", r[0], got, r[2])
		}
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"$1,2.3.4", "10:3", "Jan 99", "\xff1st", "1/0", "-.5", "0000-00-00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { Normalize(s) })
}
