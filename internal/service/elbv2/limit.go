package elbv2

import (
	"context"
	"strconv"

	api "fairlead/internal/api/elbv2"
)

// Quotas of Elastic Load Balancing with their default values, see
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
const (
	maxLoadBalancers         = 50   // application-load-balancers, per account and region
	maxListeners             = 50   // listeners-per-application-load-balancer
	maxRules                 = 100  // rules-per-application-load-balancer, default rules not counted
	maxCertificates          = 25   // certificates-per-application-load-balancer, without defaults
	maxTargetGroups          = 3000 // target-groups, per account and region
	maxGroupsPerBalancer     = 100  // target-groups-per-application-load-balancer
	maxGroupsPerAction       = 5    // target-groups-per-action-on-application-load-balancer
	maxTargetsPerGroup       = 1000 // targets-per-target-group
	maxFunctionsPerGroup     = 1    // Lambda functions per target group
	maxTargetsPerBalancer    = 1000 // targets-per-application-load-balancer
	maxConditionValues       = 5    // condition-values-per-alb-rule
	maxConditionWildcards    = 5    // condition-wildcards-per-alb-rule
	maxSecurityGroups        = 5    // security groups per load balancer
	maxTags                  = 50   // tags per resource
	maxArnsPerDescribe       = 20   // ARNs in DescribeLoadBalancers and DescribeTags
	maxWeight                = 999  // of a target group in a forward action
	maxGroupStickinessDays   = 7    // a week, 604,800 seconds
	minFreeAddresses         = 8    // free addresses in each subnet of a load balancer
	maxNameLength            = 32   // characters of a load balancer's or target group's name
	maxConditionLength       = 128  // characters of one condition value
	maxHeaderNameLength      = 40   // characters of an http-header condition's name
	maxMethodLength          = 40   // characters of an http-request-method condition value
	maxPageSize              = 400  // items in one page
	minPort, maxPort         = 1, 65535
	minPriority, maxPriority = 1, 50000
)

// DescribeAccountLimits lists the quotas, each with its default value. Those of load balancer types
// that are not served are left out.
func (s *Service) DescribeAccountLimits(
	_ context.Context, in *api.DescribeAccountLimitsInput,
) (*api.DescribeAccountLimitsOutput, error) {
	limits := []api.Limit{
		limit("target-groups", maxTargetGroups),
		limit("targets-per-application-load-balancer", maxTargetsPerBalancer),
		limit("listeners-per-application-load-balancer", maxListeners),
		limit("rules-per-application-load-balancer", maxRules),
		limit("condition-values-per-alb-rule", maxConditionValues),
		limit("condition-wildcards-per-alb-rule", maxConditionWildcards),
		limit("target-groups-per-application-load-balancer", maxGroupsPerBalancer),
		limit("target-groups-per-action-on-application-load-balancer", maxGroupsPerAction),
		limit("certificates-per-application-load-balancer", maxCertificates),
		limit("targets-per-target-group", maxTargetsPerGroup),
		limit("application-load-balancers", maxLoadBalancers),
	}
	page, next, err := paginate(limits, in.Marker, in.PageSize)
	return &api.DescribeAccountLimitsOutput{Limits: page, NextMarker: next}, err
}

func limit(name string, value int) api.Limit {
	return api.Limit{Name: &name, Max: new(strconv.Itoa(value))}
}
