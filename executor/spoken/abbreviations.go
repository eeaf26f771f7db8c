package spoken

import "regexp"

// abbreviations end with a point, which is no end of a sentence.
var abbreviations = []rule{
	short(`Mr`, "mister"), short(`Mrs`, "missus"), short(`Ms`, "miz"), short(`Drs`, "doctors"), short(`Prof`, "professor"),
	{regexp.MustCompile(`\b(?:Dr)\.(\s+[A-Z])`), func(m []string) string { return "doctor" + m[1] }},
	{regexp.MustCompile(`\b(?:St)\.(\s+[A-Z])`), func(m []string) string { return "saint" + m[1] }},
	short(`St`, "street"), short(`Dr`, "drive"), short(`Ave`, "avenue"), short(`Blvd`, "boulevard"), short(`Rd`, "road"), short(`Mt`, "mount"), short(`Ft`, "fort"),
	short(`Jr`, "junior"), short(`Sr`, "senior"), short(`Gen`, "general"), short(`Col`, "colonel"), short(`Capt`, "captain"), short(`Lt`, "lieutenant"),
	short(`Sgt`, "sergeant"), short(`Maj`, "major"), short(`Rev`, "reverend"), short(`Hon`, "honorable"), short(`Gov`, "governor"), short(`Sen`, "senator"),
	short(`Rep`, "representative"), short(`Pres`, "president"), short(`Esq`, "esquire"), short(`Co`, "company"), short(`Corp`, "corporation"), short(`Inc`, "incorporated"),
	short(`Ltd`, "limited"), short(`Dept`, "department"), short(`Univ`, "university"), short(`[Vv]s`, "versus"), short(`[Ee]tc`, "et cetera"), short(`[Aa]pprox`, "approximately"),
	short(`[Ff]ig`, "figure"), short(`[Cc]h`, "chapter"), short(`[Vv]ol`, "volume"), short(`pp`, "pages"),
	{regexp.MustCompile(`\b[Nn]os?\.\s?(\d)`), func(m []string) string { return "number " + m[1] }},
	{regexp.MustCompile(`\bp\.\s?(\d)`), func(m []string) string { return "page " + m[1] }},
	{regexp.MustCompile(`\b[Ee]\.\s?g\.,?`), func([]string) string { return "for example," }},
	{regexp.MustCompile(`\b[Ii]\.\s?e\.,?`), func([]string) string { return "that is," }},
	{regexp.MustCompile(`\b[Ww]/o\b`), func([]string) string { return "without" }},
	{regexp.MustCompile(`\b[Ww]/\s`), func([]string) string { return "with " }},
	{regexp.MustCompile(`\b((?:[A-Za-z]\.){2,})`), func(m []string) string { return letters.ReplaceAllString(m[1], "$1 ") }},
}

var letters = regexp.MustCompile(`([A-Za-z])\.`)

// short is an abbreviation with a point behind it.
func short(pattern, words string) rule {
	return rule{regexp.MustCompile(`\b` + pattern + `\.`), func([]string) string { return words }}
}

func abbreviated(text string) string {
	for _, r := range abbreviations {
		text = replace(r, text)
	}
	return text
}
