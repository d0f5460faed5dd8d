package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// allCommands lists every command of sett's own.
func allCommands(t *testing.T) (all []*cobra.Command) {
	t.Helper()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		all = append(all, cmd)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).command())
	return all
}

// Every endpoint has a verb, and every field of its request a flag.
func TestEveryEndpointHasAVerb(t *testing.T) {
	for _, info := range subjects.All() {
		verbs := 0
		for _, cmd := range allCommands(t) {
			if !slices.Contains(strings.Fields(cmd.Annotations[subjectsKey]), info.Subject) {
				continue
			}
			verbs++
			for _, field := range wireNames(info.Request) {
				if cmd.Flags().Lookup(flagName(field)) == nil {
					t.Errorf("%s: no flag --%s for %s.%s", cmd.CommandPath(), flagName(field), info.Subject, field)
				}
				if usageOf(info.Subject, field) == "" {
					t.Errorf("%s: nothing says what %s.%s does", cmd.CommandPath(), info.Subject, field)
				}
			}
		}
		if verbs == 0 {
			t.Errorf("%s has no verb", info.Subject)
		}
	}
}

func TestFlagNames(t *testing.T) {
	for field, want := range map[string]string{
		"ttl_ms": "ttl", "if_revision": "if-revision", "return_previous": "previous", "return_values": "values", "pick_key": "pick-key",
	} {
		if got := flagName(field); got != want {
			t.Errorf("%s: --%s, want --%s", field, got, want)
		}
	}
}

// Every command helps, with an example.
func TestHelp(t *testing.T) {
	for _, cmd := range allCommands(t) {
		if cmd.HasParent() && cmd.Example == "" || cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: wants an example, and a short text without full stop", cmd.CommandPath())
		}
		got := sett(t, "", append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
		if got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, "Usage:\n  "+cmd.CommandPath()) {
			t.Errorf("%s --help: status %d, %q", cmd.CommandPath(), got.code, got.stderr)
		}
		for _, line := range strings.Split(cmd.Long+"\n"+cmd.Example, "\n") {
			if len(line) > 80 {
				t.Errorf("%s: over 80 columns: %s", cmd.CommandPath(), line)
			}
		}
	}
}

// The command lines in examples parse.
func TestExamples(t *testing.T) {
	for _, cmd := range allCommands(t) {
		for _, line := range strings.Split(cmd.Example, "\n") {
			for _, part := range strings.Split(line, "|") {
				part, _, _ = strings.Cut(part, " > ")
				part, _, _ = strings.Cut(part, " < ")
				part, _, _ = strings.Cut(part, " && ")
				_, args, ok := strings.Cut(part, "sett ")
				if !ok || strings.Contains(part, "$(") {
					continue
				}
				checkCommandLine(t, words(args))
			}
		}
	}
}

// checkCommandLine fails unless the binary takes the arguments.
func checkCommandLine(t *testing.T, args []string) {
	t.Helper()
	cmd, rest, err := (&app{}).command().Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil && cmd.Args != nil {
		err = cmd.Args(cmd, cmd.Flags().Args())
	}
	if err != nil || cmd.HasSubCommands() {
		t.Errorf("sett %s: %v", strings.Join(args, " "), err)
	}
}

// Every flag of serve can be given in the environment.
func TestServeEnvironment(t *testing.T) {
	serve, _, err := (&app{}).command().Find([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	serve.LocalFlags().VisitAll(func(f *pflag.Flag) {
		want := "SETT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if f.Name != "help" && !slices.Contains(f.Annotations[envKey], want) {
			t.Errorf("--%s is not in the environment as %s", f.Name, want)
		}
	})
	t.Setenv("SETT_FEED", "sometimes")
	step{args: "serve", code: 2, stderr: "~--feed"}.check(t)
	t.Setenv("SETT_FEED", "")
	t.Setenv("SETT_SYNC", "perhaps")
	step{args: "serve", code: 2, stderr: "~SETT_SYNC in the environment: "}.check(t)
}

func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		code        codec.Code
		read, write int
	}{
		{codec.Invalid, 2, 2}, {codec.TooLarge, 2, 2}, {codec.NotFound, 3, 3}, {codec.Conflict, 4, 4},
		{codec.Denied, 5, 5}, {codec.Overloaded, 6, 6}, {codec.Unavailable, 6, 6}, {codec.Timeout, 6, 7},
		{codec.Internal, 7, 7}, {codec.Compacted, 1, 1},
	} {
		if r, w := statusOf(c.code, false), statusOf(c.code, true); r != c.read || w != c.write {
			t.Errorf("%s: status %d for a read and %d for a command, want %d and %d", c.code, r, w, c.read, c.write)
		}
	}
	for _, code := range codec.Codes() {
		if statusOf(code, true) == 1 {
			t.Errorf("%s has no status of its own", code)
		}
	}
}

