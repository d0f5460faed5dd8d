package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/settkv/sett/codec"
)

// joinedStore runs a store on a NATS server of its own, which has JetStream,
// and returns its URL.
func joinedStore(t *testing.T) string {
	t.Helper()
	url := plainBroker(t)
	p := start(t, "serve", "--engine", "memory", "--nats-url", url)
	t.Cleanup(func() {
		p.stop()
		p.end()
	})
	p.ready()
	return url
}

// newBucket creates a bucket.
func newBucket(t *testing.T, url string, config jetstream.KeyValueConfig) (jetstream.JetStream, jetstream.KeyValue) {
	t.Helper()
	js, err := jetstream.New(client(t, url))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateKeyValue(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return js, kv
}

// must fails the test over an error that has nothing to do with it.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, kv jetstream.KeyValue, key, value string) {
	t.Helper()
	_, err := kv.Put(t.Context(), key, []byte(value))
	must(t, err)
}

// Only the last values come; what cannot come is listed.
func TestImportBucket(t *testing.T) {
	url := joinedStore(t)
	t.Setenv("NATS_URL", url)
	_, kv := newBucket(t, url, jetstream.KeyValueConfig{Bucket: "b", History: 5, LimitMarkerTTL: time.Hour})
	put(t, kv, "app.host", "old")
	put(t, kv, "app.host", "new")
	put(t, kv, "app/host", "slash")
	put(t, kv, "other=1", "\x00\xff")
	put(t, kv, "empty", "")
	put(t, kv, "big", strings.Repeat("x", codec.MaxValue+1))
	put(t, kv, strings.Repeat("k", codec.MaxKey+1), "long")
	put(t, kv, "deleted", "x")
	must(t, kv.Delete(t.Context(), "deleted"))
	put(t, kv, "purged", "x")
	must(t, kv.Purge(t.Context(), "purged"))
	_, err := kv.Create(t.Context(), "session", []byte("x"), jetstream.KeyTTL(2*time.Hour))
	must(t, err)

	step{args: "import --from jetstream:b --dry-run", code: 1, stdout: "~would import 5 keys (2 deleted in the bucket, 2 left out)\n", stderr: "sett: 2 keys of the bucket would be left out\n      --skip-bad makes this no failure\n"}.check(t)
	step{args: "kv list", stderr: "no keys\n"}.check(t)
	step{args: "import --from jetstream:b", code: 1, stdout: "~big   ", stderr: "~2 keys of the bucket were left out\n      everything else is imported; --skip-bad makes this no failure\n"}.check(t)
	step{args: "kv list -o raw", stdout: "app.host\napp/host\nempty\nother=1\nsession\n"}.check(t)
	step{args: "kv get app.host", stdout: "new"}.check(t)
	step{args: "kv get other=1", stdout: "\x00\xff"}.check(t)
	step{args: "kv get empty -o json", stdout: "~\"value\":\"\","}.check(t)
	step{args: "kv touch session", stdout: "~expires in 2h"}.check(t)
	step{args: "import --from jetstream:b --skip-bad -o json", stdout: `~{"keys":5,"instances":0,"expired":0,"conflicts":0,"markers":2,"left_out":2,` +
		`"left":[{"key":"big","reason":"value: over the limit of 524288 bytes"},`}.check(t)
	step{args: "import --from jetstream:b app. --create -q", stdout: "", stderr: ""}.check(t)
	step{args: "import --from jetstream:b app --create", stdout: "imported 0 keys (2 there already)\n", stderr: "~app.host is there already\n"}.check(t)
	step{args: "import --from jetstream:b app.h -o raw", stdout: "1\n"}.check(t)
	step{args: "import --from jetstream:b none.", stdout: "imported 0 keys\n"}.check(t)
	step{args: "import --from jetstream:b app --dots-to-slashes --skip-bad -o json",
		stdout: `~"left":[{"key":"app/host","reason":"would be app/host, as app.host is already"}]`}.check(t)
	step{args: "kv get app/host", stdout: "new"}.check(t)
	step{args: "import --from jetstream:none", code: 3, stderr: "~there is no bucket \"none\" on " + url}.check(t)
}

