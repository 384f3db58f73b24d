// Package pool shares a few server connections among many users on several event loops, without a lock
// on the way of a query.
package pool
