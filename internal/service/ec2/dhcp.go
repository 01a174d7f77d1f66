package ec2

import (
	"context"

	"fairlead/internal/api/ec2"
	"fairlead/internal/row"
)

// DescribeDhcpOptions lists the one set of DHCP options, which all VPCs of the scope use.
func (s *Service) DescribeDhcpOptions(
	ctx context.Context, in *ec2.DescribeDhcpOptionsInput,
) (*ec2.DescribeDhcpOptionsOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	page, next, err := dhcpCatalog.list(wireAll(row.EC2s.Scan(r, scope.Key("")), wireDHCP),
		query{in.DhcpOptionsIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeDhcpOptionsOutput{DhcpOptions: page, NextToken: next}, nil
}

func wireDHCP(home row.EC2) ec2.DhcpOptions {
	return ec2.DhcpOptions{
		DhcpOptionsId: new(home.DHCPOptions), OwnerId: new(home.Account),
		DhcpConfigurations: []ec2.DhcpConfiguration{
			dhcpConfiguration("domain-name", internalDomain(home.Region)),
			dhcpConfiguration("domain-name-servers", "AmazonProvidedDNS"),
		},
		Tags: wireTags(home.DHCPOptionsTags),
	}
}

func dhcpConfiguration(key, value string) ec2.DhcpConfiguration {
	return ec2.DhcpConfiguration{
		Key: new(key), Values: []ec2.AttributeValue{{Value: new(value)}},
	}
}

// internalDomain is the domain of private DNS names. The first region's has no region in it.
func internalDomain(region string) string {
	if region == "us-east-1" {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}

var dhcpCatalog = catalog[ec2.DhcpOptions]{
	kind: dhcpKind,
	id:   func(d ec2.DhcpOptions) string { return *d.DhcpOptionsId },
	tags: func(d ec2.DhcpOptions) []ec2.Tag { return d.Tags },
	filters: filters[ec2.DhcpOptions]{
		"dhcp-options-id": func(d ec2.DhcpOptions) []string { return one(d.DhcpOptionsId) },
		"key": func(d ec2.DhcpOptions) []string {
			return each(d.DhcpConfigurations,
				func(c ec2.DhcpConfiguration) []string { return one(c.Key) })
		},
		"value": func(d ec2.DhcpOptions) []string {
			return each(d.DhcpConfigurations, func(c ec2.DhcpConfiguration) []string {
				return each(c.Values, func(v ec2.AttributeValue) []string { return one(v.Value) })
			})
		},
		"owner-id": func(d ec2.DhcpOptions) []string { return one(d.OwnerId) },
	},
}
