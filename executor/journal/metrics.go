package journal

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Log appends a row to metrics.jsonl and the TensorBoard file. The steps of
// rows rise. Rows reach the system at once and the disk with the next Save.
func (r *Run) Log(row Row) error {
	if r.metrics == nil {
		return errorf(r.path(metricsName), "a run that was opened is resumed before it is logged to")
	}
	if row.Step <= r.written {
		return errorf(r.path(metricsName), "step %d comes after step %d, which is written", row.Step, r.written)
	}
	if err := row.check(); err != nil {
		return fileError(r.path(metricsName), err)
	}
	if row.Time.IsZero() {
		row.Time = r.now()
	}
	if err := r.metrics.append(row.encode()); err != nil {
		return err
	}
	r.written = row.Step
	return r.logEvent(scalarEvent(row))
}

// Resume prepares a run that was opened to go on after step, which is that of
// a checkpoint, or -1 to begin anew: rows after it and a torn last line leave
// metrics.jsonl, and checkpoints after it are set aside. The file then is what
// that of a run would be that never stopped, but for the times in it. A run
// that begins anew is one of this process, machine and version.
func (r *Run) Resume(step int64) error {
	if r.metrics != nil {
		return errorf(r.Folder, "was resumed already")
	}
	path := r.path(metricsName)
	data, err := readFile(r.disk, path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	size, last, err := cut(path, data, step)
	if err != nil {
		return err
	}
	if err := r.setAside(step); err != nil {
		return err
	}
	a, err := openAppender(r.disk, path)
	if err != nil {
		return err
	}
	a.size = size
	err = a.f.Truncate(size)
	if err == nil {
		err = a.f.Sync()
	}
	if err == nil {
		err = r.disk.syncFolder(r.Folder)
	}
	if err != nil {
		_ = a.close() // the error that led here says more
		return fileError(path, err)
	}
	r.metrics, r.written, r.resumed = a, last, step
	switch {
	case step < 0:
		return r.writeAbout(r.anew)
	case !r.About.Finished.IsZero():
		about := r.About
		about.Finished = time.Time{}
		return r.writeAbout(about)
	}
	return nil
}

// cut returns how many bytes of metrics hold the rows up to step, and the step
// of the last of them or -1. What follows may be torn or garbage, since it was
// not on the disk when the checkpoint was; what precedes may not.
func cut(path string, data []byte, step int64) (size, last int64, err error) {
	last = -1
	var ended error // why the rows ended before the end of the file
	for number, rest := 1, data; len(rest) > 0; number++ {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if !whole {
			break
		}
		row, err := parseRow(line)
		switch {
		case ended != nil:
			if err == nil && row.Step <= step {
				return 0, 0, ended
			}
		case err != nil:
			ended = errorf(path, "line %d %s", number, oneLine(err))
		case row.Step > step:
			ended = errorf(path, "line %d is of step %d, but earlier ones follow", number, row.Step)
		case row.Step <= last:
			return 0, 0, notRising(path, number, row.Step, last)
		default:
			last = row.Step
			size = int64(len(data) - len(after))
		}
		rest = after
	}
	return size, last, nil
}

func notRising(path string, line int, step, last int64) error {
	if step == last {
		return errorf(path, "line %d is of step %d again", line, step)
	}
	return errorf(path, "line %d is of step %d, after step %d", line, step, last)
}

// ReadMetrics returns the rows in the metrics.jsonl of a run folder. A torn
// last line, which a killed process may leave, is left out; any other line
// that is no row, or whose step does not rise, is an error that names it.
func ReadMetrics(folder string) ([]Row, error) {
	return readMetrics(osDisk{}, folder)
}

func readMetrics(d filesystem, folder string) ([]Row, error) {
	path := filepath.Join(folder, metricsName)
	data, err := readFile(d, path)
	if err != nil {
		return nil, err
	}
	var rows []Row
	last := int64(-1)
	for number := 1; len(data) > 0; number++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole || onlyZeros(rest) && onlyZeros(line) {
			break
		}
		row, err := parseRow(line)
		if err != nil {
			return nil, errorf(path, "line %d %s", number, oneLine(err))
		}
		if row.Step <= last {
			return nil, notRising(path, number, row.Step, last)
		}
		rows, last, data = append(rows, row), row.Step, rest
	}
	return rows, nil
}

// onlyZeros reports whether b holds nothing but the zero bytes that some file
// systems leave at the end of a file after a power cut.
func onlyZeros(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// tailRow returns the last row of a run's metrics for which ok holds, looking
// at the last part of the file only, and the last row of all.
func tailRow(d filesystem, folder string, ok func(Row) bool) (last, found Row, err error) {
	const part = 1 << 18
	path := filepath.Join(folder, metricsName)
	f, err := d.open(path, os.O_RDONLY)
	if err != nil {
		return last, found, fileError(path, err)
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err != nil {
		return last, found, fileError(path, err)
	} else if _, err := f.Seek(max(0, end-part), io.SeekStart); err != nil {
		return last, found, fileError(path, err)
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return last, found, fileError(path, err)
	}
	last.Step, found.Step = -1, -1
	end := bytes.LastIndexByte(data, '\n') + 1
	for data = data[:end]; len(data) > 0; {
		line := data[bytes.LastIndexByte(data[:len(data)-1], '\n')+1:]
		data = data[:len(data)-len(line)]
		row, err := parseRow(line)
		if err != nil {
			continue // torn, or the first line of the part
		}
		if last.Step < 0 {
			last = row
		}
		if ok(row) {
			return last, row, nil
		}
	}
	return last, found, nil
}
