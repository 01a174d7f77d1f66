// Package elb holds the rules of Elastic Load Balancing that the API and the balancer controller
// share: which attributes exist, their defaults and permitted values, what state a target is in, and
// what an action asks of tokens.
package elb

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/aws"
)

// Attribute is one key of an attribute list: what it is when nobody set it, and what it may be.
// Values travel as strings whatever they mean.
type Attribute struct {
	Key      string
	Standard string
	check    func(key, value string) *aws.Fault
}

// Attributes are the attributes that a resource has. Rows hold only what was set.
type Attributes []Attribute

// Setting is a key and a value as a Modify call gives them.
type Setting struct{ Key, Value string }

// Values returns the value of every key: what was set, or else the standard.
func (a Attributes) Values(set map[string]string) Values {
	all := make(Values, len(a))
	for _, attr := range a {
		all[attr.Key] = attr.Standard
	}
	maps.Copy(all, set)
	return all
}

// Apply returns set with all of the changes made, or the fault of the first one that is not
// permitted. unknown makes the fault for a key that does not exist.
func (a Attributes) Apply(
	set map[string]string, changes []Setting, unknown func(key string) *aws.Fault,
) (map[string]string, error) {
	result := map[string]string{}
	maps.Copy(result, set)
	for _, c := range changes {
		i := slices.IndexFunc(a, func(attr Attribute) bool { return attr.Key == c.Key })
		if i < 0 {
			return nil, unknown(c.Key)
		}
		if fault := a[i].check(c.Key, c.Value); fault != nil {
			return nil, fault
		}
		result[c.Key] = c.Value
		if c.Value == a[i].Standard {
			delete(result, c.Key)
		}
	}
	return result, nil
}

// Values are attribute values by key.
type Values map[string]string

// Bool tells whether the attribute is "true".
func (v Values) Bool(key string) bool { return v[key] == "true" }

// Int returns the attribute's number, 0 for one that is a word, such as "off".
func (v Values) Int(key string) int {
	n, _ := strconv.Atoi(v[key])
	return n
}

// NotServed refuses what AWS would accept and Fairlead cannot honour yet. The code is one that no
// client retries on.
func NotServed(what string) *aws.Fault {
	return aws.NewFault("InvalidConfigurationRequest",
		"%s: not served by Fairlead yet, see SCOPE.md", what)
}

func invalid(format string, args ...any) *aws.Fault {
	return aws.NewFault("ValidationError", format, args...)
}

func isBoolean(key, value string) *aws.Fault { return oneOf("true", "false")(key, value) }

func oneOf(values ...string) func(key, value string) *aws.Fault {
	return func(key, value string) *aws.Fault {
		if slices.Contains(values, value) {
			return nil
		}
		// Our own text, in the form of AWS's for ranges.
		return invalid("'%s' value '%s' must be one of '%s'", key, value, strings.Join(values, ", "))
	}
}

// between accepts whole numbers from low to high, and the extra words.
func between(low, high int, words ...string) func(key, value string) *aws.Fault {
	return func(key, value string) *aws.Fault {
		n, err := strconv.Atoi(value)
		if slices.Contains(words, value) || err == nil && low <= n && n <= high {
			return nil
		}
		return invalid("'%s' value '%s' must be between '%d-%d' inclusive", key, value, low, high)
	}
}

// only accepts the standard value of something that is not honoured.
func only(standard string) func(key, value string) *aws.Fault {
	return func(key, value string) *aws.Fault {
		if value == standard {
			return nil
		}
		return NotServed("'" + key + "' value '" + value + "'")
	}
}

// anything is for keys that matter only together with one that is not honoured.
func anything(string, string) *aws.Fault { return nil }
