package subjects_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// dial connects a client to the store of the examples.
func dial() (c *subjects.Client, done func()) {
	nc, err := nats.Connect(url)
	if err != nil {
		log.Fatal(err)
	}
	c, err = subjects.NewClient(nc, subjects.Options{})
	if err != nil {
		log.Fatal(err)
	}
	return c, nc.Close
}

func Example() {
	nc, err := nats.Connect(url) // where `sett serve` runs: nats.DefaultURL
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	c, err := subjects.NewClient(nc, subjects.Options{})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	set, err := c.Set(ctx, "config/host", []byte("10.0.0.1"), subjects.TTL(time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	got, err := c.Get(ctx, "config/host")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s = %s, written just now: %v\n", got.Key, got.Value, got.Revision == set.Revision)

	_, err = c.Get(ctx, "config/port")
	fmt.Println("config/port:", errors.Is(err, codec.ErrNotFound))
	// Output:
	// config/host = 10.0.0.1, written just now: true
	// config/port: true
}

// Two programs that change one value at once must not lose a change: read,
// change, and write only if nobody has written since; otherwise begin again.
func ExampleClient_Update() {
	c, done := dial()
	defer done()
	ctx := context.Background()
	if _, err := c.Set(ctx, "hosts", []byte("a,b")); err != nil {
		log.Fatal(err)
	}

	for {
		got, err := c.Get(ctx, "hosts")
		if err != nil {
			log.Fatal(err)
		}
		hosts := append(strings.Split(string(got.Value), ","), "c")
		_, err = c.Update(ctx, "hosts", []byte(strings.Join(hosts, ",")), got.Revision)
		if errors.Is(err, codec.ErrConflict) {
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		break
	}

	got, err := c.Get(ctx, "hosts")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", got.Value)
	// Output: a,b,c
}

// A lock is a key that only one can create, and that expires if its owner is
// gone. The owner's revision keeps it from renewing or ending another's.
func ExampleClient_Create() {
	c, done := dial()
	defer done()
	ctx := context.Background()

	lock, err := c.Create(ctx, "locks/report", []byte("worker-1"), subjects.TTL(10*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Create(ctx, "locks/report", []byte("worker-2"), subjects.TTL(10*time.Second))
	fmt.Println("worker-2 has to wait:", errors.Is(err, codec.ErrConflict))

	// Every few seconds, while the work goes on:
	if _, err := c.Touch(ctx, "locks/report", subjects.IfRevision(lock.Revision)); err != nil {
		log.Fatal("the lock is lost: ", err)
	}
	if _, err := c.Delete(ctx, "locks/report", subjects.IfRevision(lock.Revision)); err != nil {
		log.Fatal(err)
	}
	// Output: worker-2 has to wait: true
}

// A batch moves a value in one step: nobody sees both keys, or neither.
func ExampleClient_Apply() {
	c, done := dial()
	defer done()
	ctx := context.Background()
	draft, err := c.Set(ctx, "posts/draft", []byte("Hello"))
	if err != nil {
		log.Fatal(err)
	}

	reply, err := c.Apply(ctx, &codec.Batch{
		If: []codec.Condition{{Key: "posts/draft", Revision: &draft.Revision}},
		Ops: []codec.Command{
			&codec.Delete{Key: "posts/draft"},
			&codec.Set{Key: "posts/1", Value: []byte("Hello"), IfRevision: codec.Revision(0)},
			&codec.Increment{Key: "posts/count"},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	count := reply.Results[2].(*codec.IncrementReply)
	fmt.Println("published:", count.Value)

	for e, err := range c.List(ctx, "posts/") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s = %s\n", e.Key, e.Value)
	}
	// Output:
	// published: 1
	// posts/1 = Hello
	// posts/count = 1
}

// A program keeps its configuration up to date: it has all of it when Follow
// says Loaded, and each change from then on.
func ExampleClient_Follow() {
	c, done := dial()
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, key := range []string{"app/host", "app/port"} {
		if _, err := c.Set(ctx, key, []byte("?")); err != nil {
			log.Fatal(err)
		}
	}

	config := make(map[string]string)
	for u, err := range c.Follow(ctx, "app/") {
		if err != nil {
			log.Fatal(err)
		}
		switch u.Kind {
		case subjects.Put:
			config[u.Key] = string(u.Value)
		case subjects.Delete:
			delete(config, u.Key)
		case subjects.Loaded:
			fmt.Println("ready:", config)
			// Now somebody changes it.
			_, err1 := c.Set(ctx, "app/host", []byte("10.0.0.1"))
			_, err2 := c.Delete(ctx, "app/port")
			if err := errors.Join(err1, err2); err != nil {
				log.Fatal(err)
			}
		}
		if config["app/host"] != "?" && len(config) == 1 {
			break
		}
	}
	fmt.Println("then:", config)
	// Output:
	// ready: map[app/host:? app/port:?]
	// then: map[app/host:10.0.0.1]
}

// A service's instances register and send heartbeats; who needs one asks.
func ExampleClient_Instances() {
	c, done := dial()
	defer done()
	ctx := context.Background()
	for _, address := range []string{"10.0.0.1", "10.0.0.2"} {
		_, err := c.Register(ctx, codec.Register{Name: "web", Address: address, Port: 80, TTLMs: codec.Millis(15 * time.Second)})
		if err != nil {
			log.Fatal(err)
		}
	}
	if _, err := c.Heartbeat(ctx, "web", "10.0.0.1:80"); err != nil {
		log.Fatal(err)
	}

	instances, err := c.Instances(ctx, "web")
	if err != nil {
		log.Fatal(err)
	}
	for _, in := range instances {
		fmt.Println(in.ID, in.Status)
	}
	// Output:
	// 10.0.0.1:80 passing
	// 10.0.0.2:80 passing
}

// Do asks what the methods of Client do not show: here a page of "folders".
func ExampleDo() {
	c, done := dial()
	defer done()
	ctx := context.Background()
	for _, key := range []string{"tree/a/1", "tree/a/2", "tree/b/1", "tree/c"} {
		if _, err := c.Set(ctx, key, nil); err != nil {
			log.Fatal(err)
		}
	}

	page, err := subjects.Do(ctx, c, subjects.KVList, &codec.List{Prefix: "tree/", Delimiter: "/"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.Prefixes, page.Entries[0].Key)
	// Output: [tree/a/ tree/b/] tree/c
}
