package jwt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
)

// maxHeader is the most bytes of headers that an endpoint may answer with; our own.
const maxHeader = 64 << 10

// NewClient returns a client for endpoints that trusts the given roots, or those of the system. It
// follows no redirect: to AWS's readers that is an answer that is not 2XX. Fetches are minutes
// apart, so that connections are not kept.
func NewClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// get fetches a key set. A defect in it costs those who wait, not the process.
func (c *Cache) get(url string) (keys *KeySet, err *Error) {
	defer func() {
		if r := recover(); r != nil {
			keys, err = nil, fail(InternalError, "defect: %v", r)
		}
	}()
	ctx, cancel := context.WithTimeout(c.ctx, c.timeout)
	defer cancel()
	req, problem := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if problem != nil {
		return nil, fail(InternalError, "%v", problem)
	}
	req.Header.Set("Accept", "application/json")
	resp, problem := c.client.Do(req)
	if problem != nil {
		return nil, fail(RequestTimeout, "%v", problem)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, fail(RequestFailed, "JWKS endpoint %s answered %d", url,
			resp.StatusCode)
	}
	b, problem := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if problem == nil {
		problem = ctx.Err() // an endpoint may take our leaving for the end of what it has to say
	}
	if problem != nil {
		return nil, fail(RequestTimeout, "read from JWKS endpoint %s: %v", url, problem)
	}
	return ParseKeySet(b)
}
