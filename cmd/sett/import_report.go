package main

import (
	"strconv"

	"github.com/settkv/sett/codec"
)

// importReport is what an import did, or would do.
type importReport struct {
	Keys      int64     `wire:"keys"`
	Instances int64     `wire:"instances"`
	Expired   int64     `wire:"expired"`                  // skipped: their time is over
	Conflicts int64     `wire:"conflicts"`                // skipped: they are there already (--create)
	Markers   int64     `wire:"markers,omitempty"`        // of deleted keys in a bucket
	LeftOut   int64     `wire:"left_out,omitempty"`       // what the store does not take
	Left      []leftOut `wire:"left,omitempty,max=10000"` // of them
	DryRun    bool      `wire:"dry_run"`
}

// leftOut is a key of a bucket that the store does not take.
type leftOut struct {
	Key    string `wire:"key"`
	Reason string `wire:"reason"`
}

// mostLeft bounds the report: the rest of what is left out is only counted.
const mostLeft = 10_000

// leave notes a key that cannot be taken.
func (r *importReport) leave(key, reason string) {
	r.LeftOut++
	if len(r.Left) < mostLeft {
		r.Left = append(r.Left, leftOut{key, reason})
	}
}

// count notes what a command stores.
func (r *importReport) count(op codec.Command) {
	if _, ok := op.(*codec.Register); ok {
		r.Instances++
		return
	}
	r.Keys++
}

// showImport prints the report.
func (a *app) showImport(r *importReport) error {
	switch a.format {
	case asJSON:
		return a.printJSON(r)
	case asRaw:
		return a.println(number(r.Keys + r.Instances))
	}
	if err := a.say("%s", r.sentence()); err != nil || len(r.Left) == 0 {
		return err
	}
	var rows [][]string
	for _, l := range r.Left {
		rows = append(rows, []string{printable([]byte(l.Key)), l.Reason})
	}
	if more := r.LeftOut - int64(len(r.Left)); more > 0 {
		rows = append(rows, []string{"...", "and " + one("key", more) + " more"})
	}
	return a.table([]string{"LEFT OUT", "WHY"}, rows)
}

// sentence is the report for people.
func (r *importReport) sentence() string {
	text, is := "imported ", "expired"
	if r.DryRun {
		text, is = "would import ", "expired by now"
	}
	text += counted(r.Keys, r.Instances)
	var beside []string
	for _, b := range []struct {
		n    int64
		what string
	}{{r.Expired, is}, {r.Conflicts, "there already"}, {r.Markers, "deleted in the bucket"}, {r.LeftOut, "left out"}} {
		if b.n > 0 {
			beside = append(beside, number(b.n)+" "+b.what)
		}
	}
	if len(beside) > 0 {
		text += " " + details(beside...)
	}
	return text
}

// grouped is a number for people, with its thousands apart.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
