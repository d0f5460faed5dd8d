package integration

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// vars are what one variant of a scenario remembers from step to step.
type vars map[string]any

// matcher is what a test expects where it cannot know the value.
type matcher func(got any, v vars) error

// save takes any number above 0 and remembers it.
func save(name string) matcher {
	return func(got any, v vars) error {
		if n, ok := got.(int64); !ok || n <= 0 {
			return fmt.Errorf("is %v, not above 0", got)
		}
		v[name] = got
		return nil
	}
}

// keep takes any text that is not empty and remembers it.
func keep(name string) matcher {
	return func(got any, v vars) error {
		if s, ok := got.(string); !ok || s == "" {
			return fmt.Errorf("is %v, not a text", got)
		}
		v[name] = got
		return nil
	}
}

// ref is a remembered value: in a request it stands for it, in a reply it must
// be it.
type ref string

// number takes any whole number that is not negative.
func number(got any, _ vars) error {
	if n, ok := got.(int64); !ok || n < 0 {
		return fmt.Errorf("is %v, not a number", got)
	}
	return nil
}

// atLeastAMiB takes a max_payload that the contract allows.
func atLeastAMiB(got any, _ vars) error {
	if n, ok := got.(int64); !ok || n < 1<<20 {
		return fmt.Errorf("is %v, below 1 MiB", got)
	}
	return nil
}

// text takes any text that is not empty.
func text(got any, _ vars) error {
	if s, ok := got.(string); !ok || s == "" {
		return fmt.Errorf("is %v, not a text", got)
	}
	return nil
}

// boolean takes true and false.
func boolean(got any, _ vars) error {
	if _, ok := got.(bool); !ok {
		return fmt.Errorf("is %v, not a boolean", got)
	}
	return nil
}

// anyList takes any list.
func anyList(got any, _ vars) error {
	if _, ok := got.(list); !ok {
		return fmt.Errorf("is %v, not a list", got)
	}
	return nil
}

// message takes any map.
func message(got any, _ vars) error {
	if _, ok := got.(obj); !ok {
		return fmt.Errorf("is %v, not a map", got)
	}
	return nil
}

// inAbout takes a time in Unix milliseconds that lies about so far ahead.
func inAbout(ms int64) matcher {
	return func(got any, _ vars) error {
		n, ok := got.(int64)
		ahead := n - time.Now().UnixMilli()
		if slack := patience.Milliseconds(); !ok || ahead > ms || ahead < ms-slack {
			return fmt.Errorf("is %v, %d ms ahead, not %d", got, ahead, ms)
		}
		return nil
	}
}

// match compares a decoded message with what a test expects: maps must have
// exactly the same fields.
func match(got, want any, v vars) error {
	switch want := want.(type) {
	case matcher:
		return want(got, v)
	case func(any, vars) error:
		return want(got, v)
	case ref:
		return match(got, v[string(want)], v)
	case obj:
		return matchMap(got, want, v)
	case list:
		items, ok := got.(list)
		if !ok || len(items) != len(want) {
			return fmt.Errorf("is %v, not a list of %d", got, len(want))
		}
		for i := range want {
			if err := match(items[i], want[i], v); err != nil {
				return fmt.Errorf("[%d] %w", i, err)
			}
		}
		return nil
	case int:
		return match(got, int64(want), v)
	}
	if got != want {
		return fmt.Errorf("is %v (%[1]T), not %v (%[2]T)", got, want)
	}
	return nil
}

// matchMap compares the fields one by one, in order of their names.
func matchMap(got any, want obj, v vars) error {
	m, ok := got.(obj)
	if !ok {
		return fmt.Errorf("is %v, not a map", got)
	}
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, ok := m[name]
		if !ok {
			return fmt.Errorf("has no %s: %v", name, m)
		}
		if err := match(value, want[name], v); err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
	}
	for name := range m {
		if _, ok := want[name]; !ok {
			return fmt.Errorf("has %s (%v), which is not expected", name, m[name])
		}
	}
	return nil
}

// marker stands in keys and names for the namespace of a variant.
const marker = "§"

// fill puts the namespace and, but for nil, remembered values into what a test
// wrote, and copies it on the way.
func fill(template any, namespace string, v vars) any {
	switch x := template.(type) {
	case string:
		return strings.ReplaceAll(x, marker, namespace)
	case ref:
		if v != nil {
			return v[string(x)]
		}
	case obj:
		copied := obj{}
		for name, value := range x {
			copied[strings.ReplaceAll(name, marker, namespace)] = fill(value, namespace, v)
		}
		return copied
	case list:
		copied := make(list, len(x))
		for i := range x {
			copied[i] = fill(x[i], namespace, v)
		}
		return copied
	}
	return template
}
