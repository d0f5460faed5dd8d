package main

import (
	"os"
	"os/signal"
	"syscall"
	"unsafe"
)

// dieWithUs makes the kernel kill a command when the thread ends that starts
// it, so also when this process is killed. What the command itself has started
// is not killed.
func dieWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// arrange gives a command a process group of its own, and the terminal that
// its standard input is, if that is ours to give: a process in the background
// that reads from it would be stopped.
func arrange(attr *syscall.SysProcAttr, stdin any) (group bool, tty *terminal) {
	attr.Setpgid = true
	f, ok := stdin.(*os.File)
	if !ok {
		return true, nil
	}
	tty = &terminal{fd: int(f.Fd())}
	if tty.foreground() != syscall.Getpgrp() {
		return true, nil
	}
	attr.Foreground, attr.Ctty = true, tty.fd
	return true, tty
}

// hasStopped reports whether a child was stopped since it was last asked.
func hasStopped(pid int) bool {
	const idPID = 1
	var info [32]int32 // siginfo_t; the first word is 0 where there is nothing to tell
	_, _, err := syscall.Syscall6(syscall.SYS_WAITID, idPID, uintptr(pid), uintptr(unsafe.Pointer(&info)),
		syscall.WSTOPPED|syscall.WNOHANG, 0, 0)
	return err == 0 && info[0] != 0
}

// terminal is the one that a command was given. A nil terminal is none.
type terminal struct{ fd int }

// foreground is the process group that may read from the terminal, or -1.
func (t *terminal) foreground() int {
	var group int32
	_, _, err := syscall.Syscall(syscall.SYS_IOCTL, uintptr(t.fd), syscall.TIOCGPGRP, uintptr(unsafe.Pointer(&group)))
	if err != 0 {
		return -1
	}
	return int(group)
}

// pass moves the terminal from one process group to another, if the first one
// has it.
func (t *terminal) pass(from, to int) {
	if t == nil || t.foreground() != from {
		return
	}
	// Whoever does this from the background is stopped by SIGTTOU. It is not
	// ignored for longer: a command would inherit that.
	signal.Ignore(syscall.SIGTTOU)
	defer signal.Reset(syscall.SIGTTOU)
	group := int32(to)
	_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, uintptr(t.fd), syscall.TIOCSPGRP, uintptr(unsafe.Pointer(&group)))
}

func (t *terminal) give(group int) { t.pass(syscall.Getpgrp(), group) }

func (t *terminal) takeBack(group int) { t.pass(group, syscall.Getpgrp()) }
