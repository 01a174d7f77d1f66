package lbfile

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"fairlead/internal/lb"
)

// accessLog writes a line per request, in the format of Application Load Balancers.
type accessLog struct {
	out   io.WriteCloser
	log   *slog.Logger
	lines []byte // of a batch
	lost  bool   // the last write has failed
}

// openLog opens the file with the name, or standard output for "-"; without a name nothing is kept.
func openLog(name string, log *slog.Logger) (*accessLog, error) {
	switch name {
	case "":
		return &accessLog{out: kept{io.Discard}, log: log}, nil
	case "-":
		return &accessLog{out: kept{os.Stdout}, log: log}, nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return &accessLog{out: file, log: log}, nil
}

// kept is a writer that is not ours to close.
type kept struct{ io.Writer }

func (kept) Close() error { return nil }

// write appends a line per record. Lines that cannot be written, for want of space say, are lost; the
// first of them and the next ones that can are told of.
func (l *accessLog) write(records []lb.AccessRecord) {
	l.lines = l.lines[:0]
	for i := range records {
		l.lines = records[i].AppendLine(l.lines)
	}
	_, err := l.out.Write(l.lines)
	switch lost := err != nil; {
	case lost && !l.lost:
		l.log.Error("access-log lines are lost", "err", err)
	case !lost && l.lost:
		l.log.Info("access-log lines are written again")
	}
	l.lost = err != nil
}

func (l *accessLog) close() { l.out.Close() }
