package balancer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fairlead/internal/lb"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// oneNetwork stands for all network namespaces: every node is the host.
type oneNetwork struct{}

func (oneNetwork) Socket(_ string, domain, typ, proto int) (int, error) {
	return unix.Socket(domain, typ|unix.SOCK_CLOEXEC, proto)
}

// plane is a controller with a real data plane over the rows of a store.
type plane struct {
	t     *testing.T
	store *state.Store
	port  int // of the listeners

	lambda string // where functions are invoked
}

// start runs a controller and an engine until stop is called or the test ends.
func (p *plane) start() (stop func()) {
	p.t.Helper()
	log := slog.New(slog.DiscardHandler)
	engine, err := lb.New(lb.Config{Loops: 1, Network: oneNetwork{}, Logger: log})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	c := New(Config{
		Store: p.store, Engine: engine, FrontDoor: netip.MustParseAddr("127.78.0.1"), Logger: log,
		LambdaEndpoint: p.lambda,
	})
	go func() { done <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := errors.Join(<-done, engine.Close()); err != nil {
			p.t.Error(err)
		}
	}
	p.t.Cleanup(stop)
	return stop
}

// get asks an address of the listeners for a name and returns status and body.
func (p *plane) get(address, host string) (string, error) {
	req, err := http.NewRequest("GET", fmt.Sprintf("http://%s:%d/", address, p.port), nil)
	if err != nil {
		return "", err
	}
	req.Host = host
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", strings.TrimSpace(string(body))), err
}

// until asks again until the answer begins as wanted.
func (p *plane) until(address, host, want string) {
	p.t.Helper()
	eventually(p.t, want+" from "+address+" for "+host, func() bool {
		got, err := p.get(address, host)
		return err == nil && strings.HasPrefix(got, want)
	})
}

// fill puts an internet-facing load balancer whose addresses are all on the loopback device, and a
// target that answers with the load balancer's name. Probes are far apart, but for the first one.
func (p *plane) fill(name string, net byte) (target string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, name)
	}))
	p.t.Cleanup(server.Close)
	at := netip.MustParseAddrPort(server.Listener.Addr().String())
	statetest.Update(p.t, p.store, func(tx *state.Tx) {
		g := putGroup(tx, name, nil)
		g.HealthCheck.IntervalSeconds = 300
		row.TargetGroups.Put(tx, g)
		b := putBalancer(tx, name, "internet-facing", net, name)
		for i, n := range b.Nodes {
			nic, _ := row.NetworkInterfaces.Get(tx, scope.Key(n.ENI))
			nic.Address = netip.AddrFrom4([4]byte{127, 77, net, byte(i)}).String()
			nic.PublicAddress = netip.AddrFrom4([4]byte{127, 78, net, byte(i)}).String()
			row.NetworkInterfaces.Put(tx, nic)
		}
		l, _ := row.First(row.Listeners.By(tx, "balancer", b.ARN))
		l.Port = p.port
		row.Listeners.Put(tx, l)
		row.Targets.Put(tx, row.Target{
			TargetGroup: g.ARN, ID: at.Addr().String(), Port: int(at.Port()), Zone: "eu-west-1a",
		})
		target = row.TargetKey(g.ARN, at.Addr().String(), int(at.Port()))
	})
	return target
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestTraffic sends requests through what the controller built, from creation to deregistration.
func TestTraffic(t *testing.T) {
	p := &plane{t: t, store: open(t), port: freePort(t)}
	p.start()
	target := p.fill("one", 1)
	p.until("127.77.1.0", "any", "200 one") // private addresses
	p.until("127.77.1.1", "any", "200 one")
	p.until("127.78.1.0", "any", "200 one") // public ones
	p.until("127.78.0.1", "any", "200 one") // the front door, with one load balancer behind it
	eventually(t, "health and state in the rows", func() bool {
		view := p.store.View()
		h, _ := row.TargetHealths.Get(view, target)
		b, _ := row.LoadBalancers.Get(view, arn("loadbalancer/app/one/1"))
		return h.State == "healthy" && b.State == "active"
	})

	p.fill("two", 2)
	p.until("127.78.0.1", "two-1.eu-west-1.elb.localhost", "200 two")
	p.until("127.78.0.1", "ONE-1.eu-west-1.elb.localhost", "200 one")
	p.until("127.78.0.1", "any", "404 No load balancer has this name.")

	statetest.Update(t, p.store, func(tx *state.Tx) {
		gone, _ := row.Targets.Get(tx, target)
		gone.DrainingSince = new(time.Now())
		row.Targets.Put(tx, gone)
	})
	p.until("127.77.1.0", "any", "503")
	eventually(t, "the drained target to go", func() bool {
		_, ok := row.Targets.Get(p.store.View(), target)
		return !ok
	})

	statetest.Update(t, p.store, func(tx *state.Tx) {
		for _, table := range []string{"one", "two"} {
			b, _ := row.LoadBalancers.Get(tx, arn("loadbalancer/app/"+table+"/1"))
			row.LoadBalancers.Delete(tx, b.ARN)
		}
	})
	eventually(t, "the ports to close", func() bool {
		_, err := p.get("127.77.1.0", "any")
		return errors.Is(err, unix.ECONNREFUSED)
	})
}

