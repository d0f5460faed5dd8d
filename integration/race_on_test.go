//go:build race

package integration

// raceEnabled says that the tests, and so the binary, look for data races.
const raceEnabled = true
