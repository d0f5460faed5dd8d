package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestREADMETypeScript compiles and runs the README's TypeScript, and compiles
// the generated types, where there are node and its registry.
func TestREADMETypeScript(t *testing.T) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("there is no " + tool + " here: the README's TypeScript is not run")
		}
	}
	dir := t.TempDir()
	run := func(patience time.Duration, name string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run(2*time.Minute, "npm", "install", "--no-audit", "--no-fund", "tsx@4", "typescript@5", "@types/node@20",
		"@nats-io/transport-node@3", "@nats-io/jetstream@3")
	if err != nil {
		t.Skipf("npm cannot install what the README's TypeScript needs, so it is not run: %v: %s", err, out)
	}
	p := serve(t)
	for _, b := range blocks(t) {
		if b.language != "ts" {
			continue
		}
		code := strings.ReplaceAll(strings.Join(b.lines, "\n"), "127.0.0.1:4222", strings.TrimPrefix(p.url, "nats://"))
		if err := os.WriteFile(filepath.Join(dir, "readme.mts"), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	types, err := os.ReadFile("../cmd/sett/contract/sett.ts")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sett.mts"), types, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(time.Minute, "npx", "tsc", "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022",
		"--module", "nodenext", "readme.mts", "sett.mts"); err != nil {
		t.Errorf("tsc: %v: %s", err, out)
	}
	if out, err := run(patience, "npx", "tsx", "readme.mts"); err != nil {
		t.Errorf("the README's TypeScript: %v: %s", err, out)
	}
}
