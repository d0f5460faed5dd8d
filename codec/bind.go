package codec

import "strings"

// Bind sets the key that the subject carries.
func (c *Set) Bind(key string) error { return bind("key", &c.Key, key) }

// Bind sets the key that the subject carries.
func (c *Delete) Bind(key string) error { return bind("key", &c.Key, key) }

// Bind sets the key that the subject carries.
func (c *Touch) Bind(key string) error { return bind("key", &c.Key, key) }

// Bind sets the key that the subject carries.
func (c *Increment) Bind(key string) error { return bind("key", &c.Key, key) }

// Bind sets the name that the subject carries.
func (c *Register) Bind(name string) error { return bind("name", &c.Name, name) }

// Bind sets the name that the subject carries.
func (c *Heartbeat) Bind(name string) error { return bind("name", &c.Name, name) }

// Bind sets the name that the subject carries.
func (c *Deregister) Bind(name string) error { return bind("name", &c.Name, name) }

// Bind narrows the prefix to what the subject covers.
func (c *Clear) Bind(scope string) error { return bindPrefix(&c.Prefix, scope) }

// Bind refuses a batch that names anything outside of the scope, in its
// conditions too: nobody sees or writes a key that the subject does not cover.
func (c *Batch) Bind(scope string) error {
	for i, op := range c.Ops {
		key, ok := opKey(op)
		if !ok {
			return Invalidf("op", "is %s, but this subject takes kv commands only", op.Op()).Within("ops", i)
		}
		if e := checkScope(key, scope); e != nil {
			return e.Within("ops", i)
		}
	}
	for i := range c.If {
		if e := checkScope(c.If[i].Key, scope); e != nil {
			return e.Within("if", i)
		}
	}
	return nil
}

// opKey returns the key that an op of a batch is about, if it is about one.
func opKey(op Command) (string, bool) {
	switch c := op.(type) {
	case *Set:
		return c.Key, true
	case *Delete:
		return c.Key, true
	case *Touch:
		return c.Key, true
	case *Increment:
		return c.Key, true
	}
	return "", false
}

func checkScope(key, scope string) *Error {
	if strings.HasPrefix(key, scope) {
		return nil
	}
	return Invalidf("key", "is %q, but the subject covers %q only", key, scope)
}

// Bind sets the key that the subject carries.
func (r *Get) Bind(key string) error { return bind("key", &r.Key, key) }

// Bind sets the name that the subject carries.
func (r *GetService) Bind(name string) error { return bind("name", &r.Name, name) }

// Bind narrows the prefix to what the subject covers.
func (r *List) Bind(scope string) error { return bindPrefix(&r.Prefix, scope) }

// Bind refuses keys outside of the scope.
func (r *BatchGet) Bind(scope string) error {
	for i, key := range r.Keys {
		if e := checkScope(key, scope); e != nil {
			return e.Within("keys", i)
		}
	}
	return nil
}

// bind makes a field that the subject carries equal to it: the payload may
// leave it out, and if it gives one, it must be the same.
func bind(field string, have *string, want string) error {
	if *have == "" {
		*have = want
	}
	if *have != want {
		return Invalidf(field, "is %q, but the subject says %q", *have, want)
	}
	return nil
}

// bindPrefix narrows a prefix to what the subject covers.
func bindPrefix(have *string, scope string) error {
	if *have == "" {
		*have = scope
	}
	if !strings.HasPrefix(*have, scope) {
		return Invalidf("prefix", "is %q, but the subject covers %q only", *have, scope)
	}
	return nil
}
