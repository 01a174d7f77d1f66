package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/lb"
	"fairlead/internal/lb/lambda"
	"fairlead/internal/wire"
)

// options are the flags of `fairlead serve`.
type options struct {
	dataDir       string
	listen        string
	takeover      bool
	ephemeral     bool
	allowReset    bool
	accessKeys    []string
	etcdEndpoints []string
	etcdPrefix    string
	containerd    string
	dnsListen     string
	dnsSuffix     string
	frontDoor     string
	publicPool    string
	logLevel      string

	lambdaEndpoint string
}

// defaultDataDir is where a server keeps its things.
const defaultDataDir = "/var/lib/fairlead"

const serveHelp = `Runs Fairlead: the AWS APIs, the controllers, the load balancers and the containers.

It needs root, for network namespaces and containers, and runc on the PATH. One line is logged when
it is ready; GET /_fairlead/health answers 200 from then on. SIGTERM ends it and leaves tasks
running, which the next start takes up; with --ephemeral everything is removed.

With --takeover it takes over from the Fairlead that runs on the same data directory: calls and
connections wait for a moment instead of being refused, requests in flight end in the old process.
SIGUSR2 makes a running Fairlead start its binary anew in this way, after an upgrade say.

With --lambda-endpoint, Lambda functions can be targets of load balancers. Fairlead does not run them; it
posts to URL/2015-03-31/functions/NAME/invocations, where NAME is that of the ARN that was registered,
with ?Qualifier= for its version or alias. "sam local start-lambda" serves that, and so does the runtime
interface emulator in Lambda's own images, where every function is called "function". Calls are not
signed.

Without --access-key, any well-formed credentials are accepted, on loopback only.`

func serveCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run Fairlead",
		Long:  serveHelp,
		Example: `  sudo fairlead serve
  sudo fairlead serve --ephemeral --allow-reset                     # in CI
  sudo fairlead serve --data-dir /srv/two --listen 127.0.0.1:5566 \
      --dns 127.0.0.1:5553 --front-door ""                          # a second one
  sudo fairlead serve --lambda-endpoint http://127.0.0.1:3001       # beside sam local start-lambda`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.dataDir, "data-dir", "", "where everything is kept (default "+defaultDataDir+
		"; with --ephemeral a new temporary directory)")
	f.StringVar(&o.listen, "listen", defaultListen, "address of the AWS APIs")
	f.BoolVar(&o.takeover, "takeover", false,
		"take over from the Fairlead that runs on the data directory, if one does, without losing a request")
	f.BoolVar(&o.ephemeral, "ephemeral", false, "remove everything at the end, and do not sync to disk")
	f.BoolVar(&o.allowReset, "allow-reset", false, "let POST /_fairlead/reset remove every resource")
	f.StringArrayVar(&o.accessKeys, "access-key", nil,
		"ID:SECRET[:ACCOUNT] that may call; repeatable; signatures are verified once one is given")
	f.StringSliceVar(&o.etcdEndpoints, "etcd-endpoints", nil, "use this etcd cluster, not the embedded one")
	f.StringVar(&o.etcdPrefix, "etcd-prefix", "/fairlead", "key prefix in the etcd cluster")
	f.StringVar(&o.containerd, "containerd-address", "", "use the containerd at this socket, not a private one")
	f.StringVar(&o.dnsListen, "dns", "127.0.0.1:4553", "address of the DNS server; empty is none")
	f.StringVar(&o.dnsSuffix, "dns-suffix", "localhost", "load balancers are called NAME-ID.REGION.elb.SUFFIX")
	f.StringVar(&o.frontDoor, "front-door", "127.0.0.1",
		"address on which all internet-facing load balancers share their ports by Host and SNI; empty is none")
	f.StringVar(&o.publicPool, "public-pool", "",
		"network that public addresses are taken from (default a /16 of 127.0.0.0/8)")
	f.StringVar(&o.lambdaEndpoint, "lambda-endpoint", "",
		"URL of a Lambda Invoke API, for target groups of type lambda; without it they are refused")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

