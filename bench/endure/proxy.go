package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"fairlead/internal/lb"
)

// proxy is the data plane under test.
type proxy struct {
	engine *lb.Engine
	spec   lb.TableSpec

	mu       sync.Mutex // guards statuses
	statuses map[string]int
}

// runProxy serves with an idle timeout until its input ends. It reads where the targets are and writes where it listens.
func runProxy(args []string) error {
	// As fairlead lb does: a loop occupies a processor of the scheduler.
	runtime.GOMAXPROCS(2 * runtime.NumCPU())
	debug.SetGCPercent(20)
	in := bufio.NewReader(os.Stdin)
	var where map[string]string
	if err := json.NewDecoder(io.LimitReader(in, 1<<16)).Decode(&where); err != nil {
		return err
	}
	idle, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	p := &proxy{statuses: map[string]int{}}
	if p.engine, err = lb.New(lb.Config{Loops: runtime.NumCPU(), AccessLog: p.count}); err != nil {
		return err
	}
	defer p.engine.Close()
	if p.spec, err = table(where, idle); err != nil {
		return err
	}
	if err := p.swap(); err != nil {
		return err
	}
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(admin, p.admin()) // until the process ends
	if err := json.NewEncoder(os.Stdout).Encode(addresses{
		HTTP: p.engine.Bound("http")[0].Addr.String(), HTTPS: p.engine.Bound("https")[0].Addr.String(),
		Admin: admin.Addr().String(),
	}); err != nil {
		return err
	}
	io.Copy(io.Discard, in)
	return nil
}

func (p *proxy) swap() error {
	t, err := lb.Compile(p.spec)
	if err != nil {
		return err
	}
	return p.engine.Swap(t)
}

func (p *proxy) count(records []lb.AccessRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range records {
		p.statuses[strconv.Itoa(records[i].Status)]++
	}
}

func (p *proxy) admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, _ *http.Request) {
		if err := p.swap(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("GET /vitals", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(p.vitals())
	})
	return mux
}

func (p *proxy) vitals() vitals {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, _ := os.ReadDir("/proc/self/fd")
	v := vitals{Heap: int64(m.HeapAlloc), Resident: resident(), Goroutines: runtime.NumGoroutine(),
		Files: len(files), Clients: int(p.engine.Stats().LoadBalancers["app/endure/1"].ActiveConnections)}
	p.mu.Lock()
	defer p.mu.Unlock()
	v.Statuses, p.statuses = p.statuses, map[string]int{}
	return v
}

// resident is the memory of the process in the machine.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kib int64
	fmt.Sscan(rest, &kib)
	return kib << 10
}

// idleTimeout is longer than connections are held.
const idleTimeout = time.Hour

// table has a listener each for HTTP and HTTPS, and a rule for every kind of target.
func table(where map[string]string, idle time.Duration) (lb.TableSpec, error) {
	cert, err := certificate()
	if err != nil {
		return lb.TableSpec{}, err
	}
	any := netip.MustParseAddrPort("127.0.0.1:0")
	base := lb.Listener{LoadBalancer: "app/endure/1", Protocol: lb.HTTP, Binds: []lb.Bind{{Addr: any}},
		DNSName: "endure.localhost", Default: forwardTo("good"),
		Attributes: lb.Attributes{AccessLog: true, IdleTimeout: idle}}
	var spec lb.TableSpec
	for kind, at := range where {
		addr := netip.MustParseAddrPort(at)
		spec.Groups = append(spec.Groups, lb.Group{ID: kind, Protocol: lb.HTTP,
			HealthCheck: lb.HealthCheck{Disabled: kind != "good"},
			Targets: []lb.Target{{ID: addr.Addr().String(), Port: addr.Port(), Addr: addr,
				LastHealth: lb.Healthy}}})
		base.Rules = append(base.Rules, lb.Rule{ID: kind, Priority: len(base.Rules) + 1,
			Conditions: []lb.Condition{{Field: lb.PathPattern, Values: []string{"/" + kind}}},
			Actions:    forwardTo(kind)})
	}
	plain, secure := base, base
	plain.ID, secure.ID = "http", "https"
	secure.Protocol = lb.HTTPS
	secure.TLS = &lb.TLS{Certificates: []lb.Certificate{cert}}
	spec.Listeners = []lb.Listener{plain, secure}
	return spec, nil
}

func forwardTo(group string) []lb.Action {
	return []lb.Action{{Type: lb.ActionForward, Forward: &lb.Forward{
		Groups: []lb.WeightedGroup{{Group: group, Weight: 1}}}}}
}

func certificate() (lb.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return lb.Certificate{}, err
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	return lb.Certificate{ID: "c", Cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}, err
}
