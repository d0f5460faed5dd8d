package contract

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// describe is the sentence of a field with its limits: those hold in requests.
func describe(m *message, f *field) string {
	text := f.doc
	if limits := limitsOf(m, f); limits != "" {
		text += " " + strings.ToUpper(limits[:1]) + limits[1:] + "."
	}
	return text
}

// limitsOf says what a field of a request may be: "1 to 255 bytes".
func limitsOf(m *message, f *field) string {
	if !m.strict() {
		return ""
	}
	elements := ""
	if f.Max > 0 {
		elements = "at most " + digits(int64(f.Max))
		if f.must {
			elements = "1 to " + digits(int64(f.Max))
		}
	}
	switch {
	case f.values != nil:
		return join(elements, strings.Join(f.values, ", "))
	case f.Type == textMapType:
		return join(elements, span(f.least, f.most, "bytes")+", each with "+span(0, f.mostValue, "bytes"))
	case f.most > 0 && (f.Type.Kind() == reflect.String || f.Type.Kind() == reflect.Slice || isText(f.Type)):
		return join(elements, span(f.least, f.most, "bytes"))
	case f.NonZero:
		return "not 0"
	case f.orZero:
		return "0, or " + span(f.least, f.most, "")
	case f.most > 0:
		return span(f.least, f.most, "")
	}
	return elements
}

func isText(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.String
}

// join says how many there are of what.
func join(elements, each string) string {
	if elements == "" {
		return each
	}
	return elements + ", of " + each
}

// span says a range: "1 to 255 bytes", "at most 1,024 bytes".
func span(least, most int64, unit string) string {
	text := "at most " + digits(most)
	if least > 0 || unit == "" {
		text = digits(least) + " to " + digits(most)
	}
	return strings.TrimSuffix(text+" "+unit, " ")
}

// digits writes a number in groups of three.
func digits(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// kind is a field's type for people: "text", "list of Entry".
func kind(f *field) string {
	switch {
	case f.Type == bytesType:
		return "bytes"
	case f.Type == textsType:
		return "list of texts"
	case f.Type == textMapType:
		return "map of texts"
	case f.of != nil && f.Type.Kind() == reflect.Slice:
		return "list of " + link(f.of)
	case f.of != nil:
		return link(f.of)
	}
	return map[string]string{"string": "text", "integer": "integer", "boolean": "boolean"}[typeName(f.Type)]
}

func link(m *message) string { return fmt.Sprintf("[%s](#%s)", m.name, strings.ToLower(m.name)) }

// plainText is a sentence without Markdown.
func plainText(s string) string { return strings.ReplaceAll(s, "`", "") }

// remarks is what is to say of an endpoint, with a blank behind it; or "".
func (e *endpoint) remarks() string {
	if text := remarks[e.Subject]; text != "" {
		return text + " "
	}
	return ""
}
