package jwt

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// AWS says nothing about how long it keeps keys; these are our own.
const (
	// keysFresh is how old keys become before they are fetched anew, while requests go on with them.
	keysFresh = 5 * time.Minute
	// keysLife is how old keys may become at all: a key that an issuer has withdrawn is good for no
	// longer, and an endpoint that fails for less than the difference costs no request.
	keysLife = 10 * time.Minute
	// rotationPause is the least time between fetches because of tokens with unknown keys: a new key
	// is known so much later at most, and nobody can make us fetch more often.
	rotationPause = 5 * time.Second
	// failurePause is how long a failure is the answer before the endpoint is asked again.
	failurePause = time.Second
)

// FetchTimeout is how long an endpoint may take (ALB guide, troubleshooting, HTTP 500).
const FetchTimeout = 5 * time.Second

// Cache keeps the keys of endpoints. All methods may be called from any goroutine. Each endpoint is
// asked once at a time, however many wait; a fetch does not end with those who wait for it.
type Cache struct {
	client    *http.Client
	timeout   time.Duration
	endpoints sync.Map // URL → *endpoint

	ctx     context.Context // of all fetches; ends with Close
	cancel  context.CancelFunc
	mu      sync.Mutex // guards closed, and flights against Close
	closed  bool
	flights sync.WaitGroup
}

// endpoint is what is known of a URL.
type endpoint struct {
	url   string
	known atomic.Pointer[knowledge] // nil until the first fetch is over

	mu     sync.Mutex // guards flight
	flight *flight
}

// knowledge is what fetches have brought; it does not change.
type knowledge struct {
	keys    *KeySet // the last ones; nil without
	fetched time.Time
	err     *Error // of the last fetch
	tried   time.Time
}

// flight is a fetch under way; known is there when done is closed.
type flight struct {
	done  chan struct{}
	known *knowledge
}

// NewCache returns an empty cache; see [NewClient] and [FetchTimeout]. The caller ends it with
// Close.
func NewCache(client *http.Client, timeout time.Duration) *Cache {
	c := &Cache{client: client, timeout: timeout}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Close ends all fetches and waits for them.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.flights.Wait()
}

// Lookup returns the keys of an endpoint for a token, or why there are none, if that is known; if
// not, it is Fetch that will tell. Lookup never waits, and takes a lock only to begin a renewal.
func (c *Cache) Lookup(url string, t *Token) (keys *KeySet, err *Error, known bool) {
	e := c.endpoint(url)
	k := e.known.Load()
	if k == nil {
		return nil, nil, false
	}
	now := time.Now()
	if keys, err, known = k.answer(t, now); known && k.stale(now) {
		c.join(e, k)
	}
	return keys, err, known
}

// Fetch is Lookup that waits for what is not known yet, until ctx ends.
func (c *Cache) Fetch(ctx context.Context, url string, t *Token) (*KeySet, *Error) {
	e := c.endpoint(url)
	k := e.known.Load()
	if k != nil {
		if keys, err, known := k.answer(t, time.Now()); known {
			return keys, err // somebody else has fetched meanwhile
		}
	}
	f := c.join(e, k)
	select {
	case <-f.done:
		keys, err, _ := f.known.answer(t, time.Now())
		return keys, err
	case <-ctx.Done():
		return nil, fail(InternalError, "nobody waits for the keys any more")
	}
}

// Keep forgets all endpoints but the given ones.
func (c *Cache) Keep(urls []string) {
	c.endpoints.Range(func(url, _ any) bool {
		if !slices.Contains(urls, url.(string)) {
			c.endpoints.Delete(url)
		}
		return true
	})
}

func (c *Cache) endpoint(url string) *endpoint {
	if e, ok := c.endpoints.Load(url); ok {
		return e.(*endpoint)
	}
	e, _ := c.endpoints.LoadOrStore(url, &endpoint{url: url})
	return e.(*endpoint)
}

// answer is what Lookup answers; known is false if the endpoint must be asked first.
func (k *knowledge) answer(t *Token, now time.Time) (keys *KeySet, err *Error, known bool) {
	alive := k.keys != nil && now.Before(k.fetched.Add(keysLife))
	switch {
	case alive && k.keys.has(t):
		return k.keys, nil, true
	case k.err != nil:
		return nil, k.err, now.Before(k.tried.Add(failurePause))
	}
	return k.keys, nil, alive && now.Before(k.tried.Add(rotationPause))
}

// stale says whether keys that still serve are due to be fetched anew.
func (k *knowledge) stale(now time.Time) bool {
	return now.After(k.fetched.Add(keysFresh)) && now.After(k.tried.Add(failurePause))
}

// join takes part in the fetch of an endpoint, and starts one if none is under way. Those who have
// seen something older than what is known by now get that.
func (c *Cache) join(e *endpoint, seen *knowledge) *flight {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.flight != nil {
		return e.flight
	}
	f := &flight{done: make(chan struct{})}
	if f.known = e.known.Load(); f.known != seen {
		close(f.done)
		return f
	}
	if !c.start(func() { c.fly(e, f, seen) }) {
		f.known = &knowledge{err: fail(InternalError, "no more keys are fetched")}
		close(f.done)
		return f
	}
	e.flight = f
	return f
}

// start has a goroutine do something, unless the cache is closed.
func (c *Cache) start(do func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.flights.Go(do)
	}
	return !c.closed
}

// fly fetches and tells everybody who waits.
func (c *Cache) fly(e *endpoint, f *flight, before *knowledge) {
	k := &knowledge{}
	if before != nil {
		*k = *before
	}
	keys, err := c.get(e.url)
	k.err, k.tried = err, time.Now()
	if err == nil {
		k.keys, k.fetched = keys, k.tried
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known.Store(k)
	e.flight, f.known = nil, k
	close(f.done)
}
