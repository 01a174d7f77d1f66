package balancer

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// TestTokensAreAskedFor: a listener wants tokens as soon as its rule does, and as long.
func TestTokensAreAskedFor(t *testing.T) {
	p := &plane{t: t, store: open(t), port: freePort(t)}
	p.start()
	p.fill("one", 7)
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.78.0.1:%d", p.port))
		},
	}}
	for _, c := range []struct {
		actions []api.Action
		status  int
	}{
		{[]api.Action{forward("one")}, 200},
		{[]api.Action{validation(), forward("one")}, 401},
		{[]api.Action{forward("one")}, 200},
	} {
		statetest.Update(t, p.store, func(tx *state.Tx) {
			l, _ := row.First(row.Listeners.By(tx, "balancer", arn("loadbalancer/app/one/1")))
			l.Protocol, l.SSLPolicy = "HTTPS", "ELBSecurityPolicy-TLS13-1-2-2021-06"
			l.Certificate = putCertificate(t, tx, "one", "one.test")
			row.Listeners.Put(tx, l)
			rule, _ := row.First(row.Rules.By(tx, "listener", l.ARN))
			rule.Actions = c.actions
			row.Rules.Put(tx, rule)
		})
		eventually(t, fmt.Sprint("status ", c.status), func() bool {
			resp, err := client.Get(fmt.Sprintf("https://one.test:%d/", p.port))
			if err != nil {
				return false
			}
			resp.Body.Close()
			return resp.StatusCode == c.status
		})
	}
}
