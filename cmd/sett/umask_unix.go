//go:build unix

package main

import "syscall"

// privateFiles makes new files and directories readable by nobody else.
func privateFiles() { syscall.Umask(0o077) }
