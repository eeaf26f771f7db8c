package tokenizer

// scanner gives the length of the first match of a split pattern in s, which is not empty. The patterns match at
// every place, so that the matches are all of the text.
type scanner func(c *classes, s string) int

// scanners are the split patterns in wide use for which there is a function as well as the general regular
// expressions; a fuzz test holds each against its pattern. \p{L} and \p{N} are as in classes.
func scanners() map[string]scanner {
	return map[string]scanner{
		plainPattern: scanPlain,
		`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: func(c *classes, s string) int {
			return scanLines(c, s, 1)
		},
		`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: func(c *classes, s string) int {
			return scanLines(c, s, 3)
		},
	}
}

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

// scanLines equals the pattern that keeps line ends together and takes at most so many digits.
func scanLines(c *classes, s string, digits int) int {
	if s[0] == '\'' {
		if n := contraction(s, true); n > 0 {
			return n
		}
	}
	first, n := c.first(s)
	switch first {
	case letter:
		return c.run(s, n, letter)
	case number:
		for k := 1; k < digits && n < len(s); k++ {
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
