package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"time"
)

// segment is one file of a stream.
type segment struct {
	first    uint64 // number of its first event
	count    int64  // of events
	min, max int64  // times of its earliest and latest event, in milliseconds since 1970
	bytes    int64  // of messages
	size     int64  // of the file; known while it is not full
	full     bool
}

// end is the number that follows the segment's last event.
func (seg segment) end() uint64 { return seg.first + uint64(seg.count) }

// note counts an event in.
func (seg *segment) note(e Event) {
	at := e.Time.UnixMilli()
	if seg.count == 0 {
		seg.min, seg.max = at, at
	}
	seg.min, seg.max = min(seg.min, at), max(seg.max, at)
	seg.count++
	seg.bytes += int64(len(e.Message))
}

func (seg segment) name() string {
	if !seg.full {
		return fmt.Sprintf("%020d.log", seg.first)
	}
	return fmt.Sprintf("%020d-%d-%d-%d-%d.log", seg.first, seg.count, seg.min, seg.max, seg.bytes)
}

// parseName reads a segment's name; ok is false for what is no segment.
func parseName(name string) (seg segment, ok bool) {
	stem, ok := strings.CutSuffix(name, ".log")
	if !ok {
		return segment{}, false
	}
	if n, _ := fmt.Sscanf(stem, "%d-%d-%d-%d-%d", &seg.first, &seg.count, &seg.min, &seg.max,
		&seg.bytes); n == 5 {
		seg.full = true
	}
	return seg, seg.name() == name
}

// recordHead is the size of a record's length and checksum.
const recordHead = 8

// maxPayload is the largest record behind its head: a message and two varints.
const maxPayload = MaxMessage + 2*binary.MaxVarintLen64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord appends the event as the file has it.
func appendRecord(b []byte, e Event, ingested time.Time) []byte {
	head := len(b)
	b = append(b, make([]byte, recordHead)...)
	b = binary.AppendVarint(b, e.Time.UnixMilli())
	b = binary.AppendVarint(b, ingested.UnixMilli())
	b = append(b, e.Message...)
	payload := b[head+recordHead:]
	binary.LittleEndian.PutUint32(b[head:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[head+4:], crc32.Checksum(payload, castagnoli))
	return b
}

// errTorn says that a record is not whole.
var errTorn = errors.New("torn record")

// readRecord reads the first record of b and returns what follows it.
func readRecord(b []byte) (r Record, rest []byte, err error) {
	if len(b) < recordHead {
		return r, b, errTorn
	}
	size := int(binary.LittleEndian.Uint32(b))
	if size > maxPayload || size > len(b)-recordHead {
		return r, b, errTorn
	}
	payload := b[recordHead : recordHead+size]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return r, b, errTorn
	}
	at, n := binary.Varint(payload)
	if n <= 0 {
		return r, b, errTorn
	}
	ingested, m := binary.Varint(payload[n:])
	if m <= 0 {
		return r, b, errTorn
	}
	r.Time, r.Ingested = time.UnixMilli(at).UTC(), time.UnixMilli(ingested).UTC()
	r.Message = string(payload[n+m:])
	return r, b[recordHead+size:], nil
}

// recoverSegment reads the segment that was written last and cuts off what a crash has left torn.
func recoverSegment(path string, seg segment) (segment, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return seg, err
	}
	rest := b
	for len(rest) > 0 {
		r, after, err := readRecord(rest)
		if err != nil {
			break
		}
		seg.note(r.Event)
		rest = after
	}
	seg.size = int64(len(b) - len(rest))
	if len(rest) > 0 {
		err = os.Truncate(path, seg.size)
	}
	return seg, err
}

// appendFile writes b at the end of the file, which has the given size, or leaves it as it was.
func appendFile(path string, size int64, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(b, size); err != nil {
		return errors.Join(err, f.Truncate(size))
	}
	return nil
}
