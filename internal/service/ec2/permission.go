package ec2

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// anyProtocol stands for all protocols, and so for all ports.
const anyProtocol = "-1"

// asker is the group whose rules a call is about, and what the call may refer to.
type asker struct {
	r      state.Reader
	group  row.SecurityGroup
	egress bool
}

// rules turns permissions into rules: one per peer, without ids.
func (a asker) rules(permissions []ec2.IpPermission) (all []row.SecurityGroupRule, err error) {
	for _, p := range permissions {
		base, err := a.ports(aws.Val(p.IpProtocol), p.FromPort, p.ToPort)
		if err != nil {
			return nil, err
		}
		if len(p.PrefixListIds) > 0 {
			return nil, aws.NewFault("InvalidPrefixListID.NotFound",
				"The prefix list ID '%s' does not exist", aws.Val(p.PrefixListIds[0].PrefixListId))
		}
		peers, err := a.peers(base, p)
		if err != nil {
			return nil, err
		}
		all = append(all, peers...)
	}
	if len(all) == 0 {
		return nil, missing("ipPermissions")
	}
	return all, nil
}

// peers returns one copy of base for each peer that the permission names.
func (a asker) peers(
	base row.SecurityGroupRule, p ec2.IpPermission,
) (all []row.SecurityGroupRule, err error) {
	add := func(description *string, set func(*row.SecurityGroupRule) error) {
		rule := base
		rule.Description = aws.Val(description)
		if err == nil {
			err = checkRuleText(rule.Description)
		}
		if err == nil {
			err = set(&rule)
		}
		all = append(all, rule)
	}
	for _, r := range p.IpRanges {
		add(r.Description, func(rule *row.SecurityGroupRule) (err error) {
			rule.CIDR, err = parseRange(aws.Val(r.CidrIp), false)
			return err
		})
	}
	for _, r := range p.Ipv6Ranges {
		add(r.Description, func(rule *row.SecurityGroupRule) (err error) {
			rule.CIDR, err = parseRange(aws.Val(r.CidrIpv6), true)
			return err
		})
	}
	for _, pair := range p.UserIdGroupPairs {
		add(pair.Description, func(rule *row.SecurityGroupRule) (err error) {
			rule.Group, err = a.peerGroup(pair)
			return err
		})
	}
	return all, err
}

func checkRuleText(description string) error {
	if groupText.MatchString(description) {
		return nil
	}
	return invalid("Invalid rule description. Valid descriptions are strings less than 256 " +
		"characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
}

func parseRange(text string, ipv6 bool) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is6() != ipv6 || p.Addr().Is4In6() {
		return p, invalid("CIDR block %s is malformed", text)
	}
	return p.Masked(), nil
}

// peerGroup returns the id of the group that a pair names.
func (a asker) peerGroup(pair ec2.UserIdGroupPair) (string, error) {
	scope := a.group.Scope
	if pair.VpcPeeringConnectionId != nil || aws.Or(pair.UserId, scope.Account) != scope.Account {
		return "", unsupported("security groups of other accounts")
	}
	if pair.GroupId == nil {
		v, _ := row.VPCs.Get(a.r, scope.Key(a.group.VPC))
		g, err := groupByName(a.r, v, aws.Val(pair.GroupName))
		return g.ID, err
	}
	g, err := find(a.r, row.SecurityGroups, groupKind, scope, pair.GroupId)
	if err == nil && g.VPC != a.group.VPC {
		err = aws.NewFault("InvalidGroup.NotFound",
			"You have specified two resources that belong to different networks.")
	}
	return g.ID, err
}

// ports returns a rule for the protocol and ports, still without a peer.
func (a asker) ports(protocol string, from, to *int32) (row.SecurityGroupRule, error) {
	name, err := parseProtocol(protocol)
	rule := row.SecurityGroupRule{
		Egress: a.egress, Protocol: name, From: aws.Or(from, -1), To: aws.Or(to, -1),
	}
	switch {
	case err != nil:
	case name == "tcp" || name == "udp":
		err = checkPorts(from, to)
	case name == "icmp" || name == "icmpv6":
		err = checkICMP(rule.From, rule.To)
	default: // other protocols have no ports
		rule.From, rule.To = -1, -1
	}
	return rule, err
}

// parseProtocol returns the protocol as AWS shows it: by name where it has one, else by number.
func parseProtocol(text string) (string, error) {
	names := map[string]string{"all": anyProtocol, anyProtocol: anyProtocol, "tcp": "tcp",
		"6": "tcp", "udp": "udp", "17": "udp", "icmp": "icmp", "1": "icmp",
		"icmpv6": "icmpv6", "58": "icmpv6"}
	if text == "" {
		return "", missing("ipProtocol")
	}
	if name, ok := names[strings.ToLower(text)]; ok {
		return name, nil
	}
	if n, err := strconv.ParseUint(text, 10, 8); err == nil {
		return strconv.FormatUint(n, 10), nil
	}
	return "", invalid("Invalid value '%s' for IP protocol. Unknown protocol.", text)
}

