package vpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Errors that callers may test for with errors.Is.
var (
	// ErrNotFound says that the named VPC, subnet or network interface does not exist here.
	ErrNotFound = errors.New("does not exist")
	// ErrInUse says that an address is held by another network interface.
	ErrInUse = errors.New("is in use")
	// ErrPrivilege says that the process may not make network namespaces: it needs root.
	ErrPrivilege = errors.New("making network namespaces needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN)")
)

// Config says where a Host keeps its namespaces and how it names what it makes.
type Config struct {
	// Dir holds the bind mounts of the namespaces. It is made if missing. Two instances on one
	// machine have two directories.
	Dir string
	// Name tags every link of this instance: 1 to 4 letters or digits, unlike any other
	// instance's on the machine.
	Name string
	// HostNamespace is the path of the network namespace that plays the host. Empty: the one
	// of the process.
	HostNamespace string
	// TransitRange is where the instance looks for a free /20 for the traffic between its VPCs
	// and the host. Zero: 198.18.0.0/15, which RFC 2544 keeps off the internet.
	TransitRange netip.Prefix
	// Local are further addresses that are local to every VPC's namespace, e.g. 169.254.170.2: what
	// listens on them there is reached by the VPC's interfaces.
	Local []netip.Addr
	// Logger hears of what Prune removes and of what had to be mended. Nil: slog.Default().
	Logger *slog.Logger
}

func (c Config) validate() error {
	if !nameForm.MatchString(c.Name) {
		return fmt.Errorf("the name %q is not 1 to 4 letters or digits", c.Name)
	}
	if r := c.TransitRange; !r.Addr().Is4() || r != r.Masked() || r.Bits() > transitBits {
		return fmt.Errorf("the transit range %s is not an IPv4 network of /%d or more", r, transitBits)
	}
	if os.Geteuid() != 0 {
		return ErrPrivilege
	}
	return nil
}

// Host makes and removes devices. Its methods may be called concurrently; those that change
// devices run one after another, as the kernel would let them anyway.
type Host struct {
	cfg   Config
	log   *slog.Logger
	doors doors
	host  *namespace

	mu      sync.Mutex // guards everything below, and the devices
	closed  bool
	vpcs    map[string]*network
	enis    map[string]*port
	transit transit

	departures departures   // has its own lock
	applied    hostRoutes   // nil: unknown
	gone       []netip.Addr // transit addresses that have lost their meaning: see endFlows
}

// Open finds the devices that earlier processes left in cfg.Dir. It changes none: call the Ensure
// methods for what shall be, then Prune.
func Open(cfg Config) (*Host, error) {
	if !cfg.TransitRange.IsValid() {
		cfg.TransitRange = defaultTransit
	}
	cfg.HostNamespace = cmp.Or(cfg.HostNamespace, currentNamespace)
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("open the virtual network: %w", err)
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the virtual network: %w", err)
	}
	cfg.Dir = dir
	h := &Host{
		cfg: cfg, log: cmp.Or(cfg.Logger, slog.Default()),
		vpcs: map[string]*network{}, enis: map[string]*port{},
	}
	if err := h.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the virtual network: %w", err), h.Close())
	}
	return h, nil
}

func (h *Host) open() (err error) {
	h.doors.fds = map[door]int{}
	if h.doors.home, err = openFD(currentNamespace); err != nil {
		return err
	}
	for _, kind := range []string{kindVPC, kindENI} {
		if err := os.MkdirAll(filepath.Join(h.cfg.Dir, kind), 0o755); err != nil {
			return err
		}
	}
	if err := h.doors.open(hostDoor, h.cfg.HostNamespace); err != nil {
		return err
	}
	if h.host, err = h.doors.namespace(hostDoor); err != nil {
		return err
	}
	return h.load()
}

// begin locks the devices for a change.
func (h *Host) begin(ctx context.Context) error {
	h.mu.Lock()
	err := ctx.Err()
	if h.closed {
		err = net.ErrClosed
	}
	if err != nil {
		h.mu.Unlock()
	}
	return err
}

// local are the addresses of Config.Local.
func (h *Host) local() []netip.Prefix {
	var all []netip.Prefix
	for _, a := range h.cfg.Local {
		all = append(all, netip.PrefixFrom(a, a.BitLen()))
	}
	return all
}

// ENINamespace is the path of the interface's network namespace, for an OCI spec.
func (h *Host) ENINamespace(id string) string { return filepath.Join(h.cfg.Dir, kindENI, id) }

// VPCNamespace is the path of the VPC's network namespace.
func (h *Host) VPCNamespace(id string) string { return filepath.Join(h.cfg.Dir, kindVPC, id) }

// Inventory names devices by the ids of what they stand for.
type Inventory struct {
	VPCs, Subnets, ENIs []string
}

