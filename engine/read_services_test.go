package engine

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/settkv/sett/codec"
)

func validService(r *codec.GetService) *codec.GetService {
	if err := r.Validate(); err != nil {
		panic(err)
	}
	return r
}

// fullInstance takes what an instance may take at the most.
func fullInstance(id int) *codec.Register {
	r := &codec.Register{
		Name: "web", ID: fmt.Sprintf(`%03d%s`, id, strings.Repeat(`"`, 250)), Address: strings.Repeat(`"`, codec.MaxAddress),
		Port: 65535, Meta: map[string]string{}, Note: strings.Repeat(`\`, codec.MaxNote), TTLMs: codec.MaxTTL.Milliseconds(),
	}
	for i := range codec.MaxTags {
		r.Tags = append(r.Tags, fmt.Sprintf("%03d%02d%s", id, i, strings.Repeat(`"`, 250)))
	}
	for i := range codec.MaxMeta {
		r.Meta[fmt.Sprintf("%02d%s", i, strings.Repeat(`"`, 126))] = strings.Repeat(`"`, codec.MaxMetaVal)
	}
	return r
}

func TestPagesOfInstancesAndNamesFitThePayload(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		const n = 25
		for i := range n {
			h.do(fullInstance(i))
		}
		if err := h.SetService("data", bytes.Repeat([]byte{1}, codec.MaxValue), 0); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			h.do(&codec.Register{Name: fmt.Sprintf("many-%03d", i), ID: "1", Tags: fullInstance(i).Tags})
		}
		for _, enc := range []codec.Encoding{codec.Msgpack, codec.JSON} {
			fit := codec.Fit{Encoding: enc, MaxBytes: codec.MinPayload}
			if got := h.walkInstances(codec.GetService{Name: "web"}, fit); len(got) != n {
				t.Errorf("%d instances, want %d", len(got), n)
			}
			if got := h.walkInstances(codec.GetService{Name: "data"}, fit); len(got) != 1 {
				t.Errorf("%d instances with data, want 1", len(got))
			}
			if got := h.walkNames(codec.ListServices{}, fit); len(got) != n+2 {
				t.Errorf("%d names, want %d", len(got), n+2)
			}
		}
	})
}

func (h *harness) walkInstances(r codec.GetService, fit codec.Fit) (ids []string) {
	h.t.Helper()
	validService(&r)
	for {
		page, err := h.ReadService(&r, fit)
		if err != nil {
			h.t.Fatal(err)
		}
		if size := len(codec.Append(nil, fit.Encoding, page)); fit.MaxBytes > 0 && size > fit.MaxBytes {
			h.t.Fatalf("a page of instances takes %d bytes", size)
		}
		for _, in := range page.Instances {
			ids = append(ids, in.ID)
		}
		if page.Next == "" {
			return ids
		}
		r.Cursor = page.Next
	}
}

func (h *harness) walkNames(r codec.ListServices, fit codec.Fit) (names []string) {
	h.t.Helper()
	if err := r.Validate(); err != nil {
		h.t.Fatal(err)
	}
	for {
		page, err := h.ReadServices(&r, fit)
		if err != nil {
			h.t.Fatal(err)
		}
		if size := len(codec.Append(nil, fit.Encoding, page)); fit.MaxBytes > 0 && size > fit.MaxBytes {
			h.t.Fatalf("a page of names takes %d bytes", size)
		}
		for _, s := range page.Services {
			names = append(names, s.Name)
		}
		if page.Next == "" {
			return names
		}
		r.Cursor = page.Next
	}
}

func TestInstancesComeInPagesOfAnySize(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		var all, tagged []string
		for i := range 7 {
			id := fmt.Sprint(i)
			r := &codec.Register{Name: "web", ID: id}
			if all = append(all, id); i%2 == 0 {
				r.Tags, tagged = []string{"even"}, append(tagged, id)
			}
			h.do(r)
			h.do(&codec.Register{Name: "web" + id, ID: "1"})
		}
		for limit := range int64(9) {
			if got := h.walkInstances(codec.GetService{Name: "web", Limit: limit}, codec.Fit{}); !slices.Equal(got, all) {
				t.Errorf("limit %d: %q", limit, got)
			}
			if got := h.walkInstances(codec.GetService{Name: "web", Limit: limit, Tags: []string{"even"}}, codec.Fit{}); !slices.Equal(got, tagged) {
				t.Errorf("limit %d, tagged: %q", limit, got)
			}
			want := []string{"web", "web0", "web1", "web2", "web3", "web4", "web5", "web6"}
			if got := h.walkNames(codec.ListServices{Limit: limit}, codec.Fit{}); !slices.Equal(got, want) {
				t.Errorf("limit %d: %q", limit, got)
			}
			if got := h.walkNames(codec.ListServices{Limit: limit, Prefix: "web4"}, codec.Fit{}); !slices.Equal(got, want[5:6]) {
				t.Errorf("limit %d, prefix: %q", limit, got)
			}
		}
	})
}

func TestPickPutsInstancesIntoAnOrder(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		for i := range 20 {
			h.do(&codec.Register{Name: "web", ID: fmt.Sprintf("%02d", i)})
		}
		order := func(r codec.GetService) []string {
			r.Name = "web"
			reply, err := h.ReadService(validService(&r), codec.Fit{})
			if err != nil || reply.Next != "" {
				t.Fatalf("%v, next %q", err, reply.Next)
			}
			var ids []string
			for _, in := range reply.Instances {
				ids = append(ids, in.ID)
			}
			return ids
		}
		firsts := map[string]int{}
		for i := range 200 {
			key := fmt.Sprint("user-", i)
			r := codec.GetService{Pick: codec.PickRendezvous, PickKey: key}
			before := order(r)
			if len(before) != 20 || !slices.Equal(before, order(r)) {
				t.Fatalf("%s: %q, then %q", key, before, order(r))
			}
			r.Limit = 3
			if got := order(r); !slices.Equal(got, before[:3]) {
				t.Fatalf("%s with a limit: %q, want %q", key, got, before[:3])
			}
			firsts[before[0]]++
		}
		if len(firsts) < 15 {
			t.Errorf("200 keys go to %d of 20 instances: %v", len(firsts), firsts)
		}
		r := codec.GetService{Pick: codec.PickRendezvous, PickKey: "user"}
		before := order(r)
		h.do(&codec.Deregister{Name: "web", ID: before[5]})
		if got := order(r); !slices.Equal(got, slices.Delete(slices.Clone(before), 5, 6)) {
			t.Errorf("one that went moved others: %q, before %q", got, before)
		}
		got := order(codec.GetService{Pick: codec.PickRandom})
		other := false
		for range 20 {
			again := order(codec.GetService{Pick: codec.PickRandom})
			other = other || !slices.Equal(got, again)
			slices.Sort(again)
			if len(slices.Compact(again)) != 19 {
				t.Fatalf("random order has %q", again)
			}
		}
		if !other {
			t.Error("random order is always the same")
		}
		if got := order(codec.GetService{Pick: codec.PickRandom, Limit: 2}); len(got) != 2 {
			t.Errorf("picked %d, want 2", len(got))
		}
	})
}