// TestFunction sends requests to a function, and after a restart without an endpoint to none.
func TestFunction(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"statusCode": 200, "body": %q}`, r.URL)
	}))
	defer api.Close()
	p := &plane{t: t, store: open(t), port: freePort(t), lambda: api.URL}
	stop := p.start()
	p.fill("one", 7)
	statetest.Update(t, p.store, func(tx *state.Tx) {
		putFunction(tx, "fn", "hello:live", nil)
		l, _ := row.First(row.Listeners.By(tx, "balancer", arn("loadbalancer/app/one/1")))
		putRule(tx, l, 0, nil, forward("fn"))
	})
	p.until("127.77.7.0", "any", "200 /2015-03-31/functions/hello/invocations?Qualifier=live")
	eventually(t, "health in the rows", func() bool {
		key := row.TargetKey(groupARN("fn"), scope.ARN("lambda", "function:hello:live"), 0)
		h, _ := row.TargetHealths.Get(p.store.View(), key)
		return h.State == "unavailable" && h.Reason == "Target.HealthCheckDisabled"
	})
	stop()
	p.lambda = ""
	p.start()
	p.until("127.77.7.0", "any", "503")
}

// TestTrafficAfterRestart ends a controller with its data plane and starts others over the same
// rows: the target must get requests before anything was probed.
func TestTrafficAfterRestart(t *testing.T) {
	p := &plane{t: t, store: open(t), port: freePort(t)}
	stop := p.start()
	target := p.fill("one", 3)
	eventually(t, "a healthy target", func() bool {
		h, _ := row.TargetHealths.Get(p.store.View(), target)
		return h.State == "healthy"
	})
	stop()
	p.start()
	var first string
	eventually(t, "an open port", func() (ok bool) {
		got, err := p.get("127.77.3.0", "any")
		first = got
		return err == nil
	})
	if first != "200 one" {
		t.Errorf("the first answer is %s", first)
	}
}

// TestAddressInUse: a foreign server has the port of one node.
func TestAddressInUse(t *testing.T) {
	foreign, err := net.Listen("tcp", "127.77.4.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	p := &plane{t: t, store: open(t), port: foreign.Addr().(*net.TCPAddr).Port}
	p.start()
	p.fill("one", 4)
	p.until("127.77.4.1", "any", "200 one")
	b, _ := row.LoadBalancers.Get(p.store.View(), arn("loadbalancer/app/one/1"))
	if b.State != "provisioning" {
		t.Errorf("a load balancer that misses a node is %s", b.State)
	}
}

// TestTLSAtTheFrontDoor chooses the load balancer by SNI.
func TestTLSAtTheFrontDoor(t *testing.T) {
	p := &plane{t: t, store: open(t), port: freePort(t)}
	p.start()
	roots := x509.NewCertPool()
	for i, name := range []string{"one", "two"} {
		p.fill(name, byte(5+i))
		statetest.Update(t, p.store, func(tx *state.Tx) {
			cert := putCertificate(t, tx, name, name+".test")
			c, _ := row.Certificates.Get(tx, cert)
			roots.AppendCertsFromPEM([]byte(c.Chain))
			l, _ := row.First(row.Listeners.By(tx, "balancer", arn("loadbalancer/app/"+name+"/1")))
			l.Protocol, l.SSLPolicy, l.Certificate = "HTTPS", "ELBSecurityPolicy-TLS13-1-2-2021-06", cert
			row.Listeners.Put(tx, l)
		})
	}
	for _, name := range []string{"one", "two"} {
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.78.0.1:%d", p.port))
			},
		}
		client := http.Client{Transport: transport, Timeout: 5 * time.Second}
		eventually(t, "an answer from "+name, func() bool {
			resp, err := client.Get(fmt.Sprintf("https://%s.test:%d/", name, p.port))
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			return err == nil && string(body) == name
		})
	}
}
