package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/settkv/sett/subjects"
)

// documents are the contract's generated descriptions: the format of
// `sett contract -o` and where its copy is kept.
var documents = map[string]string{
	"asyncapi": "asyncapi.json", "schema": "schema.json", "markdown": "CONTRACT.md", "typescript": "sett.ts",
}

const documentsPath = "../cmd/sett/contract/"

// document is what `sett contract` prints in a format.
func document(t *testing.T, args ...string) string {
	t.Helper()
	r := command(t, nil, append([]string{"contract", "-o"}, args...)...)
	if r.status != 0 || r.err != "" {
		t.Fatalf("sett contract -o %v: status %d: %s", args, r.status, r.err)
	}
	return r.out
}

// jsonDocument is a document in JSON.
func jsonDocument(t *testing.T, args ...string) obj {
	t.Helper()
	v, err := inJSON.unmarshal([]byte(document(t, args...)))
	if err != nil {
		t.Fatal(err)
	}
	return v.(obj)
}

// TestContractDocuments: the copies that are kept are what the binary prints.
func TestContractDocuments(t *testing.T) {
	for format, file := range documents {
		got, path := document(t, format), documentsPath+file
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is not what `sett contract -o %s` prints (after review: make golden), from line %d on", path, format, differs(got, string(want)))
		}
	}
}

// differs is the number of the first line that does.
func differs(x, y string) int {
	a, b := strings.Split(x, "\n"), strings.Split(y, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i + 1
		}
	}
	return min(len(a), len(b)) + 1
}

// TestContractPrefix: every subject in every document has the prefix.
func TestContractPrefix(t *testing.T) {
	plain := regexp.MustCompile("[\"`](" + "kv|svc|batch|store" + `)\.[a-z]+[.{<\[]`) // a subject with something behind it
	for format := range documents {
		text := document(t, format, "--subject-prefix", "prod")
		for _, info := range subjects.All() {
			if !strings.Contains(text, "prod."+info.Subject) {
				t.Errorf("%s: there is no prod.%s", format, info.Subject)
			}
		}
		if format != "asyncapi" && format != "schema" { // which have names of their own
			if found := plain.FindString(text); found != "" {
				t.Errorf("%s: %s has no prefix", format, found)
			}
		}
	}
	for _, channel := range jsonDocument(t, "asyncapi", "--subject-prefix", "prod")["channels"].(obj) {
		if address, ok := channel.(obj)["address"].(string); ok && !strings.HasPrefix(address, "prod.") {
			t.Errorf("asyncapi: %s has no prefix", address)
		}
	}
}

// TestContractAsyncAPI holds the rules of AsyncAPI 3.0 that can be checked by
// looking at the document alone.
func TestContractAsyncAPI(t *testing.T) {
	doc := jsonDocument(t, "asyncapi")
	if version, _ := doc["asyncapi"].(string); !strings.HasPrefix(version, "3.") {
		t.Errorf("it is AsyncAPI %q", version)
	}
	info := doc["info"].(obj)
	if info["title"] == "" || info["version"] == "" {
		t.Errorf("info is %v", info)
	}
	checkReferences(t, doc, doc, "#")
	for name, kinds := range doc["components"].(obj) {
		for key := range kinds.(obj) {
			if !regexp.MustCompile(`^[a-zA-Z0-9._-]+$`).MatchString(key) {
				t.Errorf("components.%s has the key %q", name, key)
			}
		}
	}
	checkChannels(t, doc)
	for name, operation := range doc["operations"].(obj) {
		checkOperation(t, name, operation.(obj))
	}
}

// checkReferences finds references that lead nowhere.
func checkReferences(t *testing.T, doc obj, v any, at string) {
	t.Helper()
	switch x := v.(type) {
	case list:
		for _, one := range x {
			checkReferences(t, doc, one, at)
		}
	case obj:
		for name, value := range x {
			if to, ok := value.(string); ok && name == "$ref" && referred(doc, to) == nil {
				t.Errorf("%s refers to %s, which is not there", at, to)
			}
			checkReferences(t, doc, value, at+"/"+name)
		}
	}
}

// referred is what a reference in the document leads to, or nil.
func referred(doc obj, to string) any {
	var v any = doc
	for name := range strings.SplitSeq(strings.TrimPrefix(to, "#/"), "/") {
		o, ok := v.(obj)
		if !ok {
			return nil
		}
		v = o[name]
	}
	return v
}

