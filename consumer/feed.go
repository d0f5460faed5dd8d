package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/settkv/sett/codec"
)

// beginFeed settles how changes are announced, and begins where the other side
// is. A stream that cannot be reached keeps writes waiting, not the start: the
// relay goes on trying. What no trying will mend is an error.
func (c *consumer) beginFeed(ctx context.Context) error {
	mode, err := c.feedMode(ctx)
	if err != nil {
		return err
	}
	if err := c.store.BeginFeed(mode); err != nil {
		return fmt.Errorf("begin the %s feed: %w", mode, err)
	}
	out, err := c.announcer(mode)
	if err != nil {
		return err
	}
	c.relay = newRelay(c.store, out, c.stats, c.log)
	return c.relay.begin()
}

func (c *consumer) announcer(mode string) (announcer, error) {
	if mode == codec.FeedLive {
		return newLiveFeed(c.o.feed(), &c.o), nil
	}
	return newDurableFeed(c.o.feed(), c.store, &c.o)
}

// feedMode is the one that was asked for, or the one from before, or else what
// the broker can do.
func (c *consumer) feedMode(ctx context.Context) (string, error) {
	if c.o.FeedMode != "" {
		return c.o.FeedMode, nil
	}
	if mode := c.store.FeedMode(); mode != "" {
		return mode, nil
	}
	js, err := jetstream.New(c.o.feed())
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = js.AccountInfo(ctx)
	switch {
	case err == nil:
		return codec.FeedDurable, nil
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return codec.FeedLive, nil
	}
	return "", fmt.Errorf("the broker does not say whether it has JetStream, so choose with --feed durable or --feed live: %w", err)
}
