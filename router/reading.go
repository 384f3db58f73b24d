package router

import "time"

// Reading is what a backend has said of itself at one moment: raw counters and gauges, as its metrics name
// them. NaN stands for what it does not say.
type Reading struct {
	At       time.Time
	CPU      float64 // process_cpu_seconds_total
	Procs    float64 // tidb_server_maxprocs: CPUs that it may use
	Memory   float64 // process_resident_memory_bytes
	Quota    float64 // tidb_server_memory_quota_bytes
	PDFailed float64 // pd_client_cmd_handle_failed_cmds_duration_seconds_count{type="tso"}
	PDTotal  float64 // pd_client_cmd_handle_cmds_duration_seconds_count{type="tso"}
	KVFailed float64 // tidb_tikvclient_backoff_seconds_count{type="tikvRPC"}
	KVTotal  float64 // tidb_tikvclient_request_seconds_count
	Sessions int     // of this proxy's that were at it then
}