// checkChannels: each form of each subject has one channel, whose parameters
// are those of its address.
func checkChannels(t *testing.T, doc obj) {
	t.Helper()
	want := map[string]bool{}
	for _, info := range subjects.All() {
		want[info.Subject] = true
		if tail := map[subjects.Form]string{subjects.Keyed: "key", subjects.Named: "name", subjects.Scoped: "prefix"}[info.Form]; tail != "" {
			want[info.Subject+".{"+tail+"}"] = true
		}
	}
	for _, e := range subjects.Events() {
		want[e.Subject+"."+strings.NewReplacer("<", "{", ">", "}").Replace(e.Tail)] = true
	}
	for name, c := range doc["channels"].(obj) {
		channel := c.(obj)
		address, ok := channel["address"].(string)
		if !ok {
			continue // the reply subject, which the request brings
		}
		if !want[address] {
			t.Errorf("channel %s: %s is no subject of the contract, or is there twice", name, address)
		}
		delete(want, address)
		params, _ := channel["parameters"].(obj)
		found := regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(address, -1)
		for _, match := range found {
			if about, ok := params[match[1]].(obj); !ok || about["description"] == "" {
				t.Errorf("channel %s: the parameter %s is not described", name, match[1])
			}
		}
		if len(found) != len(params) {
			t.Errorf("channel %s has %d parameters, its address %d", name, len(params), len(found))
		}
	}
	for address := range want {
		t.Errorf("%s has no channel", address)
	}
}

// checkOperation: messages are those of the channel, and a request has a reply.
func checkOperation(t *testing.T, name string, o obj) {
	t.Helper()
	inChannel := func(part obj) {
		channel := part["channel"].(obj)["$ref"].(string)
		messages, _ := part["messages"].(list)
		if len(messages) == 0 {
			t.Errorf("operation %s has no messages", name)
		}
		for _, m := range messages {
			if to := m.(obj)["$ref"].(string); !strings.HasPrefix(to, channel+"/messages/") {
				t.Errorf("operation %s: %s is none of the messages of %s", name, to, channel)
			}
		}
	}
	inChannel(o)
	reply, asked := o["reply"].(obj)
	switch action := o["action"]; {
	case action == "receive" && asked:
		inChannel(reply)
	case action == "send" && !asked:
	default:
		t.Errorf("operation %s: the action is %v, and that it has a reply is %v", name, action, asked)
	}
}

// typescriptUse is a program that the types must take, and that shows by
// @ts-expect-error what they must not take.
const typescriptUse = `import type { Endpoints, Events, ErrorReply } from "./sett";

declare function ask<S extends keyof Endpoints>(subject: S, body: Endpoints[S]["request"]): Promise<Endpoints[S]["reply"]>;
declare function on<S extends keyof Events>(subject: S, then: (event: Events[S]) => void): void;

export async function use(refused: ErrorReply): Promise<number | undefined> {
  const { revision } = await ask("kv.set", { key: "config/host", value: "10.0.0.1", if_revision: 0 });
  await ask("kv.set.config.host", { value_base64: "AP8=" });
  await ask("batch.apply", { ops: [{ op: "kv.set", key: "a", value: "1" }, { op: "svc.deregister", name: "web", id: "a" }], if: [{ key: "b", revision }] });
  const page = await ask("kv.list.config", { return_values: true });
  on("kv.changed.>", (change) => change.revision + (change.value?.length ?? 0));
  // @ts-expect-error there is no value
  await ask("kv.set", { key: "config/host" });
  // @ts-expect-error there is no key
  await ask("kv.get", {});
  // @ts-expect-error one of both
  await ask("kv.set", { key: "a", value: "", value_base64: "" });
  // @ts-expect-error no such subject
  await ask("kv.put", { key: "a" });
  // @ts-expect-error no such command in a batch
  await ask("batch.apply", { ops: [{ op: "kv.clear", prefix: "a" }] });
  // @ts-expect-error no such field
  await ask("svc.heartbeat", { name: "web", id: "a", ttl: 5 });
  // @ts-expect-error no such code
  refused.code = "denied";
  return page.entries[0]?.expires_at_ms;
}
`

// TestContractTypeScript compiles the types with what uses them.
func TestContractTypeScript(t *testing.T) {
	compiler := typescriptCompiler(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"sett.ts": document(t, "typescript"), "use.ts": typescriptUse} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(compiler[0], append(compiler[1:], "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--moduleResolution", "bundler", "--module", "es2022", "use.ts")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", compiler, err, out)
	}
}

// typescriptCompiler is tsc, where there is one; nothing is fetched for it.
func typescriptCompiler(t *testing.T) []string {
	t.Helper()
	if path, err := exec.LookPath("tsc"); err == nil {
		return []string{path}
	}
	npx, err := exec.LookPath("npx")
	if err == nil {
		err = exec.Command(npx, "--no-install", "tsc", "--version").Run()
	}
	if err != nil {
		t.Skip("SKIPPED: the types for TypeScript are not compiled here: there is no tsc (npm install -g typescript)")
	}
	return []string{npx, "--no-install", "tsc"}
}
