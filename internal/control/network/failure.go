package network

import "time"

// The pause after a failure doubles from the first of these to the last.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
)

// failure is trouble with one device.
type failure struct {
	text  string
	pause time.Duration
	next  time.Time
}

// failures are the devices that there is trouble with.
type failures map[string]*failure

// due reports whether the device may be tried.
func (fs failures) due(id string) bool {
	f := fs[id]
	return f == nil || !time.Now().Before(f.next)
}

// add notes a failure and reports whether it is news.
func (fs failures) add(id string, err error) (news bool) {
	f := fs[id]
	if f == nil {
		f = &failure{pause: firstPause / 2}
		fs[id] = f
	}
	f.pause = min(2*f.pause, lastPause)
	f.next = time.Now().Add(f.pause)
	news = f.text != err.Error()
	f.text = err.Error()
	return news
}

// forget drops the device's failure and reports whether there was one.
func (fs failures) forget(id string) bool {
	_, ok := fs[id]
	delete(fs, id)
	return ok
}

// next returns the time of the next retry.
func (fs failures) next() (first time.Time, ok bool) {
	for _, f := range fs {
		if !ok || f.next.Before(first) {
			first, ok = f.next, true
		}
	}
	return first, ok
}
