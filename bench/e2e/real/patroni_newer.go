package real

import (
	"fmt"
	"os"
	"path/filepath"
)

// NewerPatroni is the version that InstallPatroni gets: what Debian has is of 2023.
const NewerPatroni = "4.1.5"

// InstallPatroni makes a virtual environment in dir with a Patroni of that version from the Python package
// index, and returns its programs. It is made of the system's Python, as others may be closed to the
// account that servers run as, and takes from the system what that has of Patroni's needs.
func InstallPatroni(dir, version string) (patroni, control string, err error) {
	python := "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		if python, err = program("python3", "python3"); err != nil {
			return "", "", err
		}
	}
	above := filepath.Dir(dir)
	if err := run(nil, above, python, "-m", "venv", "--system-site-packages", dir); err != nil {
		return "", "", fmt.Errorf("install Debian's package python3-venv: %w", err)
	}
	bin := filepath.Join(dir, "bin")
	err = run(nil, above, filepath.Join(bin, "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--timeout", "60", "--retries", "8", "patroni=="+version)
	if err != nil {
		err = fmt.Errorf("patroni %s comes from the Python package index, which has to be reached: %w", version, err)
	}
	return filepath.Join(bin, "patroni"), filepath.Join(bin, "patronictl"), err
}
