//go:build !linux

package integration

import "os/exec"

// dieWithUs keeps a process from outliving the tests, where the system can.
func dieWithUs(*exec.Cmd) {}
