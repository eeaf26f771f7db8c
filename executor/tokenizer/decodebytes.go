package tokenizer

import "unicode/utf8"

const replacement = "\uFFFD"

// byteFallback makes tokens <0x00> to <0xFF> bytes again: a run of them becomes its text if it is UTF-8 as a whole, else
// one U+FFFD a byte. What a run becomes is therefore certain only at its end.
type byteFallback struct{}

func readByteFallback(*config, object) ([]decoder, error) { return []decoder{byteFallback{}}, nil }

func (byteFallback) fuses() bool { return false }

func (byteFallback) open(next sink, fused bool) sink {
	return wholeIf(fused, &fallbackBytes{next: next})
}

type fallbackBytes struct {
	next sink
	run  []byte
}

func (f *fallbackBytes) push(token []byte) error {
	if b, ok := byteToken(token); ok {
		f.run = append(f.run, b)
		return nil
	}
	if err := f.end(); err != nil {
		return err
	}
	return f.next.push(token)
}

func (f *fallbackBytes) end() error {
	if len(f.run) == 0 {
		return nil
	}
	run := f.run
	f.run = f.run[:0]
	if utf8.Valid(run) {
		return f.next.push(run)
	}
	for range run {
		if err := f.next.push([]byte(replacement)); err != nil {
			return err
		}
	}
	return nil
}

func (f *fallbackBytes) flush() error {
	if err := f.end(); err != nil {
		return err
	}
	return f.next.flush()
}

// byteLevelDecoder makes each character the byte it stands for (see ByteRune), a token with any other character its
// own bytes, and joins all; what is not UTF-8 becomes U+FFFD, one for each longest beginning of a character.
type byteLevelDecoder struct{}

func readByteLevelDecoder(*config, object) ([]decoder, error) {
	return []decoder{byteLevelDecoder{}}, nil
}

func (byteLevelDecoder) fuses() bool { return true }

func (byteLevelDecoder) open(next sink, fused bool) sink {
	return wholeIf(fused, &levelBytes{next: next})
}

type levelBytes struct {
	next      sink
	held, buf []byte // held: bytes of text whose characters are not all complete
}

func (l *levelBytes) push(token []byte) error {
	l.held = appendRuneBytes(l.held, string(token))
	return l.pass(false)
}

// pushBytes takes a token whose bytes are known.
func (l *levelBytes) pushBytes(token string) error {
	l.held = append(l.held, token...)
	return l.pass(false)
}

// pass hands on the characters that are complete; at the end all of them.
func (l *levelBytes) pass(end bool) error {
	rest := l.held
	if utf8.Valid(rest) && len(rest) > 0 {
		l.held = rest[:0]
		return l.next.push(rest)
	}
	l.buf = l.buf[:0]
	for len(rest) > 0 {
		if rest[0] < utf8.RuneSelf {
			l.buf = append(l.buf, rest[0])
			rest = rest[1:]
			continue
		}
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			if n = beginning(rest); n == len(rest) && !end && !utf8.FullRune(rest) {
				break
			}
			l.buf = append(l.buf, replacement...)
		} else {
			l.buf = append(l.buf, rest[:n]...)
		}
		rest = rest[n:]
	}
	l.held = append(l.held[:0], rest...)
	if len(l.buf) == 0 {
		return nil
	}
	return l.next.push(l.buf)
}

// beginning is the length of the longest beginning of a UTF-8 character that s starts with, at least 1.
func beginning(s []byte) int {
	for n := min(3, len(s)); n > 1; n-- {
		if !utf8.FullRune(s[:n]) {
			return n
		}
	}
	return 1
}

func (l *levelBytes) flush() error {
	if err := l.pass(true); err != nil {
		return err
	}
	return l.next.flush()
}

// levelText is the bytes that each token stands for, by id, where the only step of decoding is that of bytes; else nil.
func (t *Tokenizer) levelText() []string {
	t.levelOnce.Do(func() {
		if len(t.decoders) != 1 {
			return
		}
		if _, ok := t.decoders[0].(byteLevelDecoder); !ok {
			return
		}
		var all []byte
		ends := make([]int, len(t.voc.tokens))
		for id, token := range t.voc.tokens {
			if a := t.added[int32(id)]; a != nil {
				token = a.shown
			}
			all = appendRuneBytes(all, token)
			ends[id] = len(all)
		}
		text, at := string(all), 0
		t.level = make([]string, len(ends))
		for id, end := range ends {
			t.level[id] = text[at:end]
			at = end
		}
	})
	return t.level
}

// appendRuneBytes appends the bytes that a token's characters stand for, or those of the token if some stands for none.
func appendRuneBytes(dst []byte, token string) []byte {
	n := len(dst)
	for _, r := range token {
		b, ok := runeByte(r)
		if !ok {
			return append(dst[:n], token...)
		}
		dst = append(dst, b)
	}
	return dst
}
