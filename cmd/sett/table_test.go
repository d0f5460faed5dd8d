package main

import (
	"strings"
	"testing"

	"github.com/rivo/uniseg"
)

func TestTableFits(t *testing.T) {
	rows := [][]string{
		{"KEY", "REVISION", "EXPIRES", "VALUE"},
		{"config/host", "12345678", "in 1h", "a value that has a lot to say"},
		{"日本語/キー", "2", "", "値"},
		{"config/" + strings.Repeat("x", 40), "3", "", ""},
	}
	for width, want := range map[int]string{
		0:  "config/host                                      12345678  in 1h    a value that has a lot to say",
		90: "config/host                                      12345678  in 1h    a value that has a lo…",
		60: "config/host                  12345678  in 1h    a value tha…",
		20: "config/host        …",
	} {
		lines := layout(rows, width)
		if lines[1] != want {
			t.Errorf("%d: %q, want %q", width, lines[1], want)
		}
		for _, line := range lines {
			if width > 0 && uniseg.StringWidth(line) > width {
				t.Errorf("%d: %q has %d", width, line, uniseg.StringWidth(line))
			}
		}
	}
	at60 := layout(rows, 60)
	if want := "日本語/キー                  2"; !strings.HasPrefix(at60[2], want) || at60[3] != "config/xxxxxxxxxxxxxxxxxxx…  3" {
		t.Errorf("%q", at60)
	}
}

// Figures and times are whole, and a column that says nothing goes first.
func TestTableFigures(t *testing.T) {
	rows := [][]string{{"REVISION", "TIME", "OP", "TTL", "VALUE"}, {"4", "2026-11-23 14:04:04.630", "set", "", "one that is rather long"}}
	if got, want := layout(rows, 55)[1], "4         2026-11-23 14:04:04.630  set  one that is ra…"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
