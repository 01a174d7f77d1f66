package elbv2

import (
	"encoding/base64"
	"strconv"

	"fairlead/internal/aws"
)

// paginate cuts the page out of items that begins at the marker, and returns the marker of the next
// page, nil after the last one. A marker is the position in the list: a list that changes between
// two calls may show an item twice or skip one, as on AWS.
func paginate[T any](items []T, marker *string, size *int32) ([]T, *string, error) {
	from := 0
	if aws.Val(marker) != "" {
		raw, err := base64.RawURLEncoding.DecodeString(*marker)
		from, _ = strconv.Atoi(string(raw))
		if err != nil || from <= 0 {
			return nil, nil, invalid("Invalid marker '%s'", *marker) // our own text
		}
	}
	from = min(from, len(items))
	to := min(from+int(aws.Or(size, maxPageSize)), len(items))
	if to == len(items) {
		return items[from:], nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(to)))
	return items[from:to], &next, nil
}
