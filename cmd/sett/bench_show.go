package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/settkv/sett/codec"
)

// benchReport is what -o json prints.
type benchReport struct {
	StoreID     string         `json:"store_id"`
	Version     string         `json:"version"`
	Feed        string         `json:"feed"`
	Clients     int            `json:"clients"`
	Connections int            `json:"connections"`
	Seconds     float64        `json:"seconds"`
	ValueBytes  int            `json:"value_bytes"`
	Keys        int            `json:"keys"`
	Rows        []benchFigures `json:"rows"`
}

// benchFigures are those of a row.
type benchFigures struct {
	Name     string   `json:"name"`
	Clients  int      `json:"clients"`
	Requests uint64   `json:"requests"`
	Rate     float64  `json:"per_second"`     // requests
	Ops      float64  `json:"ops_per_second"` // what is in them
	P50Ms    float64  `json:"p50_ms"`
	P99Ms    float64  `json:"p99_ms"`
	Ratio    *float64 `json:"ratio,omitempty"` // of ops to the rate of the echo beside it; not of an echo
	Refused  uint64   `json:"refused"`         // for a moment, and asked again
}

// figures are those of the rows, in their order.
func benchFiguresOf(rows []*benchRow) (all []benchFigures) {
	rates := make(map[string]float64)
	for _, r := range rows {
		rates[r.name] = float64(r.latency.count) / r.measured.Seconds()
	}
	for _, r := range rows {
		rate := rates[r.name]
		f := benchFigures{
			Name: r.name, Clients: r.clients, Requests: r.latency.count,
			Rate: rounded(rate), Ops: rounded(rate * float64(r.ops)), Refused: r.refused,
			P50Ms: milliseconds(float64(r.latency.atMost(0.50))), P99Ms: milliseconds(float64(r.latency.atMost(0.99))),
		}
		if echo := rates[r.beside]; echo > 0 {
			ratio := rounded(rate * float64(r.ops) / echo)
			f.Ratio = &ratio
		}
		all = append(all, f)
	}
	return all
}

func (b *bench) show(status *codec.StatusReply, rows []*benchRow) error {
	figures := benchFiguresOf(rows)
	if b.a.format == asJSON {
		return json.NewEncoder(b.a.stdout).Encode(benchReport{
			StoreID: status.StoreID, Version: status.Version, Feed: status.Feed.Mode,
			Clients: b.clients, Connections: len(b.load), Seconds: b.seconds, ValueBytes: b.valueBytes, Keys: b.keys, Rows: figures,
		})
	}
	table := [][]string{}
	for _, f := range figures {
		ratio, ops := "", perSecond(f.Rate)
		if f.Ratio != nil {
			ratio = fmt.Sprintf("%.2f", *f.Ratio)
		}
		if f.Ops != f.Rate {
			ops += fmt.Sprintf(" (%s sets)", perSecond(f.Ops))
		}
		table = append(table, []string{f.Name, ratio, ops, timeOf(f.P50Ms), timeOf(f.P99Ms), number(f.Refused)})
	}
	if err := b.a.table([]string{"", "OF ECHO", "A SECOND", "50 %", "99 %", "REFUSED"}, table); err != nil {
		return err
	}
	return b.a.say("%s on %s, %s a value, %s, feed %s, %s a row",
		one("client", int64(b.clients)), one("connection", int64(len(b.load))), one("byte", int64(b.valueBytes)),
		one("key", int64(b.keys)), status.Feed.Mode,
		span(time.Duration(b.seconds*float64(time.Second))))
}
