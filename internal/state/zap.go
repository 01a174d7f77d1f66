package state

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"strings"

	"go.uber.org/zap/zapcore"
)

// zapCore passes etcd's warnings and errors on to slog. What etcd finds merely interesting is
// dropped, and so is what it says once over is closed, which is how it was cut short.
type zapCore struct {
	log  *slog.Logger
	over <-chan struct{}
}

var _ zapcore.Core = zapCore{}

// Enabled tells whether records of the level are passed on.
func (c zapCore) Enabled(level zapcore.Level) bool { return level >= zapcore.WarnLevel }

// With returns a core that adds the given fields to every record.
func (c zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{slog.New(c.log.Handler().WithAttrs(attributes(fields))), c.over}
}

// Check lets the core write the entry if its level is enabled.
func (c zapCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write passes one record on.
func (c zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	select {
	case <-c.over:
		return nil
	default:
	}
	level := slog.LevelWarn
	switch {
	case noise(e):
		level = slog.LevelDebug
	case e.Level > zapcore.WarnLevel:
		level = slog.LevelError
	}
	c.log.LogAttrs(context.Background(), level, "etcd: "+e.Message, attributes(fields)...)
	return nil
}

// noise tells whether a record is no reason to warn.
func noise(e zapcore.Entry) bool {
	return slices.ContainsFunc([]string{
		// Said by a young etcd, until the first snapshot of its log. Only an upgrade has to wait.
		"Failed to detect schema version",
		"failed to update storage version",
		"Failed to detect storage schema version",
		// The election is tried again some milliseconds later.
		"cannot campaign",
		// The member announces an address that nobody calls; it tries again without a pause.
		"failed to publish local member",
		// The caller gets to see the error itself.
		"retrying of unary invoker failed",
	}, func(text string) bool { return strings.Contains(e.Message, text) })
}

// Sync does nothing: slog does not buffer.
func (zapCore) Sync() error { return nil }

func attributes(fields []zapcore.Field) []slog.Attr {
	values := zapcore.NewMapObjectEncoder()
	attrs := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		f.AddTo(values)
		attrs = append(attrs, slog.Any(f.Key, values.Fields[f.Key]))
	}
	return attrs
}

// lastWords hears what etcd says before it would end the process, as it does on a full disk. In our
// process it may only end the goroutine that said it.
type lastWords func(message string)

var _ zapcore.CheckWriteHook = lastWords(nil)

// OnWrite ends the calling goroutine.
func (hear lastWords) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	message := e.Message
	for _, attr := range attributes(fields) {
		if attr.Key == "error" {
			message += ": " + attr.Value.String()
		}
	}
	hear(message)
	runtime.Goexit()
}
