package ec2

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
)

// How many results a page can be asked to have.
const (
	minResults = 5
	maxResults = 1000
)

// catalog says how resources of one kind are listed. T is the wire shape.
type catalog[T any] struct {
	kind    kind
	id      func(T) string
	tags    func(T) []ec2.Tag // nil: no filters by tag
	filters filters[T]
}

// query is what the Describe calls have in common.
type query struct {
	ids     []string
	filters []ec2.Filter
	max     *int32
	token   *string
}

// list returns the page of all that the query asks for, in the order of ids, and the token of the
// next page. The page is not nil, so that the wire shows an empty list.
func (c catalog[T]) list(all []T, q query) ([]T, *string, error) {
	match, err := c.matcher(q.filters)
	if err != nil {
		return nil, nil, err
	}
	if all, err = c.pick(all, q.ids); err != nil {
		return nil, nil, err
	}
	after, err := c.start(q)
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(all, func(a, b T) int { return cmp.Compare(c.id(a), c.id(b)) })
	page := []T{}
	for _, t := range all {
		if c.id(t) <= after || !match(t) {
			continue
		}
		if q.max != nil && len(page) == int(*q.max) {
			return page, new(c.token(c.id(page[len(page)-1]))), nil
		}
		page = append(page, t)
	}
	return page, nil, nil
}

// pick returns the resources with the ids, or all when there are none. Every id must exist.
func (c catalog[T]) pick(all []T, ids []string) ([]T, error) {
	if len(ids) == 0 {
		return all, nil
	}
	for _, id := range ids {
		if err := c.kind.check(id); err != nil {
			return nil, err
		}
	}
	unknown := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return slices.ContainsFunc(all, func(t T) bool { return c.id(t) == id })
	})
	if len(unknown) > 0 {
		return nil, c.kind.absent(unknown...)
	}
	return slices.DeleteFunc(all, func(t T) bool { return !slices.Contains(ids, c.id(t)) }), nil
}

// start returns the id after which the page begins.
func (c catalog[T]) start(q query) (string, error) {
	if q.max != nil {
		if len(q.ids) > 0 {
			return "", aws.NewFault("InvalidParameterCombination",
				"The parameter %sIds cannot be used with the parameter MaxResults", c.kind.prefix)
		}
		if *q.max < minResults || *q.max > maxResults {
			return "", invalid("Value ( %d ) for parameter maxResults is invalid. "+
				"Expecting a value between %d and %d.", *q.max, minResults, maxResults)
		}
	}
	if aws.Val(q.token) == "" {
		return "", nil
	}
	return c.parseToken(*q.token)
}

// token names the last id of a page. It says of which kind it is, so that it serves no other call.
func (c catalog[T]) token(last string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(c.kind.prefix + "/" + last))
}

func (c catalog[T]) parseToken(token string) (last string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	last, ok := strings.CutPrefix(string(b), c.kind.prefix+"/")
	if err != nil || !ok || last == "" {
		return "", aws.NewFault("InvalidNextToken", "The specified NextToken is not valid.")
	}
	return last, nil
}
