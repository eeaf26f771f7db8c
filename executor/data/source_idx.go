package data

import (
	"archive/tar"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// maxIDX is how many bytes the numbers of an IDX file may have.
const maxIDX = 4 << 30

// idx is the numbers of an IDX file, whose rows along the first axis are examples.
type idx struct {
	file        string // for errors, with the member of an archive
	kind        idxKind
	rows, width int
	data        []byte // big-endian
}

// idxKind is an element type of IDX files.
type idxKind struct {
	size int
	read func(b []byte) float64
}

// idxKinds are those of the third byte of a file.
//
// Source: the description of the format that comes with MNIST, LeCun, Cortes and Burges.
var idxKinds = map[byte]idxKind{
	0x08: {1, func(b []byte) float64 { return float64(b[0]) }},
	0x09: {1, func(b []byte) float64 { return float64(int8(b[0])) }},
	0x0B: {2, func(b []byte) float64 { return float64(int16(binary.BigEndian.Uint16(b))) }},
	0x0C: {4, func(b []byte) float64 { return float64(int32(binary.BigEndian.Uint32(b))) }},
	0x0D: {4, func(b []byte) float64 { return float64(math.Float32frombits(binary.BigEndian.Uint32(b))) }},
	0x0E: {8, func(b []byte) float64 { return math.Float64frombits(binary.BigEndian.Uint64(b)) }},
}

// idxName is what files in archives are called.
var idxName = regexp.MustCompile(`(?i)(\.idx|idx[1-4]-ubyte)(\.gz)?$`)

// readIDX gives the rows of IDX files beside each other: each file, or member
// of a .tar, is the column of its name, of which those are read that the
// attribute asks for. The numbers of a row hold until the next one.
func readIDX(files []string, a *Attr, yield func(Row) error) error {
	columns, err := idxColumns(files, a)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(columns))
	first := columns[names[0]]
	values := map[string][]float64{}
	for _, name := range names {
		c := columns[name]
		if c.rows != first.rows {
			return errorf(c.file, "has %d rows, and %s has %d", c.rows, first.file, first.rows)
		}
		values[name] = make([]float64, c.width)
	}
	for i := range first.rows {
		row := Row{File: first.file, Line: i + 1, Values: make(map[string]any, len(names))}
		for _, name := range names {
			c, v := columns[name], values[name]
			for k := range v {
				v[k] = c.kind.read(c.data[(i*c.width+k)*c.kind.size:])
			}
			row.Values[name] = v
		}
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}

// idxColumns reads the columns that an attribute asks for.
func idxColumns(files []string, a *Attr) (map[string]*idx, error) {
	var wanted, seen []string
	for _, list := range a.Columns {
		wanted = append(wanted, list...)
	}
	found := map[string]*idx{}
	take := func(member string, shown string, r io.Reader) error {
		name := columnOf(member)
		if seen = append(seen, name); !slices.Contains(wanted, name) {
			return nil
		}
		if other := found[name]; other != nil {
			return errorf(shown, "is a second file called %s, beside %s", name, other.file)
		}
		r, err := unpacked(member, r)
		if err != nil {
			return checkpoint.FileError(shown, err)
		}
		found[name], err = parseIDX(shown, r)
		return err
	}
	for _, file := range files {
		if err := eachMember(file, take); err != nil {
			return nil, err
		}
	}
	slices.Sort(seen)
	for _, name := range wanted {
		if found[name] == nil {
			return nil, errorf(files[0], "no file is called %s; there are %s%s", name, strings.Join(slices.Compact(seen), ", "), hint(name, seen))
		}
	}
	return found, nil
}

// columnOf is the column that a file or a member is.
func columnOf(file string) string {
	return strings.TrimSuffix(path.Base(filepath.ToSlash(file)), ".gz")
}

// eachMember calls take for a file, or for the IDX files in an archive.
func eachMember(file string, take func(member, shown string, r io.Reader) error) error {
	o, err := open(file)
	if err != nil {
		return err
	}
	defer o.Close()
	lower := strings.TrimSuffix(strings.ToLower(file), ".gz")
	if !strings.HasSuffix(lower, ".tar") && !strings.HasSuffix(lower, ".tgz") {
		return take(strings.TrimSuffix(file, ".gz"), file, o)
	}
	members := 0
	for archive := tar.NewReader(o); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errorf(file, "is no whole archive: %v", err)
		}
		if h.Typeflag != tar.TypeReg || !idxName.MatchString(h.Name) {
			continue
		}
		members++
		if err := take(h.Name, file+": "+clean(clip(h.Name)), archive); err != nil {
			return err
		}
	}
	if members == 0 {
		return errorf(file, "has no IDX file: no member whose name ends in .idx or idx3-ubyte")
	}
	return nil
}

// parseIDX reads one file. Its errors are about the file.
func parseIDX(file string, r io.Reader) (*idx, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, idxFault(file, "its header", err)
	}
	kind, ok := idxKinds[head[2]]
	if head[0] != 0 || head[1] != 0 || !ok {
		return nil, errorf(file, "is no IDX file: it begins with % x, want 00 00, a type of 08, 09 or 0b to 0e, and the number of axes", head)
	}
	if head[3] == 0 {
		return nil, errorf(file, "is a single number, want an array of examples")
	}
	x, all := &idx{file: file, kind: kind, width: 1}, int64(kind.size)
	for i := range head[3] {
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return nil, idxFault(file, "its header", err)
		}
		n := int64(binary.BigEndian.Uint32(size[:]))
		if n == 0 || n > maxIDX/all {
			return nil, errorf(file, "axis %d has %d, which makes it empty or more than %d GB", i, n, maxIDX>>30)
		}
		if all *= n; i == 0 {
			x.rows = int(n)
		} else {
			x.width *= int(n)
		}
	}
	var err error
	if x.data, err = io.ReadAll(io.LimitReader(r, all+1)); err != nil {
		return nil, idxFault(file, "its numbers", err)
	}
	if n := int64(len(x.data)); n != all {
		return nil, errorf(file, "its header says %d bytes of numbers, and there are %s", all, map[bool]string{true: "more", false: fmt.Sprint(n)}[n > all])
	}
	return x, nil
}

func idxFault(file, part string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errorf(file, "ends within %s", part)
	}
	return errorf(file, "%s: %v", part, err)
}
