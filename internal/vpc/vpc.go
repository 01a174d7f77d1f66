package vpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
)

// Errors that callers may test for with errors.Is.
var (
	// ErrNotFound says that the named VPC, subnet or network interface does not exist here.
	ErrNotFound = errors.New("does not exist")
	// ErrInUse says that an address is held by another network interface.
	ErrInUse = errors.New("is in use")
)

// Config says where a Host keeps its namespaces and how it names what it makes.
type Config struct {
	// Dir holds the bind mounts of the namespaces. It is made if missing. Two instances on one
	// machine have two directories.
	Dir string
	// Name tags every link and table of this instance: 1 to 4 letters or digits.
	Name string
	// HostNamespace is the path of the network namespace that plays the host. Empty: the one
	// of the process.
	HostNamespace string
	// TransitRange is where the instance looks for a free block for the traffic between its VPCs
	// and the host. Zero: 198.18.0.0/15, which RFC 2544 keeps off the internet.
	TransitRange netip.Prefix
	// Logger hears what Prune removes and what had to be repaired. Nil: slog.Default().
	Logger *slog.Logger
}

// VPC is a network namespace that routes between its subnets.
type VPC struct {
	ID string
	// CIDRs are the address ranges, the primary one first.
	CIDRs []netip.Prefix
	// InternetGateway connects the VPC to the host.
	InternetGateway bool
}

// Subnet is a bridge in the namespace of its VPC; the bridge has the subnet's address 1 (router)
// and 2 (reserved for DNS).
type Subnet struct {
	ID, VPC string
	CIDR    netip.Prefix
	// Public says that the subnet's route table sends 0.0.0.0/0 to the internet gateway.
	Public bool
}

// ENI is an elastic network interface: a network namespace of its own, whose eth0 is one end of a
// veth pair and has the interface's address. The other end is a port of the subnet's bridge.
type ENI struct {
	ID, VPC, Subnet string
	// MAC is the hardware address of eth0. Nil: derived from the ID.
	MAC  net.HardwareAddr
	Addr netip.Addr
	// Public is the address under which the host and the world reach the interface, 1:1, if the
	// subnet is public and the VPC has an internet gateway. Loopback addresses (127.0.0.0/8) are
	// reached from the host only. Zero: none.
	Public netip.Addr
	// Local are further addresses that answer inside the namespace only, such as the task
	// metadata endpoint's 169.254.170.2.
	Local []netip.Addr
	// SourceDestCheck drops packets from and to eth0 that do not carry Addr.
	SourceDestCheck bool
}

// Inventory names devices by the ids of what they stand for.
type Inventory struct {
	VPCs, Subnets, ENIs []string
}

// Host makes and removes devices. Its methods may be called concurrently.
type Host struct{ cfg Config }

// Open finds the devices that earlier processes left in cfg.Dir.
func Open(cfg Config) (*Host, error) { return &Host{cfg: cfg}, errors.ErrUnsupported }

// EnsureVPC makes the VPC or changes it to be as asked.
func (h *Host) EnsureVPC(ctx context.Context, v VPC) error { return errors.ErrUnsupported }

// EnsureSubnet makes the subnet or changes it to be as asked. Its VPC must exist.
func (h *Host) EnsureSubnet(ctx context.Context, s Subnet) error { return errors.ErrUnsupported }

// EnsureENI makes the interface or changes it to be as asked. Its subnet must exist.
func (h *Host) EnsureENI(ctx context.Context, e ENI) error { return errors.ErrUnsupported }

// DeleteENI removes the interface and its namespace; one that does not exist is no error.
func (h *Host) DeleteENI(ctx context.Context, id string) error { return errors.ErrUnsupported }

// DeleteSubnet removes the subnet with all interfaces in it.
func (h *Host) DeleteSubnet(ctx context.Context, id string) error { return errors.ErrUnsupported }

// DeleteVPC removes the VPC with all its subnets and interfaces.
func (h *Host) DeleteVPC(ctx context.Context, id string) error { return errors.ErrUnsupported }

// Prune removes every device of this instance that does not belong to what keep names.
func (h *Host) Prune(ctx context.Context, keep Inventory) error { return errors.ErrUnsupported }

// List says what exists on the machine, sorted.
func (h *Host) List(ctx context.Context) (Inventory, error) {
	return Inventory{}, errors.ErrUnsupported
}

// ENINamespace is the path of the interface's network namespace, for an OCI spec.
func (h *Host) ENINamespace(id string) string { return "" }

// VPCNamespace is the path of the VPC's network namespace.
func (h *Host) VPCNamespace(id string) string { return "" }

// Do runs fn on an OS thread inside the interface's namespace. Goroutines that fn starts are
// outside.
func (h *Host) Do(eniID string, fn func() error) error { return errors.ErrUnsupported }

// DoVPC runs fn on an OS thread inside the VPC's namespace, where the routers' addresses are local.
func (h *Host) DoVPC(vpcID string, fn func() error) error { return errors.ErrUnsupported }

// Socket is socket(2) inside the interface's namespace, close-on-exec. The caller owns the
// descriptor, and binds and connects it wherever it likes.
func (h *Host) Socket(eniID string, domain, typ, proto int) (int, error) {
	return -1, errors.ErrUnsupported
}

// Listen listens inside the interface's namespace. The address must be a literal.
func (h *Host) Listen(ctx context.Context, eniID, network, addr string) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}

// ListenPacket listens for datagrams inside the interface's namespace.
func (h *Host) ListenPacket(ctx context.Context, eniID, network, addr string) (net.PacketConn, error) {
	return nil, errors.ErrUnsupported
}

// Dial connects from inside the interface's namespace. The address must be a literal.
func (h *Host) Dial(ctx context.Context, eniID, network, addr string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

// Close lets go of what the process holds and leaves the devices in place.
func (h *Host) Close() error { return errors.ErrUnsupported }

// Destroy removes everything of this instance and closes the host.
func (h *Host) Destroy(ctx context.Context) error { return errors.ErrUnsupported }
