package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// schemas checks messages by JSON Schema: by the words that the contract's
// documents use. Another word is a failure, so that none is passed over.
type schemas struct {
	named  obj
	prefix string // of references to them: "#/$defs/"
}

// definition is the schema of a name.
func (s schemas) definition(name string) obj {
	schema, _ := s.named[name].(obj)
	return schema
}

// resolve follows a reference.
func (s schemas) resolve(schema obj) obj {
	if to, ok := schema["$ref"].(string); ok {
		return s.definition(strings.TrimPrefix(to, s.prefix))
	}
	return schema
}

// check says what is wrong with a value, or "". Values are as inJSON reads
// them.
func (s schemas) check(schema obj, v any) string {
	if schema = s.resolve(schema); schema == nil {
		return "there is no such schema"
	}
	for _, word := range slices.Sorted(maps.Keys(schema)) {
		if wrong := s.checkWord(schema, word, v); wrong != "" {
			return wrong
		}
	}
	return ""
}

func (s schemas) checkWord(schema obj, word string, v any) string {
	want := schema[word]
	ok := true
	switch word {
	case "description", "contentEncoding":
	case "type":
		ok = isType(want.(string), v)
	case "const":
		ok = reflect.DeepEqual(want, v)
	case "enum":
		ok = slices.ContainsFunc(want.(list), func(one any) bool { return reflect.DeepEqual(one, v) })
	case "minLength", "maxLength", "pattern":
		ok = checkText(word, want, v)
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		ok = checkNumber(word, want, v)
	case "minItems", "maxItems", "items":
		return s.checkList(word, want, v)
	case "properties", "required", "additionalProperties", "propertyNames", "maxProperties":
		return s.checkObject(schema, word, v)
	case "allOf", "anyOf", "oneOf", "not":
		return s.checkRules(word, want, v)
	default:
		return "the schema has a word that this test does not know: " + word
	}
	if !ok {
		return fmt.Sprintf("%s is %v, the value %.100s", word, want, fmt.Sprint(v))
	}
	return ""
}

func isType(name string, v any) bool {
	switch x := v.(type) {
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case json.Number:
		return name == "integer" && !strings.ContainsAny(x.String(), ".eE")
	case list:
		return name == "array"
	case obj:
		return name == "object"
	}
	return false
}

func checkText(word string, want, v any) bool {
	text, ok := v.(string)
	if !ok {
		return true // another type: that is for the word type
	}
	if word == "pattern" {
		return regexp.MustCompile(want.(string)).MatchString(text)
	}
	if n := utf8.RuneCountInString(text); word == "minLength" {
		return n >= whole(want)
	} else {
		return n <= whole(want)
	}
}

// whole is a number of a schema.
func whole(n any) int {
	i, err := n.(json.Number).Int64()
	if err != nil {
		return -1
	}
	return int(i)
}

func checkNumber(word string, want, v any) bool {
	number, ok := v.(json.Number)
	if !ok {
		return true
	}
	n, ok1 := new(big.Float).SetString(number.String())
	limit, ok2 := new(big.Float).SetString(want.(json.Number).String())
	if !ok1 || !ok2 {
		return false
	}
	switch c := n.Cmp(limit); word {
	case "minimum":
		return c >= 0
	case "maximum":
		return c <= 0
	case "exclusiveMinimum":
		return c > 0
	default:
		return c < 0
	}
}

func (s schemas) checkList(word string, want, v any) string {
	all, ok := v.(list)
	if !ok {
		return ""
	}
	switch {
	case word == "minItems" && len(all) < whole(want), word == "maxItems" && len(all) > whole(want):
		return fmt.Sprintf("%s is %v, the list has %d", word, want, len(all))
	case word == "items":
		for i, one := range all {
			if wrong := s.check(want.(obj), one); wrong != "" {
				return fmt.Sprintf("[%d]: %s", i, wrong)
			}
		}
	}
	return ""
}

func (s schemas) checkObject(schema obj, word string, v any) string {
	fields, ok := v.(obj)
	if !ok {
		return ""
	}
	properties, _ := schema["properties"].(obj)
	switch want := schema[word].(type) {
	case list: // required
		for _, name := range want {
			if _, has := fields[name.(string)]; !has {
				return fmt.Sprintf("%v is required", name)
			}
		}
	case json.Number: // maxProperties
		if len(fields) > whole(want) {
			return fmt.Sprintf("%s is %v, the map has %d", word, want, len(fields))
		}
	case bool: // additionalProperties
		for name := range fields {
			if _, known := properties[name]; !known && !want {
				return name + " is unknown"
			}
		}
	case obj:
		for name, value := range fields {
			wrong := ""
			switch property, known := properties[name].(obj); {
			case word == "properties" && known:
				wrong = s.check(property, value)
			case word == "additionalProperties" && !known:
				wrong = s.check(want, value)
			case word == "propertyNames":
				wrong = s.check(want, name)
			}
			if wrong != "" {
				return name + ": " + wrong
			}
		}
	}
	return ""
}

func (s schemas) checkRules(word string, want, v any) string {
	if word == "not" {
		if s.check(want.(obj), v) == "" {
			return fmt.Sprintf("it is what it must not be: %v", want)
		}
		return ""
	}
	var wrongs []string
	for _, rule := range want.(list) {
		if wrong := s.check(rule.(obj), v); wrong != "" {
			wrongs = append(wrongs, wrong)
		}
	}
	fits := len(want.(list)) - len(wrongs)
	if word == "allOf" && len(wrongs) > 0 || word == "anyOf" && fits == 0 || word == "oneOf" && fits != 1 {
		return fmt.Sprintf("%s: it fits %d; %s", word, fits, strings.Join(wrongs, "; "))
	}
	return ""
}
