package state

import (
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
)

// tableName is what a table may be called. A slash would make one table's rows look like another's.
var tableName = regexp.MustCompile(`^[a-z][A-Za-z0-9_.-]{0,63}$`)

// TableInfo is a table whose row type does not matter to the holder. Only [Table] implements it.
type TableInfo interface {
	// Name is the table's name, the same in etcd and in [Change].
	Name() string

	validate() error
	empty() content
}

// Index is a secondary, non-unique way to find rows: Keys names the values under which a row is
// found, none to leave it out. Keys must depend on the row alone, and a value must not contain NUL.
type Index[R any] struct {
	Name string
	Keys func(R) []string
}

// Table declares rows of one type. It holds no rows, so one Table serves any number of stores.
type Table[R any] struct {
	name    string
	key     func(R) string
	indexes []Index[R]
}

// NewTable declares a table. Its name starts with a lowercase letter and continues with at most 63
// letters, digits, '.', '_' or '-'; key names a row within the table, see [MaxKeyBytes]. A
// declaration that breaks these rules is refused by [Open].
func NewTable[R any](name string, key func(R) string, indexes ...Index[R]) *Table[R] {
	return &Table[R]{name: name, key: key, indexes: indexes}
}

// Name is the table's name.
func (t *Table[R]) Name() string { return t.name }

// Get returns the row with the given key, and whether there is one.
func (t *Table[R]) Get(r Reader, key string) (R, bool) {
	count(r, 1)
	if e, ok := t.rows(r.forKey(t.name, key)).byKey.Get([]byte(key)); ok {
		return e.row, true
	}
	var none R
	return none, false
}

// Scan walks the rows whose key starts with prefix, in byte order of the keys. The walk shows the
// table as it was when the walk began: what the same transaction puts meanwhile is not in it.
func (t *Table[R]) Scan(r Reader, prefix string) iter.Seq[R] {
	return func(yield func(R) bool) {
		walk(t.rows(r.forScan(t.name)).byKey, prefix, counting(r, yield))
	}
}

// By walks the rows that the named index files under value, in byte order of their keys, with the
// same view of the table as [Table.Scan]. It panics when the table has no such index.
func (t *Table[R]) By(r Reader, index, value string) iter.Seq[R] {
	i := t.indexOf(index)
	return func(yield func(R) bool) {
		walk(t.rows(r.forScan(t.name)).byIndex[i], indexKey(value, ""), counting(r, yield))
	}
}

// Len is the number of rows in the table. In a transaction it counts as reading all of them.
func (t *Table[R]) Len(r Reader) int {
	n := t.rows(r.forScan(t.name)).byKey.Len()
	count(r, n)
	return n
}

// Put stores row under its key, replacing what was there. The row is encoded before Put returns, so
// the caller may go on changing it. A row that cannot be stored (its encoding fails or is larger
// than [MaxRowBytes], its key is empty, too long or contains NUL) makes the whole Update fail.
func (t *Table[R]) Put(tx *Tx, row R) {
	tx.put(t.name, t.key(row), row)
}

// Delete removes the row with the given key, if there is one.
func (t *Table[R]) Delete(tx *Tx, key string) {
	tx.delete(t.name, key)
}

// Written is what a transaction has done to one row.
type Written[R any] struct {
	Key    string
	Before *R // as the transaction found it; nil: there was none
	After  *R // as the transaction leaves it so far; nil: it was deleted
}

// Written walks the rows that tx has put or deleted so far, in byte order of their keys. It does not
// count as reading them.
func (t *Table[R]) Written(tx *Tx) iter.Seq[Written[R]] {
	return func(yield func(Written[R]) bool) {
		own, ok := tx.tables[t.name]
		if !ok {
			return
		}
		before, after := t.rows(tx.base.content(t.name)), t.rows(own.content)
		for _, key := range slices.Sorted(maps.Keys(own.writes)) {
			if !yield(Written[R]{Key: key, Before: before.row(key), After: after.row(key)}) {
				return
			}
		}
	}
}

func (t *Table[R]) rows(c content) *rows[R] {
	own, ok := c.(*rows[R])
	if !ok {
		panic(fmt.Sprintf("state: table %s is declared twice, with different rows", t.name))
	}
	return own
}

func (t *Table[R]) indexOf(name string) int {
	for i, index := range t.indexes {
		if index.Name == name {
			return i
		}
	}
	panic(fmt.Sprintf("state: table %s has no index %q", t.name, name))
}

func (t *Table[R]) validate() error {
	if !tableName.MatchString(t.name) {
		return fmt.Errorf("table name %q does not match %s", t.name, tableName)
	}
	if t.key == nil {
		return fmt.Errorf("table %s has no key function", t.name)
	}
	seen := make(map[string]bool, len(t.indexes))
	for _, index := range t.indexes {
		if index.Name == "" || index.Keys == nil || seen[index.Name] {
			return fmt.Errorf("table %s: index %q is incomplete or declared twice", t.name, index.Name)
		}
		seen[index.Name] = true
	}
	return nil
}
