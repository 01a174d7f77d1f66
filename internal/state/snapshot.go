package state

import "fmt"

// Reader is what tables are read from: a [*Snapshot], a [*Tx] that remembers what it read, or either
// by way of a [*Counted].
type Reader interface {
	// Revision is the revision of etcd that the reader shows.
	Revision() int64

	forKey(table, key string) content
	forScan(table string) content
}

var (
	_ Reader = (*Snapshot)(nil)
	_ Reader = (*Tx)(nil)
	_ Reader = (*Counted)(nil)
)

// Snapshot is every table at one revision. It never changes and may be kept and shared; it keeps
// the rows of its revision in memory for as long as it is held.
type Snapshot struct {
	revision int64
	tables   map[string]content
	// superseded is closed when a later snapshot has taken this one's place.
	superseded chan struct{}
}

// Revision is the revision of etcd that the snapshot shows.
func (s *Snapshot) Revision() int64 { return s.revision }

func (s *Snapshot) forKey(table, _ string) content { return s.content(table) }

func (s *Snapshot) forScan(table string) content { return s.content(table) }

func (s *Snapshot) content(table string) content {
	c, ok := s.tables[table]
	if !ok {
		panic(fmt.Sprintf("state: table %s was not given to Open", table))
	}
	return c
}
