package main

import (
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/pflag"
)

// The Dockerfile and docker-compose.yml are checked here against the binary's
// real flags, since no container engine is at hand when tests run.

func readTop(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// dockerfile returns the arguments of each instruction, by its name.
func dockerfile(t *testing.T) map[string][]string {
	t.Helper()
	known := strings.Fields("FROM WORKDIR COPY RUN ARG ENV USER VOLUME STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD")
	all := make(map[string][]string)
	for _, line := range strings.Split(readTop(t, "Dockerfile"), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		if !slices.Contains(known, name) {
			t.Errorf("Dockerfile: %s is no instruction that this test knows", name)
		}
		all[name] = append(all[name], args)
	}
	return all
}

// list reads an exec form: ["sett", "status"].
func list(t *testing.T, text string) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return words
}

func TestDockerfile(t *testing.T) {
	d := dockerfile(t)
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readTop(t, "go.mod"))[1]
	if want := "golang:" + goVersion + "-alpine AS build"; d["FROM"][0] != want {
		t.Errorf("built from %s, want %s", d["FROM"][0], want)
	}
	build := strings.Join(d["RUN"], "\n")
	for _, want := range []string{"CGO_ENABLED=0 go build ", " -X main.version=", " -X main.commit=", " -X main.commitTime=", " -o /out/sett ./cmd/sett", "mkdir -m 0700 /out/data"} {
		if !strings.Contains(build, want) {
			t.Errorf("no %q in its build", want)
		}
	}
	copies := strings.Join(d["COPY"], "\n")
	for _, want := range []string{"/out/sett /usr/local/bin/sett", "--chown=65532:65532 /out/data /data"} {
		if !strings.Contains(copies, want) {
			t.Errorf("no %q in its copies", want)
		}
	}
	for _, pair := range strings.Fields(strings.Join(d["ENV"], " ")) {
		name, value, _ := strings.Cut(pair, "=")
		if name == "PATH" {
			continue
		}
		checkVariable(t, name)
		if name == "SETT_DATA_DIR" && !slices.Equal(d["VOLUME"], []string{value}) {
			t.Errorf("the data is in %s, the volume is %v", value, d["VOLUME"])
		}
	}
	if d["USER"][0] != "65532:65532" || d["STOPSIGNAL"][0] != "SIGTERM" {
		t.Errorf("USER %v, STOPSIGNAL %v", d["USER"], d["STOPSIGNAL"])
	}
	_, health, _ := strings.Cut(d["HEALTHCHECK"][0], "CMD ")
	checkExec(t, list(t, health))
	checkExec(t, append(list(t, d["ENTRYPOINT"][0]), list(t, d["CMD"][0])...))
}

// checkExec checks a command line of this binary.
func checkExec(t *testing.T, words []string) {
	t.Helper()
	if words[0] != "sett" {
		t.Errorf("%q does not run sett", words)
	}
	checkCommandLine(t, words[1:])
}

// checkVariable checks that a flag is read from an environment variable.
func checkVariable(t *testing.T, name string) {
	t.Helper()
	found := false
	for _, cmd := range allCommands(t) {
		for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) { found = found || slices.Contains(f.Annotations[envKey], name) })
		}
	}
	if !found {
		t.Errorf("no flag is read from %s", name)
	}
}

func TestCompose(t *testing.T) {
	c := readYAML(t, readTop(t, "docker-compose.yml"))
	nats, sett := c.at("services", "nats"), c.at("services", "sett")

	// The broker's flags are those of nats-server, of the version in go.mod.
	minor := strings.Join(strings.Split(server.VERSION, ".")[:2], ".")
	if got, want := nats.at("image").text(), "nats:"+minor+"-alpine"; got != want {
		t.Errorf("the image is %s, but sett is built with %s", got, want)
	}
	fs := flag.NewFlagSet("nats-server", flag.ContinueOnError)
	opts, err := server.ConfigureOptions(fs, nats.at("command").texts(), nil, nil, nil)
	if err != nil || !opts.JetStream {
		t.Fatalf("nats-server %v: %v", nats.at("command").texts(), err)
	}
	checkMount(t, c, nats, opts.StoreDir)
	probe := nats.at("healthcheck", "test").texts()
	if u, err := url.Parse(probe[len(probe)-1]); err != nil || u.Path != "/healthz" || opts.HTTPPort == 0 || u.Port() != number(int64(opts.HTTPPort)) {
		t.Errorf("the health check asks %v, monitoring is on port %d", probe, opts.HTTPPort)
	}
	if ports := nats.at("ports").texts(); !slices.Equal(ports, []string{"127.0.0.1:4222:4222"}) {
		t.Errorf("published: %v; a server without authentication is for this machine only", ports)
	}

	// The store runs what the Dockerfile builds, with flags that it has.
	if sett.at("build").text() != "." {
		t.Errorf("built from %q", sett.at("build").text())
	}
	command := sett.at("command").texts()
	checkExec(t, append([]string{"sett"}, command...))
	for name, value := range sett.at("environment").fields {
		checkVariable(t, name)
		if name == "NATS_URL" && value.text() != flagOf(t, command, "nats-url") {
			t.Errorf("its commands ask %s, it joins %s", value.text(), flagOf(t, command, "nats-url"))
		}
	}
	if u, err := url.Parse(flagOf(t, command, "nats-url")); err != nil || u.Host != "nats:4222" {
		t.Errorf("it joins %v", u)
	}
	checkMount(t, c, sett, flagOf(t, command, "data-dir"))
	if volumes := dockerfile(t)["VOLUME"]; !slices.Contains(volumes, flagOf(t, command, "data-dir")) {
		t.Errorf("the data is not in a volume of the image: %v", volumes)
	}
	checkExec(t, sett.at("healthcheck", "test").texts()[1:])
	if sett.at("depends_on", "nats", "condition").text() != "service_healthy" {
		t.Error("it does not wait for the broker")
	}
}

