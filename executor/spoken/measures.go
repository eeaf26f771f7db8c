package spoken

import "strings"

// units are abbreviations behind numbers.
var units = map[string]string{
	"km": "kilometer", "cm": "centimeter", "mm": "millimeter", "m": "meter", "ft": "foot", "in": "inch", "mi": "mile", "yd": "yard",
	"kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound", "oz": "ounce",
	"km/h": "kilometer per hour", "kph": "kilometer per hour", "mph": "mile per hour", "m/s": "meter per second",
	"l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter",
	"Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "W": "watt", "kW": "kilowatt", "V": "volt", "A": "ampere", "kWh": "kilowatt hour",
	"KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte", "dB": "decibel",
	"ms": "millisecond", "s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour", "hrs": "hour",
}

// unitPattern matches units, long ones first. What is a word of its own is none.
const unitPattern = `km/h|m/s|kWh|kHz|MHz|GHz|kph|mph|lbs|hrs|sec|min|km|cm|mm|ft|mi|yd|kg|mg|lb|oz|ml|mL|Hz|kW|KB|kB|MB|GB|TB|dB|ms|hr|m|g|l|L|W|V|s|h`

// plurals are those that do not end in s.
var plurals = map[string]string{"foot": "feet", "inch": "inches", "hertz": "hertz", "kilohertz": "kilohertz", "megahertz": "megahertz", "gigahertz": "gigahertz"}

// plural is a number of things.
func plural(number, name string) string {
	number = strings.ReplaceAll(number, ",", "")
	said := Decimal(number)
	if isOne(number) {
		return said + " " + name
	}
	head, tail, _ := strings.Cut(name, " ")
	switch other, ok := plurals[head]; {
	case ok:
		head = other
	case tail == "hour": // kilowatt hours
		tail += "s"
	default:
		head += "s"
	}
	return said + " " + strings.TrimSpace(head+" "+tail)
}

func measure(m []string) string { return plural(m[1], units[m[2]]) }

func temperature(m []string) string {
	return plural(m[1], "degree") + map[string]string{"C": " Celsius", "F": " Fahrenheit"}[m[2]]
}

// currencies name what stands before an amount, and its hundredth part.
var currencies = map[string][2]string{"$": {"dollar", "cent"}, "€": {"euro", "cent"}, "£": {"pound", "penny"}, "¥": {"yen", ""}}

// bigs are letters behind amounts.
var bigs = map[string]string{"k": "thousand", "m": "million", "b": "billion"}

// money reads an amount: "$3.50" is three dollars, fifty cents.
func money(m []string) string {
	name := currencies[m[2]]
	minus := ""
	if m[1] != "" {
		minus = "minus "
	}
	amount := strings.ReplaceAll(m[3], ",", "")
	whole, part, _ := strings.Cut(amount, ".")
	if m[4] != "" {
		scale := m[4]
		if big, ok := bigs[strings.ToLower(scale)]; ok {
			scale = big
		}
		return minus + Decimal(amount) + " " + scale + " " + many(name[0])
	}
	if name[1] == "" || len(part) != 2 {
		if part == "" {
			return minus + count(whole, name[0])
		}
		return minus + Decimal(amount) + " " + many(name[0])
	}
	var said []string
	if strings.Trim(whole, "0") != "" {
		said = append(said, count(whole, name[0]))
	}
	if part != "00" {
		said = append(said, count(strings.TrimPrefix(part, "0"), name[1]))
	}
	if len(said) == 0 {
		said = append(said, count("0", name[0]))
	}
	return minus + strings.Join(said, ", ")
}

// count is a number of coins.
func count(n, name string) string {
	if isOne(n) {
		return "one " + name
	}
	return Cardinal(n) + " " + many(name)
}

func many(name string) string {
	switch name {
	case "penny":
		return "pence"
	case "yen":
		return "yen"
	}
	return name + "s"
}
