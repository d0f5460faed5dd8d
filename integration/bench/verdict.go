package main

import "fmt"

// A verdict is a target with what was measured.
type verdict struct {
	Scenario string  `json:"scenario"`
	Clients  int     `json:"clients,omitempty"`
	Target   string  `json:"target"`
	Measured spread  `json:"measured"`
	Least    float64 `json:"least,omitempty"`
	Most     float64 `json:"most,omitempty"`
	Goal     float64 `json:"goal,omitempty"`
	Status   string  `json:"status"`
}

// What a verdict says. A goal is what comes after a target: to miss it is no
// failure.
const (
	met         = "met"
	notMet      = "NOT MET"
	goalReached = "goal reached"
	goalAhead   = "goal ahead"
	notMeasured = "not measured"
)

// verdicts judges the targets of one table.
func (b *bench) verdicts(sc scenario, clients int) (all []verdict) {
	for _, t := range targets {
		if t.scenario != sc.name || t.clients != clients || !b.wants(t.row) || !b.wants(t.base) {
			continue
		}
		row, _ := systemNamed(t.row)
		base, _ := systemNamed(t.base)
		v := verdict{Scenario: sc.name, Clients: clients, Least: t.least, Goal: t.goal,
			Target: fmt.Sprintf("%s / %s", row.title, base.title)}
		measured, ok := ratio(b.find(sc.name, clients, t.row), b.find(sc.name, clients, t.base))
		all = append(all, v.judge(measured, ok))
	}
	for _, name := range []string{"sett-durable", "sett-live"} {
		if sc.name != scenarioAgain || !b.wants(name) {
			continue
		}
		row, _ := systemNamed(name)
		v := verdict{Scenario: sc.name, Clients: clients, Least: againTarget,
			Target: row.title + " / itself before overwriting"}
		measured, ok := ratio(b.find(scenarioAgain, clients, name), b.find(scenarioList, clients, name))
		all = append(all, v.judge(measured, ok))
	}
	return all
}

func (v verdict) judge(measured spread, ok bool) verdict {
	v.Measured = measured
	switch {
	case !ok:
		v.Status = notMeasured
	case v.Goal > 0 && measured.Median >= v.Goal:
		v.Status = goalReached
	case v.Least == 0:
		v.Status = goalAhead
	case measured.Median >= v.Least:
		v.Status = met
	default:
		v.Status = notMet
	}
	return v
}

// atMost judges a target where less is better.
func atMost(sc, title string, measured spread, ok bool, most, goal float64) verdict {
	v := verdict{Scenario: sc, Target: title, Measured: measured, Most: most, Goal: goal, Status: met}
	switch {
	case !ok:
		v.Status = notMeasured
	case measured.Median > most:
		v.Status = notMet
	case goal > 0 && measured.Median <= goal:
		v.Status = goalReached
	}
	return v
}
