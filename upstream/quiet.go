package upstream

import (
	"io"

	"github.com/cloudwego/netpoll"
)

// netpoll would write to the standard error, past the log. What it has to say there is of no use: that a
// connection had an event just when it was closed ("critical problem"), as happens to a health check that has
// heard enough. What concerns a check is in its error.
var _ = netpoll.Configure(netpoll.Config{LoggerOutput: io.Discard})
