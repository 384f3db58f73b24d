// Package publish turns the report of a run into what people look at first: charts beside the report,
// and the tables of the README. It measures nothing and changes no figure.
//
//	report.json ──▶ Charts ──▶ *.svg beside it
//	     └────────▶ Block ───▶ README, between its two marks
//
// What must hold is one table (targets.go): to change a target, change its row. Each figure is shown
// with its limit and with a word on whether it was met. A test holds that the README shows the newest
// whole run.
package publish
