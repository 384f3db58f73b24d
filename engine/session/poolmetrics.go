package session

import "slices"

// writePools writes the figures of the pools.
func (p *Proxy) writePools(m *metricWriter) {
	infos := p.PoolInfos()
	labels := func(i *PoolInfo) string {
		return label("listener", i.Listener) + "," + label("database", i.Database) + "," +
			label("user", i.User) + "," + label("backend", i.Backend)
	}
	each := func(name, kind string, value func(*PoolInfo) float64) {
		m.meta(name, kind)
		for i := range infos {
			m.value(name, labels(&infos[i]), value(&infos[i]))
		}
	}
	each("sluice_pool_size", "gauge", func(i *PoolInfo) float64 { return float64(i.Size) })
	each("sluice_pool_clients", "gauge", func(i *PoolInfo) float64 { return float64(i.ClientsActive) })
	each("sluice_pool_waiting", "gauge", func(i *PoolInfo) float64 { return float64(i.ClientsWaiting) })
	each("sluice_pool_oldest_wait_seconds", "gauge", func(i *PoolInfo) float64 { return i.OldestWait.Seconds() })
	m.meta("sluice_pool_server_connections", "gauge")
	for k := range infos {
		i := &infos[k]
		for _, s := range []struct {
			state string
			n     int
		}{{"active", i.Active}, {"idle", i.Idle}, {"tested", i.Testing}, {"being_canceled", i.Cancelled}, {"login", i.Login}} {
			m.value("sluice_pool_server_connections", labels(i)+","+label("state", s.state), float64(s.n))
		}
	}
	each("sluice_pool_pinned", "gauge", func(i *PoolInfo) float64 { return float64(i.Pinned) })
	m.meta("sluice_pool_pins_total", "counter")
	for k := range infos {
		i := &infos[k]
		for _, reason := range sortedKeys(i.Pins) {
			m.value("sluice_pool_pins_total", labels(i)+","+label("reason", reason), float64(i.Pins[reason]))
		}
	}
	each("sluice_pool_units_total", "counter", func(i *PoolInfo) float64 { return float64(i.Units) })
	each("sluice_pool_held_seconds_total", "counter", func(i *PoolInfo) float64 { return i.Held.Seconds() })
	m.meta("sluice_pool_wait_duration_seconds", "histogram")
	for k := range infos {
		m.histogram("sluice_pool_wait_duration_seconds", labels(&infos[k]), &infos[k].wait)
	}
	each("sluice_pool_errors_total", "counter", func(i *PoolInfo) float64 { return float64(i.Errors) })
	each("sluice_pool_bereaved_total", "counter", func(i *PoolInfo) float64 { return float64(i.Bereaved) })
	each("sluice_pool_opened_total", "counter", func(i *PoolInfo) float64 { return float64(i.Opens) })
	p.writeShelves(m)
	p.writeFailover(m)
}

// writeShelves writes the figures of the prepared statements that the loops keep.
func (p *Proxy) writeShelves(m *metricWriter) {
	list := p.Prepared()
	list = slices.DeleteFunc(list, func(i PreparedInfo) bool { return i.Statements == 0 })
	n, bytes := 0, 0
	for _, i := range list {
		n += i.Statements
		bytes += i.Bytes
	}
	m.meta("sluice_prepared_statements", "gauge")
	m.value("sluice_prepared_statements", "", float64(n))
	m.meta("sluice_prepared_statements_bytes", "gauge")
	m.value("sluice_prepared_statements_bytes", "", float64(bytes))
}
