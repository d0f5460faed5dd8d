package main

import (
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/engine"
)

// targetGroup is what Prometheus' HTTP service discovery reads: here one for
// each instance, since each has its own labels.
type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// discoverPrometheus answers /sd/prometheus?service=NAME[&tag=TAG]: the
// instances of a service that are passing or warning, and have all the tags.
// What has no address is no target. After a failure Prometheus keeps the
// targets that it had.
func (m *monitor) discoverPrometheus(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	if len(asked["service"]) != 1 {
		plain(w, http.StatusBadRequest, "name one service: /sd/prometheus?service=NAME[&tag=TAG]\n")
		return
	}
	store := m.opening()
	if _, ok := m.serving.Serving(); !ok || store == nil {
		plain(w, http.StatusServiceUnavailable, "the store is starting or stopping\n")
		return
	}
	groups, err := targets(store, &codec.GetService{Name: asked.Get("service"), Tags: asked["tag"]})
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(groups) // whoever asked is gone where it fails
}

// refuse answers with the status of an error, and its sentence where that is
// for clients.
func refuse(w http.ResponseWriter, err error) {
	refused, ok := errors.AsType[*codec.Error](err)
	if !ok || refused.Code.Status() == 0 {
		refused = codec.Errorf(codec.Internal, "the services cannot be read; the log says why")
	}
	plain(w, refused.Code.Status(), refused.Message+"\n")
}

// targets reads all pages of a service.
func targets(store engine.Engine, r *codec.GetService) ([]targetGroup, error) {
	r.Limit = codec.MaxPage
	if err := r.Validate(); err != nil {
		return nil, err
	}
	groups := []targetGroup{} // not null
	for {
		page, err := store.ReadService(r, codec.Fit{})
		if err != nil {
			return nil, err
		}
		for i := range page.Instances {
			if in := &page.Instances[i]; in.Address != "" {
				groups = append(groups, targetGroup{Targets: []string{target(in)}, Labels: targetLabels(in)})
			}
		}
		if page.Next == "" {
			return groups, nil
		}
		r.Cursor = page.Next
	}
}

// target is host:port, or the host where the scrape configuration must add it.
func target(in *codec.Instance) string {
	if in.Port == 0 {
		return in.Address
	}
	return net.JoinHostPort(in.Address, strconv.FormatInt(in.Port, 10))
}

// targetLabels are for relabelling; Prometheus drops them afterwards. Tags stand
// between commas, so that ",web," finds one.
func targetLabels(in *codec.Instance) map[string]string {
	labels := make(map[string]string)
	// Where two names become one, the first in byte order stays.
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(in.Meta))) {
		labels["__meta_sett_meta_"+labelName(key)] = in.Meta[key]
	}
	labels["__meta_sett_name"] = in.Name
	labels["__meta_sett_id"] = in.ID
	labels["__meta_sett_status"] = in.Status
	labels["__meta_sett_address"] = in.Address
	labels["__meta_sett_port"] = strconv.FormatInt(in.Port, 10)
	if len(in.Tags) > 0 {
		labels["__meta_sett_tags"] = "," + strings.Join(in.Tags, ",") + ","
	}
	return labels
}

// labelName keeps what a label's name may have.
func labelName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, s)
}
