package elbv2

import (
	"context"
	"slices"
	"strings"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/eni"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// dnsDigits is how many digits tell the DNS names of load balancers of the same name apart.
const dnsDigits = 10

// CreateLoadBalancer makes a load balancer with a network interface in each of its subnets. It
// returns the existing one when name and settings are the same; tags do not count as settings.
func (s *Service) CreateLoadBalancer(
	ctx context.Context, in *api.CreateLoadBalancerInput,
) (*api.CreateLoadBalancerOutput, error) {
	caller := aws.CallerFrom(ctx)
	if err := checkBalancer(in); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	b := row.LoadBalancer{
		Scope: row.ScopeOf(caller), Name: aws.Val(in.Name), ID: aws.HexID(16),
		Scheme: string(in.Scheme), CreatedAt: s.now().UTC(), Tags: tags,
		State: string(api.LoadBalancerStateEnumProvisioning),
	}
	if b.Scheme == "" {
		b.Scheme = string(api.LoadBalancerSchemeEnumInternetFacing)
	}
	b.ARN = caller.ARN("elasticloadbalancing", "loadbalancer/"+b.Path())
	b.DNSName = s.dnsName(b)
	made, err := update(ctx, s, func(tx *state.Tx) (row.LoadBalancer, error) {
		return createBalancer(tx, b, in)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateLoadBalancerOutput{
		LoadBalancers: []api.LoadBalancer{describeBalancer(s.store.View(), made)},
	}, nil
}

// dnsName returns NAME-DIGITS.REGION.elb.SUFFIX, with the prefix internal- where it is.
func (s *Service) dnsName(b row.LoadBalancer) string {
	name := b.Name + "-" + aws.Digits(dnsDigits) + "." + b.Region + ".elb." + s.suffix
	if b.Internal() {
		return "internal-" + name
	}
	return name
}

// checkBalancer checks what does not depend on other rows.
func checkBalancer(in *api.CreateLoadBalancerInput) error {
	name := aws.Val(in.Name)
	if err := checkName("Load balancer", name); err != nil {
		return err
	}
	if strings.HasPrefix(name, "internal-") { // our own text
		return invalid("Load balancer name '%s' cannot begin with 'internal-'", name)
	}
	switch {
	case in.Type != "" && in.Type != api.LoadBalancerTypeEnumApplication:
		return elb.NotServed("Load balancer type '" + string(in.Type) + "'")
	case in.CustomerOwnedIpv4Pool != nil:
		return elb.NotServed("CustomerOwnedIpv4Pool")
	case in.IpamPools != nil:
		return elb.NotServed("IpamPools")
	case in.EnablePrefixForIpv6SourceNat == api.EnablePrefixForIpv6SourceNatEnumOn:
		return elb.NotServed("EnablePrefixForIpv6SourceNat 'on'")
	}
	return checkIPAddressType(in.IpAddressType)
}

func checkIPAddressType(t api.IpAddressType) error {
	if t == "" || t == api.IpAddressTypeIpv4 {
		return nil
	}
	return elb.NotServed("IP address type '" + string(t) + "'")
}

// checkName checks the name of a load balancer or target group.
func checkName(kind, name string) error {
	alphanumeric := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	switch {
	case name == "":
		return invalid("%s name must be specified", kind) // our own text
	case len(name) > maxNameLength:
		return invalid("%s name '%s' cannot be longer than '%d' characters", kind, name, maxNameLength)
	case strings.ContainsFunc(name, func(r rune) bool { return r != '-' && !alphanumeric(r) }):
		return invalid("%s name '%s' can only contain characters that are alphanumeric characters "+
			"or hyphens(-)", kind, name)
	case strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-"):
		return invalid("%s name '%s' cannot begin or end with a hyphen(-)", kind, name) // by analogy
	}
	return nil
}

func createBalancer(
	tx *state.Tx, b row.LoadBalancer, in *api.CreateLoadBalancerInput,
) (row.LoadBalancer, error) {
	subnets, err := subnetsOf(tx, b.Scope, in.Subnets, in.SubnetMappings)
	if err != nil {
		return b, err
	}
	b.VPC = subnets[0].VPC
	if b.SecurityGroups, err = securityGroups(tx, b, in.SecurityGroups); err != nil {
		return b, err
	}
	if old, ok := row.First(row.LoadBalancers.By(tx, "name", b.Scope.Key(b.Name))); ok {
		if sameBalancer(tx, old, b, subnets) {
			return old, nil
		}
		return b, api.DuplicateLoadBalancerNameException("A load balancer with the same name '%s' "+
			"exists, but with different settings", b.Name)
	}
	prefix := b.Scope.ARN("elasticloadbalancing", "loadbalancer/")
	if count(row.LoadBalancers.Scan(tx, prefix)) >= maxLoadBalancers { // our own text
		return b, api.TooManyLoadBalancersException(
			"The maximum number of load balancers '%d' has been reached", maxLoadBalancers)
	}
	if err := checkSubnets(tx, b, subnets); err != nil {
		return b, err
	}
	for _, subnet := range subnets {
		node, err := newNode(tx, b, subnet)
		if err != nil {
			return b, err
		}
		b.Nodes = append(b.Nodes, node)
	}
	row.LoadBalancers.Put(tx, b)
	return b, nil
}

// sameBalancer tells whether an existing load balancer has the settings that another is asked with.
func sameBalancer(r state.Reader, old, asked row.LoadBalancer, subnets []row.Subnet) bool {
	var have, want []string
	for _, n := range old.Nodes {
		have = append(have, n.Subnet)
	}
	for _, s := range subnets {
		want = append(want, s.ID)
	}
	return old.Scheme == asked.Scheme && sameSet(have, want) &&
		sameSet(old.SecurityGroups, asked.SecurityGroups)
}

// newNode allocates the network interface of a load balancer in a subnet.
func newNode(tx *state.Tx, b row.LoadBalancer, subnet row.Subnet) (row.LoadBalancerNode, error) {
	n, err := eni.Allocate(tx, eni.Request{
		Scope: b.Scope, Subnet: subnet.ID, Groups: b.SecurityGroups,
		Description: "ELB " + b.Path(), Owner: b.ARN,
		Requester: "amazon-elb", InstanceOwner: "amazon-elb",
		Public: !b.Internal(), HostListens: true,
	})
	return row.LoadBalancerNode{Zone: subnet.Zone, Subnet: subnet.ID, ENI: n.ID}, err
}

// DescribeLoadBalancers lists load balancers: all, or those with the given ARNs or names.
func (s *Service) DescribeLoadBalancers(
	ctx context.Context, in *api.DescribeLoadBalancersInput,
) (*api.DescribeLoadBalancersOutput, error) {
	if len(in.LoadBalancerArns) > maxArnsPerDescribe { // our own text
		return nil, invalid("Cannot have more than %d load balancer ARNs", maxArnsPerDescribe)
	}
	if len(in.LoadBalancerArns) > 0 && len(in.Names) > 0 {
		return nil, invalid(
			"Load balancer names and load balancer ARNs cannot be specified at the same time")
	}
	view := s.store.View()
	balancers, err := selectBalancers(view, row.ScopeOf(aws.CallerFrom(ctx)), in)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(balancers, in.Marker, in.PageSize)
	out := &api.DescribeLoadBalancersOutput{LoadBalancers: []api.LoadBalancer{}, NextMarker: next}
	for _, b := range page {
		out.LoadBalancers = append(out.LoadBalancers, describeBalancer(view, b))
	}
	return out, err
}

func selectBalancers(
	r state.Reader, scope row.Scope, in *api.DescribeLoadBalancersInput,
) ([]row.LoadBalancer, error) {
	var found []row.LoadBalancer
	for _, arn := range in.LoadBalancerArns {
		b, err := findBalancer(r, arn)
		if err != nil {
			return nil, err
		}
		found = append(found, b)
	}
	for _, name := range in.Names {
		b, ok := row.First(row.LoadBalancers.By(r, "name", scope.Key(name)))
		if !ok {
			return nil, api.LoadBalancerNotFoundException("Load balancers '[%s]' not found", name)
		}
		found = append(found, b)
	}
	if len(in.LoadBalancerArns) > 0 || len(in.Names) > 0 {
		return found, nil
	}
	prefix := scope.ARN("elasticloadbalancing", "loadbalancer/")
	return slices.Collect(row.LoadBalancers.Scan(r, prefix)), nil
}

func describeBalancer(_ state.Reader, b row.LoadBalancer) api.LoadBalancer {
	out := api.LoadBalancer{
		LoadBalancerArn: &b.ARN, LoadBalancerName: &b.Name, DNSName: &b.DNSName,
		CanonicalHostedZoneId: new(hostedZone(b.Region)), CreatedTime: &b.CreatedAt,
		Scheme: api.LoadBalancerSchemeEnum(b.Scheme), VpcId: &b.VPC,
		State:          &api.LoadBalancerState{Code: api.LoadBalancerStateEnum(b.State)},
		Type:           api.LoadBalancerTypeEnumApplication,
		SecurityGroups: slices.Concat([]string{}, b.SecurityGroups),
		IpAddressType:  api.IpAddressTypeIpv4, AvailabilityZones: describeZones(b),
	}
	return out
}

func describeZones(b row.LoadBalancer) []api.AvailabilityZone {
	zones := []api.AvailabilityZone{}
	for _, n := range b.Nodes {
		zones = append(zones, api.AvailabilityZone{
			ZoneName: new(n.Zone), SubnetId: new(n.Subnet),
			LoadBalancerAddresses: []api.LoadBalancerAddress{},
		})
	}
	return zones
}

// DeleteLoadBalancer removes a load balancer with its listeners, rules and network interfaces; one
// that does not exist is no error.
func (s *Service) DeleteLoadBalancer(
	ctx context.Context, in *api.DeleteLoadBalancerInput,
) (*api.DeleteLoadBalancerOutput, error) {
	arn := aws.Val(in.LoadBalancerArn)
	if err := checkARN(arn, "loadbalancer/", "load balancer"); err != nil {
		return nil, err
	}
	return &api.DeleteLoadBalancerOutput{}, s.store.Update(ctx, func(tx *state.Tx) error {
		b, ok := row.LoadBalancers.Get(tx, arn)
		if !ok {
			return nil
		}
		if elb.OfBalancer(b).Values(b.Attributes).Bool(elb.DeletionProtection) {
			return api.OperationNotPermittedException("Load balancer '%s' cannot be deleted because "+
				"deletion protection is enabled", arn)
		}
		for l := range row.Listeners.By(tx, "balancer", arn) {
			deleteListener(tx, l)
		}
		for _, n := range b.Nodes {
			eni.Release(tx, b.Scope.Key(n.ENI))
		}
		row.LoadBalancers.Delete(tx, arn)
		return nil
	})
}

// DescribeCapacityReservation shows that nothing is reserved.
func (s *Service) DescribeCapacityReservation(
	_ context.Context, in *api.DescribeCapacityReservationInput,
) (*api.DescribeCapacityReservationOutput, error) {
	_, err := findBalancer(s.store.View(), aws.Val(in.LoadBalancerArn))
	return &api.DescribeCapacityReservationOutput{}, err
}

// SetIpAddressType accepts what is so anyway, ipv4.
func (s *Service) SetIpAddressType(
	_ context.Context, in *api.SetIpAddressTypeInput,
) (*api.SetIpAddressTypeOutput, error) {
	if _, err := findBalancer(s.store.View(), aws.Val(in.LoadBalancerArn)); err != nil {
		return nil, err
	}
	out := &api.SetIpAddressTypeOutput{IpAddressType: api.IpAddressTypeIpv4}
	return out, checkIPAddressType(in.IpAddressType)
}

// findBalancer returns the load balancer with the ARN.
func findBalancer(r state.Reader, arn string) (row.LoadBalancer, error) {
	if err := checkARN(arn, "loadbalancer/", "load balancer"); err != nil {
		return row.LoadBalancer{}, err
	}
	b, ok := row.LoadBalancers.Get(r, arn)
	if !ok {
		return b, api.LoadBalancerNotFoundException("Load balancer '%s' not found", arn)
	}
	return b, nil
}

// checkARN refuses what is not the ARN of a resource of the kind.
func checkARN(arn, prefix, kind string) error {
	parsed, ok := aws.ParseARN(arn)
	if !ok || parsed.Service != "elasticloadbalancing" || !strings.HasPrefix(parsed.Resource, prefix) {
		return invalid("'%s' is not a valid %s ARN", arn, kind)
	}
	return nil
}

func count[T any](seq func(yield func(T) bool)) (n int) {
	for range seq {
		n++
	}
	return n
}

// sameSet tells whether two lists have the same members; neither has one twice.
func sameSet(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(s string) bool {
		return !slices.Contains(b, s)
	})
}
