package tokenizer

import (
	"strings"
	"unicode"
)

// translate writes a pattern of Oniguruma, whose classes are those of Unicode 16, for regexp2, whose classes are Go's:
// what a class lacks is added to it, and so is what an s lacks where case is left out of account. Within brackets \P{...}
// stays as it is. ^ and $ are the beginning and end of any line.
func translate(source string) string {
	var b strings.Builder
	depth := 0       // of brackets
	fold := []bool{} // whether each open group leaves case out of account
	for i := 0; i < len(source); i++ {
		switch c := source[i]; {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case c == '(' && depth == 0:
			inherited := len(fold) > 0 && fold[len(fold)-1]
			fold = append(fold, inherited || strings.HasPrefix(source[i:], "(?i:"))
		case c == ')' && depth == 0 && len(fold) > 0:
			fold = fold[:len(fold)-1]
		case c == '$' && depth == 0:
			b.WriteString("(?m:$)")
			continue
		case c == '^' && depth == 0:
			b.WriteString("(?m:^)")
			continue
		case (c == 's' || c == 'S') && len(fold) > 0 && fold[len(fold)-1]: // the long s is an s, too
			if depth > 0 {
				b.WriteString("s\u017F")
			} else {
				b.WriteString("[s\u017F]")
			}
			continue
		case c == '\\' && i+1 < len(source):
			class, size := classAt(source[i+1:])
			if class == nil || class.not && depth > 0 {
				b.WriteString(source[i : i+2])
				i++
				continue
			}
			class.write(&b, depth > 0)
			i += size
			continue
		}
		b.WriteByte(source[i])
	}
	return b.String()
}

// namedClass is a class of characters by what stands for it in regexp2 and what that lacks.
type namedClass struct {
	spelt string
	set   runeSet
	known func(rune) bool
	not   bool
}

// classAt is the class that begins after a backslash, and the length of its name; nil where it needs no translation.
func classAt(s string) (*namedClass, int) {
	t := unicodeTables()
	in := func(r *unicode.RangeTable) func(rune) bool { return func(x rune) bool { return unicode.Is(r, x) } }
	if s[0] == 'w' || s[0] == 'W' {
		return &namedClass{"", onigWord(), func(rune) bool { return false }, s[0] == 'W'}, 1
	}
	if s[0] == 'd' || s[0] == 'D' {
		return &namedClass{`\d`, t.nd, in(unicode.Nd), s[0] == 'D'}, 1
	}
	if s[0] != 'p' && s[0] != 'P' {
		return nil, 0
	}
	name, _, ok := strings.Cut(strings.TrimPrefix(s[1:], "{"), "}")
	if !strings.HasPrefix(s[1:], "{") || !ok {
		return nil, 0
	}
	sets := map[string]runeSet{
		"L": t.l, "N": t.n, "P": t.p, "S": t.s, "M": t.m, "Lu": t.lu, "Ll": t.ll, "Lt": t.lt, "Lm": t.lm, "Lo": t.lo, "Nd": t.nd, "Han": t.han,
	}
	set, ok := sets[name]
	if !ok {
		return nil, 0
	}
	table := unicode.Categories[name]
	if table == nil {
		table = unicode.Scripts[name]
	}
	spelt := `\p{` + name + `}`
	return &namedClass{spelt, set, in(table), s[0] == 'P'}, len(spelt) - 1
}

// onigWord is \w as Oniguruma has it: without joiners, and with some numbers of Latin-1.
func onigWord() runeSet {
	set := runeSet{}
	for _, x := range unicodeTables().word {
		switch x.lo {
		case 0x200C: // and U+200D
		case 0xAA:
			set = append(set, x, runeRange{0xB2, 0xB4})
		case 0xB5:
			set = append(set, x, runeRange{0xB9, 0xBA})
		case 0xBA:
			set = append(set, x, runeRange{0xBC, 0xBF})
		default:
			set = append(set, x)
		}
	}
	return set
}

func (c *namedClass) write(b *strings.Builder, inside bool) {
	switch {
	case inside:
	case c.not:
		b.WriteString("[^")
	default:
		b.WriteByte('[')
	}
	b.WriteString(c.spelt)
	for _, x := range c.set {
		for lo := x.lo; lo < x.hi; lo++ {
			hi := lo
			for hi < x.hi && !c.known(hi) {
				hi++
			}
			if hi > lo {
				b.WriteRune(lo)
				b.WriteByte('-')
				b.WriteRune(hi - 1)
				lo = hi - 1
			}
		}
	}
	if !inside {
		b.WriteByte(']')
	}
}