// List says what exists on the machine, sorted.
func (h *Host) List(ctx context.Context) (Inventory, error) {
	if err := h.begin(ctx); err != nil {
		return Inventory{}, err
	}
	defer h.mu.Unlock()
	inv, err := h.list()
	if err != nil {
		return Inventory{}, fmt.Errorf("list the virtual network's devices: %w", err)
	}
	return inv, nil
}

func (h *Host) list() (inv Inventory, err error) {
	if inv.ENIs, err = h.mounted(kindENI); err != nil {
		return inv, err
	}
	if inv.VPCs, err = h.mounted(kindVPC); err != nil {
		return inv, err
	}
	for _, id := range inv.VPCs {
		n := h.vpcs[id]
		if n == nil {
			continue // half-made: Ensure or Prune will see to it
		}
		links, err := n.ns.link.LinkList()
		if err != nil {
			return inv, fmt.Errorf("list the links of VPC %s: %w", id, err)
		}
		for _, l := range links {
			if note, err := readNote[subnetNote](l.Attrs().Alias); err == nil {
				inv.Subnets = append(inv.Subnets, note.ID)
			}
		}
	}
	slices.Sort(inv.Subnets)
	return inv, nil
}

// mounted lists the ids whose namespaces exist, sorted.
func (h *Host) mounted(kind string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(h.cfg.Dir, kind))
	var ids []string
	for _, e := range entries {
		if isNamespace(filepath.Join(h.cfg.Dir, kind, e.Name())) {
			ids = append(ids, e.Name())
		}
	}
	return ids, err
}

// Prune removes every device of this instance that does not belong to what keep names: what was
// deleted while no process ran, and what a killed process left half-made.
func (h *Host) Prune(ctx context.Context, keep Inventory) error {
	if err := h.begin(ctx); err != nil {
		return err
	}
	defer h.mu.Unlock()
	if err := h.prune(keep); err != nil {
		return fmt.Errorf("prune the virtual network: %w", err)
	}
	return nil
}

func (h *Host) prune(keep Inventory) error {
	enis := surplus(h.log, "network interface", h.enis, keep.ENIs)
	errs := []error{h.deleteENIs(enis)}
	for _, n := range h.vpcs {
		for _, id := range surplus(h.log, "subnet", n.subnets, keep.Subnets) {
			errs = append(errs, h.deleteSubnet(id))
		}
	}
	for _, id := range surplus(h.log, "VPC", h.vpcs, keep.VPCs) {
		errs = append(errs, h.deleteVPC(id))
	}
	errs = append(errs,
		h.pruneFiles(kindENI), h.pruneFiles(kindVPC), h.pruneLinks(), h.settle(),
		h.releaseTransit())
	return errors.Join(errs...)
}

// surplus are the ids that exist and are not to be kept.
func surplus[T any](log *slog.Logger, kind string, have map[string]T, keep []string) []string {
	var ids []string
	for id := range have {
		if !slices.Contains(keep, id) {
			log.Debug("removing what nobody keeps", "kind", kind, "id", id)
			ids = append(ids, id)
		}
	}
	return ids
}

// pruneFiles removes namespaces and mount points that nothing in memory stands for.
func (h *Host) pruneFiles(kind string) error {
	entries, err := os.ReadDir(filepath.Join(h.cfg.Dir, kind))
	errs := []error{err}
	for _, e := range entries {
		known := h.enis[e.Name()] != nil
		if kind == kindVPC {
			known = h.vpcs[e.Name()] != nil
		}
		if !known {
			errs = append(errs, removeNamespace(filepath.Join(h.cfg.Dir, kind, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// pruneLinks removes ports and bridges that were left half-made, and uplinks without a VPC.
func (h *Host) pruneLinks() error {
	known := map[string]bool{}
	for id := range h.enis {
		known[portName(id)] = true
	}
	for id, n := range h.vpcs {
		known[h.uplinkName(id)] = n.uplink != nil
		for s := range n.subnets {
			known[bridgeName(s)] = true
		}
	}
	stray := func(name string) bool { return !known[name] }
	var errs []error
	for _, n := range h.vpcs {
		errs = append(errs,
			deleteLinks(n.ns.link, portPrefix, stray), deleteLinks(n.ns.link, bridgePrefix, stray))
	}
	errs = append(errs, deleteLinks(h.host.link, h.uplinkPrefix(), stray))
	return errors.Join(errs...)
}

// Close lets go of what the process holds and leaves the devices in place.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	h.departures.waitAll()
	for _, n := range h.vpcs {
		n.ns.close()
	}
	h.doors.close()
	if h.host != nil {
		h.host.close()
	}
	return nil
}

// Destroy removes everything of this instance from the machine and closes the host.
func (h *Host) Destroy(ctx context.Context) error {
	if err := h.Prune(ctx, Inventory{}); err != nil {
		return err
	}
	return errors.Join(
		remove(filepath.Join(h.cfg.Dir, kindENI)), remove(filepath.Join(h.cfg.Dir, kindVPC)),
		h.Close())
}
