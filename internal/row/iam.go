package row

import (
	"strings"
	"time"

	"fairlead/internal/state"
)

// Role is an IAM role of an account. IAM knows no regions.
type Role struct {
	Account   string    `json:"account"`
	Name      string    `json:"name"`
	Path      string    `json:"path"` // begins and ends with a slash
	ID        string    `json:"id"`   // AROA…
	CreatedAt time.Time `json:"createdAt"`

	Trust       string `json:"trust"` // the trust policy, as it was sent
	Description string `json:"description,omitempty"`
	MaxSession  int32  `json:"maxSession"`         // seconds
	Boundary    string `json:"boundary,omitempty"` // ARN of a policy
	Tags        Tags   `json:"tags,omitempty"`
	Service     string `json:"service,omitempty"` // of a service-linked role: who assumes it

	Inline   map[string]string `json:"inline,omitempty"`   // documents by policy name
	Attached []string          `json:"attached,omitempty"` // ARNs of policies
}

// RoleKey is the key of the role with this name: names differ by more than case.
func RoleKey(account, name string) string { return account + "/" + strings.ToLower(name) }

// Key returns the row's key.
func (r Role) Key() string { return RoleKey(r.Account, r.Name) }

// ARN returns the role's name.
func (r Role) ARN() string { return iamARN(r.Account, "role"+r.Path+r.Name) }

// Roles is the table of roles. Writer: the IAM service. Index: policy, the ARNs attached.
var Roles = state.NewTable("iam.role", Role.Key,
	state.Index[Role]{Name: "policy", Keys: func(r Role) []string { return r.Attached }},
)

// Policy is a managed policy of an account.
type Policy struct {
	Account     string          `json:"account"`
	Name        string          `json:"name"`
	Path        string          `json:"path"` // begins and ends with a slash
	ID          string          `json:"id"`   // ANPA…
	Description string          `json:"description,omitempty"`
	CreatedAt   time.Time       `json:"createdAt"`
	UpdatedAt   time.Time       `json:"updatedAt"` // when the default version changed last
	Versions    []PolicyVersion `json:"versions"`  // oldest first
	Default     int             `json:"default"`   // number of the version in force
	Last        int             `json:"last"`      // number given out last
	Tags        Tags            `json:"tags,omitempty"`
}

// PolicyVersion is one version of a policy's document.
type PolicyVersion struct {
	Number    int       `json:"number"` // 1 is called v1
	Document  string    `json:"document"`
	CreatedAt time.Time `json:"createdAt"`
}

// PolicyKey is the key of the policy with this name.
func PolicyKey(account, name string) string { return account + "/" + strings.ToLower(name) }

// Key returns the row's key.
func (p Policy) Key() string { return PolicyKey(p.Account, p.Name) }

// ARN returns the policy's name.
func (p Policy) ARN() string { return iamARN(p.Account, "policy"+p.Path+p.Name) }

// Policies is the table of customer managed policies. Writer: the IAM service.
var Policies = state.NewTable("iam.policy", Policy.Key)

// Session is a set of temporary credentials that STS has given out.
type Session struct {
	AccessKey string    `json:"accessKey"` // ASIA…
	Secret    string    `json:"secret"`
	Token     string    `json:"token"`
	Account   string    `json:"account"`
	Expires   time.Time `json:"expires"`

	// Of an assumed role; empty for a session of the account's root.
	RoleName    string `json:"roleName,omitempty"`
	RoleID      string `json:"roleId,omitempty"`
	SessionName string `json:"sessionName,omitempty"`
}

// Key returns the row's key.
func (s Session) Key() string { return s.AccessKey }

// ARN returns who acts in the session.
func (s Session) ARN() string {
	if s.RoleName == "" {
		return iamARN(s.Account, "root")
	}
	return "arn:aws:sts::" + s.Account + ":assumed-role/" + s.RoleName + "/" + s.SessionName
}

// Sessions is the table of temporary credentials. Writer: the STS service.
var Sessions = state.NewTable("sts.session", Session.Key)

func iamARN(account, resource string) string {
	return "arn:aws:iam::" + account + ":" + resource
}

func iamTables() []state.TableInfo { return []state.TableInfo{Roles, Policies, Sessions} }
