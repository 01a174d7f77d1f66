package vpc

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"

	"github.com/vishvananda/netlink"
)

// Ids become file names; links have at most 15 characters (IFNAMSIZ), so that they are named by a
// hash. 40 bits keep a thousand names apart with a chance of one in two million.
const (
	maxID     = 128 // characters
	maxAlias  = 255 // bytes (IFALIASZ)
	hashChars = 10
)

var (
	idForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	nameForm = regexp.MustCompile(`^[A-Za-z0-9]{1,4}$`)
)

func checkID(id string) error {
	if len(id) > maxID || !idForm.MatchString(id) {
		return fmt.Errorf("%q is not an id of 1 to %d letters, digits, '.', '_', '-'", id, maxID)
	}
	return nil
}

func checkCIDR(c netip.Prefix) error {
	if !c.IsValid() || !c.Addr().Is4() || c != c.Masked() || c.Bits() > 28 || c.Bits() < 8 {
		return fmt.Errorf("%s is not an IPv4 network of size /8 to /28", c)
	}
	return nil
}

func digest(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

func hashed(prefix, id string) string {
	return prefix + hex.EncodeToString(digest(id))[:hashChars]
}

const (
	bridgePrefix = "sub-"
	portPrefix   = "eni-"
)

func bridgeName(subnet string) string { return hashed(bridgePrefix, subnet) }
func portName(eni string) string      { return hashed(portPrefix, eni) }

// uplinkName is the name on the host of the link to a VPC.
func (h *Host) uplinkName(vpc string) string { return hashed(h.uplinkPrefix(), vpc) }
func (h *Host) uplinkPrefix() string         { return h.cfg.Name + "-" }

// hardwareAddr derives a locally administered unicast address.
func hardwareAddr(id string) net.HardwareAddr {
	mac := append(net.HardwareAddr{0x02}, digest(id)[:5]...)
	return mac
}

// offset is the n-th address of a network.
func offset(p netip.Prefix, n uint32) netip.Addr {
	b := p.Masked().Addr().As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// A note is what a link says about itself in its alias, as JSON: a process that starts learns from
// the machine alone what its predecessor made.
type (
	subnetNote struct {
		ID     string       `json:"subnet"`
		CIDR   netip.Prefix `json:"cidr"`
		Public bool         `json:"public,omitempty"`
	}
	eniNote struct {
		Addr    netip.Addr   `json:"addr"`
		Public  netip.Addr   `json:"public,omitzero"`
		Transit netip.Addr   `json:"transit,omitzero"`
		Local   []netip.Addr `json:"local,omitempty"`
		Check   bool         `json:"check,omitempty"`
	}
	uplinkNote struct {
		VPC     string     `json:"vpc"`
		Transit netip.Addr `json:"transit"`
	}
)

func setNote(link *netlink.Handle, l netlink.Link, note any) error {
	alias, err := json.Marshal(note)
	if err != nil {
		return fmt.Errorf("encode the note of %s: %w", l.Attrs().Name, err)
	}
	if l.Attrs().Alias == string(alias) {
		return nil
	}
	if err := link.LinkSetAlias(l, string(alias)); err != nil {
		return fmt.Errorf("set the alias of %s: %w", l.Attrs().Name, err)
	}
	return nil
}

func (n subnetNote) check() error { return errors.Join(checkID(n.ID), checkCIDR(n.CIDR)) }
func (n uplinkNote) check() error { return errors.Join(checkID(n.VPC), check4(n.Transit)) }

func (n eniNote) check() error {
	err := check4(n.Addr)
	for _, a := range append(n.Local, n.Public, n.Transit) {
		if a.IsValid() {
			err = errors.Join(err, check4(a))
		}
	}
	return err
}

func check4(a netip.Addr) error {
	if !a.Is4() {
		return fmt.Errorf("%s is not an IPv4 address", a)
	}
	return nil
}

// readNote decodes an alias. Links that were left half-made have none: an error.
func readNote[T interface{ check() error }](alias string) (T, error) {
	var note T
	if err := json.Unmarshal([]byte(alias), &note); err != nil {
		return note, fmt.Errorf("decode a link's alias: %w", err)
	}
	return note, note.check()
}
