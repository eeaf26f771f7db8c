package pickle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// step does one operation.
func (m *machine) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		if v := m.u8(); v < 2 || v > 5 {
			return fmt.Errorf("protocol %d; 2 to 5 are read", v)
		}
	case 0x95: // FRAME
		if n := m.u64(); n > uint64(len(m.data)-m.at) {
			m.take(n)
		}
	case '.': // STOP
		v, err := m.top()
		if err == nil && (len(m.stack) != 1 || len(m.marks) != 0) {
			err = fmt.Errorf("ends with %d values on its stack", len(m.stack))
		}
		m.value, m.stopped = v, true
		return err
	case '(': // MARK
		m.marks = append(m.marks, len(m.stack))
	case '0': // POP
		if len(m.stack) == m.floor() && len(m.marks) > 0 {
			_, err := m.mark()
			return err
		}
		_, err := m.pop(1)
		return err
	case '1': // POP_MARK
		_, err := m.mark()
		return err
	case '2': // DUP
		v, err := m.top()
		m.push(v)
		return err
	case 'q': // BINPUT
		return m.put(m.u8())
	case 'r': // LONG_BINPUT
		return m.put(m.u32())
	case 0x94: // MEMOIZE
		return m.put(uint64(len(m.memo)))
	case 'h': // BINGET
		return m.get(m.u8())
	case 'j': // LONG_BINGET
		return m.get(m.u32())
	default:
		if known, err := m.scalar(op); known {
			return err
		}
		if known, err := m.collect(op); known {
			return err
		}
		return m.object(op)
	}
	return nil
}

// scalar does the operations that push a value that stands for itself.
func (m *machine) scalar(op byte) (known bool, err error) {
	switch op {
	case 'N': // NONE
		m.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		m.push(op == 0x88)
	case 'J': // BININT
		m.push(int64(int32(m.u32())))
	case 'K': // BININT1
		m.push(int64(m.u8()))
	case 'M': // BININT2
		m.push(int64(binary.LittleEndian.Uint16(m.take(2))))
	case 0x8a: // LONG1
		return true, m.long(m.u8())
	case 0x8b: // LONG4
		return true, m.long(m.u32())
	case 'G': // BINFLOAT
		m.float()
	case 'X': // BINUNICODE
		return true, m.text(m.u32())
	case 0x8c: // SHORT_BINUNICODE
		return true, m.text(m.u8())
	case 0x8d: // BINUNICODE8
		return true, m.text(m.u64())
	case 'T': // BINSTRING, of Python 2
		return true, m.text(m.u32())
	case 'U': // SHORT_BINSTRING, of Python 2
		return true, m.text(m.u8())
	case 'B': // BINBYTES
		m.push(bytes.Clone(m.take(m.u32())))
	case 'C': // SHORT_BINBYTES
		m.push(bytes.Clone(m.take(m.u8())))
	case 0x8e, 0x96: // BINBYTES8, BYTEARRAY8
		m.push(bytes.Clone(m.take(m.u64())))
	default:
		return false, nil
	}
	return true, nil
}

// collect does the operations of lists, tuples, dicts and sets.
func (m *machine) collect(op byte) (known bool, err error) {
	switch op {
	case ']': // EMPTY_LIST
		m.push(&List{})
	case '}': // EMPTY_DICT
		m.push(&Dict{})
	case ')': // EMPTY_TUPLE
		m.push(Tuple{})
	case 0x8f: // EMPTY_SET
		m.push(&Set{})
	case 0x85, 0x86, 0x87: // TUPLE1, 2, 3
		v, err := m.pop(int(op) - 0x84)
		m.push(Tuple(slices.Clone(v)))
		return true, err
	case 't', 'l', 'd', 0x91: // TUPLE, LIST, DICT, FROZENSET
		v, err := m.mark()
		if err != nil {
			return true, err
		}
		v = slices.Clone(v)
		switch op {
		case 't':
			m.push(Tuple(v))
		case 'l':
			m.push(&List{v})
		case 'd':
			d := &Dict{}
			m.push(d)
			return true, setItems(d, v)
		default:
			m.push(&Set{v})
		}
	case 'a', 's': // APPEND, SETITEM
		n := 1
		if op == 's' {
			n = 2
		}
		v, err := m.pop(n)
		if err != nil {
			return true, err
		}
		return true, m.extend(op, v)
	case 'e', 'u', 0x90: // APPENDS, SETITEMS, ADDITEMS
		v, err := m.mark()
		if err != nil {
			return true, err
		}
		return true, m.extend(op, v)
	default:
		return false, nil
	}
	return true, nil
}

