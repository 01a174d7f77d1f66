// Package lint holds the laws of the code as ordinary Go tests: which package may import which, and
// that every package and every exported name says what it is for. It has no code of its own.
package lint