// A signal is status 130 for a client, which says nothing about it.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	code := run(ctx, []string{"watch", "-q", "-s", serveMemory(t)}, nil, &stderr, &stderr)
	if code != 130 || stderr.String() != "" {
		t.Errorf("status %d, %q", code, stderr.String())
	}
}

func TestVersion(t *testing.T) {
	step{args: "version", stdout: "~sett development (nats-server "}.check(t)
	step{args: "version -o raw", stdout: "development\n"}.check(t)
	step{args: "--version", stdout: "sett development\n"}.check(t)
	step{args: "version x", code: 2, stderr: "~no arguments"}.check(t)
}

func TestSubject(t *testing.T) {
	for _, s := range []step{
		{args: "subject config/host", stdout: "config.host\n"},
		{args: "subject config.host a//b", stdout: "config%2Ehost\na.%.b\n"},
		{args: "subject config/host -o table --subject-prefix prod", stdout: "~prod.kv.get.config.host\n"},
		{args: "subject --reverse config%2Ehost", stdout: "config.host\n"},
		{args: "subject --reverse config%2ehost", code: 2, stderr: "~canonical"},
		{args: "subject", code: 2, stderr: "~KEY is missing"},
		{args: "subject ''", code: 2, stderr: "~empty"},
	} {
		s.check(t)
	}
}

func TestDecode(t *testing.T) {
	big := codec.Append(nil, codec.Msgpack, &codec.Change{
		Revision: 1 << 60, Op: codec.OpSet, Key: "k<", Value: []byte("\x00\x01\x02\x03\xff"), TimeMs: -5, TTLMs: 70_000,
	})
	text := codec.Append(nil, codec.Msgpack, &codec.Entry{Key: "k", Value: []byte("v"), Revision: 1})
	asJSON := func(m any) string { return string(codec.Append(nil, codec.JSON, m)) + "\n" }
	for _, s := range []step{
		{args: "decode --hex 81a36b6579a161", stdout: "{\"key\":\"a\"}\n"},
		{args: "decode --base64 gaNrZXmhYQ== gaNrZXmhYQ==", stdout: "{\"key\":\"a\"}\n{\"key\":\"a\"}\n"},
		{args: "decode --hex", stdin: "81a36b6579a161\n81a36b6579a162\n", stdout: "{\"key\":\"a\"}\n{\"key\":\"b\"}\n"},
		{args: "decode", stdin: "{\"a\": 1}\n{\"b\":\n2}", stdout: "{\"a\":1}\n{\"b\":2}\n"},
		{args: "decode", stdin: string(text) + "\n{}" + string(text), stdout: asJSON(&codec.Entry{Key: "k", Value: []byte("v"), Revision: 1}) + "{}\n" + asJSON(&codec.Entry{Key: "k", Value: []byte("v"), Revision: 1})},
		{args: "decode", stdin: string(big), stdout: "~\"revision\":1152921504606846976,"},
		{args: "decode", stdin: string(big), stdout: "~\"key\":\"k<\","},
		{args: "decode", stdin: string(big), stdout: "~\"time_ms\":-5,\"value_base64\":\"AAECA/8=\",\"ttl_ms\":70000"},
		{args: "decode --hex 83a161cb3ff8000000000000a162d40000a163d1ff00", stdout: "{\"a\":1.5,\"b\":null,\"c\":-256}\n"},
		{args: "decode --hex 81a16192c3c401ff", stdout: "{\"a\":[true,\"/w==\"]}\n"},
		{args: "decode", stdin: "nonsense", code: 1, stderr: "~neither JSON nor msgpack"},
		{args: "decode --hex dfffffffff", code: 1, stderr: "~unexpected EOF"},
		{args: "decode --hex 81a161dbffffffff61", code: 1, stderr: "~unexpected EOF"},
		{args: "decode --hex 810102", code: 1, stderr: "~no string"},
		{args: "decode --hex 81a161c1", code: 1, stderr: "~0xc1"},
		{args: "decode --hex zz", code: 1, stderr: "~\"zz\" is not hex"},
		{args: "decode --hex --base64 00", code: 2, stderr: "~do not go together"},
		{args: "decode /no/such/file", code: 1, stderr: "~no such file"},
		{args: "decode --hex " + strings.Repeat("81a161", 40) + "00", code: 1, stderr: "~too deeply"},
	} {
		s.check(t)
	}
}
