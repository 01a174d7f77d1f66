package lb

import (
	"context"
)

// maxPosted is how many pieces of work goroutines do for one loop at a time; our own. A request that
// needs one more is answered with 503.
const maxPosted = 4096

// post has a goroutine do work that may block, such as fetching keys or invoking a function, and then
// the loop do what the work returns, unless the exchange has ended by then: its client has left, say,
// or its idle timeout is over, which goes on counting. The work's context ends with the exchange. The
// work must touch nothing of the exchange or of the loop, nor keep texts of the request (see
// [http1.Request.Clone]). One piece at a time.
func (ex *exchange) post(work func(context.Context) (then func())) {
	l, life := ex.loop, ex.life
	if l.posted == maxPosted {
		ex.fail(503, "too much work of other requests is under way")
		return
	}
	l.posted++
	ctx, cancel := context.WithCancel(context.Background())
	ex.cancel = cancel
	l.eng.posting.Go(func() {
		then := l.careful(ctx, work)
		l.poll.Post(func() {
			l.posted--
			cancel()
			if ex.life == life && ex.phase != over {
				l.tick()
				ex.cancel = nil
				ex.resume(then)
			}
		})
	})
}

// careful does work; a panic in it costs the exchange and nothing else, and then is nil.
func (l *loop) careful(ctx context.Context, work func(context.Context) func()) (then func()) {
	defer func() {
		if r := recover(); r != nil {
			l.complain(r)
		}
	}()
	return work(ctx)
}

// resume goes on after posted work.
func (ex *exchange) resume(then func()) {
	defer func() {
		if r := recover(); r != nil {
			ex.loop.complain(r)
			ex.cut("defect")
		}
	}()
	if then == nil {
		ex.fail(500, "defect in posted work")
		return
	}
	then()
}
