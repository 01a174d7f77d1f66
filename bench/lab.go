package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// lab is a directory with everything that the benchmarks need, and the processes that run.
type lab struct {
	dir    string
	target *exec.Cmd
	rivals []*rival
}

// rival is a proxy under test.
type rival struct {
	name          string
	port, tlsPort int
	command       string            // in the lab's directory
	files         map[string]string // its configuration
	cmd           *exec.Cmd
}

const targetPort = 19000

// newLab builds the proxy, makes a certificate and starts the target.
func newLab(ctx context.Context, dir string) (*lab, error) {
	l := &lab{dir: dir}
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "proxy"),
		"./bench/proxy")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build proxy: %w\n%s", err, out)
	}
	err := errors.Join(l.certificate(), l.random("10k", 10<<10), l.random("1m", 1<<20),
		l.write("target.conf", targetConf))
	if err != nil {
		return nil, err
	}
	if l.target, err = l.start(ctx, "taskset -c 1 nginx -p . -c target.conf"); err != nil {
		return nil, err
	}
	return l, await(targetPort)
}

func (l *lab) close() {
	stop(l.target)
}

// write writes a file of the lab. The words DIR and TARGET are replaced.
func (l *lab) write(name, text string) error {
	text = strings.NewReplacer("DIR", l.dir, "TARGET",
		fmt.Sprintf("127.0.0.1:%d", targetPort)).Replace(text)
	return os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o644)
}

func (l *lab) random(name string, size int) error {
	b := make([]byte, size)
	rand.Read(b)
	return os.WriteFile(filepath.Join(l.dir, name), b, 0o644)
}

func (l *lab) certificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		Subject:   pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return errors.Join(l.write("cert.pem", string(certPEM)), l.write("key.pem", string(keyPEM)),
		l.write("both.pem", string(certPEM)+string(keyPEM)))
}

// start starts a process in the lab's directory.
func (l *lab) start(ctx context.Context, command string) (*exec.Cmd, error) {
	args := strings.Fields(command)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = l.dir
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command, err)
	}
	return cmd, nil
}

// stop ends a process and waits for it.
func stop(cmd *exec.Cmd) {
	if cmd != nil {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait() // its exit status says nothing here
	}
}

// await waits until somebody listens on a port.
func await(port int) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for port %d: %w", port, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// startRivals starts the proxies of a workload, Fairlead first. With rules, Fairlead with a single
// rule is the rival.
func (l *lab) startRivals(ctx context.Context, w workload) error {
	l.rivals = []*rival{{name: "fairlead", port: 18000, tlsPort: 18443,
		command: "./proxy -loops 1 -config fairlead.json"}}
	err := l.fairlead("fairlead.json", 18000, 18443, w.rules)
	if w.rules > 0 {
		l.rivals = append(l.rivals, &rival{name: "no-rules", port: 18003, tlsPort: 18446,
			command: "./proxy -loops 1 -config plain.json"})
		err = errors.Join(err, l.fairlead("plain.json", 18003, 18446, 0))
	}
	if err != nil {
		return err
	}
	for _, name := range w.rivals {
		r := opponent(name)
		if _, err := exec.LookPath(strings.Fields(r.command)[0]); err != nil {
			fmt.Printf("%-11s %-12s is not installed and was left out\n", w.name, name)
			continue
		}
		l.rivals = append(l.rivals, r)
	}
	for _, r := range l.rivals {
		if err := l.startRival(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// startRival starts a proxy on the first core and waits until it accepts connections.
func (l *lab) startRival(ctx context.Context, r *rival) (err error) {
	for name, text := range r.files {
		if err := l.write(name, text); err != nil {
			return err
		}
	}
	if r.cmd, err = l.start(ctx, "taskset -c 0 "+r.command); err != nil {
		return err
	}
	return errors.Join(await(r.port), await(r.tlsPort))
}

func (l *lab) stopRivals() {
	for _, r := range l.rivals {
		stop(r.cmd)
	}
	l.rivals = nil
}

// fairlead writes a configuration with the given number of path rules; the load asks for the last.
func (l *lab) fairlead(name string, port, tlsPort, rules int) error {
	forward := []any{map[string]any{"type": "forward",
		"target_groups": []any{map[string]any{"id": "g"}}}}
	refuse := []any{map[string]any{"type": "fixed-response",
		"fixed_response": map[string]any{"StatusCode": 404, "ContentType": "text/plain", "Body": "no"}}}
	var list []any
	for i := range rules {
		actions := refuse
		if i == rules-1 {
			actions = forward
		}
		list = append(list, map[string]any{"priority": i + 1, "actions": actions,
			"conditions": []any{map[string]any{"field": "path-pattern",
				"values": []string{fmt.Sprintf("/r%d/*", i)}}}})
	}
	listener := map[string]any{"id": "h", "protocol": "HTTP", "rules": list,
		"addresses": []string{fmt.Sprintf("127.0.0.1:%d", port)}, "default_actions": forward}
	secure := map[string]any{"id": "s", "protocol": "HTTPS", "default_actions": forward,
		"addresses":    []string{fmt.Sprintf("127.0.0.1:%d", tlsPort)},
		"ssl_policy":   "ELBSecurityPolicy-TLS13-1-2-2021-06",
		"certificates": []any{map[string]any{"cert_file": "cert.pem", "key_file": "key.pem"}}}
	config := map[string]any{"access_log": "/dev/null", "listeners": []any{listener, secure},
		"target_groups": []any{map[string]any{"id": "g",
			"targets": []any{map[string]any{"address": fmt.Sprintf("127.0.0.1:%d", targetPort)}}}}}
	b, err := json.Marshal(config)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.dir, name), b, 0o644)
}
