package main

import (
	"io"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// table prints rows below a header, in columns. On a terminal they fit its
// width: what is cut ends in "…".
func (a *app) table(header []string, rows [][]string) error {
	all := append([][]string{header}, rows...)
	lines := layout(all, terminalWidth(a.stdout))
	_, err := io.WriteString(a.stdout, strings.Join(lines, "\n")+"\n")
	return err
}

const columnGap = "  "

// The columns that may be cut: first what tells about a record, then what names
// it. Figures and times are whole or not there.
var elastic = []struct {
	least   int
	columns []string
}{
	{12, []string{"VALUE", "NOTE", "META", "TAGS", "WHAT", "WHY", "REFUSALS"}},
	{20, []string{"KEY", "ON", "ID", "ADDRESS", "FILE", "NAME", "LEFT OUT"}},
}

// layout aligns rows below a header, two spaces apart, in lines of at most
// width; 0 is any.
func layout(rows [][]string, width int) []string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], uniseg.StringWidth(cell))
		}
	}
	if width > 0 {
		rows, widths = dropEmpty(rows, widths, width)
		shrink(rows[0], widths, width)
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		var b strings.Builder
		for j, cell := range row {
			if j > 0 {
				b.WriteString(columnGap)
			}
			cell = cut(cell, widths[j])
			b.WriteString(cell + strings.Repeat(" ", widths[j]-uniseg.StringWidth(cell)))
		}
		lines[i] = strings.TrimRight(b.String(), " ")
		if width > 0 {
			lines[i] = cut(lines[i], width)
		}
	}
	return lines
}

// dropEmpty leaves out the columns that say nothing, if the rest is too wide.
func dropEmpty(rows [][]string, widths []int, width int) ([][]string, []int) {
	if excess(widths, width) <= 0 {
		return rows, widths
	}
	said := make([]bool, len(widths))
	for _, row := range rows[1:] {
		for i, cell := range row {
			said[i] = said[i] || cell != ""
		}
	}
	kept := make([][]string, len(rows))
	for i, row := range rows {
		for j, cell := range row {
			if said[j] {
				kept[i] = append(kept[i], cell)
			}
		}
	}
	var left []int
	for i, w := range widths {
		if said[i] {
			left = append(left, w)
		}
	}
	return kept, left
}

// excess is by how much columns are too wide.
func excess(widths []int, width int) int {
	over := len(columnGap)*(len(widths)-1) - width
	for _, w := range widths {
		over += w
	}
	return over
}

// shrink takes from the widest of the elastic columns until all fit, or none
// can give more.
func shrink(header []string, widths []int, width int) {
	over := excess(widths, width)
	for _, e := range elastic {
		for ; over > 0; over-- {
			widest := -1
			for i, name := range header {
				if slices.Contains(e.columns, name) && widths[i] > e.least && (widest < 0 || widths[i] > widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				break
			}
			widths[widest]--
		}
	}
}

// cut shortens a text to a width, in cells of a terminal.
func cut(text string, width int) string {
	if uniseg.StringWidth(text) <= width {
		return text
	}
	kept, taken := 0, 0
	for rest, state := text, -1; rest != ""; {
		var one string
		var cells int
		if one, rest, cells, state = uniseg.FirstGraphemeClusterInString(rest, state); taken+cells > width-1 {
			break
		}
		kept, taken = kept+len(one), taken+cells
	}
	return text[:kept] + "…"
}
