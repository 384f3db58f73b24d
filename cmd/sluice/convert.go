package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sluice/conf"
)

// convertMax bounds what is read of a file to convert, in bytes.
const convertMax = 1 << 20

// convertCommand is `sluice convert`.
func convertCommand() *cobra.Command {
	var from, out string
	cmd := &cobra.Command{
		Use:   "convert FILE",
		Short: "Write the configuration of another proxy as one of Sluice",
		Long: "Write the configuration of another proxy as one of Sluice, to standard output or to a file.\n\n" +
			"What is left out, and what has to be looked at, is told on standard error and in the comments of the\n" +
			"file. With a problem nothing is written.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if from != "patroni_proxy" {
				return fmt.Errorf("--from %q: Sluice reads the files of patroni_proxy", from)
			}
			data, err := readLimited(args[0], convertMax)
			if err != nil {
				return err
			}
			text, notes, err := convert(args[0], data)
			for _, note := range notes {
				cmd.PrintErrln(note)
			}
			if err != nil {
				return err
			}
			if out == "" {
				_, err = io.WriteString(cmd.OutOrStdout(), text)
				return err
			}
			return os.WriteFile(out, []byte(text), 0o644)
		}}
	cmd.Flags().StringVar(&from, "from", "patroni_proxy", "the proxy whose configuration it is: patroni_proxy")
	cmd.Flags().StringVarP(&out, "out", "o", "", "the file to write; standard output if not given")
	return cmd
}

func readLimited(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s: is larger than %v", path, conf.Size(most))
	}
	return data, nil
}

// convert turns a patroni_proxy.yaml into a configuration that has been checked. notes are lines about what is
// not kept. An error has a line for each problem, with its place in the file that was read.
func convert(path string, data []byte) (text string, notes []string, err error) {
	from, r := readPatroniProxy(path, data)
	if len(r.problems) > 0 {
		return "", said(path, r.unknown), errors.New(strings.Join(r.problems, "\n"))
	}
	w := &proxyWriter{file: path, clusters: names{}, listeners: names{}}
	w.write(from, r.unknown)
	notes = said(path, w.notes)
	text = w.text.String()
	if err := w.check(text); err != nil {
		return "", notes, err
	}
	return text, notes, nil
}

// said are notes as lines, each once, in the order of the file.
func said(path string, notes []note) []string {
	slices.SortStableFunc(notes, func(a, b note) int { return cmp.Compare(a.line, b.line) })
	var lines []string
	for _, n := range slices.Compact(notes) {
		lines = append(lines, place(path, n.line)+n.text)
	}
	return lines
}

// check holds what was written to the rules of Sluice's own configuration. A problem is told at the place in
// the original that the line was made of.
func (w *proxyWriter) check(text string) error {
	_, err := conf.Parse("converted.toml", []byte(text), nil)
	var problems conf.Errors
	if !errors.As(err, &problems) {
		return err
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		of := 0
		if n := p.Line - 1; n >= 0 && n < len(w.lines) {
			of = w.lines[n]
		}
		lines[i] = place(w.file, of) + p.Key + ": " + p.Text
	}
	return errors.New(strings.Join(lines, "\n"))
}

// place is a place in a file as it stands in front of a problem; line 0 is no line.
func place(file string, line int) string {
	if line == 0 {
		return file + ": "
	}
	return fmt.Sprintf("%s:%d: ", file, line)
}
