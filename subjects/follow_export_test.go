package subjects

import "time"

// ShortWaits makes a durable consumer tell again soon what is not acknowledged,
// and every pull but a follower's first a late one.
func ShortWaits() (restore func()) {
	ack, late := ackWait, latePull
	ackWait, latePull = 50*time.Millisecond, 0
	return func() { ackWait, latePull = ack, late }
}
