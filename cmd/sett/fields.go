package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/settkv/sett/codec"
)

// flagName is the flag of a request field: its name with dashes, without
// "return-", and without the unit where the flag takes a duration.
func flagName(field string) string {
	name := strings.TrimSuffix(strings.TrimPrefix(field, "return_"), "_ms")
	return strings.ReplaceAll(name, "_", "-")
}

// wireNames lists the fields of a request type.
func wireNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("wire"), ",")
		names = append(names, name)
	}
	return names
}

// addFields defines a flag for each field of the request that req points to,
// which the flag then sets. So a field that the contract gains has its flag.
func addFields(fs *pflag.FlagSet, subject string, req any) {
	v := reflect.ValueOf(req).Elem()
	for i, field := range wireNames(v.Type()) {
		addField(fs, subject, field, v.Field(i).Addr().Interface())
	}
}

// singular names the flag that takes one element of a list as it is, where the
// list's own flag takes several with commas.
var singular = map[string]string{"tags": "tag", "statuses": "status", "keys": "key"}

func addField(fs *pflag.FlagSet, subject, field string, into any) {
	name, usage := flagName(field), usageOf(subject, field)
	add := func(name string, set func(string) error) {
		if fs.Lookup(name) == nil { // two requests of one command may share a flag
			fs.Var(&fieldValue{set: set}, name, usage)
		}
	}
	switch p := into.(type) {
	case *string:
		fs.StringVar(p, name, "", usage)
	case *bool:
		fs.BoolVar(p, name, false, usage)
	case *[]byte:
		add(name, func(s string) error { *p = []byte(s); return nil })
	case **string:
		add(name, func(s string) error { *p = &s; return nil })
	case **uint64:
		add(name, func(s string) error { return parseInto(p, s, parseRevision) })
	case **int64:
		add(name, func(s string) error { return parseInto(p, s, parseMillis) })
	case *int64:
		parse := parseNumber
		if strings.HasSuffix(field, "_ms") {
			parse = parseMillis
		}
		add(name, func(s string) (err error) {
			*p, err = parse(s)
			if err == nil && *p == 0 && field == "by" { // in Go that means 1
				err = errors.New("must not be 0")
			}
			return err
		})
	case *[]string:
		add(name, func(s string) error { *p = append(*p, strings.Split(s, ",")...); return nil })
		usage = usageOf(subject, singular[field])
		add(singular[field], func(s string) error { *p = append(*p, s); return nil })
	case *map[string]string:
		add(name, func(s string) error { return addPair(p, s) })
	case *[]codec.Command:
		add(name, func(s string) error { return addOps(p, s) })
	case *[]codec.Condition:
		add(name, func(s string) error { return addCondition(p, s) })
	default:
		panic(fmt.Sprintf("no flag for a %T", into))
	}
}

// fieldValue is a flag that parses into a field.
type fieldValue struct {
	set  func(string) error
	kind string
	text string
}

func (f *fieldValue) String() string { return f.text }
func (f *fieldValue) Type() string   { return f.kind }

func (f *fieldValue) Set(s string) error {
	f.text = s
	return f.set(s)
}

// addSwitch defines a flag that needs no value and stands for something else.
func addSwitch(fs *pflag.FlagSet, name, usage string, then func()) {
	fs.Var(&fieldValue{kind: "bool", set: func(s string) error {
		on, err := strconv.ParseBool(s)
		if on {
			then()
		}
		return err
	}}, name, usage)
	fs.Lookup(name).NoOptDefVal = "true"
}

// parseInto is for fields where absent and zero differ.
func parseInto[T any](p **T, s string, parse func(string) (T, error)) error {
	value, err := parse(s)
	*p = &value
	return err
}

func parseRevision(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, errors.New("must be a revision: a number, 0 for \"there must be none\"")
	}
	return n, nil
}

func parseNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errors.New("must be a whole number")
	}
	return n, nil
}

// parseMillis reads a duration in the contract's unit. Days are for people: a
// TTL may last for years.
func parseMillis(s string) (int64, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 15)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d < 0 {
		return 0, errors.New("must be a duration such as 500ms, 30s, 5m, 12h or 7d")
	}
	return codec.Millis(d), nil
}

// parseSpan reads a duration as [parseMillis] does.
func parseSpan(s string) (time.Duration, error) {
	ms, err := parseMillis(s)
	return time.Duration(ms) * time.Millisecond, err
}

// addDuration defines a flag for a duration that has a default.
func addDuration(fs *pflag.FlagSet, name, usage string, p *time.Duration) {
	text := span(*p)
	if *p == 0 {
		text = "" // which the help leaves out
	}
	fs.Var(&fieldValue{text: text, set: func(s string) (err error) {
		*p, err = parseSpan(s)
		return err
	}}, name, usage)
}

func addPair(p *map[string]string, s string) error {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return errors.New("must be KEY=VALUE")
	}
	if *p == nil {
		*p = make(map[string]string)
	}
	(*p)[key] = value
	return nil
}

// addOps takes one op as JSON, or a list of them.
func addOps(p *[]codec.Command, s string) error {
	batch, err := readBatch([]byte(s))
	if err != nil {
		return err
	}
	*p = append(*p, batch.Ops...)
	return nil
}

// addCondition takes KEY=REVISION, or svc:NAME:ID=REVISION for an instance.
func addCondition(p *[]codec.Condition, s string) error {
	at := strings.LastIndexByte(s, '=')
	if at <= 0 {
		return errors.New("must be KEY=REVISION, or svc:NAME:ID=REVISION")
	}
	revision, err := parseRevision(s[at+1:])
	if err != nil {
		return err
	}
	c := codec.Condition{Key: s[:at], Revision: &revision}
	if instance, ok := strings.CutPrefix(s[:at], "svc:"); ok {
		c.Key = ""
		c.Name, c.ID, _ = strings.Cut(instance, ":")
	}
	*p = append(*p, c)
	return nil
}

// readBatch reads a batch as people and programs write it: the request in
// either encoding, a JSON list of ops, or ops in JSON one after the other.
func readBatch(data []byte) (*codec.Batch, error) {
	batch := &codec.Batch{}
	if len(bytes.TrimSpace(data)) == 0 {
		return batch, codec.Invalidf("ops", "must not be empty")
	}
	if ops, ok := looseOps(data); ok {
		data = ops
	}
	_, err := codec.DecodeRequest(data, batch)
	return batch, err
}

// looseOps makes a request of JSON that is none.
func looseOps(data []byte) ([]byte, bool) {
	first := strings.TrimLeft(string(data[:min(len(data), 64)]), " \t\r\n")
	if first == "" || first[0] != '{' && first[0] != '[' {
		return nil, false
	}
	var ops []json.RawMessage
	for in := json.NewDecoder(strings.NewReader(string(data))); in.More(); {
		var op json.RawMessage
		if err := in.Decode(&op); err != nil {
			return nil, false // the request's own decoder says what is wrong
		}
		ops = append(ops, op)
	}
	switch {
	case len(ops) == 1 && ops[0][0] == '[':
		return fmt.Appendf(nil, `{"ops":%s}`, ops[0]), true
	case len(ops) == 1 && !isOp(ops[0]):
		return ops[0], true
	}
	list, err := json.Marshal(ops)
	return fmt.Appendf(nil, `{"ops":%s}`, list), err == nil
}

func isOp(message json.RawMessage) bool {
	var fields map[string]json.RawMessage
	return json.Unmarshal(message, &fields) == nil && fields["op"] != nil
}
