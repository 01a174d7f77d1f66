package row

import (
	"time"

	"fairlead/internal/state"
)

// NetworkInterface is an elastic network interface: of a task, of a load-balancer node, or made by
// a client. Package eni allocates and releases them inside a transaction; the network controller
// makes the devices and alone writes Ready.
type NetworkInterface struct {
	Scope
	ID     string `json:"id"` // eni-…
	VPC    string `json:"vpc"`
	Subnet string `json:"subnet"`
	Zone   string `json:"zone"`
	MAC    string `json:"mac"`

	Address       string   `json:"address"`                 // private IPv4, unique in the VPC
	PublicAddress string   `json:"publicAddress,omitempty"` // from the pool, unique in the store
	Groups        []string `json:"groups,omitempty"`        // security group ids

	Description      string `json:"description,omitempty"`
	RequesterManaged bool   `json:"requesterManaged,omitempty"`
	Requester        string `json:"requester,omitempty"`     // e.g. "amazon-elb"
	InstanceOwner    string `json:"instanceOwner,omitempty"` // attachment owner, e.g. "amazon-elb"
	Attachment       string `json:"attachment,omitempty"`    // eni-attach-…
	Owner            string `json:"owner,omitempty"`         // ARN of the task or load balancer
	// HostListens is set for load-balancer nodes: the public address is bound by the data plane on
	// the host itself, so the network must not translate it.
	HostListens bool `json:"hostListens,omitempty"`
	// NoSourceDestCheck lets the interface carry packets that are neither from nor to its address.
	NoSourceDestCheck bool      `json:"noSourceDestCheck,omitempty"`
	ClientToken       string    `json:"clientToken,omitempty"`
	CreatedAt         time.Time `json:"createdAt"`
	Tags              Tags      `json:"tags,omitempty"`

	// Ready: the devices exist and carry the address. Writer: network controller.
	Ready bool `json:"ready,omitempty"`
}

// Key returns the row's key.
func (n NetworkInterface) Key() string { return n.Scope.Key(n.ID) }

// NetworkInterfaces is the table of elastic network interfaces.
// Indexes: id, subnet, vpc, group (security group id), owner (ARN), public (address), token (the
// client's).
var NetworkInterfaces = state.NewTable("ec2.eni", NetworkInterface.Key,
	byOne("id", func(n NetworkInterface) string { return n.ID }),
	byOne("subnet", func(n NetworkInterface) string { return n.Subnet }),
	byOne("vpc", func(n NetworkInterface) string { return n.VPC }),
	state.Index[NetworkInterface]{Name: "group", Keys: func(n NetworkInterface) []string {
		return n.Groups
	}},
	byOne("owner", func(n NetworkInterface) string { return n.Owner }),
	byOne("public", func(n NetworkInterface) string { return n.PublicAddress }),
	byOne("token", func(n NetworkInterface) string { return n.ClientToken }),
)
