package spoken

import (
	"strconv"
	"strings"
)

var months = strings.Fields("January February March April May June July August September October November December")

// monthPattern matches months, whole or short. May has no short form.
const monthPattern = `January|February|March|April|May|June|July|August|September|October|November|December|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec`

// month is a month by its name or the beginning of it.
func month(name string) string {
	for _, m := range months {
		if strings.EqualFold(m[:3], name[:3]) {
			return m
		}
	}
	return name
}

// date reads a day of a year: "March third, nineteen ninety".
func date(month int, day, year string) (string, bool) {
	d, err := strconv.Atoi(day)
	if err != nil || month < 1 || month > 12 || d < 1 || d > 31 {
		return "", false
	}
	s := months[month-1] + " " + Ordinal(day)
	if year != "" {
		s += ", " + Year(year)
	}
	return s, true
}

func isoDate(m []string) string {
	n, _ := strconv.Atoi(m[2])
	if s, ok := date(n, m[3], m[1]); ok {
		return s
	}
	return m[0]
}

// slashDate reads month/day/year, as in the United States, or day/month/year
// where the first can be no month.
func slashDate(m []string) string {
	first, _ := strconv.Atoi(m[1])
	second, _ := strconv.Atoi(m[2])
	if s, ok := date(first, m[2], m[3]); ok {
		return s
	}
	if s, ok := date(second, m[1], m[3]); ok {
		return s
	}
	return m[0]
}

func monthDay(m []string) string {
	n, _ := strconv.Atoi(m[2])
	if n < 1 || n > 31 {
		return m[0]
	}
	s := month(m[1]) + " " + Ordinal(m[2])
	if y := strings.TrimLeft(m[3], ", "); y != "" {
		s += ", " + Year(y)
	}
	return s
}

func dayMonth(m []string) string {
	n, _ := strconv.Atoi(m[1])
	if n < 1 || n > 31 {
		return m[0]
	}
	s := "the " + Ordinal(m[1]) + " of " + month(m[2])
	if y := strings.TrimLeft(m[3], ", "); y != "" {
		s += ", " + Year(y)
	}
	return s
}

// clock reads a time of the day: "half past" and the like are nobody's words here.
func clock(m []string) string {
	h, _ := strconv.Atoi(m[1])
	minutes, _ := strconv.Atoi(m[2])
	seconds, err := strconv.Atoi(m[3])
	if h > 24 || minutes > 59 || seconds > 59 {
		return m[0]
	}
	s := Cardinal(m[1])
	switch {
	case minutes > 9:
		s += " " + Cardinal(m[2])
	case minutes > 0:
		s += " oh " + Cardinal(m[2])
	case m[4] == "" && err != nil:
		s += " o'clock"
	}
	if err == nil {
		s += " and " + plural(m[3], "second")
	}
	return s + half(m[4])
}

func hour(m []string) string {
	if h, _ := strconv.Atoi(m[1]); h > 12 {
		return m[0]
	}
	return Cardinal(m[1]) + half(m[2])
}

// half names the half of the day.
func half(letter string) string {
	if letter == "" {
		return ""
	}
	return " " + strings.ToLower(letter) + " m"
}
