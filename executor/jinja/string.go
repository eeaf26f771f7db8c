package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

var stringMethods = map[string]func(s *state, line int, of string, args []any) any{
	"strip": func(_ *state, line int, of string, args []any) any {
		return strings.Trim(of, argument(line, args, 0, blanks))
	},
	"lstrip": func(_ *state, line int, of string, args []any) any {
		return strings.TrimLeft(of, argument(line, args, 0, blanks))
	},
	"rstrip": func(_ *state, line int, of string, args []any) any {
		return strings.TrimRight(of, argument(line, args, 0, blanks))
	},
	"split":  func(_ *state, line int, of string, args []any) any { return split(line, of, args, false) },
	"rsplit": func(_ *state, line int, of string, args []any) any { return split(line, of, args, true) },
	"splitlines": func(_ *state, _ int, of string, _ []any) any {
		of = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(of)
		if of == "" {
			return NewList()
		}
		return strs(strings.Split(strings.TrimSuffix(of, "\n"), "\n"))
	},
	"startswith": func(_ *state, line int, of string, args []any) any {
		return anyOf(line, args, func(s string) bool { return strings.HasPrefix(of, s) })
	},
	"endswith": func(_ *state, line int, of string, args []any) any {
		return anyOf(line, args, func(s string) bool { return strings.HasSuffix(of, s) })
	},
	"removeprefix": func(_ *state, line int, of string, args []any) any {
		return strings.TrimPrefix(of, argument(line, args, 0, ""))
	},
	"removesuffix": func(_ *state, line int, of string, args []any) any {
		return strings.TrimSuffix(of, argument(line, args, 0, ""))
	},
	"upper":      func(_ *state, _ int, of string, _ []any) any { return strings.ToUpper(of) },
	"lower":      func(_ *state, _ int, of string, _ []any) any { return strings.ToLower(of) },
	"title":      func(_ *state, _ int, of string, _ []any) any { return title(of) },
	"capitalize": func(_ *state, _ int, of string, _ []any) any { return capitalize(of) },
	"isdigit": func(_ *state, _ int, of string, _ []any) any {
		return of != "" && strings.IndexFunc(of, func(r rune) bool { return !unicode.IsDigit(r) }) < 0
	},
	"isalpha": func(_ *state, _ int, of string, _ []any) any {
		return of != "" && strings.IndexFunc(of, func(r rune) bool { return !unicode.IsLetter(r) }) < 0
	},
	"isspace": func(_ *state, _ int, of string, _ []any) any { return of != "" && strings.Trim(of, blanks) == "" },
	"find": func(_ *state, line int, of string, args []any) any {
		i := strings.Index(of, argument(line, args, 0, ""))
		if i < 0 {
			return int64(-1)
		}
		return int64(utf8.RuneCountInString(of[:i]))
	},
	"count": func(_ *state, line int, of string, args []any) any {
		return int64(strings.Count(of, argument(line, args, 0, "")))
	},
	"replace": func(s *state, line int, of string, args []any) any {
		n := -1
		if len(args) > 2 {
			i, _ := whole(args[2])
			n = int(i)
		}
		from, to := argument(line, args, 0, ""), argument(line, args, 1, "")
		if len(of)+strings.Count(of, from)*len(to) > maxOutput {
			raise(line, "a text of more than %d bytes", maxOutput)
		}
		return s.sized(line, strings.Replace(of, from, to, n))
	},
	"join": func(s *state, line int, of string, args []any) any {
		if len(args) != 1 {
			raise(line, "join wants a list")
		}
		return joined(s, line, args[0], of)
	},
}

func joined(s *state, line int, v any, by string) string {
	var parts []string
	n := 0
	for _, x := range s.items(line, v) {
		parts = append(parts, text(x))
		if n += len(by) + len(parts[len(parts)-1]); n > maxOutput {
			raise(line, "a text of more than %d bytes", maxOutput)
		}
	}
	return s.sized(line, strings.Join(parts, by))
}

func strs(list []string) *List {
	l := NewList()
	for _, s := range list {
		l.items = append(l.items, s)
	}
	return l
}

func anyOf(line int, args []any, has func(string) bool) bool {
	if len(args) == 0 {
		raise(line, "want a string")
	}
	if l, ok := args[0].(*List); ok {
		for i := range l.items {
			if has(argument(line, l.items, i, "")) {
				return true
			}
		}
		return false
	}
	return has(argument(line, args, 0, ""))
}

func split(line int, of string, args []any, right bool) any {
	sep := argument(line, args, 0, "")
	limit := int64(-1)
	if len(args) > 1 {
		limit, _ = whole(args[1])
	}
	if len(args) == 0 || args[0] == nil {
		return strs(strings.FieldsFunc(of, func(r rune) bool { return strings.ContainsRune(blanks, r) }))
	}
	if sep == "" {
		raise(line, "split by an empty string")
	}
	parts := strings.Split(of, sep)
	if n := len(parts) - 1; limit >= 0 && int64(n) > limit {
		if right {
			cut := n - int(limit) + 1
			parts = append([]string{strings.Join(parts[:cut], sep)}, parts[cut:]...)
		} else {
			parts = append(parts[:limit:limit], strings.Join(parts[limit:], sep))
		}
	}
	return strs(parts)
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToTitle(r)) + strings.ToLower(s[n:])
}

func title(s string) string {
	var b strings.Builder
	in := false
	for _, r := range s {
		if in {
			b.WriteRune(unicode.ToLower(r))
		} else {
			b.WriteRune(unicode.ToTitle(r))
		}
		in = unicode.IsLetter(r)
	}
	return b.String()
}
