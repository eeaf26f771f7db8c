package data

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"pipe.dev/executor/checkpoint"
)

// What goes to a worker at once.
const (
	jobRows  = 256
	jobBytes = 128 << 10
)

// job is a number of rows to encode, and what comes of them.
type job struct {
	rows   []Row
	faults []*RowError // by row, or nil
	ids    []uint32
	ends   []int // of each document's ids in ids
	owner  []int // the row of each document
	done   chan struct{}
}

// errStopped makes a reader stop when somebody else knows the error.
var errStopped = errors.New("stopped")

// encode writes the token file of all rows. Rows are encoded on all processors, and written in order, so that the file
// depends on the rows alone.
func encode(w io.Writer, key string, files []string, a *Attr, o *Options, c *coder) (err error) {
	s, err := newStoreWriter(w, o.Cache, key, c.enc.Size(), a.format().group)
	if err != nil {
		return err
	}
	defer s.close()
	workers := runtime.GOMAXPROCS(0)
	todo, order := make(chan *job), make(chan *job, workers)
	stop := make(chan struct{})
	for range workers {
		go func() {
			for j := range todo {
				j.encode(a, o, c)
				close(j.done)
			}
		}()
	}
	var failed error // set before order is closed
	go func() {
		defer close(order)
		defer close(todo)
		failed = read(files, a, todo, order, stop)
	}()
	var skipped Skipped
	part := false
	for j := range order {
		<-j.done
		if err == nil {
			if err = j.write(s, a, o, &skipped, &part); err != nil {
				close(stop)
			}
		}
	}
	if err == nil && !errors.Is(failed, errStopped) {
		err = failed
	}
	if err != nil {
		return err
	}
	return s.finish(skipped)
}

// read makes jobs of all rows until stop is closed.
func read(files []string, a *Attr, todo, order chan *job, stop chan struct{}) error {
	j, size := &job{done: make(chan struct{})}, 0
	send := func() error {
		select {
		case <-stop:
			return errStopped
		case order <- j:
		}
		todo <- j
		j, size = &job{done: make(chan struct{})}, 0
		return nil
	}
	err := rows(files, a, func(r Row) error {
		j.rows = append(j.rows, r)
		if size += weigh(r); len(j.rows) < jobRows && size < jobBytes {
			return nil
		}
		return send()
	})
	if errors.Is(err, errStopped) {
		return err
	}
	if last := send(); last != nil {
		return last
	}
	return err
}

// weigh is about how many bytes of text a row has.
func weigh(r Row) int {
	n := len(r.Text)
	for _, v := range r.Values {
		n += weighValue(v)
	}
	return n
}

func weighValue(v any) int {
	n := 16
	switch v := v.(type) {
	case string:
		n += len(v)
	case []any:
		for _, e := range v {
			n += weighValue(e)
		}
	case map[string]any:
		for k, e := range v {
			n += len(k) + weighValue(e)
		}
	}
	return n
}

// encode makes the ids of a job's rows.
func (j *job) encode(a *Attr, o *Options, c *coder) {
	j.faults = make([]*RowError, len(j.rows))
	for i := range j.rows {
		r := &j.rows[i]
		if r.bad != nil {
			j.faults[i] = r.bad
			continue
		}
		docs, err := render(r, a, o)
		before, ends := len(j.ids), len(j.ends)
		for _, d := range docs {
			if err != nil {
				break
			}
			var ids []uint32
			if ids, err = c.document(j.ids, d, !r.follows, !r.Part); err == nil {
				j.ids = ids
				j.ends, j.owner = append(j.ends, len(j.ids)), append(j.owner, i)
			}
		}
		if err != nil {
			j.ids, j.ends, j.owner = j.ids[:before], j.ends[:ends], j.owner[:ends]
			j.faults[i] = rowError(r, err)
		}
	}
}

func rowError(r *Row, err error) *RowError {
	var f *fieldError
	if errors.As(err, &f) {
		return &RowError{File: r.File, Line: r.Line, Field: f.field, Msg: f.msg}
	}
	return &RowError{File: r.File, Line: r.Line, Msg: err.Error()}
}

// render makes documents of a row.
func render(r *Row, a *Attr, o *Options) ([][]Segment, error) {
	layout := o.Layout
	if layout == nil {
		layout = a.layout()
	}
	return a.format().render(&record{row: r, names: a.Fields, layout: layout})
}

// write writes a job's ids in order, or returns the first fault that is not to be skipped.
func (j *job) write(s *storeWriter, a *Attr, o *Options, skipped *Skipped, part *bool) error {
	d, from := 0, 0
	for i, fault := range j.faults {
		if fault != nil {
			if a.OnError != "skip" || j.rows[i].Part || *part {
				return fault
			}
			if skipped.add(fault); o.Report != nil {
				o.Report(fault)
			}
			continue
		}
		for ; d < len(j.owner) && j.owner[d] == i; d++ {
			if !*part {
				if err := s.begin(); err != nil {
					return err
				}
			}
			*part = j.rows[i].Part
			if err := s.add(j.ids[from:j.ends[d]]); err != nil {
				return err
			}
			from = j.ends[d]
		}
	}
	return nil
}

// Texts gives the text of every document of a source, in order, for those who make vocabularies. Long files of text come
// in parts. Bad rows are skipped or end it, as the attribute says.
func Texts(a Attr, o Options, yield func(text string) error) error {
	files, err := o.files(&a)
	if err != nil {
		return err
	}
	return rows(files, &a, func(r Row) error {
		fault := r.bad
		var docs [][]Segment
		if fault == nil {
			if docs, err = render(&r, &a, &o); err != nil {
				fault = rowError(&r, err)
			}
		}
		if fault != nil {
			if a.OnError != "skip" {
				return fault
			}
			if o.Report != nil {
				o.Report(fault)
			}
			return nil
		}
		for _, d := range docs {
			var text string
			for _, s := range d {
				text += s.Text
			}
			if err := yield(text); err != nil {
				return err
			}
		}
		return nil
	})
}

// cached opens the token file of a key, or makes it.
func cached(path, key string, a *Attr, o *Options, make func(w io.Writer) error) (*store, error) {
	s, err := openStore(path)
	if err == nil && s.foot.Key == key {
		return s, nil
	}
	if err == nil {
		s.close()
		err = errorf(path, "has key %.16s, want %.16s", s.foot.Key, key)
	}
	if o.Report != nil && !isAbsent(err) {
		o.Report(fmt.Errorf("%w: it is made anew", err))
	}
	if err := checkpoint.Replace(path, make); err != nil {
		return nil, err
	}
	return openStore(path)
}
