package data

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"os"

	"pipe.dev/executor/checkpoint"
)

// A token file is, in little-endian order,
//
//	magic     64 bytes: "pipe tokens 1\n", then zeros
//	tokens    width bytes each; the top bit marks those that the loss does not count
//	zeros     up to a multiple of 8
//	starts    8 bytes for each document: the number of its first token; and one more, the number of tokens
//	footer    JSON of a footer
//	tail      8 bytes: the length of the footer, the CRC-32C of all before it
const (
	storeMagic = "pipe tokens 1\n"
	storeHead  = 64
	storeTail  = 8
)

// footer describes a token file.
type footer struct {
	Key       string  `json:"key"`   // of sources, format and tokenizer
	Width     int     `json:"width"` // bytes of a token
	Tokens    int64   `json:"tokens"`
	Trained   int64   `json:"trained"` // those the loss counts
	Documents int64   `json:"documents"`
	Group     int     `json:"group"` // documents that belong together
	Skipped   Skipped `json:"skipped"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// storeWriter writes a token file in one pass. The starts of documents wait in a temporary file.
type storeWriter struct {
	w      io.Writer
	sum    uint32
	foot   footer
	starts *os.File
	buf    []byte
	late   []byte // starts not yet in the file
}

// newStoreWriter begins a file for ids below size. The temporary file is in dir, or in the system's place if that is "".
func newStoreWriter(w io.Writer, dir, key string, size, group int) (*storeWriter, error) {
	s := &storeWriter{w: w, foot: footer{Key: key, Width: 4, Group: group}}
	if size <= 1<<15 {
		s.foot.Width = 2
	}
	f, err := os.CreateTemp(dir, ".pipe-*.starts")
	if err != nil {
		return nil, err
	}
	s.starts = f
	_ = os.Remove(f.Name()) // where the system allows it, so that a killed process leaves nothing; else close does it
	head := make([]byte, storeHead)
	copy(head, storeMagic)
	return s, s.write(head)
}

func (s *storeWriter) write(b []byte) error {
	s.sum = crc32.Update(s.sum, castagnoli, b)
	_, err := s.w.Write(b)
	return err
}

// begin says that a document starts with the next token.
func (s *storeWriter) begin() error {
	s.late = binary.LittleEndian.AppendUint64(s.late, uint64(s.foot.Tokens))
	s.foot.Documents++
	if len(s.late) < 1<<16 {
		return nil
	}
	_, err := s.starts.Write(s.late)
	s.late = s.late[:0]
	return err
}

// add writes marked ids.
func (s *storeWriter) add(ids []uint32) error {
	s.buf = s.buf[:0]
	for _, id := range ids {
		if id&untrained == 0 {
			s.foot.Trained++
		}
		if s.foot.Width == 2 {
			s.buf = binary.LittleEndian.AppendUint16(s.buf, uint16(id)|uint16(id>>16)&0x8000)
		} else {
			s.buf = binary.LittleEndian.AppendUint32(s.buf, id)
		}
	}
	s.foot.Tokens += int64(len(ids))
	return s.write(s.buf)
}

// close removes the temporary file; finish must come before.
func (s *storeWriter) close() {
	s.starts.Close()
	_ = os.Remove(s.starts.Name())
}

// finish writes what follows the tokens.
func (s *storeWriter) finish(skipped Skipped) error {
	s.foot.Skipped = skipped
	pad := -(storeHead + s.foot.Tokens*int64(s.foot.Width)) & 7
	if err := s.write(make([]byte, pad)); err != nil {
		return err
	}
	s.late = binary.LittleEndian.AppendUint64(s.late, uint64(s.foot.Tokens))
	if _, err := s.starts.Write(s.late); err != nil {
		return err
	}
	if _, err := s.starts.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for {
		n, err := s.starts.Read(s.late[:cap(s.late)])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := s.write(s.late[:n]); err != nil {
			return err
		}
	}
	foot, err := json.Marshal(s.foot)
	if err != nil {
		return err
	}
	if err := s.write(foot); err != nil {
		return err
	}
	tail := binary.LittleEndian.AppendUint32(nil, uint32(len(foot)))
	_, err = s.w.Write(binary.LittleEndian.AppendUint32(tail, s.sum))
	return err
}

// store is a token file in memory or mapped into it. Any number of goroutines may read it at once.
type store struct {
	foot   footer
	file   *mapping // or nil
	tokens []byte
	starts []byte
}

// openStore maps a token file and verifies all of it.
func openStore(path string) (*store, error) {
	m, err := mapFile(path)
	if err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	s, err := parseStore(path, m.data, m.release)
	if err != nil {
		m.close()
		return nil, err
	}
	s.file = m
	return s, nil
}

// parseStore verifies a token file. It calls release now and then, when what it read so far is not needed for now.
func parseStore(path string, b []byte, release func()) (*store, error) {
	if len(b) < storeHead+storeTail || !bytes.HasPrefix(b, []byte(storeMagic)) {
		return nil, errorf(path, "is no token file: %d bytes without its magic", len(b))
	}
	body, tail := b[:len(b)-storeTail], b[len(b)-storeTail:]
	if have, want := checksum(body, release), binary.LittleEndian.Uint32(tail[4:]); have != want {
		return nil, errorf(path, "is damaged: its CRC-32C is %08x, the file says %08x", have, want)
	}
	n := int64(binary.LittleEndian.Uint32(tail))
	if n > int64(len(body)-storeHead) {
		return nil, errorf(path, "is damaged: a footer of %d bytes in a file of %d", n, len(b))
	}
	s := &store{}
	rest := body[storeHead : int64(len(body))-n]
	if err := json.Unmarshal(body[int64(len(body))-n:], &s.foot); err != nil {
		return nil, errorf(path, "is damaged: footer: %v", err)
	}
	f := &s.foot
	limit := int64(len(rest))
	if f.Width != 2 && f.Width != 4 || f.Group < 1 || f.Tokens < 0 || f.Documents < 0 || f.Tokens > limit || f.Documents > limit {
		return nil, errorf(path, "is damaged: %d documents of %d tokens of %d bytes", f.Documents, f.Tokens, f.Width)
	}
	size := f.Tokens * int64(f.Width)
	size += -(storeHead + size) & 7
	if want := size + 8*(f.Documents+1); want != limit {
		return nil, errorf(path, "is damaged: tokens and starts have %d bytes, want %d", limit, want)
	}
	s.tokens, s.starts = rest[:f.Tokens*int64(f.Width)], rest[size:]
	last := int64(0)
	for i := range f.Documents + 1 {
		if i%(verified/8) == 0 {
			release()
		}
		at := s.start(i)
		if at < last || i == 0 && at != 0 || i == f.Documents && at != f.Tokens {
			return nil, errorf(path, "is damaged: document %d starts at token %d of %d, after one at %d", i, at, f.Tokens, last)
		}
		last = at
	}
	return s, nil
}

// verified is how many bytes are read before release is called.
const verified = 16 << 20

func checksum(b []byte, release func()) (sum uint32) {
	for len(b) > 0 {
		n := min(len(b), verified)
		sum = crc32.Update(sum, castagnoli, b[:n])
		b = b[n:]
		release()
	}
	return sum
}

// start is the number of the first token of a document.
func (s *store) start(document int64) int64 {
	return int64(binary.LittleEndian.Uint64(s.starts[8*document:]))
}

// document is the one that holds a token.
func (s *store) document(token int64) int64 {
	lo, hi := int64(0), s.foot.Documents
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.start(mid) <= token {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// read fills dst with the marked ids from token at on.
func (s *store) read(dst []uint32, at int64) {
	if s.foot.Width == 2 {
		b := s.tokens[2*at:][:2*len(dst)]
		for i := range dst {
			id := uint32(binary.LittleEndian.Uint16(b[2*i:]))
			dst[i] = id&0x7fff | id&0x8000<<16
		}
	} else {
		b := s.tokens[4*at:][:4*len(dst)]
		for i := range dst {
			dst[i] = binary.LittleEndian.Uint32(b[4*i:])
		}
	}
	if s.file != nil {
		s.file.touch(len(dst) * s.foot.Width)
	}
}

func (s *store) close() {
	if s.file != nil {
		s.file.close()
	}
}
