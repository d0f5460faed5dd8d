//go:build !unix

package main

// privateFiles does nothing: there are no permission bits here.
func privateFiles() {}
