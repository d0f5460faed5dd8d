package engine

import (
	"cmp"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/settkv/sett/codec"
)

// ReadService implements [Reader].
func (s *store) ReadService(r *codec.GetService, fit codec.Fit) (*codec.GetServiceReply, error) {
	var reply *codec.GetServiceReply
	err := s.look(func(st *state, now int64) (bool, error) {
		at, err := s.begin(st, r.Cursor, serviceFilter(r))
		if err != nil {
			return false, err
		}
		matches, leftOut := matching(st, r, at.After, now)
		pick(r, matches)
		reply = &codec.GetServiceReply{
			Position:  codec.Position{StoreRevision: at.Revision, Epoch: at.Epoch},
			Instances: []codec.Instance{},
		}
		room := newRoom(fit)
		for _, i := range matches {
			size := int(i.rec.size) - len(i.rec.life.instance.Data) // which is never on the wire
			if int64(len(reply.Instances)) == r.Limit || !room.bytes(2*size+512) {
				if len(reply.Instances) == 0 {
					return false, errPage
				}
				if r.Pick == "" {
					at.After = reply.Instances[len(reply.Instances)-1].ID
					reply.Next = at.String()
				}
				break
			}
			reply.Instances = append(reply.Instances, i.instance())
		}
		return leftOut, nil
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// matching returns the instances behind an id that match every filter, in
// order. Without pick it stops one behind the limit.
func matching(st *state, r *codec.GetService, after string, now int64) (matches []item, leftOut bool) {
	prefix := instancesPath(r.Name)
	st.index.Ascend(prefix+max(after, r.ID), func(i item) bool {
		if !strings.HasPrefix(i.path, prefix) || r.Pick == "" && int64(len(matches)) > r.Limit {
			return false
		}
		id := i.path[len(prefix):]
		switch {
		case r.ID != "" && id != r.ID:
			return false
		case after != "" && id <= after:
		case !matchesAll(i.rec.life.instance, r):
		case i.rec.dead(now):
			leftOut = true
		default:
			matches = append(matches, i)
		}
		return true
	})
	return matches, leftOut
}

// matchesAll tells whether one instance has all that is asked for.
func matchesAll(in *codec.InstanceRecord, r *codec.GetService) bool {
	if !slices.Contains(r.Statuses, in.Status) {
		return false
	}
	for _, tag := range r.Tags {
		if !slices.Contains(in.Tags, tag) {
			return false
		}
	}
	for key, want := range r.Meta {
		if have, ok := in.Meta[key]; !ok || have != want {
			return false
		}
	}
	return true
}

// pick puts the instances into the order that was asked for. Rendezvous
// hashing gives each key an order of its own, in which an instance that comes
// or goes moves no other.
func pick(r *codec.GetService, matches []item) {
	switch r.Pick {
	case codec.PickRandom:
		rand.Shuffle(len(matches), func(i, j int) { matches[i], matches[j] = matches[j], matches[i] })
	case codec.PickRendezvous:
		weight := func(i item) uint64 {
			h := fnv.New64a()
			h.Write([]byte(r.PickKey))
			h.Write([]byte{0})
			h.Write([]byte(i.path))
			return mix(h.Sum64())
		}
		slices.SortFunc(matches, func(a, b item) int { return cmp.Compare(weight(b), weight(a)) })
	}
}

// mix spreads a hash over all bits: FNV of near strings is near.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// ReadServices implements [Reader].
func (s *store) ReadServices(r *codec.ListServices, fit codec.Fit) (*codec.ListServicesReply, error) {
	var reply *codec.ListServicesReply
	err := s.look(func(st *state, now int64) (bool, error) {
		at, err := s.begin(st, r.Cursor, servicesFilter(r))
		if err != nil {
			return false, err
		}
		services, more, leftOut := names(st, r, at.After, now, newRoom(fit))
		reply = &codec.ListServicesReply{
			Position: codec.Position{StoreRevision: at.Revision, Epoch: at.Epoch}, Services: services,
		}
		if more && len(services) == 0 {
			return false, errPage
		}
		if more {
			at.After = services[len(services)-1].Name
			reply.Next = at.String()
		}
		return leftOut, nil
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// names sums up the live instances of each name behind one. A name whose tags
// would outgrow the page begins the next one; should they outgrow even that,
// it shows as many of them as fit.
func names(st *state, r *codec.ListServices, after string, now int64, room room) (services []codec.Service, more, leftOut bool) {
	services = []codec.Service{}
	prefix := svcPrefix + r.Prefix
	from := prefix
	if after != "" {
		from = svcPrefix + after + "\x01" // behind all instances of that name
	}
	st.index.Ascend(from, func(i item) bool {
		if !strings.HasPrefix(i.path, prefix) {
			return false
		}
		if i.rec.dead(now) {
			leftOut = true
			return true
		}
		name, _ := splitInstance(i.path)
		if n := len(services); n > 0 && services[n-1].Name == name {
			if more = !sumUp(&services[n-1], i.rec.life.instance, &room) && n > 1; more {
				services = services[:n-1]
			}
			return !more
		}
		if more = int64(len(services)) == r.Limit || !room.bytes(2*len(name)+64); more {
			return false
		}
		n := len(services)
		services = append(services, codec.Service{Name: name})
		if more = !sumUp(&services[n], i.rec.life.instance, &room) && n > 0; more {
			services = services[:n]
		}
		return !more
	})
	return services, more, leftOut
}

// sumUp counts an instance and takes in its tags, in order and each once. It
// reports whether there was room for all of them.
func sumUp(service *codec.Service, in *codec.InstanceRecord, room *room) bool {
	service.Count++
	for _, tag := range in.Tags {
		at, found := slices.BinarySearch(service.Tags, tag)
		if found {
			continue
		}
		if !room.bytes(2*len(tag) + 8) {
			return false
		}
		service.Tags = slices.Insert(service.Tags, at, tag)
	}
	return true
}
