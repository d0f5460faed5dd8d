package consumer

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/settkv/sett/subjects"
)

const (
	streamNames    = "$JS.API.STREAM.NAMES"
	streamsTimeout = time.Second
)

// checkStreams refuses to serve subjects that a stream captures: the stream's
// acknowledgement would reach the requester before the store's reply, and look
// like one. It asks for whole roots first, so that a healthy store costs a
// broker four requests.
func (c *consumer) checkStreams(ctx context.Context) error {
	asked := ""
	for _, info := range subjects.All() {
		root, _, _ := strings.Cut(info.Subject, ".")
		if root == asked {
			continue
		}
		asked = root
		names, known := c.capturing(ctx, c.prefix.Wrap(root+".>"))
		if !known {
			return nil
		}
		if len(names) > 0 {
			if err := c.checkRoot(ctx, root+"."); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkRoot asks for each subject of a root: a stream may well capture others,
// such as those of the events.
func (c *consumer) checkRoot(ctx context.Context, root string) error {
	for _, info := range subjects.All() {
		if !strings.HasPrefix(info.Subject, root) {
			continue
		}
		for _, tail := range []string{"", ".>"} {
			subject := c.prefix.Wrap(info.Subject + tail)
			if names, _ := c.capturing(ctx, subject); len(names) > 0 {
				return fmt.Errorf("the stream %s captures %s, so its acknowledgements would be taken for the store's replies: "+
					"take that subject out of the stream (nats stream edit %s), or give the store another --subject-prefix",
					names[0], subject, names[0])
			}
		}
	}
	c.warnOfCaptures(ctx, root)
	return nil
}

// warnOfCaptures tells once of each stream that captures the plain events: it
// gets them at most once, where a source of the feed's own stream gets each.
func (c *consumer) warnOfCaptures(ctx context.Context, root string) {
	for _, info := range subjects.Events() {
		if !strings.HasPrefix(info.Subject, root) {
			continue
		}
		names, _ := c.capturing(ctx, c.prefix.Wrap(info.Subject+".>"))
		for _, name := range names {
			if c.warned[name] {
				continue
			}
			c.warned[name] = true
			c.log.Warn("a stream captures the feed's plain events, of which it may miss some: give it a source instead",
				"stream", name, "subject", c.prefix.Wrap(info.Subject+".>"), "source", c.prefix.Stream())
		}
	}
}

// capturing returns the streams that take in messages on a subject, as far as
// JetStream says: it may be absent, without a leader, or forbidden.
func (c *consumer) capturing(ctx context.Context, subject string) (names []string, known bool) {
	ctx, cancel := context.WithTimeout(ctx, streamsTimeout)
	defer cancel()
	request, err := json.Marshal(map[string]string{"subject": subject})
	if err != nil {
		return nil, false
	}
	m, err := c.conn.RequestWithContext(ctx, streamNames, request)
	if err != nil {
		c.log.Debug("JetStream does not say which streams there are", "error", err)
		return nil, false
	}
	var answer struct {
		Streams []string        `json:"streams"`
		Error   json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil || answer.Error != nil {
		c.log.Debug("JetStream does not say which streams there are", "error", err, "answer", string(answer.Error))
		return nil, false
	}
	return answer.Streams, true
}
