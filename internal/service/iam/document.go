package iam

import (
	"encoding/json" // a policy document is the user's own text, not a wire shape
	"net/url"
	"slices"
	"strings"
	"unicode"

	api "fairlead/internal/api/iam"
)

// Quotas of policy documents, in characters other than whitespace.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const (
	maxTrust   = 2048
	maxInline  = 10240 // of all inline policies of a role together
	maxManaged = 6144
)

// statement is one statement of a policy, as far as its form is checked.
type statement struct {
	Effect       string
	Principal    json.RawMessage
	NotPrincipal json.RawMessage
	Action       json.RawMessage
	NotAction    json.RawMessage
	Resource     json.RawMessage
	NotResource  json.RawMessage
}

// statements reads a document. IAM's language wants Statement to be one statement or a list.
func statements(document string) ([]statement, bool) {
	var doc struct {
		Version   string
		Statement json.RawMessage
	}
	if json.Unmarshal([]byte(document), &doc) != nil {
		return nil, false
	}
	if !slices.Contains([]string{"", "2012-10-17", "2008-10-17"}, doc.Version) {
		return nil, false
	}
	var one statement
	if json.Unmarshal(doc.Statement, &one) == nil {
		return []statement{one}, true
	}
	var all []statement
	err := json.Unmarshal(doc.Statement, &all)
	return all, err == nil && len(all) > 0
}

// checkTrust checks the form of a role's trust policy.
func checkTrust(document string) error {
	if !json.Valid([]byte(document)) {
		return api.MalformedPolicyDocumentException("This policy contains invalid Json")
	}
	all, ok := statements(document)
	if !ok {
		return api.MalformedPolicyDocumentException("Syntax errors in policy.")
	}
	for _, s := range all {
		if text := trustFault(s); text != "" {
			return api.MalformedPolicyDocumentException("%s", text)
		}
	}
	if size(document) > maxTrust {
		return limit("ACLSizePerRole", maxTrust)
	}
	return nil
}

func trustFault(s statement) string {
	switch {
	case !s.effective():
		return "Missing required field Effect"
	case s.Principal == nil && s.NotPrincipal == nil:
		return "Missing required field Principal"
	case s.Action == nil && s.NotAction == nil:
		return "Missing required field Action"
	case s.Resource != nil || s.NotResource != nil:
		return "Has prohibited field Resource"
	}
	for _, action := range texts(s.Action) {
		if a := strings.ToLower(action); !strings.HasPrefix(a, "sts:") && a != "*" {
			return "AssumeRole policy may only specify STS AssumeRole actions."
		}
	}
	return ""
}

// checkPolicy checks the form of a policy that is attached to an identity.
func checkPolicy(document string) error {
	all, ok := statements(document)
	if !ok {
		return api.MalformedPolicyDocumentException("Syntax errors in policy.")
	}
	for _, s := range all {
		if text := policyFault(s); text != "" {
			return api.MalformedPolicyDocumentException("%s", text)
		}
	}
	return nil
}

func policyFault(s statement) string {
	switch {
	case !s.effective():
		return "Syntax errors in policy."
	case s.Principal != nil || s.NotPrincipal != nil:
		return "Policy document should not specify a principal."
	case s.Action == nil && s.NotAction == nil:
		return "Policy statement must contain actions."
	case s.Resource == nil && s.NotResource == nil:
		return "Policy statement must contain resources."
	}
	for _, action := range texts(s.Action) {
		if !strings.Contains(action, ":") && action != "*" {
			return "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
		}
	}
	return ""
}

func (s statement) effective() bool { return s.Effect == "Allow" || s.Effect == "Deny" }

// texts reads a value that is one string or a list of them.
func texts(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var all []string
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	return all
}

// size is what a document counts towards a quota.
func size(document string) int {
	n := 0
	for _, r := range document {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// encoded is a document as IAM returns it: percent-encoded as RFC 3986 has it.
func encoded(document string) *string {
	return new(strings.ReplaceAll(url.QueryEscape(document), "+", "%20"))
}
