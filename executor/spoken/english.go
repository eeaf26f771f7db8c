// Package spoken writes out text as it is read aloud: numbers, years, dates, times,
// money, measures, abbreviations and symbols become words. Its language is English.
package spoken

import (
	"fmt"
	"regexp"
	"strings"
)

// rule replaces what a pattern matches.
type rule struct {
	pattern *regexp.Regexp
	say     func(m []string) string // m as of FindStringSubmatch
}

// number is a whole number, maybe with commas, or one with a point.
const number = `(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)`

// rules apply in this order, each to the whole text.
var rules = []rule{
	{regexp.MustCompile(`\b(\d{4})-(\d{2})-(\d{2})\b`), isoDate},
	{regexp.MustCompile(`\b(\d{1,2})/(\d{1,2})/(\d{4})\b`), slashDate},
	{regexp.MustCompile(`(?i)\b(` + monthPattern + `)\.? (\d{1,2})(?:st|nd|rd|th)?(,? \d{4})?\b`), monthDay},
	{regexp.MustCompile(`(?i)\b(\d{1,2})(?:st|nd|rd|th)? (?:of )?(` + monthPattern + `)\.?(,? \d{4})?\b`), dayMonth},
	{regexp.MustCompile(`(?i)\b(\d{1,2}):(\d{2})(?::(\d{2}))?(?: ?([ap])\.?m\b\.?)?`), clock},
	{regexp.MustCompile(`(?i)\b(\d{1,2}) ?([ap])\.?m\b\.?`), hour},
	{regexp.MustCompile(`(-)?([$€£¥])` + number + `(?: ?(` + strings.Join(scales, "|") + `|[kKmMbB])\b)?`), money},
	{regexp.MustCompile(`(^|\s|\()[-−]` + number + `(\b)`), func(m []string) string { return m[1] + "minus " + m[2] + m[3] }},
	{regexp.MustCompile(number + ` ?°([CF])\b`), temperature},
	{regexp.MustCompile(`\b(\d{2})(\d0)s\b`), decade},
	{regexp.MustCompile(number + ` ?(` + unitPattern + `)(\b|$)`), measure},
	{regexp.MustCompile(number + ` ?%`), func(m []string) string { return m[1] + " percent" }},
	{regexp.MustCompile(`\b(\d+)(?:st|nd|rd|th)\b`), func(m []string) string { return Ordinal(m[1]) }},
	{regexp.MustCompile(`\b(?:(\d+) )?(\d+)/(\d+)\b`), fraction},
	{regexp.MustCompile(`\b(\d{3})-(\d{4})\b`), func(m []string) string { return Digits(m[1]) + ", " + Digits(m[2]) }},
	{regexp.MustCompile(`\b` + number + ` ?[-–—] ?` + number + `\b`), func(m []string) string { return m[1] + " to " + m[2] }},
	{regexp.MustCompile(`\b(1[1-9]\d\d|20\d\d)\b(,\d{3}|\.\d)?`), year},
	{regexp.MustCompile(number), func(m []string) string { return Decimal(strings.ReplaceAll(m[1], ",", "")) }},
}

// Normalize writes text as it is read aloud. What it knows nothing of stays, in
// the characters of ASCII where there are some.
func Normalize(text string) string {
	text = abbreviated(plain.Replace(text))
	for _, r := range rules {
		text = replace(r, text)
	}
	text = symbols.Replace(text)
	return strings.TrimSpace(before.ReplaceAllString(spaces.ReplaceAllString(text, " "), "$1"))
}

// before are spaces that stand before a mark.
var before = regexp.MustCompile(` ([,.;:!?])`)

var spaces = regexp.MustCompile(`[ \t\r\n]+`)

// replace applies one rule, with spaces where a word would touch another.
func replace(r rule, text string) string {
	var b strings.Builder
	at := 0
	for _, m := range r.pattern.FindAllStringSubmatchIndex(text, -1) {
		groups := make([]string, len(m)/2)
		for i := range groups {
			if m[2*i] >= 0 {
				groups[i] = text[m[2*i]:m[2*i+1]]
			}
		}
		b.WriteString(text[at:m[0]])
		if m[0] > 0 && letter(text[m[0]-1]) && !letter(text[m[0]]) {
			b.WriteByte(' ')
		}
		b.WriteString(r.say(groups))
		if at = m[1]; at < len(text) && letter(text[at]) && !letter(text[at-1]) {
			b.WriteByte(' ')
		}
	}
	return b.String() + text[at:]
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// plain replaces typographic characters by those of ASCII.
var plain = strings.NewReplacer("‘", "'", "’", "'", "“", `"`, "”", `"`, "…", "...", " ", " ", "–", "–", "—", " — ",
	"½", " 1/2", "¼", " 1/4", "¾", " 3/4", "⅓", " 1/3", "⅔", " 2/3", "²", " squared", "³", " cubed", "×", " times ", "÷", " divided by ")

// symbols are read by their names where they stand alone.
var symbols = strings.NewReplacer("&", " and ", "@", " at ", "#", " number ", "+", " plus ", "=", " equals ", "%", " percent ", "°", " degrees ",
	"~", " about ", "<", " less than ", ">", " greater than ", "*", " ", "_", " ", "/", " slash ", "\\", " ", "|", " ", "^", " ", "$", " dollars ", "€", " euros ", "£", " pounds ", " — ", ", ", "–", ", ")

// year reads four digits as a year, unless they go on.
func year(m []string) string {
	if m[2] != "" {
		return Decimal(strings.ReplaceAll(m[0], ",", ""))
	}
	return Year(m[1])
}

func decade(m []string) string {
	last := Cardinal(m[2])
	if m[2] == "00" {
		return Year(m[1]+m[2]) + "s"
	}
	return Cardinal(m[1]) + " " + strings.TrimSuffix(last, "y") + "ies"
}

// fraction reads a/b, with a whole number before it or none.
func fraction(m []string) string {
	whole, over, under := m[1], m[2], m[3]
	var below string
	switch {
	case under == "2" && isOne(over):
		below = "half"
	case under == "2":
		below = "halves"
	case under == "4" && isOne(over):
		below = "quarter"
	case under == "4":
		below = "quarters"
	case strings.Trim(under, "0") == "" || len(under) > 3:
		return strings.TrimSpace(fmt.Sprintf("%s %s over %s", cardinalOrNone(whole), Cardinal(over), Cardinal(under)))
	case isOne(over):
		below = Ordinal(under)
	default:
		below = Ordinal(under) + "s"
	}
	said := Cardinal(over) + " " + below
	switch {
	case whole != "" && isOne(over) && below == "half":
		return Cardinal(whole) + " and a half"
	case whole != "":
		return Cardinal(whole) + " and " + said
	}
	return said
}

func cardinalOrNone(digits string) string {
	if digits == "" {
		return ""
	}
	return Cardinal(digits)
}
