// Tidb builds the TiDB server that the end-to-end tests run, unless it is there already, and prints its path. It
// runs in the folder bench, before the tests: the first build takes minutes.
package main

import (
	"fmt"
	"os"

	"sluice/bench/e2e/real"
)

func main() {
	path, err := real.BuildTiDB("tidb")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(path)
}
