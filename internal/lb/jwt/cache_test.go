package jwt

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// script is an endpoint without a network: each request gets the next answer, the last one for
// ever.
type script struct {
	answers []string // a JWKS, a status, or "hang"
	asked   int
}

// RoundTrip implements http.RoundTripper. A fetch takes a tenth of a second.
func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := s.answers[min(s.asked, len(s.answers)-1)]
	s.asked++
	switch answer {
	case "hang":
		<-r.Context().Done()
		return nil, r.Context().Err()
	case "404":
		return &http.Response{StatusCode: 404, Body: http.NoBody}, nil
	}
	time.Sleep(100 * time.Millisecond)
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(answer))}, nil
}

// step is one look at the cache: after a while, for a token of a kid.
type step struct {
	after time.Duration
	kid   string // "" is none
	known bool   // without waiting
	want  Reason
	asked int // in the end, with what goes on in the background
}

// TestCache follows the life of keys: fresh, due for renewal, too old, rotated, lost.
func TestCache(t *testing.T) {
	a, b := set(jwk(`, "kid": "a"`)), set(jwk(`, "kid": "b"`))
	for name, c := range map[string]struct {
		answers []string
		steps   []step
	}{
		"fresh": {[]string{a}, []step{{0, "a", false, "", 1}, {0, "a", true, "", 1}, {0, "", true, "", 1},
			{keysFresh - time.Second, "a", true, "", 1}}},
		"renewed in the background": {[]string{a}, []step{{0, "a", false, "", 1},
			{keysFresh + time.Second, "a", true, "", 2}, {keysFresh - time.Second, "a", true, "", 2}}},
		"too old": {[]string{a}, []step{{0, "a", false, "", 1}, {keysLife, "a", false, "", 2}}},
		"renewal fails, the keys live on": {[]string{a, "404"}, []step{{0, "a", false, "", 1},
			{keysFresh + time.Second, "a", true, "", 2}, {0, "a", true, "", 2},
			{2 * failurePause, "a", true, "", 3}, {keysLife, "a", false, RequestFailed, 4}}},
		"rotated": {[]string{a, b}, []step{{0, "a", false, "", 1}, {rotationPause, "b", false, "", 2},
			{0, "b", true, "", 2}, {0, "a", true, "", 2}}},
		"unknown kids ask seldom": {[]string{a}, []step{{0, "a", false, "", 1}, {0, "x", true, "", 1},
			{rotationPause - time.Second, "y", true, "", 1}, {time.Second, "x", false, "", 2},
			{0, "y", true, "", 2}, {0, "a", true, "", 2}}},
		"rotation fails": {[]string{a, "404", b}, []step{{0, "a", false, "", 1},
			{rotationPause, "b", false, RequestFailed, 2}, {0, "b", true, RequestFailed, 2},
			{0, "a", true, "", 2}, {failurePause, "b", false, "", 3}}},
		"failure": {[]string{"404", a}, []step{{0, "a", false, RequestFailed, 1},
			{0, "a", true, RequestFailed, 1}, {failurePause, "a", false, "", 2}, {0, "a", true, "", 2}}},
		"hangs":     {[]string{"hang", a}, []step{{0, "a", false, RequestTimeout, 1}, {failurePause, "a", false, "", 2}}},
		"empty set": {[]string{set(), a}, []step{{0, "", false, "", 1}, {0, "", true, "", 1}, {rotationPause, "", false, "", 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: c.answers}
				cache := NewCache(&http.Client{Transport: s}, FetchTimeout)
				defer cache.Close()
				for n, st := range c.steps {
					time.Sleep(st.after)
					token := &Token{}
					if st.kid != "" {
						token.kid = &st.kid
					}
					keys, err, known := cache.Lookup("https://a", token)
					if known != st.known {
						t.Fatalf("step %d: known %v", n, known)
					}
					if !known {
						keys, err = cache.Fetch(t.Context(), "https://a", token)
					}
					if synctest.Wait(); reason(err) != st.want || (keys == nil) == (err == nil) {
						t.Fatalf("step %d: %v, want %s", n, err, st.want)
					}
					time.Sleep(200 * time.Millisecond) // what goes on in the background
					if s.asked != st.asked {
						t.Fatalf("step %d: asked %d times, want %d", n, s.asked, st.asked)
					}
				}
			})
		})
	}
}

// A fetch outlives those who wait for it, and Close outlives no fetch.
func TestFetchIsNobodys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []string{"hang"}}
		cache := NewCache(&http.Client{Transport: s}, time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan Reason, 2)
		fetch := func(ctx context.Context) {
			_, err := cache.Fetch(ctx, "https://a", &Token{})
			results <- reason(err)
		}
		go fetch(ctx)
		go fetch(t.Context())
		synctest.Wait()
		cancel()
		if r := <-results; r != InternalError {
			t.Errorf("the one who left: %s", r)
		}
		if synctest.Wait(); len(results) != 0 || s.asked != 1 {
			t.Errorf("the fetch ended, or was begun again: asked %d times", s.asked)
		}
		cache.Close()
		if r := <-results; r != RequestTimeout {
			t.Errorf("the one who waited: %s", r)
		}
		go fetch(t.Context())
		if r := <-results; r == "" || s.asked != 1 {
			t.Errorf("after Close: %s, asked %d times", r, s.asked)
		}
	})
}

// Keys of an endpoint that no table has any more are not kept.
func TestKeep(t *testing.T) {
	s := &script{answers: []string{set(jwk(""))}}
	cache := NewCache(&http.Client{Transport: s}, FetchTimeout)
	defer cache.Close()
	for _, url := range []string{"https://a", "https://b"} {
		if _, err := cache.Fetch(t.Context(), url, &Token{}); err != nil {
			t.Fatal(err)
		}
	}
	cache.Keep([]string{"https://b", "https://c"})
	for url, want := range map[string]bool{"https://a": false, "https://b": true} {
		if _, _, known := cache.Lookup(url, &Token{}); known != want {
			t.Errorf("%s: known %v", url, known)
		}
	}
}

// Whoever comes to fetch when somebody else has just done so gets what that one got.
func TestFetchOfTheLate(t *testing.T) {
	s := &script{answers: []string{set(jwk(""))}}
	cache := NewCache(&http.Client{Transport: s}, FetchTimeout)
	defer cache.Close()
	if _, err := cache.Fetch(t.Context(), "https://a", &Token{}); err != nil {
		t.Fatal(err)
	}
	f := cache.join(cache.endpoint("https://a"), nil)
	<-f.done
	if f.known.keys == nil || s.asked != 1 {
		t.Errorf("known %+v, asked %d times", f.known, s.asked)
	}
}

// courteous is an endpoint that hangs, and ends its answer in good order when we leave.
type courteous struct{ ctx context.Context }

// RoundTrip implements http.RoundTripper.
func (courteous) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(courteous{r.Context()})}, nil
}

// Read implements io.Reader.
func (c courteous) Read([]byte) (int, error) {
	<-c.ctx.Done()
	return 0, io.EOF
}

func TestEndAtTheTimeoutIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := NewCache(&http.Client{Transport: courteous{}}, FetchTimeout)
		defer cache.Close()
		begun := time.Now()
		_, err := cache.Fetch(t.Context(), "https://a", &Token{})
		if took := time.Since(begun); reason(err) != RequestTimeout || took != FetchTimeout {
			t.Errorf("%v after %v", err, took)
		}
	})
}
