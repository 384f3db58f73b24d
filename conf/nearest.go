package conf

import "strings"

// didYouMean returns words about the known name that is nearest to an unknown one, or "" if none is
// near.
func didYouMean(unknown string, known []string) string {
	best, least := "", len(unknown)/3+1
	for _, k := range known {
		if d := distance(fold(unknown), fold(k), least+1); d <= least && (best == "" || d < least) {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// fold makes names alike that differ in ways people often mistake.
func fold(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "-")) }

// distance is the number of letters to insert, delete or replace, or to swap with their neighbour,
// that make a of b; at least limit is returned where it is limit or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := prev[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, prev[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
