package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of the times in /proc on every Linux: USER_HZ.
const clockTick = 10 * time.Millisecond

var errNoProc = errors.New("no /proc on this system")

// cpuTime is the processor time that the process has used so far.
func (p *process) cpuTime() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, errNoProc
	}
	// The second field is the name in brackets, which may hold spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, errNoProc
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// Fields of /proc/PID/status.
const (
	residentNow  = "VmRSS:"
	residentPeak = "VmHWM:"
)

// resident is the memory of the process that is or was in RAM, in MiB.
func (p *process) resident(field string) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, errNoProc
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, errNoProc
}

// machineTime is the processor time that all cores together have spent so far,
// and how much of it was not idle.
func machineTime() (total, busy time.Duration, err error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, errNoProc
	}
	// cpu user nice system idle iowait irq softirq steal; what follows is
	// contained in user and nice.
	for i, field := range strings.Fields(firstLine(string(stat))) {
		if i == 0 || i > 8 {
			continue
		}
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, errNoProc
		}
		total += time.Duration(ticks) * clockTick
		if i != 4 && i != 5 {
			busy += time.Duration(ticks) * clockTick
		}
	}
	return total, busy, nil
}

// othersShare tells which share of the machine was used by processes other
// than the server and its clients, between two readings of [machineTime].
func othersShare(totalBefore, busyBefore, total, busy, ours time.Duration) float64 {
	if total <= totalBefore {
		return 0
	}
	return max(0, float64(busy-busyBefore-ours)/float64(total-totalBefore))
}
