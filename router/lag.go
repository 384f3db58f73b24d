package router

// Judge tells whether a backend is too far behind. was is the judgement before, false for a backend that was
// not judged yet. One that is behind stays so until it is well within all limits: at the limit itself it would
// come and go with every answer.
func Judge(was bool, lag Lag, limits LagLimits) (behind bool) {
	percent := 100
	if was {
		percent = limits.Return
	}
	return over(lag.Known, lag.Bytes, limits.Bytes, percent, limits.Unknown) ||
		over(lag.TimeKnown, uint64(max(lag.Time, 0)), uint64(max(limits.Time, 0)), percent, limits.Unknown)
}

// over judges by one measure: whether the lag is more than that percentage of the limit, 0 being none.
func over(known bool, lag, limit uint64, percent int, pass bool) bool {
	switch {
	case limit == 0:
		return false
	case !known:
		return !pass
	}
	p := uint64(min(max(percent, 0), 100))
	return lag > limit/100*p+limit%100*p/100 // in this order nothing overflows
}

// Limited tells whether there is a limit at all.
func (l LagLimits) Limited() bool { return l.Bytes > 0 || l.Time > 0 }
