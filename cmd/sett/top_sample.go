package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/subjects"
)

// topSample is what a store said at one moment.
type topSample struct {
	at     time.Time
	status *codec.StatusReply
	stats  *serviceStats
}

// serviceStats is the answer to $SRV.STATS, in the words of NATS services.
type serviceStats struct {
	Metadata  map[string]string `json:"metadata"`
	Started   time.Time         `json:"started"`
	Endpoints []endpointStats   `json:"endpoints"`
}

type endpointStats struct {
	Name     string          `json:"name"`
	Subject  string          `json:"subject"`
	Requests uint64          `json:"num_requests"`
	Errors   uint64          `json:"num_errors"`
	Time     time.Duration   `json:"processing_time"`
	Data     json.RawMessage `json:"data"`
}

// figures is what the store measures beside requests; nil where it is too old
// to tell.
func (s *serviceStats) figures() *figures {
	for _, e := range s.Endpoints {
		f := &figures{}
		if len(e.Data) > 0 && json.Unmarshal(e.Data, f) == nil {
			return f
		}
	}
	return nil
}

// sample asks for everything once.
func (t *top) sample(ctx context.Context) (*topSample, error) {
	ctx, cancel := context.WithTimeout(ctx, t.s.timeout)
	defer cancel()
	status, err := ask(ctx, t.s, subjects.StoreStatus, &codec.Status{})
	if err != nil {
		return nil, err
	}
	stats, err := askStats(ctx, t.s.nc, status.StoreID)
	if err != nil {
		return nil, t.statsFailure(err)
	}
	return &topSample{time.Now(), status, stats}, nil
}

// statsSubject is what every store on the NATS servers answers.
const statsSubject = "$SRV.STATS." + consumer.ServiceName

// askStats asks all stores for their statistics and takes those of one.
func askStats(ctx context.Context, nc *nats.Conn, storeID string) (*serviceStats, error) {
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails where the connection is closed
	if err := nc.PublishRequest(statsSubject, inbox, nil); err != nil {
		return nil, err
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		stats := &serviceStats{}
		switch {
		case len(m.Data) == 0:
			return nil, nats.ErrNoResponders
		case json.Unmarshal(m.Data, stats) == nil && stats.Metadata["store_id"] == storeID:
			return stats, nil
		}
	}
}

// statsFailure says why there are no statistics of a store that answered.
func (t *top) statsFailure(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		err = errors.New("no answer in time; the user needs the right to publish there, and to read its inbox")
	}
	return &failure{
		subject: statsSubject, server: t.s.where(),
		err: codec.Errorf(codec.Unavailable, "%v", fmt.Errorf("the store's statistics: %w", err)),
	}
}
