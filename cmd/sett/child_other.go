//go:build !linux

package main

import "syscall"

// dieWithUs does nothing: only Linux kills a command with the one that has
// started it.
func dieWithUs(*syscall.SysProcAttr) {}

// arrange gives a command a process group of its own, but not on a terminal: a
// process in the background that reads from it would be stopped.
func arrange(attr *syscall.SysProcAttr, stdin any) (group bool, tty *terminal) {
	attr.Setpgid = !isTerminal(stdin)
	return attr.Setpgid, nil
}

// hasStopped is for those who give the terminal away.
func hasStopped(int) bool { return false }

// terminal is never given away here.
type terminal struct{}

func (*terminal) give(int)     {}
func (*terminal) takeBack(int) {}
