package drivers

import (
	"os"
	"os/exec"
	"path/filepath"
)

// goProgram is of the module that this package belongs to.
func goProgram(name string) func(w *workshop) (Command, error) {
	return func(w *workshop) (Command, error) {
		out := filepath.Join(w.out, name)
		err := w.run(w.source, tool{name: "go", debianPackage: "golang"}, "build", "-o", out, "./go/"+name)
		return Command{Path: out}, err
	}
}

// python makes a virtual environment with the packages in requirements.txt.
func python(program string) func(w *workshop) (Command, error) {
	return func(w *workshop) (Command, error) {
		python := tool{name: "python3", debianPackage: "python3-venv"}
		path, err := python.find()
		if err != nil {
			return Command{}, err
		}
		version, err := exec.Command(path, "-c", "import sys; print(sys.executable, sys.version)").Output()
		if err != nil {
			return Command{}, err
		}
		dir, err := w.fetched("python", string(version), []string{"python/requirements.txt"}, func(dir string) error {
			if err := w.run(w.source, python, "-m", "venv", dir); err != nil {
				return err
			}
			return w.run(w.source, tool{name: filepath.Join(dir, "bin", "python")},
				"-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", filepath.Join("python", "requirements.txt"))
		})
		return Command{
			Path: filepath.Join(dir, "bin", "python"),
			Args: []string{"-B", filepath.Join(w.source, "python", program)}, // -B: leave nothing beside the source
		}, err
	}
}

// node puts the source beside the packages that package-lock.json names, where Node.js looks for them.
func node(w *workshop) (Command, error) {
	manifest := []string{"node/package.json", "node/package-lock.json"}
	packages, err := w.fetched("node", "", manifest, func(dir string) error {
		if err := w.copyTo(dir, manifest...); err != nil {
			return err
		}
		return w.run(dir, tool{name: "npm", debianPackage: "npm"}, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	})
	if err != nil {
		return Command{}, err
	}
	dir, err := w.made("node")
	if err != nil {
		return Command{}, err
	}
	if err := w.copyTo(dir, "node/*.js", "node/package.json"); err != nil {
		return Command{}, err
	}
	if err := os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		return Command{}, err
	}
	path, err := tool{name: "node", debianPackage: "nodejs"}.find()
	return Command{Path: path, Args: []string{"--no-deprecation", filepath.Join(dir, "main.js")}}, err
}

// java compiles against the driver that pom.xml names.
func java(w *workshop) (Command, error) {
	jars, err := w.fetched("java", "", []string{"java/pom.xml"}, func(dir string) error {
		return w.run(w.source, tool{name: "mvn", debianPackage: "maven"}, "--quiet", "--batch-mode",
			"--file", filepath.Join("java", "pom.xml"), "dependency:copy-dependencies", "-DoutputDirectory="+dir)
	})
	if err != nil {
		return Command{}, err
	}
	dir, err := w.made("java")
	if err != nil {
		return Command{}, err
	}
	classpath := filepath.Join(jars, "*") + string(os.PathListSeparator) + dir
	sources, err := filepath.Glob(filepath.Join(w.source, "java", "*.java"))
	if err != nil {
		return Command{}, err
	}
	jdk := "default-jdk-headless"
	if err := w.run(w.source, tool{name: "javac", debianPackage: jdk},
		append([]string{"-Xlint:all,-try", "-Werror", "-classpath", classpath, "-d", dir}, sources...)...); err != nil {
		return Command{}, err
	}
	path, err := tool{name: "java", debianPackage: jdk}.find()
	return Command{Path: path, Args: []string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-classpath", classpath, "Main"}}, err
}

// rust compiles the driver and all that it needs, in the versions of Cargo.lock, without optimisation; the
// cache keeps what was compiled.
func rust(w *workshop) (Command, error) {
	if err := os.MkdirAll(w.cache, 0o755); err != nil {
		return Command{}, err
	}
	target := filepath.Join(w.cache, "rust")
	unlock, err := lock(target + ".lock")
	if err != nil {
		return Command{}, err
	}
	defer unlock()
	cargo := tool{name: "cargo", debianPackage: "cargo", env: []string{"CARGO_TARGET_DIR=" + target}}
	if err := w.run(filepath.Join(w.source, "rust"), cargo, "build", "--quiet", "--locked"); err != nil {
		return Command{}, err
	}
	program, err := os.ReadFile(filepath.Join(target, "debug", "driver-paths"))
	if err != nil {
		return Command{}, err
	}
	out := filepath.Join(w.out, "rust")
	return Command{Path: out}, os.WriteFile(out, program, 0o755)
}
