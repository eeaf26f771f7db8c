package journal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// watchEvery is how often a watched run is looked at.
const watchEvery = 200 * time.Millisecond

// Watch gives the last rows of the run in a folder, at most so many, and then
// each further one as it is written, until nobody writes the run any more; it
// returns what became of it. It ends with the error of ctx, or of hear. Rows
// that a resumed run takes back are given again.
func Watch(ctx context.Context, folder string, last int, hear func(Row) error) (Summary, error) {
	w := &watcher{path: filepath.Join(folder, metricsName)}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		s := Summarize(folder) // before the rows are read: one that ends has written them all
		if s.State == Damaged {
			return s, errorf(folder, "%s", s.Problem)
		}
		rows, err := w.more()
		if err != nil {
			return s, err
		}
		if first {
			rows = rows[max(0, len(rows)-last):]
		}
		for _, r := range rows {
			if err := hear(r); err != nil {
				return s, err
			}
		}
		if s.State != Running {
			return Summarize(folder), nil
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-tick.C:
		}
	}
}

// watcher reads a file of rows that grows.
type watcher struct {
	path string
	at   int64 // bytes that were read
}

// more returns the whole rows that were written since the last call.
func (w *watcher) more() ([]Row, error) {
	f, err := os.Open(w.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(w.path, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() < w.at { // it was resumed at an earlier step
		w.at = info.Size()
	}
	data, err := io.ReadAll(io.NewSectionReader(f, w.at, 1<<62-w.at))
	if err != nil {
		return nil, fileError(w.path, err)
	}
	var rows []Row
	for {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return rows, nil
		}
		row, err := parseRow(line)
		if err != nil {
			return nil, errorf(w.path, "at byte %d: a line %s", w.at, oneLine(err))
		}
		rows, data, w.at = append(rows, row), rest, w.at+int64(len(line))+1
	}
}
