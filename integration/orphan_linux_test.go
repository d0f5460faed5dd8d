package integration

import (
	"os/exec"
	"syscall"
)

// dieWithUs keeps a process from outliving tests that are ended by a time-out.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
