// Package pickle reads Python pickles of the protocols 2 to 5 without ever
// executing what they say: it knows the data types of Python, and asks a Host
// for everything that a pickle imports by name. What the host does not know is
// refused by that name.
//
// Memory is bounded by the length of the pickle, whatever counts it claims.
//
// Not here: protocols 0 and 1, buffers that are kept outside of the pickle,
// extension codes, and writing.
//
// Source: CPython, Lib/pickletools.py; PEP 307, 3154 and 574.
package pickle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"unicode/utf8"
)

// Host gives meaning to what a pickle cannot say by itself.
type Host interface {
	// Find returns the value of a global: a Callable, or any other value.
	Find(g Global) (any, error)
	// Persistent returns the object that an id outside of the pickle stands for.
	Persistent(id any) (any, error)
}

// Limit is the longest pickle that is read, in bytes.
const Limit = 64 << 20

// ErrShort says that a pickle goes on after the data that there are.
var ErrShort = errors.New("cut short or damaged")

// maxBig is the most bytes of a whole number.
const maxBig = 64

// Read reads the pickle at the beginning of data, and returns its value, its
// length and how many operations it has.
func Read(data []byte, h Host) (value any, length, ops int, err error) {
	m := &machine{data: data[:min(len(data), Limit)], host: h, memo: map[uint32]any{}}
	for !m.stopped && m.err == nil {
		m.ops++
		if err := m.step(m.byte()); err != nil && m.err == nil {
			m.err = err
		}
	}
	if m.err != nil {
		return nil, 0, 0, fmt.Errorf("pickle, byte %d: %w", m.start, m.err)
	}
	return m.value, m.at, m.ops, nil
}

// machine is the stack machine that a pickle is a program of.
type machine struct {
	data      []byte
	at, start int // of the next byte, and of the operation
	ops       int
	stack     []any
	marks     []int // heights of the stack
	memo      map[uint32]any
	host      Host
	value     any
	stopped   bool
	err       error
}

// take returns the next n bytes, which are part of the pickle.
func (m *machine) take(n uint64) []byte {
	if m.err == nil && n > uint64(len(m.data)-m.at) {
		if len(m.data) == Limit {
			m.err = fmt.Errorf("it is longer than the limit of %d bytes", Limit)
		} else {
			m.err = fmt.Errorf("wants %d bytes, but only %d are left: %w", n, len(m.data)-m.at, ErrShort)
		}
	}
	if m.err != nil {
		return make([]byte, min(n, 8))
	}
	b := m.data[m.at : m.at+int(n)]
	m.at += int(n)
	return b
}

func (m *machine) byte() byte {
	m.start = m.at
	return m.take(1)[0]
}

func (m *machine) u8() uint64  { return uint64(m.take(1)[0]) }
func (m *machine) u32() uint64 { return uint64(binary.LittleEndian.Uint32(m.take(4))) }
func (m *machine) u64() uint64 { return binary.LittleEndian.Uint64(m.take(8)) }

// line reads text up to a newline.
func (m *machine) line() (string, error) {
	const longest = 1024
	for i := m.at; i < len(m.data) && i-m.at <= longest; i++ {
		if m.data[i] == '\n' {
			s := string(m.data[m.at:i])
			m.at = i + 1
			return s, nil
		}
	}
	return "", fmt.Errorf("a name has no end: %w", ErrShort)
}

func (m *machine) text(n uint64) error {
	b := m.take(n)
	if m.err == nil && !utf8.Valid(b) {
		return fmt.Errorf("a text is not UTF-8: %.40q", b)
	}
	m.push(string(b))
	return nil
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

// floor is the height of the stack at the last mark.
func (m *machine) floor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

// pop returns the n values on top, which lie above the last mark.
func (m *machine) pop(n int) ([]any, error) {
	from := len(m.stack) - n
	if from < m.floor() {
		return nil, fmt.Errorf("takes %d values from a stack of %d", n, len(m.stack)-m.floor())
	}
	out := m.stack[from:]
	m.stack = m.stack[:from]
	return out, nil
}

// mark returns the values above the last mark, and forgets it. They are valid
// until something is pushed.
func (m *machine) mark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("there is no mark")
	}
	from := m.floor()
	out := m.stack[from:]
	m.stack, m.marks = m.stack[:from], m.marks[:len(m.marks)-1]
	return out, nil
}

// top is the value on top of the stack.
func (m *machine) top() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, errors.New("the stack is empty")
	}
	return m.stack[len(m.stack)-1], nil
}

// put keeps the value on top in the memo.
func (m *machine) put(i uint64) error {
	v, err := m.top()
	if err == nil {
		m.memo[uint32(i)] = v
	}
	return err
}

func (m *machine) get(i uint64) error {
	v, ok := m.memo[uint32(i)]
	if !ok {
		return fmt.Errorf("memo has nothing at %d", i)
	}
	m.push(v)
	return nil
}

// long reads a whole number in two's complement, little-endian.
func (m *machine) long(n uint64) error {
	if n > maxBig {
		return fmt.Errorf("a number has %d bytes, more than the limit of %d", n, maxBig)
	}
	b := m.take(n)
	x := new(big.Int)
	for i := len(b) - 1; i >= 0; i-- {
		x.Lsh(x, 8).Or(x, big.NewInt(int64(b[i])))
	}
	if len(b) > 0 && b[len(b)-1] >= 0x80 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if x.IsInt64() {
		m.push(x.Int64())
	} else {
		m.push(x)
	}
	return nil
}

func (m *machine) float() {
	m.push(math.Float64frombits(binary.BigEndian.Uint64(m.take(8))))
}
