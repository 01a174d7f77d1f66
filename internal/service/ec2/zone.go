package ec2

import "strings"

// zone is an availability zone. Every region has three.
type zone struct {
	name string // eu-west-1a
	id   string // euw1-az1
}

// zonesOf returns the zones of a region.
func zonesOf(region string) []zone {
	return []zone{
		{region + "a", shortRegion(region) + "-az1"},
		{region + "b", shortRegion(region) + "-az2"},
		{region + "c", shortRegion(region) + "-az3"},
	}
}

// shortRegion abbreviates a region the way zone ids do: eu-west-1 is euw1, ap-southeast-2 is apse2.
// https://docs.aws.amazon.com/ram/latest/userguide/working-with-az-ids.html
func shortRegion(region string) string {
	return strings.NewReplacer("north", "n", "south", "s", "east", "e", "west", "w",
		"central", "c", "gov", "g", "-", "").Replace(region)
}
