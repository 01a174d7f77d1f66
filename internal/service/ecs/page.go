package ecs

import (
	"encoding/base64"
	"strconv"
	"strings"

	"fairlead/internal/aws"
)

// Page sizes. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Operations.html
const (
	maxPage            = 100
	servicesPage       = 10
	deploymentsPage    = 20
	accountSettingPage = 10
)

// paging is what a List call says about the page that it wants.
type paging struct {
	token *string
	max   *int32
	size  int // when max is not given
	limit int // of max
}

// paginate cuts the wanted page out of a sorted list. A token names the last item of the page
// before by key and place, so that a list that has changed meanwhile goes on where it was.
func paginate[T any](items []T, key func(T) string, p paging) (page []T, next *string, err error) {
	size := int(aws.Or(p.max, int32(p.size)))
	if size < 1 || size > p.limit {
		return nil, nil, invalid("maxResults must be between 1 and %d.", p.limit)
	}
	start, err := resume(items, key, aws.Val(p.token))
	if err != nil {
		return nil, nil, err
	}
	end := min(start+size, len(items))
	if end < len(items) {
		next = new(pageToken(end, key(items[end-1])))
	}
	return items[start:end:end], next, nil
}

func pageToken(place int, last string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(place) + " " + last))
}

func resume[T any](items []T, key func(T) string, token string) (int, error) {
	if token == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	place, last, ok := strings.Cut(string(text), " ")
	start, err2 := strconv.Atoi(place)
	if err != nil || err2 != nil || !ok || start < 1 {
		return 0, invalid("Invalid token.")
	}
	for i, item := range items {
		if key(item) == last {
			return i + 1, nil
		}
	}
	return min(start-1, len(items)), nil
}

func itself(s string) string { return s }
