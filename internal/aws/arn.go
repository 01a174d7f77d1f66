package aws

import "strings"

// ARN is an Amazon Resource Name split at its colons; Resource holds all that follows the account.
type ARN struct {
	Service, Region, Account, Resource string
}

// String joins the parts: arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE.
func (a ARN) String() string {
	return "arn:" + Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// ParseARN splits s; ok is false when s is not an ARN of the served partition.
func ParseARN(s string) (arn ARN, ok bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] != Partition || p[2] == "" || p[5] == "" {
		return ARN{}, false
	}
	return ARN{Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, true
}

// ARN returns the name of a resource of this caller's account and region.
func (c Caller) ARN(service, resource string) string {
	return ARN{Service: service, Region: c.Region, Account: c.Account, Resource: resource}.String()
}
