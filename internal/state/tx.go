package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// maxKeysCompared is how many single rows of one table a commit compares before it compares the
// table's marker in their place. It keeps a transaction within the 128 comparisons that an etcd
// allows by default, at the price of conflicts with writers of other rows.
const maxKeysCompared = 16

// Tx is a transaction: the snapshot it began with, plus its own writes. It remembers what was read,
// so that the commit can tell whether the decision still stands. It serves one goroutine and must
// not be used after the function that received it has returned.
type Tx struct {
	base   *Snapshot
	tables map[string]*txTable
	err    error // the first row that was refused
	ended  bool
}

// txTable is what a transaction has done to one table.
type txTable struct {
	content content             // the base with the transaction's own writes
	read    map[string]struct{} // keys read or written
	scanned bool                // the table was read as a whole
	writes  map[string][]byte   // encoded rows; nil deletes
}

func newTx(base *Snapshot) *Tx {
	return &Tx{base: base, tables: make(map[string]*txTable)}
}

// Revision is the revision of the snapshot that the transaction began with.
func (tx *Tx) Revision() int64 { return tx.base.revision }

// wrote tells whether anything is to be committed.
func (tx *Tx) wrote() bool {
	for _, t := range tx.tables {
		if len(t.writes) > 0 {
			return true
		}
	}
	return false
}

func (tx *Tx) forKey(table, key string) content {
	t := tx.table(table)
	t.note(key)
	return t.content
}

func (tx *Tx) forScan(table string) content {
	t := tx.table(table)
	t.scanned = true
	return t.content
}

func (tx *Tx) table(name string) *txTable {
	if tx.ended {
		panic("state: a transaction was used after its end")
	}
	t, ok := tx.tables[name]
	if !ok {
		t = &txTable{
			content: tx.base.content(name),
			read:    make(map[string]struct{}),
			writes:  make(map[string][]byte),
		}
		tx.tables[name] = t
	}
	return t
}

// note remembers that key was read, or, past the limit, that the table was.
func (t *txTable) note(key string) {
	if t.scanned {
		return
	}
	t.read[key] = struct{}{}
	t.scanned = len(t.read) > maxKeysCompared
}

func (tx *Tx) put(table, key string, row any) {
	t := tx.table(table)
	t.note(key)
	encoded, err := encode(key, row)
	if err == nil && !t.holds(key, encoded) {
		err = t.write(key, encoded)
	}
	if err != nil && tx.err == nil {
		tx.err = fmt.Errorf("putting row %s/%.100s: %w", table, key, err)
	}
}

func (tx *Tx) delete(table, key string) {
	t := tx.table(table)
	t.note(key)
	if stored, _ := t.content.find(key); stored == nil {
		return
	}
	edit := t.content.edit()
	edit.delete(key)
	t.content = edit.done()
	t.writes[key] = nil
}

// holds tells whether key already has the row that was encoded.
func (t *txTable) holds(key string, encoded []byte) bool {
	stored, _ := t.content.find(key)
	if stored == nil {
		return false
	}
	old, err := json.Marshal(stored)
	return err == nil && bytes.Equal(old, encoded)
}

func (t *txTable) write(key string, encoded []byte) error {
	edit := t.content.edit()
	if err := edit.put(key, encoded, 0); err != nil {
		return err
	}
	t.content = edit.done()
	t.writes[key] = encoded
	return nil
}

// encode is the row as etcd stores it, or the reason why it cannot be stored.
func encode(key string, row any) ([]byte, error) {
	if key == "" || len(key) > MaxKeyBytes || strings.ContainsRune(key, 0) {
		return nil, fmt.Errorf("%w: a key has 1 to %d bytes and no NUL", ErrInvalidRow, MaxKeyBytes)
	}
	encoded, err := json.Marshal(row)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidRow, err)
	}
	if len(encoded) > MaxRowBytes {
		return nil, fmt.Errorf("%w: a row of %d bytes, of %d allowed",
			ErrTooLarge, len(encoded), MaxRowBytes)
	}
	return encoded, nil
}
