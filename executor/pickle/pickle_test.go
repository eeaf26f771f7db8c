package pickle

import (
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// pairs is a host with one function, pair, and ids that stand for themselves.
type pairs struct{}

func (pairs) Find(g Global) (any, error) {
	if g.String() == "m.pair" {
		return Func(func(args Tuple) (any, error) { return &List{[]any{"pair", args}}, nil }), nil
	}
	return nil, errors.New("unknown " + g.String())
}

func (pairs) Persistent(id any) (any, error) { return Tuple{"id", id}, nil }

// What CPython 3.11 writes of these values by pickle.dumps, protocols 2 to 5.
func TestRead(t *testing.T) {
	list := func(items ...any) *List { return &List{items} }
	for text, want := range map[string]any{
		"\x80\x02N.":                                nil,
		"\x80\x02\x88.":                             true,
		"\x80\x02J\xff\xff\xff\xff.":                int64(-1),
		"\x80\x02M\xe8\x03.":                        int64(1000),
		"\x80\x02\x8a\x06\x00\x00\x00\x00\x00\x80.": int64(-1 << 47),
		"\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x40.":                new(big.Int).Lsh(big.NewInt(1), 70),
		"\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xc0.":                new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), 70)),
		"\x80\x02G?\xe0\x00\x00\x00\x00\x00\x00.":                              0.5,
		"\x80\x02X\x03\x00\x00\x00\xc3\xbc1q\x00.":                             "ü1",
		"\x80\x03C\x02\x00\xffq\x00.":                                          []byte{0, 255},
		"\x80\x02]q\x00(K\x01K\x02e.":                                          list(int64(1), int64(2)),
		"\x80\x02K\x01K\x02\x86q\x00.":                                         Tuple{int64(1), int64(2)},
		"\x80\x02(K\x01K\x02K\x03K\x04tq\x00.":                                 Tuple{int64(1), int64(2), int64(3), int64(4)},
		"\x80\x04\x95\x09\x00\x00\x00\x00\x00\x00\x00\x8f\x94(K\x01K\x02\x90.": &Set{[]any{int64(1), int64(2)}},
		"\x80\x04(K\x01\x91\x94.":                                              &Set{[]any{int64(1)}},
		"\x80\x02]q\x00(]q\x01h\x01e.":                                         list(list(), list()),
		"\x80\x02cm\npair\nq\x00K\x01\x85q\x01Rq\x02.":                         list("pair", Tuple{int64(1)}),
		"\x80\x04\x8c\x01m\x94\x8c\x04pair\x94\x93\x94)\x81.":                  list("pair", Tuple{}),
		"\x80\x02K\x05Q.":                                                      Tuple{"id", int64(5)},
		"\x80\x05\x96\x02\x00\x00\x00\x00\x00\x00\x00ab\x94.":                  []byte("ab"),
		"\x80\x02NN0.":        nil,
		"\x80\x02N(NN1.":      nil,
		"\x80\x02K\x012\x86.": Tuple{int64(1), int64(1)},
	} {
		got, n, _, err := Read([]byte(text+"rest"), pairs{})
		if err != nil || n != len(text) || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v (%d bytes, want %d), %v, want %v", text, got, n, len(text), err, want)
		}
	}
}

func TestDict(t *testing.T) {
	v, _, _, err := Read([]byte("\x80\x02}(X\x01\x00\x00\x00aK\x01K\x07K\x02X\x01\x00\x00\x00aK\x03u."), pairs{})
	d, ok := v.(*Dict)
	if err != nil || !ok || len(d.Keys) != 2 {
		t.Fatal(v, err)
	}
	if a, _ := d.Get("a"); a != int64(3) {
		t.Errorf("a is %v", a)
	}
	if seven, _ := d.Get(int64(7)); seven != int64(2) {
		t.Errorf("7 is %v", seven)
	}
	if _, ok := d.Get("b"); ok {
		t.Error("b is there")
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01G?\xe0\x00\x00\x00\x00\x00\x00eX\x01\x00\x00\x00bq\x03cm\npair\n)Ru.",
		"\x80\x04\x95\x20\x00\x00\x00\x00\x00\x00\x00\x8f\x94(K\x01\x8a\x04\xff\xff\xff\xff\x90.", "\x80\x02(((NNtl1.", "\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, n, ops, err := Read(text, pairs{})
		if err != nil {
			if s := err.Error(); s == "" || strings.Contains(s, "\n") || len(s) > 2<<10 || !utf8.ValidString(s) {
				t.Errorf("not a one-line message: %q", s)
			}
		} else if n > len(text) || ops > n {
			t.Errorf("%d operations in %d of %d bytes", ops, n, len(text))
		}
	})
}
