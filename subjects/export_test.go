package subjects

import "time"

// CheckEvery makes a Follow look more often whether it missed something.
func CheckEvery(c *Client, d time.Duration) { c.check = d }