// The bucket may be elsewhere, and may have a TTL.
func TestImportBucketElsewhere(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	url := plainBroker(t)
	js, kv := newBucket(t, url, jetstream.KeyValueConfig{Bucket: "ttl", TTL: 10 * time.Hour, LimitMarkerTTL: time.Second})
	put(t, kv, "plain", "x")
	_, err := kv.Create(t.Context(), "shorter", []byte("x"), jetstream.KeyTTL(time.Hour))
	must(t, err)
	_, err = kv.Create(t.Context(), "longer", []byte("x"), jetstream.KeyTTL(20*time.Hour))
	must(t, err)
	_, err = js.PublishMsg(t.Context(), &nats.Msg{
		Subject: "$KV.ttl.never", Header: nats.Header{"Nats-TTL": {"never"}, "X": {"y"}}, Data: []byte("x"),
	})
	must(t, err)
	step{args: "import --from jetstream:ttl", code: 3, stderr: "~--from-server"}.check(t)
	step{args: "import --from jetstream:ttl --from-server " + url, stdout: "imported 4 keys\n"}.check(t)
	step{args: "kv touch plain", stdout: "~expires in 10h"}.check(t)
	step{args: "kv touch shorter", stdout: "~expires in 1h"}.check(t)
	step{args: "kv touch longer", stdout: "~expires in 10h"}.check(t)
	step{args: "kv touch never", stdout: "~never expires"}.check(t)
	step{args: "import --from jetstream:ttl --from-context nope", code: 2, stderr: "~unknown context"}.check(t)
	step{args: "import --from jetstream:ttl --from-server nats://127.0.0.1:1", code: 6, stderr: "~no NATS server answers at nats://127.0.0.1:1"}.check(t)
	_, mirror := newBucket(t, url, jetstream.KeyValueConfig{Bucket: "mirror", Mirror: &jetstream.StreamSource{Name: "KV_ttl"}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for values := uint64(0); values < 4; { // a mirror follows by and by
		status, err := mirror.Status(ctx)
		must(t, err)
		values = status.Values()
	}
	step{args: "import --from jetstream:mirror --from-server " + url, stdout: "imported 4 keys\n"}.check(t)
}

// inUse is a bucket of 20 keys, k00 to k19, to be read while it changes.
func inUse(t *testing.T) (*importing, func() *bucket, jetstream.KeyValue) {
	t.Helper()
	url := plainBroker(t)
	_, kv := newBucket(t, url, jetstream.KeyValueConfig{Bucket: "b"})
	for i := range 20 {
		put(t, kv, fmt.Sprintf("k%02d", i), "old")
	}
	im := &importing{a: &app{timeout: patience}, bucket: "b", dryRun: true}
	return im, func() *bucket {
		t.Helper()
		b, err := im.openBucket(t.Context(), client(t, url))
		must(t, err)
		return b
	}, kv
}

// checkCopied reads a bucket to its end.
func checkCopied(t *testing.T, im *importing, b *bucket, to *importer, keys, markers int64) {
	t.Helper()
	must(t, im.copyBucket(t.Context(), b, to, &progress{}))
	if to.report.Keys != keys || to.report.Markers != markers || to.report.LeftOut != 0 {
		t.Errorf("it has %+v, want %d keys and %d markers", to.report, keys, markers)
	}
}

// What is overwritten before its turn comes all the same, and what is new since
// the start does not.
func TestImportBucketOverwritten(t *testing.T) {
	im, open, kv := inUse(t)
	b := open()
	put(t, kv, "k03", "new")
	put(t, kv, "k03", "newer")
	must(t, kv.Delete(t.Context(), "k04"))
	put(t, kv, "k20", "new")
	checkCopied(t, im, b, &importer{dryRun: true}, 19, 1)
	if !b.ended {
		t.Error("it would wait for what is written since the start")
	}
}

// What the consumer does not bring is asked for.
func TestImportBucketMissing(t *testing.T) {
	im, open, kv := inUse(t)
	must(t, kv.Delete(t.Context(), "k05"))
	b := open()
	b.page, b.ended = 7, true
	put(t, kv, "k06", "new")
	must(t, b.stream.Purge(t.Context(), jetstream.WithPurgeSubject("$KV.b.k07")))
	checkCopied(t, im, b, &importer{dryRun: true}, 18, 1)
}

// Where all of the start came, what is written from then on is not waited for.
func TestImportBucketEnds(t *testing.T) {
	im, open, kv := inUse(t)
	b := open()
	for i := range 50 {
		put(t, kv, "later", number(int64(i)))
	}
	checkCopied(t, im, b, &importer{dryRun: true}, 20, 0)

	// What goes for good before its turn is not waited for either.
	b = open()
	must(t, b.stream.Purge(t.Context(), jetstream.WithPurgeSubject("$KV.b.later")))
	checkCopied(t, im, b, &importer{dryRun: true}, 20, 0)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := im.copyBucket(ctx, open(), &importer{dryRun: true}, &progress{}); err != context.Canceled {
		t.Errorf("interrupted: %v", err)
	}
}

// What has come and comes again is as it was.
func TestImportBucketAgain(t *testing.T) {
	im, open, kv := inUse(t)
	b := open()
	b.page = 5
	page, err := b.next(t.Context())
	if err != nil || len(page) != 5 {
		t.Fatalf("%d messages: %v", len(page), err)
	}
	to := &importer{dryRun: true}
	for _, m := range page {
		must(t, im.copyMessage(t.Context(), b, m, to))
	}
	put(t, kv, "k00", "again")
	put(t, kv, "k19", "again")
	checkCopied(t, im, b, to, 20, 0)
}

// The server picks what is below a prefix.
func TestImportBucketPrefix(t *testing.T) {
	im, open, kv := inUse(t)
	put(t, kv, "k.x", "")
	put(t, kv, "k.y", "")
	im.prefix = "k.x"
	b := open()
	if len(b.missing) != 2 {
		t.Errorf("%v are below k.", b.missing)
	}
	checkCopied(t, im, b, &importer{dryRun: true}, 1, 0)
}
