// Package api is the parent of the generated wire shapes, one package per AWS service.
package api

//go:generate go run fairlead/cmd/genapi generate ../../models .