// extend puts items into the collection on top.
func (m *machine) extend(op byte, items []any) error {
	into, err := m.top()
	if err != nil {
		return err
	}
	switch c := into.(type) {
	case *List:
		if op == 'a' || op == 'e' {
			c.Items = append(c.Items, items...)
			return nil
		}
	case *Set:
		if op == 0x90 {
			c.Items = append(c.Items, items...)
			return nil
		}
	case *Dict:
		if op == 's' || op == 'u' {
			return setItems(c, items)
		}
	}
	return fmt.Errorf("puts items into %s", Kind(into))
}

func setItems(d *Dict, items []any) error {
	if len(items)%2 != 0 {
		return errors.New("a key has no value")
	}
	for i := 0; i < len(items); i += 2 {
		d.Set(items[i], items[i+1])
	}
	return nil
}

// object does the operations that need the host, and refuses the rest.
func (m *machine) object(op byte) error {
	switch op {
	case 'c': // GLOBAL
		module, err := m.line()
		if err != nil {
			return err
		}
		name, err := m.line()
		if err != nil {
			return err
		}
		return m.find(Global{module, name})
	case 0x93: // STACK_GLOBAL
		v, err := m.pop(2)
		if err != nil {
			return err
		}
		module, ok := v[0].(string)
		name, also := v[1].(string)
		if !ok || !also {
			return errors.New("the name of a global is no text")
		}
		return m.find(Global{module, name})
	case 'R', 0x81: // REDUCE, NEWOBJ
		return m.call(2)
	case 0x92: // NEWOBJ_EX
		return m.call(3)
	case 'b': // BUILD
		v, err := m.pop(1)
		if err != nil {
			return err
		}
		state := v[0]
		of, err := m.top()
		if err != nil {
			return err
		}
		switch b := of.(type) {
		case Builder:
			return b.Build(state)
		case *Dict: // attributes of an OrderedDict
			return nil
		}
		return fmt.Errorf("sets the state of %s", Kind(of))
	case 'Q': // BINPERSID
		v, err := m.pop(1)
		if err != nil {
			return err
		}
		x, err := m.host.Persistent(v[0])
		m.push(x)
		return err
	case 0x82, 0x83, 0x84:
		return errors.New("it has extension codes, which are not read")
	case 0x97, 0x98:
		return errors.New("it has buffers outside of the pickle, which are not read")
	case 'I', 'L', 'F', 'S', 'V', 'P', 'p', 'g', 'i', 'o':
		return fmt.Errorf("operation %q is of protocol 0 or 1, which are not read", op)
	}
	if m.err != nil {
		return m.err
	}
	return fmt.Errorf("operation 0x%02x is not known", op)
}

func (m *machine) find(g Global) error {
	if strings.ContainsFunc(g.String(), func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return fmt.Errorf("the name of a global is no name: %.60q", g)
	}
	v, err := m.host.Find(g)
	m.push(v)
	return err
}

// call calls the first of n values with the second as arguments.
func (m *machine) call(n int) error {
	v, err := m.pop(n)
	if err != nil {
		return err
	}
	f, ok := v[0].(Callable)
	args, also := v[1].(Tuple)
	if n == 3 {
		if named, ok := v[2].(*Dict); !ok || len(named.Keys) > 0 {
			return errors.New("calls something with named arguments, which is not read")
		}
	}
	switch {
	case !ok:
		return fmt.Errorf("calls %s", Kind(v[0]))
	case !also:
		return fmt.Errorf("calls something with %s instead of a tuple", Kind(v[1]))
	}
	x, err := f.Call(args)
	m.push(x)
	return err
}
