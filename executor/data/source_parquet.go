package data

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	annotation "github.com/parquet-go/parquet-go/format"
)

// readParquet reads all columns of all row groups. Lines are row numbers.
func readParquet(o *opened, name string, _ *Attr, yield func(Row) error) (err error) {
	file, size, done, err := o.seekable()
	if err != nil {
		return err
	}
	defer done()
	inside := false
	defer func() { // the library panics on some broken files
		if p := recover(); p != nil {
			if inside {
				panic(p)
			}
			err = fmt.Errorf("broken Parquet: %v", p)
		}
	}()
	f, err := parquet.OpenFile(file, size)
	if err != nil {
		return fmt.Errorf("is no readable Parquet file: %w", err)
	}
	number := 0
	buf := make([]parquet.Row, 64)
	for _, group := range f.RowGroups() {
		if err := func() error {
			r := group.Rows()
			defer r.Close()
			for {
				n, err := r.ReadRows(buf)
				for _, values := range buf[:n] {
					number++
					row := Row{File: name, Line: number, Values: assemble(f.Schema(), values)}
					inside = true
					if err := yield(row); err != nil {
						return err
					}
					inside = false
				}
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return fmt.Errorf("broken Parquet after row %d: %w", number, err)
				}
			}
		}(); err != nil {
			return err
		}
	}
	return nil
}

// assemble makes a row of its columns' values.
func assemble(schema *parquet.Schema, row parquet.Row) map[string]any {
	columns := make([][]parquet.Value, 0, len(schema.Columns()))
	row.Range(func(_ int, values []parquet.Value) bool {
		columns = append(columns, values)
		return true
	})
	return structure(schema.Fields(), columns, 0, 0).(map[string]any)
}

// structure makes a map of fields, of the values of all their leaves. A value is there if its definition level reaches
// def, and begins an element if its repetition level is at most rep.
//
// Source: Melnik et al., "Dremel: interactive analysis of web-scale datasets", VLDB 2010, section 4.
func structure(fields []parquet.Field, columns [][]parquet.Value, rep, def int) any {
	out := make(map[string]any, len(fields))
	for _, f := range fields {
		n := leaves(f)
		out[f.Name()] = field(f, columns[:n], rep, def)
		columns = columns[n:]
	}
	return out
}

func leaves(n parquet.Node) int {
	if n.Leaf() {
		return 1
	}
	sum := 0
	for _, f := range n.Fields() {
		sum += leaves(f)
	}
	return sum
}

func field(f parquet.Field, columns [][]parquet.Value, rep, def int) any {
	if len(columns) == 0 || len(columns[0]) == 0 {
		return nil
	}
	switch {
	case f.Optional():
		if def++; columns[0][0].DefinitionLevel() < def {
			return nil
		}
	case f.Repeated():
		return elements(f, columns, rep+1, def+1)
	}
	return content(f, columns, rep, def)
}

// elements makes a list of a repeated field.
func elements(f parquet.Field, columns [][]parquet.Value, rep, def int) []any {
	out := []any{}
	if columns[0][0].DefinitionLevel() < def {
		return out
	}
	rest, one := make([][]parquet.Value, len(columns)), make([][]parquet.Value, len(columns))
	copy(rest, columns)
	for len(rest[0]) > 0 {
		for i, values := range rest {
			n := min(1, len(values))
			for n < len(values) && values[n].RepetitionLevel() > rep {
				n++
			}
			one[i], rest[i] = values[:n], values[n:]
		}
		out = append(out, content(f, one, rep, def))
	}
	return out
}

// content makes the value of a field that is there. A group annotated as a list, of one repeated group of one field, is
// the list of that field.
func content(f parquet.Field, columns [][]parquet.Value, rep, def int) any {
	if f.Leaf() {
		return leaf(columns[0][0])
	}
	inner := f.Fields()
	if !isList(f) || len(inner) != 1 || !inner[0].Repeated() {
		return structure(inner, columns, rep, def)
	}
	list := elements(inner[0], columns, rep+1, def+1)
	if !inner[0].Leaf() && len(inner[0].Fields()) == 1 {
		for i, e := range list {
			for _, only := range e.(map[string]any) {
				list[i] = only
			}
		}
	}
	return list
}

func isList(n parquet.Node) bool {
	t := n.Type().LogicalType()
	if t == nil {
		return false
	}
	_, ok := t.Value.(*annotation.ListType)
	return ok
}

func leaf(v parquet.Value) any {
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean()
	case parquet.Int32:
		return int64(v.Int32())
	case parquet.Int64:
		return v.Int64()
	case parquet.Float:
		return float64(v.Float())
	case parquet.Double:
		return v.Double()
	}
	if v.IsNull() {
		return nil
	}
	return string(v.ByteArray())
}
