package ec2

import (
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
)

// maxFilterValues is how many values the filters of one call can have together.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html
const maxFilterValues = 200

// filters names what a Describe call can be filtered by: what a resource has to offer under the
// name.
type filters[T any] map[string]func(T) []string

// matcher returns the test for all of fs: each filter must match, by any of its values.
func (c catalog[T]) matcher(fs []ec2.Filter) (func(T) bool, error) {
	var tests []func(T) bool
	count := 0
	for _, f := range fs {
		values, err := c.values(aws.Val(f.Name))
		if err != nil {
			return nil, err
		}
		if count += len(f.Values); count > maxFilterValues {
			return nil, aws.NewFault("FilterLimitExceeded",
				"The maximum number of filter values specified on a single call is %d",
				maxFilterValues)
		}
		tests = append(tests, func(t T) bool { return matchAny(f.Values, values(t)) })
	}
	return func(t T) bool {
		return !slices.ContainsFunc(tests, func(test func(T) bool) bool { return !test(t) })
	}, nil
}

// values returns what the filter looks at.
func (c catalog[T]) values(name string) (func(T) []string, error) {
	if values, ok := c.filters[name]; ok {
		return values, nil
	}
	if c.tags != nil {
		if key, ok := strings.CutPrefix(name, "tag:"); ok && key != "" {
			return func(t T) []string { return tagValues(c.tags(t), key) }, nil
		}
		if name == "tag-key" {
			return func(t T) []string { return tagKeys(c.tags(t)) }, nil
		}
	}
	return nil, invalid("The filter '%s' is invalid", name)
}

func tagKeys(tags []ec2.Tag) []string {
	return each(tags, func(t ec2.Tag) []string { return one(t.Key) })
}

func tagValues(tags []ec2.Tag, key string) []string {
	return each(tags, func(t ec2.Tag) []string {
		if aws.Val(t.Key) != key {
			return nil
		}
		return one(t.Value)
	})
}

func matchAny(patterns, values []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return wildcard(p, v) })
	})
}

// wildcard reports whether value matches pattern, in which * stands for any characters, ? for one,
// and a backslash takes the next character as it is. It takes time in proportion to the product of
// the lengths: after a mismatch only the last * is tried again.
func wildcard(pattern, value string) bool {
	p, v := 0, 0
	star, from := -1, 0 // after the last *: where in pattern, and what it has swallowed up to
	for v < len(value) {
		if p < len(pattern) && pattern[p] == '*' {
			star, from = p+1, v
			p++
			continue
		}
		if width, ok := matchByte(pattern[p:], value[v]); ok {
			p, v = p+width, v+1
			continue
		}
		if star < 0 {
			return false
		}
		from++
		p, v = star, from
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchByte reports whether pattern begins with something that matches b, and how long that is.
func matchByte(pattern string, b byte) (width int, ok bool) {
	switch {
	case pattern == "":
		return 0, false
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, pattern[1] == b
	}
	return 1, pattern[0] == '?' || pattern[0] == b
}

// one returns the value as a list, empty when it is absent.
func one[S ~string](value *S) []string {
	if value == nil {
		return nil
	}
	return []string{string(*value)}
}

// enum is one for members that are not pointers.
func enum[S ~string](value S) []string {
	if value == "" {
		return nil
	}
	return []string{string(value)}
}

func flag(value *bool) []string {
	if value == nil {
		return nil
	}
	return []string{strconv.FormatBool(*value)}
}

func number(value *int32) []string {
	if value == nil {
		return nil
	}
	return []string{strconv.Itoa(int(*value))}
}

// each gathers what values returns for the members of list.
func each[E any](list []E, values func(E) []string) (all []string) {
	for _, e := range list {
		all = append(all, values(e)...)
	}
	return all
}

// off is what filters look at that are documented for switches that cannot be turned on.
func off[T any](T) []string { return []string{"false"} }

// never is what filters look at that are documented for things Fairlead does not have.
func never[T any](T) []string { return nil }
