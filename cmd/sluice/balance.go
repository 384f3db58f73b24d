package main

import (
	"sluice/conf"
	"sluice/router"
	"sluice/upstream"
)

// policies and routings are by their names in the configuration.
var (
	policies = map[string]router.Policy{"connection": router.ByConnections, "resource": router.ByResources,
		"location": router.ByLocation, "off": router.Unbalanced}
	routings = map[string]router.Routing{"prefer-idle": router.PreferIdle, "random": router.Random, "idlest": router.Idlest}
)

// balanceOf says how the sessions of a cluster are spread.
func balanceOf(e *conf.Engine, c *conf.Cluster) upstream.BalanceOptions {
	b := &c.Balance
	spread := &router.Spread{
		Policy: policies[b.Policy], Routing: routings[b.Routing], Zone: e.Zone, CountRatio: float64(b.CountRatio),
		Speeds: [router.Factors]float64{
			router.FactorStatus: float64(b.StatusSpeed), router.FactorHealth: float64(b.HealthSpeed),
			router.FactorMemory: float64(b.MemorySpeed), router.FactorCPU: float64(b.CPUSpeed),
			router.FactorLocation: float64(b.LocationSpeed), router.FactorConnection: float64(b.CountSpeed)},
	}
	if value, ok := e.Label(b.Label); ok && b.Label != "" {
		spread.Label, spread.LabelValue = b.Label, value
	}
	return upstream.BalanceOptions{Spread: spread, Interval: b.Interval.Std()}
}