// checkMount checks that a directory is in a volume that is declared.
func checkMount(t *testing.T, c, service *yaml, dir string) {
	t.Helper()
	volume, path, _ := strings.Cut(service.at("volumes").texts()[0], ":")
	if path != dir {
		t.Errorf("%s is mounted, the data is in %s", path, dir)
	}
	if c.at("volumes").fields[volume] == nil {
		t.Errorf("volume %s is not declared", volume)
	}
}

// flagOf is the value of a flag of serve in a command line.
func flagOf(t *testing.T, args []string, name string) string {
	t.Helper()
	cmd, rest, err := (&app{}).command().Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd.Flags().Lookup(name).Value.String()
}

// yaml is a node of the part of YAML that our files need: maps by indentation,
// lists by dashes or in brackets, and scalars.
type yaml struct {
	t      *testing.T
	scalar string
	fields map[string]*yaml
	items  []*yaml
}

func (y *yaml) at(path ...string) *yaml {
	y.t.Helper()
	for _, name := range path {
		next := y.fields[name]
		if next == nil {
			y.t.Fatalf("there is no %s in %v", name, path)
		}
		y = next
	}
	return y
}

func (y *yaml) text() string { return y.scalar }

func (y *yaml) texts() (all []string) {
	for _, item := range y.items {
		all = append(all, item.scalar)
	}
	return all
}

type yamlLine struct {
	indent int
	text   string
}

// readYAML fails on whatever it does not understand.
func readYAML(t *testing.T, text string) *yaml {
	t.Helper()
	var lines []yamlLine
	comment := regexp.MustCompile(`(^|\s)#.*$`)
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(comment.ReplaceAllString(line, ""), " ")
		if body := strings.TrimLeft(line, " "); body != "" {
			lines = append(lines, yamlLine{len(line) - len(body), body})
		}
	}
	root, rest := yamlBlock(t, lines)
	if len(rest) > 0 {
		t.Fatalf("yaml: cannot read %q", rest[0].text)
	}
	return root
}

// yamlField begins a map in a list.
var yamlField = regexp.MustCompile(`^[A-Za-z_./-]+:( |$)`)

// yamlBlock reads the lines of one indentation, and returns those behind it.
func yamlBlock(t *testing.T, lines []yamlLine) (*yaml, []yamlLine) {
	t.Helper()
	node, indent := &yaml{t: t, fields: make(map[string]*yaml)}, lines[0].indent
	for len(lines) > 0 && lines[0].indent == indent {
		line := lines[0]
		lines = lines[1:]
		if item, ok := strings.CutPrefix(line.text, "- "); ok && !yamlField.MatchString(item) {
			node.items = append(node.items, yamlScalar(t, item))
			continue
		} else if ok { // a map, which begins behind the dash
			var next *yaml
			next, lines = yamlBlock(t, append([]yamlLine{{indent + 2, item}}, lines...))
			node.items = append(node.items, next)
			continue
		}
		name, value, ok := strings.Cut(line.text, ":")
		if !ok || node.fields[name] != nil || value != "" && value[0] != ' ' {
			t.Fatalf("yaml: cannot read %q", line.text)
		}
		switch {
		case value != "":
			node.fields[name] = yamlScalar(t, value[1:])
		case len(lines) > 0 && lines[0].indent > indent:
			node.fields[name], lines = yamlBlock(t, lines)
		default:
			node.fields[name] = &yaml{t: t}
		}
	}
	if len(lines) > 0 && lines[0].indent > indent {
		t.Fatalf("yaml: bad indentation of %q", lines[0].text)
	}
	return node, lines
}

func yamlScalar(t *testing.T, text string) *yaml {
	t.Helper()
	node := &yaml{t: t, scalar: text}
	switch text[0] {
	case '[':
		for _, item := range list(t, text) {
			node.items = append(node.items, &yaml{t: t, scalar: item})
		}
	case '"':
		node.scalar = list(t, "["+text+"]")[0]
	case '{', '&', '*', '!', '|', '>', '\'', '%', '@', '`':
		t.Fatalf("yaml: cannot read %q", text)
	}
	return node
}
