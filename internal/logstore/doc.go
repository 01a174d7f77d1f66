// Package logstore keeps log events on disk: one directory per stream, append-only segment files in
// it, oldest events deleted segment by segment. It knows streams by opaque ids only; what they are
// called, and that they are CloudWatch Logs streams, package service/logs knows.
//
// # On disk
//
//	DIR/STREAM/SEQ.log                           the segment that is written
//	DIR/STREAM/SEQ-COUNT-MIN-MAX-BYTES.log       a full one
//
// SEQ is the number of the segment's first event in its stream. The name of a full segment says
// what an index would, so opening a stream reads the one segment that is not full and no other.
// A record is its length and CRC-32C (4 bytes each, little endian) and then the event's time and
// ingestion time (varints, milliseconds since 1970) and its message.
//
// # After a crash
//
// An Append is one write, so a killed process leaves whole records and at most one torn one at the
// end, which the next opening cuts off. Nothing is synced: the death of the machine may cost the
// last seconds of logs, but never more than the tail of a segment.
//
// # Order
//
// Events are read in order of time and, within the same millisecond, of arrival, whatever order
// they were appended in.
package logstore