func serve(ctx context.Context, o options) error {
	cfg, err := o.config()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("network namespaces and containers need root; try: sudo fairlead serve")
	}
	if err := haveRuntime(); err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	lb.RaiseFileLimit()
	// Each event loop of the data plane occupies a processor of Go's scheduler even while it waits;
	// everything else needs some too.
	runtime.GOMAXPROCS(2 * runtime.NumCPU())
	i, err := startInstance(ctx, cfg)
	if err != nil {
		return err
	}
	return i.run(ctx)
}

// haveRuntime says at the start, and not with the first task, what the machine lacks.
func haveRuntime() error {
	for _, name := range []string{"runc", "crun"} {
		if _, err := exec.LookPath(name); err == nil {
			return nil
		}
	}
	return errors.New("containers need runc or crun; try: sudo apt-get install runc")
}

// gcPercent trades a little processor time for memory: Fairlead is to be small on a laptop, and its
// data plane hardly allocates.
const gcPercent = 50

// config is options after they were checked.
type config struct {
	options
	keys       map[string]wire.Key
	publicPool netip.Prefix // zero: chosen per instance
	frontDoor  netip.Addr   // zero: none
	logger     *slog.Logger
}

func (o options) config() (config, error) {
	c := config{options: o}
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return c, fmt.Errorf("--log-level: %w", err)
	}
	c.logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	var err error
	if c.keys, err = parseKeys(o.accessKeys); err != nil {
		return c, err
	}
	if err := checkListen(o.listen, len(c.keys) > 0); err != nil {
		return c, err
	}
	if o.publicPool != "" {
		if c.publicPool, err = parsePool(o.publicPool); err != nil {
			return c, fmt.Errorf("--public-pool: %w", err)
		}
	}
	if o.frontDoor != "" {
		if c.frontDoor, err = netip.ParseAddr(o.frontDoor); err != nil {
			return c, fmt.Errorf("--front-door: %w", err)
		}
	}
	if o.lambdaEndpoint != "" {
		if err := lambda.CheckEndpoint(o.lambdaEndpoint); err != nil {
			return c, fmt.Errorf("--lambda-endpoint: %w", err)
		}
	}
	return c, c.chooseDir()
}

func (c *config) chooseDir() error {
	if c.dataDir == "" && c.ephemeral {
		dir, err := os.MkdirTemp("", "fairlead-")
		if err != nil {
			return fmt.Errorf("make a temporary data directory: %w", err)
		}
		c.dataDir = dir
	}
	if c.dataDir == "" {
		c.dataDir = defaultDataDir
	}
	dir, err := filepath.Abs(c.dataDir)
	c.dataDir = dir
	return err
}

// machinePool holds the loopback addresses that machines use for themselves, 127.0.0.1 first.
var machinePool = netip.MustParsePrefix("127.0.0.0/16")

func parsePool(s string) (netip.Prefix, error) {
	pool, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return pool, err
	case !pool.Addr().Is4():
		return pool, errors.New("public addresses are IPv4")
	case pool.Overlaps(machinePool):
		return pool, fmt.Errorf("%s overlaps %s, which the machine itself uses", pool, machinePool)
	}
	return pool.Masked(), nil
}

// parseKeys reads ID:SECRET[:ACCOUNT].
func parseKeys(list []string) (map[string]wire.Key, error) {
	keys := map[string]wire.Key{}
	for _, s := range list {
		parts := strings.Split(s, ":")
		if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
			return nil, errors.New("--access-key must be ID:SECRET or ID:SECRET:ACCOUNT")
		}
		key := wire.Key{Secret: parts[1]}
		if len(parts) == 3 {
			if key.Account = parts[2]; !isAccount(key.Account) {
				return nil, fmt.Errorf("--access-key: account %q is not 12 digits", key.Account)
			}
		}
		keys[parts[0]] = key
	}
	return keys, nil
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// checkListen refuses to serve the world without credentials.
func checkListen(address string, haveKeys bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	ip, err := netip.ParseAddr(host)
	loopback := host == "localhost" || err == nil && ip.IsLoopback()
	if !loopback && !haveKeys {
		return fmt.Errorf("--listen %s is not a loopback address: give at least one --access-key, "+
			"or anybody who reaches it could use it", address)
	}
	return nil
}
