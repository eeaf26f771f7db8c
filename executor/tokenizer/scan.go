package tokenizer

import "sync"

// scanner gives the length of the first match of a split pattern in s, which is not empty. The patterns match at
// every place, so that the matches are all of the text.
type scanner func(c *classes, s string) int

// scanners are the split patterns in wide use for which there is a function as well as the general regular
// expressions; a fuzz test holds each against its pattern.
var scanners = sync.OnceValue(func() map[string]scanner {
	const (
		short = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
		line  = `[^\r\n\p{L}\p{N}]?\p{L}+|`
		rest  = `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
		end   = `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]|\s+(?!\S)|\s`
		other = `[^\r\n\p{L}\p{N}]?`
		large = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
		small = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
		slash = `| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	)
	scanCased := func(c cased) scanner { return c.scan }
	return map[string]scanner{
		plainPattern:                             scanPlain,
		short + "|" + line + `\p{N}` + rest:      lines{digits: 1, contractions: true}.scan,
		short + "|" + line + `\p{N}{1,3}` + rest: lines{digits: 3, contractions: true}.scan,
		line + `\p{N}` + rest:                    lines{digits: 1}.scan,
		short + "|" + line + `\p{N}{1,3}` + end:  lines{digits: 3, contractions: true, end: true}.scan,
		other + large + "*" + small + "+" + short + "?|" + other + large + "+" + small + "*" + short + `?|\p{N}{1,3}` + slash: scanCased(cased{true, 3}),
		other + large + "*" + small + "+|" + other + large + "+" + small + `*|\p{N}` + slash:                                  scanCased(cased{false, 1}),
	}
})

// plainPattern is the one that the byte-level pre-tokenizer has built in.
const plainPattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// scanPlain equals plainPattern.
func scanPlain(c *classes, s string) int {
	if s[0] == '\'' {
		if n := contraction(s, false); n > 0 {
			return n
		}
	}
	first, n := c.first(s)
	if s[0] == ' ' && len(s) > 1 {
		if second, _ := c.first(s[1:]); second != blank {
			return c.run(s, 1, second)
		}
	}
	if first == blank {
		return blanks(c, s, n)
	}
	return c.run(s, n, first)
}

// lines is the pattern that keeps line ends together and takes at most so many digits.
type lines struct {
	digits       int
	contractions bool
	end          bool // blanks at the end of the text stay together, line ends or not
}

func (l lines) scan(c *classes, s string) int {
	if s[0] == '\'' && l.contractions {
		if n := contraction(s, true); n > 0 {
			return n
		}
	}
	first, n := c.first(s)
	switch first {
	case letter:
		return c.run(s, n, letter)
	case number:
		for k := 1; k < l.digits && n < len(s); k++ {
			next, size := c.first(s[n:])
			if next != number {
				break
			}
			n += size
		}
		return n
	}
	second, size := blank, 0
	if n < len(s) {
		second, size = c.first(s[n:])
	}
	switch {
	case second == letter && size > 0 && s[0] != '\r' && s[0] != '\n':
		return c.run(s, n+size, letter)
	case first == other:
		return lineEnds(s, c.run(s, n, other))
	case s[0] == ' ' && second == other:
		return lineEnds(s, c.run(s, n+size, other))
	}
	end := c.run(s, n, blank)
	if l.end && end == len(s) {
		return end
	}
	for i := end - 1; i >= 0; i-- {
		if s[i] == '\r' || s[i] == '\n' {
			return i + 1
		}
	}
	return allButLast(s, n, end)
}

// lineEnds is the offset after [\r\n]* at i.
func lineEnds(s string, i int) int {
	for i < len(s) && (s[i] == '\r' || s[i] == '\n') {
		i++
	}
	return i
}

// blanks is the match of \s+(?!\S)|\s+ where the first of s, n bytes long, is a blank.
func blanks(c *classes, s string, n int) int { return allButLast(s, n, c.run(s, n, blank)) }

// allButLast is the match of \s+(?!\S)|\s+ when the blanks end at end: before more text all but the last of them,
// unless there is but one, whose length is n.
func allButLast(s string, n, end int) int {
	if end == len(s) || end == n {
		return end
	}
	end--
	for s[end]&0xC0 == 0x80 {
		end--
	}
	return end
}

// contraction is the length of 's 't 're 've 'm 'll 'd at the start of s, or 0. Without regard to case, the long s
// (U+017F) counts as s, as Unicode case folding has it.
func contraction(s string, fold bool) int {
	if len(s) < 2 {
		return 0
	}
	a, b := s[1], byte(0)
	if len(s) > 2 {
		b = s[2]
	}
	if fold {
		if a == 0xC5 && b == 0xBF {
			return 3
		}
		a, b = lower(a), lower(b)
	}
	switch {
	case a == 's', a == 't', a == 'm', a == 'd':
		return 2
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return 3
	}
	return 0
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}
