package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// TensorBoard reads files of TFRecords, each an Event of
// tensorflow/core/util/event.proto. Only the fields below are written.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string, in the first event of a file
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	summaryValue = 1 // repeated Value

	valueTag       = 1 // string
	valueSimple    = 2 // float
	valueHistogram = 5 // HistogramProto

	histogramMin     = 1 // double
	histogramMax     = 2 // double
	histogramNum     = 3 // double
	histogramSum     = 4 // double
	histogramSquares = 5 // double
	histogramLimits  = 6 // packed repeated double, upper ends of the buckets
	histogramCounts  = 7 // packed repeated double

	sessionLogStatus = 1 // enum
	sessionStart     = 1 // its value START: forget what was logged from this step on
)

const (
	eventPrefix  = "events.out.tfevents."
	eventVersion = "brain.Event:2"
)

// message is a protocol buffer that is being written.
type message []byte

func (m *message) key(field, wire int) { *m = binary.AppendUvarint(*m, uint64(field<<3|wire)) }

func (m *message) count(field int, v int64) {
	m.key(field, 0)
	*m = binary.AppendUvarint(*m, uint64(v))
}

func (m *message) double(field int, v float64) {
	m.key(field, 1)
	*m = binary.LittleEndian.AppendUint64(*m, math.Float64bits(v))
}

func (m *message) float(field int, v float32) {
	m.key(field, 5)
	*m = binary.LittleEndian.AppendUint32(*m, math.Float32bits(v))
}

func (m *message) bytes(field int, b []byte) {
	m.key(field, 2)
	*m = binary.AppendUvarint(*m, uint64(len(b)))
	*m = append(*m, b...)
}

func (m *message) doubles(field int, v []float64) {
	packed := make([]byte, 0, 8*len(v))
	for _, x := range v {
		packed = binary.LittleEndian.AppendUint64(packed, math.Float64bits(x))
	}
	m.bytes(field, packed)
}

// newEvent returns an event without content.
func newEvent(at time.Time, step int64) message {
	var e message
	e.double(eventWallTime, float64(at.UnixMicro())/1e6)
	e.count(eventStep, step)
	return e
}

// scalarEvent is a row as an event: a scalar for each value, by the same
// name, and grad_norm/<layer> for each layer.
func scalarEvent(row Row) message {
	var summary message
	scalar := func(tag string, v float64) {
		var value message
		value.bytes(valueTag, []byte(tag))
		value.float(valueSimple, float32(v))
		summary.bytes(summaryValue, value)
	}
	for _, n := range row.names() {
		scalar(n, row.Values[n])
	}
	for _, layer := range row.layers() {
		scalar(GradNorm+"/"+layer, row.Norms[layer])
	}
	e := newEvent(row.Time, row.Step)
	e.bytes(eventSummary, summary)
	return e
}

// Histogram writes the distribution of values, of gradients or weights say, at
// a step to the TensorBoard file. Values that are not finite are left out.
func (r *Run) Histogram(step int64, tag string, values []float32) error {
	var value, summary message
	value.bytes(valueTag, []byte(tag))
	value.bytes(valueHistogram, newHistogram(values).encode())
	summary.bytes(summaryValue, value)
	e := newEvent(r.now(), step)
	e.bytes(eventSummary, summary)
	return r.logEvent(e)
}

// logEvent appends an event, making the file with the first one.
func (r *Run) logEvent(e message) error {
	if r.events == nil {
		if err := r.openEvents(); err != nil {
			return err
		}
	}
	return r.events.append(frame(e))
}

// openEvents makes the event file of this process. Its time is later than that
// of any file there, since TensorBoard reads them in order of their names. The
// first file of a run that was resumed makes TensorBoard forget later steps.
func (r *Run) openEvents() error {
	now := r.now()
	seconds := now.Unix()
	entries, err := r.disk.readDir(r.Folder)
	if err != nil {
		return fileError(r.Folder, err)
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), eventPrefix)
		number, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.ParseInt(number, 10, 64); ok && err == nil && n >= seconds {
			seconds = n + 1
		}
	}
	path := r.path(fmt.Sprintf("%s%010d.%s", eventPrefix, seconds, hostName()))
	f, err := r.disk.open(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND)
	if err != nil {
		return fileError(path, err)
	}
	a := &appender{path: path, f: f}
	head := newEvent(now, 0)
	head.bytes(eventFileVersion, []byte(eventVersion))
	records := frame(head)
	if r.opened {
		var log message
		log.count(sessionLogStatus, sessionStart)
		start := newEvent(now, r.resumed+1)
		start.bytes(eventSessionLog, log)
		records = append(records, frame(start)...)
	}
	err = a.append(records)
	if err == nil {
		if err = r.disk.syncFolder(r.Folder); err != nil {
			err = fileError(r.Folder, err)
		}
	}
	if err != nil {
		_ = a.close() // the error that led here says more
		return err
	}
	r.events = a
	return nil
}

// hostName is the machine's name as part of a file's.
func hostName() string {
	_, host, _ := strings.Cut(strings.TrimSpace(string(owner())), " ")
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(`/\:*?"<>| `, c) {
			return '-'
		}
		return c
	}, filepath.Base(host))
}

// frame returns a TFRecord: length, its checksum, the data, their checksum.
func frame(data []byte) []byte {
	b := make([]byte, 0, len(data)+16)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, maskedSum(b))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, maskedSum(data))
}

// maskedSum is the CRC-32C of data as TFRecords keep it, rotated by 15 bits
// and moved, so that data that hold sums have a good one as well.
func maskedSum(data []byte) uint32 {
	sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return (sum>>15 | sum<<17) + 0xa282ead8
}
