// Package wire speaks the AWS wire protocols: it turns an HTTP request into a call of a handler
// with a typed input, and the handler's output or error into the protocol's own answer. It knows no
// service; services register their operations with [Handle].
//
// # A call
//
// A call takes these steps, and the first that fails ends it with an answer of its own (call.go):
//
//	read          the body, up to Config.MaxBody
//	route         X-Amz-Target, a path of rpcv2Cbor, or Action and Version, to an API
//	authenticate  Signature Version 4 to an aws.Caller
//	resolve       the operation to its handler
//	decode        the body to the operation's input
//	validate      the input against the model
//	invoke        the handler
//	encode        its output, or its aws.Fault
//
// # What handlers may rely on
//
// The input is never nil and has been validated: required members are there and enumerations have
// one of their values. Lengths, ranges and patterns have been checked too, except where the API
// says OwnLimits (ECS, whose texts for these are its own) and where a pattern cannot be stated in
// Go's regular expressions (lookaheads, as in ACM's domain names). An enumeration that was sent
// empty looks like one that was not sent.
//
// In an output nil is absent, and what is not nil is written: an empty list that is not nil becomes
// [] in JSON and an empty element in XML. The lists that stand directly in an output of a query
// protocol are written even when nil, because AWS always writes those. Structures appear when their
// pointer is not nil.
//
// # How shapes state their wire form
//
// Generated types (cmd/genapi) carry struct tags, read once per type (shape.go):
//
//	json      name in JSON, CBOR and XML answers    query   name in forms, if another
//	item      element name of a list (member)     flat    list or map without an element around it
//	key       element name of a map's keys        value   and of its values
//	time      timestamp format, if not the protocol's own
//	required  must be sent
//	min max pattern       limits of the member itself: length, value, regular expression
//	emin emax epattern    of each element of a list, each value of a map
//	kmin kmax kpattern    of each key of a map
package wire
