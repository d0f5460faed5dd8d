package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The service and the manifest in ops are checked here against the binary: every
// flag, variable, path and port in them is one that it has.

func readOps(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("ops/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// unit reads a unit of systemd: the values of "Section.Name".
func unit(t *testing.T, text string) map[string][]string {
	t.Helper()
	values, section := make(map[string][]string), ""
	for _, line := range strings.Split(text, "\n") {
		name, value, ok := strings.Cut(line, "=")
		switch {
		case line == "", line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		case !ok || section == "" || strings.HasSuffix(line, `\`):
			t.Fatalf("cannot read %q", line)
		default:
			values[section+"."+name] = append(values[section+"."+name], value)
		}
	}
	return values
}

// one is the only value of a name.
func only(t *testing.T, values map[string][]string, name string) string {
	t.Helper()
	if len(values[name]) != 1 {
		t.Fatalf("%s: %q, want one", name, values[name])
	}
	return values[name][0]
}

func TestService(t *testing.T) {
	text := readOps(t, "sett.service")
	u := unit(t, text)
	program, args, _ := strings.Cut(only(t, u, "Service.ExecStart"), " ")
	if program != "/usr/local/bin/sett" || !strings.Contains(text, "install -m 0755 sett "+program+"\n") {
		t.Errorf("it runs %s, which is not what is installed", program)
	}
	checkCommandLine(t, words(args))
	env := make(map[string]string)
	for _, pair := range u["Service.Environment"] {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	checkServeEnvironment(t, env)
	dir := "/var/lib/" + only(t, u, "Service.StateDirectory")
	if env["SETT_DATA_DIR"] != dir || only(t, u, "Service.StateDirectoryMode") != "0700" || !strings.Contains(text, "--home-dir "+dir+" ") {
		t.Errorf("the data is in %s, and %s is kept", env["SETT_DATA_DIR"], dir)
	}
	// What stands in comments is copied from there.
	for _, name := range regexp.MustCompile(`SETT_[A-Z_]+`).FindAllString(text, -1) {
		checkVariable(t, name)
	}
	if user := only(t, u, "Service.User"); user != "sett" || !strings.Contains(text, "sudo -u "+user+" sett data check "+dir+"\n") {
		t.Errorf("it runs as %s", user)
	}
	checkCommandLine(t, words("data check "+dir))
	if got := only(t, u, "Service.RestartPreventExitStatus"); got != number(int64(exitUsage)) {
		t.Errorf("it is started again unless its status is %s; of a wrong flag it is %d", got, exitUsage)
	}
	for name, want := range map[string]string{
		"NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "CapabilityBoundingSet": "", "UMask": "0077",
	} {
		if got := only(t, u, "Service."+name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	if u["Service.ProcSubset"] != nil {
		t.Error("ProcSubset hides /proc/sys, from which the engine learns whether the machine was restarted")
	}
}

// checkServeEnvironment checks that serve takes an environment.
func checkServeEnvironment(t *testing.T, env map[string]string) {
	t.Helper()
	serve, _, err := (&app{}).command().Find([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	for name := range env {
		checkVariable(t, name)
	}
	err = applyEnv(serve, func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
	if err != nil {
		t.Error(err)
	}
	if _, port, err := net.SplitHostPort(env["SETT_HTTP_LISTEN"]); err != nil || port == "" {
		t.Errorf("SETT_HTTP_LISTEN=%s: %v", env["SETT_HTTP_LISTEN"], err)
	}
	if _, err := newLogger(os.Stderr, "info", env["SETT_LOG_FORMAT"]); err != nil {
		t.Error(err)
	}
}

func TestKubernetes(t *testing.T) {
	docs := strings.Split(readOps(t, "kubernetes.yaml"), "\n---\n")
	if len(docs) != 2 {
		t.Fatalf("%d documents", len(docs))
	}
	service, set := readYAML(t, docs[0]), readYAML(t, docs[1])
	if service.at("kind").text() != "Service" || set.at("kind").text() != "StatefulSet" || set.at("spec", "replicas").text() != "1" {
		t.Errorf("%s, %s of %s", service.at("kind").text(), set.at("kind").text(), set.at("spec", "replicas").text())
	}
	pod := set.at("spec", "template", "spec")
	c := pod.at("containers").items[0]
	checkCommandLine(t, c.at("args").texts())
	env := make(map[string]string)
	for _, v := range c.at("env").items {
		env[v.at("name").text()] = v.at("value").text()
	}
	checkServeEnvironment(t, env)
	if env["NATS_URL"] != env["SETT_NATS_URL"] || env["NATS_CREDS"] != env["SETT_CREDS"] {
		t.Error("commands in the container ask elsewhere than the store serves")
	}
	checkKubernetesPorts(t, service, set, env["SETT_HTTP_LISTEN"])
	checkKubernetesMounts(t, set, env)
	user := strings.Split(dockerfile(t)["USER"][0], ":")[0]
	if got := pod.at("securityContext", "runAsUser").text(); got != user {
		t.Errorf("it runs as %s, the image as %s", got, user)
	}
	for _, labels := range []*yaml{service.at("spec", "selector"), set.at("spec", "selector", "matchLabels")} {
		for name, value := range labels.fields {
			if got := set.at("spec", "template", "metadata", "labels", name).text(); got != value.text() {
				t.Errorf("%s is %s, and %s is selected", name, got, value.text())
			}
		}
	}
	if set.at("spec", "serviceName").text() != service.at("metadata", "name").text() {
		t.Error("the set names another service")
	}
}

// checkKubernetesPorts checks that everything about HTTP is of one port, and
// that what is asked there is served.
func checkKubernetesPorts(t *testing.T, service, set *yaml, listen string) {
	t.Helper()
	c := set.at("spec", "template", "spec", "containers").items[0]
	port, notes := c.at("ports").items[0], set.at("spec", "template", "metadata", "annotations")
	name, n := port.at("name").text(), port.at("containerPort").text()
	if listen != ":"+n || notes.at("prometheus.io/port").text() != n || service.at("spec", "ports").items[0].at("targetPort").text() != name {
		t.Errorf("it listens on %s, and others look at %s", listen, n)
	}
	mux := (&monitor{flags: &serveFlags{}}).handler()
	paths := []string{notes.at("prometheus.io/path").text()}
	for probe, path := range map[string]string{"livenessProbe": "/livez", "readinessProbe": "/readyz"} {
		get := c.at(probe, "httpGet")
		if get.at("path").text() != path || get.at("port").text() != name {
			t.Errorf("%s asks %s on %s", probe, get.at("path").text(), get.at("port").text())
		}
		paths = append(paths, path)
	}
	for _, path := range paths {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code == http.StatusNotFound {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
}

// checkKubernetesMounts checks that the data is in a volume that is claimed, and
// the credentials in one of a secret.
func checkKubernetesMounts(t *testing.T, set *yaml, env map[string]string) {
	t.Helper()
	pod := set.at("spec", "template", "spec")
	mounts := make(map[string]string)
	for _, m := range pod.at("containers").items[0].at("volumeMounts").items {
		mounts[m.at("name").text()] = m.at("mountPath").text()
	}
	claim := set.at("spec", "volumeClaimTemplates").items[0]
	data := mounts[claim.at("metadata", "name").text()]
	if data == "" || !strings.HasPrefix(env["SETT_DATA_DIR"], data+"/") {
		t.Errorf("the data is in %s, the volume in %s; its top is not the store's own", env["SETT_DATA_DIR"], data)
	}
	secret := pod.at("volumes").items[0]
	if dir := mounts[secret.at("name").text()]; env["SETT_CREDS"] != dir+"/sett.creds" {
		t.Errorf("the credentials are %s, and the secret in %s", env["SETT_CREDS"], dir)
	}
	if modes := claim.at("spec", "accessModes").texts(); !slices.Equal(modes, []string{"ReadWriteOncePod"}) {
		t.Errorf("access %v: two pods must never have the data", modes)
	}
}

// The operator's guide names what there is: commands, flags, alerts, and what
// the store says when it does not start.
func TestOperations(t *testing.T) {
	data, err := os.ReadFile("OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(data)
	if n := strings.Count(guide, "\n"); n > 200 {
		t.Errorf("%d lines, more than 200", n)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(guide, -1) {
		for _, line := range strings.Split(block[1], "\n") {
			line, _, _ = strings.Cut(line, " #")
			if _, args, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), " &"), "sett "); ok && regexp.MustCompile(`^(sett|sudo|ssh) `).MatchString(line) {
				checkCommandLine(t, words(strings.TrimPrefix(args, "sett ")))
			}
		}
	}
	for _, span := range regexp.MustCompile("`sett ([a-z][^`]*)`").FindAllStringSubmatch(guide, -1) {
		cmd, _, err := (&app{}).command().Find(strings.Fields(span[1])[:1])
		if err != nil || !cmd.HasParent() {
			t.Errorf("`sett %s`: there is no such command", span[1])
		}
	}
	for _, name := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(guide, -1) {
		checkFlagExists(t, name)
	}
	checkAlertsExplained(t, guide)
}

// checkFlagExists checks a flag of any command.
func checkFlagExists(t *testing.T, name string) {
	t.Helper()
	for _, cmd := range allCommands(t) {
		if cmd.Flags().Lookup(name[2:]) != nil || cmd.InheritedFlags().Lookup(name[2:]) != nil || name == "--help" {
			return
		}
	}
	t.Errorf("no command has %s", name)
}

// checkAlertsExplained checks that each alert has a row, and each row an alert.
func checkAlertsExplained(t *testing.T, guide string) {
	t.Helper()
	var want, got []string
	for _, m := range regexp.MustCompile(`alert: (\S+)`).FindAllStringSubmatch(readOps(t, "alerts.yml"), -1) {
		want = append(want, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^\| (Sett\w+) \|`).FindAllStringSubmatch(guide, -1) {
		got = append(got, m[1])
	}
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("explained are\n%v, and there are\n%v", got, want)
	}
}

// What the guide has the store say is what it says.
func TestOperationsQuotes(t *testing.T) {
	data, err := os.ReadFile("OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, runbook, _ := strings.Cut(string(data), "## It does not start")
	var code strings.Builder
	for _, dir := range []string{".", "../../engine", "../../consumer"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil && !strings.HasSuffix(file, "_test.go") {
				code.Write(text)
			}
		}
	}
	rows := regexp.MustCompile(`(?m)^\| (.*`+"`"+`.*) \| .* \|$`).FindAllStringSubmatch(runbook, -1)
	if len(rows) < 20 {
		t.Errorf("only %d rows", len(rows))
	}
	for _, row := range rows {
		said, _, _ := strings.Cut(row[1], " | ")
		for _, quote := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(said, -1) {
			if !strings.Contains(code.String(), quote[1]) {
				t.Errorf("nothing says %q", quote[1])
			}
		}
	}
}
