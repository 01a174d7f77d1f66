package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
)

// model is a service model as AWS publishes it (the botocore form), without its prose.
type model struct {
	Metadata        metadata              `json:"metadata"`
	Operations      map[string]*operation `json:"operations"`
	OtherOperations []string              `json:"otherOperations,omitempty"`
	Shapes          map[string]*shape     `json:"shapes"`
}

type metadata struct {
	APIVersion     string   `json:"apiVersion"`
	EndpointPrefix string   `json:"endpointPrefix"`
	Protocol       string   `json:"protocol"`
	Protocols      []string `json:"protocols,omitempty"`
	// QueryCompatible is there when clients know the errors by their codes in awsQuery.
	QueryCompatible *struct{} `json:"awsQueryCompatible,omitempty"`
	SigningName     string    `json:"signingName,omitempty"`
	TargetPrefix    string    `json:"targetPrefix,omitempty"`
	XMLNamespace    string    `json:"xmlNamespace,omitempty"`
}

type operation struct {
	Name   string     `json:"name"`
	Input  *shapeRef  `json:"input,omitempty"`
	Output *shapeRef  `json:"output,omitempty"`
	Errors []shapeRef `json:"errors,omitempty"`
}

type shapeRef struct {
	Shape         string `json:"shape"`
	LocationName  string `json:"locationName,omitempty"`
	QueryName     string `json:"queryName,omitempty"`
	Flattened     bool   `json:"flattened,omitempty"`
	ResultWrapper string `json:"resultWrapper,omitempty"`
	Box           bool   `json:"box,omitempty"`
}

type shape struct {
	Type      string               `json:"type"`
	Required  []string             `json:"required,omitempty"`
	Members   map[string]*shapeRef `json:"members,omitempty"`
	Member    *shapeRef            `json:"member,omitempty"`
	Key       *shapeRef            `json:"key,omitempty"`
	Value     *shapeRef            `json:"value,omitempty"`
	Enum      []string             `json:"enum,omitempty"`
	Min       *float64             `json:"min,omitempty"`
	Max       *float64             `json:"max,omitempty"`
	Pattern   string               `json:"pattern,omitempty"`
	Flattened bool                 `json:"flattened,omitempty"`
	Exception bool                 `json:"exception,omitempty"`
	Fault     bool                 `json:"fault,omitempty"`
	Error     *shapeError          `json:"error,omitempty"`
	Timestamp string               `json:"timestampFormat,omitempty"`
}

type shapeError struct {
	Code           string `json:"code,omitempty"`
	HTTPStatusCode int    `json:"httpStatusCode,omitempty"`
	SenderFault    bool   `json:"senderFault,omitempty"`
}

func readModel(path string) (*model, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := new(model)
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	return m, nil
}

// sorted returns the keys of m in order, so that output never depends on map order.
func sorted[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
