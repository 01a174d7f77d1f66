// Package row declares what Fairlead remembers: one row type and one table per kind of thing.
//
// There are four kinds of field: intent (what a client asked for), desired (what a controller
// decided), observed (what was seen on the machine) and history. Each field has one writer, named
// at the group of fields it stands in. Rows are values; readers must not change the slices and maps
// inside them.
//
// Keys: things that have an ARN are keyed by it, and an ARN begins with service, region and account,
// so that a scan of aws.Caller.ARN(service, "kind/") lists one caller's things. Things of EC2, which
// clients name by id alone, are keyed by Scope and id.
package row

import (
	"cmp"

	"fairlead/internal/aws"
	"fairlead/internal/state"
)

// Scope is the account and region that a row belongs to.
type Scope struct {
	Account string `json:"account"`
	Region  string `json:"region"`
}

// ScopeOf returns the scope of a caller.
func ScopeOf(c aws.Caller) Scope { return Scope{Account: c.Account, Region: c.Region} }

// Key returns the key of the thing with this id in the scope; Key("") is the prefix of them all.
func (s Scope) Key(id string) string { return s.Account + "/" + s.Region + "/" + id }

// ARN returns the name of a resource in the scope.
func (s Scope) ARN(service, resource string) string {
	return aws.ARN{Service: service, Region: s.Region, Account: s.Account, Resource: resource}.String()
}

// First returns the first row of seq.
func First[R any](seq func(yield func(R) bool)) (r R, ok bool) {
	for r := range seq {
		return r, true
	}
	return r, false
}

// Tags are the tags of a resource by key.
type Tags map[string]string

// Tables lists every table, for state.Open.
func Tables() []state.TableInfo {
	var all []state.TableInfo
	for _, group := range [][]state.TableInfo{
		ec2Tables(), elbTables(), acmTables(), ecsTables(), iamTables(), logsTables(), alarmTables(),
	} {
		all = append(all, group...)
	}
	return all
}

func pair(a, b string) string { return cmp.Or(a, "-") + "|" + b }
