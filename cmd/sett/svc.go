package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) svcCommand() *cobra.Command {
	svc := group(&cobra.Command{
		Use:     "svc",
		Aliases: []string{"service"},
		Short:   "Register and find services",
		Example: `  sett svc register web --address 10.0.0.7 --port 8080 --ttl 30s
  sett svc register web --address 10.0.0.7 --port 8080 -- ./web --port 8080
  sett svc get web
  sett svc watch web`,
	})
	svc.AddCommand(a.svcRegister(), a.svcHeartbeat(), a.svcDeregister(), a.svcGet(), a.svcList(), a.svcWatch())
	return svc
}

func (a *app) svcHeartbeat() *cobra.Command {
	return verb[codec.Heartbeat, codec.HeartbeatReply]{
		endpoint: subjects.SvcHeartbeat,
		command: cobra.Command{
			Use:     "heartbeat NAME ID",
			Aliases: []string{"beat", "renew"},
			Short:   "Keep an instance alive",
			Long: `Keep an instance alive: its TTL begins again. Status 3 says that it is gone, so
that its owner registers it again.`,
			Example: `  sett svc heartbeat web 10.0.0.7:8080
  sett svc heartbeat web blue --status warning --note "disk nearly full"`,
		},
		args: []string{"name", "id"},
		show: func(a *app, req *codec.Heartbeat, resp *codec.HeartbeatReply) error {
			return a.say("renewed %s %s %s", req.Name, req.ID, details(revision(resp.Revision), expiring(resp.ExpiresAtMs)))
		},
		raw: func(_ *codec.Heartbeat, resp *codec.HeartbeatReply) string { return number(resp.Revision) },
	}.build(a)
}

func (a *app) svcDeregister() *cobra.Command {
	return verb[codec.Deregister, codec.DeregisterReply]{
		endpoint: subjects.SvcDeregister,
		command: cobra.Command{
			Use:     "deregister NAME ID",
			Aliases: []string{"dereg", "del", "rm"},
			Short:   "Remove an instance",
			Long:    `Remove an instance. Removing what is not there succeeds.`,
			Example: `  sett svc deregister web 10.0.0.7:8080`,
		},
		args: []string{"name", "id"},
		show: func(a *app, req *codec.Deregister, resp *codec.DeregisterReply) error {
			if !resp.Deregistered {
				return a.say("%s %s was not there", req.Name, req.ID)
			}
			return a.say("deregistered %s %s %s", req.Name, req.ID, details(revision(resp.Revision)))
		},
		raw: func(_ *codec.Deregister, resp *codec.DeregisterReply) string { return number(resp.Revision) },
	}.build(a)
}

func (a *app) svcGet() *cobra.Command {
	return verb[codec.GetService, codec.GetServiceReply]{
		endpoint: subjects.SvcGet,
		command: cobra.Command{
			Use:     "get NAME",
			Aliases: []string{"find"},
			Short:   "Find the instances of a service",
			Long: `Find the instances of a service that are passing or warning (--statuses for
others). With -o raw their addresses alone, a line each. A service that nobody
registered has no instances.`,
			Example: `  sett svc get web
  sett svc get web --tag v2 --meta zone=eu-1
  sett svc get web --pick random --limit 1 -o raw
  sett svc get web --pick rendezvous --pick-key user-42 --limit 1
  sett svc get web --statuses passing,warning,critical`,
		},
		args: []string{"name"},
		run: func(ctx context.Context, s *session, req *codec.GetService) error {
			return showPages(s, req.Limit, func(limit int64) (*codec.GetServiceReply, []codec.Instance, string, error) {
				req.Limit = limit
				page, err := ask(ctx, s, subjects.SvcGet, req)
				if err != nil {
					return nil, nil, "", err
				}
				req.Cursor = page.Next
				return page, page.Instances, page.Next, nil
			}, "instances", endpoint, s.app.instances)
		},
	}.build(a)
}

func (a *app) svcList() *cobra.Command {
	cmd := verb[codec.ListServices, codec.ListServicesReply]{
		endpoint: subjects.SvcList,
		command: cobra.Command{
			Use:     "list [PREFIX]",
			Aliases: []string{"ls"},
			Short:   "List the services",
			Long: `List the services whose names begin with PREFIX, with the number of their
instances. With -o raw the names alone.`,
			Example: `  sett svc list
  sett svc list pay`,
		},
		args: []string{"prefix?"},
		run: func(ctx context.Context, s *session, req *codec.ListServices) error {
			return showPages(s, req.Limit, func(limit int64) (*codec.ListServicesReply, []codec.Service, string, error) {
				req.Limit = limit
				page, err := ask(ctx, s, subjects.SvcList, req)
				if err != nil {
					return nil, nil, "", err
				}
				req.Cursor = page.Next
				return page, page.Services, page.Next, nil
			}, "services", func(svc codec.Service) string { return svc.Name }, s.app.services)
		},
	}.build(a)
	cmd.ValidArgsFunction = a.completeArgs("name") // its prefix is one of names
	return cmd
}

// showPages walks over pages and prints them: for programs page by page, for
// people as one table.
func showPages[Page, Item any](s *session, limit int64, ask func(limit int64) (Page, []Item, string, error),
	what string, raw func(Item) string, table func([]Item) error) error {
	a := s.app
	var all []Item
	next, err := s.walk(limit, func(limit int64) (string, int, error) {
		page, items, next, err := ask(limit)
		switch {
		case err != nil:
		case a.format == asJSON:
			err = a.printJSON(page)
		case a.format == asRaw:
			for _, item := range items {
				err = a.println(raw(item))
			}
		default:
			all = append(all, items...)
		}
		return next, len(items), err
	})
	if err != nil {
		return err
	}
	return showRows(a, all, what, next, table)
}

// endpoint is where an instance is reached, or its id where that is not told.
func endpoint(i codec.Instance) string {
	switch {
	case i.Address == "":
		return i.ID
	case i.Port == 0:
		return i.Address
	}
	return net.JoinHostPort(i.Address, number(i.Port))
}

func (a *app) instances(list []codec.Instance) error {
	now := time.Now()
	var rows [][]string
	for _, i := range list {
		rows = append(rows, []string{
			i.ID, address(i), i.Status, expires(i.ExpiresAtMs, now), ttl(i.TTLMs), number(i.Revision),
			strings.Join(i.Tags, ","), pairs(i.Meta), i.Note,
		})
	}
	return a.table([]string{"ID", "ADDRESS", "STATUS", "EXPIRES", "TTL", "REVISION", "TAGS", "META", "NOTE"}, rows)
}

func address(i codec.Instance) string {
	if i.Address == "" {
		return ""
	}
	return endpoint(i)
}

func (a *app) services(list []codec.Service) error {
	var rows [][]string
	for _, s := range list {
		rows = append(rows, []string{s.Name, number(s.Count), strings.Join(s.Tags, ",")})
	}
	return a.table([]string{"NAME", "INSTANCES", "TAGS"}, rows)
}

func pairs(meta map[string]string) string {
	var list []string
	for key, value := range meta {
		list = append(list, fmt.Sprintf("%s=%s", key, value))
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}
