// Package drivers builds the programs in the folders below, each of which runs the common paths of one
// PostgreSQL driver, in the driver's own language, and checks what it gets. The README says how they are
// called and what the paths are.
//
// What comes from a package registry is fetched by the language's own client, in the versions that the
// folder's lock file or manifest names, and kept in a cache folder for the next time.
package drivers
