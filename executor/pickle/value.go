package pickle

import (
	"fmt"
	"math/big"
)

// What a pickle makes: nil, bool, int64, *big.Int, float64, string, []byte,
// *List, Tuple, *Dict, *Set, Global, and what a Host makes of globals and
// persistent ids. Objects may be shared, and may hold themselves.

// List is a list; tuples that are made while they hold themselves are not.
type List struct{ Items []any }

// Tuple is a tuple.
type Tuple []any

// Set is a set or a frozen set, in the order of the file.
type Set struct{ Items []any }

// Dict is a dict, in the order in which keys came first.
type Dict struct {
	Keys, Values []any
	index        map[any]int // of keys that are text or whole numbers
}

// Set puts a value under a key.
func (d *Dict) Set(key, value any) {
	switch key.(type) {
	case string, int64:
		if i, ok := d.index[key]; ok {
			d.Values[i] = value
			return
		}
		if d.index == nil {
			d.index = map[any]int{}
		}
		d.index[key] = len(d.Keys)
	}
	d.Keys, d.Values = append(d.Keys, key), append(d.Values, value)
}

// Get finds the value under a text or an int64.
func (d *Dict) Get(key any) (any, bool) {
	i, ok := d.index[key]
	if !ok {
		return nil, false
	}
	return d.Values[i], true
}

// Global is a name that a pickle imports.
type Global struct{ Module, Name string }

func (g Global) String() string { return g.Module + "." + g.Name }

// Callable is a value that a pickle may call.
type Callable interface {
	Call(args Tuple) (any, error)
}

// Func makes a function a Callable.
type Func func(args Tuple) (any, error)

// Call calls f.
func (f Func) Call(args Tuple) (any, error) { return f(args) }

// Builder is a value whose state a pickle may set.
type Builder interface {
	Build(state any) error
}

// Int returns a whole number that fits into 64 bits.
func Int(v any) (int64, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case *big.Int:
		return 0, fmt.Errorf("%s is out of range", v)
	}
	return 0, fmt.Errorf("%s is no whole number", Kind(v))
}

// Kind says what a value is, for messages.
func Kind(v any) string {
	switch v.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int64, *big.Int:
		return "a number"
	case float64:
		return "a float"
	case string:
		return "a text"
	case []byte:
		return "bytes"
	case *List:
		return "a list"
	case Tuple:
		return "a tuple"
	case *Dict:
		return "a dict"
	case *Set:
		return "a set"
	}
	return "an object"
}
