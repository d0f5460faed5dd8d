package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) statusCommand() *cobra.Command {
	cmd := verb[codec.Status, codec.StatusReply]{
		endpoint: subjects.StoreStatus,
		command: cobra.Command{
			Use:     "status",
			Short:   "Say how the store is",
			Long:    `Say how the store is. Status 6 says that it does not answer, or is not ready.`,
			Example: "  sett status\n  sett status -q && echo ready",
		},
		show: func(a *app, _ *codec.Status, resp *codec.StatusReply) error { return a.showStatus(resp) },
		raw: func(_ *codec.Status, resp *codec.StatusReply) string {
			if resp.Ready {
				return "ready"
			}
			return "not ready"
		},
		check: func(s *session, resp *codec.StatusReply) error {
			if resp.Ready {
				return nil
			}
			return &failure{
				subject: subjects.StoreStatus.Subject, server: s.where(),
				err: codec.Errorf(codec.Unavailable, "the store is not ready: %s", strings.Join(resp.Reasons, "; ")),
			}
		},
	}.build(a)
	return cmd
}

func (a *app) showStatus(r *codec.StatusReply) error {
	if a.quiet {
		return nil
	}
	ready := "yes"
	if !r.Ready {
		ready = "no: " + strings.Join(r.Reasons, "; ")
	}
	epoch := time.UnixMilli(int64(r.Epoch)).Format(time.DateTime)
	return a.table([]string{"store", r.StoreID}, [][]string{
		{"version", r.Version},
		{"ready", ready},
		{"up for", span(time.Duration(r.UptimeMs) * time.Millisecond)},
		{"keys", number(r.Keys)},
		{"instances", number(r.Instances)},
		{"size", size(int(r.Bytes))},
		{"revision", number(r.StoreRevision)},
		{"epoch", number(r.Epoch) + " (" + epoch + ")"},
		{"feed", r.Feed.Mode},
		{"announced up to", number(r.Feed.AckedRevision)},
		{"in the outbox", one("revision", r.Feed.OutboxRevisions) + ", " + size(int(r.Feed.OutboxBytes)) + ", lag " + span(time.Duration(r.Feed.LagMs)*time.Millisecond)},
	})
}
