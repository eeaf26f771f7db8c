package spoken

import "strings"

var small = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")

var tens = strings.Fields("- - twenty thirty forty fifty sixty seventy eighty ninety")

// scales are the names of the powers of a thousand, from the second on.
var scales = strings.Fields("thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion decillion")

// below1000 reads a number of up to three digits.
func below1000(n int) string {
	var words []string
	if n >= 100 {
		words = append(words, small[n/100], "hundred")
		n %= 100
	}
	switch {
	case n >= 20 && n%10 > 0:
		words = append(words, tens[n/10]+"-"+small[n%10])
	case n >= 20:
		words = append(words, tens[n/10])
	case n > 0:
		words = append(words, small[n])
	}
	return strings.Join(words, " ")
}

// Cardinal reads a whole number of decimal digits: "1205" is one thousand two
// hundred five. A number that is too long for names is read digit by digit.
func Cardinal(digits string) string {
	plain := strings.TrimLeft(digits, "0")
	if plain == "" {
		return "zero"
	}
	if len(plain) > 3*(len(scales)+1) {
		return Digits(digits)
	}
	var words []string
	for len(plain) > 0 {
		group := (len(plain)-1)%3 + 1
		n := 0
		for _, c := range plain[:group] {
			n = 10*n + int(c-'0')
		}
		plain = plain[group:]
		if n == 0 {
			continue
		}
		words = append(words, below1000(n))
		if k := len(plain) / 3; k > 0 {
			words = append(words, scales[k-1])
		}
	}
	return strings.Join(words, " ")
}

// Digits reads one digit after the other.
func Digits(digits string) string {
	words := make([]string, len(digits))
	for i, c := range []byte(digits) {
		words[i] = small[c-'0']
	}
	return strings.Join(words, " ")
}

// ordinals are those that are not the number and th.
var ordinals = map[string]string{
	"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth",
}

// Ordinal reads which one in a row: "21" is twenty-first.
func Ordinal(digits string) string {
	words := Cardinal(digits)
	at := strings.LastIndexAny(words, " -") + 1
	head, last := words[:at], words[at:]
	switch irregular, ok := ordinals[last]; {
	case ok:
		return head + irregular
	case strings.HasSuffix(last, "y"):
		return head + strings.TrimSuffix(last, "y") + "ieth"
	}
	return words + "th"
}

// Year reads the number of a year, of four digits, as years are read: "1985" is
// nineteen eighty-five.
func Year(digits string) string {
	high, low := digits[:2], digits[2:]
	switch {
	case digits[1:] == "000" || high[1] == '0' && low[0] == '0' && digits[0] != '0':
		return Cardinal(digits)
	case low == "00":
		return Cardinal(high) + " hundred"
	case low[0] == '0':
		return Cardinal(high) + " oh " + small[low[1]-'0']
	}
	return Cardinal(high) + " " + Cardinal(low)
}

// Decimal reads a number with an optional part behind a point: digits there are
// read one by one.
func Decimal(number string) string {
	whole, part, _ := strings.Cut(number, ".")
	if whole == "" {
		whole = "0"
	}
	if part == "" {
		return Cardinal(whole)
	}
	return Cardinal(whole) + " point " + Digits(part)
}

// isOne reports whether a number is exactly one, which takes the singular.
func isOne(number string) bool { return number == "1" }
