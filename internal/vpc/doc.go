// Package vpc makes the devices of the virtual network: VPCs, subnets, elastic network interfaces
// (ENIs) and internet gateways, out of network namespaces, bridges, veth pairs and nftables. It
// knows no AWS API and keeps no state of its own: what is on the machine is the truth. It needs
// root.
//
// # What stands for what
//
//	host namespace               VPC namespace                              ENI namespace
//	                                           ┌ sub-… bridge, .1 and .2 ─ eni-… ─── eth0  10.0.1.5
//	NAME-… ───────────────── igw ── routing ───┤
//	  NAT, transit addresses  NAT              └ sub-… bridge, .1 and .2 ─ eni-… ─── eth0  10.0.2.7
//
// A VPC is a namespace that routes; a subnet is a bridge in it, which has the subnet's address 1
// (the router) and 2; the VPC's resolver address, base plus 2, is on its lo. An ENI is a
// namespace of its own, that of a Fargate task or of a load balancer's node, and a veth pair from
// there to the bridge. Two VPCs share nothing, so that both may have 10.0.0.0/16. IPv6 is off,
// except ::1.
//
// # Ensure, Delete, Prune
//
// Ensure methods compare with the kernel and do what is missing, so that a controller calls them
// again and again: they mend what a crash, a reboot or an administrator broke. Namespaces are
// bind mounts in Config.Dir, named by id; a mount is made last, when the namespace is complete.
// Links are named by hashes of ids and tell the rest in their alias (see the notes in name.go).
// After kill -9 Open reads all that back while traffic goes on, and Prune removes what nobody
// wants any more.
//
// # The internet gateway
//
// As on AWS, an interface gets to the internet, and is reached from there, if it has a public
// address in a subnet with a route to the gateway. It is translated 1:1 in two steps, because
// private addresses mean something only inside their VPC:
//
//	public address   <─ host ─>   transit address   <─ VPC ─>   private address
//
// Transit addresses come from a /20 of 198.18.0.0/15 that the instance claims when it first needs
// one (see transit). Public addresses are by default loopback addresses, 127.x.y.z: reached from
// the host only, the source becoming the host's transit address; the way out then has the host's
// address. Any other public address must be brought to the host by its network; it is reached
// from everywhere, the interface sees the client's own address, and the way out has the public
// address.
//
// On the host there are: one link per VPC with a gateway, with route_localnet; a route per public
// address; one nftables table. While there is a gateway the host forwards (net.ipv4.ip_forward).
// If it did not before, it does not afterwards either, unless another instance still needs it;
// the file enabled-ip-forward in Config.Dir remembers. A firewall of the host whose forward hook
// drops by default, such as Docker's, must let the links NAME-* pass: a table cannot overrule
// another.
//
// # The source/destination check, and security groups
//
// The check is a bridge table in the VPC's namespace (check.go): a checked port carries IPv4
// packets of its own address only. Security groups will stand on that: since a checked address
// cannot be forged, rules may go by addresses. They belong into an ip table at the forward hook
// of the VPC's namespace, where routed packets pass anyway; bridged ones pass it too once
// net.bridge.bridge-nf-call-iptables is set there (vpcSysctls sets it off). Connection tracking
// in the bridge family itself is missing from many kernels (NF_CONNTRACK_BRIDGE).
package vpc