func checkPorts(from, to *int32) error {
	if from == nil || to == nil {
		return invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' " +
			"for portRange.")
	}
	for _, port := range []int32{*from, *to} {
		if port < 0 || port > 65535 {
			return invalid("TCP/UDP port (%d) out of range", port)
		}
	}
	if *from > *to {
		return invalid("Invalid TCP/UDP port range (%d:%d)", *from, *to)
	}
	return nil
}

// checkICMP checks a type and a code; -1 means all, and then all codes too.
func checkICMP(typ, code int32) error {
	if typ < -1 || typ > 255 {
		return invalid("ICMP type (%d) out of range", typ)
	}
	if code < -1 || code > 255 {
		return invalid("ICMP code (%d) out of range", code)
	}
	if typ == -1 && code != -1 {
		return invalid("ICMP code (%d) with all ICMP types", code)
	}
	return nil
}

// sameRule reports whether two rules allow the same, whatever their ids and descriptions.
func sameRule(a, b row.SecurityGroupRule) bool {
	return a.Egress == b.Egress && a.Protocol == b.Protocol && a.From == b.From && a.To == b.To &&
		a.CIDR == b.CIDR && a.Group == b.Group
}

// ruleText describes a rule the way faults do.
func ruleText(r row.SecurityGroupRule) string {
	peer := r.Group
	if r.CIDR.IsValid() {
		peer = r.CIDR.String()
	}
	if r.Protocol == anyProtocol {
		return fmt.Sprintf("peer: %s, ALL, ALLOW", peer)
	}
	return fmt.Sprintf("peer: %s, %s, from port: %d, to port: %d, ALLOW",
		peer, strings.ToUpper(r.Protocol), r.From, r.To)
}

// permissions gathers the rules of one direction by protocol and ports.
func permissions(g row.SecurityGroup, egress bool) []ec2.IpPermission {
	list := []ec2.IpPermission{}
	index := map[string]int{}
	for _, r := range g.Rules {
		if r.Egress != egress {
			continue
		}
		key := fmt.Sprint(r.Protocol, " ", r.From, " ", r.To)
		at, ok := index[key]
		if !ok {
			at = len(list)
			index[key] = at
			list = append(list, permissionFor(r))
		}
		addPeer(&list[at], g, r)
	}
	return list
}

// permissionFor returns the permission for the rule's protocol and ports, without peers.
func permissionFor(r row.SecurityGroupRule) ec2.IpPermission {
	p := ec2.IpPermission{
		IpProtocol: new(r.Protocol), IpRanges: []ec2.IpRange{}, Ipv6Ranges: []ec2.Ipv6Range{},
		PrefixListIds: []ec2.PrefixListId{}, UserIdGroupPairs: []ec2.UserIdGroupPair{},
	}
	switch r.Protocol {
	case "tcp", "udp", "icmp", "icmpv6":
		p.FromPort, p.ToPort = new(r.From), new(r.To)
	}
	return p
}

func addPeer(p *ec2.IpPermission, g row.SecurityGroup, r row.SecurityGroupRule) {
	description := wireText(r.Description)
	switch {
	case r.Group != "":
		p.UserIdGroupPairs = append(p.UserIdGroupPairs, ec2.UserIdGroupPair{
			GroupId: new(r.Group), UserId: new(g.Account), Description: description,
		})
	case r.CIDR.Addr().Is6():
		p.Ipv6Ranges = append(p.Ipv6Ranges,
			ec2.Ipv6Range{CidrIpv6: new(r.CIDR.String()), Description: description})
	default:
		p.IpRanges = append(p.IpRanges,
			ec2.IpRange{CidrIp: new(r.CIDR.String()), Description: description})
	}
}

// wireText returns the text, or nil when there is none.
func wireText(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// wireRule shows one rule by itself.
func wireRule(g row.SecurityGroup, rule row.SecurityGroupRule) ec2.SecurityGroupRule {
	wire := ec2.SecurityGroupRule{
		SecurityGroupRuleId:  new(rule.ID),
		SecurityGroupRuleArn: new(g.Scope.ARN("ec2", "security-group-rule/"+rule.ID)),
		GroupId:              new(g.ID), GroupOwnerId: new(g.Account), IsEgress: new(rule.Egress),
		IpProtocol: new(rule.Protocol), FromPort: new(rule.From), ToPort: new(rule.To),
		Description: wireText(rule.Description), Tags: wireTags(rule.Tags),
	}
	switch {
	case rule.Group != "":
		wire.ReferencedGroupInfo = &ec2.ReferencedSecurityGroup{
			GroupId: new(rule.Group), UserId: new(g.Account), VpcId: new(g.VPC),
		}
	case rule.CIDR.Addr().Is6():
		wire.CidrIpv6 = new(rule.CIDR.String())
	default:
		wire.CidrIpv4 = new(rule.CIDR.String())
	}
	return wire
}
