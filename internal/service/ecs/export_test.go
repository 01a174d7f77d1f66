package ecs

// SplitCommand is splitCommand, for tests.
var SplitCommand = splitCommand
