// Package iam serves the part of AWS Identity and Access Management that ECS stands on: roles,
// their policies, service-linked roles. Policies are checked for their form, stored and returned;
// they are not evaluated: every caller may do everything. README.md lists the operations.
//
// IAM is global: what it keeps belongs to an account, whatever region the caller signs for.
package iam

import (
	"cmp"
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"

	api "fairlead/internal/api/iam"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// Service holds the handlers of IAM.
type Service struct {
	store *state.Store
	now   func() time.Time
}

// New returns the handlers over a store that was opened with row.Tables.
func New(store *state.Store) *Service { return &Service{store: store, now: time.Now} }

// Register adds the handlers to the router.
func (s *Service) Register(r *wire.Router) {
	s.registerRoles(r)
	s.registerRolePolicies(r)
	s.registerPolicies(r)
	s.registerVersions(r)
	s.registerServiceLinkedRoles(r)
	wire.Handle(r, api.OpGetUser, s.GetUser)
}

func account(ctx context.Context) string { return aws.CallerFrom(ctx).Account }

// The alphabet and length of IAM's unique ids, e.g. AROA and 17 characters more.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
const (
	idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	idTail     = 17
)

func uniqueID(prefix string) string { return prefix + aws.Random(idAlphabet, idTail) }

// maxTags is the quota of tags per role or policy.
const maxTags = 50

func tagsOf(list []api.Tag) row.Tags {
	tags := row.Tags{}
	for _, t := range list {
		tags[aws.Val(t.Key)] = aws.Val(t.Value)
	}
	return tags
}

func tagList(tags row.Tags) []api.Tag {
	list := []api.Tag{}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, api.Tag{Key: &key, Value: new(tags[key])})
	}
	return list
}

// addTags returns tags with those of list; the old map stays as it is.
func addTags(tags row.Tags, list []api.Tag) (row.Tags, error) {
	all := maps.Clone(tags)
	if all == nil {
		all = row.Tags{}
	}
	maps.Copy(all, tagsOf(list))
	if len(all) > maxTags {
		return nil, limit("TagsPerResource", maxTags)
	}
	return all, nil
}

func removeTags(tags row.Tags, keys []string) row.Tags {
	left := maps.Clone(tags)
	for _, key := range keys {
		delete(left, key)
	}
	return left
}

func limit(quota string, n int) *aws.Fault {
	return api.LimitExceededException("Cannot exceed quota for %s: %d", quota, n)
}

// defaultPage is how many items a list has when the caller does not say.
const defaultPage = 100

// page cuts one page out of a list that is sorted by key. Its marker is the last key of the page
// before.
func page[T any](all []T, key func(T) string, marker *string, items *int32) (
	list []T, next *string, truncated *bool, err error,
) {
	if marker != nil {
		after, err := base64.RawURLEncoding.DecodeString(*marker)
		if err != nil {
			return nil, nil, nil, api.InvalidInputException("Invalid Marker.")
		}
		i, found := slices.BinarySearchFunc(all, string(after), func(t T, k string) int {
			return cmp.Compare(key(t), k)
		})
		if found {
			i++
		}
		all = all[i:]
	}
	n := int(aws.Or(items, defaultPage))
	if len(all) <= n {
		return all, nil, new(false), nil
	}
	last := base64.RawURLEncoding.EncodeToString([]byte(key(all[n-1])))
	return all[:n], &last, new(true), nil
}

func inPath(path string, prefix *string) bool { return strings.HasPrefix(path, aws.Val(prefix)) }

// rootSince is when every account came into being, for want of a record.
var rootSince = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)

// GetUser answers for the caller itself, which is the account's root: there are no users.
func (s *Service) GetUser(ctx context.Context, in *api.GetUserInput) (*api.GetUserOutput, error) {
	if in.UserName != nil {
		return nil, api.NoSuchEntityException("The user with name %s cannot be found.", *in.UserName)
	}
	id := account(ctx)
	return &api.GetUserOutput{User: &api.User{
		Arn:        new("arn:aws:iam::" + id + ":root"),
		CreateDate: new(rootSince),
		Path:       new("/"),
		UserId:     &id,
		UserName:   new("root"),
	}}, nil
}
